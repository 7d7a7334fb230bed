// npm oidc-provider as an authorization server on loopback: dynamic registration, RFC 8707, introspection, revocation.
// Whoever comes with `login_hint` is logged in and agrees to everything; all else is as the package has it.
// The server that a token is for decides its form: /opaque/ gets opaque ones, others JWTs; /brief/ good for 3 s.
// environment: PORT, GATEWAY_SECRET
import { createServer } from "node:http";
import Provider from "oidc-provider";

const BRIEF_SECONDS = 3;
const port = Number(process.env.PORT);
const issuer = `http://127.0.0.1:${port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "gateway",
      client_secret: process.env.GATEWAY_SECRET,
      grant_types: [],
      redirect_uris: [],
      response_types: [],
    },
  ],
  scopes: ["openid", "offline_access", "mcp:use", "env:read"],
  features: {
    devInteractions: { enabled: false },
    registration: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({
        scope: "mcp:use env:read",
        audience: resource,
        accessTokenFormat: resource.includes("/opaque") ? "opaque" : "jwt",
        accessTokenTTL: resource.includes("/brief") ? BRIEF_SECONDS : 600,
      }),
    },
  },
  // The package gives refresh tokens for `offline_access` only, which not every client asks for.
  issueRefreshToken: async (_, client) => client.grantTypeAllowed("refresh_token"),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
});

/** The person logs in, and agrees to what is missing. */
async function interact(request, response) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  if (prompt.name === "login") {
    const login = { accountId: params.login_hint };
    return await provider.interactionFinished(request, response, { login }, { mergeWithLastSubmission: false });
  }
  const known = grantId && (await provider.Grant.find(grantId));
  const grant = known || new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  if (prompt.details.missingOIDCScope) grant.addOIDCScope(prompt.details.missingOIDCScope.join(" "));
  for (const [resource, scopes] of Object.entries(prompt.details.missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, scopes.join(" "));
  }
  const consent = { grantId: await grant.save() };
  return await provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true });
}

const serve = provider.callback();
createServer(async (request, response) => {
  if (!request.url.startsWith("/interaction/")) return serve(request, response);
  try {
    await interact(request, response);
  } catch (error) {
    console.error(error);
    response.writeHead(500).end(String(error));
  }
}).listen(port, "127.0.0.1");
