//! Issuers of test tokens: keys that are made anew for each test, and one RSA key that is in the tree, since making one
//! takes long. Nothing but tests trusts it.

use std::sync::Arc;

use ring::rand::SystemRandom;
use ring::signature::{
    self as sig, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair, RsaPublicKeyComponents,
};
use serde_json::{Value as Json, json};

use super::super::*;
use base64url::{decode, encode};

pub(in super::super) const NOW: u64 = 1_800_000_000;
pub(in super::super) const ISSUER: &str = "https://idp.example";
pub(in super::super) const AUDIENCE: &str = "https://mcp.example/a/mcp";

pub(in super::super) enum Signer {
    Ec(EcdsaKeyPair, &'static str, &'static str),
    Ed(Ed25519KeyPair),
    Rsa(RsaKeyPair, &'static str, &'static dyn sig::RsaEncoding),
}

impl Signer {
    pub(in super::super) fn es256() -> Self {
        Self::ec(&sig::ECDSA_P256_SHA256_FIXED_SIGNING, "ES256", "P-256")
    }

    pub(in super::super) fn es384() -> Self {
        Self::ec(&sig::ECDSA_P384_SHA384_FIXED_SIGNING, "ES384", "P-384")
    }

    fn ec(algorithm: &'static sig::EcdsaSigningAlgorithm, name: &'static str, curve: &'static str) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self::Ec(EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap(), name, curve)
    }

    pub(in super::super) fn ed25519() -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Ed(Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap())
    }

    pub(in super::super) fn rsa(name: &'static str) -> Self {
        let pem = include_str!("rsa_for_tests_only.pem");
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let body = body.replace('+', "-").replace('/', "_");
        let der = decode(body.trim_end_matches('=').as_bytes()).unwrap();
        let encoding: &'static dyn sig::RsaEncoding = match name {
            "RS256" => &sig::RSA_PKCS1_SHA256,
            "RS384" => &sig::RSA_PKCS1_SHA384,
            "RS512" => &sig::RSA_PKCS1_SHA512,
            "PS256" => &sig::RSA_PSS_SHA256,
            "PS384" => &sig::RSA_PSS_SHA384,
            "PS512" => &sig::RSA_PSS_SHA512,
            other => panic!("{other}"),
        };
        Self::Rsa(RsaKeyPair::from_pkcs8(&der).unwrap(), name, encoding)
    }

    pub(in super::super) fn name(&self) -> &'static str {
        match self {
            Self::Ec(_, name, _) | Self::Rsa(_, name, _) => name,
            Self::Ed(_) => "EdDSA",
        }
    }

    /// The public key as a JWK, without `kid` and `alg`.
    pub(in super::super) fn jwk(&self) -> Json {
        match self {
            Self::Ec(pair, _, curve) => {
                let (x, y) =
                    pair.public_key().as_ref()[1..].split_at((pair.public_key().as_ref().len() - 1) / 2);
                json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
            }
            Self::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref())})
            }
            Self::Rsa(pair, ..) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"kty": "RSA", "n": encode(&public.n), "e": encode(&public.e)})
            }
        }
    }

    pub(in super::super) fn jwk_with(&self, more: Json) -> Json {
        merged(self.jwk(), more)
    }

    pub(in super::super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Ec(pair, ..) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Rsa(pair, _, encoding) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(*encoding, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    /// A token of these texts, whatever they are.
    pub(in super::super) fn token_of(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
        let signature = encode(&self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// A good token with kid `k`, with these changes to header and claims; `null` takes a name away.
    pub(in super::super) fn token(&self, header: Json, claims: Json) -> String {
        let header = merged(json!({"alg": self.name(), "kid": "k", "typ": "at+jwt"}), header);
        self.token_of(&header.to_string(), &merged(good_claims(), claims).to_string())
    }
}

pub(in super::super) fn good_claims() -> Json {
    json!({"iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 300, "iat": NOW, "sub": "u", "azp": "a", "jti": "t1"})
}

fn merged(mut base: Json, more: Json) -> Json {
    for (name, value) in more.as_object().unwrap() {
        if value.is_null() {
            base.as_object_mut().unwrap().remove(name);
        } else {
            base[name] = value.clone();
        }
    }
    base
}

pub(in super::super) fn set(keys: &[Json]) -> Arc<KeySet> {
    Arc::new(KeySet::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap())
}

/// One issuer with one key `k`, and the audience of one server.
pub(in super::super) struct Setting {
    pub(in super::super) authn: Authn,
    pub(in super::super) keys: Vec<Option<Arc<KeySet>>>,
    pub(in super::super) audiences: Vec<Box<str>>,
    pub(in super::super) now: u64,
    pub(in super::super) fresh: bool,
    pub(in super::super) anonymous: bool,
    pub(in super::super) certificate: Option<Vec<u8>>,
}

impl Setting {
    pub(in super::super) fn of(signer: &Signer) -> Self {
        Self::with(
            Issuer::new(ISSUER, KeySource::Discovery),
            Some(set(&[signer.jwk_with(json!({"kid": "k"}))])),
        )
    }

    pub(in super::super) fn with(issuer: Issuer, keys: Option<Arc<KeySet>>) -> Self {
        Self {
            authn: Authn { issuers: [issuer].into(), ..Authn::default() },
            keys: vec![keys],
            ..Self::empty()
        }
    }

    pub(in super::super) fn empty() -> Self {
        Self {
            authn: Authn::default(),
            keys: Vec::new(),
            audiences: vec![AUDIENCE.into()],
            now: NOW,
            fresh: false,
            anonymous: false,
            certificate: None,
        }
    }

    pub(in super::super) fn facts(&self) -> Facts<'_> {
        Facts {
            server: "a",
            audiences: &self.audiences,
            anonymous: self.anonymous,
            keys: &self.keys,
            keys_are_fresh: self.fresh,
            certificate: self.certificate.as_deref(),
            now: self.now,
        }
    }

    pub(in super::super) fn ask(&self, credential: Credential<'_>) -> Outcome {
        self.authn.authenticate(credential, &self.facts())
    }

    pub(in super::super) fn show(&self, token: &str) -> Outcome {
        self.ask(Credential::Bearer(token.as_bytes()))
    }

    pub(in super::super) fn known(&self, token: &str) -> Principal {
        match self.show(token) {
            Outcome::Known(principal) => principal,
            other => panic!("{other:?}"),
        }
    }

    /// The word for what came of the token.
    pub(in super::super) fn word(&self, token: &str) -> &'static str {
        word(&self.show(token))
    }
}

pub(in super::super) fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Known(_) => "known",
        Outcome::NeedsKeys(_) => "needs_keys",
        Outcome::NeedsIntrospection => "needs_introspection",
        Outcome::NeedsTrade => "needs_trade",
        Outcome::Refused(refused) => refused.reason,
    }
}
