//! The heads that the gateway writes: what it keeps of a peer's head, what it leaves out, what it adds.

use super::worker::Worker;
use crate::base::Buf;
use crate::config::snapshot::{Endpoint, Server};
use crate::policy::session::SessionKey;
use crate::wire::http1::write::{Lines, push_content_length, push_end, push_header, push_status_line};
use crate::wire::http1::{
    Header, HeaderId, HeaderSet, Method, RequestHead, ResponseFraming, ResponseHead, Version,
};
use crate::wire::mcp::Mirror;

/// What of a request does not go to the server.
///
/// The client's credentials are for the gateway (MCP 2026-07-28, authorization: no token passthrough), and
/// so are its origin and cookies, which the gateway has judged. What claims to come from a proxy is not
/// believed. Compression would hide the answer from policies and hold events back.
const NOT_UPSTREAM: HeaderSet = HeaderSet::HOP_BY_HOP.and(HeaderSet::of(&[
    HeaderId::Host,
    HeaderId::ContentLength,
    HeaderId::Expect,
    HeaderId::Authorization,
    HeaderId::XApiKey,
    HeaderId::Cookie,
    HeaderId::Origin,
    HeaderId::Referer,
    HeaderId::Forwarded,
    HeaderId::XForwarded,
    HeaderId::XRealIp,
    HeaderId::Via,
    HeaderId::AcceptEncoding,
    HeaderId::Reserved,
    HeaderId::AccessControlRequestHeaders,
    HeaderId::AccessControlRequestMethod,
    // Who was signed in, by the word of whoever sends it.
    HeaderId::RemoteUser,
]));

/// What of an answer does not go to the client. Cookies of a server are not the gateway's to set.
const NOT_DOWNSTREAM: HeaderSet = HeaderSet::HOP_BY_HOP.and(HeaderSet::of(&[
    HeaderId::ContentLength,
    HeaderId::SetCookie,
    HeaderId::Reserved,
]));

/// What of an answer would hold for the gateway's whole origin, and so for every other server behind it: where else it
/// is reached (RFC 7838), that only TLS will do (RFC 6797), what of its state is deleted, which keys it has (RFC 7469),
/// where browsers report to, what they tell of themselves, and whether somebody is signed in.
const OF_THE_ORIGIN: [&[u8]; 14] = [
    b"accept-ch",
    b"alt-svc",
    b"clear-site-data",
    b"expect-ct",
    b"nel",
    b"origin-agent-cluster",
    b"origin-trial",
    b"public-key-pins",
    b"public-key-pins-report-only",
    b"report-to",
    b"reporting-endpoints",
    b"service-worker-allowed",
    b"set-login",
    b"strict-transport-security",
];

/// Whether a field of an answer speaks for the origin.
fn is_of_the_origin(field: &Header<'_>) -> bool {
    field.id == HeaderId::Other
        && OF_THE_ORIGIN
            .iter()
            .any(|name| name.len() == field.name.len() && field.name.eq_ignore_ascii_case(name))
}

/// Separates the number of an endpoint from the server's own session id, where a server has several.
const SESSION_MARK: u8 = b'~';

/// Writes the request line and `Host`, and gives their length.
pub fn write_front(out: &mut Vec<u8>, method: Method, endpoint: &Endpoint, target: &Target<'_>) -> usize {
    let start = out.len();
    out.extend_from_slice(match method {
        Method::Get => b"GET ",
        Method::Delete => b"DELETE ",
        _ => b"POST ",
    });
    let path = target.message_path.unwrap_or(&endpoint.target);
    out.extend_from_slice(path.as_bytes());
    // A query of the configuration is the operator's: a server that takes the last of two equal names would take the
    // client's.
    if let Some(query) = target.query.filter(|_| !path.contains('?')) {
        out.push(b'?');
        out.extend_from_slice(query);
    }
    out.extend_from_slice(b" HTTP/1.1\r\nhost: ");
    out.extend_from_slice(endpoint.authority.as_bytes());
    out.extend_from_slice(b"\r\n");
    out.len() - start
}

/// What of the target does not depend on the endpoint.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The message endpoint's path, for the HTTP+SSE transport; else the endpoint's own target is taken.
    pub message_path: Option<&'a str>,
    /// The client's query.
    pub query: Option<&'a [u8]>,
}

/// What of an upstream request's head is not as the client sent it.
pub struct RequestFields<'a> {
    /// What the mirrored headers are worth.
    pub mirror: Mirror,
    /// Bytes of the body, if the method has one.
    pub body_len: Option<usize>,
    /// The server's own id of the session, if the request belongs to one.
    pub session: Option<&'a [u8]>,
}

