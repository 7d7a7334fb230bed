"""Agents made of the official Python SDKs that come to limits, with server-everything behind the gateway.

Usage: limits.py sdk1|sdk2 PLACE (JSON: `gateway`, the origin; `keys`, an API key for each agent)
"""

import importlib
import json
import math
import sys
import time
from collections.abc import Iterator
from typing import Any

import anyio
from talk import Facts, ensure, fault, scenario

Http = importlib.import_module({"sdk1": "httpx", "sdk2": "httpx2"}[sys.argv[1]])
"""What the SDK speaks HTTP with."""


class ApiKey(Http.Auth):
    """Shows the agent's key with every request."""

    def __init__(self, key: str) -> None:
        self.key = key

    def auth_flow(self, request: Any) -> Iterator[Any]:
        request.headers["X-Api-Key"] = self.key
        yield request


class World:
    """One SDK, one place."""

    def __init__(self, sdk: str, place: dict[str, Any]) -> None:
        self.sdk = importlib.import_module(sdk)
        self.mode = "legacy" if sdk == "sdk1" else "auto"
        self.gateway = place["gateway"]
        self.key = ApiKey(place["keys"][f"python-{sdk}"])

    def connect(self, server: str):
        return self.sdk.connect(f"{self.gateway}/{server}/mcp", self.mode, self.key)


async def for_both(world: World) -> None:
    async def loop(facts: Facts) -> None:
        async with world.connect("looping") as peer:
            answers = [await peer.call("echo", {"message": "is it done?"}) for _ in range(8)]
            ensure(answers[:5] == ["Echo: is it done?"] * 5, f"stopped before the fifth: {answers}")
            stopped = [answer for answer in answers if answer.startswith("error: ")]
            ensure(len(stopped) == 3, f"stopped {len(stopped)} of 8 calls")
            facts["told"] = stopped[0]
            ensure("change the arguments" in facts["told"], facts["told"])
            answer = await peer.call("echo", {"message": "is it done now?"})
            ensure(answer == "Echo: is it done now?", f"other arguments were stopped too: {answer}")

    async def as_result(facts: Facts) -> None:
        async with world.connect("as-result") as peer:
            answers = [await peer.call("echo", {"message": f"{turn}"}) for turn in range(3)]
            ensure(answers[0] == "Echo: 0", answers[0])
            ensure(all(answer.startswith("error: Limit as-result") for answer in answers[1:]), f"{answers}")
            facts["told"] = answers[1]
            ensure("55" in await peer.call("get-sum", {"a": 21, "b": 34}), "the session did not go on")

    await scenario("a loop is stopped, and the model can read why", loop)
    await scenario("a limit that answers with a result", as_result)


async def for_sdk1(world: World) -> None:
    async def ended(facts: Facts) -> None:
        """This SDK meets any status of 4xx and 5xx by ending the whole client, with all calls under way."""
        answers = []
        caught = None
        try:
            async with world.connect("rates") as peer:
                for turn in range(5):
                    answers.append(await peer.call("echo", {"message": f"{turn}"}))
        except BaseExceptionGroup as group:
            [caught] = group.exceptions
        ensure(len(answers) == 3, f"{answers} were answered")
        ensure(isinstance(caught, Http.HTTPStatusError), f"raised {caught!r}")
        facts["status"] = caught.response.status_code
        ensure(facts["status"] == 429 and 0 < int(caught.response.headers["retry-after"]) <= 20, f"{caught.response}")

    await scenario("a 429 ends this SDK's client", ended)


async def for_sdk2(world: World) -> None:
    async def rates(facts: Facts) -> None:
        async with world.connect("rates") as peer:
            facts["admitted"] = {}
            for tool, a_minute, count in (("echo", 3, 10), ("get-sum", 20, 30)):
                started = time.monotonic()
                calls = [lambda n=n, t=tool: peer.call(t, arguments(t, n)) for n in range(count)]
                outcomes = await volley(calls)
                back = math.floor((time.monotonic() - started) * a_minute / 60)
                refusals = [outcome for outcome in outcomes if isinstance(outcome, dict)]
                named = all(refusal["code"] == 429 and tool in refusal["message"] for refusal in refusals)
                ensure(named, f"{refusals}")
                admitted = facts["admitted"][tool] = count - len(refusals)
                ensure(a_minute <= admitted <= a_minute + back, f"{admitted} calls of {tool} passed, {back} came back")
            ensure(len(await peer.tools()) > 0, "the session did not go on")

    async def in_flight(facts: Facts) -> None:
        slow = "trigger-long-running-operation"
        async with world.connect("in-flight") as peer:
            calls = [lambda n=n: peer.call(slow, {"duration": 1.5, "steps": n + 1}) for n in range(8)]
            outcomes = await volley(calls)
            refusals = [outcome for outcome in outcomes if isinstance(outcome, dict)]
            facts["admitted"] = len(outcomes) - len(refusals)
            ensure(facts["admitted"] == 3, f"admitted {facts['admitted']} of 8: {outcomes}")
            ensure(all(refusal["code"] == 429 for refusal in refusals), f"{refusals}")
            ensure("completed" in await peer.call(slow, {"duration": 0.1, "steps": 1}), "no place came back")

    await scenario("two tools of one server have rates of their own", rates)
    await scenario("no more calls are under way than may be", in_flight)


def arguments(tool: str, number: int) -> dict[str, Any]:
    return {"message": f"{number}"} if tool == "echo" else {"a": 1, "b": number}


async def volley(calls: list[Any]) -> list[str | dict[str, Any]]:
    """Makes all calls at the same time: for each its answer, or what the refusal says."""
    outcomes: list[Any] = [None] * len(calls)

    async def make(index: int) -> None:
        try:
            outcomes[index] = await calls[index]()
        except Exception as error:
            outcomes[index] = fault(error)

    async with anyio.create_task_group() as tasks:
        for index in range(len(calls)):
            tasks.start_soon(make, index)
    return outcomes


async def main() -> None:
    sdk, place = sys.argv[1], json.loads(sys.argv[2])
    world = World(sdk, place)
    await for_both(world)
    await (for_sdk1 if sdk == "sdk1" else for_sdk2)(world)


anyio.run(main)
