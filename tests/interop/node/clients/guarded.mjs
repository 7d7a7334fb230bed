// What clients of the guarded gateway share: where everything is, requests by hand, the logs of the other side.
import { setTimeout as sleep } from "node:timers/promises";

/** Where everything is: `gateway`, `issuer`, `admin`, `recorder` (origins), `api_key`, `batch_secret`. */
export const place = JSON.parse(process.argv[2]);

/** The URL of a server behind the gateway, which is also what its tokens are for. */
export const at = (server) => `${place.gateway}/${server}/mcp`;

export async function get(url) {
  const response = await fetch(url, { signal: AbortSignal.timeout(10_000) });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return response.json();
}

/** What the issuer was asked; of one client only, if one is named. */
export async function asked(client) {
  const log = await get(`${place.issuer}/log`);
  return client ? log.filter((entry) => entry.client_id === client) : log;
}

export async function control(wish) {
  const response = await fetch(`${place.issuer}/control`, { method: "POST", body: JSON.stringify(wish) });
  return response.json();
}

/** One request by hand: status, challenge, media type, body. */
export async function send(server, { token, session, method = "POST", message, headers = {} }) {
  const response = await fetch(server.startsWith("http") ? server : at(server), {
    method,
    headers: {
      accept: "application/json, text/event-stream",
      ...(message && { "content-type": "application/json" }),
      ...(token && { authorization: `Bearer ${token}` }),
      ...(session && { "mcp-session-id": session, "mcp-protocol-version": "2025-11-25" }),
      ...headers,
    },
    body: message && JSON.stringify({ jsonrpc: "2.0", id: 1, ...message }),
    signal: AbortSignal.timeout(15_000),
  });
  const body = method === "GET" && response.ok ? "" : await response.text();
  if (method === "GET") await response.body?.cancel().catch(() => {});
  const challenge = response.headers.get("www-authenticate");
  return { status: response.status, challenge, type: response.headers.get("content-type"), body, response };
}

export const INITIALIZE = {
  method: "initialize",
  params: {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "ringgate-interop", version: "1.0.0" },
  },
};

/** A little more than the lifetime of a token whose seconds are counted in whole ones. */
export const outlive = (seconds) => sleep((seconds + 1.1) * 1000);

/** The parameters of a Bearer challenge. */
export function challengeOf(value) {
  const parameters = [...(value ?? "").matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, name, text]) => [name, text]);
  return { scheme: value?.split(" ")[0], ...Object.fromEntries(parameters) };
}
