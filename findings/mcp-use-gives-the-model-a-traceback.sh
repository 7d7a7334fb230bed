#!/usr/bin/env bash
# mcp-use 1.7.1: the tools that it makes for LangChain answer a failed call with the Python traceback of the application.
#
# One would expect: the model reads the text of the result that has isError, as langchain-mcp-adapters hands it
# over, in a message whose status is "error". It reads a dict of error, details, stack and more, in
# a message whose status is "success". The stack names files of the application's host.
#
# Seen:
#   mcp-use 1.7.1
#   status: success
#   keys: ['code', 'details', 'error', 'stack', 'tool', 'tool_content']
#   details: three rows kept
#   stack: Traceback (most recent call last): ... site-packages/mcp_use/agents/adapters/langchain_adapter.py ...
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check mcp-use==1.7.1 mcp==1.30.0

cat >"$folder/agent.py" <<'PYTHON'
import asyncio
import json
import logging
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

os.environ["MCP_USE_ANONYMIZED_TELEMETRY"] = "false"

from mcp_use import MCPClient
from mcp_use.agents.adapters.langchain_adapter import LangChainAdapter

logging.disable(logging.CRITICAL)
INITIALIZED = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "stub", "version": "1"},
}
ANSWERS = {
    "initialize": INITIALIZED,
    "ping": {},
    "tools/list": {"tools": [{"name": "delete", "inputSchema": {"type": "object", "properties": {}}}]},
    "tools/call": {"content": [{"type": "text", "text": "three rows kept"}], "isError": True},
}


class Server(BaseHTTPRequestHandler):
    """An MCP server whose only tool fails."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        answer = {"jsonrpc": "2.0", "id": asked.get("id")}
        if asked["method"] in ANSWERS:
            answer["result"] = ANSWERS[asked["method"]]
        else:
            answer["error"] = {"code": -32601, "message": "Method not found"}
        self.answer(200 if "id" in asked else 202, json.dumps(answer).encode() if "id" in asked else b"")

    def do_GET(self):
        self.answer(405, b"")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


async def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/mcp"
    client = MCPClient.from_dict({"mcpServers": {"it": {"url": url}}})
    await client.create_session("it")
    [tool] = [tool for tool in await LangChainAdapter().create_tools(client) if tool.name == "delete"]
    message = await tool.ainvoke({"type": "tool_call", "id": "1", "name": "delete", "args": {}})
    await client.close_all_sessions()
    read = json.loads(message.content)
    print("mcp-use", version("mcp-use"))
    print("status:", message.status)
    print("keys:", sorted(read))
    print("details:", read["details"])
    print("stack:", " ".join(read["stack"].split())[:200])
    assert message.status == "success", "it has changed"
    assert "site-packages/mcp_use" in read["stack"], "it has changed"


asyncio.run(main())
PYTHON

cd "$folder"
timeout 120 "$folder/venv/bin/python" agent.py
