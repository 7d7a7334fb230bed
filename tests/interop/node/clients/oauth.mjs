// The official TypeScript SDK 1.x with its OAuth client, against server-everything behind a gateway that wants tokens:
// discovery from the challenge, registration, PKCE, expiry, refresh, step-up.
// usage: node oauth.mjs PLACE (JSON, see guarded.mjs)
import { auth, UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { ClientCredentialsProvider } from "@modelcontextprotocol/sdk/client/auth-extensions.js";
import { INITIALIZE, asked, at, challengeOf, outlive, place, send } from "./guarded.mjs";
import { connect, echo, names, same } from "./oauth_connect.mjs";
import { Person } from "./oauth_provider.mjs";
import { ensure, eventually, finish, refused, scenario, textOf } from "./talk.mjs";

const SERVER = "everything";

/**
 * The stream of a GET ends with its token. If the SDK opens it again while a call is under way, both want a new token:
 * two refreshes with one refresh token, or two logins. Whoever looks at one of them keeps the stream from coming back.
 */
const NO_STREAM = { reconnectionOptions: reconnection(60_000) };

function reconnection(milliseconds) {
  const [initialReconnectionDelay, maxReconnectionDelay] = [milliseconds, milliseconds];
  return { initialReconnectionDelay, maxReconnectionDelay, reconnectionDelayGrowFactor: 1, maxRetries: 10 };
}

await scenario("discovery, registration, login, list, call", async (facts) => {
  const paths = [];
  const watching = (url, init) => (paths.push(new URL(url).pathname), fetch(url, init));
  const person = new Person("alice");
  const { client, transport } = await connect(person, SERVER, { fetch: watching });
  facts.tools = names((await client.listTools()).tools);
  facts.answer = await echo(client, "I am in");
  ensure(facts.answer === "Echo: I am in", facts.answer);

  const metadata = `/.well-known/oauth-protected-resource/${SERVER}/mcp`;
  ensure(paths[0] === `/${SERVER}/mcp` && paths[1] === metadata, `went first to ${paths.slice(0, 3)}`);
  const [request] = person.requests;
  ensure(request.code_challenge_method === "S256", "no PKCE");
  ensure(request.resource === at(SERVER), `a token was asked for ${request.resource}`);
  ensure(request.scope === "mcp:use", `scopes asked for: ${request.scope}, not those of the challenge`);
  ensure(person.logins[0].iss === place.issuer, "the redirect does not name the issuer");
  await transport.terminateSession();
  await client.close();
});

await scenario("an expired token is refreshed", async (facts) => {
  const person = new Person("alice", { lifetime: 2 });
  const { client } = await connect(person, SERVER, NO_STREAM);
  facts.before = await echo(client, "before");
  const first = person.accessToken;
  await outlive(2);
  const bare = await send(SERVER, { token: first, message: INITIALIZE });
  ensure(bare.status === 401, `the expired token was answered with ${bare.status}`);
  ensure(challengeOf(bare.challenge).error === "invalid_token", `challenge: ${bare.challenge}`);

  facts.after = await echo(client, "after");
  const entries = (await asked(person.clientId)).filter(({ path }) => path === "/token");
  facts.grants = entries.map((entry) => entry.grant_type);
  ensure(facts.grants.join() === "authorization_code,refresh_token", `grants: ${facts.grants}`);
  ensure(person.accessToken !== first && person.logins.length === 1, "the person had to log in again");
  await client.close();
});

await scenario("an expired token without refresh: the person logs in again, the session goes on", async (facts) => {
  const person = new Person("alice", { lifetime: 2, refresh: "no" });
  const { client, transport } = await connect(person, SERVER, NO_STREAM);
  const session = transport.sessionId;
  facts.before = await echo(client, "before");
  await outlive(2);
  const error = await refused(echo(client, "with an expired token"));
  ensure(error instanceof UnauthorizedError, `the SDK said ${error}`);
  await transport.finishAuth(person.comeBack().get("code"));
  facts.after = await echo(client, "after");
  ensure(transport.sessionId === session, "another session");
  ensure(person.logins.length === 2, `${person.logins.length} logins`);
  await client.close();
});

await scenario("a stream ends with its token, and comes back with a new one", async () => {
  const streams = [];
  const watching = async (url, init) => {
    const response = await fetch(url, init);
    const token = new Headers(init?.headers).get("authorization");
    if (init?.method === "GET" && String(url) === at(SERVER)) streams.push({ status: response.status, token });
    return response;
  };
  const person = new Person("alice", { lifetime: 2 });
  const options = { fetch: watching, reconnectionOptions: reconnection(200) };
  const { client } = await connect(person, SERVER, options);
  const isBack = () => streams.at(-1)?.status === 200 && streams.at(-1).token !== streams[0].token;
  await eventually(isBack, "the stream is there again", 10_000);
  ensure(streams[0].status === 200, `the first stream: ${streams[0].status}`);
  ensure(person.logins.length === 1, `${person.logins.length} logins`);
  await client.close();
});

await scenario("a token for another server is refused", async () => {
  const { client, person } = await connect(new Person("alice"), SERVER);
  const answer = await send("modern", { token: person.accessToken, message: INITIALIZE });
  const challenge = challengeOf(answer.challenge);
  ensure(answer.status === 401 && challenge.error === "invalid_token", `${answer.status} ${answer.challenge}`);
  const metadata = `${place.gateway}/.well-known/oauth-protected-resource/modern/mcp`;
  ensure(challenge.resource_metadata === metadata, `sent to ${challenge.resource_metadata}`);
  await client.close();
});

await scenario("without a token, everything is refused", async () => {
  for (const method of ["POST", "GET", "DELETE"]) {
    const answer = await send(SERVER, { method, session: "any", message: method === "POST" ? INITIALIZE : undefined });
    const challenge = challengeOf(answer.challenge);
    ensure(answer.status === 401, `${method}: ${answer.status}`);
    ensure(challenge.resource_metadata && !challenge.error, `${method}: ${answer.challenge}`);
  }
  const { person, client } = await connect(new Person("alice"), SERVER);
  const url = `${at(SERVER)}?access_token=${person.accessToken}`;
  const { status } = await send(url, { message: INITIALIZE });
  ensure(status === 400 || status === 401, `a token in the query: ${status}`);
  await client.close();
});

const getEnv = (client) => client.callTool({ name: "get-env", arguments: {} });

await scenario("step-up: a tool that needs a further scope", async () => {
  const person = new Person("bob", { refresh: "no" });
  const { client, transport } = await connect(person, SERVER);
  const error = await refused(getEnv(client));
  ensure(error instanceof UnauthorizedError, `the SDK said ${error}`);
  const wished = person.requests.at(-1).scope.split(" ").sort().join(" ");
  ensure(wished === "env:read mcp:use", `the challenge led to scopes ${wished}`);
  await transport.finishAuth(person.comeBack().get("code"));
  ensure(textOf(await getEnv(client)).includes("PATH"), "no environment in the answer");
  // A list shows what the caller may use as it is, so the tool is in it from now on.
  same(names((await client.listTools()).tools), ["echo", "get-env", "get-tiny-image"]);
  await client.close();
});

// This SDK refreshes before it asks for more, and a refresh cannot bring scopes that were not granted. It then gives
// up; an application forgets the refresh token and lets the person log in.
await scenario("step-up with a refresh token at hand", async () => {
  const person = new Person("bob");
  const { client, transport } = await connect(person, SERVER);
  const error = await refused(getEnv(client));
  ensure(error.code === 403, `the SDK said ${error}`);
  person.forgetRefreshToken();
  const scope = "mcp:use env:read";
  const said = await auth(person, { serverUrl: at(SERVER), scope });
  ensure(said === "REDIRECT", said);
  await transport.finishAuth(person.comeBack().get("code"));
  ensure(textOf(await getEnv(client)).includes("PATH"), "no environment in the answer");
  await client.close();
});

await scenario("an agent for itself: client credentials", async () => {
  const provider = new ClientCredentialsProvider({
    clientId: "batch",
    clientSecret: place.batch_secret,
    expectedIssuer: place.issuer,
    scope: "mcp:use",
  });
  const { client } = await connect(provider, SERVER);
  same(names((await client.listTools()).tools), ["echo", "get-tiny-image"]);
  ensure((await echo(client, "alone")) === "Echo: alone", "no echo");
  await client.close();
});

finish();
