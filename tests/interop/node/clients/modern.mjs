// The official TypeScript SDK 2.x, as a client of revision 2026-07-28, against the modern fixture server:
// discovery, mirrored headers, multi-round-trip requests, subscriptions, cancellation by closing the stream.
// usage: node modern.mjs URL
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { connect } from "node:net";
import {
  Arrivals,
  digest,
  ensure,
  eventually,
  fault,
  finish,
  raw,
  refused,
  scenario,
  textOf,
  ticket,
} from "./talk.mjs";

const url = process.argv[2];
const REVISION = "2026-07-28";

/** `mode` is how the client finds the revision: `auto` asks server/discover first, `legacy` initializes. */
async function open(mode) {
  const capabilities = { sampling: {}, elicitation: { form: {} }, roots: {} };
  const options = { capabilities, versionNegotiation: { mode } };
  const client = new Client({ name: "ringgate-interop", version: "1.0.0" }, options);
  client.setRequestHandler("sampling/createMessage", ({ params }) => {
    const content = { type: "text", text: `sampled: ${params.messages[0].content.text}` };
    return { model: "none", role: "assistant", content };
  });
  client.setRequestHandler("elicitation/create", ({ params }) => ({ action: "accept", content: fillIn(params) }));
  client.setRequestHandler("roots/list", () => ({ roots: [{ uri: "file:///interop/root", name: "root" }] }));
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  return client;
}

function fillIn({ requestedSchema }) {
  const value = ([name, { type }]) => [name, type === "boolean" ? true : `my ${name}`];
  return Object.fromEntries(Object.entries(requestedSchema.properties).map(value));
}

const client = await open("auto");
const call = (name, args = {}, options) => client.callTool({ name, arguments: args }, options);
const becomes = (ticket, fate) =>
  eventually(async () => textOf(await call("fate_of", { ticket })) === fate, `the server saw the call ${fate}`);

await scenario("discover", async (facts) => {
  facts.revision = client.getNegotiatedProtocolVersion();
  facts.discovered = client.getDiscoverResult();
  facts.server = client.getServerVersion();
  ensure(facts.revision === REVISION, `auto mode ended with ${facts.revision}`);
});

await scenario("lists", async (facts) => {
  const { tools } = await client.listTools();
  facts.tools = tools.map((tool) => tool.name);
  facts.digest = digest([tools, await client.listPrompts(), await client.listResources()]);
  facts.templates = await client.listResourceTemplates();
});

await scenario("calls, prompts, resources, completion", async (facts) => {
  facts.echo = await call("echo", { message: "grüße \u0000 🎈" });
  facts.prompt = await client.getPrompt({ name: "test_prompt_with_arguments", arguments: { arg1: "a", arg2: "ü" } });
  facts.resource = await client.readResource({ uri: "test://template/%20x/data" });
  const ref = { type: "ref/prompt", name: "test_prompt_with_arguments" };
  facts.completion = await client.complete({ ref, argument: { name: "arg1", value: "par" } });
  facts.big = digest(await call("echo", { message: "0123456789abcdef".repeat(19_200) }));
});

await scenario("arguments mirrored into headers", async (facts) => {
  facts.plain = textOf(await call("test_custom_headers", { region: "eu-west-1", count: 42 }));
  facts.encoded = textOf(await call("test_custom_headers", { region: " Zürich\n", count: -7 }));
  facts.sentinel = textOf(await call("test_custom_headers", { region: "=?base64?QQ==?=" }));
  ensure(facts.encoded.includes("Zürich"), "the decoded argument did not arrive");
});

await scenario("forty calls at once", async () => {
  const numbers = Array.from({ length: 40 }, (_, index) => index);
  const answers = await Promise.all(numbers.map((number) => call("echo", { message: `message ${number}` })));
  ensure(
    answers.every((answer, number) => textOf(answer) === `message ${number}`),
    "an answer went to another call",
  );
});

await scenario("refusals", async (facts) => {
  facts.tool = fault(await refused(call("no_such_tool")));
  facts.resource = fault(await refused(client.readResource({ uri: "test://no/such" })));
  facts.failed = await call("test_error_handling");
});

await scenario("progress arrives as it occurs", async (facts) => {
  const arrivals = new Arrivals();
  const onprogress = ({ progress }) => arrivals.note(progress);
  facts.answer = textOf(await call("count_slowly", { ticket: ticket(), steps: 5, step_ms: 300 }, { onprogress }));
  arrivals.note("result");
  arrivals.check({ steps: 5, spread_ms_min: 500 });
});

