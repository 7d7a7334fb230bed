// The TypeScript SDK 2.x with its OAuth client: revision 2026-07-28 against the SDK's own server, and its legacy mode
// against server-everything.     usage: node oauth_modern.mjs PLACE (JSON, see guarded.mjs)
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from "@modelcontextprotocol/client";
import { asked, at, outlive, place } from "./guarded.mjs";
import { Person } from "./oauth_provider.mjs";
import { ensure, finish, refused, scenario, textOf } from "./talk.mjs";

const REVISION = "2026-07-28";

/** Remembers also what was discovered, so that the SDK can tell whether the login came back from the same issuer. */
class Visitor extends Person {
  #discovered;
  discoveryState = () => this.#discovered;
  saveDiscoveryState = (discovered) => void (this.#discovered = discovered);
}

/** Connects, with a login where one is needed. */
async function connect(person, server = "modern") {
  const transport = new StreamableHTTPClientTransport(new URL(at(server)), { authProvider: person });
  try {
    return await attempt(transport);
  } catch (error) {
    const cause = isUnauthorized(error);
    if (!cause) throw error;
    await transport.finishAuth(person.comeBack());
  }
  return attempt(new StreamableHTTPClientTransport(new URL(at(server)), { authProvider: person }));
}

async function attempt(transport) {
  const client = new Client({ name: "ringgate-interop", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } });
  await client.connect(transport);
  return { client, transport };
}

function isUnauthorized(error) {
  return error instanceof UnauthorizedError || error?.cause instanceof UnauthorizedError;
}

const names = (list) => list.map((item) => item.name).sort();
const call = (client, name, args = {}) => client.callTool({ name, arguments: args });

await scenario("discovery, registration, login, list, call", async (facts) => {
  const person = new Visitor("alice");
  const { client } = await connect(person);
  facts.revision = client.getNegotiatedProtocolVersion();
  ensure(facts.revision === REVISION, `revision ${facts.revision}`);
  facts.answer = textOf(await call(client, "echo", { message: "grüße" }));
  ensure(facts.answer === "grüße", facts.answer);
  ensure(person.requests[0].resource === at("modern"), `a token was asked for ${person.requests[0].resource}`);
  ensure(person.logins[0].iss === place.issuer, "the redirect does not name the issuer");
  await client.close();
});

await scenario("an expired token is refreshed", async (facts) => {
  const person = new Visitor("alice", { lifetime: 2 });
  const { client } = await connect(person);
  const first = person.accessToken;
  await outlive(2);
  facts.after = textOf(await call(client, "echo", { message: "after" }));
  const entries = (await asked(person.clientId)).filter(({ path }) => path === "/token");
  facts.grants = entries.map((entry) => entry.grant_type);
  ensure(facts.grants.join() === "authorization_code,refresh_token", `grants: ${facts.grants}`);
  ensure(person.accessToken !== first, "still the first token");
  await client.close();
});

await scenario("an expired token without refresh: the person logs in again", async () => {
  const person = new Visitor("alice", { lifetime: 2, refresh: "no" });
  const { client, transport } = await connect(person);
  await outlive(2);
  const error = await refused(call(client, "echo", { message: "late" }));
  ensure(isUnauthorized(error), `the SDK said ${error}`);
  await transport.finishAuth(person.comeBack());
  ensure(textOf(await call(client, "echo", { message: "back" })) === "back", "no echo");
  ensure(person.logins.length === 2, `${person.logins.length} logins`);
  await client.close();
});

// Unlike its forerunner, this SDK does not try a refresh where scopes are missing.
await scenario("step-up: a tool that needs a further scope", async () => {
  const person = new Visitor("bob");
  const { client, transport } = await connect(person);
  const error = await refused(call(client, "test_image_content"));
  ensure(isUnauthorized(error), `the SDK said ${error}`);
  const wished = person.requests.at(-1).scope.split(" ").sort().join(" ");
  ensure(wished === "env:read mcp:use", `the challenge led to scopes ${wished}`);
  await transport.finishAuth(person.comeBack());
  ensure((await call(client, "test_image_content")).content[0].type === "image", "no image");
  await client.close();
});

await scenario("two roles see different lists and cannot call across", async (facts) => {
  const alice = (await connect(new Visitor("alice"))).client;
  const bob = (await connect(new Visitor("bob"))).client;
  facts.alice = names((await alice.listTools()).tools);
  facts.bob = names((await bob.listTools()).tools);
  ensure(facts.alice.join() === "echo,test_simple_text", `alice sees ${facts.alice}`);
  ensure(facts.bob.join() === "echo,test_error_handling", `bob sees ${facts.bob}`);
  const told = async (tool) => {
    const { isError, content } = await call(alice, tool);
    ensure(isError, `${tool} was served`);
    return content[0].text;
  };
  facts.refused = await told("test_error_handling");
  const unknown = await told("no_such_tool");
  ensure(
    facts.refused === unknown.replace("no_such_tool", "test_error_handling"),
    `${facts.refused} where an unknown tool gets ${unknown}`,
  );
  ensure((await call(bob, "test_error_handling")).isError, "bob was not served");
  await Promise.all([alice.close(), bob.close()]);
});

await scenario("falls back to a legacy server", async (facts) => {
  const { client } = await connect(new Visitor("alice"), "everything");
  facts.revision = client.getNegotiatedProtocolVersion();
  facts.tools = names((await client.listTools()).tools);
  ensure(facts.revision === "2025-11-25" && facts.tools.join() === "echo,get-sum", JSON.stringify(facts));
  await client.close();
});

finish();
