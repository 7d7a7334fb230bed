"""The official Python SDKs with their OAuth client, against servers behind a gateway that wants tokens.

Usage: oauth.py sdk1|sdk2 legacy|auto everything|modern PLACE (JSON: `gateway`, `issuer`, origins)
"""

import importlib
import json
import logging
import sys
import urllib.request
import warnings
from contextlib import asynccontextmanager

import anyio
from person import Person
from talk import Facts, ensure, refused, scenario

SEEN = {
    "everything": {
        "alice": ["echo", "get-sum"],
        "bob": ["echo", "get-tiny-image"],
        "scoped": "get-env",
        "not_alice": "get-tiny-image",
    },
    "modern": {
        "alice": ["echo", "test_simple_text"],
        "bob": ["echo", "test_error_handling"],
        "scoped": "test_image_content",
        "not_alice": "test_error_handling",
    },
}
"""What each user sees of each server, the tool that needs the scope env:read, and one that only bob may use."""


class World:
    """One SDK, one server, one place."""

    def __init__(self, sdk: str, mode: str, server: str, place: dict[str, str]) -> None:
        self.sdk = importlib.import_module(sdk)
        self.mode = mode
        self.server = server
        self.url = f"{place['gateway']}/{server}/mcp"
        self.issuer = place["issuer"]

    @asynccontextmanager
    async def session(self, person: Person):
        async with self.sdk.connect(self.url, self.mode, person.provider(self.url)) as peer:
            yield peer

    async def grants(self, person: Person) -> list[str]:
        """The grant types that the issuer has seen from this person's client, oldest first."""

        def read() -> list[dict[str, str]]:
            with urllib.request.urlopen(f"{self.issuer}/log", timeout=10) as response:
                return json.load(response)

        log = await anyio.to_thread.run_sync(read)
        of_this_client = [entry for entry in log if entry.get("client_id") == person.client_id]
        return [entry["grant_type"] for entry in of_this_client if "grant_type" in entry]


async def logins(world: World) -> None:
    async def login(facts: Facts) -> None:
        person = Person("alice")
        async with world.session(person) as peer:
            facts["tools"] = sorted(tool["name"] for tool in await peer.tools())
            facts["answer"] = await peer.call("echo", {"message": "I am in"})
            ensure("I am in" in facts["answer"], "no echo")
        [request] = person.requests
        ensure(request["code_challenge_method"] == "S256", "no PKCE")
        ensure(request["resource"] == world.url, f"a token was asked for {request['resource']}")
        ensure(request["scope"] == "mcp:use", f"scopes asked for: {request['scope']}")

    async def refresh(facts: Facts) -> None:
        """This SDK knows when a token ends, and refreshes before it asks."""
        person = Person("alice", lifetime="2")
        async with world.session(person) as peer:
            await peer.call("echo", {"message": "before"})
            await anyio.sleep(3.1)
            facts["after"] = await peer.call("echo", {"message": "after"})
            ensure("after" in facts["after"], "no echo")
        facts["grants"] = await world.grants(person)
        ensure(facts["grants"] == ["authorization_code", "refresh_token"], f"grants: {facts['grants']}")

    async def again(facts: Facts) -> None:
        """It is not told when the token ends, so it learns from the 401; then it logs in again, without a word."""
        person = Person("alice", lifetime="2", told="nothing")
        async with world.session(person) as peer:
            await peer.call("echo", {"message": "before"})
            await anyio.sleep(3.1)
            facts["after"] = await peer.call("echo", {"message": "after"})
            ensure("after" in facts["after"], "no echo")
        facts["grants"] = await world.grants(person)
        ensure(facts["grants"] == ["authorization_code"] * 2, f"grants: {facts['grants']}")

    async def step_up(facts: Facts) -> None:
        person = Person("bob")
        async with world.session(person) as peer:
            answer = await peer.call(SEEN[world.server]["scoped"])
            ensure(not answer.startswith("error"), answer)
            names = [tool["name"] for tool in await peer.tools()]
            ensure(SEEN[world.server]["scoped"] in names, f"still hidden: {names}")
        scopes = [sorted(request["scope"].split()) for request in person.requests]
        ensure(scopes == [["mcp:use"], ["env:read", "mcp:use"]], f"asked for {scopes}")
        facts["scopes"] = scopes

    await scenario("discovery, registration, login, list, call", login)
    await scenario("an expired token is refreshed", refresh)
    await scenario("an expired token that nobody told of: logs in again", again)
    await scenario("step-up: a tool that needs a further scope", step_up)


async def roles(world: World) -> None:
    seen = SEEN[world.server]

    async def lists(facts: Facts) -> None:
        for name in ("alice", "bob"):
            async with world.session(Person(name)) as peer:
                facts[name] = sorted(tool["name"] for tool in await peer.tools())
                ensure(facts[name] == seen[name], f"{name} sees {facts[name]}")
                facts[f"{name}'s prompts"] = sorted(await peer.prompts())
                facts[f"{name}'s resources"] = sorted(await peer.resources())
        ensure(facts["alice's prompts"] != facts["bob's prompts"], "both see the same prompts")
        ensure(facts["alice's resources"] != facts["bob's resources"], "both see the same resources")

    async def across(facts: Facts) -> None:
        async with world.session(Person("alice")) as peer:
            denied = await peer.call(seen["not_alice"])
            unknown = await peer.call("no-such-tool")
            ensure(denied == f"error: Unknown tool: {seen['not_alice']}", denied)
            wanted = unknown.replace("no-such-tool", seen["not_alice"])
            ensure(denied == wanted, f"{denied} where an unknown tool gets {unknown}")
            facts["denied"] = denied

    await scenario("two roles see different lists", lists)
    await scenario("two roles cannot call across, and learn nothing", across)


async def main(sdk: str, mode: str, server: str, place: str) -> None:
    world = World(sdk, mode, server, json.loads(place))
    await logins(world)
    await roles(world)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    anyio.run(main, *sys.argv[1:])
