//! The spellings of names, claims, URLs and hashes: text to value, or what is wrong with it.

use super::date;
use crate::config::text::{Reference, reference};
use crate::config::url;
use crate::policy::authn::api_key::{Hash, is_id};
use crate::policy::authn::certificate::spiffe;
use crate::policy::authn::claims::{ClaimPath, NAME_BYTES_MAX};
use crate::policy::authz::Pattern;
use crate::schema::finding::Problem;
use crate::schema::units::shorten;

/// The name of an agent, a user, a role.
pub fn name(text: &str) -> Result<String, Problem> {
    if text.is_empty() || text.len() > NAME_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(Problem::new("cannot be a name", "write a name of 1 to 1024 bytes on one line"));
    }
    Ok(text.to_owned())
}

/// An issuer: any text on one line (StringOrURI, RFC 7519 section 4.1.1), kept as it is written, for it is compared so;
/// but none that no token can have.
pub fn issuer(text: &str) -> Result<String, Problem> {
    if text.is_empty() || text.len() > URL_BYTES_MAX || text.chars().any(|char| char.is_control()) {
        let fix =
            format!("write the issuer as it stands in `iss` of its tokens, at most {URL_BYTES_MAX} bytes");
        return Err(Problem::new("cannot be an issuer", fix));
    }
    if text.contains("/.well-known/") {
        let fix = "write what that document has under `issuer`: mostly the URL up to `/.well-known`";
        return Err(Problem::new("is the URL of metadata, and not the issuer", fix));
    }
    if text.contains(['{', '}', '*']) {
        let fix = "write the issuer of your own tenant, as it stands in `iss` of its tokens";
        return Err(Problem::new("is a template, which no token has as its `iss`", fix));
    }
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let is_entra = host.eq_ignore_ascii_case("login.microsoftonline.com")
        || host.eq_ignore_ascii_case("sts.windows.net");
    let tenant = path.split('/').next().unwrap_or_default();
    if is_entra && ["common", "organizations", "consumers", ""].contains(&tenant) {
        let fix = "write the issuer with the id of your tenant, such as `https://login.microsoftonline.com/TENANT-ID/v2.0`";
        return Err(Problem::new("is no tenant's issuer, so no token has it as its `iss`", fix));
    }
    Ok(text.to_owned())
}

/// An issuer whose metadata can be fetched: a URL without query and fragment (RFC 8414 section 2).
pub fn issuer_url(text: &str) -> Result<(), Problem> {
    let fix = "give its keys (`jwks_url` or `jwks`), or write the issuer as it stands in `iss` of its tokens";
    match url(text) {
        Err(problem) => Err(Problem::new(format!("{}, so its keys cannot be found", problem.what), fix)),
        Ok(_) if text.contains('?') => Err(Problem::new("has a query, so its keys cannot be found", fix)),
        Ok(_) => Ok(()),
    }
}

/// A URL of somebody else's service, as written.
pub fn url(text: &str) -> Result<String, Problem> {
    if text.contains('#') {
        return Err(Problem::new("has a fragment", "remove what begins with `#`"));
    }
    if text.len() > URL_BYTES_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let fix = format!("write a URL of at most {URL_BYTES_MAX} printable ASCII characters without blanks");
        return Err(Problem::new("cannot be a URL", fix));
    }
    let end = text.find("://").map_or(0, |scheme| scheme + 3);
    let end = text[end..].find(['/', '?']).map_or(text.len(), |slash| end + slash);
    let origin = url::origin(&text[..end])?;
    if origin.scheme != "https" && origin.scheme != "http" {
        let what = format!("`{}` is not a scheme that is spoken here", shorten(&origin.scheme));
        return Err(Problem::new(what, "use `https`"));
    }
    Ok(text.to_owned())
}

const URL_BYTES_MAX: usize = 1024;

/// A claim.
pub fn claim(text: &str) -> Result<ClaimPath, Problem> {
    ClaimPath::parse(text).ok_or_else(|| {
        Problem::new(
            format!("`{}` does not name a claim", shorten(text)),
            "write `name`, `outer.inner`, a URL, or a JSON Pointer such as `/https:~1~1example.com~1roles`",
        )
    })
}

/// The id of an API key. Not quoted in a problem: it may be the key.
pub fn key_id(text: &str) -> Result<String, Problem> {
    match is_id(text) {
        true => Ok(text.to_owned()),
        false => {
            Err(Problem::new("cannot be the id of a key", "use letters, digits, `-` and `.`; at most 64"))
        }
    }
}

/// The hash of an API key. Never quoted in a problem.
pub fn hash(text: &str) -> Result<Hash, Problem> {
    Hash::parse(text).ok_or_else(|| {
        let fix = "make a key with `ringgate key new`, which prints `sha256:SALT:HASH`";
        let what = if text.starts_with("rgk_") { "is the key itself" } else { "is not the hash of a key" };
        Problem::new(what, fix)
    })
}

/// When an API key ends.
pub fn expires(text: &str) -> Result<u64, Problem> {
    date::parse(text).ok_or_else(|| {
        Problem::new(
            format!("`{}` is not a day or time", shorten(text)),
            "write a day such as `2027-01-31`, or a time such as `2027-01-31T12:00:00Z`",
        )
    })
}

/// A SPIFFE trust domain.
pub fn trust_domain(text: &str) -> Result<String, Problem> {
    let id = format!("spiffe://{text}");
    match spiffe(&id) {
        Some((domain, "")) => Ok(domain.to_owned()),
        _ => Err(Problem::new(
            format!("`{}` is not a trust domain", shorten(text)),
            "write it without `spiffe://` and without a path, such as `prod.example`",
        )),
    }
}

/// A reference that says so, since what does not may be the secret itself. Never quoted in a problem.
pub fn secret_reference(text: &str) -> Result<Reference, Problem> {
    if text.starts_with("env:") || text.starts_with("file:") {
        return reference(text);
    }
    Err(Problem::new(
        "is not a reference",
        "keep the secret out of this file: write `env:NAME` or `file:NAME`",
    ))
}

/// What tokens look like. Never quoted in a problem: what has no `*` may be a token.
pub fn token_pattern(text: &str) -> Result<Pattern, Problem> {
    let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=*".contains(&byte);
    if text.len() > TOKEN_PATTERN_BYTES_MAX || !text.bytes().all(may_stand) {
        let fix = format!(
            "write at most {TOKEN_PATTERN_BYTES_MAX} of the characters that a token has (RFC 6750), and `*`"
        );
        return Err(Problem::new("matches no token", fix));
    }
    if !text.contains('*') {
        return Err(Problem::new("matches one token at the most", "write what all begin with, then `*`"));
    }
    if text.bytes().all(|byte| byte == b'*') {
        return Err(Problem::new("matches every token", "remove it, or write what tokens begin with"));
    }
    Pattern::parse(text).map_err(|_| Problem::new("cannot be read", "write what tokens begin with, then `*`"))
}

/// Bytes of a pattern of tokens.
const TOKEN_PATTERN_BYTES_MAX: usize = 128;
