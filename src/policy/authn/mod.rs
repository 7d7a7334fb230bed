//! Who calls: one closed list of proofs, chosen by what kind of credential was shown. A credential that was shown and
//! fails is refused; nothing else is tried, and nobody becomes anonymous by failing.

use std::sync::Arc;

use super::principal::Principal;
use crate::base::Secret;

pub mod keys;

pub use keys::KeySet;

/// The configured proofs.
#[derive(Debug, Default, PartialEq)]
pub struct Authn {
    /// The issuers of JWTs, by index; [`Facts::keys`] has their keys in the same order.
    pub issuers: Box<[Issuer]>,
    /// Who is asked about opaque tokens, if anybody.
    pub introspection: Option<Introspection>,
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
}

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

/// Who is asked about opaque tokens (RFC 7662).
#[derive(Debug, PartialEq)]
pub struct Introspection {
    /// Where to ask.
    pub url: Box<str>,
    /// Who asks.
    pub client_id: Box<str>,
    /// And proves it.
    pub client_secret: Secret,
}

/// What a request shows, before any of it is believed.
#[derive(Clone, Copy, Debug)]
pub enum Credential<'a> {
    /// No credential in the head. A client certificate may still be there.
    None,
    /// A bearer token (RFC 6750 section 2.1).
    Bearer(&'a [u8]),
    /// An API key in `X-Api-Key`.
    ApiKey(&'a [u8]),
}

/// Why a caller was refused: what it is told, and what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// 400 where the request itself is malformed (two credentials, a token that cannot be one), else 401.
    pub status: u16,
    /// The word in metrics and logs: `expired`, `wrong_audience`, `unknown_key`, ...
    pub reason: &'static str,
    /// What the caller is told. Nothing of the credential is in it.
    pub message: &'static str,
}

/// The answer of [`Authn::authenticate`].
#[derive(Debug)]
pub enum Outcome {
    /// It is this one.
    Known(Principal),
    /// Not to be told before the keys of the issuer with this index are there, or are fetched again.
    NeedsKeys(usize),
    /// Not to be told before the introspection endpoint was asked about the token.
    NeedsIntrospection,
    /// It is nobody.
    Refused(Refused),
}

/// What a decision is made from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The audiences of which a token must name one: the virtual server's own.
    pub audiences: &'a [Box<str>],
    /// Whether this virtual server serves callers without a credential.
    pub anonymous: bool,
    /// The keys of each issuer; `None` while there are none yet.
    pub keys: &'a [Option<Arc<KeySet>>],
    /// These keys are as new as they get: what is not among them is not to be had.
    pub keys_are_fresh: bool,
    /// The client certificate of the connection, in DER, where TLS has verified one.
    pub certificate: Option<&'a [u8]>,
    /// Seconds since 1970 (UTC).
    pub now: u64,
}

impl<'a> Credential<'a> {
    /// The credential that a request shows in its head: all values of `Authorization` and of `X-Api-Key`, and its query.
    ///
    /// # Errors
    /// More than one credential, one in the query, or one of which nothing can be made.
    pub fn read(
        authorization: impl Iterator<Item = &'a [u8]>,
        api_key: impl Iterator<Item = &'a [u8]>,
        query: Option<&[u8]>,
    ) -> Result<Self, Refused> {
        let _ = (authorization, api_key, query);
        Ok(Self::None)
    }
}

impl Authn {
    /// The issuers that clients can get tokens from.
    pub fn authorization_servers(&self) -> Vec<&str> {
        Vec::new()
    }

    /// Whether keys are to be fetched for some issuer, or introspection may be asked.
    pub fn fetches(&self) -> bool {
        self.introspection.is_some()
            || self.issuers.iter().any(|issuer| !matches!(issuer.source, KeySource::Given(_)))
    }

    /// Who shows this. Nothing is fetched: what is missing is named.
    pub fn authenticate(&self, credential: Credential<'_>, facts: &Facts<'_>) -> Outcome {
        let _ = (credential, facts);
        Outcome::Refused(Refused {
            status: 401,
            reason: "unsupported",
            message: "no credential is accepted here",
        })
    }

    /// Who shows a token of which the introspection endpoint said `answer`: the body of its 200 (RFC 7662 section 2.2).
    pub fn introspected(&self, answer: &[u8], facts: &Facts<'_>) -> Outcome {
        let _ = (answer, facts);
        Outcome::Refused(Refused {
            status: 401,
            reason: "unsupported",
            message: "no credential is accepted here",
        })
    }
}
