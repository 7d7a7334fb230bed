//! JWTs: whose they are, whether the signature is right, and whether they are for this server, now.

use serde_json::Value as Json;

use super::claims::{ClaimPath, Claims};
use super::jws::Unverified;
use super::keys::{Choice, KeySet};
use super::refused::{
    AMBIGUOUS_KEY, BAD_SIGNATURE, BOUND_TOKEN, EXPIRED, MALFORMED_CLAIMS, NO_KEYS, NOT_YET_VALID,
    REQUIRED_CLAIM, Refused, TOO_OLD, UNKNOWN_ISSUER, UNKNOWN_KEY, UNSUPPORTED_TYPE, WRONG_ALGORITHM,
    WRONG_AUDIENCE,
};
use super::{Authn, Facts, Issuer, KeySource, Outcome};
use crate::policy::principal::Proof;

/// Who shows this JWT.
pub fn authenticate(authn: &Authn, token: &[u8], facts: &Facts<'_>) -> Outcome {
    judge(authn, token, facts).unwrap_or_else(Outcome::Refused)
}

fn judge(authn: &Authn, token: &[u8], facts: &Facts<'_>) -> Result<Outcome, Refused> {
    let token = Unverified::read(token)?;
    let name = token.claims.get("iss").and_then(Json::as_str).ok_or(MALFORMED_CLAIMS)?;
    // Byte for byte (RFC 8414 section 3.3): no case, slash or escape is put right.
    let index = authn.issuers.iter().position(|issuer| *issuer.name == *name).ok_or(UNKNOWN_ISSUER)?;
    let issuer = &authn.issuers[index];
    if token.kind.as_ref().is_some_and(|shown| !issuer.types.iter().any(|kind| **kind == **shown)) {
        return Err(UNSUPPORTED_TYPE);
    }
    if !issuer.algorithms.contains(token.algorithm) {
        return Err(WRONG_ALGORITHM);
    }
    // Keys that came with the configuration are as new as they get.
    let fresh = facts.keys_are_fresh || matches!(issuer.source, KeySource::Given(_));
    match signed_by(&token, facts.keys.get(index).and_then(|keys| keys.as_deref()), fresh) {
        Signature::Good => {}
        Signature::Bad(refused) => return Err(refused),
        Signature::NeedsKeys => {
            // What would be refused with any key is not worth a fetch.
            check(issuer, &token.claims, facts)?;
            return Ok(Outcome::NeedsKeys(index));
        }
    }
    let expires = check(issuer, &token.claims, facts)?;
    issuer.mapping.principal(token.claims, Proof::Jwt, &issuer.name, Some(expires)).map(Outcome::Known)
}

enum Signature {
    Good,
    Bad(Refused),
    NeedsKeys,
}

fn signed_by(token: &Unverified<'_>, keys: Option<&KeySet>, fresh: bool) -> Signature {
    let unless_fresh = |refused| if fresh { Signature::Bad(refused) } else { Signature::NeedsKeys };
    let Some(keys) = keys else { return unless_fresh(NO_KEYS) };
    match keys.choose(token.kid.as_deref(), token.algorithm) {
        Choice::Unknown => unless_fresh(UNKNOWN_KEY),
        Choice::Ambiguous => Signature::Bad(AMBIGUOUS_KEY),
        Choice::WrongAlgorithm => Signature::Bad(WRONG_ALGORITHM),
        Choice::Key(key) if key.verifies(token.algorithm, token.signed, &token.signature) => Signature::Good,
        // An issuer without key ids may have changed its only key.
        Choice::Key(key) if token.kid.is_none() || !key.has_id() => unless_fresh(BAD_SIGNATURE),
        Choice::Key(_) => Signature::Bad(BAD_SIGNATURE),
    }
}

