// Prompts and resources of the legacy fixture, with the names and texts that the conformance scenarios expect.
import { McpError } from "@modelcontextprotocol/sdk/types.js";
import { PNG, image, text } from "./samples.mjs";

const argument = (name) => ({ name, required: true, description: `The value of ${name}` });
const user = (content) => ({ role: "user", content });

export const prompts = [
  { name: "test_simple_prompt", description: "One fixed message" },
  {
    name: "test_prompt_with_arguments",
    description: "A message made of two arguments",
    arguments: [argument("arg1"), argument("arg2")],
  },
  {
    name: "test_prompt_with_embedded_resource",
    description: "A message that carries a resource",
    arguments: [argument("resourceUri")],
  },
  { name: "test_prompt_with_image", description: "A message that carries an image" },
];

export function getPrompt({ name, arguments: given = {} }) {
  switch (name) {
    case "test_simple_prompt":
      return { messages: [user(text("This is a simple prompt for testing."))] };
    case "test_prompt_with_arguments":
      return { messages: [user(text(`Prompt with arguments: arg1='${given.arg1}', arg2='${given.arg2}'`))] };
    case "test_prompt_with_embedded_resource":
      return {
        messages: [user(embedded(given.resourceUri)), user(text("Please process the embedded resource above."))],
      };
    case "test_prompt_with_image":
      return { messages: [user(image), user(text("Please analyze the image above."))] };
    default:
      throw new McpError(-32602, `Unknown prompt: ${name}`);
  }
}

function embedded(uri) {
  return {
    type: "resource",
    resource: { uri, mimeType: "text/plain", text: "Embedded resource content for testing." },
  };
}

export const resources = [
  { uri: "test://static-text", name: "static-text", description: "A fixed text", mimeType: "text/plain" },
  { uri: "test://static-binary", name: "static-binary", description: "A fixed image", mimeType: "image/png" },
  {
    uri: "test://watched-resource",
    name: "watched-resource",
    description: "Can be subscribed to",
    mimeType: "text/plain",
  },
];

export const templates = [
  {
    uriTemplate: "test://template/{id}/data",
    name: "template-data",
    description: "Data by id",
    mimeType: "application/json",
  },
];

export function readResource(uri) {
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
  if (id) {
    const data = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` });
    return { contents: [{ uri, mimeType: "application/json", text: data }] };
  }
  switch (uri) {
    case "test://static-text":
      return { contents: [{ uri, mimeType: "text/plain", text: "This is the content of the static text resource." }] };
    case "test://static-binary":
      return { contents: [{ uri, mimeType: "image/png", blob: PNG }] };
    case "test://watched-resource":
      return { contents: [{ uri, mimeType: "text/plain", text: "Watched." }] };
    default:
      throw new McpError(-32002, `Resource not found: ${uri}`, { uri });
  }
}
