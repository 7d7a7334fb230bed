//! `servers[].credentials`, `servers[].assertion` and `identity`: what the gateway shows to servers.

use std::time::Duration;

use super::{AUDIENCE, HEADER_NAME, Minutes, Ms, REFERENCE, SCOPE, Text, list, sub, time};
use crate::config::snapshot::Address;
use crate::config::text::{self, Reference};
use crate::config::url;
use crate::policy::propagate::Trade;
use crate::schema::finding::{At, Problem};
use crate::schema::rule::{Choice, List};
use crate::schema::section::section;
use crate::schema::units::shorten;

section! {
    /// What the gateway shows to a server: exactly one of these. Secrets stand in files or in the environment; files
    /// that change are read again. What a client sent in `Authorization` never gets to a server.
    CredentialsSection {
        /// A fixed bearer token: a reference.
        bearer: Reference = REFERENCE, optional;
        /// A fixed user and password.
        basic: BasicSection = sub::<BasicSection>(), optional;
        /// A fixed value of a header, such as an API key.
        header: HeaderSection = sub::<HeaderSection>(), optional;
        /// A token of the gateway's own (OAuth 2.1 client credentials), one for all callers.
        client_credentials: GrantSection = sub::<GrantSection>(), optional;
        /// A token on behalf of each caller, in exchange for the caller's own.
        token_exchange: ExchangeSection = sub::<ExchangeSection>(), optional;
    }
}

section! {
    /// A user and a password (RFC 7617).
    BasicSection {
        /// The user. It has no colon.
        username: String = USERNAME, required;
        /// The password: a reference.
        password: Reference = REFERENCE, required;
    }
}

section! {
    /// A header with a fixed value.
    HeaderSection {
        /// Its name, such as `X-Api-Key`.
        name: String = HEADER_NAME, required;
        /// Its value: a reference.
        value: Reference = REFERENCE, required;
    }
}

section! {
    /// Where a token comes from.
    GrantSection {
        /// The token endpoint: an `https` URL.
        token_url: String = FETCHED_URL, required;
        /// The gateway's client id there.
        client_id: String = CLIENT_ID, required;
        /// How it proves itself there: `client_secret_basic` (HTTP Basic, RFC 6749 section 2.3.1), `client_secret_post` (in the
        /// form), `private_key_jwt` (a JWT that is signed with `client_key`, RFC 7523).
        client_authentication: ClientAuthentication = CLIENT_AUTHENTICATION, default "client_secret_basic";
        /// Its secret, for the first two: a reference.
        client_secret: Reference = REFERENCE, optional;
        /// Its private key, for the third, EC P-256 or Ed25519 in PKCS #8: a reference. The `kid` is its thumbprint (RFC 7638).
        client_key: Reference = REFERENCE, optional;
        /// The scopes to ask for. When none are given, the issuer chooses.
        scopes: Vec<At<String>> = SCOPES, default "[]";
        /// The `audience` parameter: the server as the issuer knows it.
        audience: String = AUDIENCE, optional;
        /// The `resource` parameter (RFC 8707): the server's URL.
        resource: String = FETCHED_URL, optional;
    }
}

section! {
    /// Where a caller's token is exchanged. A caller whom the issuer refuses gets 403. Callers who showed no
    /// token have nothing to exchange, and are refused too.
    ExchangeSection {
        /// The token endpoint: an `https` URL.
        token_url: String = FETCHED_URL, required;
        /// The gateway's client id there.
        client_id: String = CLIENT_ID, required;
        /// How it proves itself there: `client_secret_basic` (HTTP Basic, RFC 6749 section 2.3.1), `client_secret_post` (in the
        /// form), `private_key_jwt` (a JWT that is signed with `client_key`, RFC 7523).
        client_authentication: ClientAuthentication = CLIENT_AUTHENTICATION, default "client_secret_basic";
        /// Its secret, for the first two: a reference.
        client_secret: Reference = REFERENCE, optional;
        /// Its private key, for the third, EC P-256 or Ed25519 in PKCS #8: a reference. The `kid` is its thumbprint (RFC 7638).
        client_key: Reference = REFERENCE, optional;
        /// The scopes to ask for. When none are given, the issuer chooses.
        scopes: Vec<At<String>> = SCOPES, default "[]";
        /// The `audience` parameter: the server as the issuer knows it.
        audience: String = AUDIENCE, optional;
        /// The `resource` parameter (RFC 8707): the server's URL.
        resource: String = FETCHED_URL, optional;
        /// How it is asked for: `token_exchange` (RFC 8693), `jwt_bearer` (RFC 7523: the caller's JWT is the grant),
        /// `on_behalf_of` (the same as Microsoft Entra ID wants it), `saml2_bearer` (RFC 7522: the caller's SAML assertion
        /// is the grant).
        grant: Trade = TRADE, default "token_exchange";
        /// With `token_exchange`: what the caller's token is, `access_token`, `id_token`, `jwt`, `saml2`, or a URN.
        /// `access_token` when not given.
        subject_token_type: String = TOKEN_TYPE, optional;
        /// What is asked for, in the same words. When not given, the issuer chooses.
        requested_token_type: String = TOKEN_TYPE, optional;
        /// The header in which the server gets it as it is, for what is no access token, such as a SAML assertion. What
        /// comes with `token_type: N_A` (RFC 8693 section 2.2.1) is taken only with this. When not given:
        /// `Authorization: Bearer`.
        header: String = HEADER_NAME, optional;
    }
}

