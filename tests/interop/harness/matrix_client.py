"""Drives a framework's program, and makes of what it tells facts that do not differ from run to run."""

import json
import os
import queue
import re
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

from harness.frameworks import Framework
from harness.processes import die_with_parent, end_group

START_SECONDS_MAX = 60
"""Importing a framework takes seconds, and more on a busy machine."""

ANSWER_SECONDS_MAX = 15
"""A call without an end by then counts as one that has none. Nothing in the scenes takes half of it."""

TEXT_MAX = 240
"""Characters of a text that are compared: enough to tell what is said, without a whole traceback."""

VARYING = [
    (re.compile(r"(file://)?(/[\w.@+-]+){2,}/node_modules/"), "MODULES/"),
    (re.compile(r"(/[\w.@+-]+){2,}/site-packages/"), "PACKAGES/"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"127\.0\.0\.1:\d+"), "HOST"),
    (re.compile(r"\b(0x)?[0-9a-f]{12,}\b"), "HEX"),
    (re.compile(r"\b\d+(\.\d+)? ?(seconds|minutes|hours|s|ms|min)\b"), "TIME"),
    (re.compile(r"\b(in|after|for) \d+(\.\d+)?\b"), r"\1 N"),
    (re.compile(r'("?(?:id|request_id|requestId|retryAfter|retry_after_ms|retryAfterMs)"?: ?)"?\d+(\.\d+)?"?'), r"\1N"),
]


class Client:
    """A framework in a process of its own, which outlives scenes unless one broke it."""

    def __init__(self, framework: Framework, logs: Path) -> None:
        self.framework = framework
        self.log = logs / f"client-{framework.name}.log"
        self.process: subprocess.Popen[str] | None = None
        self.answers: queue.Queue[str] = queue.Queue()

    def ask(self, do: str, **more: Any) -> Any:
        """The answer, or None where there is none in time: then the process is ended."""
        if self.process is None:
            self.start()
        assert self.process and self.process.stdin
        try:
            self.process.stdin.write(json.dumps({"do": do, **more}) + "\n")
            self.process.stdin.flush()
            return steady(json.loads(self.answers.get(timeout=ANSWER_SECONDS_MAX)))
        except queue.Empty:
            self.end()
            return None
        except OSError:
            self.end()
            return {"client ended": "its process ended"}

    def start(self) -> None:
        environment = {**os.environ, "CI": "true", "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        log = self.log.open("ab")
        self.process = subprocess.Popen(
            self.framework.command(), text=True, start_new_session=True, preexec_fn=die_with_parent, env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
        self.answers = queue.Queue()
        threading.Thread(target=read, args=(self.process.stdout, self.answers), daemon=True).start()
        try:
            self.answers.get(timeout=START_SECONDS_MAX)
        except queue.Empty:
            self.end()
            raise SystemExit(f"{self.framework.name} does not start: {self.log}") from None

    def end(self) -> None:
        if self.process:
            end_group(self.process, signal.SIGKILL)
            self.process.wait()
            self.process = None


def read(stream, answers: queue.Queue[str]) -> None:
    for line in stream:
        if line.startswith("@@ "):
            answers.put(line[3:])
    answers.put(json.dumps({"client ended": "its process ended"}))


def steady(told: Any) -> Any:
    """Without ports, ids and times."""
    if isinstance(told, str):
        for pattern, instead in VARYING:
            told = pattern.sub(instead, told)
        return told if len(told) <= TEXT_MAX else told[:TEXT_MAX] + "..."
    if isinstance(told, list):
        return [steady(item) for item in told]
    if isinstance(told, dict):
        return {key: steady(value) for key, value in told.items()}
    return told
