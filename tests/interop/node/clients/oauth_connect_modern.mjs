// The official TypeScript SDK 2.x as a client that logs in, in the place of oauth_connect.mjs.
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from "@modelcontextprotocol/client";
import { at } from "./guarded.mjs";
import { Person } from "./oauth_provider.mjs";

export { echo, names, same } from "./oauth_connect.mjs";

/** Remembers also what was discovered, so that the SDK can tell whether the login came back from the same issuer. */
export class Visitor extends Person {
  #discovered;
  discoveryState = () => this.#discovered;
  saveDiscoveryState = (discovered) => void (this.#discovered = discovered);
}

export const isUnauthorized = (error) =>
  error instanceof UnauthorizedError || error?.cause instanceof UnauthorizedError;

/** The person has agreed. */
export const comeBack = (transport, person) => transport.finishAuth(person.comeBack());

/** Connects as an application does: if it needs a login, it lets the person log in, and tries again. */
export async function connect(person, server, options = {}) {
  const transport = new StreamableHTTPClientTransport(new URL(at(server)), { authProvider: person, ...options });
  try {
    return await attempt(transport, person);
  } catch (error) {
    if (!isUnauthorized(error)) throw error;
    await comeBack(transport, person);
  }
  return attempt(new StreamableHTTPClientTransport(new URL(at(server)), { authProvider: person, ...options }), person);
}

async function attempt(transport, person) {
  const client = new Client({ name: "ringgate-interop", version: "1.0.0" }, { versionNegotiation: { mode: "auto" } });
  await client.connect(transport);
  return { client, transport, person };
}
