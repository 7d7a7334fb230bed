//! Whose identity goes to the server, and how.

use crate::base::Secret;

pub mod base64;
mod signer;

pub use signer::{MintError, Signer};

/// What the gateway shows to a server besides fixed headers.
#[derive(Debug, Default, PartialEq)]
pub enum Credentials {
    /// Nothing.
    #[default]
    None,
    /// A token of the gateway's own (OAuth 2.1 client credentials), one for all callers.
    ClientCredentials(Grant),
    /// A token on behalf of the caller, one for each.
    Exchange(Grant, ExchangeWish),
}

impl Credentials {
    /// The header line in which the server is shown `token`, with its end.
    pub fn line(&self, token: &Secret) -> Secret {
        let header = match self {
            Self::Exchange(_, wish) => wish.header.as_deref(),
            Self::None | Self::ClientCredentials(_) => None,
        };
        Secret::new(match header {
            Some(header) => [header.as_bytes(), b": ", token.reveal(), b"\r\n"].concat(),
            None => [b"authorization: Bearer ", token.reveal(), b"\r\n"].concat(),
        })
    }
}

/// Where a token comes from, and what for.
#[derive(Debug, PartialEq)]
pub struct Grant {
    /// The token endpoint.
    pub token_url: Box<str>,
    /// Who asks.
    pub client_id: Box<str>,
    /// And how it proves it.
    pub client: ClientProof,
    /// The server as the issuer knows it (RFC 8693 section 2.1), if it is to be named so.
    pub audience: Option<Box<str>>,
    /// The server's URL (RFC 8707), if it is to be named so.
    pub resource: Option<Box<str>>,
    /// The scopes wished for, separated by spaces; empty for the issuer's default.
    pub scope: Box<str>,
}

/// How the gateway proves to a token endpoint who it is.
#[derive(Debug, PartialEq)]
pub enum ClientProof {
    /// Its secret, by HTTP Basic (RFC 6749 section 2.3.1).
    Basic(Secret),
    /// Its secret, in the form.
    Post(Secret),
    /// A JWT that it signs for each request (RFC 7523 section 2.2). Its issuer is the client id.
    Key(Box<Signer>),
}

/// The kind of grant by which one token is had for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trade {
    /// RFC 8693.
    TokenExchange,
    /// RFC 7523: the caller's JWT is the grant.
    JwtBearer,
    /// The same with the parameter by which Microsoft Entra ID tells that it is on behalf of the user.
    OnBehalfOf,
    /// RFC 7522: the caller's SAML 2.0 assertion is the grant.
    Saml2Bearer,
}

/// The URN of SAML 2.0 assertions (RFC 8693 section 3).
pub const SAML2: &str = "urn:ietf:params:oauth:token-type:saml2";
/// The URN of access tokens.
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// What of an exchange is not in the [`Grant`].
#[derive(Debug, PartialEq)]
pub struct ExchangeWish {
    /// By which grant.
    pub trade: Trade,
    /// What the caller's token is, as a URN (RFC 8693 section 3).
    pub subject_token_type: Box<str>,
    /// What is wished for, as a URN; `None` leaves it to the issuer.
    pub requested_token_type: Option<Box<str>>,
    /// The header, in lower case, in which the server gets it as it is; `None`: `Authorization: Bearer`.
    pub header: Option<Box<str>>,
}

impl ExchangeWish {
    /// Whether what is traded in is a SAML assertion.
    pub fn wants_saml(&self) -> bool {
        self.trade == Trade::Saml2Bearer
            || (self.trade == Trade::TokenExchange && *self.subject_token_type == *SAML2)
    }
}

/// A short-lived JWT for one server that says who calls.
#[derive(Debug, PartialEq)]
pub struct Assertion {
    /// The header it goes in, in lower case.
    pub header: Box<str>,
    /// Its `aud`.
    pub audience: Box<str>,
    /// How long it is good, in seconds.
    pub lifetime: u32,
}
