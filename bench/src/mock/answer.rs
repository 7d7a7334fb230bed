//! What the mock says: JSON-RPC results for the methods a client of the bench uses.

use super::envelope;
use super::http::{Method, Request};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How answers are shaped.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// 0: requests are answered with JSON. Otherwise with an SSE stream sent in this many segments.
    pub sse_writes: u8,
    /// Length of the JSON that answers a `tools/call` with a one-digit id, in bytes.
    pub answer_bytes: usize,
}

/// Bytes to send, and the places in them where a segment must end.
#[derive(Debug, Default)]
pub struct Outbox {
    /// What is still to be written to the socket, from `sent` on.
    pub bytes: Vec<u8>,
    /// Offsets into `bytes`, ascending, at which a separate write starts.
    pub cuts: Vec<usize>,
}

impl Outbox {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn put_number(&mut self, mut number: usize, radix: usize) {
        let mut digits = [0u8; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b"0123456789abcdef"[number % radix];
            number /= radix;
            if number == 0 {
                break;
            }
        }
        self.put(&digits[at..]);
    }

    fn cut(&mut self) {
        self.cuts.push(self.bytes.len());
    }
}

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum After {
    /// It takes the next request.
    NextRequest,
    /// It holds an open SSE stream from now on.
    Stream,
}

/// Writes answers; one per event loop, since it counts the sessions it gave out.
pub struct Answers {
    style: Style,
    call_result: Vec<u8>,
    session: u64,
    calls: Arc<AtomicU64>,
}

impl Answers {
    /// Prepares the fixed texts for the event loop with this index.
    pub fn new(style: Style, index: usize) -> Self {
        let call_result = call_result(style.answer_bytes);
        Self { style, call_result, session: (index as u64) << 48, calls: Arc::default() }
    }

    /// Counts the calls that are answered in `calls`.
    pub fn counted_in(self, calls: Arc<AtomicU64>) -> Self {
        Self { calls, ..self }
    }

    /// Writes the answer to `request`.
    pub fn answer(&mut self, request: &Request<'_>, outbox: &mut Outbox) -> After {
        match request.method {
            Method::Post => return self.answer_post(request, outbox),
            Method::Get if !request.modern => {
                outbox.put(SSE_HEAD);
                put_chunk(outbox, &[b": open\n\n"]);
                return After::Stream;
            }
            Method::Delete if !request.modern => outbox.put(OK_EMPTY),
            Method::Get | Method::Delete | Method::Other => outbox.put(METHOD_NOT_ALLOWED),
        }
        After::NextRequest
    }

    /// Writes one event for a stream that [`After::Stream`] opened.
    pub fn event(&self, outbox: &mut Outbox) {
        put_chunk(outbox, &[EVENT_START, TOOLS_CHANGED, EVENT_END]);
    }

    fn answer_post(&mut self, request: &Request<'_>, outbox: &mut Outbox) -> After {
        let Some(message) = envelope::scan(&request.body) else {
            put_json(outbox, BAD_REQUEST, &[PARSE_ERROR]);
            return After::NextRequest;
        };
        let (Some(id), Some(method)) = (message.id, message.method) else {
            outbox.put(ACCEPTED);
            return After::NextRequest;
        };
        let result: &[u8] = match method {
            b"tools/call" => {
                self.calls.fetch_add(1, Ordering::Relaxed);
                &self.call_result
            }
            b"tools/list" => TOOLS,
            b"ping" | b"logging/setLevel" | b"resources/subscribe" | b"resources/unsubscribe" => b"{}",
            b"initialize" => {
                self.answer_initialize(request, id, outbox);
                return After::NextRequest;
            }
            b"server/discover" => DISCOVERED,
            b"resources/list" => {
                br#"{"resultType":"complete","resources":[],"ttlMs":0,"cacheScope":"private"}"#
            }
            b"prompts/list" => br#"{"resultType":"complete","prompts":[],"ttlMs":0,"cacheScope":"private"}"#,
            b"subscriptions/listen" => {
                outbox.put(SSE_HEAD);
                put_chunk(outbox, &[EVENT_START, SUBSCRIBED_START, id, SUBSCRIBED_END, EVENT_END]);
                return After::Stream;
            }
            _ => {
                let head = if request.modern { NOT_FOUND } else { JSON_HEAD };
                put_json(outbox, head, &[RESULT_START, id, UNKNOWN_METHOD]);
                return After::NextRequest;
            }
        };
        if self.style.sse_writes == 0 {
            put_json(outbox, JSON_HEAD, &[RESULT_START, id, RESULT_KEY, result, b"}"]);
        } else {
            put_stream(outbox, self.style.sse_writes, id, result);
        }
        After::NextRequest
    }

