// @ai-sdk/mcp: `generateText` with a scripted model, all defaults.
import { createMCPClient } from "@ai-sdk/mcp";
import { generateText, isStepCount } from "ai";
import { MockLanguageModelV4 } from "ai/test";
import { main, raised, result, texts } from "./adapter.mjs";

const USAGE = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
};

function turn(content, reason) {
  return { content, finishReason: { unified: reason, raw: undefined }, usage: USAGE, warnings: [] };
}

/** A model that makes the calls given, one a turn, and then says that it is done. */
function script(calls) {
  const turns = calls.map(([toolName, args], index) =>
    turn([{ type: "tool-call", toolCallId: `call-${index}`, toolName, input: JSON.stringify(args) }], "tool-calls"),
  );
  turns.push(turn([{ type: "text", text: "done" }], "stop"));
  let next = 0;
  return new MockLanguageModelV4({ doGenerate: async () => turns[next++] });
}

function seenBy(model) {
  const prompt = model.doGenerateCalls.at(-1)?.prompt ?? [];
  return prompt
    .filter((message) => message.role === "tool")
    .flatMap((message) => message.content)
    .map(({ output }) => {
      const text = Array.isArray(output.value) ? texts(output.value) : output.value;
      return result(typeof text === "string" ? text : JSON.stringify(text), output.type.startsWith("error"));
    });
}

await main(async (url, headers) => {
  const client = await createMCPClient({ transport: { type: "http", url, headers } });
  const tools = await client.tools();
  return {
    tools: async () => Object.keys(tools),
    run: async (calls, abortSignal) => {
      const model = script(calls);
      try {
        const stopWhen = isStepCount(calls.length + 1);
        await generateText({ model, tools, prompt: "go", abortSignal, stopWhen, maxRetries: 0 });
      } catch (error) {
        return [...seenBy(model), raised(error)];
      }
      return seenBy(model);
    },
    close: () => client.close(),
  };
});
