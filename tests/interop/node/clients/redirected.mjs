// The official TypeScript SDKs at a server that answers 307 to the path of another: they must be told, and the other server
// must not get their call.    usage: node redirected.mjs PLACE (JSON: `gateway`, `bank`)
import { Client as Client2, StreamableHTTPClientTransport as Transport2 } from "@modelcontextprotocol/client";
import { Client as Client1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as Transport1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ensure, finish, refused, scenario } from "./talk.mjs";

const place = JSON.parse(process.argv[2]);
const at = (server) => new URL(`${place.gateway}/${server}/mcp`);
const seen = async () => (await (await fetch(`${place.bank}/log`)).json()).length;

async function connect(Client, Transport, server) {
  const client = new Client({ name: "ringgate-interop", version: "1.0.0" });
  await client.connect(new Transport(at(server)));
  return client;
}

for (const [sdk, Client, Transport] of [
  ["sdk 1", Client1, Transport1],
  ["sdk 2", Client2, Transport2],
]) {
  await scenario(`typescript ${sdk} is not led to another server`, async () => {
    const before = await seen();
    const error = await refused(connect(Client, Transport, "weather"));
    ensure(String(error).includes("502") || String(error).includes("redirects"), `the SDK said ${error}`);
    ensure((await seen()) === before, "the other server got the call");
    const client = await connect(Client, Transport, "bank");
    ensure((await seen()) > before, "the other server is there");
    await client.close();
  });
}
finish();
