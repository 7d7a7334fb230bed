"""The official Python SDK 2.x as an application uses it."""

from contextlib import asynccontextmanager

from adapter import Agent, AgentStream, main, result, texts
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client


class Sdk(Agent):
    def __init__(self, client):
        self.client = client

    async def tools(self):
        return [tool.name for tool in (await self.client.list_tools()).tools]

    async def call(self, name, arguments):
        answer = await self.client.call_tool(name, arguments)
        return result(texts(answer.content), answer.is_error)


@asynccontextmanager
async def connect(url, headers) -> AgentStream:
    async with create_mcp_http_client(headers=headers) as http, Client(
        streamable_http_client(url, http_client=http)
    ) as client:
        yield Sdk(client)


main(connect)
