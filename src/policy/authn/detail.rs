//! The part of a refused credential that an operator needs to see: which claim it was, what came and what was wanted.
//! Found only when a line is written. Shown are issuers, audiences, ids of keys, algorithms, types and times, none of
//! which is a secret; of other claims the name alone.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::claims::Claims;
use super::refused::{self, Refused};
use super::{Authn, Credential, Facts, Issuer, base64url, json};
use crate::base::restraint::cut;

/// Characters of what came, and of what was wanted.
const SHOWN_CHARS_MAX: usize = 200;
/// Values of a list that are shown.
const VALUES_MAX: usize = 8;

/// A claim, or parameter of a header, that a credential was refused for. All texts are escaped and bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// Its name; empty where the credential as a whole is refused.
    pub claim: Cow<'static, str>,
    /// What the credential has there; empty for nothing, and where it may not be shown.
    pub came: String,
    /// What would be accepted.
    pub wanted: String,
}

impl Authn {
    /// What the credential was `refused` for. `answer`: what the introspection endpoint said of it.
    pub fn detail(
        &self,
        credential: Credential<'_>,
        answer: Option<&[u8]>,
        refused: &Refused,
        facts: &Facts<'_>,
    ) -> Detail {
        if let (Credential::None, Some(certificate), Some(certificates)) =
            (credential, facts.certificate, &self.certificates)
        {
            let shown = *refused == refused::UNKNOWN_CERTIFICATE;
            let came = if shown { certificates.shown(certificate) } else { Vec::new() };
            return detail(certificates.name.label(), texts(came), String::new());
        }
        let Credential::Bearer(token) = credential else { return Detail::default() };
        let mut parts = token.split(|&byte| byte == b'.').map(|part| json::object(&base64url::decode(part)?));
        let (header, own) = match answer {
            Some(answer) => (None, json::object(answer)),
            None => (parts.next().flatten(), parts.next().flatten()),
        };
        let (header, claims) = (header.unwrap_or_default(), own.unwrap_or_default());
        let name = claims.get("iss").and_then(Json::as_str);
        let at = self.issuers.iter().position(|issuer| Some(&*issuer.name) == name);
        let issuer = at.map(|at| &self.issuers[at]).filter(|_| answer.is_none());
        let of = |map: &Claims, name: &'static str, wanted: String| {
            detail(name, map.get(name).map(text).unwrap_or_default(), wanted)
        };
        match *refused {
            refused::UNKNOWN_ISSUER => {
                let asked = self.introspection.iter().filter_map(|asked| asked.issuer.as_deref());
                let issuers = self.issuers.iter().map(|issuer| &*issuer.name).chain(asked);
                of(&claims, "iss", texts(issuers))
            }
            refused::WRONG_AUDIENCE => self.audience(issuer, &claims, facts),
            refused::UNKNOWN_KEY
            | refused::UNKNOWN_KEY_YET
            | refused::AMBIGUOUS_KEY
            | refused::NO_KEYS
            | refused::BAD_SIGNATURE => {
                let keys = at.and_then(|at| facts.keys.get(at)?.as_deref());
                of(&header, "kid", texts(keys.into_iter().flat_map(super::KeySet::ids)))
            }
            refused::WRONG_ALGORITHM => {
                let accepted = issuer.map_or_else(super::Algorithms::all, |issuer| issuer.algorithms);
                let names =
                    super::algorithm::Algorithm::ALL.iter().filter(|(_, one)| accepted.contains(*one));
                of(&header, "alg", texts(names.map(|(name, _)| *name)))
            }
            refused::UNSUPPORTED_TYPE if answer.is_some() => of(&claims, "token_type", "Bearer".to_owned()),
            refused::UNSUPPORTED_TYPE => {
                of(&header, "typ", texts(issuer.iter().flat_map(|issuer| &issuer.types)))
            }
            refused::EXPIRED => of(&claims, "exp", format!("more than {}", facts.now)),
            refused::TOO_OLD => of(
                &claims,
                "iat",
                issuer
                    .and_then(|issuer| issuer.age_max)
                    .map(|age| format!("{age} s ago at the most"))
                    .unwrap_or_default(),
            ),
            refused::NOT_YET_VALID => {
                let later = |name: &&str| {
                    claims.get(*name).and_then(Json::as_f64).is_some_and(|at| at > facts.now as f64)
                };
                of(
                    &claims,
                    ["nbf", "iat"].into_iter().find(later).unwrap_or("nbf"),
                    format!("at most {}", facts.now),
                )
            }
            refused::REQUIRED_CLAIM => {
                let required = match (issuer, &self.introspection) {
                    (Some(issuer), _) => &issuer.required,
                    (None, Some(asked)) => &asked.required,
                    (None, None) => return Detail::default(),
                };
                let unmet = required
                    .iter()
                    .find(|one| super::jwt::check_required(&claims, std::slice::from_ref(one)).is_err());
                Detail {
                    claim: unmet.map(|(path, _)| path.to_string()).unwrap_or_default().into(),
                    ..Detail::default()
                }
            }
            refused::MALFORMED_CLAIMS => {
                let mapping = issuer
                    .map(|issuer| &issuer.mapping)
                    .or_else(|| self.introspection.as_ref().map(|asked| &asked.mapping));
                Detail { claim: malformed(&claims, mapping).into(), ..Detail::default() }
            }
            refused::BOUND_TOKEN => detail("cnf", String::new(), String::new()),
            refused::MALFORMED_ANSWER => of(&claims, "active", "true or false".to_owned()),
            _ => Detail::default(),
        }
    }

    fn audience(&self, issuer: Option<&Issuer>, claims: &Claims, facts: &Facts<'_>) -> Detail {
        let paths = issuer.map(|issuer| &issuer.audience_claims[..]).unwrap_or_default();
        let came = paths.iter().find_map(|path| path.find(claims)).or_else(|| claims.get("aud"));
        let asked = self.introspection.as_ref().map(|asked| &asked.audiences[..]).unwrap_or_default();
        let theirs = issuer.map_or(asked, |issuer| &issuer.audiences);
        let wanted = facts.audiences.iter().chain(theirs).map(|one| &**one);
        detail("aud", came.map(text).unwrap_or_default(), texts(wanted))
    }
}

