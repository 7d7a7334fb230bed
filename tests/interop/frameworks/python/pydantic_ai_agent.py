"""pydantic-ai: an agent with a scripted model, all defaults."""

from contextlib import asynccontextmanager

from adapter import Agent, AgentStream, Script, main, raised, result
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import ModelResponse, RetryPromptPart, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import FunctionModel


def as_read(part):
    if isinstance(part, RetryPromptPart):
        return result(part.model_response(), is_error=True)
    return result(part.content, is_error=part.outcome != "success")


class PydanticAi(Agent):
    def __init__(self, toolset):
        self.toolset = toolset

    async def tools(self):
        return [tool.name for tool in await self.toolset.list_tools()]

    async def run(self, calls):
        script = Script(calls)
        seen = []

        def model(messages, _):
            seen[:] = [
                as_read(part)
                for message in messages
                for part in message.parts
                if isinstance(part, ToolReturnPart | RetryPromptPart)
            ]
            call = script.next()
            part = ToolCallPart(tool_name=call[1], args=call[2], tool_call_id=call[0]) if call else TextPart("done")
            return ModelResponse(parts=[part])

        try:
            await PydanticAgent(FunctionModel(model), toolsets=[self.toolset]).run("go")
        except Exception as error:
            return [*seen, raised(error)]
        return seen


@asynccontextmanager
async def connect(url, headers) -> AgentStream:
    async with MCPToolset(url, headers=headers) as toolset:
        yield PydanticAi(toolset)


main(connect)
