"""A client made of the Python SDK 1.x, which speaks legacy revisions only."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from mcp import ClientSession, types
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client


class Peer:
    """One connected client."""

    def __init__(self, session: ClientSession, headers: dict[str, str], heard: list[Any]) -> None:
        self.session = session
        self.headers = headers
        self.heard = heard
        self.facts: dict[str, Any] = {}

    async def tools(self) -> list[dict[str, Any]]:
        return [tool.model_dump(mode="json", by_alias=True) for tool in (await self.session.list_tools()).tools]

    async def call(self, name: str, arguments: dict[str, Any] | None = None, progress: Callable | None = None) -> str:
        result = await self.session.call_tool(name, arguments or {}, progress_callback=progress)
        text = "\n".join(item.text for item in result.content if item.type == "text")
        return f"error: {text}" if result.isError else text

    async def call_and_cancel(self, name: str, arguments: dict[str, Any]) -> None:
        """Leaves a running call. This SDK tells nobody when a caller gives up, so the caller has to."""
        began = anyio.Event()

        async def progress(*_: Any) -> None:
            began.set()

        async with anyio.create_task_group() as tasks:
            request_id = self.session._request_id
            tasks.start_soon(self.call, name, arguments, progress)
            await began.wait()
            params = types.CancelledNotificationParams(requestId=request_id, reason="enough")
            await self.session.send_notification(types.ClientNotification(types.CancelledNotification(params=params)))
            tasks.cancel_scope.cancel()

    async def prompts(self) -> list[str]:
        return [prompt.name for prompt in (await self.session.list_prompts()).prompts]

    async def resources(self) -> list[str]:
        return [str(resource.uri) for resource in (await self.session.list_resources()).resources]

    async def read_resource(self, uri: str) -> str:
        return (await self.session.read_resource(types.AnyUrl(uri))).contents[0].text

    async def get_prompt(self, name: str, arguments: dict[str, str]) -> str:
        return (await self.session.get_prompt(name, arguments)).messages[0].content.text


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

    async def elicit(_: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        return types.ElicitResult(action="accept", content={"name": "Ada"})

    async def roots(_: Any) -> types.ListRootsResult:
        return types.ListRootsResult(roots=[types.Root(uri="file:///interop/root", name="root")])

    async def logged(params: types.LoggingMessageNotificationParams) -> None:
        heard.append(("log", params.level))

    async with (
        create_mcp_http_client(auth=auth) as http_client,
        streamable_http_client(url, http_client=http_client) as (read, write, _),
        ClientSession(
            read,
            write,
            sampling_callback=sample,
            elicitation_callback=elicit,
            list_roots_callback=roots,
            logging_callback=logged,
        ) as session,
    ):
        http_client.event_hooks["response"].append(remember)
        peer = Peer(session, headers, heard)
        result = await session.initialize()
        peer.facts = {"server": result.serverInfo.name, "revision": result.protocolVersion}
        yield peer
