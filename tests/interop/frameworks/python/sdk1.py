"""The official Python SDK 1.x as an application uses it."""

from contextlib import asynccontextmanager

from adapter import Agent, AgentStream, main, result, texts
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client


class Sdk(Agent):
    def __init__(self, session):
        self.session = session

    async def tools(self):
        return [tool.name for tool in (await self.session.list_tools()).tools]

    async def call(self, name, arguments):
        answer = await self.session.call_tool(name, arguments)
        return result(texts(answer.content), answer.isError)


@asynccontextmanager
async def connect(url, headers) -> AgentStream:
    async with (
        create_mcp_http_client(headers=headers) as http,
        streamable_http_client(url, http_client=http) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        yield Sdk(session)


main(connect)
