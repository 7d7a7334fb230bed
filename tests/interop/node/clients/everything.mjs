// The official TypeScript SDK 1.x as client of server-everything: revision 2025-11-25, a session, server-to-client
// requests, notifications on the GET stream, resumption.   usage: node everything.mjs URL
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { CallToolResultSchema } from "@modelcontextprotocol/sdk/types.js";
import { setTimeout as sleep } from "node:timers/promises";
import { Arrivals, digest, ensure, eventually, fault, finish, raw, refused, scenario, textOf } from "./talk.mjs";
import { connectLegacy } from "./legacy_client.mjs";

const url = process.argv[2];
const open = (options) => connectLegacy(new StreamableHTTPClientTransport(new URL(url)), options);
const session = await open();
const { client, transport, heard } = session;

await scenario("initialize", async (facts) => {
  facts.server = client.getServerVersion();
  facts.capabilities = client.getServerCapabilities();
  facts.instructions = digest(client.getInstructions());
  facts.revision = transport.protocolVersion;
  ensure(/^[\x21-\x7e]{8,}$/.test(transport.sessionId), `session id: ${transport.sessionId}`);
});

await scenario("lists", async (facts) => {
  facts.tools = (await client.listTools()).tools.map((tool) => tool.name);
  facts.digest = digest([await client.listTools(), await client.listPrompts(), await client.listResourceTemplates()]);
  facts.resources = (await client.listResources()).resources.length;
  ensure(facts.tools.includes("trigger-sampling-request"), "tools for this client's capabilities are missing");
});

await scenario("call", async (facts) => {
  facts.echo = await client.callTool({ name: "echo", arguments: { message: "grüße \u0000 \u2028 🎈" } });
  facts.sum = await client.callTool({ name: "get-sum", arguments: { a: 2, b: 40 } });
  facts.structured = await client.callTool({ name: "get-structured-content", arguments: { location: "Chicago" } });
  facts.image = digest(await client.callTool({ name: "get-tiny-image", arguments: {} }));
});

await scenario("call with 300 KB each way", async (facts) => {
  const message = "0123456789abcdef".repeat(19_200);
  const answer = await client.callTool({ name: "echo", arguments: { message } });
  ensure(textOf(answer) === `Echo: ${message}`, "the echo differs");
  facts.length = textOf(answer).length;
});

await scenario("forty calls at once", async (facts) => {
  const numbers = Array.from({ length: 40 }, (_, index) => index);
  const call = (b) => client.callTool({ name: "get-sum", arguments: { a: 1000, b } });
  const sums = (await Promise.all(numbers.map(call))).map(textOf);
  ensure(
    numbers.every((b) => sums[b].includes(`${1000 + b}`)),
    "an answer went to another call",
  );
  facts.sums = digest(sums);
});

// In a session of its own: after an error this SDK's client comes back with Last-Event-ID, and server-everything
// then replays whatever else the session has sent.
await scenario("refusals", async (facts) => {
  const { client } = await open();
  facts.tool = await client.callTool({ name: "no-such-tool", arguments: {} }).catch(fault);
  facts.arguments = await client.callTool({ name: "get-sum", arguments: { a: "x" } }).catch(fault);
  facts.prompt = fault(await refused(client.getPrompt({ name: "no-such-prompt" })));
  facts.resource = fault(await refused(client.readResource({ uri: "demo://no/such" })));
  await client.close();
});

const slow = (duration, steps) => ({ name: "trigger-long-running-operation", arguments: { duration, steps } });

await scenario("progress arrives as it occurs", async (facts) => {
  const arrivals = new Arrivals();
  const onprogress = ({ progress }) => arrivals.note(progress);
  const answer = await client.callTool(slow(2, 5), undefined, { onprogress });
  arrivals.note("result");
  facts.answer = textOf(answer);
  arrivals.check({ steps: 5, spread_ms_min: 800 });
});

await scenario("cancel a long call", async (facts) => {
  const abort = new AbortController();
  const errors = [];
  client.onerror = (error) => errors.push(error.message);
  const call = client.callTool(slow(1.2, 6), undefined, {
    signal: abort.signal,
    onprogress: () => abort.abort("enough"),
  });
  facts.refusal = (await refused(call)).message;
  await sleep(2000);
  client.onerror = undefined;
  // A server that saw the cancellation sends no result; one would be reported here as of an unknown id.
  facts.late = errors.filter((message) => message.includes("unknown message ID"));
  ensure(facts.late.length === 0, `the cancelled call was answered: ${facts.late}`);
  facts.after = textOf(await client.callTool({ name: "echo", arguments: { message: "still here" } }));
});

await scenario("sampling round trip", async (facts) => {
  const call = { name: "trigger-sampling-request", arguments: { prompt: "how are you", maxTokens: 17 } };
  facts.answer = textOf(await client.callTool(call));
  facts.asked = heard.sampling.at(-1);
  ensure(facts.answer.includes("sampled: "), "the sampled words are not in the answer");
});

