//! The requests of a scenario, written once and sent many times.
//!
//! A request is kept as wire bytes with a gap of twelve digits for its id, so that sending one costs
//! twelve byte stores and a system call.

use std::io::{self, IoSlice};

use serde_json::{Map, Value, json};

use crate::sys::Socket;

/// The newest revision, stateless; see its pages on transports and versioning.
pub const MODERN_VERSION: &str = "2026-07-28";
/// The last revision with sessions.
pub const LEGACY_VERSION: &str = "2025-11-25";

/// The number of digits of every id.
pub const ID_DIGITS: usize = 12;
const ID_PLACEHOLDER: u64 = 100_000_000_000;

/// What a request is for, and so what its answer must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// `initialize`: 200 with a result; a session id may come with it.
    Initialize,
    /// `notifications/initialized`: 202 without a body.
    Initialized,
    /// Any request with one answer: 200 with the result of its id, as JSON or as an event stream.
    Call,
    /// DELETE of the session: any 2xx.
    Delete,
    /// A stream that stays open: 200 with an event stream.
    Hold,
}

/// One kind of request of a scenario.
#[derive(Debug, Clone)]
pub struct RequestClass {
    /// Its name in reports.
    pub label: String,
    /// What it is for.
    pub act: Act,
    /// Head, blank line and body: the whole request as it is without a session.
    wire: Vec<u8>,
    /// Where the blank line begins.
    blank_at: usize,
    /// Where the twelve digits of the id begin.
    id_at: Option<usize>,
}

/// What ends the head of a request that names no session.
pub const PLAIN_TAIL: &[u8] = b"\r\n";

impl RequestClass {
    fn new(label: &str, act: Act, head: &str, body: &str) -> Self {
        let marker = format!("\"id\":{ID_PLACEHOLDER}");
        let body_at = head.len() + PLAIN_TAIL.len();
        let id_at = body.find(&marker).map(|at| body_at + at + marker.len() - ID_DIGITS);
        let wire = [head.as_bytes(), PLAIN_TAIL, body.as_bytes()].concat();
        Self { label: label.to_owned(), act, wire, blank_at: head.len(), id_at }
    }

    /// Puts the digits of an id into the gap, if the request has an id.
    #[inline]
    pub fn set_id(&mut self, digits: &[u8; ID_DIGITS]) {
        if let Some(at) = self.id_at {
            self.wire[at..at + ID_DIGITS].copy_from_slice(digits);
        }
    }

    /// The size of the request on the wire with this tail of the head.
    pub fn wire_bytes(&self, head_tail: &[u8]) -> usize {
        self.wire.len() - PLAIN_TAIL.len() + head_tail.len()
    }

    /// The head, without the blank line.
    pub fn head(&self) -> &[u8] {
        &self.wire[..self.blank_at]
    }

    /// The body as it stands.
    pub fn body(&self) -> &[u8] {
        &self.wire[self.blank_at + PLAIN_TAIL.len()..]
    }

    /// Sends what is left after the first `sent` bytes. `head_tail` ends the head: the session header,
    /// if any, and the blank line.
    ///
    /// # Errors
    /// The socket's.
    pub fn send(&self, socket: &Socket, head_tail: &[u8], sent: usize) -> io::Result<usize> {
        if head_tail == PLAIN_TAIL {
            // One plain piece spares the kernel the reading of a message header.
            return socket.send(&self.wire[sent..]);
        }
        socket.send_pieces(&self.pieces(head_tail, sent))
    }

    /// What is left after the first `sent` bytes; see [`RequestClass::send`].
    pub fn pieces<'a>(&'a self, head_tail: &'a [u8], sent: usize) -> [IoSlice<'a>; 3] {
        let mut skip = sent;
        [self.head(), head_tail, self.body()].map(|piece| {
            let skipped = skip.min(piece.len());
            skip -= skipped;
            IoSlice::new(&piece[skipped..])
        })
    }
}

/// The decimal digits of an id between 10^11 and 10^12.
#[inline]
pub fn id_digits(id: u64) -> [u8; ID_DIGITS] {
    let mut digits = [b'0'; ID_DIGITS];
    let mut rest = id;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    digits
}

/// The id of request number `count` of worker `worker`: unique in a run.
#[inline]
pub fn id_of(worker: usize, count: u64) -> u64 {
    ID_PLACEHOLDER + worker as u64 * 1_000_000_000 + count % 1_000_000_000
}

/// Everything a request needs besides its own content.
#[derive(Debug, Clone)]
pub struct RequestWriter {
    /// The `Host` header.
    pub host: String,
    /// The request target.
    pub path: String,
    /// Header lines of the user's; one replaces ours of the same name.
    pub headers: Vec<(String, String)>,
    /// The tool to call.
    pub tool: String,
    /// Its arguments, before padding.
    pub arguments: Map<String, Value>,
    /// The argument that padding goes into.
    pub pad_key: String,
}

