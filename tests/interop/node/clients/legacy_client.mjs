// A TypeScript SDK 1.x client that can be asked for samples, forms and roots, and remembers what it heard.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import * as mcp from "@modelcontextprotocol/sdk/types.js";

const ROOT = { uri: "file:///interop/root", name: "root" };

/** Connects over `transport`. `voice` starts every sampled text, so that answers show which client was asked. */
export async function connectLegacy(transport, { voice = "sampled" } = {}) {
  const capabilities = { sampling: {}, elicitation: { form: {}, url: {} }, roots: { listChanged: true } };
  const client = new Client({ name: "ringgate-interop", version: "1.0.0" }, { capabilities });
  const heard = { sampling: [], elicitation: [], roots: 0, updated: [], logged: [] };

  client.setRequestHandler(mcp.CreateMessageRequestSchema, ({ params }) => {
    heard.sampling.push(params);
    const asked = params.messages[0].content.text;
    return {
      model: "none",
      role: "assistant",
      stopReason: "endTurn",
      content: { type: "text", text: `${voice}: ${asked}` },
    };
  });
  client.setRequestHandler(mcp.ElicitRequestSchema, ({ params }) => {
    heard.elicitation.push(params);
    return { action: "accept", content: fillIn(params.requestedSchema) };
  });
  client.setRequestHandler(mcp.ListRootsRequestSchema, () => {
    heard.roots += 1;
    return { roots: [ROOT] };
  });
  client.setNotificationHandler(
    mcp.ResourceUpdatedNotificationSchema,
    ({ params }) => void heard.updated.push(params.uri),
  );
  client.setNotificationHandler(mcp.LoggingMessageNotificationSchema, ({ params }) => void heard.logged.push(params));

  await client.connect(transport);
  return { client, transport, heard };
}

/** Answers a form: what is required gets a value, what has a default keeps it. */
function fillIn(schema) {
  const answers = {};
  for (const [name, property] of Object.entries(schema?.properties ?? {})) {
    if (property.default !== undefined) answers[name] = property.default;
    else if (schema.required?.includes(name)) answers[name] = property.type === "boolean" ? true : "Ada";
  }
  return answers;
}
