//! Cancelled calls of the older revisions. A `notifications/cancelled` is a request of its own, on any connection and any
//! worker, and some servers then never answer the call. So a streamed answer carries a key of its call, and the
//! notification bounds whatever has that key.

use std::num::NonZeroU64;

use super::client::Client;
use super::exchange::Exchange;
use super::worker::Worker;
use crate::link::Message;
use crate::policy::rate_limit::hash;
use crate::telemetry::Kind;

/// What the body of a cancel has in it, however it is spaced.
const METHOD: &[u8] = b"notifications/cancelled";

/// Key of the call whose request stands in the inbox, if a cancel can name it: it has a session and an id.
#[cold]
pub fn key_of_call(exchange: &Exchange<'_>, client: &Client) -> Option<NonZeroU64> {
    let forward = &exchange.forward;
    if forward.modern || forward.kind != Kind::Request {
        return None;
    }
    let request = client.inbox.filled().get(..forward.request_len)?;
    key(exchange, request, request.get(forward.id.clone()?)?)
}

/// Bounds the call that the notification in the inbox cancels, on this worker and on the others.
#[cold]
pub fn note(exchange: &Exchange<'_>, client: &Client) {
    let forward = &exchange.forward;
    let Some(grace) = exchange.timeouts().abandoned.filter(|_| !forward.modern) else { return };
    let Some(request) = client.inbox.filled().get(..forward.request_len) else { return };
    let body = &request[request.len() - forward.body_len.min(request.len())..];
    if memchr::memmem::find(body, METHOD).is_none() {
        return;
    }
    let Ok(message) = serde_json::from_slice::<serde_json::Value>(body) else { return };
    if message["method"].as_str().map(str::as_bytes) != Some(METHOD) {
        return;
    }
    // As SDKs write it, and so the call's own bytes.
    let id = message["params"]["requestId"].to_string();
    if let Some(call) = key(exchange, request, id.as_bytes()) {
        let worker = exchange.worker;
        bound(worker, call, grace);
        for (index, other) in worker.shared.workers.iter().enumerate() {
            if index != worker.index && other.mailbox.post(Message::Cancel(call, grace)).is_ok() {
                other.bell.ring();
            }
        }
    }
}

/// Ends the call with this key after the grace, if it is under way on this worker.
pub fn bound(worker: &Worker, call: NonZeroU64, grace: std::time::Duration) {
    worker.watches.cancel(call, worker.net.now() + grace);
}

/// Keyed hash of server, session and id: nobody can make up an id that hits another's call.
fn key(exchange: &Exchange<'_>, request: &[u8], id: &[u8]) -> Option<NonZeroU64> {
    let session = session(request)?;
    let server = exchange.forward.server.0.to_be_bytes();
    NonZeroU64::new(hash(&exchange.worker.shared.limit_secret, &[&server, session, id]))
}

/// The session that the head of the request names, as the server knows it.
fn session(request: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"mcp-session-id:";
    let head = &request[..memchr::memmem::find(request, b"\r\n\r\n")?];
    let is_it = |line: &&[u8]| line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME));
    let line = head.split(|&byte| byte == b'\n').find(is_it)?;
    Some(line[NAME.len()..].trim_ascii()).filter(|session| !session.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_found_in_any_case_and_only_in_the_head() {
        let head = b"POST / HTTP/1.1\r\nhost: a\r\nMcp-Session-Id:  s1 \r\n\r\nmcp-session-id: s2\r\n\r\n";
        assert_eq!(session(head), Some(&b"s1"[..]));
        for none in
            [&b""[..], b"POST / HTTP/1.1\r\n\r\nmcp-session-id: s2", b"POST /\r\nmcp-session-id: \r\n\r\n"]
        {
            assert_eq!(session(none), None);
        }
    }
}
