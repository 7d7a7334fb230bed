"""Reads what `@modelcontextprotocol/conformance` leaves behind, and compares two of its runs check by check."""

import json
import re
from pathlib import Path
from typing import Any

from harness.verdict import Result

RANK = {"FAILURE": 0, "WARNING": 1, "SKIPPED": 2, "INFO": 3, "SUCCESS": 4}

FAILS_DIRECTLY = {"tasks-required-task-error"}
"""Scenarios that the fixture server cannot pass (its SDK turns the demanded error into a tool result). They say
nothing about the server, but they must fail alike through the gateway."""


def read(_: str, directory: Path) -> dict[str, Result]:
    """One result for each scenario; its facts are the worst status of each check."""
    results = {}
    for file in sorted(directory.glob("*/checks.json")):
        scenario = re.sub(r"^server-|-\d{4}-\d\d-\d\dT.*$", "", file.parent.name)
        checks = [check for check in json.loads(file.read_text()) if check["status"] != "INFO"]
        failures = [f"{check['id']}: {check.get('errorMessage')}" for check in checks if check["status"] == "FAILURE"]
        known = scenario in FAILS_DIRECTLY
        ok = known or not failures
        results[scenario] = Result(ok, "\n".join(failures) or None, statuses(checks), only_compared=known)
    return results


def statuses(checks: list[dict[str, Any]]) -> dict[str, Any]:
    """`status xN` for each check id, where N counts how often it was made; what is said to failures follows."""
    found: dict[str, list[dict[str, Any]]] = {}
    for check in checks:
        found.setdefault(check["id"], []).append(check)
    return {name: summary(made) for name, made in found.items()}


def summary(made: list[dict[str, Any]]) -> dict[str, Any]:
    worst = min(made, key=lambda check: RANK[check["status"]])
    facts = {"status": worst["status"], "made": len(made)}
    if worst["status"] in ("FAILURE", "WARNING"):
        facts["said"] = worst.get("errorMessage")
    return facts


def no_worse(direct: dict[str, Any], through: dict[str, Any]) -> bool:
    """Every check that was made directly was made through the gateway too, with the same result or a better one."""
    return all(
        name in through
        and RANK[through[name]["status"]] >= RANK[check["status"]]
        and through[name]["made"] >= check["made"]
        for name, check in direct.items()
    )
