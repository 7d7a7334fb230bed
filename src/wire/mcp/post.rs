//! The order of checks for a message that a client posts, from its media types to its method (MCP
//! 2026-07-28, Streamable HTTP, "Request Metadata"; codes in the base protocol, "Error Codes"). Which
//! lifecycle it belongs to ("Versioning", "Compatibility") falls out of the version check.

use super::headers::{HeaderFacts, Mirror, mirrors};
use super::{McpFault, Method, MethodId, Object, Revision, media, method};
use crate::wire::json::{Padded, Text};
use crate::wire::jsonrpc::{BatchFacts, Envelope, JsonLimits, Kind, Message, extract_envelope};

/// Which lifecycle a message belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// Up to 2025-11-25: `initialize`, sessions. The revision is the header's, or for `initialize`
    /// the one asked for; `None` where neither names a known one: the session knows it, or else it
    /// is [`Revision::ASSUMED`].
    Legacy(Option<Revision>),
    /// 2026-07-28: every request describes itself.
    Modern(Revision),
}

/// What the checks need to know of the virtual server.
#[derive(Clone, Copy, Debug)]
pub struct PostRules<'r> {
    /// Revisions that are served, newest first.
    pub supported: &'r [Revision],
    /// Refuse methods that MCP does not define (a merge cannot route them) instead of leaving them
    /// to the upstream. Only modern requests are refused so; legacy ones carry no promise of 404.
    pub known_methods_only: bool,
}

impl Default for PostRules<'_> {
    fn default() -> Self {
        Self { supported: &Revision::SUPPORTED, known_methods_only: false }
    }
}

/// A POST that passed. What needs a session (is there one, may it batch, did it declare a
/// capability) is not decided here.
#[derive(Clone, Copy, Debug)]
pub struct PostFacts {
    /// Its lifecycle. A batch is [`Era::Legacy`]; refuse it if the session's revision is not 2025-03-26.
    pub era: Era,
    /// Its method, if MCP defines it (`None` for batches and responses).
    pub method: Option<&'static Method>,
    /// What the mirrored headers are worth.
    pub mirror: Mirror,
}

/// The media types of a POST. Needs no body, so it can come before one is read.
///
/// # Errors
/// 415 for what the body is, 406 for what the client takes: MCP wants both media types accepted.
pub fn check_media(headers: &HeaderFacts<'_>) -> Result<(), McpFault<'static>> {
    if !headers.content_type.is_some_and(media::is_json) {
        return Err(McpFault::new(415, -32600, "Content-Type must be application/json"));
    }
    if !headers.content_encoding.is_none_or(|coding| coding.eq_ignore_ascii_case(b"identity")) {
        return Err(McpFault::new(415, -32600, "Content-Encoding is not supported"));
    }
    if !headers.accept.json() || !headers.accept.event_stream() {
        let message = "Accept must list both application/json and text/event-stream";
        return Err(McpFault::new(406, -32600, message));
    }
    Ok(())
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
    let message = extract_envelope(body, limits)?;
    let facts = check_post(headers, &message, rules)?;
    Ok((message, facts))
}

/// Era, headers against body, version, method. Expects that [`check_media`] passed.
///
/// # Errors
/// 400 or 404 with the code that MCP 2026-07-28 gives, echoing the id.
pub fn check_post<'a>(
    headers: &HeaderFacts<'_>,
    message: &Message<'a>,
    rules: &PostRules<'_>,
) -> Result<PostFacts, McpFault<'a>> {
    match message {
        Message::Single(envelope) => {
            check_single(headers, envelope, rules).map_err(|fault| fault.echoing(envelope.id()))
        }
        Message::Batch(facts) => check_batch(headers, facts, rules),
    }
}

