// An issuer that changes its keys, is slow, answers garbage, or is not there: at a gateway and an issuer of its own.
// The issuer is down when the gateway starts.                usage: node issuer.mjs PLACE (JSON, see guarded.mjs)
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { decode, encodeJwt } from "../servers/authorization_keys.mjs";
import { INITIALIZE, asked, at, control, place, send } from "./guarded.mjs";
import { connect, echo } from "./oauth_connect.mjs";
import { Person } from "./oauth_provider.mjs";
import { ensure, eventually, finish, scenario } from "./talk.mjs";

const SERVER = "everything";
const COOL_DOWN_MS = 10_000;
const KEYS_PATH = "/jwks";

const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });

/** A token as the issuer would make it, but of a key that nobody knows. */
function ofUnknownKey() {
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: place.issuer, aud: at(SERVER), sub: "mallory", client_id: "x", iat: now, exp: now + 300 };
  return encodeJwt({ alg: "ES256", kid: randomUUID(), typ: "at+jwt" }, claims, privateKey);
}

const statusOf = async (token) => (await send(SERVER, { token, message: INITIALIZE })).status;
const fetchesOfKeys = async () => (await asked()).filter(({ path }) => path === KEYS_PATH);
const kidOf = (token) => decode(token.split(".")[0]).kid;

await scenario("an issuer that is down at the start comes up", async (facts) => {
  const early = await send(SERVER, { token: ofUnknownKey(), message: INITIALIZE });
  facts.early = early.status;
  ensure(early.status === 503, `with no keys there: ${early.status}`);
  ensure(early.response.headers.get("retry-after"), "503 without Retry-After");
  await control({ fault: null });
  const person = new Person("alice");
  const login = async () => {
    try {
      return await connect(person, SERVER);
    } catch (error) {
      if (!String(error).includes("503") && error.code !== 503) throw error;
      await sleep(500);
      return undefined;
    }
  };
  const { client } = await eventually(login, "alice is served", COOL_DOWN_MS + 5_000);
  ensure((await echo(client, "at last")) === "Echo: at last", "no echo");
  await client.close();
});

await scenario("the issuer's key changes while calls go on", async (facts) => {
  const old = await connect(new Person("alice"), SERVER);
  let calls = 0;
  let over = false;
  const calling = (async () => {
    while (!over) {
      ensure((await echo(old.client, `call ${calls}`)) === `Echo: call ${calls}`, "no echo");
      calls += 1;
      await sleep(20);
    }
  })();
  const { kid } = await control({ rotate: true });
  const late = new Person("bob");
  const login = () => connect(late, SERVER).catch(() => sleep(500));
  const fresh = await eventually(login, "a token of the new key is accepted", COOL_DOWN_MS + 5_000);
  ensure(kidOf(late.accessToken) === kid && kidOf(old.person.accessToken) !== kid, "not the keys that were meant");
  ensure((await echo(fresh.client, "new")) === "Echo: new", "no echo");
  over = true;
  await calling;
  facts.calls = calls > 0;
  await Promise.all([old.client.close(), fresh.client.close()]);
});

await scenario("a flood of unknown keys does not reach the issuer", async () => {
  const before = (await fetchesOfKeys()).length;
  const began = Date.now();
  const statuses = [];
  while (Date.now() - began < 3_000) {
    statuses.push(...(await Promise.all(Array.from({ length: 20 }, () => statusOf(ofUnknownKey())))));
  }
  // Until the keys may be fetched again a key may be new: 503, so that nobody throws a good token away.
  const strange = statuses.filter((status) => status !== 401 && status !== 503);
  ensure(strange.length === 0, `${strange.length} of ${statuses.length} were served: ${[...new Set(strange)]}`);
  const fetches = (await fetchesOfKeys()).slice(before);
  ensure(fetches.length <= 1, `${statuses.length} unknown keys made ${fetches.length} fetches`);
  const times = (await fetchesOfKeys()).map(({ at }) => at);
  const gaps = times.slice(1).map((at, index) => at - times[index]);
  // Fetches that failed are tried again sooner; here all from the first success on count.
  ensure(gaps.at(-1) === undefined || gaps.at(-1) >= COOL_DOWN_MS - 500, `fetches ${gaps} ms apart`);
});

for (const fault of ["slow", "garbage", "down"]) {
  await scenario(`known tokens go on while the issuer is ${fault}`, async () => {
    const { client, person } = await connect(new Person("alice"), SERVER);
    await control({ fault, paths: fault === "down" ? [] : [KEYS_PATH] });
    // The cool-down is over, so that these make the gateway ask.
    const isOver = async () => Date.now() - (await fetchesOfKeys()).at(-1).at > COOL_DOWN_MS;
    await eventually(isOver, "the end of the cool-down", 15_000);
    const strangers = Array.from({ length: 20 }, () => statusOf(ofUnknownKey()));
    const began = Date.now();
    for (const word of ["one", "two", "three"]) ensure((await echo(client, word)) === `Echo: ${word}`, word);
    const took = Date.now() - began;
    ensure(took < 2_000, `known callers waited ${took} ms for the issuer`);
    const statuses = await Promise.all(strangers);
    ensure(
      statuses.every((status) => status === 401 || status === 503),
      `strangers got ${statuses}`,
    );
    ensure((await statusOf(person.accessToken)) === 200, "the known token was refused afterwards");
    await control({ fault: null });
    await client.close();
  });
}

finish();
