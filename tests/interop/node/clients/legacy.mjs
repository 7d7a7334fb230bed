// The TypeScript SDK 1.x against the legacy fixture server, which tells what it saw: cancellation, lost
// connections, resumption, the end of a session.   usage: node legacy.mjs URL
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { CallToolResultSchema } from "@modelcontextprotocol/sdk/types.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { setTimeout as sleep } from "node:timers/promises";
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
import { connectLegacy } from "./legacy_client.mjs";

const url = process.argv[2];
const open = () => connectLegacy(new StreamableHTTPClientTransport(new URL(url)));
const { client, heard } = await open();

const slow = (ticket, steps, step_ms) => ({ name: "count_slowly", arguments: { ticket, steps, step_ms } });
const fateOf = async (ticket) => textOf(await client.callTool({ name: "fate_of", arguments: { ticket } }));
const becomes = (ticket, fate) =>
  eventually(async () => (await fateOf(ticket)) === fate, `the server saw the call ${fate}`);

/** Another client, with the session of an earlier one. */
async function rejoin({ sessionId, protocolVersion }) {
  const transport = new StreamableHTTPClientTransport(new URL(url), { sessionId });
  transport.setProtocolVersion(protocolVersion);
  const client = new Client({ name: "ringgate-interop", version: "1.0.0" });
  await client.connect(transport);
  return client;
}

await scenario("initialize and lists", async (facts) => {
  facts.server = client.getServerVersion();
  facts.digest = digest([await client.listTools(), await client.listPrompts(), await client.listResources()]);
});

await scenario("progress arrives as it occurs", async (facts) => {
  const arrivals = new Arrivals();
  const onprogress = ({ progress }) => arrivals.note(progress);
  facts.answer = textOf(await client.callTool(slow(ticket(), 5, 300), undefined, { onprogress }));
  arrivals.note("result");
  arrivals.check({ steps: 5, spread_ms_min: 500 });
});

await scenario("the server sees a cancellation", async (facts) => {
  const abort = new AbortController();
  const cancelled = ticket();
  const options = { signal: abort.signal, onprogress: () => abort.abort("enough") };
  facts.refusal = fault(await refused(client.callTool(slow(cancelled, 40, 100), undefined, options)));
  await becomes(cancelled, "cancelled");
});

await scenario("a lost connection is not a cancellation", async (facts) => {
  const lost = ticket();
  const other = await open();
  let begun = false;
  other.client.callTool(slow(lost, 8, 100), undefined, { onprogress: () => (begun = true) }).catch(() => {});
  await eventually(() => begun, "progress");
  await other.client.close();
  await becomes(lost, "finished");
  facts.fate = await fateOf(lost);
});

await scenario("resume in the middle of a call", async (facts) => {
  const lost = ticket();
  const tokens = [];
  const other = await open();
  const options = { onprogress: () => {}, onresumptiontoken: (token) => tokens.push(token) };
  other.client.callTool(slow(lost, 10, 150), undefined, options).catch(() => {});
  await eventually(() => tokens.length >= 3, "three event ids");
  await other.client.close();

  const again = await rejoin(other.transport);
  const request = { method: "tools/call", params: slow(lost, 10, 150) };
  const answer = await again.request(request, CallToolResultSchema, { resumptionToken: tokens[2] });
  facts.answer = textOf(answer);
  ensure(facts.answer === "counted to 10", "the resumed stream did not bring the result");
  await again.close();
});

await scenario("the server closes a stream and the client polls", async (facts) => {
  const tokens = [];
  const call = { name: "test_reconnection", arguments: {} };
  const answer = await client.callTool(call, undefined, { onresumptiontoken: (token) => tokens.push(token) });
  facts.answer = textOf(answer);
  facts.events = tokens.length;
});

await scenario("sampling and elicitation at the same time", async (facts) => {
  const calls = [
    client.callTool({ name: "test_sampling", arguments: { prompt: "one" } }),
    client.callTool({ name: "test_elicitation", arguments: { message: "who" } }),
    client.callTool({ name: "test_sampling", arguments: { prompt: "two" } }),
  ];
  facts.answers = (await Promise.all(calls)).map(textOf);
  ensure(facts.answers[0].endsWith("one") && facts.answers[2].endsWith("two"), "answers were exchanged");
});

await scenario("a change is told on the GET stream", async (facts) => {
  const uri = "test://watched-resource";
  facts.subscribed = await client.subscribeResource({ uri });
  await eventually(() => heard.updated.includes(uri), "notifications/resources/updated");
});

await scenario("refusals", async (facts) => {
  facts.tool = fault(await refused(client.callTool({ name: "no_such_tool", arguments: {} })));
  facts.resource = fault(await refused(client.readResource({ uri: "test://no/such" })));
  facts.method = fault(await refused(client.request({ method: "no/such", params: {} }, CallToolResultSchema)));
});

const JSON_HEADERS = {
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
  "mcp-protocol-version": "2025-11-25",
};
const LIST = JSON.stringify({ jsonrpc: "2.0", id: 7, method: "tools/list", params: {} });

await scenario("requests without a session", async (facts) => {
  facts.none = await raw(url, "POST", JSON_HEADERS, LIST);
  facts.unknown = await raw(url, "POST", { ...JSON_HEADERS, "mcp-session-id": "no-such-session" }, LIST);
  facts.get = await raw(url, "GET", {
    ...JSON_HEADERS,
    accept: "text/event-stream",
    "mcp-session-id": "no-such-session",
  });
  ensure(facts.none.status === 400, `no session id: ${facts.none.status}, not 400`);
  ensure(facts.unknown.status === 404, `unknown session: ${facts.unknown.status}, not 404`);
});

await scenario("end the session", async (facts) => {
  const other = await open();
  const { sessionId } = other.transport;
  await other.transport.terminateSession();
  await other.client.close();
  facts.post = await raw(url, "POST", { ...JSON_HEADERS, "mcp-session-id": sessionId }, LIST);
  ensure(facts.post.status === 404, `dead session: ${facts.post.status}, not 404`);
  await sleep(50);
  facts.others = textOf(await client.callTool({ name: "echo", arguments: { message: "alive" } }));
});

await client.close();
finish();
