// Lets the matrix drive a framework: a JSON command a line on standard input, an answer a line on standard output.
//
//     connect URL, HEADERS     tools     run CALLS     volley COUNT     leave CALL, SECONDS     close
//
// A framework brings `connect(url, headers)`, which returns an agent: `tools()`, `call(name, args, signal)` or
// `run(calls, signal)`, and `close()`. Answers begin with `@@ `, since frameworks print too.
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

const CLOSE_MS_MAX = 5_000;

/** How a call ended: a result or an error is read by the model; what is raised ends the run. */
export function result(text, isError = false) {
  return { [isError ? "error" : "result"]: text };
}

/** The texts of content blocks. */
export function texts(content) {
  return (content ?? [])
    .map((item) => item.text)
    .filter((text) => text !== undefined)
    .join("\n");
}

export function raised(error) {
  return { raised: `${error?.name ?? typeof error}: ${error?.message ?? error}` };
}

/** One run of an agent whose model makes these calls, one after another. Nothing follows an exception. */
async function run(agent, calls, signal) {
  if (agent.run) return await agent.run(calls, signal);
  const seen = [];
  for (const [name, args] of calls) {
    try {
      seen.push(await agent.call(name, args, signal));
    } catch (error) {
      return [...seen, raised(error)];
    }
  }
  return seen;
}

/** Cancels a call, as an application does that waits no longer. */
async function leave(agent, call, seconds) {
  const leaving = new AbortController();
  let fate;
  const going = run(agent, [call], leaving.signal).then((seen) => (fate = seen));
  await sleep(seconds * 1_000);
  if (fate) return `ended before: ${JSON.stringify(fate)}`;
  leaving.abort();
  await Promise.race([going, sleep(3_000)]);
  return fate ? "left" : "cannot be left";
}

async function obey(command, connect, state) {
  switch (command.do) {
    case "connect":
      try {
        state.agent = await connect(command.url, command.headers);
        return "connected";
      } catch (error) {
        return raised(error);
      }
    case "tools":
      return await state.agent.tools();
    case "run":
      return await run(state.agent, command.calls);
    case "volley": {
      const calls = Array.from({ length: command.count }, (_, n) => [["echo", { message: `${n}` }]]);
      return await Promise.all(calls.map((call) => run(state.agent, call)));
    }
    case "leave":
      return await leave(state.agent, command.call, command.seconds);
    case "close":
      return await Promise.race([
        Promise.resolve(state.agent?.close()).then(
          () => "closed",
          (error) => raised(error).raised,
        ),
        sleep(CLOSE_MS_MAX, "does not end"),
      ]);
  }
}

export async function main(connect) {
  const state = {};
  // Errors of background work are what the scenes are about; they are seen by their effects.
  process.on("unhandledRejection", (error) => console.error("unhandled", error));
  say("ready");
  for await (const line of createInterface({ input: process.stdin })) {
    say(await obey(JSON.parse(line), connect, state).catch((error) => [raised(error)]));
  }
  process.exit(0);
}

function say(answer) {
  process.stdout.write(`@@ ${JSON.stringify(answer)}\n`);
}
