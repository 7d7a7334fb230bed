//! One call: what a client sends and what it must get, both a function of the seed and the id, so that
//! client, server and judge agree without talking.

use ringgate::io::sim::Prng;

use super::speech::chunked;

/// A JSON-RPC request.
#[derive(Clone, Debug)]
pub struct Call {
    pub id: u32,
    /// Of revision 2026-07-28; else of 2025-06-18.
    pub modern: bool,
    /// A method that may be sent twice.
    pub safe: bool,
    /// It is answered by an event stream.
    pub stream: bool,
    request_bytes: usize,
    answer_bytes: usize,
}

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

impl Call {
    /// The call with this id in a world of `seed`, where no message has many more than `bytes_max` bytes.
    pub fn of(seed: u64, id: u32, bytes_max: usize) -> Self {
        let prng = Prng::new(seed.wrapping_mul(0x9E37).wrapping_add(u64::from(id)));
        let size = || match prng.below(50) {
            0 => prng.up_to(bytes_max),
            1..=8 => prng.up_to(6_000.min(bytes_max)),
            _ => prng.up_to(600),
        };
        let (request_bytes, answer_bytes) = (size(), size());
        let flag = || prng.chance(500);
        Self { id, modern: flag(), safe: flag(), stream: flag(), request_bytes, answer_bytes }
    }

    fn method(&self) -> &'static str {
        if self.safe { "tools/list" } else { "tools/call" }
    }

    /// The body of the request.
    pub fn body(&self) -> Vec<u8> {
        let meta = if self.modern { format!("{META},") } else { String::new() };
        let filler = filler(self.id, "ask", self.request_bytes);
        let (id, method) = (self.id, self.method());
        let params = format!(r#"{meta}"name":"tool","arguments":{{"text":"{filler}"}}"#);
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}}}}}"#).into()
    }

    /// The head of the request up to its framing, which is to follow.
    pub fn head(&self, path: &str) -> String {
        let method = self.method();
        let version = match (self.modern, self.safe) {
            (true, true) => format!("mcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\n"),
            (true, false) => {
                format!("mcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\nMcp-Name: tool\r\n")
            }
            (false, _) => "mcp-protocol-version: 2025-06-18\r\n".into(),
        };
        format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\n{version}"
        )
    }

    /// The whole request with a known length.
    pub fn request(&self, path: &str) -> Vec<u8> {
        let body = self.body();
        let mut bytes = format!("{}content-length: {}\r\n\r\n", self.head(path), body.len()).into_bytes();
        bytes.extend_from_slice(&body);
        bytes
    }

    /// The whole request in a framing of chance; the connection ends after it if `close`.
    pub fn request_by_chance(&self, path: &str, close: bool, prng: &Prng) -> Vec<u8> {
        let body = self.body();
        let mut bytes = self.head(path).into_bytes();
        if close {
            bytes.extend_from_slice(b"Connection: close\r\n");
        }
        if prng.chance(400) {
            bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            bytes.extend_from_slice(&chunked(&body, |left| prng.up_to(left)));
        } else {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
            bytes.extend_from_slice(&body);
        }
        bytes
    }

    /// The payload of the answer.
    pub fn answer(&self) -> Vec<u8> {
        let filler = filler(self.id, "say", self.answer_bytes);
        let result = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"text":"{filler}"}}}}"#, self.id);
        if !self.stream {
            return result.into();
        }
        let note =
            format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"of":{}}}}}"#, self.id);
        format!("event: message\ndata: {note}\n\n: {}\n\nid: 7\ndata: {result}\n\n", self.id).into()
    }

    /// Its media type.
    pub fn media(&self) -> &'static str {
        if self.stream { "text/event-stream" } else { "application/json" }
    }
}

/// Text in which every few bytes tell whose they are.
fn filler(id: u32, word: &str, len: usize) -> String {
    let unit = format!("{word}-{id}.");
    unit.chars().cycle().take(len).collect()
}
