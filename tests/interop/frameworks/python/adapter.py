"""Lets the matrix drive a framework: a JSON command a line on standard input, an answer a line on standard output.

    connect URL, HEADERS     tools     run CALLS     volley COUNT     leave CALL, SECONDS     close

A framework brings `connect(url, headers)`, an async context manager that yields an `Agent`.
Answers begin with `@@ `, since frameworks print too.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

Outcome = dict[str, str]
"""How a call ended: `{"result"|"error"|"raised": text}`. A result or an error is read by the model; what is raised
ends the run, unless the application catches it."""

ENDING_SECONDS = 1.5
"""A call may still end by itself when its connection has."""


class Agent:
    """One connection of a framework."""

    async def tools(self) -> list[str]:
        raise NotImplementedError

    async def call(self, name: str, arguments: dict[str, Any]) -> Outcome:
        """Raises what the framework raises out of the run."""
        raise NotImplementedError

    async def run(self, calls: list[Any]) -> list[Outcome]:
        """One run of an agent whose model makes these calls, one after another. Nothing follows an exception."""
        seen = []
        for name, arguments in calls:
            try:
                seen.append(await self.call(name, arguments))
            except Exception as error:
                return [*seen, raised(error)]
        return seen


def raised(error: BaseException) -> Outcome:
    return {"raised": told(error)}


def told(error: BaseException) -> str:
    """The first error within groups: what an application would look at."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


def result(text: Any, is_error: bool = False) -> Outcome:
    return {"error" if is_error else "result": text if isinstance(text, str) else json.dumps(text, default=str)}


def texts(content: list[Any]) -> str:
    """The texts of content blocks, as objects or as dicts."""
    found = [item.get("text") if isinstance(item, dict) else getattr(item, "text", None) for item in content]
    return "\n".join(text for text in found if text is not None)


Connect = Callable[[str, dict[str, str]], AbstractAsyncContextManager[Agent]]


class Connection:
    """Opens and closes a framework's client in one task, as task groups demand."""

    def __init__(self, connect: Connect, url: str, headers: dict[str, str]) -> None:
        self.ready: asyncio.Future[Agent] = asyncio.get_running_loop().create_future()
        self.closing = asyncio.Event()
        self.keeper = asyncio.create_task(self.keep(connect, url, headers))

    async def keep(self, connect: Connect, url: str, headers: dict[str, str]) -> None:
        try:
            async with connect(url, headers) as agent:
                self.ready.set_result(agent)
                await self.closing.wait()
        except BaseException as error:
            if not self.ready.done():
                self.ready.set_exception(RuntimeError(told(error)))
                return
            raise

    async def perform(self, work: Awaitable[Any]) -> Any:
        """The answer of `work`, or how the client ended meanwhile."""
        task = asyncio.ensure_future(work)
        await asyncio.wait({task, self.keeper}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            await asyncio.wait({task}, timeout=ENDING_SECONDS)
        if task.done():
            return task.result()
        task.cancel()
        error = self.keeper.cancelled() or self.keeper.exception()
        return [{"client ended": told(error) if isinstance(error, BaseException) else "without a word"}]

    async def close(self) -> str:
        self.closing.set()
        await asyncio.wait({self.keeper}, timeout=5)
        if not self.keeper.done():
            return "does not end"
        error = None if self.keeper.cancelled() else self.keeper.exception()
        return told(error) if error else "closed"


class Driver:
    def __init__(self, connect: Connect) -> None:
        self.connect = connect
        self.connection: Connection | None = None

    async def obey(self, command: dict[str, Any]) -> Any:
        match command.pop("do"):
            case "connect":
                self.connection = Connection(self.connect, command["url"], command["headers"])
                try:
                    await self.connection.ready
                except RuntimeError as error:
                    return {"raised": str(error)}
                return "connected"
            case "tools":
                return await self.perform(lambda agent: agent.tools())
            case "run":
                return await self.perform(lambda agent: agent.run(command["calls"]))
            case "volley":
                calls = [[["echo", {"message": f"{n}"}]] for n in range(command["count"])]
                return await self.perform(lambda agent: asyncio.gather(*[agent.run(call) for call in calls]))
            case "leave":
                return await self.perform(lambda agent: leave(agent, command["call"], command["seconds"]))
            case "close":
                return await self.connection.close()

    async def perform(self, work: Callable[[Agent], Awaitable[Any]]) -> Any:
        try:
            return await self.connection.perform(work(self.connection.ready.result()))
        except Exception as error:
            return [raised(error)]


async def leave(agent: Agent, call: Any, seconds: float) -> str:
    """Cancels a call, as an application does that waits no longer."""
    task = asyncio.create_task(agent.run([call]))
    await asyncio.sleep(seconds)
    if task.done():
        return f"ended before: {task.result()}"
    task.cancel()
    await asyncio.wait({task}, timeout=3)
    return "left" if task.done() else "cannot be left"


async def serve(connect: Connect) -> None:
    driver = Driver(connect)
    loop = asyncio.get_running_loop()
    # Errors of background tasks are what the scenes are about; they are seen by their effects.
    loop.set_exception_handler(lambda *_: None)
    print("@@ " + json.dumps("ready"), flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        answer = await driver.obey(json.loads(line))
        print("@@ " + json.dumps(answer), flush=True)


def main(connect: Connect) -> None:
    asyncio.run(serve(connect))


class Script:
    """A model that makes the calls given, one a turn, and then says that it is done."""

    def __init__(self, calls: list[Any]) -> None:
        self.calls = list(calls)
        self.made = 0

    def next(self) -> tuple[str, str, dict[str, Any]] | None:
        """Id, tool and arguments of the next call."""
        if self.made == len(self.calls):
            return None
        name, arguments = self.calls[self.made]
        self.made += 1
        return f"call-{self.made}", name, arguments


AgentStream = AsyncIterator[Agent]
