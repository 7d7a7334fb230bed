"""openai-agents: an agent with a scripted model, all defaults."""

import json
from contextlib import asynccontextmanager

from adapter import Agent, AgentStream, Script, main, raised, result
from agents import Agent as OpenAiAgent
from agents import Model, ModelResponse, Runner, Usage, set_tracing_disabled
from agents.mcp import MCPServerStreamableHttp
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText


class Scripted(Model):
    def __init__(self, calls):
        self.script = Script(calls)
        self.seen = []

    async def get_response(self, system_instructions, input, *_, **__):
        items = [item for item in input if isinstance(item, dict) and item.get("type") == "function_call_output"]
        self.seen = [item["output"] for item in items]
        call = self.script.next()
        if call:
            item = ResponseFunctionToolCall(
                type="function_call", call_id=call[0], name=call[1], arguments=json.dumps(call[2])
            )
        else:
            text = ResponseOutputText(type="output_text", text="done", annotations=[])
            item = ResponseOutputMessage(id="1", type="message", role="assistant", status="completed", content=[text])
        return ModelResponse(output=[item], usage=Usage(), response_id=None)

    def stream_response(self, *_, **__):
        raise NotImplementedError


def as_read(output):
    if isinstance(output, list) and len(output) == 1 and "text" in output[0]:
        output = output[0]["text"]
    return result(output)


class OpenAiAgents(Agent):
    def __init__(self, server):
        self.server = server

    async def tools(self):
        return [tool.name for tool in await self.server.list_tools()]

    async def run(self, calls):
        model = Scripted(calls)
        try:
            await Runner.run(OpenAiAgent(name="it", model=model, mcp_servers=[self.server]), "go")
        except Exception as error:
            return [*map(as_read, model.seen), raised(error)]
        return [*map(as_read, model.seen)]


@asynccontextmanager
async def connect(url, headers) -> AgentStream:
    set_tracing_disabled(True)
    async with MCPServerStreamableHttp(params={"url": url, "headers": headers}, cache_tools_list=True) as server:
        yield OpenAiAgents(server)


main(connect)
