"""The scenes of the matrix. Each returns facts: what the framework's caller, or its model, gets to see."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.matrix_client import Client
from harness.matrix_site import LONG, Gateway

NO_END = "no end"
"""Of a call that is still waiting when the scene gives up."""

CALLS_AT_ONCE = 10
SETTLE_SECONDS = 1.5
"""By then a client that ends its session has done so."""

LIFE_SECONDS = 3
"""Of a server that dies: by then the call has reported progress."""

RETRIES_MAX = 6
"""With a second between them: longer than a cancelled call may keep its place."""


@dataclass(frozen=True)
class Scene:
    name: str
    about: str
    play: Callable[[Gateway, Client], dict[str, Any]]
    prepare: Callable[[dict[str, Any]], None] = lambda _: None
    """Changes the gateway's configuration before it starts."""


def echo(message: str) -> list[Any]:
    return ["echo", {"message": message}]


def run(client: Client, *calls: list[Any]) -> Any:
    seen = client.ask("run", calls=list(calls))
    return NO_END if seen is None else seen


def connect(gateway: Gateway, client: Client, headers: dict[str, str] | None = None) -> Any:
    return client.ask("connect", url=gateway.url, headers=gateway.headers() if headers is None else headers) or NO_END


def load(gateway: Gateway, client: Client) -> dict[str, Any]:
    connected = connect(gateway, client)
    tools = client.ask("tools")
    return {"connect": connected, "tools": sorted(tools) if isinstance(tools, list) else tools}


def call(gateway: Gateway, client: Client) -> dict[str, Any]:
    connect(gateway, client)
    return {"seen": run(client, echo("hello"), ["get-sum", {"a": 2, "b": 3}])}


def sessions(gateway: Gateway, client: Client) -> dict[str, Any]:
    """Of one connection, as the server counts them."""
    before = gateway.upstream.sessions()
    connect(gateway, client)
    run(client, echo("hello"))
    client.ask("close")
    time.sleep(SETTLE_SECONDS)
    return {what: count - before[what] for what, count in gateway.upstream.sessions().items()}


def at_once(gateway: Gateway, client: Client) -> dict[str, Any]:
    connect(gateway, client)
    return {"seen": client.ask("volley", count=CALLS_AT_ONCE)}


def refused_twice(gateway: Gateway, client: Client) -> dict[str, Any]:
    """One call that passes, two that the limit refuses, one that passes again."""
    connect(gateway, client)
    seen = run(client, echo("1"), echo("2"), echo("3"), ["get-sum", {"a": 2, "b": 3}])
    return {"seen": seen, "next run": run(client, ["get-sum", {"a": 2, "b": 3}])}


def limit(deny_as: str | None) -> Callable[[dict[str, Any]], None]:
    def prepare(config: dict[str, Any]) -> None:
        told = {"deny_as": deny_as} if deny_as else {}
        limits = [{"name": "echoes", "tools": ["echo"], "key": ["agent"], "rate": "1/h", **told}]
        config["rate_limits"] = {"limits": limits}

    return prepare


def denied_call(gateway: Gateway, client: Client) -> dict[str, Any]:
    """The tool is in the list; a rule denies these arguments."""
    connect(gateway, client)
    seen = run(client, ["get-sum", {"a": 13, "b": 1}], echo("1"))
    return {"seen": seen, "next run": run(client, echo("2"))}


def rule(denied_as: str | None) -> Callable[[dict[str, Any]], None]:
    def prepare(config: dict[str, Any]) -> None:
        denied = {"name": "no thirteen", "effect": "deny", "tools": ["get-sum"], "arguments": {"a": 13}}
        rules = [denied, {"name": "all else", "effect": "allow"}]
        config["access"] = {"rules": rules, **({"denied_as": denied_as} if denied_as else {})}

    return prepare


def no_key(gateway: Gateway, client: Client) -> dict[str, Any]:
    return {"connect": connect(gateway, client, {})}


def key_gone(gateway: Gateway, client: Client) -> dict[str, Any]:
    connect(gateway, client)
    before = run(client, echo("1"))
    gateway.forget_key()
    return {"before": before, "after": run(client, echo("2"))}


def restarted(gateway: Gateway, client: Client) -> dict[str, Any]:
    connect(gateway, client)
    before = run(client, echo("1"))
    gateway.restart()
    return {"before": before, "after": run(client, echo("2"))}


def forgotten(gateway: Gateway, client: Client) -> dict[str, Any]:
    connect(gateway, client)
    before = run(client, echo("1"))
    gateway.restart(sessions_forgotten=True)
    after = run(client, echo("2"))
    later = run(client, echo("3")) if client.process else NO_END
    return {"before": before, "after": after, "next run": later}


def ended(gateway: Gateway, client: Client) -> dict[str, Any]:
    connect(gateway, client)
    return {"seen": run(client, [LONG, {"duration": 40, "steps": 40}], echo("1"))}


def broken(gateway: Gateway, client: Client) -> dict[str, Any]:
    """The server dies while it streams the answer of a call."""
    connect(gateway, client)
    death = threading.Timer(LIFE_SECONDS, gateway.upstream.end)
    death.start()
    seen = run(client, [LONG, {"duration": 40, "steps": 40}])
    death.join()
    gateway.upstream.start()
    return {"seen": seen}


def call_timeout(config: dict[str, Any]) -> None:
    config["servers"][0]["timeouts"] = {"call": "2s"}


def cancelled(gateway: Gateway, client: Client) -> dict[str, Any]:
    """One call may be under way; after the cancelled one the next must get its place."""
    connect(gateway, client)
    left = client.ask("leave", call=[LONG, {"duration": 40, "steps": 40}], seconds=1.5)
    if left is None:
        return {"leave": NO_END}
    for _ in range(RETRIES_MAX):
        seen = run(client, [LONG, {"duration": 1, "steps": 1}])
        if "under way" not in str(seen):
            break
        time.sleep(1)
    return {"leave": left, "next": seen}


def one_at_a_time(config: dict[str, Any]) -> None:
    limits = [{"name": "one", "tools": [LONG], "unit": "in_flight", "key": ["agent"], "max": 1}]
    config["rate_limits"] = {"limits": limits}
    config["servers"][0]["timeouts"] = {"abandoned": "2s"}


SCENES = [
    Scene("load", "loads the list of tools", load),
    Scene("call", "calls two tools", call),
    Scene("ten", "ten calls at once", at_once),
    Scene("sessions", "sessions opened and ended", sessions),
    Scene("limit", "refused by a limit, twice in a row", refused_twice, limit(None)),
    Scene("limit-error", "the same with `deny_as: error`", refused_twice, limit("error")),
    Scene("denied", "a call that a rule denies", denied_call, rule(None)),
    Scene("denied-unknown", "the same with `denied_as: unknown`", denied_call, rule("unknown")),
    Scene("denied-forbidden", "the same with `denied_as: forbidden`", denied_call, rule("forbidden")),
    Scene("401", "connects without a credential", no_key),
    Scene("401-later", "the credential is good no longer", key_gone),
    Scene("restarted", "the gateway is restarted between calls", restarted),
    Scene("forgotten", "the gateway has forgotten the session", forgotten),
    Scene("ended", "the gateway ends the stream of a call (`timeouts.call`)", ended, call_timeout),
    Scene("broken", "the server dies while it streams the answer of a call", broken),
    Scene("cancelled", "a call is cancelled; there is one place (`in_flight`)", cancelled, one_at_a_time),
]
