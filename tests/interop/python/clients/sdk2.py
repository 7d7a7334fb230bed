"""A client made of the Python SDK 2.x: legacy revisions by the handshake, 2026-07-28 by discovery."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import mcp_types as types
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client


class Peer:
    """One connected client."""

    def __init__(self, client: Client, headers: dict[str, str], heard: list[Any]) -> None:
        self.client = client
        self.headers = headers
        self.heard = heard
        server = client.server_info
        self.facts = {"server": server.name if server else None, "revision": client.protocol_version}

    async def tools(self) -> list[dict[str, Any]]:
        return [tool.model_dump(mode="json", by_alias=True) for tool in (await self.client.list_tools()).tools]

    async def call(self, name: str, arguments: dict[str, Any] | None = None, progress: Callable | None = None) -> str:
        result = await self.client.call_tool(name, arguments or {}, progress_callback=progress)
        text = "\n".join(item.text for item in result.content if item.type == "text")
        return f"error: {text}" if result.is_error else text

    async def call_and_cancel(self, name: str, arguments: dict[str, Any]) -> None:
        """Leaves a running call; the SDK tells the server, by a notification or by closing the stream."""
        began = anyio.Event()

        async def progress(*_: Any) -> None:
            began.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.call, name, arguments, progress)
            await began.wait()
            tasks.cancel_scope.cancel()

    async def prompts(self) -> list[str]:
        return [prompt.name for prompt in (await self.client.list_prompts()).prompts]

    async def resources(self) -> list[str]:
        return [str(resource.uri) for resource in (await self.client.list_resources()).resources]

    async def read_resource(self, uri: str) -> str:
        return (await self.client.read_resource(uri)).contents[0].text

    async def get_prompt(self, name: str, arguments: dict[str, str]) -> str:
        return (await self.client.get_prompt(name, arguments)).messages[0].content.text


@asynccontextmanager
async def connect(url: str, mode: str, auth: Any = None) -> AsyncIterator[Peer]:
    headers: dict[str, str] = {}
    heard: list[Any] = []

    async def remember(response: Any) -> None:
        if "mcp-session-id" in response.headers:
            headers["mcp-session-id"] = response.headers["mcp-session-id"]

    async def sample(_: Any, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
        content = types.TextContent(type="text", text=f"sampled: {params.messages[0].content.text}")
        return types.CreateMessageResult(role="assistant", content=content, model="none")

    async def elicit(_: Any, params: Any) -> types.ElicitResult:
        return types.ElicitResult(action="accept", content={"name": "Ada"})

    async def roots(_: Any) -> types.ListRootsResult:
        return types.ListRootsResult(roots=[types.Root(uri="file:///interop/root", name="root")])

    async def logged(params: types.LoggingMessageNotificationParams) -> None:
        heard.append(("log", params.level))

    async with create_mcp_http_client(auth=auth) as http_client:
        http_client.event_hooks["response"].append(remember)
        client = Client(
            streamable_http_client(url, http_client=http_client),
            mode=mode,
            sampling_callback=sample,
            elicitation_callback=elicit,
            list_roots_callback=roots,
            logging_callback=logged,
        )
        async with client:
            yield Peer(client, headers, heard)
