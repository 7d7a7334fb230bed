//! Opaque tokens: what their issuer answers about them (RFC 7662).

use serde_json::Value as Json;

use super::Facts;
use super::claims::{Claims, Mapping};
use super::json;
use super::jwt::{Required, check_audience, check_required, check_times, check_unbound, time};
use super::refused::{INACTIVE, MALFORMED_ANSWER, Refused, UNKNOWN_ISSUER, UNSUPPORTED_TYPE};
use crate::base::Secret;
use crate::policy::authz::Pattern;
use crate::policy::principal::{Principal, Proof};

/// Bytes of an answer.
pub const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Who is asked about opaque tokens (RFC 7662).
#[derive(Debug, PartialEq)]
pub struct Introspection {
    /// Where to ask.
    pub url: Box<str>,
    /// Who asks.
    pub client_id: Box<str>,
    /// And proves it.
    pub client_secret: Secret,
    /// What its tokens look like, if that is known: nobody is asked about others.
    pub token_pattern: Option<Pattern>,
    /// What `iss` must be where an answer has it (RFC 7662 section 2.2: it need not).
    pub issuer: Option<Box<str>>,
    /// Where clients are sent to get a token; [`Self::issuer`] if this is not given.
    pub authorization_server: Option<Box<str>>,
    /// How long an answer may be believed, in seconds: a token that is revoked meanwhile is good for so long.
    pub cache: u64,
    /// Whether a token must say for whom it is.
    pub require_audience: bool,
    /// Audiences that are good for every server.
    pub audiences: Box<[Box<str>]>,
    /// By how many seconds the issuer's clock may differ.
    pub skew: u64,
    /// Claims that a token must have.
    pub required: Box<[Required]>,
    /// Which claims say who calls.
    pub mapping: Mapping,
}

impl Introspection {
    /// The authorization server that clients are sent to, if one is known.
    pub fn sign_in_at(&self) -> Option<&str> {
        self.authorization_server.as_deref().or(self.issuer.as_deref())
    }

    /// Whether it is worth asking about `token`.
    pub fn may_know(&self, token: &[u8]) -> bool {
        let Some(pattern) = &self.token_pattern else { return true };
        std::str::from_utf8(token).is_ok_and(|token| pattern.matches(token))
    }

    /// Who shows a token of which the endpoint said `answer`.
    ///
    /// # Errors
    /// If the token is not active, or something about it is wrong that is wrong in a JWT too.
    pub fn read(&self, answer: &[u8], facts: &Facts<'_>) -> Result<Principal, Refused> {
        if answer.len() > ANSWER_BYTES_MAX {
            return Err(MALFORMED_ANSWER);
        }
        let claims = json::object(answer).ok_or(MALFORMED_ANSWER)?;
        match claims.get("active") {
            Some(Json::Bool(true)) => {}
            Some(Json::Bool(false)) => return Err(INACTIVE),
            // `"true"` and 1 are what somebody else might take for true.
            _ => return Err(MALFORMED_ANSWER),
        }
        let expires = self.check(&claims, facts)?;
        let issuer = self.issuer.as_ref().unwrap_or(&self.url);
        self.mapping.principal(claims, Proof::Introspection, issuer, Some(expires))
    }

    /// Checks everything that a claim can be wrong in, and returns until when the answer may be believed.
    fn check(&self, claims: &Claims, facts: &Facts<'_>) -> Result<u64, Refused> {
        let is_bearer = |kind: &Json| kind.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"));
        if !claims.get("token_type").is_none_or(is_bearer) {
            return Err(UNSUPPORTED_TYPE);
        }
        if let (Some(issuer), Some(named)) = (&self.issuer, claims.get("iss").filter(|iss| !iss.is_null()))
            && named.as_str() != Some(issuer)
        {
            return Err(UNKNOWN_ISSUER);
        }
        let ends = time(claims, "exp")?;
        check_times(claims, ends.unwrap_or(u64::MAX), self.skew, facts.now)?;
        // A token that does say for whom it is must say the right one.
        if self.require_audience || claims.contains_key("aud") {
            check_audience(claims.get("aud"), facts.audiences, &self.audiences)?;
        }
        check_unbound(claims)?;
        check_required(claims, &self.required)?;
        let believed = facts.now.saturating_add(self.cache);
        Ok(ends.map_or(believed, |ends| ends.min(believed)))
    }
}
