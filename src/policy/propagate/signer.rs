//! The gateway's own key, and the assertions that are signed with it (RFC 7515, RFC 7519).

use std::fmt;
use std::ops::Range;

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::{Map, Value as Json, json};

use super::{Assertion, base64};
use crate::policy::principal::Principal;

/// Bytes of an assertion. It goes into one header line, beside which others need room.
pub const ASSERTION_BYTES_MAX: usize = 4 << 10;
/// For how long a token endpoint may take a client's assertion.
const CLIENT_ASSERTION_SECONDS: u64 = 60;

/// The key that the gateway signs assertions with, and the keys that are published beside it.
pub struct Signer {
    /// `iss` of its assertions.
    pub issuer: Box<str>,
    pair: Pair,
    /// The first part of every assertion.
    header: String,
    /// The signing key's first.
    published: Vec<PublicKey>,
}

enum Pair {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A public key as it is published.
#[derive(Clone, PartialEq)]
struct PublicKey {
    /// Its thumbprint (RFC 7638).
    kid: String,
    jwk: Json,
}

/// Why there is no assertion, and so no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MintError {
    /// The caller's credential has ended.
    Expired,
    /// It would have more than [`ASSERTION_BYTES_MAX`].
    TooLarge,
    /// The key or the source of random numbers failed.
    Failed,
}

/// No clock of an issuer may differ by more seconds (`clock_skew`).
const SKEW_MAX: u64 = 300;
/// An assertion of a credential in its last seconds is good for so long.
const LAST_SECONDS: u64 = 5;

impl Signer {
    /// A signer with the private key in `pkcs8` (DER; EC P-256 or Ed25519).
    ///
    /// # Errors
    /// What is wrong with the key. Nothing of it is quoted.
    pub fn new(issuer: Box<str>, pkcs8: &[u8]) -> Result<Self, &'static str> {
        let pair = Pair::read(pkcs8).ok_or("is not a private key, EC P-256 or Ed25519, in PKCS #8")?;
        let own = pair.public();
        let algorithm = match pair {
            Pair::P256(_) => "ES256",
            Pair::Ed25519(_) => "EdDSA",
        };
        let header = json!({"alg": algorithm, "kid": own.kid, "typ": "JWT"});
        Ok(Self { issuer, pair, header: base64::url(header.to_string().as_bytes()), published: vec![own] })
    }

    /// Publishes another key, private (PKCS #8) or public (SubjectPublicKeyInfo), in DER. Nothing is signed with it.
    ///
    /// # Errors
    /// What is wrong with the key. Nothing of it is quoted.
    pub fn publish(&mut self, der: &[u8]) -> Result<(), &'static str> {
        let key = match Pair::read(der) {
            Some(pair) => pair.public(),
            None => PublicKey::read(der).ok_or("is not a key, EC P-256 or Ed25519")?,
        };
        if !self.published.contains(&key) {
            self.published.push(key);
        }
        Ok(())
    }

    /// The id of the key that signs: its thumbprint (RFC 7638).
    pub fn kid(&self) -> &str {
        self.published.first().map_or("", |key| &key.kid)
    }

    /// The public keys as a JWK set (RFC 7517).
    pub fn jwks(&self) -> String {
        let keys: Vec<&Json> = self.published.iter().map(|key| &key.jwk).collect();
        json!({ "keys": keys }).to_string()
    }

    /// An assertion of who `principal` is: a JWT, as it goes into the header. `now` is in seconds since 1970 (UTC);
    /// `nonce` is never given twice. It ends with the caller's own credential at the latest.
    ///
    /// # Errors
    /// See [`MintError`]. The request must not go on without its assertion.
    pub fn mint_now(
        &self,
        assertion: &Assertion,
        principal: &Principal,
        now: u64,
    ) -> Result<Vec<u8>, MintError> {
        let rng = SystemRandom::new();
        let mut nonce = [0; 16];
        rng.fill(&mut nonce).map_err(|_| MintError::Failed)?;
        self.mint(assertion, principal, now, u128::from_le_bytes(nonce), &rng)
    }

    /// A JWT by which this signer, whose `iss` is a client's id, proves to the endpoint `audience` that it is that client
    /// (RFC 7523 section 3). It is good for a minute and, by its `jti`, once.
    ///
    /// # Errors
    /// See [`MintError`].
    pub fn client_assertion(&self, audience: &str, now: u64) -> Result<Vec<u8>, MintError> {
        let rng = SystemRandom::new();
        let mut nonce = [0; 16];
        rng.fill(&mut nonce).map_err(|_| MintError::Failed)?;
        let mut claims = Map::new();
        claims.insert("sub".into(), json!(self.issuer));
        self.sign(claims, audience, now..now + CLIENT_ASSERTION_SECONDS, u128::from_le_bytes(nonce), &rng)
    }

    /// [`Signer::mint_now`], with chance from outside: a nonce that is used once, and what the signature needs.
    ///
    /// # Errors
    /// See [`MintError`].
    pub fn mint(
        &self,
        assertion: &Assertion,
        principal: &Principal,
        now: u64,
        nonce: u128,
        rng: &dyn SecureRandom,
    ) -> Result<Vec<u8>, MintError> {
        let ends = principal.expires.unwrap_or(u64::MAX);
        // A credential is accepted past its end by as much as its issuer's clock may differ.
        if ends.saturating_add(SKEW_MAX) <= now {
            return Err(MintError::Expired);
        }
        let expires = now.saturating_add(assertion.lifetime.into()).min(if ends > now {
            ends
        } else {
            now + LAST_SECONDS
        });
        self.sign(who(principal), &assertion.audience, now..expires, nonce, rng)
    }

    /// These claims and those that every assertion has, signed.
    fn sign(
        &self,
        mut claims: Map<String, Json>,
        audience: &str,
        good: Range<u64>,
        nonce: u128,
        rng: &dyn SecureRandom,
    ) -> Result<Vec<u8>, MintError> {
        claims.insert("iss".into(), json!(self.issuer));
        claims.insert("aud".into(), json!(audience));
        claims.insert("iat".into(), json!(good.start));
        claims.insert("nbf".into(), json!(good.start));
        claims.insert("exp".into(), json!(good.end));
        claims.insert("jti".into(), json!(format!("{nonce:032x}")));
        let claims = base64::url(Json::Object(claims).to_string().as_bytes());
        let mut token = format!("{}.{claims}", self.header);
        if token.len() > ASSERTION_BYTES_MAX {
            return Err(MintError::TooLarge);
        }
        let signature = self.pair.sign(token.as_bytes(), rng).ok_or(MintError::Failed)?;
        token.push('.');
        token.push_str(&base64::url(&signature));
        if token.len() > ASSERTION_BYTES_MAX {
            return Err(MintError::TooLarge);
        }
        Ok(token.into_bytes())
    }
}