await scenario("elicitation round trip", async (facts) => {
  facts.answer = (await client.callTool({ name: "trigger-elicitation-request", arguments: {} })).content;
  facts.asked = digest(heard.elicitation.at(-1));
  ensure(JSON.stringify(facts.answer).includes("Ada"), "what the user said is not in the answer");
});

// This server asks 350 ms after the initialization, whether the GET stream is there by then or not. On a busy machine
// it may not be; then the server asks again when it is told that the roots have changed.
await scenario("roots are asked for on the GET stream", async (facts) => {
  const asked = async () => heard.roots > 0 || (await client.sendRootsListChanged(), await sleep(250), heard.roots > 0);
  await eventually(asked, "roots/list");
  facts.roots = textOf(await client.callTool({ name: "get-roots-list", arguments: {} }));
  ensure(facts.roots.includes("file:///interop/root"), "the server does not know the client's root");
});

await scenario("two sessions do not mix", async (facts) => {
  const other = await open({ voice: "the other" });
  const call = (client, prompt) => client.callTool({ name: "trigger-sampling-request", arguments: { prompt } });
  const answers = await Promise.all([call(client, "one"), call(other.client, "two"), call(client, "three")]);
  facts.answers = answers.map(textOf);
  ensure(other.transport.sessionId !== transport.sessionId, "two clients share one session");
  ensure(facts.answers[1].includes("the other: "), "the second client was not asked");
  ensure(!facts.answers[0].includes("the other"), "the second client was asked for the first");
  await other.transport.terminateSession();
  await other.client.close();
});

await scenario("resource updates on the GET stream", async (facts) => {
  const { resources } = await client.listResources();
  const { uri } = resources[0];
  facts.subscribed = await client.subscribeResource({ uri });
  await client.callTool({ name: "toggle-subscriber-updates", arguments: {} });
  await eventually(() => heard.updated.includes(uri), "notifications/resources/updated");
  await client.callTool({ name: "toggle-subscriber-updates", arguments: {} });
  facts.unsubscribed = await client.unsubscribeResource({ uri });
});

await scenario("log messages", async (facts) => {
  facts.level = await client.setLoggingLevel("debug");
  heard.logged.length = 0;
  await client.callTool({ name: "toggle-simulated-logging", arguments: {} });
  await eventually(() => heard.logged.length > 0, "notifications/message");
  await client.callTool({ name: "toggle-simulated-logging", arguments: {} });
});

await scenario("prompts, resources, completion", async (facts) => {
  const complete = (name, value) =>
    client.complete({ ref: { type: "ref/prompt", name: "completable-prompt" }, argument: { name, value } });
  facts.simple = await client.getPrompt({ name: "simple-prompt" });
  facts.withArguments = await client.getPrompt({ name: "args-prompt", arguments: { city: "Paris", state: "TX" } });
  facts.completion = await complete("department", "E");
  const { resources } = await client.listResources();
  facts.document = digest(await client.readResource({ uri: resources[0].uri }));
  facts.ping = await client.ping();
});

await scenario("resume with Last-Event-ID", async (facts) => {
  const tokens = [];
  const first = await open();
  const call = first.client.callTool(slow(1.5, 5), undefined, { onprogress: () => {}, ...keep(tokens) });
  call.catch(() => {});
  await eventually(() => tokens.length >= 2, "two event ids");
  const { sessionId, protocolVersion } = first.transport;
  await first.client.close();
  await sleep(2000);

  // The stream was cut in the middle of the call; a new connection to the same session fetches the rest.
  const transport = new StreamableHTTPClientTransport(new URL(url), { sessionId });
  transport.setProtocolVersion(protocolVersion);
  const second = new Client({ name: "ringgate-interop", version: "1.0.0" });
  await second.connect(transport);
  const replayed = [];
  second.fallbackNotificationHandler = async (notification) => replayed.push(notification.params.progress);
  const request = { method: "tools/call", params: slow(1.5, 5) };
  const answer = await second.request(request, CallToolResultSchema, { resumptionToken: tokens[1] });
  facts.answer = textOf(answer);
  await second.close();
});

function keep(tokens) {
  return { onresumptiontoken: (token) => tokens.push(token) };
}

await scenario("end the session", async (facts) => {
  const { sessionId } = transport;
  await transport.terminateSession();
  await client.close();
  const headers = {
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    "mcp-protocol-version": "2025-11-25",
    "mcp-session-id": sessionId,
  };
  const body = JSON.stringify({ jsonrpc: "2.0", id: "after", method: "tools/list", params: {} });
  facts.post = await raw(url, "POST", headers, body);
  facts.get = await raw(url, "GET", { ...headers, accept: "text/event-stream" });
  facts.delete = await raw(url, "DELETE", headers);
  for (const answer of Object.values(facts))
    ensure(answer.status >= 400 && answer.status < 500, `dead session: ${answer.status}`);
});

finish();
