// The keys of the authorization server: made at the start, replaced on demand, ES256 and RS256 by turns.
import { createPublicKey, generateKeyPairSync, sign, verify } from "node:crypto";

const KINDS = {
  ES256: { type: "ec", options: { namedCurve: "P-256" }, hash: "sha256", how: { dsaEncoding: "ieee-p1363" } },
  RS256: { type: "rsa", options: { modulusLength: 2048 }, hash: "sha256", how: {} },
};

export class Keys {
  #made = 0;
  /** Newest first; the first one signs. */
  #keys = [];

  constructor() {
    this.rotate();
  }

  /** A new key signs from now on. The old ones stay published unless `retire`. */
  rotate({ retire = false } = {}) {
    const alg = Object.keys(KINDS)[this.#made % 2];
    this.#made += 1;
    const kid = `key-${this.#made}-${process.pid}`;
    const { privateKey, publicKey } = generateKeyPairSync(KINDS[alg].type, KINDS[alg].options);
    this.#keys = [{ alg, kid, privateKey, publicKey }, ...(retire ? [] : this.#keys)];
    return kid;
  }

  /** The JWK set (RFC 7517). */
  published() {
    const jwk = ({ alg, kid, publicKey }) => ({ ...publicKey.export({ format: "jwk" }), alg, kid, use: "sig" });
    return { keys: this.#keys.map(jwk) };
  }

  sign(claims, typ = "at+jwt") {
    const { alg, kid, privateKey } = this.#keys[0];
    return encodeJwt({ alg, kid, typ }, claims, privateKey);
  }

  /** The claims of a token of ours that has not expired, or undefined. */
  claims(token) {
    try {
      const claims = verifyJwt(token, this.published()).claims;
      return claims.exp > Date.now() / 1000 ? claims : undefined;
    } catch {
      return undefined;
    }
  }
}

/** A compact JWS; `header.alg` says how it is signed. */
export function encodeJwt(header, claims, privateKey) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const input = `${encode(header)}.${encode(claims)}`;
  const { hash, how } = KINDS[header.alg];
  return `${input}.${sign(hash, Buffer.from(input), { key: privateKey, ...how }).toString("base64url")}`;
}

/** Header and claims of a JWT that a key of the set has signed; throws when none has. Times are not checked. */
export function verifyJwt(token, { keys }) {
  const [head, body, signature] = token.split(".");
  const header = decode(head);
  const jwk = keys.find((key) => key.kid === header.kid);
  if (!jwk) throw new Error(`no key ${header.kid} among ${keys.map((key) => key.kid)}`);
  const key = createPublicKey({ key: jwk, format: "jwk" });
  const { hash, how } = header.alg === "EdDSA" ? { hash: null, how: {} } : KINDS[header.alg];
  const input = Buffer.from(`${head}.${body}`);
  if (!verify(hash, input, { key, ...how }, Buffer.from(signature, "base64url"))) {
    throw new Error(`the signature of ${header.kid} is not good`);
  }
  return { header, claims: decode(body) };
}

/** What a JWT says, believed or not. */
export function decode(part) {
  return JSON.parse(Buffer.from(part, "base64url").toString());
}

