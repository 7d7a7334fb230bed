// @ai-sdk/mcp: `generateText` with a scripted model, all defaults.
import { createMCPClient } from "@ai-sdk/mcp";
import { generateText, isStepCount } from "ai";
import { main } from "./adapter.mjs";
import { play } from "./script.mjs";

await main(async (url, headers) => {
  const client = await createMCPClient({ transport: { type: "http", url, headers } });
  const tools = await client.tools();
  return {
    tools: async () => Object.keys(tools),
    run: (calls, abortSignal) => {
      const stopWhen = isStepCount(calls.length + 1);
      return play(calls, (model) =>
        generateText({ model, tools, prompt: "go", abortSignal, stopWhen, maxRetries: 0 }),
      );
    },
    close: () => client.close(),
  };
});
