// The official TypeScript SDK 1.x as a client that logs in.
import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { at } from "./guarded.mjs";
import { Person } from "./oauth_provider.mjs";
import { ensure, textOf } from "./talk.mjs";

/** Who logs in. */
export const Visitor = Person;

export const isUnauthorized = (error) => error instanceof UnauthorizedError;

/** The person has agreed. */
export const comeBack = (transport, person) => transport.finishAuth(person.comeBack().get("code"));

/** Connects as an application does: if it needs a login, it lets the person log in, and tries again. */
export async function connect(person, server, options = {}) {
  try {
    return await attempt(person, server, options);
  } catch (error) {
    if (!isUnauthorized(error)) throw error;
    await comeBack(error.transport, person);
  }
  return await attempt(person, server, options);
}

async function attempt(person, server, options) {
  const transport = new StreamableHTTPClientTransport(new URL(at(server)), { authProvider: person, ...options });
  const client = new Client({ name: "ringgate-interop", version: "1.0.0" });
  try {
    await client.connect(transport);
  } catch (error) {
    throw Object.assign(error, { transport });
  }
  return { client, transport, person };
}

export async function echo(client, message) {
  return textOf(await client.callTool({ name: "echo", arguments: { message } }));
}

export function names(list) {
  return list.map((item) => item.name).sort();
}

export function same(got, wanted) {
  ensure(JSON.stringify(got) === JSON.stringify(wanted), `${JSON.stringify(got)} instead of ${JSON.stringify(wanted)}`);
}
