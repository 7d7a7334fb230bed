//! GET and DELETE: the stream and the end of a legacy session.

use super::headers::HeaderFacts;
use super::{McpFault, Revision};

/// A GET or DELETE that passed. Whether it names a session that exists is not decided here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetFacts {
    /// The header's revision, always a legacy one; the session knows it where there is none.
    pub revision: Option<Revision>,
}

/// A GET that asks for the stream of a legacy session.
///
/// # Errors
/// 405 with a modern version (send `Allow: POST`), 400 with an unknown one or with headers twice,
/// 406 if the client does not take event streams.
pub fn check_get(headers: &HeaderFacts<'_>) -> Result<GetFacts, McpFault<'static>> {
    let facts = check_delete(headers)?;
    if !headers.accept.event_stream() {
        return Err(McpFault::new(406, -32600, "Accept must list text/event-stream"));
    }
    Ok(facts)
}

/// A DELETE that ends a legacy session.
///
/// # Errors
/// 405 with a modern version (send `Allow: POST`), 400 with an unknown one or with headers twice.
pub fn check_delete(headers: &HeaderFacts<'_>) -> Result<GetFacts, McpFault<'static>> {
    if headers.duplicates {
        return Err(McpFault::new(400, -32020, "a header that may occur once occurs twice"));
    }
    let Some(version) = headers.protocol_version else { return Ok(GetFacts { revision: None }) };
    match Revision::parse(version) {
        Some(revision) if revision.is_modern() => {
            Err(McpFault::new(405, -32600, "This revision knows POST only"))
        }
        Some(revision) => Ok(GetFacts { revision: Some(revision) }),
        None => Err(McpFault::unsupported_version(version, &Revision::SUPPORTED)),
    }
}
