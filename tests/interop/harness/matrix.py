"""Plays the scenes with each framework, and compares the facts with `frameworks/expected`."""

import json
from pathlib import Path
from typing import Any

from harness.frameworks import HERE, Framework
from harness.matrix_client import Client
from harness.matrix_scenes import Scene
from harness.matrix_site import Gateway, Keys, Upstream
from harness.processes import Processes
from harness.verdict import Tally, differences

def perform(
    frameworks: list[Framework],
    scenes: list[Scene],
    processes: Processes,
    binary: Path,
    tally: Tally,
    write: bool = False,
) -> None:
    keys = Keys(binary)
    for framework in frameworks:
        expected = read(framework)
        upstream = Upstream(processes, framework.name)
        client = Client(framework, processes.logs)
        try:
            for scene in scenes:
                gateway = Gateway(processes, binary, f"{framework.name}-{scene.name}", upstream, keys)
                facts = play(scene, client, gateway)
                if write:
                    expected[scene.name] = facts
                tally.add(f"{framework.name}: {scene.name}", compare(expected.get(scene.name), facts))
        finally:
            client.end()
            upstream.end()
        if write:
            file(framework).write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")


def play(scene: Scene, client: Client, gateway: Gateway) -> dict[str, Any]:
    scene.prepare(gateway.config)
    gateway.start()
    try:
        facts = scene.play(gateway, client)
        if client.process and client.ask("close") != "closed":
            client.end()
        return facts
    finally:
        gateway.stop()


def compare(expected: dict[str, Any] | None, facts: dict[str, Any]) -> str | None:
    if expected is None:
        return f"nothing is expected yet (--write), seen:\n{json.dumps(facts, indent=1, ensure_ascii=False)}"
    return None if expected == facts else differences(expected, facts)


def file(framework: Framework) -> Path:
    return HERE / "expected" / f"{framework.name}.json"


def read(framework: Framework) -> dict[str, Any]:
    return json.loads(file(framework).read_text()) if file(framework).exists() else {}

