"""The client of FastMCP."""

from contextlib import asynccontextmanager

from adapter import Agent, AgentStream, main, result, texts
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport


class FastMcp(Agent):
    def __init__(self, client):
        self.client = client

    async def tools(self):
        return [tool.name for tool in await self.client.list_tools()]

    async def call(self, name, arguments):
        answer = await self.client.call_tool(name, arguments, raise_on_error=False)
        return result(texts(answer.content), answer.is_error)


@asynccontextmanager
async def connect(url, headers) -> AgentStream:
    async with Client(StreamableHttpTransport(url, headers=headers)) as client:
        yield FastMcp(client)


main(connect)
