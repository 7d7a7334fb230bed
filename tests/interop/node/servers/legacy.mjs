// A session-keeping server of revision 2025-11-25 on the TypeScript SDK 1.x. It offers every tool, prompt and
// resource that the conformance scenarios name, and tools that tell what the server saw of a cancelled call.
import { randomUUID } from "node:crypto";
import { createMcpExpressApp } from "@modelcontextprotocol/sdk/server/express.js";
import { InMemoryEventStore } from "@modelcontextprotocol/sdk/examples/shared/inMemoryEventStore.js";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import * as mcp from "@modelcontextprotocol/sdk/types.js";
import { callTool, tools } from "./legacy_tools.mjs";
import { getPrompt, prompts, readResource, resources, templates } from "./legacy_texts.mjs";

function createServer() {
  const server = new Server(
    { name: "ringgate-interop-legacy", version: "1.0.0" },
    {
      capabilities: {
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        logging: {},
        completions: {},
      },
    },
  );
  server.setRequestHandler(mcp.ListToolsRequestSchema, () => ({ tools }));
  server.setRequestHandler(mcp.CallToolRequestSchema, callTool);
  server.setRequestHandler(mcp.ListPromptsRequestSchema, () => ({ prompts }));
  server.setRequestHandler(mcp.GetPromptRequestSchema, (request) => getPrompt(request.params));
  server.setRequestHandler(mcp.ListResourcesRequestSchema, () => ({ resources }));
  server.setRequestHandler(mcp.ListResourceTemplatesRequestSchema, () => ({ resourceTemplates: templates }));
  server.setRequestHandler(mcp.ReadResourceRequestSchema, (request) => readResource(request.params.uri));
  server.setRequestHandler(mcp.SubscribeRequestSchema, (request) => subscribe(server, request.params.uri));
  server.setRequestHandler(mcp.UnsubscribeRequestSchema, () => ({}));
  server.setRequestHandler(mcp.CompleteRequestSchema, (request) => complete(request.params.argument.value));
  return server;
}

/** A subscriber hears of a change at once, on the standalone stream: nobody has to wait for one. */
function subscribe(server, uri) {
  setTimeout(() => void server.sendResourceUpdated({ uri }).catch(() => {}), 100);
  return {};
}

function complete(typed) {
  const values = ["paris", "park", "party"].filter((word) => word.startsWith(typed));
  return { completion: { values, total: values.length, hasMore: false } };
}

const transports = new Map();

async function openSession(request, response) {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    eventStore: new InMemoryEventStore(),
    retryInterval: 300,
    onsessioninitialized: (id) => transports.set(id, transport),
  });
  transport.onclose = () => transports.delete(transport.sessionId);
  await createServer().connect(transport);
  await transport.handleRequest(request, response, request.body);
}

function refuse(response, status, code, message) {
  response.status(status).json({ jsonrpc: "2.0", error: { code, message }, id: null });
}

async function serve(request, response) {
  const id = request.headers["mcp-session-id"];
  if (transports.has(id)) return transports.get(id).handleRequest(request, response, request.body);
  if (id !== undefined) return refuse(response, 404, -32001, "Session not found");
  if (request.method === "POST" && mcp.isInitializeRequest(request.body)) return openSession(request, response);
  return refuse(response, 400, -32000, "Mcp-Session-Id is missing");
}

const app = createMcpExpressApp();
app.all("/mcp", (request, response, next) => serve(request, response).catch(next));
app.listen(Number(process.env.PORT), "127.0.0.1");
