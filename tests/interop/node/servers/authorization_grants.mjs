// What the authorization server gives, and to whom: clients, logins, codes, tokens.
import { createHash, randomUUID } from "node:crypto";

/** The users, and what their tokens say of them. */
export const USERS = {
  alice: { roles: ["support"] },
  bob: { roles: ["developer"] },
};

const LIFETIME_SECONDS = 300;
const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";

/** An error of RFC 6749 section 5.2. */
export class OAuthFault extends Error {
  constructor(error, description, status = 400) {
    super(description);
    this.body = { error, error_description: description };
    this.status = status;
  }
}

export function demand(condition, error, description, status) {
  if (!condition) throw new OAuthFault(error, description, status);
}

export class Grants {
  #codes = new Map();
  #refreshes = new Map();
  #opaque = new Map();
  #clients = new Map();

  constructor(issuer, keys, confidential) {
    this.issuer = issuer;
    this.keys = keys;
    for (const client of confidential) this.#clients.set(client.client_id, client);
  }

  /** Dynamic client registration (RFC 7591). */
  register(wish) {
    demand(wish.redirect_uris?.length > 0, "invalid_redirect_uri", "redirect_uris is missing");
    const method = wish.token_endpoint_auth_method ?? "client_secret_basic";
    const client = { ...wish, client_id: randomUUID(), token_endpoint_auth_method: method };
    if (method !== "none") client.client_secret = randomUUID();
    client.grant_types ??= ["authorization_code"];
    this.#clients.set(client.client_id, client);
    return { ...client, client_id_issued_at: now() };
  }

  /**
   * The user agrees at once: the redirect to the client. What the test's browser adds to the query says who logs in
   * (`login_hint`) and what the tokens are like (`lifetime` in seconds, `told` as expires_in, `refresh`, `opaque`).
   */
  authorize(query) {
    const client = this.#clients.get(query.client_id);
    demand(client, "invalid_request", "unknown client_id");
    demand(client.redirect_uris.includes(query.redirect_uri), "invalid_request", "redirect_uri is not registered");
    demand(query.response_type === "code", "unsupported_response_type", "only code");
    demand(query.code_challenge && query.code_challenge_method === "S256", "invalid_request", "PKCE with S256 needed");
    demand(query.resource, "invalid_target", "resource is missing (RFC 8707)");
    demand(USERS[query.login_hint], "access_denied", "nobody of that name");
    const code = randomUUID();
    const wishes = { lifetime: query.lifetime, told: query.told, refresh: query.refresh, opaque: query.opaque };
    this.#codes.set(code, { ...query, client, wishes });
    const location = new URL(query.redirect_uri);
    location.searchParams.set("code", code);
    if (query.state) location.searchParams.set("state", query.state);
    location.searchParams.set("iss", this.issuer);
    return location.href;
  }

  /** The token endpoint. */
  token(form, authorization) {
    const client = this.authenticate(form, authorization);
    switch (form.grant_type) {
      case "authorization_code":
        return this.#redeem(form, client);
      case "refresh_token":
        return this.#refresh(form, client);
      case "client_credentials":
        return this.#forItself(form, client);
      case EXCHANGE:
        return this.#exchange(form, client);
      default:
        throw new OAuthFault("unsupported_grant_type", String(form.grant_type));
    }
  }

  /** The client of a request (RFC 6749 section 2.3), by whichever way it registered for. */
  authenticate(form, authorization) {
    let { client_id, client_secret } = form;
    const basic = /^Basic (.+)$/i.exec(authorization ?? "");
    if (basic) {
      const [id, secret] = Buffer.from(basic[1], "base64").toString().split(":").map(decodeURIComponent);
      [client_id, client_secret] = [id, secret];
    }
    const client = this.#clients.get(client_id);
    demand(client && client.client_secret === client_secret, "invalid_client", "unknown client or secret", 401);
    return client;
  }

  /** What a token is about, whichever kind it is; undefined when it is not good. */
  introspect(token) {
    const known = this.#opaque.get(token) ?? this.keys.claims(token);
    return known && known.exp > now() ? known : undefined;
  }

