// A server on the TypeScript SDK 1.x that works on a few calls at a time; how long it works on each can be changed
// while it runs: POST /takes with the milliseconds.   usage: PORT=... node busy.mjs
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { createMcpExpressApp } from "@modelcontextprotocol/sdk/server/express.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { setTimeout as sleep } from "node:timers/promises";

const PLACES = 8;
let takes_ms = 20;
let free = PLACES;
const waiting = [];

/** Works on a call, after those that came before it. */
async function work() {
  if (free > 0) free -= 1;
  else await new Promise((go) => waiting.push(go));
  await sleep(takes_ms);
  const next = waiting.shift();
  if (next) next();
  else free += 1;
  return { content: [{ type: "text", text: "done" }] };
}

/** Without sessions, each request has a server and a transport of its own. */
async function serve(request, response) {
  const server = new McpServer({ name: "ringgate-interop-busy", version: "1.0.0" });
  server.registerTool("work", {}, work);
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  response.on("close", () => void server.close());
  await server.connect(transport);
  await transport.handleRequest(request, response, request.body);
}

const app = createMcpExpressApp();
app.post("/mcp", (request, response, next) => serve(request, response).catch(next));
app.post("/takes", (request, response) => {
  takes_ms = request.body.milliseconds;
  response.json({ takes_ms, waiting: waiting.length });
});
app.all("/mcp", (_, response) => void response.status(405).end());
app.listen(Number(process.env.PORT), "127.0.0.1");
