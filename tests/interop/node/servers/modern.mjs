// A stateless server of revision 2026-07-28 on the TypeScript SDK 2.x. The SDK also answers older revisions,
// without sessions. It offers what the conformance scenarios name, and tools that tell what the server saw.
import { createServer } from "node:http";
import { localhostHostValidation, localhostOriginValidation, toNodeHandler } from "@modelcontextprotocol/node";
import { McpServer, ResourceTemplate, createMcpHandler, fromJsonSchema } from "@modelcontextprotocol/server";
import { registerInputTools, stateCodec } from "./modern_input.mjs";
import { EXTENSION, registerTasks } from "./modern_tasks.mjs";
import { registerTools } from "./modern_tools.mjs";
import { PNG, image, text } from "./samples.mjs";

function createInstance() {
  const server = new McpServer(
    { name: "ringgate-interop-modern", version: "1.0.0" },
    {
      capabilities: {
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        logging: {},
        completions: {},
        extensions: { [EXTENSION]: {} },
      },
      cacheHints: { "tools/list": { ttlMs: 60_000, cacheScope: "public" } },
      requestState: { verify: stateCodec.verify },
    },
  );
  registerTools(server, handler);
  registerInputTools(server);
  registerTasks(server);
  registerPrompts(server);
  registerResources(server);
  server.server.setRequestHandler("completion/complete", (request) => complete(request.params.argument.value));
  return server;
}

function complete(typed) {
  const values = ["paris", "park", "party"].filter((word) => word.startsWith(typed));
  return { completion: { values, total: values.length, hasMore: false } };
}

const user = (content) => ({ role: "user", content });
const word = { type: "string" };

function registerPrompts(server) {
  const add = (name, args, get) => {
    const description = `Interoperability fixture: ${name.replaceAll("_", " ")}`;
    server.registerPrompt(name, { description, argsSchema: args && fromJsonSchema(args) }, get);
  };
  const needs = (...names) => ({
    type: "object",
    properties: Object.fromEntries(names.map((name) => [name, word])),
    required: names,
  });
  add("test_simple_prompt", undefined, () => ({ messages: [user(text("This is a simple prompt for testing."))] }));
  add("test_prompt_with_arguments", needs("arg1", "arg2"), ({ arg1, arg2 }) => ({
    messages: [user(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`))],
  }));
  add("test_prompt_with_embedded_resource", needs("resourceUri"), ({ resourceUri }) => ({
    messages: [user(embedded(resourceUri)), user(text("Please process the embedded resource above."))],
  }));
  add("test_prompt_with_image", undefined, () => ({
    messages: [user(image), user(text("Please analyze the image above."))],
  }));
}

function embedded(uri) {
  return {
    type: "resource",
    resource: { uri, mimeType: "text/plain", text: "Embedded resource content for testing." },
  };
}

function registerResources(server) {
  const add = (name, mimeType, content) => {
    const config = { description: `Interoperability fixture: ${name}`, mimeType };
    server.registerResource(name, `test://${name}`, config, (uri) => ({
      contents: [{ uri: uri.href, mimeType, ...content }],
    }));
  };
  add("static-text", "text/plain", { text: "This is the content of the static text resource." });
  add("static-binary", "image/png", { blob: PNG });
  add("watched-resource", "text/plain", { text: "Watched." });
  const template = new ResourceTemplate("test://template/{id}/data", { list: undefined });
  const config = { description: "Data by id", mimeType: "application/json" };
  server.registerResource("template-data", template, config, (uri, { id }) => {
    const data = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` });
    return { contents: [{ uri: uri.href, mimeType: "application/json", text: data }] };
  });
}

const handler = createMcpHandler(createInstance, { onerror: (error) => console.error("handler:", error.message) });
const serve = toNodeHandler(handler);
const validHost = localhostHostValidation();
const validOrigin = localhostOriginValidation();

const http = createServer((request, response) => {
  if (!validHost(request, response) || !validOrigin(request, response)) return;
  if (request.url !== "/mcp") return void response.writeHead(404).end();
  serve(request, response).catch((error) => console.error("serve:", error));
});
http.listen(Number(process.env.PORT), "127.0.0.1");
