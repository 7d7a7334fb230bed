//! The order of checks for a request (MCP.md 1.4), from its media types to its method.

use super::{HeaderFacts, Method, Mirror, Revision};
use crate::wire::json::Padded;
use crate::wire::jsonrpc::{Fault, JsonLimits, Message};

/// Which lifecycle a message belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// Up to 2025-11-25: `initialize`, sessions. The revision is the header's, or for `initialize`
    /// the one asked for; `None` where neither names one: the session knows, or else it is
    /// [`Revision::ASSUMED`].
    Legacy(Option<Revision>),
    /// 2026-07-28: every request describes itself.
    Modern(Revision),
}

/// What the checks need to know of the virtual server.
#[derive(Clone, Copy, Debug)]
pub struct PostRules<'r> {
    /// Revisions that are served, newest first.
    pub supported: &'r [Revision],
    /// Refuse methods that MCP does not define (merge) instead of leaving them to the upstream.
    pub known_methods_only: bool,
}

impl Default for PostRules<'_> {
    fn default() -> Self {
        Self { supported: &Revision::SUPPORTED, known_methods_only: false }
    }
}

/// A POST that passed.
#[derive(Clone, Copy, Debug)]
pub struct PostFacts {
    /// Its lifecycle.
    pub era: Era,
    /// Its method, if MCP defines it (always `None` for batches and responses).
    pub method: Option<&'static Method>,
    /// What the mirrored headers are worth.
    pub mirror: Mirror,
}

/// A GET that passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetFacts {
    /// The header's revision, always a legacy one.
    pub revision: Option<Revision>,
}

/// A request that breaks a rule of MCP, and what to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpFault<'a> {
    /// HTTP status.
    pub status: u16,
    /// JSON-RPC error code.
    pub code: i64,
    /// A sentence for the client.
    pub message: &'static str,
    /// `error.data`, as JSON.
    pub data: Option<Vec<u8>>,
    /// The `id` to echo.
    pub id: Option<&'a [u8]>,
}

impl<'a> From<Fault<'a>> for McpFault<'a> {
    fn from(fault: Fault<'a>) -> Self {
        Self { status: 400, code: fault.code(), message: fault.message(), data: None, id: fault.id }
    }
}

/// The media types of a POST: 415 for the body's, 406 for the answer's. Comes before the body is read.
///
/// # Errors
/// 415 or 406.
pub fn check_media(headers: &HeaderFacts<'_>) -> Result<(), McpFault<'static>> {
    let _ = headers;
    Ok(())
}

/// Era, headers against body, version, method. Expects that [`check_media`] passed.
///
/// # Errors
/// 400 or 404 with the code that MCP.md 1.4 gives, echoing the id.
pub fn check_post<'a>(
    headers: &HeaderFacts<'_>,
    message: &Message<'a>,
    rules: &PostRules<'_>,
) -> Result<PostFacts, McpFault<'a>> {
    let _ = (headers, message, rules);
    Ok(PostFacts { era: Era::Legacy(None), method: None, mirror: Mirror::Absent })
}

/// [`check_media`], the body, [`check_post`]: the whole order.
///
/// # Errors
/// The first check that fails.
pub fn judge_post<'a>(
    headers: &HeaderFacts<'_>,
    body: Padded<'a>,
    limits: &JsonLimits,
    rules: &PostRules<'_>,
) -> Result<(Message<'a>, PostFacts), McpFault<'a>> {
    check_media(headers)?;
    let message = crate::wire::jsonrpc::extract_envelope(body, limits)?;
    let facts = check_post(headers, &message, rules)?;
    Ok((message, facts))
}

/// A GET that asks for the stream of a legacy session.
///
/// # Errors
/// 405 with a modern version (`Allow: POST`), 400 with an unknown one, 406 if event streams are not accepted.
pub fn check_get(headers: &HeaderFacts<'_>) -> Result<GetFacts, McpFault<'static>> {
    let _ = headers;
    Ok(GetFacts { revision: None })
}

/// A DELETE that ends a legacy session.
///
/// # Errors
/// 405 with a modern version (`Allow: POST`), 400 with an unknown one.
pub fn check_delete(headers: &HeaderFacts<'_>) -> Result<GetFacts, McpFault<'static>> {
    let _ = headers;
    Ok(GetFacts { revision: None })
}
