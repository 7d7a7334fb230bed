// mcp-remote: the process that a client of stdio servers starts, here the TypeScript SDK 1.x.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { main, result, texts } from "./adapter.mjs";

const PROXY = fileURLToPath(new URL("node_modules/mcp-remote/dist/proxy.js", import.meta.url));
const CONNECT_MS_MAX = 10_000;

await main(async (url, headers) => {
  const client = new Client({ name: "matrix", version: "1.0.0" });
  const given = Object.entries(headers).flatMap(([name, value]) => ["--header", `${name}:${value}`]);
  const env = { ...process.env, MCP_REMOTE_CONFIG_DIR: mkdtempSync(join(tmpdir(), "mcp-remote-")), BROWSER: "true" };
  const args = [PROXY, url, ...given, "--allow-http", "--transport", "http-only"];
  const transport = new StdioClientTransport({ command: process.execPath, args, env, stderr: "ignore" });
  await client.connect(transport, { timeout: CONNECT_MS_MAX });
  return {
    tools: async () => (await client.listTools()).tools.map((tool) => tool.name),
    call: async (name, args, signal) => {
      const answer = await client.callTool({ name, arguments: args }, undefined, { signal });
      return result(texts(answer.content), answer.isError);
    },
    close: () => client.close(),
  };
});
