// A model of the AI SDK's interface that makes the calls given, one a turn, and then says that it is done.
import { MockLanguageModelV4 } from "ai/test";
import { raised, result, texts } from "./adapter.mjs";

const USAGE = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
};

function turn(content, reason) {
  return { content, finishReason: { unified: reason, raw: undefined }, usage: USAGE, warnings: [] };
}

function scripted(calls) {
  const turns = calls.map(([toolName, args], index) =>
    turn([{ type: "tool-call", toolCallId: `call-${index}`, toolName, input: JSON.stringify(args) }], "tool-calls"),
  );
  turns.push(turn([{ type: "text", text: "done" }], "stop"));
  let next = 0;
  return new MockLanguageModelV4({ doGenerate: async () => turns[next++] });
}

/** The answers of tools in the last prompt. */
function seenBy(model) {
  const prompt = model.doGenerateCalls.at(-1)?.prompt ?? [];
  return prompt
    .filter((message) => message.role === "tool")
    .flatMap((message) => message.content)
    .map(({ output }) => result(textOf(output.value), output.type.startsWith("error")));
}

function textOf(value) {
  const content = Array.isArray(value) ? value : value?.content;
  if (Array.isArray(content)) return texts(content);
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Lets `generate(model)` run; what its model saw, and what it threw. */
export async function play(calls, generate) {
  const model = scripted(calls);
  try {
    await generate(model);
  } catch (error) {
    return [...seenBy(model), raised(error)];
  }
  return seenBy(model);
}
