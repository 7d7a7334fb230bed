//! What it costs to believe a caller, without any cache: `cargo bench -p bench --bench authn`.
//!
//! On a shared machine read the fastest column. A worker pays the price of a verification once a token and
//! virtual server, and that of `read` on every request.

#![allow(missing_docs, clippy::expect_used)]

use std::sync::Arc;

use divan::{Bencher, black_box};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use ringgate::policy::authn::api_key::{ApiKey, Hash, mint};
use ringgate::policy::authn::base64url::{decode, encode};
use ringgate::policy::authn::{ApiKeys, Authn, Credential, Facts, Issuer, KeySet, KeySource, Outcome};

const NOW: u64 = 1_800_000_000;
const KEYS: [usize; 3] = [1, 100, 10_000];

fn main() {
    divan::main();
}

/// A gateway's view of one issuer with one key, and a token of it.
struct Work {
    authn: Authn,
    keys: [Option<Arc<KeySet>>; 1],
    audiences: [Box<str>; 1],
    token: String,
}

impl Work {
    fn new(algorithm: &str, jwk: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> Self {
        let header = format!(r#"{{"alg":"{algorithm}","typ":"at+jwt","kid":"2026-11"}}"#);
        let claims = format!(
            r#"{{"iss":"https://idp.example/realms/main","aud":["https://mcp.example/a/mcp"],"exp":{},"iat":{NOW},"jti":"0b1e8d2e-7d4b-4f0c-9d4e-6a8d1f3f2c11","sub":"f:61f5:ada","azp":"build-agent","scope":"openid mcp:read mcp:call","realm_access":{{"roles":["reader","writer","offline_access"]}}}}"#,
            NOW + 300
        );
        let signed = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
        let token = format!("{signed}.{}", encode(&sign(signed.as_bytes())));
        let keys = KeySet::parse(format!(r#"{{"keys":[{{"kid":"2026-11",{jwk}}}]}}"#).as_bytes());
        Self {
            authn: Authn {
                issuers: [Issuer::new("https://idp.example/realms/main", KeySource::Discovery)].into(),
                ..Authn::default()
            },
            keys: [Some(Arc::new(keys.expect("a key set")))],
            audiences: ["https://mcp.example/a/mcp".into()],
            token,
        }
    }

    fn run(&self, bencher: Bencher<'_, '_>) {
        bencher.bench_local(|| {
            let facts = facts(&self.keys, &self.audiences);
            let outcome =
                self.authn.authenticate(Credential::Bearer(black_box(self.token.as_bytes())), &facts);
            assert!(matches!(outcome, Outcome::Known(_)));
        });
    }
}

fn facts<'a>(keys: &'a [Option<Arc<KeySet>>], audiences: &'a [Box<str>]) -> Facts<'a> {
    Facts {
        server: "a",
        audiences,
        anonymous: false,
        keys,
        keys_are_fresh: false,
        certificate: None,
        now: NOW,
    }
}

#[divan::bench]
fn es256(bencher: Bencher<'_, '_>) {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).expect("a key");
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let jwk = format!(r#""kty":"EC","crv":"P-256","x":"{}","y":"{}""#, encode(x), encode(y));
    Work::new("ES256", &jwk, |signed| pair.sign(&random, signed).expect("a signature").as_ref().to_vec())
        .run(bencher);
}

#[divan::bench]
fn eddsa(bencher: Bencher<'_, '_>) {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key");
    let jwk = format!(r#""kty":"OKP","crv":"Ed25519","x":"{}""#, encode(pair.public_key().as_ref()));
    Work::new("EdDSA", &jwk, |signed| pair.sign(signed).as_ref().to_vec()).run(bencher);
}

#[divan::bench]
fn rs256(bencher: Bencher<'_, '_>) {
    let pem = include_str!("../../src/policy/authn/tests/rsa_for_tests_only.pem");
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let body = body.replace('+', "-").replace('/', "_");
    let der = decode(body.trim_end_matches('=').as_bytes()).expect("base64");
    let pair = RsaKeyPair::from_pkcs8(&der).expect("a key");
    let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
    let jwk = format!(r#""kty":"RSA","n":"{}","e":"{}""#, encode(&public.n), encode(&public.e));
    let sign = |signed: &[u8]| {
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed, &mut signature).expect("a signature");
        signature
    };
    Work::new("RS256", &jwk, sign).run(bencher);
}

#[divan::bench(args = KEYS)]
fn api_key(bencher: Bencher<'_, '_>, count: usize) {
    let entry = |index: usize| ApiKey {
        id: format!("agent-{index}").into(),
        hash: Hash::of(mint(&format!("agent-{index}"), &[7; 32]).as_bytes(), &[1; 16]),
        agent: "bot".into(),
        user: None,
        tenant: None,
        roles: ["reader".into()].into(),
        scopes: Box::default(),
        expires: None,
        servers: Box::default(),
    };
    let authn = Authn { api_keys: Some(ApiKeys::new((0..count).map(entry).collect())), ..Authn::default() };
    let key = mint(&format!("agent-{}", count / 2), &[7; 32]);
    bencher.bench_local(|| {
        let outcome = authn.authenticate(Credential::ApiKey(black_box(key.as_bytes())), &facts(&[], &[]));
        assert!(matches!(outcome, Outcome::Known(_)));
    });
}

#[divan::bench(args = [64, 700, 2000])]
fn read(bencher: Bencher<'_, '_>, len: usize) {
    let value = format!("Bearer {}", "a".repeat(len));
    bencher.bench_local(|| {
        Credential::read([black_box(value.as_bytes())], [], black_box(None)).map(|_| ()).expect("a token")
    });
}