section! {
    /// A short-lived JWT in a header of each request that tells the server which agent calls, and for whom. It is signed
    /// with the key of `identity`, and servers verify it with the keys at `/.well-known/jwks.json` on the admin
    /// listener. A caller with so many roles that the token would have more than 4 KiB is refused. A client's own
    /// header of this name is dropped.
    AssertionSection {
        /// The header.
        header: String = HEADER_NAME, default "x-ringgate-identity";
        /// Its `aud`: give each server one of its own, so that none can use it at another. When not given: the name of the
        /// server.
        audience: String = AUDIENCE, optional;
        /// How long it is good. It is never good for longer than the caller's own credential.
        lifetime: Duration = time(Ms(10_000), Minutes(10)), default "60s";
    }
}

section! {
    /// Who the gateway is to servers that get an `assertion`.
    IdentitySection {
        /// `iss` of its assertions. When not given: `public_url`.
        issuer: String = AUDIENCE, optional;
        /// The private key, EC P-256 or Ed25519 in PKCS #8 (PEM or DER): a reference. Make one with
        /// `openssl genpkey -algorithm ed25519 -out identity.pem`.
        key: Reference = REFERENCE, required;
        /// Keys, private or public, that are published beside it and sign nothing: those that came before, as long as
        /// assertions of theirs may be about, and the one that comes next. References.
        previous_keys: Vec<At<Reference>> = list(REFERENCE, 0, 8), default "[]";
    }
}

/// How the gateway proves itself to an issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// By HTTP Basic.
    Basic,
    /// In the form.
    Post,
    /// By what it signs.
    Key,
}

/// The rule of `client_authentication`.
pub const CLIENT_AUTHENTICATION: Choice<ClientAuthentication> = Choice(&[
    ("client_secret_basic", ClientAuthentication::Basic),
    ("client_secret_post", ClientAuthentication::Post),
    ("private_key_jwt", ClientAuthentication::Key),
]);
const TRADE: Choice<Trade> = Choice(&[
    ("token_exchange", Trade::TokenExchange),
    ("jwt_bearer", Trade::JwtBearer),
    ("on_behalf_of", Trade::OnBehalfOf),
    ("saml2_bearer", Trade::Saml2Bearer),
]);
/// The rule of `scopes`.
pub const SCOPES: List<Text<String>> = list(SCOPE, 0, 64);
const USERNAME: Text<String> =
    Text { wanted: "the name of a user, without a colon", pattern: Some("^[^:]+$"), parse: username };
/// The rule of `client_id`.
pub const CLIENT_ID: Text<String> = Text { wanted: "a client id", pattern: None, parse: client_id };
/// The rule of URLs that are fetched.
pub const FETCHED_URL: Text<String> = Text {
    wanted: "a URL such as `https://idp.example/token`",
    pattern: Some("^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@]+"),
    parse: fetched_url,
};
const TOKEN_TYPE: Text<String> =
    Text { wanted: "`access_token`, `id_token`, `jwt`, `saml2`, or a URN", pattern: None, parse: token_type };

/// A URL that the gateway fetches: `http` or `https`, without user, password and fragment.
pub fn fetched_url(text: &str) -> Result<String, Problem> {
    match url::endpoint(text)?.address {
        Address::Tcp { .. } => Ok(text.to_owned()),
        Address::Unix(_) => Err(Problem::new("is a Unix socket", "write an `https` URL")),
    }
}

fn username(text: &str) -> Result<String, Problem> {
    if text.contains(':') {
        return Err(Problem::new("has a colon", "a user of HTTP Basic cannot have one (RFC 7617)"));
    }
    client_id(text)
}

fn client_id(text: &str) -> Result<String, Problem> {
    if text.is_empty() || text.len() > 512 || !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        let fix = "use printable ASCII, at most 512 characters (RFC 6749 appendix A)";
        return Err(Problem::new(format!("`{}` cannot be a client id or user", shorten(text)), fix));
    }
    Ok(text.to_owned())
}

/// The URN of a kind of token (RFC 8693 section 3).
fn token_type(text: &str) -> Result<String, Problem> {
    match text {
        "access_token" | "id_token" | "jwt" | "saml2" | "saml1" | "refresh_token" => {
            Ok(format!("urn:ietf:params:oauth:token-type:{text}"))
        }
        _ if text.starts_with("urn:") => text::audience(text),
        _ => {
            let what = format!("`{}` is not a kind of token", shorten(text));
            Err(Problem::new(what, "write `access_token`, `id_token`, `jwt`, `saml2`, or a URN"))
        }
    }
}