await scenario("multi-round-trip requests", async (facts) => {
  for (const kind of ["elicitation", "sampling", "list_roots", "request_state", "multiple_inputs", "multi_round"]) {
    facts[kind] = textOf(await call(`test_input_required_result_${kind}`));
  }
  facts.streamed = textOf(await call("test_streaming_elicitation", {}, { onprogress: () => {} }));
  facts.prompt = await client.getPrompt({ name: "test_input_required_result_prompt" });
  ensure(facts.request_state.includes("state-ok"), "requestState did not come back as it was");
});

await scenario("listen: acknowledged, filtered, then changes", async (facts) => {
  const heard = [];
  const hear = (method) =>
    client.setNotificationHandler(method, ({ params }) => void heard.push(params?.uri ?? method));
  hear("notifications/tools/list_changed");
  hear("notifications/prompts/list_changed");
  hear("notifications/resources/updated");
  const filter = { toolsListChanged: true, resourceSubscriptions: ["test://watched-resource"] };
  const subscription = await client.listen(filter);
  facts.honored = subscription.honoredFilter;
  await call("test_trigger_prompt_change");
  await call("touch_resource", { uri: "test://static-text" });
  await call("touch_resource", { uri: "test://watched-resource" });
  await call("test_trigger_tool_change");
  await eventually(() => heard.includes("notifications/tools/list_changed"), "tools/list_changed");
  facts.heard = heard;
  await subscription.close();
  facts.closed = await subscription.closed;
});

await scenario("listen: the server sees the client go", async () => {
  const listeners = async () => Number(textOf(await call("count_listeners")));
  await eventually(async () => (await listeners()) === 0, "earlier listeners gone");
  const subscription = await client.listen({ promptsListChanged: true });
  ensure((await listeners()) === 1, "the server does not know the listener");
  await subscription.close();
  await eventually(async () => (await listeners()) === 0, "the server noticed");
});

await scenario("an aborted call is cancelled", async (facts) => {
  const abort = new AbortController();
  const cancelled = ticket();
  const options = { signal: abort.signal, onprogress: () => abort.abort("enough") };
  facts.refusal = (
    await refused(call("count_slowly", { ticket: cancelled, steps: 50, step_ms: 100 }, options))
  ).message;
  await becomes(cancelled, "cancelled");
});

/** The bytes of a modern tools/call, for scenarios that need to hold the socket themselves. */
function requestBytes(name, args) {
  const meta = {
    "io.modelcontextprotocol/protocolVersion": REVISION,
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const params = { name, arguments: args, _meta: { ...meta, progressToken: "p" } };
  const body = JSON.stringify({ jsonrpc: "2.0", id: "raw", method: "tools/call", params });
  const { host, pathname } = new URL(url);
  const head = [
    `POST ${pathname} HTTP/1.1`,
    `Host: ${host}`,
    "Content-Type: application/json",
    "Accept: application/json, text/event-stream",
    `MCP-Protocol-Version: ${REVISION}`,
    "Mcp-Method: tools/call",
    `Mcp-Name: ${name}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  return `${head.join("\r\n")}\r\n\r\n${body}`;
}

function dial() {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => {});
  return socket;
}

await scenario("a closed connection cancels the call", async () => {
  const lost = ticket();
  const socket = dial();
  let received = "";
  socket.on("data", (bytes) => (received += bytes));
  socket.write(requestBytes("count_slowly", { ticket: lost, steps: 100, step_ms: 100 }));
  await eventually(() => received.includes("notifications/progress"), "progress on the raw connection");
  socket.end();
  socket.destroy();
  await becomes(lost, "cancelled");
});

await scenario("a connection closed before the first byte cancels the call", async () => {
  const lost = ticket();
  const socket = dial();
  socket.write(requestBytes("count_slowly", { ticket: lost, steps: 2, step_ms: 4_000 }));
  await becomes(lost, "running");
  socket.destroy();
  await becomes(lost, "cancelled");
});

await scenario("GET and DELETE", async (facts) => {
  const headers = { accept: "text/event-stream", "mcp-protocol-version": REVISION };
  facts.get = (await raw(url, "GET", headers)).status;
  facts.delete = (await raw(url, "DELETE", headers)).status;
  ensure(facts.get === 405 && facts.delete === 405, `GET ${facts.get}, DELETE ${facts.delete}, not 405`);
});

await scenario("the same client at a legacy revision, without a session", async (facts) => {
  const legacy = await open("legacy");
  facts.revision = legacy.getNegotiatedProtocolVersion();
  facts.echo = await legacy.callTool({ name: "echo", arguments: { message: "legacy" } });
  facts.tools = digest(await legacy.listTools());
  await legacy.close();
});

await client.close();
finish();
