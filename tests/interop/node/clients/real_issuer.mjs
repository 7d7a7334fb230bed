// The official TypeScript SDK 1.x or 2.x logs in at an authorization server that others wrote, and calls through the
// gateway.
// usage: node real_issuer.mjs PLACE oidc-provider|django sdk1|sdk2 (JSON, see guarded.mjs; `revoked`, `secret`: files)
import { appendFileSync, writeFileSync } from "node:fs";
import { INITIALIZE, at, outlive, place, send } from "./guarded.mjs";
import { ensure, eventually, finish, refused, scenario, textOf } from "./talk.mjs";

const [issuer, sdk] = process.argv.slice(3);
const { Visitor, comeBack, connect, echo, isUnauthorized, names, same } = await import(
  sdk === "sdk2" ? "./oauth_connect_modern.mjs" : "./oauth_connect.mjs"
);
const IS_DJANGO = issuer === "django";
const BRIEF_SECONDS = 3;
const CACHE_SECONDS = 1;
const REVOKED_MS_MAX = 15_000;
const REVOCATION = IS_DJANGO ? "/revoke_token/" : "/token/revocation";

/** The answer of a token's first use decides, so no stream may meet it before the call does. */
const NO_STREAM = {
  reconnectionOptions: {
    initialReconnectionDelay: 60_000,
    maxReconnectionDelay: 60_000,
    reconnectionDelayGrowFactor: 1,
    maxRetries: 1,
  },
};

const isJwt = (token) => token.split(".").length === 3;
const claims = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
const status = async (server, token) => (await send(server, { token, message: INITIALIZE })).status;

async function ask(path, fields) {
  const response = await fetch(place.issuer + path, { method: "POST", body: new URLSearchParams(fields) });
  ensure(response.ok, `${path}: ${response.status} ${await response.text()}`);
}

/** The call leads to a login; the person agrees, and it is made again. */
async function afterLogin(connection, call) {
  const error = await refused(call());
  ensure(isUnauthorized(error), `the SDK said ${error}`);
  await comeBack(connection.transport, connection.person);
  return await call();
}

async function login(server, jwt) {
  const person = new Visitor("alice");
  const { client } = await connect(person, server, NO_STREAM);
  same(names((await client.listTools()).tools), ["echo"]);
  ensure((await echo(client, "I am in")) === "Echo: I am in", "no echo");
  ensure(isJwt(person.accessToken) === jwt, `a token of another form: ${person.accessToken.slice(0, 20)}...`);
  const [request] = person.requests;
  ensure(request.resource === at(server), `a token was asked for ${request.resource}`);
  await client.close();
  return person;
}

async function stepUp(server) {
  const person = new Visitor("bob");
  const connection = await connect(person, server, NO_STREAM);
  person.forgetRefreshToken();
  const call = () => connection.client.callTool({ name: "get-env", arguments: {} });
  const answer = await afterLogin(connection, call);
  ensure(textOf(answer).includes("PATH"), "no environment in the answer");
  same(names((await connection.client.listTools()).tools), ["echo", "get-env"]);
  await connection.client.close();
}

async function revokedAtTheIssuer(server) {
  const person = new Visitor("alice");
  const connection = await connect(person, server, NO_STREAM);
  const first = person.accessToken;
  await echo(connection.client, "before");
  await ask(REVOCATION, { token: first, client_id: person.clientId });
  await outlive(CACHE_SECONDS);
  ensure((await status(server, first)) === 401, "the revoked token is still good");
  person.forgetRefreshToken();
  const answer = await afterLogin(connection, () => echo(connection.client, "after"));
  ensure(answer === "Echo: after" && person.accessToken !== first, answer);
  await connection.client.close();
}

async function anotherServer(from, to) {
  const { person, client } = await connect(new Visitor("alice"), from, NO_STREAM);
  ensure((await status(from, person.accessToken)) === 200, "not good where it is for");
  ensure((await status(to, person.accessToken)) === 401, `a token for ${from} is good at ${to}`);
  await client.close();
}

if (IS_DJANGO) {
  await scenario("opaque token: registration, login, list, call", () => login("opaque", false));
  await scenario("an expired token is refreshed", async () => {
    const { person, client } = await connect(new Visitor("alice"), "opaque", NO_STREAM);
    const first = person.accessToken;
    await ask("/expire", { client_id: person.clientId });
    await outlive(CACHE_SECONDS);
    ensure((await echo(client, "after")) === "Echo: after", "no echo");
    ensure(person.accessToken !== first && person.logins.length === 1, `${person.logins.length} logins`);
    await client.close();
  });
  await scenario("step-up: a tool that needs a further scope", () => stepUp("opaque"));
  await scenario("a token that the issuer revokes", () => revokedAtTheIssuer("opaque"));
} else {
  await scenario("JWT: registration, login, list, call", async () => {
    const person = await login("everything", true);
    const { aud, iss } = claims(person.accessToken);
    ensure(aud === at("everything") && iss === place.issuer, `aud ${aud}, iss ${iss}`);
  });
  await scenario("opaque token: registration, login, list, call", () => login("opaque", false));
  await scenario("an expired JWT is refreshed", async () => {
    const { person, client } = await connect(new Visitor("alice"), "brief", NO_STREAM);
    const first = person.accessToken;
    ensure(person.refreshToken, "no refresh token");
    await outlive(BRIEF_SECONDS);
    ensure((await echo(client, "after")) === "Echo: after", "no echo");
    ensure(person.accessToken !== first && person.logins.length === 1, `${person.logins.length} logins`);
    await client.close();
  });
  await scenario("a further scope comes with the first login, where the challenge names all", async () => {
    const { person, client } = await connect(new Visitor("bob"), "all-scopes", NO_STREAM);
    const answer = await client.callTool({ name: "get-env", arguments: {} });
    ensure(textOf(answer).includes("PATH"), "no environment in the answer");
    ensure(person.requests.length === 1, `${person.requests.length} logins`);
    await client.close();
  });
  await scenario("a client that registered with the scopes of the challenge cannot step up", async () => {
    const error = await refused(stepUp("everything"));
    ensure(String(error).includes("invalid_scope"), `the SDK said ${error}`);
  });
  await scenario("an opaque token that the issuer revokes", () => revokedAtTheIssuer("opaque"));
  await scenario("a token for another server is refused", async () => {
    await anotherServer("everything", "brief");
    await anotherServer("opaque", "everything");
  });
  await scenario("a JWT that the operator revokes while another file is bad", async () => {
    const { person, client } = await connect(new Visitor("alice"), "everything", NO_STREAM);
    ensure((await echo(client, "before")) === "Echo: before", "no echo");
    writeFileSync(place.secret, "");
    appendFileSync(place.revoked, `jti:${claims(person.accessToken).jti}\n`);
    const isGone = async () => (await status("everything", person.accessToken)) === 401;
    await eventually(isGone, "the token is refused", REVOKED_MS_MAX);
    const first = person.accessToken;
    ensure((await echo(client, "after")) === "Echo: after", "the session did not go on");
    ensure(person.accessToken !== first, "with the revoked token");
    writeFileSync(place.secret, "a-secret");
    await client.close();
  });
}
finish();
