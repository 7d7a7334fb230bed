// The official TypeScript SDK 2.x against a server that knows only legacy revisions: it asks server/discover first
// and must read the refusal as "legacy", through the gateway as without it.   usage: node fallback.mjs URL
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { digest, ensure, fault, finish, refused, scenario } from "./talk.mjs";

const url = process.argv[2];

async function open(mode) {
  const client = new Client({ name: "ringgate-interop", version: "1.0.0" }, { versionNegotiation: { mode } });
  const transport = new StreamableHTTPClientTransport(new URL(url));
  await client.connect(transport);
  return { client, transport };
}

await scenario("auto mode falls back to initialize", async (facts) => {
  const { client, transport } = await open("auto");
  facts.revision = client.getNegotiatedProtocolVersion();
  facts.tools = digest(await client.listTools());
  facts.echo = await client.callTool({ name: "echo", arguments: { message: "legacy" } });
  ensure(transport.sessionId !== undefined, "the fallback has no session");
  await transport.terminateSession();
  await client.close();
});

await scenario("a client pinned to 2026-07-28 is refused", async (facts) => {
  const error = await refused(open({ pin: "2026-07-28" }));
  facts.refusal = { ...fault(error), message: error.message.replaceAll(/127\.0\.0\.1:\d+/g, "HOST") };
});

finish();
