// Tools and a prompt of the modern fixture that answer `input_required` until the client has supplied what they
// ask for (2026-07-28, multi-round-trip requests), with the names that the conformance scenarios call.
import { createRequestStateCodec, fromJsonSchema, inputRequired } from "@modelcontextprotocol/server";
import { pause, said, text } from "./samples.mjs";

/** Seals what the server must remember between rounds; a changed byte is refused before a handler runs. */
export const stateCodec = createRequestStateCodec({ key: "an interoperability fixture keeps no secrets" });

const NOTHING = fromJsonSchema({ type: "object", properties: {} });

const form = (message, name, type = "string") =>
  inputRequired.elicit({
    message,
    requestedSchema: { type: "object", properties: { [name]: { type } }, required: [name] },
  });
const question = (words, maxTokens) =>
  inputRequired.createMessage({ messages: [{ role: "user", content: text(words) }], maxTokens });

export function registerInputTools(server) {
  const add = (name, run) => {
    const description = `Interoperability fixture: ${name.replaceAll("_", " ")}`;
    server.registerTool(name, { description, inputSchema: NOTHING }, (_, ctx) => run(ctx));
  };
  add("test_input_required_result_elicitation", greetByName);
  add("test_input_required_result_sampling", askModel);
  add("test_input_required_result_list_roots", listRoots);
  add("test_input_required_result_request_state", confirmWithState);
  add("test_input_required_result_tampered_state", confirmWithState);
  add("test_input_required_result_multiple_inputs", askForThree);
  add("test_input_required_result_multi_round", askTwice);
  add("test_input_required_result_capabilities", askWhatClientCan);
  add("test_missing_capability", askModel);
  add("test_streaming_elicitation", streamThenAsk);
  const description = "Interoperability fixture: a prompt that asks for its context";
  server.registerPrompt("test_input_required_result_prompt", { description }, promptWithContext);
}

/** The accepted value of a form field, or undefined when the client has not answered in the right shape. */
function answered(ctx, key, field) {
  const response = ctx.mcpReq.inputResponses?.[key];
  return response?.action === "accept" ? response.content?.[field] : undefined;
}

function greetByName(ctx) {
  const name = answered(ctx, "user_name", "name");
  if (typeof name === "string") return said(`Hello, ${name}!`);
  return inputRequired({ inputRequests: { user_name: form("What is your name?", "name") } });
}

function askModel(ctx) {
  const words = ctx.mcpReq.inputResponses?.capital_question?.content?.text;
  if (typeof words === "string") return said(`The model said: ${words}`);
  return inputRequired({ inputRequests: { capital_question: question("What is the capital of France?", 100) } });
}

function listRoots(ctx) {
  const roots = ctx.mcpReq.inputResponses?.client_roots?.roots;
  if (Array.isArray(roots)) return said(`Roots: ${roots.map((root) => root.uri).join(", ")}`);
  return inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } });
}

async function confirmWithState(ctx) {
  const ok = answered(ctx, "confirm", "ok");
  if (ok !== undefined && ctx.mcpReq.requestState()?.asked === "confirm") return said(`state-ok, confirmed: ${ok}`);
  const requestState = await stateCodec.mint({ asked: "confirm" }, ctx);
  return inputRequired({ inputRequests: { confirm: form("Please confirm", "ok", "boolean") }, requestState });
}

async function askForThree(ctx) {
  const given = ctx.mcpReq.inputResponses ?? {};
  const name = answered(ctx, "user_name", "name");
  if (name !== undefined && given.greeting && given.client_roots && ctx.mcpReq.requestState()) {
    return said(`${given.greeting.content.text} ${name}, with ${given.client_roots.roots.length} roots`);
  }
  const inputRequests = {
    user_name: form("What is your name?", "name"),
    greeting: question("Generate a greeting", 50),
    client_roots: inputRequired.listRoots(),
  };
  return inputRequired({ inputRequests, requestState: await stateCodec.mint({ asked: "three" }, ctx) });
}

async function askTwice(ctx) {
  const known = ctx.mcpReq.requestState();
  const color = answered(ctx, "step2", "color");
  if (known?.name !== undefined && color !== undefined) return said(`${known.name} likes ${color}`);
  const name = answered(ctx, "step1", "name");
  if (known?.step === 1 && name !== undefined) {
    const requestState = await stateCodec.mint({ step: 2, name }, ctx);
    return inputRequired({
      inputRequests: { step2: form("Step 2: What is your favorite color?", "color") },
      requestState,
    });
  }
  const requestState = await stateCodec.mint({ step: 1 }, ctx);
  return inputRequired({ inputRequests: { step1: form("Step 1: What is your name?", "name") }, requestState });
}

/** Asks only for what the request's own capabilities cover. */
function askWhatClientCan(ctx) {
  const given = ctx.mcpReq.inputResponses;
  if (given) return said(`Received: ${Object.keys(given).sort().join(", ")}`);
  const can = ctx.mcpReq.envelope?.["io.modelcontextprotocol/clientCapabilities"] ?? {};
  const inputRequests = {};
  if (can.sampling) inputRequests.capital_question = question("What is the capital of France?", 100);
  if (can.elicitation) inputRequests.user_name = form("What is your name?", "name");
  if (can.roots) inputRequests.client_roots = inputRequired.listRoots();
  return Object.keys(inputRequests).length > 0 ? inputRequired({ inputRequests }) : said("Nothing can be asked");
}

async function streamThenAsk(ctx) {
  const progressToken = ctx.mcpReq._meta?.progressToken;
  for (const progress of [1, 2]) {
    if (progressToken !== undefined) {
      await ctx.mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress, total: 2 } });
    }
    await pause(50);
  }
  return greetByName(ctx);
}

function promptWithContext(ctx) {
  const context = answered(ctx, "user_context", "context");
  if (context !== undefined) return { messages: [{ role: "user", content: text(`Use this context: ${context}`) }] };
  return inputRequired({ inputRequests: { user_context: form("What context should the prompt use?", "context") } });
}
