"""The tables of docs/clients.md, made of what is expected of each framework."""

import json
import re
from typing import Any

from harness.frameworks import FRAMEWORKS, HERE, Framework
from harness.matrix_scenes import NO_END

DOCUMENT = HERE.parent.parent.parent / "docs" / "clients.md"

REFUSALS = ["limit", "limit-text", "limit-error", "denied", "denied-unknown", "denied-forbidden"]
CONNECTIONS = ["sessions", "401", "401-later", "restarted", "forgotten", "ended", "broken", "cancelled"]

REASON = re.compile(
    r"Limit |may not|not allowed|nknown tool|credential|API key|no such session|Session terminated|HTTP 401"
    r"|took longer|ended (it|the call)|gave up on|timed out|timeout"
)
"""Found where the reason arrives."""


def tables() -> str:
    expected = {framework: read(framework) for framework in FRAMEWORKS}
    return "\n\n".join(table(expected, scenes) for scenes in (REFUSALS, CONNECTIONS))


def read(framework: Framework) -> dict[str, Any]:
    path = HERE / "expected" / f"{framework.name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def table(expected: dict[Framework, dict[str, Any]], scenes: list[str]) -> str:
    lines = ["| framework | version | " + " | ".join(f"`{scene}`" for scene in scenes) + " |"]
    lines.append("|---" * (len(scenes) + 2) + "|")
    for framework, facts in expected.items():
        words = [word(scene, facts[scene]) if scene in facts else "-" for scene in scenes]
        lines.append(f"| {framework.name} | {framework.version()} | " + " | ".join(words) + " |")
    return "\n".join(lines)


def word(scene: str, facts: dict[str, Any]) -> str:
    """What a reader wants to know of a scene, in a few words."""
    if scene in ("limit", "limit-text", "limit-error"):
        return of_refusals(facts["seen"][1:] if isinstance(facts["seen"], list) else facts["seen"], facts["seen"])
    if scene.startswith("denied"):
        return of_refusals(facts["seen"], facts["seen"])
    if scene == "sessions":
        return f"{facts['opened']} opened, {facts['ended']} ended"
    if scene == "401":
        return "says why" if has_reason(facts["connect"]) else "says that it failed"
    if scene == "cancelled":
        return "goes on" if "completed" in str(facts.get("next")) else "place is kept"
    if scene in ("ended", "broken"):
        return of_refusals(facts["seen"], facts["seen"])
    after = facts["after"]
    if "Echo: 2" in str(after):
        return "goes on"
    told = of_refusals(after, after)
    if "Echo: 3" in str(facts.get("next run")):
        return f"{told}, next run goes on"
    return told


def of_refusals(seen: Any, whole: Any) -> str:
    """The first refusal, and the second where there is one."""
    if seen == NO_END:
        return "waits"
    told = str(whole)
    if "client ended" in told:
        return "client ends"
    kinds = [next(iter(outcome)) for outcome in seen]
    if kinds[0] == "raised":
        return "run ends"
    if "raised" in kinds:
        return "run ends at the second"
    return "reads why" if has_reason(seen[0]) else "reads that it failed"


def has_reason(told: Any) -> bool:
    return REASON.search(str(told)) is not None


def is_current() -> str | None:
    """Why the document is not, or None."""
    return None if tables() in DOCUMENT.read_text() else "docs/clients.md has other tables than matrix --markdown prints"
