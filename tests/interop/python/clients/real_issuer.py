"""The official Python SDKs log in at an authorization server that others wrote, and call through the gateway.

Usage: real_issuer.py sdk1|sdk2 oidc-provider|django SERVER PLACE (JSON: `gateway`, `issuer`, origins)
"""

import importlib
import json
import logging
import sys
import urllib.parse
import urllib.request
import warnings

import anyio
from person import Person
from talk import Facts, ensure, scenario

CACHE_SECONDS = 1
REVOCATION = {"oidc-provider": "/token/revocation", "django": "/revoke_token/"}


def ask(url: str, **fields: str) -> None:
    urllib.request.urlopen(url, urllib.parse.urlencode(fields).encode(), timeout=10).close()


async def main(sdk: str, issuer: str, server: str, place: str) -> None:
    kit = importlib.import_module(sdk)
    mode = "legacy" if sdk == "sdk1" else "auto"
    origins = json.loads(place)
    url = f"{origins['gateway']}/{server}/mcp"

    async def login(facts: Facts) -> None:
        person = Person("alice")
        async with kit.connect(url, mode, person.provider(url)) as peer:
            facts["tools"] = [tool["name"] for tool in await peer.tools()]
            ensure(facts["tools"] == ["echo"], f"{facts['tools']}")
            answer = await peer.call("echo", {"message": "I am in"})
            ensure(answer == "Echo: I am in", answer)
        ensure(person.requests[0]["resource"] == url, f"a token was asked for {person.requests[0]['resource']}")

    async def further_scope(url: str, logins: int) -> None:
        person = Person("bob")
        async with kit.connect(url, mode, person.provider(url)) as peer:
            answer = await peer.call("get-env")
            ensure("PATH" in answer, answer)
        ensure(len(person.requests) == logins, f"{len(person.requests)} logins")

    async def step_up(_: Facts) -> None:
        await further_scope(url, 2)

    async def all_at_once(_: Facts) -> None:
        await further_scope(f"{origins['gateway']}/all-scopes/mcp", 1)

    async def revoked(_: Facts) -> None:
        person = Person("alice")
        async with kit.connect(url, mode, person.provider(url)) as peer:
            await peer.call("echo", {"message": "before"})
            token = person.memory.tokens.access_token
            where = origins["issuer"] + REVOCATION[issuer]
            await anyio.to_thread.run_sync(lambda: ask(where, token=token, client_id=person.client_id))
            await anyio.sleep(CACHE_SECONDS + 1.1)
            answer = await peer.call("echo", {"message": "after"})
            ensure(answer == "Echo: after", answer)
            ensure(person.memory.tokens.access_token != token, "the same token")

    await scenario("registration, login, list, call", login)
    if issuer == "django":
        await scenario("step-up: a tool that needs a further scope", step_up)
    else:
        await scenario("a further scope comes with the first login, where the challenge names all", all_at_once)
    if server == "opaque":
        await scenario("a token that the issuer revokes", revoked)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    anyio.run(main, *sys.argv[1:])
