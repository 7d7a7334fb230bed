//! A gateway before an echoing upstream, and what is asked after each attack: does it still serve, and
//! has the upstream seen anything but what it should?

use std::cell::Cell;
use std::io::Write;

use super::harness::{Client, Gateway, Message, Upstream, post};

/// A gateway and its upstream.
pub struct Probe {
    pub gateway: Gateway,
    pub upstream: Upstream,
    asked: Cell<u32>,
}

impl Probe {
    /// Before an upstream that echoes, with further lines of configuration.
    pub fn new(more: &str) -> Self {
        Self::before(Upstream::echo(), more)
    }

    /// Before this upstream.
    pub fn before(upstream: Upstream, more: &str) -> Self {
        let gateway = Gateway::before(upstream.address, more);
        Self { gateway, upstream, asked: Cell::new(0) }
    }

    /// Sends these bytes on a connection of their own. Gives the first answer, and the connection.
    ///
    /// The gateway may answer and close before it has read everything, so a failed write is no fault.
    pub fn send(&self, what: &str, bytes: &[u8]) -> (Message, Client) {
        let mut client = self.gateway.connect();
        let _ = client.stream.write_all(bytes);
        let answer = client.message().unwrap_or_else(|| panic!("{what}: no answer"));
        (answer, client)
    }

    /// Asserts that these bytes are refused with this status, that nothing behind them is served, and that
    /// the upstream has seen nothing of them.
    #[track_caller]
    pub fn refuses(&self, what: &str, bytes: &[u8], status: u16) -> Message {
        let (answer, mut client) = self.send(what, bytes);
        assert_eq!(answer.status(), status, "{what}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{what}: {answer:?}");
        let body = answer.json();
        assert_eq!(body["jsonrpc"], "2.0", "{what}: {body}");
        assert!(
            body.get("id").is_some_and(|id| id.is_null()) && body["error"]["code"].is_i64(),
            "{what}: {body}"
        );
        // Where the framing is sound the connection may go on: what was sent behind the head was thrown away as the body.
        let is_sound = matches!(status, 401 | 403 | 404 | 405 | 413 | 415 | 429);
        match answer.header("connection") {
            None => assert!(is_sound, "{what}: the connection goes on"),
            close => {
                assert_eq!(close, Some("close"), "{what}: {answer:?}");
                assert!(client.is_at_end(), "{what}: something was said behind the refusal");
            }
        }
        self.asks(what);
        answer
    }

    /// Asserts that a plain request on a fresh connection is served, and is the next that the upstream sees.
    #[track_caller]
    pub fn asks(&self, what: &str) {
        let number = self.asked.get() + 1;
        self.asked.set(number);
        let body = format!(r#"{{"jsonrpc":"2.0","id":"after-{number}","method":"ping"}}"#);
        let answer = self.gateway.connect().ask(&post(&body, ""));
        assert_eq!(answer.status(), 200, "after {what}: {answer:?}");
        assert_eq!(answer.json()["id"], format!("after-{number}"), "after {what}");
        let seen = self.upstream.request();
        assert_eq!(seen.text(), body, "after {what}, the upstream saw {seen:?}");
    }

    /// Asserts that the upstream got exactly this body, framed by its length. Gives the whole request.
    #[track_caller]
    pub fn saw(&self, what: &str, body: &[u8]) -> Message {
        let seen = self.upstream.request();
        assert_eq!(seen.text(), String::from_utf8_lossy(body), "{what}");
        assert_eq!(seen.body, body, "{what}");
        assert_eq!(seen.header("content-length"), Some(&*body.len().to_string()), "{what}");
        assert_eq!(seen.header("transfer-encoding"), None, "{what}");
        seen
    }
}

/// `body` cut into chunks of these sizes, with the last chunk. What is left over is one more chunk.
pub fn chunked(body: &[u8], sizes: &[usize]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = body;
    for &size in sizes.iter().chain([&usize::MAX]) {
        let (chunk, after) = rest.split_at(size.min(rest.len()));
        if !chunk.is_empty() {
            out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
        }
        rest = after;
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

/// A POST to `/up/mcp` with the usual headers, these framing lines, and these bytes behind the head.
pub fn framed(framing: &str, rest: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /up/mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n{framing}\r\n"
    );
    [head.as_bytes(), rest].concat()
}
