// Tools of the modern fixture that need no further input from the client.
import { fromJsonSchema } from "@modelcontextprotocol/server";
import { SCHEMA_2020_12, audio, image, pause, said, text } from "./samples.mjs";

const NOTHING = { type: "object", properties: {} };
const words = (...names) => ({
  type: "object",
  properties: Object.fromEntries(names.map((name) => [name, { type: "string" }])),
  required: names,
});
const SLOW = {
  type: "object",
  properties: { ticket: { type: "string" }, steps: { type: "integer" }, step_ms: { type: "integer" } },
  required: ["ticket"],
};
/** A tool whose arguments also travel as `Mcp-Param-*` headers (2026-07-28, Streamable HTTP, request metadata). */
const MIRRORED = {
  type: "object",
  properties: {
    region: { type: "string", "x-mcp-header": "Region" },
    count: { type: "integer", "x-mcp-header": "Count" },
  },
};

/** `handler.notify` publishes to the open `subscriptions/listen` streams; its bus knows how many there are. */
export function registerTools(server, { notify, bus }) {
  const add = (name, schema, run) => {
    const description = `Interoperability fixture: ${name.replaceAll("_", " ")}`;
    server.registerTool(name, { description, inputSchema: fromJsonSchema(schema) }, run);
  };
  add("echo", words("message"), ({ message }) => said(message));
  add("count_slowly", SLOW, countSlowly);
  add("fate_of", words("ticket"), ({ ticket }) => said(fates.get(ticket) ?? "unknown"));
  add("count_listeners", NOTHING, () => said(String(bus.listenerCount)));
  add("touch_resource", words("uri"), ({ uri }) => published(() => notify.resourceUpdated(uri)));
  add("test_trigger_tool_change", NOTHING, () => published(() => notify.toolsChanged()));
  add("test_trigger_prompt_change", NOTHING, () => published(() => notify.promptsChanged()));
  add("test_custom_headers", MIRRORED, (args) => said(JSON.stringify(args)));
  add("test_simple_text", NOTHING, () => said("This is a simple text response for testing."));
  add("test_image_content", NOTHING, () => ({ content: [image] }));
  add("test_audio_content", NOTHING, () => ({ content: [audio] }));
  add("test_embedded_resource", NOTHING, () => ({
    content: [resource("text/plain", "test://embedded-resource", "This is an embedded resource content.")],
  }));
  add("test_multiple_content_types", NOTHING, () => ({
    content: [text("Multiple content types test:"), image, mixed()],
  }));
  add("test_logging_tool", NOTHING, withLogging);
  add("test_tool_with_logging", NOTHING, withLogging);
  add("test_tool_with_progress", NOTHING, withProgress);
  add("test_error_handling", NOTHING, () => ({
    ...said("This tool intentionally returns an error for testing"),
    isError: true,
  }));
  add("json_schema_2020_12_tool", SCHEMA_2020_12, (args) => said(JSON.stringify(args)));
}

function resource(mimeType, uri, words) {
  return { type: "resource", resource: { uri, mimeType, text: words } };
}

function mixed() {
  return resource("application/json", "test://mixed-content-resource", JSON.stringify({ test: "data", value: 123 }));
}

function published(publish) {
  publish();
  return said("published");
}

// === What became of slow calls, by the ticket that the caller gave

const fates = new Map();

async function countSlowly({ ticket, steps = 5, step_ms = 200 }, ctx) {
  fates.set(ticket, "running");
  ctx.mcpReq.signal.addEventListener("abort", () => fates.set(ticket, "cancelled"));
  for (let step = 1; step <= steps && !ctx.mcpReq.signal.aborted; step++) {
    await pause(step_ms);
    if (!ctx.mcpReq.signal.aborted) await progress(ctx, step, steps);
  }
  if (!ctx.mcpReq.signal.aborted) fates.set(ticket, "finished");
  return said(`counted to ${steps}`);
}

async function progress(ctx, done, total) {
  const progressToken = ctx.mcpReq._meta?.progressToken;
  if (progressToken === undefined) return;
  await ctx.mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress: done, total } });
}

async function withProgress(_, ctx) {
  for (const done of [0, 50, 100]) {
    await progress(ctx, done, 100);
    if (done < 100) await pause(50);
  }
  return said("Reported three steps");
}

async function withLogging(_, ctx) {
  for (const words of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
    await ctx.mcpReq.log("info", words);
    await pause(50);
  }
  return said("Logged three messages");
}
