//! The heads that the gateway writes: what it keeps of a peer's head, what it leaves out, what it adds.

use super::worker::Worker;
use crate::base::Buf;
use crate::config::snapshot::{Endpoint, Server};
use crate::policy::session::SessionKey;
use crate::wire::http1::write::{push_content_length, push_end, push_guarded_line, push_header};
use crate::wire::http1::{
    AllowList, HeaderId, HeaderSet, Method, RequestHead, ResponseFraming, ResponseHead, Version,
};
use crate::wire::mcp::Mirror;

/// Separates the number of an endpoint from the server's own session id, where a server has several.
const SESSION_MARK: u8 = b'~';

/// Writes the request line, `Host` and the gateway's own lines, and gives their length.
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
    out.extend_from_slice(endpoint.lines.as_bytes());
    if target.version == Version::Http10
        && let Some(digit) = out.len().checked_sub(b"1 ringgate\r\n".len())
    {
        // `Via` says what the request came by.
        out[digit] = b'0';
    }
    out.len() - start
}

/// What of the target does not depend on the endpoint.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The message endpoint's path, for the HTTP+SSE transport; else the endpoint's own target is taken.
    pub message_path: Option<&'a str>,
    /// The client's query.
    pub query: Option<&'a [u8]>,
    /// The client's HTTP version.
    pub version: Version,
}

/// What of an upstream request's head is not as the client sent it.
pub struct RequestFields<'a> {
    /// What the mirrored headers are worth.
    pub mirror: Mirror,
    /// It is a call that may repeat arguments in headers.
    pub params: bool,
    /// Bytes of the body, if the method has one.
    pub body_len: Option<usize>,
    /// The server's own id of the session, if the request belongs to one.
    pub session: Option<&'a [u8]>,
}

/// Headers that say what the body says, in revisions where they were compared with it.
const MIRRORS: HeaderSet = HeaderSet::of(&[HeaderId::McpMethod, HeaderId::McpName]);

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
    // Who says nothing of it takes everything (RFC 9110 section 12.5.1). Servers that want it said are told what the
    // method can bring.
    if !head.fields.present().contains(HeaderId::Accept) {
        out.extend_from_slice(match head.method {
            Method::Get => b"accept: text/event-stream\r\n",
            _ => b"accept: application/json, text/event-stream\r\n",
        });
    }
    let mut unsure = if fields.mirror == Mirror::Unverified { MIRRORS } else { HeaderSet::NONE };
    if !fields.params {
        unsure.insert(HeaderId::McpParam);
    }
    server.to_server.except(unsure).copy(out, &head.fields, |out, field| {
        if let Some(own) = fields.session {
            push_header(out, field.name, own);
        }
    });
    push_end(out);
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
    /// What of the server's fields goes on.
    pub list: &'a AllowList,
    /// The body is labelled as text, because the server does not say what it is.
    pub untyped: bool,
    /// The line that says when the answer came, for a server that does not say when it made it.
    pub date: &'a [u8],
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
    push_guarded_line(out, head.status);
    delivery.list.except(HeaderSet::NONE).copy(out, &head.fields, |out, field| {
        write_session(out, field.name, field.value, delivery);
    });
    if !head.fields.present().contains(HeaderId::Date) {
        out.extend_from_slice(delivery.date);
    }
    if delivery.untyped {
        out.extend_from_slice(b"content-type: text/plain\r\n");
    }
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
        ResponseFraming::None if status == 204 => {}
        ResponseFraming::None => out.extend_from_slice(b"content-length: 0\r\n"),
        ResponseFraming::Length(length) => push_content_length(out, length),
        ResponseFraming::Chunked | ResponseFraming::UntilClose => {
            if version == Version::Http11 {
                out.extend_from_slice(b"transfer-encoding: chunked\r\n");
            }
        }
    }
}

/// Lets the page that asked read the answer, and the headers that MCP clients need (Fetch, CORS protocol).
pub fn write_cors(out: &mut Vec<u8>, origin: &[u8]) {
    push_header(out, b"access-control-allow-origin", origin);
    out.extend_from_slice(
        b"access-control-expose-headers: mcp-session-id, mcp-protocol-version, www-authenticate, retry-after, ratelimit, ratelimit-policy\r\nvary: origin\r\n",
    );
}

/// Begins an answer of the gateway's own.
pub fn begin(worker: &Worker, out: &mut Vec<u8>, status: u16) {
    push_guarded_line(out, status);
    out.extend_from_slice(&worker.date());
}

/// The answer to a probe of a load balancer, which asks for no server: it is served here.
pub fn probe(worker: &Worker, close: bool) -> Buf {
    let mut out = worker.scratch.borrow_mut();
    out.clear();
    begin(worker, &mut out, 204);
    out.extend_from_slice(b"allow: POST, GET, DELETE, OPTIONS\r\n");
    finish(worker, &mut out, close)
}

/// Ends a head, and gives the answer in a buffer.
fn finish(worker: &Worker, out: &mut Vec<u8>, close: bool) -> Buf {
    if close {
        out.extend_from_slice(b"connection: close\r\n");
    }
    push_end(out);
    in_buffer(worker, out)
}

fn in_buffer(worker: &Worker, out: &[u8]) -> Buf {
    let mut buf = worker.take_buf(out.len());
    let fits = buf.append(out);
    debug_assert!(fits, "the buffer was asked for by this length");
    buf
}

/// The answer to a preflight request of a page that may call.
pub fn preflight(worker: &Worker, head: &RequestHead<'_>, close: bool) -> Buf {
    let mut out = worker.scratch.borrow_mut();
    out.clear();
    begin(worker, &mut out, 204);
    if let Some(origin) = head.get(HeaderId::Origin) {
        write_cors(&mut out, origin);
    }
    out.extend_from_slice(
        b"access-control-allow-methods: POST, GET, DELETE\r\naccess-control-max-age: 600\r\n",
    );
    if let Some(wanted) = head.get(HeaderId::AccessControlRequestHeaders) {
        push_header(&mut out, b"access-control-allow-headers", wanted);
    }
    finish(worker, &mut out, close)
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
    begin(worker, &mut out, status);
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
    in_buffer(worker, &out)
}

/// An event stream without an event.
pub fn no_events(worker: &Worker, origin: Option<&[u8]>, close: bool) -> Buf {
    let mut out = worker.scratch.borrow_mut();
    out.clear();
    begin(worker, &mut out, 200);
    out.extend_from_slice(b"content-type: text/event-stream\r\ncache-control: no-cache\r\n");
    push_content_length(&mut out, 0);
    if let Some(origin) = origin {
        write_cors(&mut out, origin);
    }
    if close {
        out.extend_from_slice(b"connection: close\r\n");
    }
    push_end(&mut out);
    in_buffer(worker, &out)
}

/// A document of the gateway's own, in JSON.
pub fn document(worker: &Worker, document: &str, origin: Option<&[u8]>, close: bool, head_only: bool) -> Buf {
    let mut out = worker.scratch.borrow_mut();
    out.clear();
    begin(worker, &mut out, 200);
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
    in_buffer(worker, &out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_names_its_endpoint_only_in_the_gateways_own_form() {
        assert_eq!(split_session(b"1~abc~d"), Some((1, &b"abc~d"[..])));
        for other in [&b"abc"[..], b"~abc", b"x1~abc", b"00001~abc", b"-1~a", b"+1~a"] {
            assert_eq!(split_session(other), None, "{}", String::from_utf8_lossy(other));
        }
    }
}
