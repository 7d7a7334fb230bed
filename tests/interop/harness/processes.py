"""Starts processes on free loopback ports, and ends every one of them, whatever happens."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

READY_SECONDS_MAX = 30
"""How long a server may take until it accepts connections; an interpreter on a busy machine is slow to start."""


LIBC = ctypes.CDLL(None)


class Processes:
    """What this run has started. Leaving the context ends it, group by group."""

    def __init__(self, logs: Path, seconds_max: float) -> None:
        self.logs = logs
        self.deadline = time.monotonic() + seconds_max
        self.running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Processes":
        self.logs.mkdir(parents=True, exist_ok=True)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, _: sys.exit(128 + number))
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for process in self.running:
            end_group(process, signal.SIGTERM)
        until = time.monotonic() + 3
        for process in self.running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.01, until - time.monotonic()))
            # The group may hold children of a process that has ended.
            end_group(process, signal.SIGKILL)
            process.wait()

    def seconds_left(self) -> float:
        return max(0.0, self.deadline - time.monotonic())

    def start(
        self, name: str, command: list[str], environment: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Starts a long-running process, its output going to `logs/name.log`."""
        with (self.logs / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                env={**os.environ, "CI": "true", **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        self.running.append(process)
        return process

    def converse(self, name: str, command: list[str], seconds_max: float) -> tuple[str, str, str | None]:
        """Runs a client to its end: standard output, the end of standard error, and why it failed or None."""
        process = subprocess.Popen(
            command,
            env={**os.environ, "CI": "true"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        self.running.append(process)
        why = None
        try:
            out, err = process.communicate(timeout=min(seconds_max, self.seconds_left()) or 0.001)
        except subprocess.TimeoutExpired:
            end_group(process, signal.SIGKILL)
            out, err = process.communicate()
            why = "ran out of time"
        if why is None and process.returncode != 0:
            why = f"ended with code {process.returncode}"
        (self.logs / f"{name}.out").write_bytes(out + b"\n--- standard error ---\n" + err)
        return out.decode(errors="replace"), err.decode(errors="replace")[-3000:], why

    def wait_ready(self, name: str, process: subprocess.Popen[bytes], port: int) -> None:
        until = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < until and process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        log = (self.logs / f"{name}.log").read_text(errors="replace")[-3000:]
        raise SystemExit(f"{name} does not accept connections (exit code {process.poll()}):\n{log}")


def free_port() -> int:
    """A port that was free a moment ago; every caller gets another one, as the kernel hands them out in turn."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def die_with_parent() -> None:
    """Ends the child when this runner is killed without a chance to clean up."""
    LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def end_group(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
