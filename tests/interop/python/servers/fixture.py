"""A server on the Python SDK 2.x, as its users write one: modern requests and legacy sessions at one URL.

Listens on 127.0.0.1, at the port named by the environment variable PORT.
"""

import os
from typing import Annotated

import anyio
import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resolve import Elicit, ListRoots, Resolve, Sample
from mcp_types import CreateMessageResult, ListRootsResult, SamplingMessage, TextContent
from pydantic import BaseModel

server = MCPServer("ringgate-interop-python", version="1.0.0", instructions="Talk to me through a gateway.")

fates: dict[str, str] = {}
"""What became of slow calls, by the ticket that the caller gave."""


@server.tool()
def echo(message: str) -> str:
    """Returns the message."""
    return message


@server.tool()
async def count_slowly(ctx: Context, ticket: str, steps: int = 5, step_ms: int = 200) -> str:
    """Counts with a report of progress at every step; its fate can be asked for."""
    fates[ticket] = "running"
    try:
        for step in range(1, steps + 1):
            await anyio.sleep(step_ms / 1000)
            await ctx.report_progress(step, steps)
    except anyio.get_cancelled_exc_class():
        fates[ticket] = "cancelled"
        raise
    fates[ticket] = "finished"
    return f"counted to {steps}"


@server.tool()
def fate_of(ticket: str) -> str:
    """Tells what became of a slow call."""
    return fates.get(ticket, "unknown")


@server.tool()
def fail() -> str:
    """Always fails."""
    raise ValueError("this tool fails on purpose")


class Booking(BaseModel):
    name: str
    seats: int = 2


def ask_booking() -> Elicit[Booking]:
    return Elicit("Who books?", Booking)


@server.tool()
def book(booking: Annotated[Booking, Resolve(ask_booking)]) -> str:
    """Asks the user, by whichever way the revision has: a server-to-client request or an input_required result."""
    return f"{booking.seats} seats for {booking.name}"


def ask_model(prompt: str) -> Sample:
    return Sample([SamplingMessage(role="user", content=TextContent(type="text", text=prompt))], max_tokens=17)


@server.tool()
def ponder(prompt: str, answer: Annotated[CreateMessageResult, Resolve(ask_model)]) -> str:
    """Asks the client's model."""
    return f"the model said: {answer.content.text}"


def ask_roots() -> ListRoots:
    return ListRoots()


@server.tool()
def list_client_roots(answer: Annotated[ListRootsResult, Resolve(ask_roots)]) -> str:
    """Asks for the client's roots."""
    return ", ".join(str(root.uri) for root in answer.roots)


@server.tool()
async def touch(ctx: Context, uri: str) -> str:
    """Tells the listeners that a resource has changed."""
    await ctx.notify_resource_updated(uri)
    return "touched"


@server.resource("fixture://greeting")
def greeting() -> str:
    """A fixed text."""
    return "Good day."


@server.prompt()
def introduce(name: str) -> str:
    """A prompt with one argument."""
    return f"Introduce {name}."


if __name__ == "__main__":
    uvicorn.run(server.streamable_http_app(), host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
