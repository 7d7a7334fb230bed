#!/usr/bin/env bash
# @ai-sdk/mcp 2.0.99 with ai 7.0.173: an MCP tool result with isError reaches the model as a result like any other.
#
# One would expect: the result has the type "error-text" in the model's prompt, as an exception of a tool has. But
# its type is "content", the same as that of a result without isError, and nothing in the prompt says that it
# failed. Only the words can tell the model; a JSON-RPC error, on the other hand, does become "error-text".
#
# Seen:
#   @ai-sdk/mcp 2.0.99, ai 7.0.173
#   well: content [{"type":"text","text":"three rows deleted"}]
#   soft: content [{"type":"text","text":"three rows kept"}]
#   hard: error-text MCPClientError: three rows kept
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --silent --ignore-scripts --no-audit --no-fund @ai-sdk/mcp@2.0.99 ai@7.0.173

cat >agent.mjs <<'JAVASCRIPT'
import { createMCPClient } from "@ai-sdk/mcp";
import { generateText, isStepCount } from "ai";
import { MockLanguageModelV4 } from "ai/test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const names = ["well", "soft", "hard"];
const content = (text) => [{ type: "text", text }];
const ANSWERS = {
  initialize: () => ({
    result: { protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo: { name: "stub", version: "1" } },
  }),
  "tools/list": () => ({ result: { tools: names.map((name) => ({ name, inputSchema: { type: "object" } })) } }),
  "tools/call": ({ name }) =>
    ({
      well: { result: { content: content("three rows deleted") } },
      soft: { result: { content: content("three rows kept"), isError: true } },
      hard: { error: { code: -32602, message: "three rows kept" } },
    })[name],
};

/** An MCP server: `well` succeeds, `soft` fails with isError, `hard` with a JSON-RPC error. */
const server = createServer(async (request, response) => {
  if (request.method !== "POST") return response.writeHead(405).end();
  let body = "";
  for await (const chunk of request) body += chunk;
  const { id, method, params } = JSON.parse(body);
  if (id === undefined) return response.writeHead(202).end();
  const answer = ANSWERS[method]?.(params) ?? { error: { code: -32601, message: "Method not found" } };
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify({ jsonrpc: "2.0", id, ...answer }));
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));

const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
};
const turn = (content, unified) => ({ content, finishReason: { unified, raw: undefined }, usage, warnings: [] });
const call = (toolName) => ({ type: "tool-call", toolCallId: toolName, toolName, input: "{}" });
const turns = [turn(names.map(call), "tool-calls"), turn([{ type: "text", text: "done" }], "stop")];
const model = new MockLanguageModelV4({ doGenerate: async () => turns.shift() });

const url = `http://127.0.0.1:${server.address().port}/mcp`;
const client = await createMCPClient({ transport: { type: "http", url } });
await generateText({ model, tools: await client.tools(), prompt: "go", stopWhen: isStepCount(2) });

const version = (name) => JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8")).version;
console.log(`@ai-sdk/mcp ${version("@ai-sdk/mcp")}, ai ${version("ai")}`);
const read = {};
for (const { toolName, output } of model.doGenerateCalls[1].prompt.at(-1).content) {
  read[toolName] = output;
  console.log(`${toolName}: ${output.type}`, typeof output.value === "string" ? output.value : JSON.stringify(output.value));
}
assert.equal(read.well.type, "content");
assert.equal(read.soft.type, "content");
assert.ok(!JSON.stringify(read.soft).toLowerCase().includes("error"));
assert.equal(read.hard.type, "error-text");
process.exit(0);
JAVASCRIPT

timeout 60 node agent.mjs
