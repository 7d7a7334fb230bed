//! Tokens for servers, and what an issuer knows of a caller's: requests to its endpoints, and what their answers mean.
//! Everything here blocks; it runs beside the control loop.

use serde_json::Value as Json;

use super::fetch::{Ask, Author, Fault, Fetcher, TOKEN_BYTES_MAX, form};
use crate::base::Secret;
use crate::policy::authn::Introspection;
use crate::policy::propagate::{ACCESS_TOKEN, ClientProof, ExchangeWish, Grant, Trade};

/// A token that does not say how long it is good is taken to be good for this long, in seconds.
const LIFETIME_DEFAULT: u64 = 60;
/// No token is kept for longer, in seconds.
const LIFETIME_MAX: u64 = 24 * 60 * 60;
/// A token is given up at least this long before its end, in seconds.
const MARGIN_MIN: u64 = 5;
/// Bytes of a token: it goes into one header line.
const TOKEN_MAX: usize = 16 << 10;

/// A token for a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// As it goes into a header line.
    pub token: Secret,
    /// For how many seconds from now it may be used: a tenth less than the issuer says, and at least 5 seconds less.
    pub usable: u64,
}

/// Asks for a token of the gateway's own (RFC 6749 section 4.4). `now` is in seconds since 1970 (UTC).
///
/// # Errors
/// See [`Fault`]; never [`Fault::Denied`].
pub fn client_credentials(fetcher: &Fetcher, grant: &Grant, now: u64) -> Result<Granted, Fault> {
    let mut pairs = vec![("grant_type", &b"client_credentials"[..])];
    wishes(grant, &mut pairs);
    let granted = ask_for_token(fetcher, grant, pairs, now).and_then(|body| granted(&body, None));
    granted.map_err(|fault| if fault == Fault::Denied { Fault::Client("denied".into()) } else { fault })
}

/// Asks for a token in exchange for `subject`, a caller's: by token exchange (RFC 8693 section 2.1), or with it as a
/// grant (RFC 7521 section 4.1). `resource` is named besides what `grant` names. `now` is in seconds since 1970 (UTC).
///
/// # Errors
/// See [`Fault`]; [`Fault::Denied`] where the issuer finds the caller's token no good for it.
pub fn exchange(
    fetcher: &Fetcher,
    grant: &Grant,
    wish: &ExchangeWish,
    subject: &Secret,
    resource: Option<&str>,
    now: u64,
) -> Result<Granted, Fault> {
    let grant_type: &[u8] = match wish.trade {
        Trade::TokenExchange => b"urn:ietf:params:oauth:grant-type:token-exchange",
        Trade::JwtBearer | Trade::OnBehalfOf => b"urn:ietf:params:oauth:grant-type:jwt-bearer",
        Trade::Saml2Bearer => b"urn:ietf:params:oauth:grant-type:saml2-bearer",
    };
    let mut pairs = vec![("grant_type", grant_type)];
    match wish.trade {
        Trade::TokenExchange => {
            let kind = wish.subject_token_type.as_bytes();
            pairs.extend([("subject_token", subject.reveal()), ("subject_token_type", kind)]);
        }
        Trade::JwtBearer | Trade::Saml2Bearer => pairs.push(("assertion", subject.reveal())),
        Trade::OnBehalfOf => {
            pairs.extend([("assertion", subject.reveal()), ("requested_token_use", b"on_behalf_of")]);
        }
    }
    if let Some(kind) = &wish.requested_token_type {
        pairs.push(("requested_token_type", kind.as_bytes()));
    }
    wishes(grant, &mut pairs);
    pairs.extend(resource.map(|resource| ("resource", resource.as_bytes())));
    granted(&ask_for_token(fetcher, grant, pairs, now)?, Some(wish))
}

type Pairs<'a> = Vec<(&'static str, &'a [u8])>;

fn wishes<'g>(grant: &'g Grant, pairs: &mut Pairs<'g>) {
    let scope = (!grant.scope.is_empty()).then_some(&grant.scope);
    let all =
        [("audience", grant.audience.as_ref()), ("resource", grant.resource.as_ref()), ("scope", scope)];
    pairs.extend(all.into_iter().filter_map(|(name, value)| Some((name, value?.as_bytes()))));
}

/// The body of a 200 to this form, by the client of `grant`.
fn ask_for_token(fetcher: &Fetcher, grant: &Grant, pairs: Pairs<'_>, now: u64) -> Result<Vec<u8>, Fault> {
    let (id, signed) = (&*grant.client_id, signed(grant, now)?);
    // Shorter-lived ones join them.
    let mut pairs: Pairs<'_> = pairs;
    let authorization = match (&grant.client, &signed) {
        (ClientProof::Basic(secret), _) => Some(form::basic(id, secret)),
        (ClientProof::Post(secret), _) => {
            pairs.extend([("client_id", id.as_bytes()), ("client_secret", secret.reveal())]);
            None
        }
        (ClientProof::Key(_), Some(signed)) => {
            let kind = b"urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            pairs.extend([("client_id", id.as_bytes()), ("client_assertion_type", kind)]);
            pairs.push(("client_assertion", signed.reveal()));
            None
        }
        (ClientProof::Key(_), None) => return Err(Fault::Client("its key failed".into())),
    };
    let reply = fetcher.fetch(Ask {
        url: &grant.token_url,
        author: Author::Operator,
        bytes_max: TOKEN_BYTES_MAX,
        form: Some((form::encode(pairs), authorization)),
    })?;
    match reply.status {
        200 => Ok(reply.body),
        400..=499 if reply.status != 429 => Err(refusal(reply.status, &reply.body)),
        status => Err(Fault::Status(status)),
    }
}

