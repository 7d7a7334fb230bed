"""What the Python clients share: run scenarios one by one, observe facts, print one JSON line for each."""

import hashlib
import json
import os
import random
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

Facts = dict[str, Any]

SCENARIO_SECONDS_MAX = 20
"""A stuck scenario is a failed one; generous, because two busy cores may run everything."""


async def scenario(name: str, body: Callable[[Facts], Awaitable[None]]) -> None:
    """Runs `body(facts)`; what it puts into `facts` is compared, what it raises is the failure."""
    facts: Facts = {}
    started = time.monotonic()
    why = None
    try:
        with anyio.fail_after(SCENARIO_SECONDS_MAX):
            await body(facts)
    except Exception:
        why = traceback.format_exc()
    milliseconds = round((time.monotonic() - started) * 1000)
    line = {"scenario": name, "ok": why is None, "why": why, "facts": facts, "milliseconds": milliseconds}
    print(json.dumps(line), flush=True)


def ensure(condition: bool, words: str) -> None:
    if not condition:
        raise AssertionError(words)


def digest(value: Any) -> str:
    """A fact of fixed size that differs when anything in `value` differs."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def ticket() -> str:
    return f"ticket-{os.getpid()}-{random.getrandbits(64):x}"


async def eventually(probe: Callable[[], Awaitable[bool]], words: str, seconds_max: float = 10) -> None:
    """Waits until `probe` is true; it polls, so that nothing depends on one exact moment."""
    deadline = time.monotonic() + seconds_max
    while time.monotonic() < deadline:
        if await probe():
            return
        await anyio.sleep(0.025)
    raise AssertionError(f"never happened: {words}")


async def refused(call: Awaitable[Any]) -> dict[str, Any]:
    """What a refused call says."""
    try:
        await call
    except Exception as error:
        return fault(error)
    raise AssertionError("the call was answered, a refusal was expected")


def fault(error: Exception) -> dict[str, Any]:
    """Code and words of an error."""
    told = getattr(error, "error", error)
    return {"code": getattr(told, "code", None), "message": getattr(told, "message", str(error))}


class Arrivals:
    """Notes when each progress report of one call came, and when its result."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, float]] = []

    async def progress(self, progress: float, total: float | None, message: str | None) -> None:
        self.events.append((progress, time.monotonic()))

    def result(self) -> None:
        self.events.append(("result", time.monotonic()))

    def check(self, steps: int, spread_seconds_min: float) -> None:
        """In order, before the result, spread over time; the last report may come together with the result."""
        *progress, last = self.events
        story = [what for what, _ in self.events]
        ensure(last[0] == "result", f"the result did not come last: {story}")
        ensure(len(progress) in (steps, steps - 1), f"not {steps} reports: {story}")
        ensure(story[:-1] == list(range(1, len(progress) + 1)), f"not in order: {story}")
        spread = progress[-1][1] - progress[0][1]
        ensure(spread >= spread_seconds_min, f"progress came within {spread:.3f} s: it was held back")
