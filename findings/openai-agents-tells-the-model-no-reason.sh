#!/usr/bin/env bash
# openai-agents 0.24.0: where an MCP server answers tools/call with a JSON-RPC error, the model does not read its message.
#
# One would expect: the model reads "An error occurred while running the tool. Please try again. Error: " and the
# message, as older releases had it. It reads the first two sentences and no reason, so it is asked to
# repeat a call that was refused for good. The same refusal as a result with isError reaches it word for word.
#
# Seen:
#   openai-agents 0.24.0
#   JSON-RPC error: An error occurred while running the tool. Please try again.
#   isError result: this account may not delete
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check openai-agents==0.24.0 mcp==2.3.0

cat >"$folder/server.py" <<'PYTHON'
"""An MCP server in a dozen lines: `hard` is refused with a JSON-RPC error, `soft` with a result."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REASON = "this account may not delete"
TOOLS = [{"name": name, "inputSchema": {"type": "object"}} for name in ("hard", "soft")]


class Server(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        answer = {"jsonrpc": "2.0", "id": asked.get("id")}
        match asked["method"], asked.get("params", {}).get("name"):
            case "initialize", _:
                answer["result"] = {
                    "protocolVersion": "2025-11-25",
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "stub", "version": "1"},
                }
            case "tools/list", _:
                answer["result"] = {"tools": TOOLS}
            case "tools/call", "soft":
                answer["result"] = {"content": [{"type": "text", "text": REASON}], "isError": True}
            case "tools/call", "hard":
                answer["error"] = {"code": -32602, "message": REASON}
            case _:
                answer["error"] = {"code": -32601, "message": "Method not found"}
        body = json.dumps(answer).encode() if "id" in asked else b""
        self.send_response(200 if body else 202)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.send_response(405)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def start():
    import threading

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/mcp"
PYTHON

cat >"$folder/agent.py" <<'PYTHON'
import asyncio
import logging
from importlib.metadata import version

import server
from agents import Agent, Model, ModelResponse, Runner, Usage, set_tracing_disabled
from agents.mcp import MCPServerStreamableHttp
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

logging.disable(logging.CRITICAL)
set_tracing_disabled(True)
calls = ["hard", "soft"]
read = {}


class Scripted(Model):
    """Calls both tools, one a turn, and keeps what it reads."""

    turn = 0

    async def get_response(self, system_instructions, input, *_, **__):
        answers = [item["output"] for item in input if isinstance(item, dict) and "output" in item]
        read.update(zip(calls, answers))
        if self.turn == len(calls):
            text = ResponseOutputText(type="output_text", text="done", annotations=[])
            item = ResponseOutputMessage(id="1", type="message", role="assistant", status="completed", content=[text])
        else:
            name = calls[self.turn]
            item = ResponseFunctionToolCall(type="function_call", call_id=name, name=name, arguments="{}")
            self.turn += 1
        return ModelResponse(output=[item], usage=Usage(), response_id=None)

    def stream_response(self, *_, **__):
        raise NotImplementedError


def text(answer):
    return answer[0]["text"] if isinstance(answer, list) else answer


async def main():
    async with MCPServerStreamableHttp(params={"url": server.start()}) as mcp:
        await Runner.run(Agent(name="it", model=Scripted(), mcp_servers=[mcp]), "go")
    print("openai-agents", version("openai-agents"))
    print("JSON-RPC error:", text(read["hard"]))
    print("isError result:", text(read["soft"]))
    assert text(read["hard"]) == "An error occurred while running the tool. Please try again.", "it has changed"
    assert server.REASON in text(read["soft"]), "it has changed"


asyncio.run(main())
PYTHON

cd "$folder"
timeout 120 "$folder/venv/bin/python" agent.py