impl RequestWriter {
    /// `tools/call` of the modern revision: all it needs is in itself.
    ///
    /// # Errors
    /// When the smallest such body is longer than `body_bytes`.
    pub fn modern_call(&self, body_bytes: Option<usize>) -> Result<RequestClass, String> {
        let make = |padding: &str| self.call(padding, Some(&modern_meta(false)));
        let mut body = pad(&make, body_bytes)?;
        // Who is calling is optional, so it goes in only where there is room.
        if body_bytes.is_none_or(|bytes| bytes >= 512) {
            let make = |padding: &str| self.call(padding, Some(&modern_meta(true)));
            body = pad(&make, body_bytes)?;
        }
        Ok(self.modern_post("tools/call", Some(&self.tool), "tools/call", Act::Call, &body))
    }

    /// `subscriptions/listen`, whose answer is a stream that stays open.
    pub fn modern_listen(&self) -> RequestClass {
        let body = json!({"jsonrpc": "2.0", "id": ID_PLACEHOLDER, "method": "subscriptions/listen",
            "params": {"notifications": {"toolsListChanged": true}, "_meta": modern_meta(true)}});
        self.modern_post("subscriptions/listen", None, "subscriptions/listen", Act::Hold, &body.to_string())
    }

    /// `tools/call` whose answer is a stream expected to outlast the run.
    ///
    /// # Errors
    /// As [`RequestWriter::modern_call`].
    pub fn modern_held_call(&self, body_bytes: Option<usize>) -> Result<RequestClass, String> {
        Ok(RequestClass { act: Act::Hold, ..self.modern_call(body_bytes)? })
    }

    /// `initialize` of the last legacy revision.
    pub fn initialize(&self) -> RequestClass {
        let body = json!({"jsonrpc": "2.0", "id": ID_PLACEHOLDER, "method": "initialize", "params": {
            "protocolVersion": LEGACY_VERSION, "capabilities": {}, "clientInfo": client_info()}});
        self.post("initialize", Act::Initialize, &[], &body.to_string())
    }

    /// `notifications/initialized`.
    pub fn initialized(&self) -> RequestClass {
        let body = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        self.post("initialized", Act::Initialized, &legacy_headers(), &body.to_string())
    }

    /// `tools/list` within a session.
    pub fn legacy_list(&self) -> RequestClass {
        let body = json!({"jsonrpc": "2.0", "id": ID_PLACEHOLDER, "method": "tools/list"});
        self.post("tools/list", Act::Call, &legacy_headers(), &body.to_string())
    }

    /// `tools/call` within a session.
    ///
    /// # Errors
    /// When the smallest such body is longer than `body_bytes`.
    pub fn legacy_call(&self, body_bytes: Option<usize>) -> Result<RequestClass, String> {
        let body = pad(&|padding: &str| self.call(padding, None), body_bytes)?;
        Ok(self.post("tools/call", Act::Call, &legacy_headers(), &body))
    }

    /// DELETE of the session.
    pub fn delete(&self) -> RequestClass {
        let head = self.head("DELETE", &legacy_headers(), &[]);
        RequestClass::new("delete", Act::Delete, &head, "")
    }

    /// GET of the session's event stream.
    pub fn get_stream(&self) -> RequestClass {
        let mut headers = vec![("Accept", "text/event-stream".to_owned())];
        headers.extend(legacy_headers());
        let head = self.head("GET", &headers, &[]);
        RequestClass::new("get stream", Act::Hold, &head, "")
    }

    fn call(&self, padding: &str, meta: Option<&Value>) -> String {
        let mut arguments = self.arguments.clone();
        if !padding.is_empty() {
            let text = match arguments.get(&self.pad_key) {
                Some(Value::String(own)) => format!("{own}{padding}"),
                _ => padding.to_owned(),
            };
            arguments.insert(self.pad_key.clone(), Value::String(text));
        }
        // Written by hand at the outer level to keep the usual order of keys.
        let arguments = Value::Object(arguments);
        let name = Value::String(self.tool.clone());
        let meta = meta.map_or_else(String::new, |meta| format!(",\"_meta\":{meta}"));
        format!(
            r#"{{"jsonrpc":"2.0","id":{ID_PLACEHOLDER},"method":"tools/call","params":{{"name":{name},"arguments":{arguments}{meta}}}}}"#
        )
    }

    fn modern_post(
        &self,
        method: &str,
        name: Option<&str>,
        label: &str,
        act: Act,
        body: &str,
    ) -> RequestClass {
        let mut headers =
            vec![("MCP-Protocol-Version", MODERN_VERSION.to_owned()), ("Mcp-Method", method.to_owned())];
        headers.extend(name.map(|name| ("Mcp-Name", name.to_owned())));
        self.post(label, act, &headers, body)
    }

