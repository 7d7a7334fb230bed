// A small stateful MCP server of revision 2025-11-25 that writes down the headers of every request, for GET /log.
// usage: PORT=... node recorder.mjs
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";

const TOOLS = ["echo", "secret"].map((name) => ({ name, inputSchema: { type: "object" } }));
const log = [];
const sessions = new Set();

createServer(async (request, response) => {
  let body = "";
  for await (const chunk of request) body += chunk;
  if (request.url === "/log") return void answer(response, 200, log);
  const message = body ? JSON.parse(body) : {};
  log.push({ http: request.method, method: message.method, headers: pairs(request.rawHeaders) });
  const session = request.headers["mcp-session-id"];
  if (message.method !== "initialize" && !sessions.has(session)) return void answer(response, 404, {});
  if (request.method === "DELETE") {
    sessions.delete(session);
    return void answer(response, 200);
  }
  if (request.method !== "POST") return void answer(response, 405);
  if (message.id === undefined) return void answer(response, 202);
  const result = RESULTS[message.method]?.(message.params, response);
  const unknown = { code: -32601, message: "Method not found" };
  answer(response, 200, { jsonrpc: "2.0", id: message.id, ...(result ? { result } : { error: unknown }) });
}).listen(Number(process.env.PORT), "127.0.0.1");

const RESULTS = {
  initialize: ({ protocolVersion }, response) => {
    const session = randomUUID();
    sessions.add(session);
    response.setHeader("mcp-session-id", session);
    return { protocolVersion, capabilities: { tools: {} }, serverInfo: { name: "recorder", version: "1.0.0" } };
  },
  ping: () => ({}),
  "tools/list": () => ({ tools: TOOLS }),
  "tools/call": ({ name, arguments: given }) => ({ content: [{ type: "text", text: `${name}: ${given?.message}` }] }),
};

function answer(response, status, body) {
  response.writeHead(status, body === undefined ? {} : { "content-type": "application/json" });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}

/** All headers in order, each a pair: a name that came twice must show. */
function pairs(raw) {
  return raw.flatMap((word, index) => (index % 2 ? [] : [[word.toLowerCase(), raw[index + 1]]]));
}
