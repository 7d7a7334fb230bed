"""The official Python SDKs as clients. Run it with the interpreter of the environment that has the SDK wanted.

Usage: converse.py sdk1|sdk2 legacy|auto everything|python|modern URL
"""

import importlib
import json
import logging
import sys
import urllib.error
import urllib.request
import warnings

import anyio
from talk import Arrivals, Facts, digest, ensure, eventually, refused, scenario, ticket

ASK = {
    "everything": {
        "elicit": ("trigger-elicitation-request", {}, "Ada"),
        "sample": ("trigger-sampling-request", {"prompt": "how are you"}, "sampled: "),
        "roots": ("get-roots-list", {}, "file:///interop/root"),
        "slow": lambda _: ("trigger-long-running-operation", {"duration": 1.5, "steps": 5}),
    },
    "python": {
        "elicit": ("book", {}, "2 seats for Ada"),
        "sample": ("ponder", {"prompt": "how are you"}, "sampled: how are you"),
        "roots": ("list_client_roots", {}, "file:///interop/root"),
        "slow": lambda ticket: ("count_slowly", {"ticket": ticket, "steps": 5, "step_ms": 300}),
        "texts": ("fixture://greeting", "introduce", {"name": "Ada"}, "fail"),
        "change": ("touch", "fixture://greeting"),
    },
    "modern": {
        "elicit": ("test_input_required_result_elicitation", {}, "Hello, Ada!"),
        "sample": ("test_input_required_result_sampling", {}, "sampled: What is the capital"),
        "roots": ("test_input_required_result_list_roots", {}, "file:///interop/root"),
        "slow": lambda ticket: ("count_slowly", {"ticket": ticket, "steps": 5, "step_ms": 300}),
        "texts": (
            "test://static-text",
            "test_prompt_with_arguments",
            {"arg1": "a", "arg2": "b"},
            "test_error_handling",
        ),
        "change": ("touch_resource", "test://watched-resource"),
    },
}
"""The tools of each server by what they do: name, arguments, and what the answer must contain."""


async def basics(peer, server: str) -> None:
    async def lists(facts: Facts) -> None:
        tools = await peer.tools()
        facts |= peer.facts
        facts["tools"] = [tool["name"] for tool in tools]
        facts["digest"] = digest(tools)

    async def calls(facts: Facts) -> None:
        facts["echo"] = await peer.call("echo", {"message": "grüße \x00 🎈"})
        facts["big"] = digest(await peer.call("echo", {"message": "0123456789abcdef" * 19_200}))
        facts["unknown"] = await attempt(peer.call("no-such-tool"))

    async def at_once(_: Facts) -> None:
        answers: dict[int, str] = {}

        async def one(number: int) -> None:
            answers[number] = await peer.call("echo", {"message": f"message {number};"})

        async with anyio.create_task_group() as tasks:
            for number in range(30):
                tasks.start_soon(one, number)
        wrong = [number for number, answer in answers.items() if f"message {number};" not in answer]
        ensure(not wrong and len(answers) == 30, f"answers went to other calls: {wrong}")

    async def progress(facts: Facts) -> None:
        arrivals = Arrivals()
        name, arguments = ASK[server]["slow"](ticket())
        facts["answer"] = await peer.call(name, arguments, arrivals.progress)
        arrivals.result()
        arrivals.check(steps=5, spread_seconds_min=0.5)

    await scenario("initialize and lists", lists)
    await scenario("calls", calls)
    await scenario("thirty calls at once", at_once)
    await scenario("progress arrives as it occurs", progress)


async def attempt(call) -> object:
    """SDKs differ in whether a refusal is an exception or a result; both are facts."""
    try:
        return await call
    except Exception as error:
        return str(error)


async def round_trip(peer, server: str, what: str) -> None:
    name, arguments, expected = ASK[server][what]

    async def ask(facts: Facts) -> None:
        if server == "everything":
            # This server offers the tool only once it has digested what the client can do.
            await eventually(lambda: offered(peer, name), f"the tool {name} is offered")
        facts["answer"] = await peer.call(name, arguments)
        ensure(expected in facts["answer"], f"not in the answer: {expected}")

    await scenario(f"round trip: {what}", ask)


async def offered(peer, name: str) -> bool:
    return name in [tool["name"] for tool in await peer.tools()]


async def with_fixture(peer, server: str) -> None:
    uri, prompt, arguments, failing = ASK[server]["texts"]

    async def cancel(_: Facts) -> None:
        cancelled = ticket()
        await peer.call_and_cancel("count_slowly", {"ticket": cancelled, "steps": 60, "step_ms": 100})

        async def seen() -> bool:
            return await peer.call("fate_of", {"ticket": cancelled}) == "cancelled"

        await eventually(seen, "the server saw the cancellation")

    async def texts(facts: Facts) -> None:
        facts["resource"] = await peer.read_resource(uri)
        facts["prompt"] = await peer.get_prompt(prompt, arguments)
        facts["failed"] = await peer.call(failing)
        facts["missing"] = await refused(peer.read_resource("fixture://nothing"))

    await scenario("the server sees a cancellation", cancel)
    await scenario("resources, prompts, refusals", texts)


async def listening(peer, server: str) -> None:
    touch, uri = ASK[server]["change"]

    async def listen(facts: Facts) -> None:
        async with peer.client.listen(resource_subscriptions=[uri]) as subscription:
            await peer.call(touch, {"uri": "fixture://other"})
            await peer.call(touch, {"uri": uri})
            async for event in subscription:
                facts["event"] = str(event)
                break
        facts["after"] = await peer.call("echo", {"message": "still here"})
        ensure(uri in facts["event"], "another change was told")

    await scenario("listen for changes", listen)


async def after_the_end(url: str, headers: dict[str, str]) -> None:
    """The SDK sent a DELETE when it left; what does its session answer now?"""

    async def dead(facts: Facts) -> None:
        ensure("mcp-session-id" in headers, "there was no session")
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}).encode()
        request = urllib.request.Request(url, body, method="POST")
        request.add_header("Content-Type", "application/json")
        request.add_header("Accept", "application/json, text/event-stream")
        request.add_header("MCP-Protocol-Version", "2025-11-25")
        request.add_header("Mcp-Session-Id", headers["mcp-session-id"])
        facts["answer"] = await anyio.to_thread.run_sync(status_and_body, request)
        ensure(400 <= facts["answer"][0] < 500, "the dead session was served")

    await scenario("the ended session is gone", dead)


def status_and_body(request: urllib.request.Request) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


async def main(sdk: str, mode: str, server: str, url: str) -> None:
    async with importlib.import_module(sdk).connect(url, mode) as peer:
        await basics(peer, server)
        for what in ("elicit", "sample", "roots"):
            await round_trip(peer, server, what)
        if "texts" in ASK[server]:
            await with_fixture(peer, server)
        if peer.facts["revision"] >= "2026":
            await listening(peer, server)
    if peer.headers:
        await after_the_end(url, peer.headers)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    anyio.run(main, *sys.argv[1:])
