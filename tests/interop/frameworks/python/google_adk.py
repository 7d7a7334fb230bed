"""google-adk: an agent with a scripted model, all defaults."""

from contextlib import asynccontextmanager

from adapter import Agent, AgentStream, Script, main, raised, result, texts
from google.adk.agents import LlmAgent
from google.adk.models import BaseLlm, LlmResponse
from google.adk.runners import InMemoryRunner
from google.adk.tools.mcp_tool import McpToolset, StreamableHTTPConnectionParams
from google.genai import types


class Scripted(BaseLlm):
    script: object
    seen: list

    async def generate_content_async(self, llm_request, stream=False):
        parts = [part for content in llm_request.contents for part in content.parts or []]
        self.seen[:] = [part.function_response.response for part in parts if part.function_response]
        call = self.script.next()
        part = (
            types.Part(function_call=types.FunctionCall(id=call[0], name=call[1], args=call[2]))
            if call
            else types.Part(text="done")
        )
        yield LlmResponse(content=types.Content(role="model", parts=[part]))


def as_read(response):
    if "content" in response:
        return result(texts(response["content"]), bool(response.get("isError") or response.get("is_error")))
    return result(response, "error" in response)


class Adk(Agent):
    def __init__(self, toolset):
        self.toolset = toolset

    async def tools(self):
        return [tool.name for tool in await self.toolset.get_tools()]

    async def run(self, calls):
        model = Scripted(model="scripted", script=Script(calls), seen=[])
        agent = LlmAgent(name="it", model=model, tools=[self.toolset])
        runner = InMemoryRunner(agent=agent, app_name="matrix")
        session = await runner.session_service.create_session(app_name="matrix", user_id="me")
        message = types.Content(role="user", parts=[types.Part(text="go")])
        try:
            async for _ in runner.run_async(user_id="me", session_id=session.id, new_message=message):
                pass
        except Exception as error:
            return [*map(as_read, model.seen), raised(error)]
        return [*map(as_read, model.seen)]


@asynccontextmanager
async def connect(url, headers) -> AgentStream:
    toolset = McpToolset(connection_params=StreamableHTTPConnectionParams(url=url, headers=headers))
    try:
        await toolset.get_tools()
        yield Adk(toolset)
    finally:
        await toolset.close()


main(connect)
