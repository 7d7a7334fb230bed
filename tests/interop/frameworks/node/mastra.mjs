// @mastra/mcp: the tools that an agent of Mastra gets, all defaults.
import { MCPClient } from "@mastra/mcp";
import { main, result, texts } from "./adapter.mjs";

await main(async (url, headers) => {
  const it = { url: new URL(url), requestInit: { headers } };
  const client = new MCPClient({ id: crypto.randomUUID(), servers: { it } });
  const { toolsets, errors } = await client.listToolsetsWithErrors();
  if (errors.it) throw new Error(errors.it);
  return {
    tools: async () => Object.keys(toolsets.it),
    call: async (name, args, abortSignal) => {
      const answer = await toolsets.it[name].execute(args, { abortSignal });
      if (answer?.error === true) return result(answer.message, true);
      return result(answer?.content ? texts(answer.content) : JSON.stringify(answer), answer?.isError);
    },
    close: () => client.disconnect(),
  };
});
