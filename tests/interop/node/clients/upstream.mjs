// What a server behind the gateway gets to see of a caller: never the caller's token; where that is configured, a
// token in exchange (RFC 8693) or one of the gateway's own, and who calls in a JWT of the gateway.
// usage: node upstream.mjs PLACE (JSON, see guarded.mjs)
import { verifyJwt } from "../servers/authorization_keys.mjs";
import { asked, get, place, send } from "./guarded.mjs";
import { connect, echo } from "./oauth_connect.mjs";
import { Person } from "./oauth_provider.mjs";
import { ensure, finish, scenario } from "./talk.mjs";

const ASSERTION = "x-ringgate-identity";
const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";

/** What the recording server got since `length` requests. */
const recorded = async (length = 0) => (await get(`${place.recorder}/log`)).slice(length);
const valuesOf = (entry, name) => entry.headers.filter(([header]) => header === name).map(([, value]) => value);

/** Logs in, talks, leaves; what the server saw of it. */
async function talk(server, person, message) {
  const before = (await recorded()).length;
  const { client, transport } = await connect(person, server);
  ensure((await echo(client, message)) === `echo: ${message}`, "no echo");
  await transport.terminateSession();
  await client.close();
  return await recorded(before);
}

await scenario("the caller's token goes no further", async (facts) => {
  const person = new Person("alice");
  const entries = await talk("plain", person, "plain");
  facts.seen = entries.map(({ http, method }) => method ?? http);
  for (const word of ["initialize", "tools/call", "GET", "DELETE"]) ensure(facts.seen.includes(word), `no ${word}`);
  for (const entry of entries) {
    const said = JSON.stringify(entry.headers);
    ensure(valuesOf(entry, "authorization").length === 0, `authorization was sent: ${said}`);
    ensure(!said.includes(person.accessToken), `the token was sent: ${said}`);
  }
});

await scenario("an API key goes no further", async () => {
  const before = (await recorded()).length;
  for (const headers of [{ "x-api-key": place.api_key }, { authorization: `Bearer ${place.api_key}` }]) {
    const { status } = await send("plain", { message: { method: "initialize", params: {} }, headers });
    ensure(status === 200, `${Object.keys(headers)}: ${status}`);
  }
  const said = JSON.stringify(await recorded(before));
  ensure(said.includes("initialize"), "nothing arrived");
  ensure(!said.includes(place.api_key), `the key was sent: ${said}`);
});

await scenario("the server gets a token in exchange", async (facts) => {
  const person = new Person("alice");
  const entries = await talk("exchanged", person, "in exchange");
  const keys = await get(`${place.issuer}/jwks`);
  for (const entry of entries) {
    const [value, ...more] = valuesOf(entry, "authorization");
    ensure(value?.startsWith("Bearer ") && more.length === 0, `authorization: ${JSON.stringify(entry.headers)}`);
    ensure(!value.includes(person.accessToken), "the caller's own token was sent");
    const { claims } = verifyJwt(value.slice("Bearer ".length), keys);
    facts.claims = { aud: claims.aud, sub: claims.sub, client_id: claims.client_id };
    ensure(claims.aud === "urn:ringgate:recorder" && claims.sub === "alice", JSON.stringify(claims));
    ensure(claims.act.sub === person.clientId, `acted for by ${JSON.stringify(claims.act)}`);
  }
  const exchanges = (await asked()).filter((entry) => entry.grant_type === EXCHANGE);
  // One per worker at the most, not one per request.
  ensure(exchanges.length >= 1 && exchanges.length <= 2, `${exchanges.length} exchanges`);
  ensure(exchanges[0].audience === "urn:ringgate:recorder", JSON.stringify(exchanges[0]));
});

await scenario("each caller gets an exchanged token of their own", async () => {
  const [alice, bob] = [new Person("alice"), new Person("bob")];
  const ofAlice = await talk("exchanged", alice, "one");
  const ofBob = await talk("exchanged", bob, "two");
  const keys = await get(`${place.issuer}/jwks`);
  const subjects = (entries) =>
    new Set(entries.map((entry) => verifyJwt(valuesOf(entry, "authorization")[0].slice(7), keys).claims.sub));
  ensure([...subjects(ofAlice)].join() === "alice", "alice's requests went as someone else");
  ensure([...subjects(ofBob)].join() === "bob", "bob's requests went as someone else");
});

await scenario("a caller without a token has nothing to exchange", async (facts) => {
  const before = (await recorded()).length;
  const message = { method: "initialize", params: {} };
  const answer = await send("exchanged", { message, headers: { "x-api-key": place.api_key } });
  facts.status = answer.status;
  ensure(answer.status === 403, `an API key, where a token is exchanged: ${answer.status} ${answer.body}`);
  ensure((await recorded(before)).length === 0, "the server was asked all the same");
});

await scenario("the server gets a token of the gateway's own", async () => {
  const keys = await get(`${place.issuer}/jwks`);
  for (const name of ["alice", "bob"]) {
    const person = new Person(name);
    for (const entry of await talk("owned", person, "by the gateway")) {
      const [value, ...more] = valuesOf(entry, "authorization");
      ensure(value?.startsWith("Bearer ") && more.length === 0, `authorization: ${JSON.stringify(entry.headers)}`);
      const { claims } = verifyJwt(value.slice("Bearer ".length), keys);
      ensure(claims.sub === "gateway" && claims.aud === "urn:ringgate:owned", JSON.stringify(claims));
    }
  }
  const wishes = (await asked()).filter((entry) => entry.audience === "urn:ringgate:owned");
  ensure(wishes.length >= 1 && wishes.length <= 2, `${wishes.length} requests for one token`);
});

await scenario("the gateway says who calls, and signs it", async (facts) => {
  const person = new Person("alice");
  const entries = await talk("asserted", person, "signed");
  const keys = await get(`${place.admin}/.well-known/jwks.json`);
  ensure(
    keys.keys.every((key) => key.d === undefined),
    "a private key is published",
  );
  for (const entry of entries) {
    const values = valuesOf(entry, ASSERTION);
    ensure(values.length === 1, `${ASSERTION}: ${values}`);
    const { header, claims } = verifyJwt(values[0], keys);
    facts.header = { alg: header.alg, typ: header.typ };
    const seconds = Date.now() / 1000;
    ensure(claims.exp > seconds && claims.exp <= seconds + 61, `good until ${claims.exp}, now ${seconds}`);
    ensure(claims.iss === place.gateway && claims.aud === "asserted", JSON.stringify(claims));
    ensure(JSON.stringify(claims).includes(person.clientId), `the agent is not named: ${JSON.stringify(claims)}`);
    ensure(claims.sub === "alice", `about ${JSON.stringify(claims)}`);
    ensure(JSON.stringify(claims.roles) === '["support"]', `roles ${claims.roles}`);
    const { jti, iat, nbf, exp, iss, ...rest } = claims;
    facts.claims = Object.keys(rest).sort();
  }
});

await scenario("a client cannot say who it is", async () => {
  const { person, client } = await connect(new Person("alice"), "asserted");
  const before = (await recorded()).length;
  const forged = { [ASSERTION]: "forged", "X-RingGate-Identity": "forged too" };
  const { status } = await send("asserted", {
    token: person.accessToken,
    message: { method: "initialize", params: {} },
    headers: forged,
  });
  ensure(status === 200, `${status}`);
  const [entry] = await recorded(before);
  const values = valuesOf(entry, ASSERTION);
  ensure(values.length === 1 && !values[0].includes("forged"), `${ASSERTION}: ${values}`);
  await client.close();
});

finish();
