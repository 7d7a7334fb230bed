// An authorization server for tests: OAuth 2.1 with PKCE, dynamic registration, refresh, token exchange, introspection.
// Users need no browser and no password: whoever asks is logged in as `login_hint` says. Nothing is kept.
//
// For tests also: GET /log (what was asked, oldest first), POST /control with JSON:
//   {"rotate": true}                       a new key signs; {"rotate": true, "retire": true} drops the old ones
//   {"fault": "down" | "slow" | "garbage" | null, "paths": ["/jwks"]}     how these paths (all if none) are answered
// environment: PORT; CLIENTS, a JSON list of {"client_id", "client_secret", "roles"}; FAULT, the fault at the start
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { Grants, OAuthFault, demand } from "./authorization_grants.mjs";
import { Keys } from "./authorization_keys.mjs";

const SLOW_MS = 3_000;
const BODY_BYTES_MAX = 1 << 20;
const port = Number(process.env.PORT);
const issuer = `http://127.0.0.1:${port}`;
const keys = new Keys();
const grants = new Grants(issuer, keys, JSON.parse(process.env.CLIENTS ?? "[]"));
const log = [];
let trouble = { fault: process.env.FAULT ?? null, paths: [] };

const metadata = {
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  registration_endpoint: `${issuer}/register`,
  introspection_endpoint: `${issuer}/introspect`,
  jwks_uri: `${issuer}/jwks`,
  scopes_supported: ["mcp:use", "env:read"],
  response_types_supported: ["code"],
  grant_types_supported: ["authorization_code", "refresh_token", "client_credentials"],
  token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post", "none"],
  code_challenge_methods_supported: ["S256"],
  authorization_response_iss_parameter_supported: true,
  subject_types_supported: ["public"],
  id_token_signing_alg_values_supported: ["ES256", "RS256"],
};

/** What is served where; each gets the parsed request and returns [status, body, headers]. */
const ROUTES = {
  "GET /.well-known/oauth-authorization-server": () => [200, metadata],
  "GET /.well-known/openid-configuration": () => [200, metadata],
  "GET /jwks": () => [200, keys.published()],
  "GET /authorize": ({ query }) => [302, "", { location: grants.authorize(query) }],
  "POST /register": ({ body }) => [201, grants.register(JSON.parse(body))],
  "POST /token": ({ form, authorization }) => [200, grants.token(form, authorization)],
  "POST /introspect": ({ form, authorization }) => {
    demand(grants.authenticate(form, authorization).client_secret, "invalid_client", "who asks?", 401);
    const known = grants.introspect(form.token);
    return [200, known ? { active: true, token_type: "Bearer", ...known } : { active: false }];
  },
  "GET /log": () => [200, log],
  "POST /control": ({ body }) => [200, control(JSON.parse(body))],
};

const OF_TESTS = ["/log", "/control"];

function control(wish) {
  if ("fault" in wish) trouble = { fault: wish.fault, paths: wish.paths ?? [] };
  return { kid: wish.rotate ? keys.rotate(wish) : undefined };
}

createServer(async (request, response) => {
  const url = new URL(request.url, issuer);
  const body = await read(request);
  const form = Object.fromEntries(new URLSearchParams(body));
  const query = Object.fromEntries(url.searchParams);
  if (!OF_TESTS.includes(url.pathname)) {
    note(url.pathname, { ...query, ...(url.pathname === "/register" ? JSON.parse(body) : form) });
    if (await fails(url.pathname, response)) return;
  }
  const route = ROUTES[`${request.method} ${url.pathname}`];
  const [status, answer, headers] = serve(route, { query, form, body, authorization: request.headers.authorization });
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store", ...headers });
  response.end(answer && JSON.stringify(answer));
}).listen(port, "127.0.0.1");

function serve(route, request) {
  if (!route) return [404, { error: "not_found" }];
  try {
    return route(request);
  } catch (error) {
    if (error instanceof OAuthFault) return [error.status, error.body];
    console.error(error);
    return [500, { error: "server_error" }];
  }
}

async function read(request) {
  let body = "";
  for await (const chunk of request) {
    body += chunk;
    if (body.length > BODY_BYTES_MAX) request.destroy();
  }
  return body;
}

/** What tests may want to know of a request; no secrets. */
function note(path, parameters) {
  const { client_secret, code, code_verifier, refresh_token, token, subject_token, ...shown } = parameters;
  log.push({ path, at: Date.now(), ...shown });
}

/** Behaves badly if that is wished; whether the request has been dealt with. */
async function fails(path, response) {
  const { fault, paths } = trouble;
  if (!fault || (paths.length > 0 && !paths.includes(path))) return false;
  if (fault === "down") response.destroy();
  else if (fault === "garbage") response.writeHead(200, { "content-type": "application/json" }).end('{"keys": [{');
  else {
    await sleep(SLOW_MS);
    return false;
  }
  return true;
}
