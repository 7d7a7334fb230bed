//! Who calls in these runs, what each of them may do under which configuration, and an issuer that vouches for them.

use std::sync::{Arc, LazyLock};

use ring::signature::{Ed25519KeyPair, KeyPair};
use ringgate::io::sim::WALL_AT_START;
use ringgate::policy::authn::KeySet;
use ringgate::policy::authn::base64url::encode;
use serde_json::{Value as Json, json};

/// Every tool that the servers offer.
pub const TOOLS: [&str; 3] = ["read_a", "write_b", "drop_c"];

/// A caller.
pub struct Person {
    pub name: &'static str,
    /// What it shows in `Authorization`, if it shows something.
    pub token: Option<String>,
    /// When that ends, in seconds since 1970.
    pub ends: u64,
    /// Its role before and after the reload; `None`: it is nobody.
    roles: [Option<&'static str>; 2],
}

/// What dave's token is good for.
pub const DAVE_ENDS: u64 = WALL_AT_START + 20;

/// Everybody.
pub static CAST: LazyLock<Vec<Person>> = LazyLock::new(|| {
    let far = WALL_AT_START + 86_400;
    let jwt = |name, issuer: usize, role: &'static str, ends, roles| Person {
        name,
        token: Some(sign(issuer, issuer, &json!({"sub": name, "jti": name, "roles": [role], "exp": ends}))),
        ends,
        roles,
    };
    let opaque = |name: &'static str, roles| Person { name, token: Some(name.into()), ends: far, roles };
    vec![
        jwt("alice", 0, "writer", far, [Some("writer"); 2]),
        jwt("bob", 0, "reader", far, [Some("reader"), None]),
        jwt("carol", 1, "reader", far, [Some("reader"), None]),
        jwt("dave", 0, "reader", DAVE_ENDS, [Some("reader"); 2]),
        // Signed by the other issuer's key: a forgery, and the keys' names are the same.
        Person {
            name: "eve",
            token: Some(sign(0, 1, &json!({"sub": "alice", "jti": "eve", "roles": ["writer"], "exp": far}))),
            ends: far,
            roles: [None; 2],
        },
        opaque("frank", [Some("reader"); 2]),
        opaque("grace", [None; 2]),
        Person { name: "nobody", token: None, ends: far, roles: [None; 2] },
    ]
});

/// The person of this name.
pub fn person(name: &str) -> &'static Person {
    CAST.iter().find(|person| person.name == name).unwrap()
}

/// Whose token this is.
pub fn owner(token: &[u8]) -> &'static Person {
    let holds = |person: &&Person| person.token.as_ref().is_some_and(|own| own.as_bytes() == token);
    CAST.iter().find(holds).unwrap()
}

impl Person {
    /// Whether it may use the tool under the first configuration, or the second; `None`: anything of the protocol.
    pub fn may(&self, second: bool, tool: Option<&str>) -> bool {
        let Some(role) = self.roles[usize::from(second)] else { return false };
        let allowed: &[&str] = match (role, second) {
            ("reader", _) => &["read_a"],
            (_, false) => &["read_a", "write_b"],
            (_, true) => &["write_b"],
        };
        tool.is_none_or(|tool| allowed.contains(&tool))
    }
}

/// The configuration before the reload, or after it: issuers, rules, revocations, and what servers are shown.
pub fn config(second: bool) -> String {
    let exchange =
        "token_exchange: {token_url: 'https://idp.example/t', client_id: gw, client_secret: 'env:SECRET'}";
    let own = exchange.replace("token_exchange", "client_credentials");
    let server = |name: &str, port: u16, credentials: &str| {
        let credentials =
            if credentials.is_empty() { String::new() } else { format!(", credentials: {{{credentials}}}") };
        format!("- {{name: {name}, url: 'http://127.0.0.1:{port}/up'{credentials}}}\n")
    };
    let servers = match second {
        false => [server("s0", 7000, exchange), server("s1", 7001, &own), server("s2", 7002, "")],
        true => [server("s1", 7001, exchange), server("s0", 7000, &own), server("s2", 7002, "")],
    };
    let writes = if second { "['write_*']" } else { "['read_*', 'write_*']" };
    let issuers: String = (0..if second { 1 } else { 2 })
        .map(|at| format!("  - {{issuer: 'https://i{at}.example', jwks_url: 'https://i{at}.example/keys', clock_skew: 0s, audiences: [gw]}}\n"))
        .collect();
    let revoked = if second { "  revoked: env:REVOKED_bob\n" } else { "" };
    format!(
        "timeouts: {{head: 1m, body: 1m, keep_alive: 2m, write: 1m, connect: 5s, first_byte: 1m, stream_idle: 1m}}\n\
         public_url: https://gw.example\nservers:\n{}access:\n  rules:\n  \
         - {{effect: allow, roles: [reader], tools: ['read_*']}}\n  - {{effect: allow, roles: [writer], tools: {writes}}}\n\
         authentication:\n{revoked}  issuers:\n{issuers}  \
         introspection: {{url: 'https://ask.example/i', client_id: gw, client_secret: 'env:SECRET', cache: 3s, audiences: [gw]}}\n",
        servers.concat()
    )
}

/// The keys of an issuer.
pub fn keys(issuer: usize) -> Arc<KeySet> {
    let x = encode(key(issuer).public_key().as_ref());
    let set = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": x}]}).to_string();
    Arc::new(KeySet::parse(set.as_bytes()).unwrap())
}

/// What the introspection endpoint says of a token.
pub fn introspected(token: &[u8]) -> String {
    let person = owner(token);
    match person.name {
        "frank" => {
            json!({"active": true, "aud": "gw", "sub": "frank", "roles": ["reader"], "exp": person.ends})
                .to_string()
        }
        _ => json!({"active": false}).to_string(),
    }
}

fn key(issuer: usize) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[issuer as u8 + 1; 32]).unwrap()
}

fn sign(issuer: usize, signer: usize, claims: &Json) -> String {
    let mut claims = claims.clone();
    claims["iss"] = format!("https://i{issuer}.example").into();
    claims["aud"] = "gw".into();
    let text =
        format!("{}.{}", encode(br#"{"alg":"EdDSA","kid":"k"}"#), encode(claims.to_string().as_bytes()));
    format!("{text}.{}", encode(key(signer).sign(text.as_bytes()).as_ref()))
}
