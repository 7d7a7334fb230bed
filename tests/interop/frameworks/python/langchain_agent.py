"""langchain-mcp-adapters: the tools that an agent of LangChain gets, over one session."""

from contextlib import asynccontextmanager

from adapter import Agent, AgentStream, main, result, texts
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools


class LangChain(Agent):
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
    client = MultiServerMCPClient({"it": {"transport": "streamable_http", "url": url, "headers": headers}})
    async with client.session("it") as session:
        yield LangChain(await load_mcp_tools(session))


main(connect)