fn check_single(
    headers: &HeaderFacts<'_>,
    envelope: &Envelope<'_>,
    rules: &PostRules<'_>,
) -> Result<PostFacts, McpFault<'static>> {
    if headers.duplicates {
        return Err(mismatch("a header that may occur once occurs twice"));
    }
    let known = envelope.method().and_then(find_method);
    if envelope.kind() == Kind::Notification && known.is_some_and(|known| !known.is_notification()) {
        // A lenient server would run it, and nobody would see the answer.
        return Err(McpFault::new(400, -32600, "Invalid request: this method needs an id"));
    }
    match (headers.protocol_version, envelope.meta_version()) {
        (None, None) => check_legacy(headers, envelope, known, None),
        (None, Some(_)) => Err(mismatch("the MCP-Protocol-Version header is missing")),
        (Some(version), in_body) => match Revision::parse(version) {
            Some(revision) if revision.is_modern() => {
                check_modern(headers, envelope, known, version, rules)?;
                let mirror = mirror_of_modern(headers, envelope, known);
                Ok(PostFacts { era: Era::Modern(revision), method: known, mirror })
            }
            _ if in_body.is_some_and(|in_body| !in_body.eq(version)) => Err(version_mismatch()),
            Some(revision) if rules.supported.contains(&revision) => {
                check_legacy(headers, envelope, known, Some(revision))
            }
            _ if in_body.is_some() => Err(unsupported_modern(version, rules)),
            _ => Err(unsupported(version, rules)),
        },
    }
}

/// A message of a revision with sessions. Whether it needs one, and whether its method exists, is
/// for the upstream to say: stateless servers of these revisions exist.
fn check_legacy(
    headers: &HeaderFacts<'_>,
    envelope: &Envelope<'_>,
    known: Option<&'static Method>,
    revision: Option<Revision>,
) -> Result<PostFacts, McpFault<'static>> {
    if revision.is_none() && known.is_some_and(|known| known.modern && !known.legacy) {
        return Err(mismatch("the MCP-Protocol-Version header is missing"));
    }
    let asked =
        envelope.protocol_version().filter(|_| known.is_some_and(|known| known.id == MethodId::Initialize));
    let revision = match asked {
        Some(asked) => asked.plain().and_then(|asked| Revision::parse(asked.as_bytes())),
        None => revision,
    };
    let mirrored = headers.method.is_some() || headers.name.is_some();
    let mirror = if mirrored { Mirror::Unverified } else { Mirror::Absent };
    Ok(PostFacts { era: Era::Legacy(revision), method: known, mirror })
}

/// A message of revision 2026-07-28, as its header says. `version` is that header.
fn check_modern(
    headers: &HeaderFacts<'_>,
    envelope: &Envelope<'_>,
    known: Option<&'static Method>,
    version: &[u8],
    rules: &PostRules<'_>,
) -> Result<(), McpFault<'static>> {
    let Some(in_body) = envelope.method() else {
        return Err(McpFault::new(400, -32600, "Invalid request: this revision has no client responses"));
    };
    let is_request = envelope.kind() == Kind::Request;
    check_mirrors(headers, envelope, in_body, known, is_request)?;
    match envelope.meta_version() {
        Some(in_meta) if !in_meta.eq(version) => return Err(version_mismatch()),
        None if is_request => return Err(missing_meta("Invalid params: _meta lacks protocolVersion")),
        _ => {}
    }
    if is_request && envelope.meta_capabilities().is_none() {
        return Err(missing_meta("Invalid params: _meta lacks clientCapabilities"));
    }
    if !rules.supported.iter().any(|supported| supported.as_str().as_bytes() == version) {
        return Err(unsupported_modern(version, rules));
    }
    let exists = match known {
        Some(known) => known.modern && !known.is_notification(),
        None => !rules.known_methods_only && !in_body.bytes().take(14).eq(*b"notifications/"),
    };
    if is_request && !exists {
        return Err(McpFault::new(404, -32601, "Method not found"));
    }
    Ok(())
}

