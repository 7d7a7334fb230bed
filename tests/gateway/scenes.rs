//! What the tests of streams, faults and life have in common: requests, answers, and doors.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::harness::{META, Message, PATIENCE, modern, post};

/// The head of an event stream with chunked coding.
pub const SSE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";

/// One chunk.
pub fn chunk(data: &str) -> Vec<u8> {
    format!("{:x}\r\n{data}\r\n", data.len()).into_bytes()
}

/// The end of a chunked body.
pub const LAST: &[u8] = b"0\r\n\r\n";

/// A tool call of a modern client, whose going away cancels it.
pub fn modern_call(id: u32) -> Vec<u8> {
    let body =
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"x",{META}}}}}"#);
    post(&body, &modern("tools/call", "x"))
}

/// A tool call of a legacy client, whose going away cancels nothing.
pub fn legacy_call(id: u32) -> Vec<u8> {
    legacy(id, "tools/call", r#""name":"x""#)
}

/// A legacy request.
pub fn legacy(id: u32, method: &str, params: &str) -> Vec<u8> {
    post(&legacy_body(id, method, params), "MCP-Protocol-Version: 2025-06-18\r\n")
}

/// Its body.
pub fn legacy_body(id: u32, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}}}}}"#)
}

/// A GET for an event stream, with further header lines.
pub fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{headers}\r\n")
        .into_bytes()
}

/// The JSON-RPC method of a request that came in upstream.
pub fn method(request: &Message) -> String {
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
    body["method"].as_str().unwrap_or_default().to_owned()
}

/// A door in an upstream's script: shut until the test opens it, once for each pass.
pub struct Door(Mutex<Receiver<()>>);

/// The handle of a door.
pub struct Handle(Sender<()>);

/// A shut door and its handle.
pub fn door() -> (Handle, Door) {
    let (sender, receiver) = channel();
    (Handle(sender), Door(Mutex::new(receiver)))
}

impl Handle {
    /// Lets one pass.
    pub fn open(&self) {
        // Nobody behind the door any more is for the test to find out.
        let _ = self.0.send(());
    }
}

impl Door {
    /// Waits until the test lets one pass.
    pub fn pass(&self) {
        match self.0.lock().unwrap().recv_timeout(PATIENCE) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {}
            Err(RecvTimeoutError::Timeout) => panic!("the test does not open the door"),
        }
    }
}

/// What came through a channel, within the patience of these tests.
pub fn told<T>(receiver: &Receiver<T>, what: &str) -> T {
    receiver.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// Waits until `holds`.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Bytes that differ from place to place, so that a lost, doubled or displaced part shows.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[(at / 61 + at * 7) % 62])
        .collect()
}

/// A JSON answer whose text is `pattern(len)`.
pub fn large_answer(len: usize) -> Vec<u8> {
    let text = String::from_utf8(pattern(len)).unwrap();
    format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"text":"{text}"}}}}"#).into_bytes()
}
