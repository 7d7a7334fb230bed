// Forty clients made of the official TypeScript SDK 1.x, and a server that becomes slow and well again. The gateway
// must find that out by itself: shed what the server cannot take, soon, and nothing once it is well.
// usage: node overload.mjs PLACE (JSON, see limited.mjs)
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { setTimeout as sleep } from "node:timers/promises";
import { at, errorIn, place } from "./limited.mjs";
import { ensure, finish, scenario, textOf } from "./talk.mjs";

const CALLERS = 40;
const PAUSE_MS = 200;
/** The server works on eight calls at a time: 400 calls a second when well, 16 when slow. */
const WELL_MS = 20;
const SLOW_MS = 500;
/** Without a gateway, forty callers of the slow server wait for forty turns at eight places: 2.5 s. */
const CALL_MS_MAX = 2_000;
const SHED_MS_MAX = 1_000;

async function serverTakes(milliseconds) {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ milliseconds });
  const response = await fetch(`${place.server}/takes`, { method: "POST", headers, body });
  ensure(response.ok, `the server said ${response.status}`);
}

const connected = async () => {
  const client = new Client({ name: "ringgate-interop", version: "1.0.0" });
  await client.connect(new StreamableHTTPClientTransport(at("busy")));
  return client;
};

/** Every call that came to its end: when it ended, how long it took, and whether it was shed or went wrong. */
const calls = [];
let going = true;

async function callAgainAndAgain(client) {
  while (going) {
    const started = Date.now();
    const answer = await client.callTool({ name: "work" }, undefined, { timeout: 15_000 }).catch((error) => error);
    const ended = Date.now();
    const shed = answer.code === 503;
    const wrong = shed || textOf(answer) === "done" ? undefined : `${answer}`;
    calls.push({ ended, took: ended - started, shed, wrong, answer });
    await sleep(PAUSE_MS * (0.5 + Math.random()));
  }
}

const since = (moment) => calls.filter(({ ended }) => ended >= moment);
const longest = (some) => Math.max(0, ...some.map(({ took }) => took));
const sum = (some) => ({ calls: some.length, shed: some.filter(({ shed }) => shed).length, longest: longest(some) });

function ensureNoneWrong(some) {
  const wrong = some.find(({ wrong }) => wrong);
  ensure(!wrong, `a call ended with ${wrong?.wrong}`);
}

const clients = [];
// One by one: a crowd that comes at once to a server that nothing is known of yet is shed in part.
while (clients.length < CALLERS) clients.push(await connected());
const callers = clients.map(callAgainAndAgain);

await scenario("a server that is well gets all calls", async (facts) => {
  await sleep(1_000);
  const begun = Date.now();
  await sleep(2_000);
  facts.well = sum(since(begun));
  ensureNoneWrong(calls);
  ensure(facts.well.calls >= CALLERS && facts.well.shed === 0, JSON.stringify(facts.well));
});

await scenario("calls to a slow server are shed, and none waits for long", async (facts) => {
  await serverTakes(SLOW_MS);
  const slowed = Date.now();
  await sleep(6_000);
  facts.at_first = sum(since(slowed).filter(({ ended }) => ended < slowed + 3_000));
  const some = since(slowed + 3_000);
  facts.then = sum(some);
  ensureNoneWrong(since(slowed));
  const shed = some.filter(({ shed }) => shed);
  const answered = some.filter(({ shed }) => !shed);
  ensure(shed.length > answered.length && answered.length > 0, `${shed.length} shed, ${answered.length} answered`);
  ensure(longest(shed) <= SHED_MS_MAX, `a call was shed after ${longest(shed)} ms`);
  ensure(longest(answered) <= CALL_MS_MAX, `a call took ${longest(answered)} ms`);
  facts.told = errorIn(shed[0].answer);
});

await scenario("all calls pass again once it is well", async (facts) => {
  await serverTakes(WELL_MS);
  const well = Date.now();
  const quiet = () => {
    const some = since(Date.now() - 1_000);
    return Date.now() - well > 1_500 && some.length >= CALLERS && some.every(({ shed }) => !shed);
  };
  while (!quiet()) {
    ensure(Date.now() - well < 18_000, `still shed: ${JSON.stringify(sum(since(Date.now() - 1_000)))}`);
    await sleep(50);
  }
  facts.milliseconds = Date.now() - well;
  facts.all = sum(since(Date.now() - 1_000));
  ensureNoneWrong(since(well));
});

going = false;
await Promise.all(callers);
finish();
