//! Who calls: one closed list of proofs, chosen by what kind of credential was shown. A credential that was shown and
//! fails is refused; nothing else is tried, and nobody becomes anonymous by failing.
//!
//! The kind is told from the credential alone: an API key begins with `rgk_`, a JWT has three parts of which the first
//! is an object, any other token is opaque. A credential in the head counts before the certificate of the connection,
//! which is then not looked at: it is often that of a proxy, and says who carried the request and not who made it.

use std::sync::Arc;

use super::principal::Principal;

pub mod algorithm;
pub mod api_key;
pub mod base64url;
pub mod certificate;
pub mod claims;
mod credential;
pub mod introspection;
mod json;
pub mod jws;
mod jwt;
pub mod keys;
pub mod refused;
pub mod revoked;
pub mod saml;

use algorithm::Algorithms;
pub use api_key::ApiKeys;
pub use certificate::Certificates;
use claims::{ClaimPath, Mapping};
pub use credential::{API_KEY_BYTES_MAX, Credential, TOKEN_BYTES_MAX};
pub use introspection::Introspection;
pub use jwt::Required;
pub use keys::KeySet;
pub use refused::Refused;
pub use revoked::Revoked;
pub use saml::Saml;

/// The configured proofs.
#[derive(Debug, Default, PartialEq)]
pub struct Authn {
    /// The issuers of JWTs, by index; [`Facts::keys`] has their keys in the same order.
    pub issuers: Box<[Issuer]>,
    /// The API keys, if there are any.
    pub api_keys: Option<ApiKeys>,
    /// Whose client certificates are whose, if they count.
    pub certificates: Option<Certificates>,
    /// Who is asked about opaque tokens, if anybody.
    pub introspection: Option<Introspection>,
    /// Who is asked about SAML assertions, if anybody.
    pub saml: Option<Saml>,
    /// Credentials that are not accepted any more.
    pub revoked: Revoked,
    /// Roles of a caller without a credential, where a server permits one.
    pub anonymous_roles: Box<[Box<str>]>,
}

/// An issuer of JWTs.
#[derive(Debug, PartialEq)]
pub struct Issuer {
    /// Its identifier: what `iss` must be, byte for byte.
    pub name: Box<str>,
    /// Where its keys come from.
    pub source: KeySource,
    /// What it may sign with, as far as the key fits.
    pub algorithms: Algorithms,
    /// Audiences that are good for every server.
    pub audiences: Box<[Box<str>]>,
    /// Which claim says for whom a token is: the first of these that is there.
    pub audience_claims: Box<[ClaimPath]>,
    /// Whether a token must have one of them. One that has it must name an audience in any case.
    pub require_audience: bool,
    /// By how many seconds its clock may differ.
    pub skew: u64,
    /// How many seconds after it was issued a token is good at the most.
    pub age_max: Option<u64>,
    /// What `typ` may be if it is there; in lower case, without `application/`.
    pub types: Box<[Box<str>]>,
    /// Claims that a token must have.
    pub required: Box<[Required]>,
    /// Which claims say who calls.
    pub mapping: Mapping,
}

impl Issuer {
    /// An issuer with the usual rules.
    pub fn new(name: &str, source: KeySource) -> Self {
        Self {
            name: name.into(),
            source,
            algorithms: Algorithms::all(),
            audiences: Box::default(),
            audience_claims: ClaimPath::parse("aud").into_iter().collect(),
            require_audience: true,
            skew: SKEW_DEFAULT,
            age_max: None,
            types: TYPES.map(Into::into).into(),
            required: Box::default(),
            mapping: Mapping::default(),
        }
    }
}

/// By how many seconds a clock may differ, if nothing else is said.
pub const SKEW_DEFAULT: u64 = 30;
/// What `typ` may be, if nothing else is said: RFC 7519 section 5.1 and RFC 9068 section 2.1.
pub const TYPES: [&str; 2] = ["jwt", "at+jwt"];

/// Where the keys of an issuer come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The `jwks_uri` of its metadata (OpenID Connect Discovery, RFC 8414).
    Discovery,
    /// A JWK set at this URL.
    Url(Box<str>),
    /// A JWK set that was read with the configuration.
    Given(Arc<KeySet>),
}

/// The answer of [`Authn::authenticate`].
#[derive(Debug)]
pub enum Outcome {
    /// It is this one.
    Known(Principal),
    /// Not to be told before the keys of the issuer with this index are there, or are fetched again. Never the answer
    /// where [`Facts::keys_are_fresh`].
    NeedsKeys(usize),
    /// Not to be told before the introspection endpoint was asked about the token.
    NeedsIntrospection,
    /// Not to be told before the SAML assertion was traded for a token.
    NeedsTrade,
    /// It is nobody.
    Refused(Refused),
}