/// The claims that say who calls. `sub` is the user, or the agent where it calls for itself; `act` is the agent that
/// calls for the user (RFC 8693 section 4.1); an anonymous caller has neither.
fn who(principal: &Principal) -> Map<String, Json> {
    let mut claims = Map::new();
    let mut set = |name: &str, value: Option<Json>| {
        if let Some(value) = value {
            claims.insert(name.to_owned(), value);
        }
    };
    let text = |value: &Option<Box<str>>| value.as_ref().map(|value| json!(value));
    set("sub", text(&principal.user).or_else(|| text(&principal.agent)));
    if principal.user.is_some() {
        set("act", text(&principal.agent).map(|agent| json!({ "sub": agent })));
    }
    set("azp", text(&principal.agent));
    set("client_id", text(&principal.agent));
    set("tenant", text(&principal.tenant));
    set("roles", (!principal.roles.is_empty()).then(|| json!(principal.roles)));
    set("scope", (!principal.scopes.is_empty()).then(|| json!(principal.scopes.join(" "))));
    // The same `sub` of another issuer is somebody else.
    set("idp", Some(json!(principal.issuer)));
    set("proof", Some(json!(principal.proof.label())));
    claims
}

impl Pair {
    fn read(pkcs8: &[u8]) -> Option<Self> {
        let rng = ring::rand::SystemRandom::new();
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &rng) {
            return Some(Self::P256(pair));
        }
        // openssl writes Ed25519 keys without the public half, which ring makes from the private one.
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).ok().map(Self::Ed25519)
    }

    fn public(&self) -> PublicKey {
        match self {
            // An uncompressed point (SEC 1 section 2.3.3): 4, x, y.
            Self::P256(pair) => PublicKey::p256(&pair.public_key().as_ref()[1..]),
            Self::Ed25519(pair) => PublicKey::ed25519(pair.public_key().as_ref()),
        }
    }

    fn sign(&self, message: &[u8], rng: &dyn SecureRandom) -> Option<Vec<u8>> {
        match self {
            Self::P256(pair) => Some(pair.sign(rng, message).ok()?.as_ref().to_vec()),
            Self::Ed25519(pair) => Some(pair.sign(message).as_ref().to_vec()),
        }
    }
}

/// What stands before the point in a SubjectPublicKeyInfo of P-256 (RFC 5480), up to the 4 of an uncompressed one.
const P256_PREFIX: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04";
/// The same for Ed25519 (RFC 8410).
const ED25519_PREFIX: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

impl PublicKey {
    /// Of `point`: x, then y, 32 bytes each.
    fn p256(point: &[u8]) -> Self {
        let (x, y) = point.split_at(point.len() / 2);
        let (x, y) = (base64::url(x), base64::url(y));
        let kid = thumbprint(&format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#));
        let jwk =
            json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": kid, "alg": "ES256", "use": "sig"});
        Self { kid, jwk }
    }

    fn ed25519(bytes: &[u8]) -> Self {
        let x = base64::url(bytes);
        let kid = thumbprint(&format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "alg": "EdDSA", "use": "sig"});
        Self { kid, jwk }
    }

    /// Of a SubjectPublicKeyInfo.
    fn read(spki: &[u8]) -> Option<Self> {
        let p256 = spki.strip_prefix(P256_PREFIX).filter(|point| point.len() == 64).map(Self::p256);
        p256.or_else(|| spki.strip_prefix(ED25519_PREFIX).filter(|key| key.len() == 32).map(Self::ed25519))
    }
}

/// RFC 7638 section 3: of the required members in lexical order, without blanks.
fn thumbprint(members: &str) -> String {
    base64::url(digest(&SHA256, members.as_bytes()).as_ref())
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("issuer", &self.issuer)
            .field("kid", &self.kid())
            .finish_non_exhaustive()
    }
}

/// Equal keys have equal thumbprints.
impl PartialEq for Signer {
    fn eq(&self, other: &Self) -> bool {
        self.issuer == other.issuer && self.published == other.published
    }
}

#[cfg(test)]
mod tests;
