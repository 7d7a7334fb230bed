//! Reading a JWT (RFC 7515 section 7.1, RFC 7519) without believing any of it.

use serde_json::{Map, Value as Json};

use super::algorithm::Algorithm;
use super::credential::TOKEN_BYTES_MAX;
use super::keys::KEY_ID_BYTES_MAX;
use super::refused::{MALFORMED_TOKEN, OVERSIZED_CREDENTIAL, Refused, WRONG_ALGORITHM};
use super::{base64url, json};

/// A token that was read, and not verified.
pub struct Unverified<'a> {
    /// What is signed.
    pub signed: &'a [u8],
    /// The signature.
    pub signature: Vec<u8>,
    /// How it says it was signed.
    pub algorithm: Algorithm,
    /// Which key it says it was signed with.
    pub kid: Option<Box<str>>,
    /// What it says it is; in lower case, without `application/`.
    pub kind: Option<String>,
    /// What it says.
    pub claims: Map<String, Json>,
}

/// Whether `token` has the form of a JWT: three parts, of which the first is an object.
pub fn is_jwt(token: &[u8]) -> bool {
    // `{` fills the first letter and two bits of the second.
    let object = matches!(token, [b'e', b'w'..=b'z' | b'0'..=b'9' | b'-' | b'_', ..]);
    object && memchr::memchr_iter(b'.', token).take(3).count() == 2
}

impl<'a> Unverified<'a> {
    /// Reads `token`.
    ///
    /// # Errors
    /// If it is too long, not a JWT, encrypted, has a name twice, an extension that must be understood (`crit`, RFC 7515
    /// section 4.1.11), or an algorithm that is not in the list. Keys and URLs of keys in its header are not looked at.
    pub fn read(token: &'a [u8]) -> Result<Self, Refused> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(OVERSIZED_CREDENTIAL);
        }
        let mut parts = token.split(|byte| *byte == b'.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(MALFORMED_TOKEN);
        };
        let signed = &token[..header.len() + 1 + claims.len()];
        let decoded = |part: &[u8]| base64url::decode(part).ok_or(MALFORMED_TOKEN);
        let header = json::object(&decoded(header)?).ok_or(MALFORMED_TOKEN)?;
        if header.contains_key("crit") || header.contains_key("b64") {
            return Err(MALFORMED_TOKEN);
        }
        let algorithm = text(&header, "alg")?.ok_or(MALFORMED_TOKEN)?;
        let algorithm = Algorithm::named(algorithm).ok_or(WRONG_ALGORITHM)?;
        let kid = text(&header, "kid")?.map(Into::into);
        let kind = text(&header, "typ")?.map(short_type);
        let claims = json::object(&decoded(claims)?).ok_or(MALFORMED_TOKEN)?;
        let signature = decoded(signature)?;
        Ok(Self { signed, signature, algorithm, kid, kind, claims })
    }
}

fn text<'m>(map: &'m Map<String, Json>, name: &str) -> Result<Option<&'m str>, Refused> {
    match map.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) if text.len() <= KEY_ID_BYTES_MAX => Ok(Some(text)),
        Some(_) => Err(MALFORMED_TOKEN),
    }
}

/// A media type as it is compared: RFC 7515 section 4.1.9 lets `application/` be left out, and types have no case.
pub fn short_type(kind: &str) -> String {
    let lower = kind.to_ascii_lowercase();
    match lower.strip_prefix("application/") {
        Some(short) if !short.contains('/') => short.to_owned(),
        _ => lower,
    }
}
