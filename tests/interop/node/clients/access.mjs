// What each role sees and may do, with the TypeScript SDK 1.x and server-everything, which answers in server-sent
// events; sessions of others; callers with an API key or an opaque token.
// usage: node access.mjs PLACE (JSON, see guarded.mjs)
import { INITIALIZE, asked, place, send } from "./guarded.mjs";
import { connect, echo, names, same } from "./oauth_connect.mjs";
import { Person } from "./oauth_provider.mjs";
import { ensure, fault, finish, scenario, textOf } from "./talk.mjs";

const SERVER = "everything";

await scenario("two roles see different lists", async (facts) => {
  for (const name of ["alice", "bob"]) {
    const { client } = await connect(new Person(name), SERVER);
    facts[name] = {
      tools: names((await client.listTools()).tools),
      prompts: names((await client.listPrompts()).prompts),
      resources: (await client.listResources()).resources.map(({ uri }) => uri).sort(),
      templates: (await client.listResourceTemplates()).resourceTemplates.map(({ uriTemplate }) => uriTemplate).sort(),
    };
    await client.close();
  }
  const { alice, bob } = facts;
  same(alice.tools, ["echo", "get-sum"]);
  same(bob.tools, ["echo", "get-tiny-image"]);
  same(alice.prompts, ["simple-prompt"]);
  same(bob.prompts, ["args-prompt"]);
  const isFeatures = (uri) => uri.endsWith("/features.md");
  ensure(alice.resources.length > 0 && alice.resources.every(isFeatures), `alice sees ${alice.resources}`);
  ensure(bob.resources.length > 1 && !bob.resources.some(isFeatures), `bob sees ${bob.resources}`);
  same(alice.templates, []);
  ensure(bob.templates.length > 0, "bob sees no template");
});

const call = (name) => (client) => client.callTool({ name, arguments: { a: 1, b: 2 } });
const prompt = (name) => (client) => client.getPrompt({ name, arguments: { city: "Paris" } });
const read = (document) => (client) => client.readResource({ uri: `demo://resource/static/document/${document}.md` });

/** How a denial is told: the text of a result with isError, as servers answer for a tool they do not have, or an error. */
async function toldOf(call) {
  const answer = await call.catch((error) => ({ fault: fault(error) }));
  if (answer.fault) return answer.fault;
  ensure(answer.isError, `served: ${JSON.stringify(answer)}`);
  return { code: "isError", message: answer.content[0].text };
}

/** What is denied, who may have it and who may not, and how the unknown is told. */
const DENIED = [
  { ask: call, denied: "get-tiny-image", may: "bob", may_not: "alice", code: "isError" },
  { ask: call, denied: "get-sum", may: "alice", may_not: "bob", code: "isError" },
  { ask: prompt, denied: "args-prompt", may: "bob", may_not: "alice", code: -32602 },
  { ask: read, denied: "startup", may: "bob", may_not: "alice", code: -32002 },
];

await scenario("two roles cannot call across, and learn nothing", async () => {
  const clients = {};
  for (const name of ["alice", "bob"]) clients[name] = (await connect(new Person(name), SERVER)).client;
  for (const { ask, denied, may, may_not, code } of DENIED) {
    const answer = await ask(denied)(clients[may]);
    ensure(!answer.isError, `${denied} for ${may}: ${JSON.stringify(answer)}`);
    const told = await toldOf(ask(denied)(clients[may_not]));
    const unknown = await toldOf(ask("no-such")(clients[may_not]));
    ensure(told.code === code, `${denied} for ${may_not}: ${JSON.stringify(told)}`);
    same(told, { ...unknown, message: unknown.message.replaceAll("no-such", denied) });
  }
  await Promise.all(Object.values(clients).map((client) => client.close()));
});

await scenario("lists are filtered in server-sent events", async () => {
  const { transport, client, person } = await connect(new Person("alice"), SERVER);
  const message = { method: "tools/list", params: {} };
  const answer = await send(SERVER, { token: person.accessToken, session: transport.sessionId, message });
  ensure(answer.type.startsWith("text/event-stream"), `answered with ${answer.type}`);
  const [, data] = /^data: (.+)$/m.exec(answer.body);
  same(names(JSON.parse(data).result.tools), ["echo", "get-sum"]);
  ensure(!answer.body.includes("get-env"), "a hidden tool is in the bytes");
  await client.close();
});

await scenario("another's session id is nothing", async (facts) => {
  const [alice, bob] = [await connect(new Person("alice"), SERVER), await connect(new Person("bob"), SERVER)];
  const session = alice.transport.sessionId;
  const token = bob.person.accessToken;
  const message = { method: "tools/call", params: { name: "echo", arguments: { message: "as alice" } } };
  for (const method of ["POST", "GET", "DELETE"]) {
    const request = { token, session, method, message: method === "POST" ? message : undefined };
    const { status } = await send(SERVER, request);
    ensure(status === 404, `${method}: ${status}`);
  }
  facts.alive = await echo(alice.client, "still here");
  await Promise.all([alice.client.close(), bob.client.close()]);
});

await scenario("an API key", async () => {
  const requestInit = { headers: { "X-Api-Key": place.api_key } };
  const { client } = await connect(undefined, SERVER, { requestInit });
  same(names((await client.listTools()).tools), ["echo", "get-sum"]);
  ensure((await echo(client, "with a key")) === "Echo: with a key", "no echo");
  await client.close();
  const broken = place.api_key.slice(0, -1) + (place.api_key.endsWith("A") ? "B" : "A");
  const { status } = await send(SERVER, { message: INITIALIZE, headers: { "x-api-key": broken } });
  ensure(status === 401, `a wrong key: ${status}`);
});

await scenario("an opaque token is asked about", async () => {
  const count = async () => (await asked()).filter(({ path }) => path === "/introspect").length;
  const before = await count();
  const { client, person } = await connect(new Person("alice", { opaque: "yes" }), SERVER);
  ensure(person.accessToken.startsWith("opaque-"), "the token is not opaque");
  for (const message of ["one", "two", "three"]) await echo(client, message);
  same(names((await client.listTools()).tools), ["echo", "get-sum"]);
  const questions = (await count()) - before;
  // A second worker may ask for itself.
  ensure(questions >= 1 && questions <= 2, `asked ${questions} times about one token`);
  const { status } = await send(SERVER, { token: "opaque-made-up", message: INITIALIZE });
  ensure(status === 401, `a made-up opaque token: ${status}`);
  await client.close();
});

finish();
