// An agent made of the official TypeScript SDK 2.x that comes to limits: at 2026-07-28 with the SDK's own server, and
// with server-everything.   usage: node limits_modern.mjs PLACE (JSON, see limited.mjs)
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { at, checkTwoRates, errorIn, keyOf } from "./limited.mjs";
import { ensure, finish, scenario, textOf } from "./talk.mjs";

async function connect(server) {
  const client = new Client({ name: "ringgate-interop", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } });
  await client.connect(new StreamableHTTPClientTransport(at(server), { requestInit: keyOf("typescript-2") }));
  const call = (name, args) => client.callTool({ name, arguments: args });
  return { client, call, echo: (message) => call("echo", { message }) };
}

/** Fails unless the SDK threw the gateway's 429 with its words. */
function check429(error, limit) {
  ensure(error.status === 429, `not a 429: ${error}`);
  const { code, data } = errorIn(error);
  ensure(code === 429 && data.limit === limit && data.retryAfter > 0, `says ${JSON.stringify({ code, data })}`);
}

await scenario("a loop is stopped, and the model can read why", async (facts) => {
  const { client, echo } = await connect("modern");
  facts.revision = client.getNegotiatedProtocolVersion();
  const answers = [];
  for (let turn = 1; turn <= 8; turn++) answers.push(await echo("is it done?"));
  const stopped = answers.filter(({ isError }) => isError);
  ensure(
    answers.slice(0, 5).every((answer) => textOf(answer) === "is it done?"),
    "stopped before the fifth",
  );
  ensure(stopped.length === 3, `stopped ${stopped.length} of 8 calls`);
  facts.told = textOf(stopped[0]);
  ensure(facts.told.includes("change the arguments"), `told: ${facts.told}`);
  ensure(textOf(await echo("is it done now?")) === "is it done now?", "other arguments were stopped too");
  await client.close();
});

await scenario("two tools of one server have rates of their own", async (facts) => {
  const { client, call } = await connect("rates");
  facts.admitted = await checkTwoRates({ call, check429 });
  await client.close();
});

finish();
