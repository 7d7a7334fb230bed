// The official TypeScript SDK 1.x over HTTP+SSE (revision 2024-11-05) against server-everything in its `sse` mode.
// usage: node sse.mjs URL
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { setTimeout as sleep } from "node:timers/promises";
import { Arrivals, digest, ensure, eventually, fault, finish, refused, scenario, textOf } from "./talk.mjs";
import { connectLegacy } from "./legacy_client.mjs";

const url = process.argv[2];
const open = (options) => connectLegacy(new SSEClientTransport(new URL(url)), options);
const { client, transport, heard } = await open();
const slow = (duration, steps) => ({ name: "trigger-long-running-operation", arguments: { duration, steps } });

await scenario("initialize", async (facts) => {
  facts.server = client.getServerVersion();
  const endpoint = transport._endpoint;
  ensure(endpoint.origin === new URL(url).origin, `the endpoint event leads elsewhere: ${endpoint}`);
});

await scenario("lists and calls", async (facts) => {
  facts.tools = digest(await client.listTools());
  facts.echo = await client.callTool({ name: "echo", arguments: { message: "grüße" } });
  const message = "0123456789abcdef".repeat(19_200);
  ensure(
    textOf(await client.callTool({ name: "echo", arguments: { message } })) === `Echo: ${message}`,
    "300 KB differ",
  );
  facts.prompt = await client.getPrompt({ name: "simple-prompt" });
  facts.refusal = fault(await refused(client.getPrompt({ name: "no-such-prompt" })));
});

await scenario("twenty calls at once", async () => {
  const numbers = Array.from({ length: 20 }, (_, index) => index);
  const call = (b) => client.callTool({ name: "get-sum", arguments: { a: 1000, b } });
  const sums = (await Promise.all(numbers.map(call))).map(textOf);
  ensure(
    numbers.every((b) => sums[b].includes(`${1000 + b}`)),
    "an answer went to another call",
  );
});

await scenario("progress arrives as it occurs", async (facts) => {
  const arrivals = new Arrivals();
  const onprogress = ({ progress }) => arrivals.note(progress);
  facts.answer = textOf(await client.callTool(slow(2, 5), undefined, { onprogress }));
  arrivals.note("result");
  arrivals.check({ steps: 5, spread_ms_min: 800 });
});

await scenario("cancel a long call", async (facts) => {
  const abort = new AbortController();
  const errors = [];
  client.onerror = (error) => errors.push(error.message);
  const call = client.callTool(slow(1, 5), undefined, {
    signal: abort.signal,
    onprogress: () => abort.abort("enough"),
  });
  facts.refusal = (await refused(call)).message;
  await sleep(1600);
  client.onerror = undefined;
  ensure(!errors.some((message) => message.includes("unknown message ID")), "the cancelled call was answered");
});

await scenario("sampling and elicitation round trips", async (facts) => {
  facts.sampled = textOf(await client.callTool({ name: "trigger-sampling-request", arguments: { prompt: "hello" } }));
  facts.filled = (await client.callTool({ name: "trigger-elicitation-request", arguments: {} })).content;
  ensure(heard.sampling.length === 1 && heard.elicitation.length === 1, "the client was not asked once each");
});

await scenario("resource updates", async () => {
  const { uri } = (await client.listResources()).resources[0];
  await client.subscribeResource({ uri });
  await client.callTool({ name: "toggle-subscriber-updates", arguments: {} });
  await eventually(() => heard.updated.includes(uri), "notifications/resources/updated");
  await client.callTool({ name: "toggle-subscriber-updates", arguments: {} });
});

await scenario("two clients do not mix", async (facts) => {
  const other = await open({ voice: "the other" });
  const call = (client) => client.callTool({ name: "trigger-sampling-request", arguments: { prompt: "who" } });
  facts.answers = (await Promise.all([call(client), call(other.client)])).map(textOf);
  ensure(facts.answers[1].includes("the other: "), "the second client was not asked");
  await other.client.close();
  facts.after = textOf(await client.callTool({ name: "echo", arguments: { message: "still here" } }));
});

await client.close();
finish();
