//! The policy case: ringgate that asks who calls and whether they may, before each request.

use super::peer::Addresses;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::json;
use std::fmt::Write;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// Rules, each for a tool and a role of its own, unless the environment variable `BENCH_RULES` says otherwise.
const RULES: usize = 1000;
/// How long the token is good: longer than any measurement.
const LIFE_SECONDS: u64 = 7 * 24 * 3600;
/// Whom the token is for.
const AUDIENCE: &str = "https://bench.example/mcp";
const ISSUER: &str = "https://issuer.bench.example";

/// The issuer of one run: a key set, and a token it signed.
struct Issued {
    keys: String,
    token: String,
}

fn issued() -> Result<&'static Issued, String> {
    static ISSUED: OnceLock<Result<Issued, String>> = OnceLock::new();
    ISSUED.get_or_init(issue).as_ref().map_err(Clone::clone)
}

fn issue() -> Result<Issued, String> {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|error| error.to_string())?;
    let key =
        EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).map_err(|error| error.to_string())?;
    let point = key.public_key().as_ref();
    let keys = json!({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "bench",
        "x": base64url(&point[1..33]), "y": base64url(&point[33..])}]});
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?.as_secs();
    let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": "bench"});
    // As much as a usual access token says of an employee.
    let claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "2f7c1c0e-8a41-4d0c-9e0b-2c5a5d8f0b11", "azp": "bench-agent",
        "tid": "acme", "scope": "openid profile mcp:use", "iat": now, "exp": now + LIFE_SECONDS,
        "jti": "0b9a1f5e-51a7-4e43-9d3c-1f0e7f3c8b52", "name": "Alice Example", "email": "alice@example.com",
        "roles": ["role-0", "role-1", "role-2", "role-3", "role-4", "role-5", "role-6", "role-7"],
    });
    let text =
        format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(claims.to_string().as_bytes()));
    let signature = key.sign(&random, text.as_bytes()).map_err(|error| error.to_string())?;
    Ok(Issued { keys: keys.to_string(), token: format!("{text}.{}", base64url(signature.as_ref())) })
}

/// The header line that shows the token.
pub fn header() -> Result<String, String> {
    Ok(format!("Authorization: Bearer {}", issued()?.token))
}

/// ringgate's configuration: one issuer, and rules of which one lets the call pass.
pub fn config(addresses: &Addresses, upstream: &str, directory: &Path) -> Result<String, String> {
    let keys = directory.join("jwks.json");
    std::fs::write(&keys, &issued()?.keys).map_err(|error| error.to_string())?;
    let rules = std::env::var("BENCH_RULES").ok().and_then(|rules| rules.parse().ok()).unwrap_or(RULES);
    let Addresses { proxy, admin, .. } = addresses;
    let mut text = format!(
        "workers: 1
listeners: [{{ address: \"{proxy}\" }}]
admin: {{ address: \"{admin}\" }}
servers: [{{ name: bench, url: \"{upstream}\", audiences: [\"{AUDIENCE}\"], scopes: [\"mcp:use\"] }}]
authentication: {{ issuers: [{{ issuer: \"{ISSUER}\", jwks: \"file:{}\" }}] }}
access:
  rules:
",
        keys.display()
    );
    for rule in 0..rules {
        let tool = if rule == 0 { "echo".to_string() } else { format!("tool-{rule}") };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    - {{ effect: allow, roles: [role-{rule}], tools: [{tool}] }}");
    }
    Ok(text)
}

fn base64url(bytes: &[u8]) -> String {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    #[test]
    fn a_token_has_three_parts_and_the_usual_size() {
        let header = super::header().unwrap();
        assert_eq!(header.split('.').count(), 3);
        assert!((600..1200).contains(&header.len()), "{}", header.len());
    }
}
