// What an application brings to an SDK's OAuth client: memory for tokens, and a browser. Works with SDK 1.x and 2.x.
import { randomUUID } from "node:crypto";

const REDIRECT_URL = "http://127.0.0.1:1/callback";
const PAGES_MAX = 10;

/**
 * One user at one application. `wishes` go to the authorization server with the login: `lifetime` in seconds,
 * `told` (what expires_in says), `refresh`, `opaque`.
 */
export class Person {
  redirectUrl = REDIRECT_URL;
  /** What the authorization server told of each login: the parameters of the redirect back. */
  logins = [];
  /** What was asked of it: the parameters of each authorization request. */
  requests = [];
  #client;
  #tokens;
  #verifier;
  #state;
  #location;

  constructor(name, wishes = {}) {
    this.name = name;
    this.wishes = wishes;
  }

  get clientMetadata() {
    return {
      client_name: "ringgate-interop",
      redirect_uris: [REDIRECT_URL],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: "none",
      application_type: "native",
    };
  }

  clientInformation = () => this.#client;
  saveClientInformation = (client) => void (this.#client = client);
  tokens = () => this.#tokens;
  saveTokens = (tokens) => void (this.#tokens = tokens);
  codeVerifier = () => this.#verifier;
  saveCodeVerifier = (verifier) => void (this.#verifier = verifier);
  state = () => (this.#state = randomUUID());

  invalidateCredentials(what) {
    if (what === "all" || what === "tokens") this.#tokens = undefined;
    if (what === "all" || what === "client") this.#client = undefined;
  }

  /** The browser: the person logs in, and the page that comes next is the application's. */
  async redirectToAuthorization(url) {
    this.requests.push(Object.fromEntries(url.searchParams));
    url.searchParams.set("login_hint", this.name);
    for (const [name, value] of Object.entries(this.wishes)) url.searchParams.set(name, value);
    this.#location = await browse(url);
  }

  /** The parameters with which the browser came back; they are good once. */
  comeBack() {
    const parameters = new URL(this.#location).searchParams;
    this.#location = undefined;
    if (parameters.has("error")) throw new Error(`the login failed: ${parameters}`);
    if (parameters.get("state") !== this.#state) throw new Error("the login came back with another state");
    this.logins.push(Object.fromEntries(parameters));
    return parameters;
  }

  get clientId() {
    return this.#client?.client_id;
  }

  get accessToken() {
    return this.#tokens?.access_token;
  }

  get refreshToken() {
    return this.#tokens?.refresh_token;
  }

  /** As an application that stores no refresh tokens. */
  forgetRefreshToken() {
    const { refresh_token, ...rest } = this.#tokens;
    this.#tokens = rest;
  }
}

/** Follows redirects, with cookies, until one leads back to the application; returns where to. */
async function browse(url) {
  const cookies = new Map();
  for (let page = 0; page < PAGES_MAX; page++) {
    const cookie = [...cookies].map((pair) => pair.join("=")).join("; ");
    const response = await fetch(url, { redirect: "manual", headers: cookie ? { cookie } : {} });
    for (const line of response.headers.getSetCookie()) {
      const [pair] = line.split(";");
      cookies.set(pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1));
    }
    const location = response.headers.get("location");
    if (!location) throw new Error(`the login stopped: ${response.status} ${await response.text()}`);
    if (location.startsWith(REDIRECT_URL)) return location;
    url = new URL(location, url);
  }
  throw new Error(`the login did not end after ${PAGES_MAX} pages`);
}