/// Writes the rest of an upstream request's head, behind its front and the lines that change with the caller.
pub fn write_request_fields(
    out: &mut Vec<u8>,
    head: &RequestHead<'_>,
    server: &Server,
    fields: &RequestFields<'_>,
) {
    if let Some(length) = fields.body_len {
        push_content_length(out, length as u64);
    }
    out.extend_from_slice(server.headers.reveal());
    let named = head.fields.present().contains(HeaderId::Connection);
    let mut lines = Lines::new(out, &head.fields);
    for field in head.headers() {
        let left_out = NOT_UPSTREAM.contains(field.id)
            || (fields.mirror == Mirror::Unverified
                && matches!(field.id, HeaderId::McpMethod | HeaderId::McpName))
            || (named && head.is_named_by_connection(field.name))
            || server.header_names.iter().any(|name| reads_as(field.name, name.as_bytes()));
        if left_out {
            continue;
        }
        match (field.id, fields.session) {
            (HeaderId::McpSessionId, Some(own)) => push_header(lines.out(), field.name, own),
            (HeaderId::McpSessionId, None) => {}
            _ => lines.copy(&field),
        }
    }
    push_end(lines.out());
}

/// Whether a server may take a field called `name` for `configured`: letter case does not count, and servers in the
/// manner of CGI read `_` as `-`. A client must not stand in for a header that the configuration sets.
pub fn reads_as(name: &[u8], configured: &[u8]) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.len() == configured.len() && name.iter().zip(configured).all(|(&a, &b)| plain(a) == plain(b))
}

/// The endpoint that a session lives on, and the server's own id of it, of a server with several endpoints.
pub fn split_session(id: &[u8]) -> Option<(usize, &[u8])> {
    let mark = id.iter().position(|&byte| byte == SESSION_MARK)?;
    let digits = std::str::from_utf8(&id[..mark]).ok()?;
    if digits.is_empty() || digits.len() > 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, &id[mark + 1..]))
}

/// How the client gets an answer.
pub struct Delivery<'a> {
    /// The client's HTTP version.
    pub version: Version,
    /// The connection ends after it.
    pub close: bool,
    /// The endpoint's number, if session ids must carry it.
    pub endpoint: Option<usize>,
    /// The page that asked, if one did and may.
    pub origin: Option<&'a [u8]>,
    /// How the body will be framed; `None` leaves it to the caller to add a `content-length`.
    pub framing: Option<ResponseFraming>,
    /// Further header lines, each with its end.
    pub fields: &'a [u8],
    /// What binds session ids to the caller, where callers are known.
    pub binding: Option<Binding<'a>>,
}

/// What a session id is bound to.
#[derive(Clone, Copy)]
pub struct Binding<'a> {
    /// By this key,
    pub key: &'a SessionKey,
    /// to the principal with this identity,
    pub identity: &'a [u8],
    /// and to the server at this path.
    pub path: &'a str,
}

/// Writes the session id of an answer as the client is to know it.
fn write_session(out: &mut Vec<u8>, name: &[u8], own: &[u8], delivery: &Delivery<'_>) {
    let tagged;
    let own = match delivery.endpoint {
        Some(endpoint) => {
            tagged = [format!("{endpoint}~").as_bytes(), own].concat();
            &tagged[..]
        }
        None => own,
    };
    match delivery.binding {
        Some(Binding { key, identity, path }) => {
            let mut bound = Vec::with_capacity(own.len() + 24);
            key.bind(identity, path, own, &mut bound);
            push_header(out, name, &bound);
        }
        None => push_header(out, name, own),
    }
}

/// Writes the head of an answer.
pub fn write_response(out: &mut Vec<u8>, head: &ResponseHead<'_>, delivery: &Delivery<'_>) {
    push_status_line(out, head.status);
    let named = head.fields.present().contains(HeaderId::Connection);
    let mut lines = Lines::new(out, &head.fields);
    for field in head.headers() {
        let left_out = NOT_DOWNSTREAM.contains(field.id)
            || (delivery.binding.is_some() && field.id == HeaderId::WwwAuthenticate)
            || is_of_the_origin(&field)
            || (named && head.is_named_by_connection(field.name))
            || (delivery.origin.is_some() && is_cors(field.name));
        if left_out {
            continue;
        }
        match field.id {
            HeaderId::McpSessionId => write_session(lines.out(), field.name, field.value, delivery),
            _ => lines.copy(&field),
        }
    }
    drop(lines);
    if let Some(framing) = delivery.framing {
        write_framing(out, head.status, framing, delivery.version);
    }
    if head.event_stream && head.get(HeaderId::XAccelBuffering).is_none() {
        out.extend_from_slice(b"x-accel-buffering: no\r\n");
    }
    out.extend_from_slice(delivery.fields);
    if let Some(origin) = delivery.origin {
        write_cors(out, origin);
    }
    if delivery.close {
        out.extend_from_slice(b"connection: close\r\n");
    }
    push_end(out);
}

