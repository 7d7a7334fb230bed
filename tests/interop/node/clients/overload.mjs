// Forty clients made of the official TypeScript SDK 1.x, and servers that become slow and well again. The gateway must
// find that out by itself: shed what a server cannot take, soon, and nothing once it is well.
// usage: node overload.mjs PLACE (JSON, see limited.mjs)
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { setTimeout as sleep } from "node:timers/promises";
import { at, errorIn, place } from "./limited.mjs";
import { ensure, finish, scenario, textOf } from "./talk.mjs";

const CALLERS = 40;
const PAUSE_MS = 400;
const TIMEOUT_MS = 15_000;
/** What a call may take while the server is slow. */
const CALL_MS_MAX = 8_000;
const SHED_MS_MAX = 5_000;
/** How long the gateway may take to notice that the server has become slow. */
const NOTICE_MS = 3_000;
/** How long it may take until next to nothing is shed: where others work too, servers are really slow at times. */
const QUIET_MS_MAX = 30_000;
const SHED_PART_MAX = 0.05;

/** A crowd of callers, each of which calls again and again, and every call that came to its end. */
class Crowd {
  calls = [];
  going = true;

  constructor(server, request) {
    this.server = server;
    this.request = request;
  }

  /** Connects one by one: a crowd that comes at once to a server that nothing is known of yet is shed in part. */
  async gather() {
    const clients = [];
    while (clients.length < CALLERS) {
      const client = new Client({ name: "ringgate-interop", version: "1.0.0" });
      await client.connect(new StreamableHTTPClientTransport(at(this.server)));
      clients.push(client);
    }
    this.callers = clients.map((client) => this.callAgainAndAgain(client));
  }

  async callAgainAndAgain(client) {
    while (this.going) {
      const started = Date.now();
      const options = { timeout: TIMEOUT_MS };
      const answer = await client.callTool(this.request, undefined, options).catch((error) => error);
      const ended = Date.now();
      const shed = answer.code === 503;
      const wrong = shed || (textOf(answer) && !answer.isError) ? undefined : `${answer}`;
      this.calls.push({ ended, took: ended - started, shed, wrong, answer });
      await sleep(PAUSE_MS * (0.5 + Math.random()));
    }
    await client.close();
  }

  async leave() {
    this.going = false;
    await Promise.all(this.callers);
  }

  /** Waits for two seconds in which many called and next to none was shed. */
  async quiet() {
    const started = Date.now();
    const last = () => sum(this.since(Date.now() - 2_000));
    for (;;) {
      await sleep(50);
      const milliseconds = Date.now() - started;
      const { calls, shed } = last();
      const quiet = calls >= CALLERS && shed <= calls * SHED_PART_MAX;
      if (milliseconds > 2_500 && quiet) return { ...last(), milliseconds };
      ensure(milliseconds < QUIET_MS_MAX, `still shed: ${JSON.stringify(last())}`);
    }
  }

  since(moment, until = Infinity) {
    const some = this.calls.filter(({ ended }) => ended >= moment && ended < until);
    const wrong = some.find(({ wrong }) => wrong);
    ensure(!wrong, `a call ended with ${wrong?.wrong}`);
    return some;
  }
}

const isShed = ({ shed }) => shed;
const longest = (some) => Math.max(0, ...some.map(({ took }) => took));
const sum = (some) => ({ calls: some.length, shed: some.filter(isShed).length, longest_ms: longest(some) });

/** The scenarios of one server. `slowDown` and `recover` change what it can do. */
async function ordeal(name, crowd, { slowDown, recover, isFarTooSlow }) {
  await crowd.gather();
  await scenario(`${name} that is well gets all calls`, async (facts) => {
    facts.well = await crowd.quiet();
  });

  await scenario(`${name} that is slow: calls are shed, and none waits for long`, async (facts) => {
    await slowDown();
    const slowed = Date.now();
    await sleep(2.5 * NOTICE_MS);
    facts.at_first = sum(crowd.since(slowed, slowed + NOTICE_MS));
    // Those that came before it was noticed may wait for longer, but they are answered: none runs into its timeout.
    const some = crowd.since(slowed + NOTICE_MS).filter(({ ended, took }) => ended - took >= slowed + NOTICE_MS);
    facts.then = sum(some);
    const shed = some.filter(isShed);
    const answered = some.filter((call) => !isShed(call));
    ensure(answered.length > 0, "none was answered");
    ensure(!isFarTooSlow || shed.length >= some.length / 10, `${shed.length} shed, ${answered.length} answered`);
    ensure(longest(shed) <= SHED_MS_MAX, `a call was shed after ${longest(shed)} ms`);
    ensure(longest(answered) <= CALL_MS_MAX, `a call took ${longest(answered)} ms`);
    facts.told = shed.length > 0 ? errorIn(shed[0].answer) : "nothing was shed";
  });

  await scenario(`${name} that is well again gets all calls, by itself`, async (facts) => {
    await recover();
    facts.well = await crowd.quiet();
  });
  await crowd.leave();
}

/** It works on eight calls at a time: 400 calls a second when well, 10 when slow. Unlimited, 40 callers wait 4 s. */
async function serverTakes(milliseconds) {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ milliseconds });
  const response = await fetch(`${place.server}/takes`, { method: "POST", headers, body });
  ensure(response.ok, `the server said ${response.status}`);
}

await ordeal("a server", new Crowd("busy", { name: "work" }), {
  slowDown: () => serverTakes(800),
  recover: () => serverTakes(20),
  isFarTooSlow: true,
});

/** Gives the process of server-everything a small part of the time only. */
class Brake {
  held = false;
  done = Promise.resolve();

  hold = () => {
    this.held = true;
    this.done = this.run();
  };

  async run() {
    while (this.held) {
      process.kill(place.everything_pid, "SIGSTOP");
      await sleep(270);
      process.kill(place.everything_pid, "SIGCONT");
      await sleep(30);
    }
  }

  release = async () => {
    this.held = false;
    await this.done;
  };
}

const brake = new Brake();
const echo = { name: "echo", arguments: { message: "is anybody there?" } };
// How much of its time it needs for these calls is the machine's matter, so how many are shed is left open.
await ordeal("server-everything", new Crowd("everything", echo), { slowDown: brake.hold, recover: brake.release });
finish();