    /// The revision asked for is granted, and a session id given, as legacy servers do.
    fn answer_initialize(&mut self, request: &Request<'_>, id: &[u8], outbox: &mut Outbox) {
        self.session += 1;
        let revision = asked_revision(&request.body).unwrap_or(b"2025-11-25");
        let result = [INITIALIZED_START, revision, INITIALIZED_END].concat();
        let mut head = b"HTTP/1.1 200 OK\r\nContent-Type: ".to_vec();
        let kind: &[u8] = if self.style.sse_writes == 0 { b"application/json" } else { b"text/event-stream" };
        head.extend_from_slice(kind);
        head.extend_from_slice(format!("\r\nMcp-Session-Id: mock-{:016x}\r\n", self.session).as_bytes());
        if self.style.sse_writes == 0 {
            head.extend_from_slice(b"Content-Length: ");
            put_json(outbox, &head, &[RESULT_START, id, RESULT_KEY, &result, b"}"]);
        } else {
            head.extend_from_slice(b"Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n");
            outbox.put(&head);
            put_result_event(outbox, id, &result);
            outbox.put(LAST_CHUNK);
        }
    }
}

/// `head` must end with the name of Content-Length, a colon and a space.
fn put_json(outbox: &mut Outbox, head: &[u8], parts: &[&[u8]]) {
    outbox.put(head);
    outbox.put_number(parts.iter().map(|part| part.len()).sum(), 10);
    outbox.put(b"\r\n\r\n");
    for part in parts {
        outbox.put(part);
    }
}

fn put_stream(outbox: &mut Outbox, writes: u8, id: &[u8], result: &[u8]) {
    outbox.put(SSE_HEAD);
    if writes > 1 {
        outbox.cut();
    }
    put_result_event(outbox, id, result);
    if writes > 2 {
        outbox.cut();
    }
    outbox.put(LAST_CHUNK);
    if writes > 1 {
        outbox.cut();
    }
}

fn put_result_event(outbox: &mut Outbox, id: &[u8], result: &[u8]) {
    put_chunk(outbox, &[EVENT_START, RESULT_START, id, RESULT_KEY, result, b"}", EVENT_END]);
}

fn put_chunk(outbox: &mut Outbox, parts: &[&[u8]]) {
    outbox.put_number(parts.iter().map(|part| part.len()).sum(), 16);
    outbox.put(b"\r\n");
    for part in parts {
        outbox.put(part);
    }
    outbox.put(b"\r\n");
}

/// The value of `protocolVersion` in an `initialize` request, if it looks like a revision.
fn asked_revision(body: &[u8]) -> Option<&[u8]> {
    let key = b"\"protocolVersion\"";
    let at = memchr::memmem::find(body, key)? + key.len();
    let rest = &body[at..];
    let start = memchr::memchr(b'"', rest)? + 1;
    let length = memchr::memchr(b'"', &rest[start..])?;
    let revision = &rest[start..start + length];
    let plain = revision.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-');
    (length == 10 && plain).then_some(revision)
}

/// A tool's result, padded so that the whole JSON with a one-digit id has `answer_bytes`.
fn call_result(answer_bytes: usize) -> Vec<u8> {
    let start: &[u8] = br#"{"content":[{"type":"text","text":"mock: "#;
    let end: &[u8] = br#""}],"structuredContent":{"ok":true},"isError":false,"resultType":"complete"}"#;
    let fixed = RESULT_START.len() + 1 + RESULT_KEY.len() + start.len() + end.len() + 1;
    let text = b"the quick brown fox jumps over the lazy dog ".iter().cycle();
    let padding: Vec<u8> = text.take(answer_bytes.saturating_sub(fixed)).copied().collect();
    [start, &padding, end].concat()
}

const RESULT_START: &[u8] = br#"{"jsonrpc":"2.0","id":"#;
const RESULT_KEY: &[u8] = br#","result":"#;
const UNKNOWN_METHOD: &[u8] = br#","error":{"code":-32601,"message":"Method not found"}}"#;
const PARSE_ERROR: &[u8] = br#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"}}"#;
const SUBSCRIBED_START: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"#;
const SUBSCRIBED_END: &[u8] = b"}}}";
const TOOLS_CHANGED: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
const INITIALIZED_START: &[u8] = br#"{"protocolVersion":""#;
const INITIALIZED_END: &[u8] =
    br#"","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"mock","version":"1"}}"#;
const DISCOVERED: &[u8] = br#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":60000,"cacheScope":"public"}"#;
const TOOLS: &[u8] = br#"{"resultType":"complete","ttlMs":60000,"cacheScope":"public","tools":[{"name":"echo","description":"Answers a fixed text","inputSchema":{"type":"object"}},{"name":"search","description":"Answers a fixed text","inputSchema":{"type":"object","properties":{"query":{"type":"string"}}}}]}"#;