/// Checks everything that a claim can be wrong in, and returns when the token ends.
fn check(issuer: &Issuer, claims: &Claims, facts: &Facts<'_>) -> Result<u64, Refused> {
    let expires = time(claims, "exp")?.ok_or(MALFORMED_CLAIMS)?;
    check_times(claims, expires, issuer.skew, facts.now)?;
    if let Some(age_max) = issuer.age_max {
        let issued = time(claims, "iat")?.ok_or(MALFORMED_CLAIMS)?;
        if issued.saturating_add(age_max).saturating_add(issuer.skew) <= facts.now {
            return Err(TOO_OLD);
        }
    }
    let named = issuer.audience_claims.iter().find_map(|path| path.find(claims));
    if issuer.require_audience || named.is_some() {
        check_audience(named, facts.audiences, &issuer.audiences)?;
    }
    check_unbound(claims)?;
    check_required(claims, &issuer.required)?;
    Ok(match issuer.age_max {
        Some(age_max) => {
            time(claims, "iat")?.map_or(expires, |issued| expires.min(issued.saturating_add(age_max)))
        }
        None => expires,
    })
}

/// `exp`, `nbf` and `iat` against the clock, which may differ from the issuer's by `skew` seconds.
pub fn check_times(claims: &Claims, expires: u64, skew: u64, now: u64) -> Result<(), Refused> {
    if expires.saturating_add(skew) <= now {
        return Err(EXPIRED);
    }
    for name in ["nbf", "iat"] {
        if time(claims, name)?.is_some_and(|from| from > now.saturating_add(skew)) {
            return Err(NOT_YET_VALID);
        }
    }
    Ok(())
}

/// A NumericDate (RFC 7519 section 2), in whole seconds.
pub fn time(claims: &Claims, name: &str) -> Result<Option<u64>, Refused> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_u64().or_else(|| {
        let seconds = value.as_f64()?;
        // Up to here a float is exact; it is the year 285 million.
        (0.0..9_007_199_254_740_992.0).contains(&seconds).then_some(seconds as u64)
    });
    seconds.map(Some).ok_or(MALFORMED_CLAIMS)
}

/// Whether what a token names, a text or a list of texts, is one of the server's audiences or of the issuer's (RFC 7519 section
/// 4.1.3). Nothing is in an empty list, so a server without audiences has no tokens.
pub fn check_audience(
    named: Option<&Json>,
    servers: &[Box<str>],
    issuers: &[Box<str>],
) -> Result<(), Refused> {
    let is_ours = |value: &Json| {
        let Json::String(named) = value else { return Err(MALFORMED_CLAIMS) };
        Ok(servers.iter().chain(issuers).any(|ours| **ours == **named))
    };
    let named = match named {
        None => false,
        Some(Json::Array(list)) => {
            let mut any = false;
            for value in list {
                any |= is_ours(value)?;
            }
            any
        }
        Some(one) => is_ours(one)?,
    };
    if named { Ok(()) } else { Err(WRONG_AUDIENCE) }
}

/// Refuses a token that only the holder of some key may show (RFC 7800, RFC 8705 section 3, RFC 9449 section 6): here
/// nothing asks for the key, so whoever stole the token could show it.
pub fn check_unbound(claims: &Claims) -> Result<(), Refused> {
    if claims.contains_key("cnf") { Err(BOUND_TOKEN) } else { Ok(()) }
}

/// A claim that a token must have, and the value it must have or hold; `None`: any.
pub type Required = (ClaimPath, Option<Box<str>>);

/// Whether the claims are there that the operator wants.
pub fn check_required(claims: &Claims, required: &[Required]) -> Result<(), Refused> {
    let holds = |value: &Json, wanted: &str| match value {
        Json::String(text) => text == wanted,
        Json::Bool(flag) => wanted == if *flag { "true" } else { "false" },
        Json::Number(number) => *wanted == *number.to_string(),
        Json::Null | Json::Array(_) | Json::Object(_) => false,
    };
    let met = required.iter().all(|(path, wanted)| match (path.find(claims), wanted) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(Json::Array(items)), Some(wanted)) => items.iter().any(|item| holds(item, wanted)),
        (Some(value), Some(wanted)) => holds(value, wanted),
    });
    if met { Ok(()) } else { Err(REQUIRED_CLAIM) }
}