fn write_framing(out: &mut Vec<u8>, status: u16, framing: ResponseFraming, version: Version) {
    match framing {
        ResponseFraming::None if status == 204 || status == 304 => {}
        ResponseFraming::None => out.extend_from_slice(b"content-length: 0\r\n"),
        ResponseFraming::Length(length) => push_content_length(out, length),
        ResponseFraming::Chunked | ResponseFraming::UntilClose => {
            if version == Version::Http11 {
                out.extend_from_slice(b"transfer-encoding: chunked\r\n");
            }
        }
    }
}

fn is_cors(name: &[u8]) -> bool {
    const PREFIX: &[u8] = b"access-control-";
    name.len() > PREFIX.len() && name[..PREFIX.len()].eq_ignore_ascii_case(PREFIX)
}

/// Lets the page that asked read the answer, and the headers that MCP clients need (Fetch, CORS protocol).
pub fn write_cors(out: &mut Vec<u8>, origin: &[u8]) {
    push_header(out, b"access-control-allow-origin", origin);
    out.extend_from_slice(
        b"access-control-expose-headers: mcp-session-id, mcp-protocol-version, www-authenticate, retry-after, ratelimit, ratelimit-policy\r\nvary: origin\r\n",
    );
}

/// The answer to a preflight request of a page that may call.
pub fn preflight(worker: &Worker, head: &RequestHead<'_>, close: bool) -> Buf {
    let mut out = worker.scratch.borrow_mut();
    out.clear();
    push_status_line(&mut out, 204);
    if let Some(origin) = head.get(HeaderId::Origin) {
        write_cors(&mut out, origin);
    }
    out.extend_from_slice(
        b"access-control-allow-methods: POST, GET, DELETE\r\naccess-control-max-age: 600\r\n",
    );
    if let Some(wanted) = head.get(HeaderId::AccessControlRequestHeaders) {
        push_header(&mut out, b"access-control-allow-headers", wanted);
    }
    if close {
        out.extend_from_slice(b"connection: close\r\n");
    }
    push_end(&mut out);
    let mut buf = worker.take_buf(out.len());
    let fits = buf.append(&out);
    debug_assert!(fits, "the buffer was asked for by this length");
    buf
}

/// An answer of the gateway's own in JSON, with these header lines.
pub fn whole(
    worker: &Worker,
    status: u16,
    fields: &[u8],
    body: &[u8],
    origin: Option<&[u8]>,
    close: bool,
) -> Buf {
    let mut out = worker.scratch.borrow_mut();
    out.clear();
    push_status_line(&mut out, status);
    out.extend_from_slice(b"content-type: application/json\r\n");
    push_content_length(&mut out, body.len() as u64);
    out.extend_from_slice(fields);
    if let Some(origin) = origin {
        write_cors(&mut out, origin);
    }
    if close {
        out.extend_from_slice(b"connection: close\r\n");
    }
    push_end(&mut out);
    out.extend_from_slice(body);
    let mut buf = worker.take_buf(out.len());
    let fits = buf.append(&out);
    debug_assert!(fits, "the buffer was asked for by this length");
    buf
}

/// A document of the gateway's own, in JSON.
pub fn document(worker: &Worker, document: &str, origin: Option<&[u8]>, close: bool, head_only: bool) -> Buf {
    let mut out = worker.scratch.borrow_mut();
    out.clear();
    push_status_line(&mut out, 200);
    out.extend_from_slice(b"content-type: application/json\r\ncache-control: max-age=300\r\n");
    push_content_length(&mut out, document.len() as u64);
    if let Some(origin) = origin {
        write_cors(&mut out, origin);
    }
    if close {
        out.extend_from_slice(b"connection: close\r\n");
    }
    push_end(&mut out);
    if !head_only {
        out.extend_from_slice(document.as_bytes());
    }
    let mut buf = worker.take_buf(out.len());
    let fits = buf.append(&out);
    debug_assert!(fits, "the buffer was asked for by this length");
    buf
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_header_does_not_stand_in_for_a_configured_one() {
        for name in ["x-team-key", "X-Team-Key", "X_Team_Key", "x-team_key"] {
            assert!(reads_as(name.as_bytes(), b"x-team-key"), "{name}");
        }
        for name in ["x-team-keys", "x-team-kex", "x.team.key", ""] {
            assert!(!reads_as(name.as_bytes(), b"x-team-key"), "{name}");
        }
    }

    #[test]
    fn a_session_names_its_endpoint_only_in_the_gateways_own_form() {
        assert_eq!(split_session(b"1~abc~d"), Some((1, &b"abc~d"[..])));
        for other in [&b"abc"[..], b"~abc", b"x1~abc", b"00001~abc", b"-1~a", b"+1~a"] {
            assert_eq!(split_session(other), None, "{}", String::from_utf8_lossy(other));
        }
    }
}