/// What a decision is made from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The name of the virtual server: an API key may be for some servers only.
    pub server: &'a str,
    /// The audiences of which a token must name one: the virtual server's own.
    pub audiences: &'a [Box<str>],
    /// Whether this virtual server serves callers without a credential.
    pub anonymous: bool,
    /// The keys of each issuer; `None` while there are none yet.
    pub keys: &'a [Option<Arc<KeySet>>],
    /// No further fetch of keys will help now: they were fetched for this request, or a moment ago.
    pub keys_are_fresh: bool,
    /// The client certificate of the connection, in DER, where TLS has verified one.
    pub certificate: Option<&'a [u8]>,
    /// Seconds since 1970 (UTC).
    pub now: u64,
}

impl Authn {
    /// Whether keys are to be fetched for some issuer, or introspection may be asked.
    pub fn fetches(&self) -> bool {
        self.introspection.is_some()
            || self.saml.is_some()
            || self.issuers.iter().any(|issuer| !matches!(issuer.source, KeySource::Given(_)))
    }

    /// The issuers that a client can go to: those whose names are URLs (RFC 9728 section 2).
    pub fn authorization_servers(&self) -> impl Iterator<Item = &str> {
        let names = self.issuers.iter().map(|issuer| &*issuer.name);
        let asked = self.introspection.iter().filter_map(Introspection::sign_in_at);
        let mut seen: Vec<&str> = Vec::new();
        names.chain(asked).filter(move |name| {
            let fresh = is_url(name) && !seen.contains(name);
            seen.push(name);
            fresh
        })
    }

    /// Who shows this. Nothing is fetched: what is missing is named.
    ///
    /// The answer holds for this server and, where a certificate was the proof, for this connection: whoever keeps it
    /// keeps it by both, no longer than [`Principal::expires`], and not past a change of the configuration.
    pub fn authenticate(&self, credential: Credential<'_>, facts: &Facts<'_>) -> Outcome {
        let outcome = match credential {
            Credential::None => self.without_credential(facts),
            Credential::ApiKey(key) => self.api_key(key, facts),
            Credential::Bearer(token) if token.starts_with(api_key::PREFIX.as_bytes()) => {
                self.api_key(token, facts)
            }
            Credential::Bearer(token) => match &self.saml {
                Some(saml) if saml::has_form(token) => saml.judge(token),
                _ => self.token(token, facts),
            },
        };
        self.unless_revoked(outcome)
    }

    /// Who shows a SAML assertion that was traded for `token`: whoever the token names. It is judged as any that a client
    /// shows itself; never as an API key, and never as a further assertion.
    pub fn traded(&self, token: &[u8], facts: &Facts<'_>) -> Outcome {
        self.unless_revoked(self.token(token, facts))
    }

    /// Who shows a token of which the introspection endpoint said `answer`: the body of its 200 (RFC 7662 section 2.2).
    pub fn introspected(&self, answer: &[u8], facts: &Facts<'_>) -> Outcome {
        let Some(introspection) = &self.introspection else { return Outcome::Refused(refused::UNSUPPORTED) };
        self.unless_revoked(outcome(introspection.read(answer, facts)))
    }

    fn without_credential(&self, facts: &Facts<'_>) -> Outcome {
        match (&self.certificates, facts.certificate) {
            (Some(certificates), Some(certificate)) => {
                outcome(certificates.authenticate(certificate, facts.now))
            }
            _ if facts.anonymous => {
                Outcome::Known(Principal::anonymous(self.anonymous_roles.iter().cloned()))
            }
            _ => Outcome::Refused(refused::NO_CREDENTIAL),
        }
    }

    fn api_key(&self, key: &[u8], facts: &Facts<'_>) -> Outcome {
        let Some(keys) = &self.api_keys else { return Outcome::Refused(refused::UNSUPPORTED) };
        outcome(keys.authenticate(key, facts))
    }

    /// A JWT is verified here wherever there are issuers of JWTs; every other token is asked about, unless it does not
    /// look like one that is known there.
    fn token(&self, token: &[u8], facts: &Facts<'_>) -> Outcome {
        if !self.issuers.is_empty() && (self.introspection.is_none() || jws::is_jwt(token)) {
            return jwt::authenticate(self, token, facts);
        }
        match &self.introspection {
            Some(asked) if asked.may_know(token) => Outcome::NeedsIntrospection,
            Some(_) | None => Outcome::Refused(refused::UNSUPPORTED),
        }
    }

    fn unless_revoked(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Known(principal) if self.revoked.names(&principal) => Outcome::Refused(refused::REVOKED),
            other => other,
        }
    }
}

fn outcome(principal: Result<Principal, Refused>) -> Outcome {
    principal.map_or_else(Outcome::Refused, Outcome::Known)
}

fn is_url(name: &str) -> bool {
    name.starts_with("https://") || name.starts_with("http://")
}

#[cfg(test)]
mod tests;
