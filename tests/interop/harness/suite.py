"""A case: a client that talks to a server, run on each side, its scenarios judged one by one."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness import conformance
from harness.scene import Direct, Gateway
from harness.verdict import Result, Tally, judge, never_better

CASE_SECONDS_MAX = 100

Results = dict[str, Result]
"""What became of each scenario of a case, by its name."""


@dataclass
class Case:
    """A client program, the server it talks to, and how its results compare."""

    name: str
    server: str
    command: Callable[[str, Path], list[str]]
    """The command line, from the URL to talk to and a directory of its own."""
    read: Callable[[str, Path], Results]
    """The results, from standard output and that directory."""
    better: Callable[[dict, dict], bool] = never_better
    """Whether differing facts (direct, through) are no worse through the gateway."""


def perform(case: Case, direct: Direct, through: Gateway | None, tally: Tally) -> None:
    """Runs a case on both sides at the same time and judges each of its scenarios."""
    sides = [direct] + ([through] if through else [])
    with ThreadPoolExecutor(len(sides)) as pool:
        outcomes = list(pool.map(lambda side: play(case, side), sides))
    results = [results for results, _ in outcomes]
    names = list(dict.fromkeys(name for side in results for name in side))
    for name in names:
        if not through and results[0][name].only_compared:
            continue
        why = judge(results[0].get(name), results[-1].get(name), through is not None, case.better)
        tally.add(f"{case.name}: {name}", why)
    for side, (_, trouble) in zip(sides, outcomes, strict=True):
        if trouble:
            tally.add(f"{case.name}: runs to its end ({side.label})", trouble)


def play(case: Case, side: Direct) -> tuple[Results, str | None]:
    """The results of one side, and what kept the client from coming to its end."""
    name = "".join(letter if letter.isalnum() or letter in ".-" else "-" for letter in f"{side.label} {case.name}")
    directory = side.processes.logs / name
    directory.mkdir(exist_ok=True)
    command = case.command(side.urls[case.server], directory)
    out, err, why = side.processes.converse(name, command, CASE_SECONDS_MAX)
    results = case.read(out, directory)
    # Conformance ends with 1 when a scenario fails; its scenarios are judged one by one.
    if results and case.read is conformance.read and why == "ended with code 1":
        why = None
    if not results:
        why = why or "it reported no scenario"
    return results, f"{why}\n{err}" if why else None


def read_lines(out: str, _: Path) -> Results:
    """Clients of ours print one JSON object for each scenario."""
    results = {}
    # Not splitlines(), which also splits at the U+2028 that a scenario echoes.
    for line in out.split("\n"):
        if line.startswith('{"scenario"'):
            told = json.loads(line)
            results[told["scenario"]] = Result(told["ok"], told.get("why"), told["facts"])
    return results
