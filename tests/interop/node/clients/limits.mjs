// An agent made of the official TypeScript SDK 1.x that comes to limits, with server-everything behind the gateway.
// usage: node limits.mjs PLACE (JSON, see limited.mjs)
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { at, checkTwoRates, errorIn, keyOf, volley } from "./limited.mjs";
import { ensure, eventually, finish, refused, scenario, textOf } from "./talk.mjs";

/** Connects to a name of server-everything that has limits of its own. `requests` are those that were sent. */
async function connect(server) {
  const requests = [];
  const watching = (url, init) => {
    requests.push(`${init.method} ${init.body ? JSON.parse(init.body).method : ""}`.trim());
    return fetch(url, init);
  };
  const options = { requestInit: keyOf("typescript-1"), fetch: watching };
  const transport = new StreamableHTTPClientTransport(at(server), options);
  const client = new Client({ name: "ringgate-interop", version: "1.0.0" });
  await client.connect(transport);
  const call = (name, args, onprogress) => client.callTool({ name, arguments: args }, undefined, { onprogress });
  return { client, transport, requests, call, echo: (message) => call("echo", { message }) };
}

/** Fails unless the SDK threw the gateway's 429 with its words. */
function check429(error, limit) {
  ensure(error.code === 429, `not a 429: ${error}`);
  const { code, message, data } = errorIn(error);
  ensure(code === 429 && data.limit === limit && data.retryAfter > 0, `says ${JSON.stringify({ code, data })}`);
  ensure(message.includes(limit), `does not name the limit: ${message}`);
}

await scenario("a loop is stopped, and the model can read why", async (facts) => {
  const { client, echo } = await connect("looping");
  const answers = [];
  for (let turn = 1; turn <= 8; turn++) answers.push(await echo("is it done?"));
  const stopped = answers.filter(({ isError }) => isError);
  ensure(
    answers.slice(0, 5).every((answer) => textOf(answer) === "Echo: is it done?"),
    "stopped before the fifth",
  );
  ensure(stopped.length === 3, `stopped ${stopped.length} of 8 calls`);
  facts.told = textOf(stopped[0]);
  ensure(facts.told.includes("change the arguments"), `told: ${facts.told}`);
  ensure(textOf(await echo("is it done now?")) === "Echo: is it done now?", "other arguments were stopped too");
  await client.close();
});

await scenario("two tools of one server have rates of their own", async (facts) => {
  const { client, requests, call } = await connect("rates");
  const before = requests.length;
  facts.admitted = await checkTwoRates({ call, check429 });
  ensure(requests.length === before + 40, `the SDK sent ${requests.length - before} requests for 40 calls`);
  await client.close();
});

await scenario("tokens that run out in the middle of a stream", async (facts) => {
  const { client, call, echo } = await connect("tokens");
  const heard = [];
  const slow = { duration: 2, steps: 10 };
  const answer = call("trigger-long-running-operation", slow, ({ progress }) => heard.push(progress));
  await eventually(() => heard.length >= 2, "progress");
  await echo("The quota is gone with this. ".repeat(100));
  const error = await refused(echo("one more"));
  const spent_at = heard.length;
  check429(error, "tokens");
  ensure(spent_at < 8, `the stream was nearly over when the quota was gone: ${spent_at}`);
  facts.answer = textOf(await answer);
  ensure(facts.answer.includes("completed"), `the stream ended with ${facts.answer}`);
  ensure(heard.length >= 9, `progress ${heard} after it was spent at ${spent_at}`);
  check429(await refused(echo("still nothing")), "tokens");
  ensure((await client.listTools()).tools.length > 0, "lists cost tokens");
  await client.close();
});

await scenario("the life of a session is one call", async (facts) => {
  const live = async (message) => {
    const { client, transport, requests, echo } = await connect("lives");
    await eventually(() => requests.includes("GET"), "the stream");
    await client.listTools();
    const answer = await echo(message).catch((error) => error);
    await transport.terminateSession();
    await client.close();
    return { answer, requests };
  };
  const lives = [];
  for (const message of ["first", "second", "third", "one too many"]) lives.push(await live(message));
  facts.requests = lives[0].requests.toSorted();
  ensure(facts.requests.length === 6, `one life is ${facts.requests}`);
  for (const { answer } of lives.slice(0, 3)) ensure(textOf(answer)?.startsWith("Echo"), `answered with ${answer}`);
  check429(lives[3].answer, "calls");
});

await scenario("no more calls are under way than may be", async (facts) => {
  const { client, call, echo } = await connect("in-flight");
  const slow = (number) => call("trigger-long-running-operation", { duration: 1.5, steps: number + 1 });
  const started = Date.now();
  const times = [];
  const watched = (number) =>
    slow(number).catch((error) => {
      times.push(Date.now() - started);
      throw error;
    });
  const first = await volley(Array.from({ length: 8 }, (_, number) => watched(number)));
  facts.admitted = first.answers.length;
  ensure(facts.admitted === 3 && first.refusals.length === 5, `admitted ${facts.admitted} of 8`);
  for (const refusal of first.refusals) check429(refusal, "in-flight");
  ensure(Math.max(...times) < 1_400, `refusals took ${times} ms: they waited for a place`);
  ensure(textOf(await echo("beside")) === "Echo: beside", "another tool was refused");
  const again = await volley([10, 11, 12].map((number) => slow(number)));
  ensure(again.answers.length === 3, `afterwards ${again.answers.length} of 3: ${again.refusals}`);
  await client.close();
});

finish();
