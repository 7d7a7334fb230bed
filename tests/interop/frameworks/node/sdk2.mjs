// The official TypeScript SDK 2.x as an application uses it.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { main, result, texts } from "./adapter.mjs";

await main(async (url, headers) => {
  const client = new Client({ name: "matrix", version: "1.0.0" });
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  return {
    tools: async () => (await client.listTools()).tools.map((tool) => tool.name),
    call: async (name, args, signal) => {
      const answer = await client.callTool({ name, arguments: args }, { signal });
      return result(texts(answer.content), answer.isError);
    },
    close: () => client.close(),
  };
});