    fn post(&self, label: &str, act: Act, headers: &[(&str, String)], body: &str) -> RequestClass {
        let mut all = vec![
            ("Content-Type", "application/json".to_owned()),
            ("Accept", "application/json, text/event-stream".to_owned()),
        ];
        all.extend_from_slice(headers);
        let head = self.head("POST", &all, &[("Content-Length", body.len().to_string())]);
        RequestClass::new(label, act, &head, body)
    }

    /// A head without its blank line. The user's headers take the place of ours, except `fixed` ones.
    fn head(&self, method: &str, ours: &[(&str, String)], fixed: &[(&str, String)]) -> String {
        let mut head = format!("{method} {} HTTP/1.1\r\n", self.path);
        let base = [
            ("Host", self.host.clone()),
            ("User-Agent", concat!("loadgen/", env!("CARGO_PKG_VERSION")).to_owned()),
        ];
        for (name, value) in base.iter().chain(ours) {
            if !self.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)) {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        for (name, value) in fixed {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head
    }
}

fn client_info() -> Value {
    json!({"name": "loadgen", "version": env!("CARGO_PKG_VERSION")})
}

fn modern_meta(with_client_info: bool) -> Value {
    let mut meta = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN_VERSION,
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    if with_client_info {
        meta["io.modelcontextprotocol/clientInfo"] = client_info();
    }
    meta
}

fn legacy_headers() -> Vec<(&'static str, String)> {
    vec![("MCP-Protocol-Version", LEGACY_VERSION.to_owned())]
}

/// Calls `make` with so much padding that the body has exactly `body_bytes` bytes.
fn pad(make: &dyn Fn(&str) -> String, body_bytes: Option<usize>) -> Result<String, String> {
    let plain = make("");
    let Some(body_bytes) = body_bytes else { return Ok(plain) };
    if plain.len() == body_bytes {
        return Ok(plain);
    }
    // One byte of padding shows how much its key and quotes cost.
    let overhead = make("x").len() - 1;
    let Some(room) = body_bytes.checked_sub(overhead).filter(|room| *room > 0) else {
        return Err(format!(
            "--body-bytes {body_bytes}: the smallest body of this request is {} bytes, with padding at least {}",
            plain.len(),
            overhead + 1
        ));
    };
    Ok(make(&prose(room)))
}

/// `bytes` bytes of text that looks like prose to a parser and a compressor: words of varied length,
/// sentences, no character that JSON must escape.
fn prose(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 16);
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    while text.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let length = 2 + (state % 9) as usize;
        for position in 0..length {
            text.push((b'a' + (state >> (8 + 5 * position)) as u8 % 26) as char);
        }
        text.push_str(if state >> 60 == 0 { ". " } else { " " });
    }
    text.truncate(bytes);
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn writer() -> RequestWriter {
        RequestWriter {
            host: "127.0.0.1:1".to_owned(),
            path: "/demo/mcp".to_owned(),
            headers: vec![("accept".to_owned(), "application/json".to_owned())],
            tool: "echo".to_owned(),
            arguments: Map::new(),
            pad_key: "message".to_owned(),
        }
    }

    #[test]
    fn bodies_have_the_size_asked_for_and_headers_agree_with_them() {
        for size in [250, 300, 512, 4096, 65536] {
            let class = writer().modern_call(Some(size)).unwrap();
            assert_eq!(class.body().len(), size);
            let body: Value = serde_json::from_slice(class.body()).unwrap();
            assert_eq!(body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"], MODERN_VERSION);
            let head = String::from_utf8(class.head().to_vec()).unwrap();
            assert!(head.starts_with("POST /demo/mcp HTTP/1.1\r\nHost: 127.0.0.1:1\r\n"), "{head}");
            assert!(head.ends_with(&format!("Content-Length: {size}\r\n")), "{head}");
            for line in ["MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: echo"] {
                assert!(head.contains(&format!("{line}\r\n")), "{head}");
            }
            assert_eq!(writer().legacy_call(Some(size)).unwrap().body().len(), size);
        }
        assert!(writer().modern_call(Some(100)).unwrap_err().contains("smallest body"));
    }

    #[test]
    fn a_header_of_the_users_replaces_ours() {
        let head = String::from_utf8(writer().initialize().head().to_vec()).unwrap();
        assert!(head.contains("accept: application/json\r\n") && !head.contains("Accept:"), "{head}");
    }

    #[test]
    fn ids_are_unique_and_fill_the_gap() {
        let mut class = writer().legacy_list();
        class.set_id(&id_digits(id_of(3, 42)));
        let body: Value = serde_json::from_slice(class.body()).unwrap();
        assert_eq!(body["id"], 103_000_000_042_u64);
        assert_ne!(id_of(0, 1), id_of(1, 1));
        assert_eq!(&id_digits(id_of(255, 999_999_999)), b"355999999999");
        let mut notification = writer().initialized();
        let before = notification.body().to_vec();
        notification.set_id(&id_digits(id_of(0, 1)));
        assert_eq!(notification.body(), before);
    }
}
