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
    /// A token on behalf of the caller (RFC 8693), one for each.
    Exchange(Grant, ExchangeWish),
}

/// Where a token comes from, and what for.
#[derive(Debug, PartialEq)]
pub struct Grant {
    /// The token endpoint.
    pub token_url: Box<str>,
    /// Who asks.
    pub client_id: Box<str>,
    /// And proves it.
    pub client_secret: Secret,
    /// The server as the issuer knows it (RFC 8693 section 2.1), if it is to be named so.
    pub audience: Option<Box<str>>,
    /// The server's URL (RFC 8707), if it is to be named so.
    pub resource: Option<Box<str>>,
    /// The scopes wished for, separated by spaces; empty for the issuer's default.
    pub scope: Box<str>,
}

/// What of an exchange is not in the [`Grant`].
#[derive(Debug, PartialEq)]
pub struct ExchangeWish {
    /// What the caller's token is, as a URN (RFC 8693 section 3).
    pub subject_token_type: Box<str>,
    /// What is wished for, as a URN; `None` leaves it to the issuer.
    pub requested_token_type: Option<Box<str>>,
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