/// `Mcp-Method` and `Mcp-Name` against the body. The revision leaves open what a notification needs
/// (core 2026-07-28 has none over HTTP), so there only what is sent must be right.
fn check_mirrors(
    headers: &HeaderFacts<'_>,
    envelope: &Envelope<'_>,
    in_body: Text<'_>,
    known: Option<&'static Method>,
    is_request: bool,
) -> Result<(), McpFault<'static>> {
    let mirrored = known.filter(|known| known.mirrored);
    if is_request && headers.method.is_none() {
        return Err(mismatch("the Mcp-Method header is missing"));
    }
    if mirrored.is_some() && headers.name.is_none() {
        return Err(mismatch("the Mcp-Name header is missing"));
    }
    if headers.method.is_some_and(|value| !in_body.eq(value)) {
        return Err(mismatch("the Mcp-Method header and the body disagree"));
    }
    let disagrees = |known: &'static Method, value: &[u8]| {
        !object_of(known, envelope).is_some_and(|object| mirrors(value, object))
    };
    if mirrored.zip(headers.name).is_some_and(|(known, value)| disagrees(known, value)) {
        return Err(mismatch("the Mcp-Name header and the body disagree"));
    }
    Ok(())
}

/// After [`check_mirrors`]: what was sent agrees, except a name on a method that mirrors none.
fn mirror_of_modern(
    headers: &HeaderFacts<'_>,
    envelope: &Envelope<'_>,
    known: Option<&'static Method>,
) -> Mirror {
    debug_assert!(envelope.method().is_some());
    match (headers.method, headers.name) {
        (None, None) => Mirror::Absent,
        (_, Some(_)) if !known.is_some_and(|known| known.mirrored) => Mirror::Unverified,
        _ => Mirror::Verified,
    }
}

/// What a method is about, if the body names it.
fn object_of<'a>(method: &Method, envelope: &Envelope<'a>) -> Option<Text<'a>> {
    match method.object {
        Object::None => None,
        Object::Name => envelope.name(),
        Object::Uri => envelope.uri(),
        Object::TaskId => envelope.task_id(),
        Object::Ref => envelope.ref_name().or_else(|| envelope.ref_uri()),
    }
}

/// The method of this name, however it is written.
pub fn find_method(name: Text<'_>) -> Option<&'static Method> {
    if name.is_escaped() {
        super::METHODS.iter().find(|method| name.eq(method.name.as_bytes()))
    } else {
        method(name.raw())
    }
}

/// Batches exist in revision 2025-03-26 only.
fn check_batch(
    headers: &HeaderFacts<'_>,
    batch: &BatchFacts,
    rules: &PostRules<'_>,
) -> Result<PostFacts, McpFault<'static>> {
    const REVISION: Revision = Revision::V2025_03_26;
    if headers.duplicates {
        return Err(mismatch("a header that may occur once occurs twice"));
    }
    let named = headers.protocol_version.is_none_or(|version| version == REVISION.as_str().as_bytes());
    if !named || !rules.supported.contains(&REVISION) || batch.has_meta_version {
        return Err(McpFault::new(400, -32600, "Invalid request: this revision has no batches"));
    }
    if batch.has_initialize {
        return Err(McpFault::new(400, -32600, "Invalid request: initialize may not be batched"));
    }
    if batch.responses != 0 && batch.responses != batch.count {
        return Err(McpFault::new(400, -32600, "Invalid request: a batch of responses holds nothing else"));
    }
    let revision = headers.protocol_version.map(|_| REVISION);
    let mirrored = headers.method.is_some() || headers.name.is_some();
    let mirror = if mirrored { Mirror::Unverified } else { Mirror::Absent };
    Ok(PostFacts { era: Era::Legacy(revision), method: None, mirror })
}

fn mismatch(message: &'static str) -> McpFault<'static> {
    McpFault::new(400, -32020, message)
}

fn version_mismatch() -> McpFault<'static> {
    mismatch("the MCP-Protocol-Version header and the body disagree")
}

fn missing_meta(message: &'static str) -> McpFault<'static> {
    McpFault::new(400, -32602, message)
}

/// A request that describes itself can only be sent again in a revision whose requests do: those are
/// listed, as a server lists them in its answer to `server/discover`.
fn unsupported_modern(requested: &[u8], rules: &PostRules<'_>) -> McpFault<'static> {
    let modern: Vec<Revision> =
        rules.supported.iter().copied().filter(|revision| revision.is_modern()).collect();
    McpFault::unsupported_version(requested, if modern.is_empty() { rules.supported } else { &modern })
}

pub(super) fn unsupported(requested: &[u8], rules: &PostRules<'_>) -> McpFault<'static> {
    McpFault::unsupported_version(requested, rules.supported)
}
