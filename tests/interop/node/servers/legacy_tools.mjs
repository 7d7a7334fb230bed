// The tools of the legacy fixture: those that the conformance scenarios call, and those that make cancellation,
// disconnects and resumption visible from outside.
import * as mcp from "@modelcontextprotocol/sdk/types.js";
import { ASK_DEFAULTS, ASK_ENUMS, SCHEMA_2020_12, audio, image, pause, said, text } from "./samples.mjs";

const words = (...names) => ({
  type: "object",
  properties: Object.fromEntries(names.map((name) => [name, { type: "string" }])),
  required: names,
});

const table = {
  test_simple_text: { run: () => said("This is a simple text response for testing.") },
  test_image_content: { run: () => ({ content: [image] }) },
  test_audio_content: { run: () => ({ content: [audio] }) },
  test_embedded_resource: { run: () => ({ content: [embedded()] }) },
  test_multiple_content_types: { run: () => ({ content: [text("Multiple content types test:"), image, mixed()] }) },
  test_tool_with_logging: { run: withLogging },
  test_error_handling: { run: fail },
  test_tool_with_progress: { run: withProgress },
  test_reconnection: { run: closeStreamMidCall },
  test_sampling: { input: words("prompt"), run: sample },
  test_elicitation: { input: words("message"), run: elicit },
  test_elicitation_sep1034_defaults: { run: (call) => ask(call, "Review the defaults", ASK_DEFAULTS) },
  test_elicitation_sep1330_enums: { run: (call) => ask(call, "Choose from the lists", ASK_ENUMS) },
  json_schema_2020_12_tool: { input: SCHEMA_2020_12, run: (call) => said(JSON.stringify(call.args)) },
  echo: { input: words("message"), run: (call) => said(call.args.message) },
  count_slowly: { input: { type: "object" }, run: countSlowly },
  fate_of: { input: words("ticket"), run: (call) => said(fates.get(call.args.ticket) ?? "unknown") },
};

export const tools = Object.entries(table).map(([name, tool]) => ({
  name,
  description: `Interoperability fixture: ${name.replaceAll("_", " ")}`,
  inputSchema: tool.input ?? { type: "object", properties: {} },
}));

export function callTool(request, extra) {
  const tool = table[request.params.name];
  if (!tool) throw new mcp.McpError(mcp.ErrorCode.InvalidParams, `Unknown tool: ${request.params.name}`);
  return tool.run({ extra, args: request.params.arguments ?? {} });
}

// === What became of slow calls, by the ticket that the caller gave

/** Fates outlive their session on purpose: another session asks for them. */
const fates = new Map();

async function countSlowly({ extra, args }) {
  const { ticket, steps = 5, step_ms = 200 } = args;
  fates.set(ticket, "running");
  extra.signal.addEventListener("abort", () => fates.set(ticket, "cancelled"));
  for (let step = 1; step <= steps && !extra.signal.aborted; step++) {
    await pause(step_ms);
    if (!extra.signal.aborted) await progress(extra, step, steps);
  }
  if (!extra.signal.aborted) fates.set(ticket, "finished");
  return said(`counted to ${steps}`);
}

async function progress(extra, done, total) {
  const progressToken = extra._meta?.progressToken;
  if (progressToken === undefined) return;
  const params = { progressToken, progress: done, total };
  await extra.sendNotification({ method: "notifications/progress", params });
}

// === Conformance tools

function embedded() {
  const resource = {
    uri: "test://embedded-resource",
    mimeType: "text/plain",
    text: "This is an embedded resource content.",
  };
  return { type: "resource", resource };
}

function mixed() {
  const resource = {
    uri: "test://mixed-content-resource",
    mimeType: "application/json",
    text: JSON.stringify({ test: "data", value: 123 }),
  };
  return { type: "resource", resource };
}

function fail() {
  return { ...said("This tool intentionally returns an error for testing"), isError: true };
}

async function withLogging({ extra }) {
  const log = (data) => extra.sendNotification({ method: "notifications/message", params: { level: "info", data } });
  await log("Tool execution started");
  await pause(50);
  await log("Tool processing data");
  await pause(50);
  await log("Tool execution completed");
  return said("Logged three messages");
}

async function withProgress({ extra }) {
  for (const done of [0, 50, 100]) {
    await progress(extra, done, 100);
    if (done < 100) await pause(50);
  }
  return said("Reported three steps");
}

/** Server-closed stream (2025-11-25, Streamable HTTP, polling): the client must come back with Last-Event-ID. */
async function closeStreamMidCall({ extra }) {
  extra.closeSSEStream?.();
  await pause(200);
  return said("Reconnection test completed");
}

async function sample({ extra, args }) {
  const messages = [{ role: "user", content: text(args.prompt) }];
  const request = { method: "sampling/createMessage", params: { messages, maxTokens: 100 } };
  const answer = await extra.sendRequest(request, mcp.CreateMessageResultSchema);
  return said(`LLM response: ${answer.content.text}`);
}

async function elicit({ extra, args }) {
  const property = (description) => ({ type: "string", description });
  const requestedSchema = {
    type: "object",
    properties: { username: property("User's response"), email: property("User's email address") },
    required: ["username", "email"],
  };
  const answer = await askUser(extra, args.message, requestedSchema);
  return said(`User response: action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`);
}

async function ask({ extra }, message, requestedSchema) {
  const answer = await askUser(extra, message, requestedSchema);
  return said(`Elicitation completed: action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`);
}

function askUser(extra, message, requestedSchema) {
  const request = { method: "elicitation/create", params: { message, requestedSchema } };
  return extra.sendRequest(request, mcp.ElicitResultSchema);
}
