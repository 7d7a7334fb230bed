// The tasks extension (io.modelcontextprotocol/tasks, SEP-2663) in the modern fixture, as far as the conformance
// scenarios go: a call that the server turns into a task, to be polled, fed with input, cancelled.
import { randomUUID } from "node:crypto";
import {
  MissingRequiredClientCapabilityError,
  ProtocolError,
  fromJsonSchema,
  inputRequired,
} from "@modelcontextprotocol/server";
import { pause, said } from "./samples.mjs";

export const EXTENSION = "io.modelcontextprotocol/tasks";
const CAPABILITIES = "io.modelcontextprotocol/clientCapabilities";
const TTL_MS = 600_000;

const form = (message, name, type = "string") =>
  inputRequired.elicit({
    message,
    requestedSchema: { type: "object", properties: { [name]: { type } }, required: [name] },
  });

/** Tasks outlive the request that made them, and every request has a server instance of its own. */
const tasks = new Map();

class Task {
  id = randomUUID();
  status = "working";
  outcome = {};
  pending = {};
  answers = {};
  created = new Date().toISOString();
  updated = this.created;

  /** Starts `run(task)`; a task can be got as soon as this returns. */
  constructor(run) {
    tasks.set(this.id, this);
    run(this).then(
      (result) => this.become("completed", { result: { resultType: "complete", ...result } }),
      (error) => this.become("failed", { error: { code: error.code ?? -32603, message: error.message } }),
    );
  }

  /** A task that has ended stays as it ended. */
  become(status, outcome = {}) {
    if (["completed", "failed", "cancelled"].includes(this.status)) return;
    Object.assign(this, { status, outcome, updated: new Date().toISOString() });
  }

  /** Parks until the client has answered all of `requests`, perhaps one at a time. */
  async ask(requests) {
    this.pending = requests;
    this.become("input_required");
    while (this.status === "input_required") await pause(20);
    return this.answers;
  }

  answer(responses) {
    for (const [key, response] of Object.entries(responses)) {
      if (!(key in this.pending)) continue;
      this.answers[key] = response;
      delete this.pending[key];
    }
    if (this.status === "input_required" && Object.keys(this.pending).length === 0) this.become("working");
  }

  /** The fields that both the creating answer and `tasks/get` carry. */
  head() {
    const { id, status, created, updated } = this;
    return { taskId: id, status, createdAt: created, lastUpdatedAt: updated, ttlMs: TTL_MS, pollIntervalMs: 100 };
  }

  detail() {
    const inputRequests = this.status === "input_required" ? { inputRequests: { ...this.pending } } : {};
    return { resultType: "complete", ...this.head(), ...inputRequests, ...this.outcome };
  }
}

const declares = (ctx) => EXTENSION in (ctx.mcpReq.envelope?.[CAPABILITIES]?.extensions ?? {});
const missing = () =>
  new MissingRequiredClientCapabilityError({ requiredCapabilities: { extensions: { [EXTENSION]: {} } } });

export function registerTasks(server) {
  const add = (name, properties, run) => {
    const inputSchema = fromJsonSchema({ type: "object", properties });
    server.registerTool(name, { description: `Interoperability fixture: ${name}`, inputSchema }, run);
  };
  const asTask = (name, properties, run) =>
    add(name, properties, (args, ctx) =>
      declares(ctx) ? created(new Task((task) => run(task, args))) : run(undefined, args),
    );
  const onlyAsTask = (name, properties, run) =>
    add(name, properties, (args, ctx) => {
      if (!declares(ctx)) throw missing();
      return run(args, ctx);
    });

  add("greet", { name: { type: "string" } }, ({ name }) => said(`Hello, ${name}!`));
  asTask("slow_compute", { seconds: { type: "number" } }, async (_, { seconds = 1 }) => {
    await pause(seconds * 1000);
    return said(`computed for ${seconds} s`);
  });
  onlyAsTask("failing_job", {}, () => created(new Task(failSoon)));
  onlyAsTask("protocol_error_job", {}, () => created(new Task(breakDown)));
  onlyAsTask("confirm_delete", { filename: { type: "string" } }, ({ filename }) =>
    created(new Task((task) => confirmDelete(task, filename))),
  );
  onlyAsTask("multi_input", {}, () => created(new Task(askTwoThings)));
  onlyAsTask("test_tool_with_task", {}, (_, ctx) => greetInTask(ctx));
  registerMethods(server.server);
}

function registerMethods(server) {
  const any = { params: fromJsonSchema({ type: "object" }), result: fromJsonSchema({ type: "object" }) };
  const on = (method, act) =>
    server.setRequestHandler(method, any, (params, ctx) => {
      if (!declares(ctx)) throw missing();
      const task = tasks.get(params.taskId);
      if (!task) throw new ProtocolError(-32602, `Unknown task: ${params.taskId}`);
      return act(task, params, ctx);
    });
  on("tasks/get", (task) => task.detail());
  on("tasks/update", (task, params, ctx) => {
    task.answer(params.inputResponses ?? ctx.mcpReq.inputResponses ?? {});
    return { resultType: "complete" };
  });
  on("tasks/cancel", (task) => {
    task.become("cancelled");
    return { resultType: "complete" };
  });
}

const created = (task) => ({ resultType: "task", ...task.head() });

async function failSoon() {
  await pause(1000);
  return { ...said("the job failed"), isError: true };
}

async function breakDown() {
  await pause(100);
  throw new ProtocolError(-32603, "the job broke down");
}

async function confirmDelete(task, filename) {
  const { confirm } = await task.ask({ confirm: form(`Delete ${filename}?`, "confirm", "boolean") });
  return said(confirm?.content?.confirm ? `deleted ${filename}` : `kept ${filename}`);
}

async function askTwoThings(task) {
  const answers = await task.ask({ first: form("First?", "value"), second: form("Second?", "value") });
  return said(`received ${Object.keys(answers).sort().join(" and ")}`);
}

/** Gathers input by a multi-round-trip request, and only then becomes a task. */
function greetInTask(ctx) {
  const name = ctx.mcpReq.inputResponses?.user_name?.content?.name;
  if (name === undefined) return inputRequired({ inputRequests: { user_name: form("What is your name?", "name") } });
  return created(new Task(async () => said(`Hello, ${name}!`)));
}
