//! Who may call which tool: an issuer made for the test, tokens of every kind, and what the gateway makes of them.

mod access;
mod advisories;
mod api_keys;
mod bypass;
mod certificates;
mod denials;
mod floods;
mod introspection;
mod keys;
mod keys_tls;
mod metered;
mod names;
mod refusals;
mod sessions;
mod step_up;
mod tasks;
mod tokens;
mod trades;
mod trust;
mod upstream;
mod warnings;

use std::time::{SystemTime, UNIX_EPOCH};

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value as Json, json};

use super::harness::{Message, post};

/// The URL under which the gateways of these tests are known.
pub const PUBLIC: &str = "https://gw.example";
/// The issuer.
pub const ISSUER: &str = "https://idp.example";

/// An issuer that signs whatever a test likes.
pub struct Issuer {
    name: String,
    key: EcdsaKeyPair,
    kid: String,
}

impl Issuer {
    pub fn new() -> Self {
        Self::named(ISSUER, "k1")
    }

    pub fn named(name: &str, kid: &str) -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
        Self { name: name.to_owned(), key, kid: kid.to_owned() }
    }

    /// Its public keys, as a JWK set.
    pub fn jwks(&self) -> String {
        json!({ "keys": [self.jwk()] }).to_string()
    }

    pub fn jwk(&self) -> Json {
        let point = self.key.public_key().as_ref();
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.kid,
            "x": base64url(&point[1..33]), "y": base64url(&point[33..])})
    }

    /// A token with these claims, over what every good token for `up` has.
    pub fn token(&self, claims: Json) -> String {
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": self.kid});
        self.signed(&header, &self.claims(claims))
    }

    pub fn claims(&self, claims: Json) -> Json {
        let now = now();
        let mut all = json!({"iss": self.name, "aud": format!("{PUBLIC}/up/mcp"), "sub": "somebody", "iat": now, "exp": now + 600});
        for (name, value) in claims.as_object().unwrap() {
            match value {
                Json::Null => drop(all.as_object_mut().unwrap().remove(name)),
                value => all[name] = value.clone(),
            }
        }
        all
    }

    /// A token with exactly this header and these claims.
    pub fn signed(&self, header: &Json, claims: &Json) -> String {
        let text = format!(
            "{}.{}",
            base64url(header.to_string().as_bytes()),
            base64url(claims.to_string().as_bytes())
        );
        let signature = self.key.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", base64url(signature.as_ref()))
    }
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub fn base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for part in bytes.chunks(3) {
        let word =
            part.iter().fold(0_u32, |word, &byte| (word << 8) | u32::from(byte)) << (8 * (3 - part.len()));
        for at in 0..=part.len() {
            text.push(char::from(ALPHABET[(word >> (18 - 6 * at)) as usize & 63]));
        }
    }
    text
}

/// A header line that shows a bearer token.
pub fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// A ping with these header lines.
pub fn ping(headers: &str) -> Vec<u8> {
    post(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, headers)
}

/// A tool call with these header lines.
pub fn call(tool: &str, headers: &str) -> Vec<u8> {
    let body = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": tool}});
    post(&body.to_string(), headers)
}

/// The one `WWW-Authenticate` of an answer.
pub fn challenge(answer: &Message) -> &str {
    let all: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "www-authenticate").collect();
    assert_eq!(all.len(), 1, "{answer:?}");
    &all[0].1
}