const EVENT_START: &[u8] = b"event: message\ndata: ";
const EVENT_END: &[u8] = b"\n\n";

const JSON_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ";
const BAD_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: ";
const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: ";
const SSE_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Cache-Control: no-cache, no-transform\r\nX-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n";
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
const ACCEPTED: &[u8] = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
const OK_EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const METHOD_NOT_ALLOWED: &[u8] =
    b"HTTP/1.1 405 Method Not Allowed\r\nAllow: POST\r\nContent-Length: 0\r\n\r\n";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{After, Answers, Outbox, Style};
    use crate::mock::http::{Method, Request};
    use std::borrow::Cow;

    fn ask(style: Style, method: Method, modern: bool, body: &str) -> (After, String, Vec<usize>) {
        let request = Request { method, modern, keep_alive: true, body: Cow::Borrowed(body.as_bytes()) };
        let mut outbox = Outbox::default();
        let after = Answers::new(style, 0).answer(&request, &mut outbox);
        (after, String::from_utf8(outbox.bytes).unwrap(), outbox.cuts)
    }

    fn json(sse_writes: u8) -> Style {
        Style { sse_writes, answer_bytes: 290 }
    }

    /// The body after the head, which must be as long as the head says.
    fn fixed_body(answer: &str) -> serde_json::Value {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{answer}");
        serde_json::from_str(body).unwrap()
    }

    #[test]
    fn every_method_is_answered_with_the_id_as_it_was_written() {
        let methods =
            "initialize tools/list tools/call ping resources/list prompts/list server/discover no/such";
        for method in methods.split(' ') {
            for id in ["7", "\"x\"", "9007199254740993"] {
                let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}"}}"#);
                let (after, answer, _) = ask(json(0), Method::Post, false, &body);
                assert_eq!(after, After::NextRequest);
                assert!(answer.contains(&format!(r#"{{"jsonrpc":"2.0","id":{id},"#)), "{answer}");
                assert_eq!(fixed_body(&answer).get("result").is_some(), method != "no/such");
            }
        }
    }

    #[test]
    fn a_call_is_answered_with_the_length_asked_for() {
        let (_, answer, _) = ask(json(0), Method::Post, true, r#"{"id":1,"method":"tools/call"}"#);
        assert!(answer.contains("Content-Length: 290\r\n"), "{answer}");
    }

    #[test]
    fn a_stream_is_one_chunk_and_cut_where_asked() {
        for (writes, cuts) in [(1, 0), (2, 2), (3, 3)] {
            let (_, answer, at) = ask(json(writes), Method::Post, true, r#"{"id":5,"method":"tools/call"}"#);
            let (_, body) = answer.split_once("\r\n\r\n").unwrap();
            let (size, rest) = body.split_once("\r\n").unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            assert_eq!(&rest[size..], "\r\n0\r\n\r\n");
            let data = rest[..size].strip_prefix("event: message\ndata: ").unwrap();
            let message: serde_json::Value = serde_json::from_str(data).unwrap();
            assert_eq!(message["id"], 5);
            assert_eq!(at.len(), cuts);
        }
    }

    #[test]
    fn notifications_and_answers_are_accepted_and_streams_held() {
        let (_, answer, _) = ask(json(1), Method::Post, false, r#"{"method":"notifications/initialized"}"#);
        assert!(answer.starts_with("HTTP/1.1 202 "));
        let (_, answer, _) = ask(json(1), Method::Post, false, r#"{"id":1,"result":{}}"#);
        assert!(answer.starts_with("HTTP/1.1 202 "));
        assert_eq!(ask(json(0), Method::Get, false, "").0, After::Stream);
        let (after, answer, _) = ask(json(0), Method::Get, true, "");
        assert!(after == After::NextRequest && answer.starts_with("HTTP/1.1 405 "));
        let listen = r#"{"id":"L","method":"subscriptions/listen","params":{}}"#;
        let (after, answer, _) = ask(json(0), Method::Post, true, listen);
        assert!(after == After::Stream && answer.contains(r#"subscriptionId":"L"}}}"#), "{answer}");
    }

    #[test]
    fn initialize_gives_the_revision_asked_for_and_a_new_session() {
        let body = r#"{"id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#;
        let (_, answer, _) = ask(json(0), Method::Post, false, body);
        assert!(answer.contains("\r\nMcp-Session-Id: mock-"));
        assert_eq!(fixed_body(&answer)["result"]["protocolVersion"], "2025-06-18");
    }
}
