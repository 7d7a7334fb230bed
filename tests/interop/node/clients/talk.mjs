// What every client here shares: run scenarios one by one, observe facts, print one JSON line for each.
// The runner reads the lines; run directly and through the gateway, the facts must be the same.
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

/** A stuck scenario is a failed one; generous, because two busy cores may run everything. */
const SCENARIO_MS_MAX = 20_000;

/** Runs `body(facts)`; what it puts into `facts` is compared, what it throws is the failure. */
export async function scenario(name, body) {
  const facts = {};
  const started = Date.now();
  let why;
  try {
    await Promise.race([body(facts), expire()]);
  } catch (error) {
    why = error?.stack ?? String(error);
  }
  print({ scenario: name, ok: why === undefined, why, facts, milliseconds: Date.now() - started });
}

async function expire() {
  await sleep(SCENARIO_MS_MAX, undefined, { ref: false });
  throw new Error(`no end after ${SCENARIO_MS_MAX} ms`);
}

function print(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** Ends the process even if a client left a socket open; scenarios have been printed by then. */
export function finish() {
  process.stdout.write("", () => process.exit(0));
}

export function ensure(condition, words) {
  if (!condition) throw new Error(words);
}

/** The first text of a tool result. */
export function textOf(result) {
  return result.content?.find((item) => item.type === "text")?.text;
}

/** A fact of fixed size that differs when anything in `value` differs. */
export function digest(value) {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16);
}

/** What a refused call says, without what differs from run to run. */
export function fault(error) {
  return { code: error.code, message: error.message };
}

export async function refused(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("the call was answered, a refusal was expected");
}

/** Waits until `probe` returns something true; it polls, so that nothing depends on one exact moment. */
export async function eventually(probe, words, milliseconds_max = 10_000) {
  const deadline = Date.now() + milliseconds_max;
  while (Date.now() < deadline) {
    const value = await probe();
    if (value) return value;
    await sleep(25);
  }
  throw new Error(`never happened: ${words}`);
}

export function ticket() {
  return `ticket-${process.pid}-${Date.now()}-${Math.random().toString(36).slice(2)}`;
}

/** Notes when each progress report of one call came, and when its result. */
export class Arrivals {
  events = [];
  note = (what) => this.events.push({ what, at: Date.now() });

  /**
   * Progress came in order, before the result, and spread over time as the server sent it. The last report may be
   * missing: when it comes together with the result, the SDK may settle the call first.
   */
  check({ steps, spread_ms_min }) {
    const progress = this.events.slice(0, -1);
    const story = this.events.map((event) => event.what).join(" ");
    ensure(this.events.at(-1)?.what === "result", `the result did not come last: ${story}`);
    ensure(
      progress.every(({ what }, index) => what === index + 1),
      `not in order: ${story}`,
    );
    ensure(progress.length === steps || progress.length === steps - 1, `not ${steps} reports: ${story}`);
    const spread = progress.at(-1).at - progress[0].at;
    ensure(spread >= spread_ms_min, `progress came within ${spread} ms: it was held back`);
  }
}

/** Status, media type and body of a raw request, with `id` and everything else as received. */
export async function raw(url, method, headers, body) {
  const response = await fetch(url, { method, headers, body, signal: AbortSignal.timeout(10_000) });
  const text = await response.text();
  return { status: response.status, type: response.headers.get("content-type"), body: text };
}
