"""What became of the scenarios: results of one side, the comparison of two sides, the lines and the count."""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SHOWN_MAX = 700
"""Characters of a fact that a FAIL line shows; the logs have all of it."""


@dataclass
class Result:
    """One scenario on one side: whether it went well by itself, and what was observed."""

    ok: bool
    why: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    only_compared: bool = False
    """Not worth a line without a gateway, because it is known to fail there."""


class Tally:
    """Prints a line for each scenario and counts."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0

    def add(self, name: str, why: str | None) -> None:
        if why is None:
            self.passed += 1
            print(f"PASS  {name}", flush=True)
        else:
            self.failed += 1
            indented = "\n".join(f"      {line}" for line in why.strip().splitlines())
            print(f"FAIL  {name}\n{indented}", flush=True)

    def report(self, logs: Path) -> int:
        if self.failed:
            print(f"logs: {logs}")
        elif logs.name.startswith("ringgate-interop-"):
            shutil.rmtree(logs, ignore_errors=True)
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed or not self.passed else 0


def judge(direct: Result | None, through: Result | None, compared: bool, better) -> str | None:
    """Why this scenario fails, or None. Direct is the measure: what fails there says nothing about the gateway."""
    if direct is None:
        return "did not run without the gateway"
    if not direct.ok:
        return f"fails without the gateway: {direct.why}"
    if not compared:
        return None
    if through is None:
        return "did not run through the gateway"
    if not through.ok:
        return f"through the gateway: {through.why}\n{differences(direct.facts, through.facts)}"
    if through.facts == direct.facts or better(direct.facts, through.facts):
        return None
    return f"differs through the gateway:\n{differences(direct.facts, through.facts)}"


def never_better(_: dict[str, Any], __: dict[str, Any]) -> bool:
    """For facts without an order: other is other."""
    return False


def differences(
    direct: dict[str, Any], through: dict[str, Any], labels: tuple[str, str] = ("direct: ", "through:")
) -> str:
    lines = []
    for name in sorted(direct.keys() | through.keys()):
        if direct.get(name) != through.get(name):
            lines.append(f"{name}\n  {labels[0]} {shown(direct.get(name))}\n  {labels[1]} {shown(through.get(name))}")
    return "\n".join(lines)


def shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}… ({len(text)} characters)"