  #redeem(form, client) {
    const login = this.#codes.get(form.code);
    this.#codes.delete(form.code);
    demand(login && login.client === client, "invalid_grant", "unknown code");
    demand(form.redirect_uri === login.redirect_uri, "invalid_grant", "another redirect_uri");
    const challenge = createHash("sha256").update(form.code_verifier ?? "").digest("base64url");
    demand(challenge === login.code_challenge, "invalid_grant", "the code verifier does not fit");
    demand(form.resource === login.resource, "invalid_target", "resource is missing or another one (RFC 8707)");
    return this.#issue(login.login_hint, client, login.resource, login.scope ?? "", login.wishes);
  }

  #refresh(form, client) {
    const login = this.#refreshes.get(form.refresh_token);
    demand(login && login.client === client, "invalid_grant", "unknown refresh token");
    demand(form.resource === login.resource, "invalid_target", "resource is missing or another one (RFC 8707)");
    // One use (OAuth 2.1 section 4.3.1). Scopes can only become fewer (RFC 6749 section 6).
    this.#refreshes.delete(form.refresh_token);
    const granted = login.scope.split(" ");
    const wished = form.scope?.split(" ") ?? granted;
    demand(wished.every((scope) => granted.includes(scope)), "invalid_scope", "a refresh cannot add scopes");
    return this.#issue(login.user, client, login.resource, wished.join(" "), { refresh: "yes" });
  }

  #forItself(form, client) {
    demand(client.client_secret, "unauthorized_client", "public clients have no credentials");
    const aud = form.resource ?? form.audience;
    demand(aud, "invalid_target", "resource is missing (RFC 8707)");
    return this.#answer({ sub: client.client_id, aud, client_id: client.client_id, roles: client.roles ?? [] }, form);
  }

  /** On behalf of the user (RFC 8693): the same subject, for another audience, by the client that asks. */
  #exchange(form, client) {
    demand(client.client_secret, "unauthorized_client", "only confidential clients may exchange");
    demand(form.subject_token_type === ACCESS_TOKEN, "invalid_request", "subject_token_type");
    const subject = this.introspect(form.subject_token);
    demand(subject, "invalid_grant", "the subject token is not good");
    const aud = form.audience ?? form.resource;
    demand(aud, "invalid_target", "audience or resource is missing");
    const claims = { sub: subject.sub, aud, client_id: client.client_id, act: { sub: subject.client_id } };
    return { ...this.#answer(claims, form), issued_token_type: ACCESS_TOKEN };
  }

  #answer(claims, { scope }) {
    const access_token = this.keys.sign({ ...this.#stamps(LIFETIME_SECONDS), ...claims, scope });
    return { access_token, token_type: "Bearer", expires_in: LIFETIME_SECONDS, scope };
  }

  #issue(user, client, resource, scope, wishes) {
    const lifetime = Number(wishes.lifetime ?? LIFETIME_SECONDS);
    const { client_id } = client;
    const claims = { ...this.#stamps(lifetime), sub: user, aud: resource, client_id, scope, ...USERS[user] };
    const answer = { token_type: "Bearer", scope };
    if (wishes.opaque === "yes") {
      answer.access_token = `opaque-${randomUUID()}`;
      this.#opaque.set(answer.access_token, claims);
    } else {
      answer.access_token = this.keys.sign(claims);
    }
    if (wishes.told !== "nothing") answer.expires_in = Number(wishes.told ?? lifetime);
    if (wishes.refresh !== "no" && client.grant_types.includes("refresh_token")) {
      answer.refresh_token = randomUUID();
      this.#refreshes.set(answer.refresh_token, { user, client, resource, scope });
    }
    return answer;
  }

  #stamps(lifetime) {
    return { iss: this.issuer, iat: now(), nbf: now(), exp: now() + lifetime, jti: randomUUID() };
  }
}

function now() {
  return Math.floor(Date.now() / 1000);
}
