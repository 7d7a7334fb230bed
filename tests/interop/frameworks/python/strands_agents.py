"""strands-agents: the answers that its agents give to the model, all defaults."""

import asyncio
from contextlib import asynccontextmanager

from adapter import Agent, AgentStream, main, result, texts
from strands.tools.mcp import MCPClient


class Strands(Agent):
    def __init__(self, client):
        self.client = client

    async def tools(self):
        return [tool.tool_name for tool in await asyncio.to_thread(self.client.list_tools_sync)]

    async def call(self, name, arguments):
        answer = await self.client.call_tool_async("1", name, arguments)
        return result(texts(answer["content"]), answer["status"] == "error")


@asynccontextmanager
async def connect(url, headers) -> AgentStream:
    client = MCPClient(url=url, headers=headers)
    await asyncio.to_thread(client.start)
    try:
        yield Strands(client)
    finally:
        await asyncio.to_thread(client.stop, None, None, None)


main(connect)
