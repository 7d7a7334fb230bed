// What agents with limits share: where they connect, as whom, and what a refusal says.
import { ensure, textOf } from "./talk.mjs";

/** Where everything is: `gateway`, `server` (origins), `keys` (an API key for each agent). */
export const place = JSON.parse(process.argv[2]);

export const at = (server) => new URL(`${place.gateway}/${server}/mcp`);

export const keyOf = (agent) => ({ headers: { "X-Api-Key": place.keys[agent] } });

/** Makes all calls at the same time: what answered, and what was refused, in the order of the calls. */
export async function volley(calls) {
  const outcomes = await Promise.allSettled(calls);
  return {
    answers: outcomes.filter(({ status }) => status === "fulfilled").map(({ value }) => textOf(value)),
    refusals: outcomes.filter(({ status }) => status === "rejected").map(({ reason }) => reason),
  };
}

/** The JSON-RPC error in the message of an SDK's error about an HTTP status. */
export function errorIn({ message }) {
  return JSON.parse(message.slice(message.indexOf("{"))).error;
}

/**
 * Asks for more than two tools may, all at the same time, and checks that each gets what it may: no call less, and
 * none more but those that come back meanwhile.
 */
export async function checkTwoRates({ call, check429 }) {
  const started = Date.now();
  const [echos, sums] = await Promise.all([
    volley(Array.from({ length: 10 }, (_, number) => call("echo", { message: `${number}` }))),
    volley(Array.from({ length: 30 }, (_, b) => call("get-sum", { a: 1, b }))),
  ]);
  const admitted = { echo: echos.answers.length, "get-sum": sums.answers.length };
  for (const [tool, a_minute] of Object.entries({ echo: 3, "get-sum": 20 })) {
    const back = Math.floor(((Date.now() - started) * a_minute) / 60_000);
    const exact = admitted[tool] >= a_minute && admitted[tool] <= a_minute + back;
    ensure(exact, `${admitted[tool]} calls of ${tool} passed, ${a_minute} a minute may; ${back} came back`);
  }
  for (const refusal of echos.refusals) check429(refusal, "echo");
  for (const refusal of sums.refusals) check429(refusal, "get-sum");
  return admitted;
}
