// @mastra/mcp: an agent of Mastra with a scripted model, all defaults.
import { Agent } from "@mastra/core/agent";
import { MCPClient } from "@mastra/mcp";
import { main } from "./adapter.mjs";
import { play } from "./script.mjs";

await main(async (url, headers) => {
  const it = { url: new URL(url), requestInit: { headers } };
  const client = new MCPClient({ id: crypto.randomUUID(), servers: { it } });
  const { toolsets, errors } = await client.listToolsetsWithErrors();
  if (errors.it) throw new Error(errors.it);
  const tools = toolsets.it;
  return {
    tools: async () => Object.keys(tools),
    run: (calls, abortSignal) =>
      play(calls, (model) => {
        const agent = new Agent({ id: "it", name: "it", instructions: "none", model, tools });
        return agent.generate("go", { abortSignal, maxSteps: calls.length + 1 });
      }),
    close: () => client.disconnect(),
  };
});