/// What a client with a key signs for this request.
fn signed(grant: &Grant, now: u64) -> Result<Option<Secret>, Fault> {
    let ClientProof::Key(signer) = &grant.client else { return Ok(None) };
    let signed = signer.client_assertion(&grant.token_url, now);
    signed.map(|signed| Some(Secret::new(signed))).map_err(|_| Fault::Client("its key failed".into()))
}

/// Reads a token out of an answer (RFC 6749 section 5.1, RFC 8693 section 2.2.1): a bearer token or, where `wish` names
/// a header of its own for it, a token that is no access token.
fn granted(body: &[u8], wish: Option<&ExchangeWish>) -> Result<Granted, Fault> {
    let answer: Json = serde_json::from_slice(body).map_err(|_| Fault::Content("is not JSON"))?;
    let text = |name: &str| answer.get(name).and_then(Json::as_str);
    let is_bearer = text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"));
    let is_other = text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("n_a"));
    match wish {
        _ if is_bearer => {}
        Some(wish) if is_other && wish.header.is_some() => check_other(text("issued_token_type"), wish)?,
        Some(_) if is_other => {
            return Err(Fault::Content("has no access token (N_A), and no header is configured for another"));
        }
        _ => return Err(Fault::Content("has no bearer token")),
    }
    if text("access_token").is_some_and(|token| token.len() > TOKEN_MAX) {
        return Err(Fault::Content("has an access_token of more than 16 KiB, too long for a header"));
    }
    let token = text("access_token").filter(|token| is_token(token));
    let token = token.ok_or(Fault::Content("has no usable access_token"))?;
    let lifetime = match answer.get("expires_in") {
        None | Some(Json::Null) => LIFETIME_DEFAULT,
        Some(value) => {
            seconds(value).ok_or(Fault::Content("has an expires_in that is no number of seconds"))?
        }
    };
    let lifetime = lifetime.min(LIFETIME_MAX);
    let usable = lifetime.saturating_sub((lifetime / 10).max(MARGIN_MIN));
    Ok(Granted { token: Secret::new(token.as_bytes()), usable })
}

/// Checks that what came with `N_A` says what it is: no access token, and what was asked for.
fn check_other(issued: Option<&str>, wish: &ExchangeWish) -> Result<(), Fault> {
    let issued = issued.ok_or(Fault::Content("has no issued_token_type"))?;
    if issued == ACCESS_TOKEN {
        return Err(Fault::Content("has an access token of a type that cannot be shown (N_A)"));
    }
    match &wish.requested_token_type {
        Some(wanted) if **wanted != *issued => {
            Err(Fault::Content("has another kind of token than was asked for"))
        }
        _ => Ok(()),
    }
}

/// Some issuers write the number as text.
fn seconds(value: &Json) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// `b64token` (RFC 6750 section 2.1).
fn is_token(token: &str) -> bool {
    let body = token.trim_end_matches('=');
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    !body.is_empty() && body.bytes().all(allowed)
}

/// Whom a refusal is about (RFC 6749 section 5.2, RFC 8693 section 2.2.2): the caller and its token, or the gateway.
fn refusal(status: u16, body: &[u8]) -> Fault {
    let answer: Json = serde_json::from_slice(body).unwrap_or_default();
    let code = answer.get("error").and_then(Json::as_str).unwrap_or_default();
    match code {
        "invalid_grant"
        | "invalid_request"
        | "access_denied"
        | "interaction_required"
        | "consent_required"
            if status != 401 =>
        {
            Fault::Denied
        }
        // A code of its own could be anything; a known one helps.
        "invalid_client"
        | "unauthorized_client"
        | "unsupported_grant_type"
        | "invalid_scope"
        | "invalid_target"
        | "invalid_grant"
        | "invalid_request"
        | "access_denied" => Fault::Client(code.to_owned()),
        _ if status == 401 || status == 403 => Fault::Client(format!("status {status}")),
        _ => Fault::Status(status),
    }
}

/// Asks what the issuer knows of `token` (RFC 7662 section 2): the body of its 200.
///
/// # Errors
/// See [`Fault`]; never [`Fault::Denied`].
pub fn introspect(fetcher: &Fetcher, whom: &Introspection, token: &Secret) -> Result<Secret, Fault> {
    let form = form::encode([("token", token.reveal()), ("token_type_hint", b"access_token")]);
    let reply = fetcher.fetch(Ask {
        url: &whom.url,
        author: Author::Operator,
        bytes_max: TOKEN_BYTES_MAX,
        form: Some((form, Some(form::basic(&whom.client_id, &whom.client_secret)))),
    })?;
    match reply.status {
        200 => match serde_json::from_slice::<serde_json::Map<String, Json>>(&reply.body) {
            Ok(_) => Ok(Secret::new(reply.body)),
            Err(_) => Err(Fault::Content("is not a JSON object")),
        },
        401 | 403 => Err(Fault::Client(format!("status {}", reply.status))),
        status => Err(Fault::Status(status)),
    }
}

#[cfg(test)]
mod tests;
