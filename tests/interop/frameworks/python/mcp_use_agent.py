"""mcp-use: the tools that its agents get, all defaults."""

import os

os.environ["MCP_USE_ANONYMIZED_TELEMETRY"] = "false"

from contextlib import asynccontextmanager

from adapter import Agent, AgentStream, main, result, texts
from mcp_use import MCPClient
from mcp_use.agents.adapters.langchain_adapter import LangChainAdapter


class McpUse(Agent):
    def __init__(self, tools):
        self.by_name = {tool.name: tool for tool in tools}

    async def tools(self):
        return list(self.by_name)

    async def call(self, name, arguments):
        call = {"type": "tool_call", "id": "1", "name": name, "args": arguments}
        message = await self.by_name[name].ainvoke(call)
        content = message.content
        return result(content if isinstance(content, str) else texts(content), message.status == "error")


@asynccontextmanager
async def connect(url, headers) -> AgentStream:
    client = MCPClient.from_dict({"mcpServers": {"it": {"url": url, "headers": headers}}})
    try:
        await client.create_session("it")
        yield McpUse(await LangChainAdapter().create_tools(client))
    finally:
        await client.close_all_sessions()


main(connect)