/// The first claim that is not of its kind.
fn malformed(claims: &Claims, mapping: Option<&super::Mapping>) -> String {
    let is_text = |name: &str| claims.get(name).is_some_and(Json::is_string);
    if !claims.contains_key("active") && !is_text("iss") {
        return "iss".to_owned();
    }
    let is_time = |name: &&str| super::jwt::time(claims, name).is_err();
    if let Some(name) = ["exp", "nbf", "iat"].into_iter().find(is_time) {
        return name.to_owned();
    }
    if !claims.contains_key("active") && !claims.contains_key("exp") {
        return "exp".to_owned();
    }
    mapping.and_then(|mapping| mapping.malformed(claims)).unwrap_or_else(|| "aud".to_owned())
}

fn detail(claim: &'static str, came: String, wanted: String) -> Detail {
    let shown = |text: String| cut(&text, SHOWN_CHARS_MAX).escape_debug().to_string();
    Detail { claim: claim.into(), came: shown(came), wanted: shown(wanted) }
}

/// A value as it is shown; of objects and lists of them the kind.
fn text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Array(items) => texts(items.iter().map(|item| item.as_str().unwrap_or("(no text)"))),
        Json::Object(_) => "(an object)".to_owned(),
        Json::Null | Json::Bool(_) | Json::Number(_) => value.to_string(),
    }
}

fn texts(all: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut all = all.into_iter();
    let shown: Vec<String> =
        all.by_ref().take(VALUES_MAX).map(|one| cut(one.as_ref(), SHOWN_CHARS_MAX).to_owned()).collect();
    let more = all.count();
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}
