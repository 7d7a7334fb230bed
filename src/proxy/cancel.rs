//! Cancelled calls of the older revisions. A `notifications/cancelled` is a request of its own, on any connection and any
//! worker, and some servers then never answer the call. So what waits for an answer carries a key of each call that it
//! brings, and the notification bounds whatever has no other keys than those that were cancelled.

use std::borrow::Cow;
use std::num::NonZeroU64;
use std::time::Duration;

use serde_json::Value;

use super::admit::{json_limits, whole};
use super::client::Client;
use super::exchange::Exchange;
use super::worker::Worker;
use crate::link::Message;
use crate::policy::rate_limit::hash;
use crate::telemetry::Kind;
use crate::wire::json::Padded;
use crate::wire::jsonrpc::{self, Envelope};

/// The method that cancels.
const METHOD: &[u8] = b"notifications/cancelled";

/// The calls of one request that were not cancelled yet: one, or those of a batch.
#[derive(Debug, Default)]
pub struct Calls {
    one: Option<NonZeroU64>,
    more: Vec<NonZeroU64>,
}

impl Calls {
    /// Adds a call.
    fn push(&mut self, key: NonZeroU64) {
        match self.one {
            None => self.one = Some(key),
            Some(_) => self.more.push(key),
        }
    }

    /// Takes those out that are among `cancelled`, which is in order. Whether there were some, and none is left.
    pub fn strike(&mut self, cancelled: &[NonZeroU64]) -> bool {
        let is_left = |key: &NonZeroU64| cancelled.binary_search(key).is_err();
        if self.one.is_none() {
            return false;
        }
        self.more.retain(is_left);
        self.one = self.one.filter(is_left).or_else(|| self.more.pop());
        self.one.is_none()
    }
}

/// The calls of the request in the inbox, as far as a cancel can name them: within a session, and by an id.
#[inline]
pub fn calls_of(exchange: &Exchange<'_>, client: &Client) -> Calls {
    let forward = &exchange.forward;
    if forward.modern || forward.kind != Kind::Request || exchange.timeouts().abandoned.is_none() {
        return Calls::default();
    }
    within_session(exchange, client)
}

fn within_session(exchange: &Exchange<'_>, client: &Client) -> Calls {
    let mut calls = Calls::default();
    let Some(request) = client.inbox.filled().get(..exchange.forward.request_len) else { return calls };
    let Some(session) = session(request) else { return calls };
    match exchange.forward.id.clone() {
        Some(id) => {
            let id = request.get(id).and_then(canonical);
            if let Some(key) = id.and_then(|id| key(exchange, session, &id)) {
                calls.push(key);
            }
        }
        None => each_message(exchange, client, |envelope| {
            let id = envelope.id().filter(|_| envelope.kind() == jsonrpc::Kind::Request);
            if let Some(key) = id.and_then(canonical).and_then(|id| key(exchange, session, &id)) {
                calls.push(key);
            }
        }),
    }
    calls
}

/// Bounds the calls that notifications in the inbox cancel, on this worker and on the others.
#[inline]
pub fn note(exchange: &Exchange<'_>, client: &Client) {
    let forward = &exchange.forward;
    let may_cancel = match forward.kind {
        Kind::Message => true,
        // A batch.
        Kind::Request => forward.id.is_none(),
        Kind::Stream | Kind::Delete | Kind::Unknown => false,
    };
    if may_cancel && !forward.modern {
        note_cancels(exchange, client);
    }
}

#[cold]
fn note_cancels(exchange: &Exchange<'_>, client: &Client) {
    let Some(grace) = exchange.timeouts().abandoned else { return };
    let Some(request) = client.inbox.filled().get(..exchange.forward.request_len) else { return };
    let Some(session) = session(request) else { return };
    let mut cancelled = Vec::new();
    each_message(exchange, client, |envelope| {
        if envelope.method().is_some_and(|method| method.eq(METHOD))
            && let Ok(message) = serde_json::from_slice::<Value>(whole(envelope))
            && let Some(id) = shown(&message["params"]["requestId"])
        {
            cancelled.extend(key(exchange, session, id.as_bytes()));
        }
    });
    if cancelled.is_empty() {
        return;
    }
    cancelled.sort_unstable();
    let worker = exchange.worker;
    for (index, other) in worker.shared.workers.iter().enumerate() {
        let message = || Message::Cancel(cancelled.clone().into(), grace);
        if index != worker.index && other.mailbox.post(message()).is_ok() {
            other.bell.ring();
        }
    }
    bound(worker, &cancelled, grace);
}

/// Ends the calls with these keys, which are in order, after the grace, as far as they are under way on this worker.
pub fn bound(worker: &Worker, cancelled: &[NonZeroU64], grace: Duration) {
    worker.watches.cancel(cancelled, worker.net.now() + grace);
}

/// Visits the messages of the request in the inbox: one, or those of a batch. It was read before, so it can be read again.
fn each_message<'c>(exchange: &Exchange<'_>, client: &'c Client, visit: impl FnMut(&Envelope<'c>)) {
    let (end, body_len) = (exchange.forward.request_len, exchange.forward.body_len);
    let (all, length) = client.inbox.padded(end.saturating_sub(body_len)..end);
    let mut visit = visit;
    if let Some(body) = Padded::new(all, length) {
        let _ =
            jsonrpc::for_each_envelope(body, &json_limits(exchange.limits()), |envelope| visit(&envelope));
    }
}

/// Keyed hash of server, endpoint, session and id: nobody can make up an id that hits another's call, and replicas that number
/// their sessions alike are told apart.
fn key(exchange: &Exchange<'_>, session: &[u8], id: &[u8]) -> Option<NonZeroU64> {
    let server = exchange.forward.server.0.to_be_bytes();
    let endpoint = exchange.forward.endpoint.to_be_bytes();
    NonZeroU64::new(hash(&exchange.worker.shared.limit_secret, &[&server, &endpoint, session, id]))
}

/// A raw id in its one spelling: `"a\u0062"` is `"ab"`, and 1.0 is 1.
fn canonical(raw: &[u8]) -> Option<Cow<'_, [u8]>> {
    let is_plain = match raw.first()? {
        b'"' => !raw.contains(&b'\\'),
        b'1'..=b'9' => raw.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if is_plain {
        return Some(Cow::Borrowed(raw));
    }
    let value = serde_json::from_slice(raw).ok()?;
    Some(Cow::Owned(shown(&value)?.into_bytes()))
}

/// The one spelling of an id.
fn shown(id: &Value) -> Option<String> {
    /// From here on not every whole number has a double.
    const EXACT: f64 = (1_u64 << 53) as f64;
    match id {
        Value::String(_) => Some(id.to_string()),
        Value::Number(number) => Some(match number.as_f64() {
            #[allow(clippy::cast_possible_truncation)]
            Some(double) if double.fract() == 0.0 && double.abs() < EXACT => (double as i64).to_string(),
            _ => number.to_string(),
        }),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
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
    #![allow(clippy::unwrap_used)]
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

    #[test]
    fn an_id_has_one_spelling() {
        for (one, others) in [
            (r#""ab""#, &[r#""a\u0062""#, r#""\u0061\u0062""#][..]),
            (r#""a/b""#, &[r#""a\/b""#, r#""a\u002fb""#, r#""a\u002Fb""#]),
            ("\"\u{e9}\u{1f600}\"", &[r#""\u00e9\ud83d\ude00""#]),
            (r#""\"\\\n\u0001""#, &[r#""\u0022\u005c\u000a\u0001""#]),
            ("1", &["1.0", "1e0", "10e-1"]),
            ("0", &["-0", "0.0"]),
            ("-7", &["-7.0"]),
            ("9007199254740993", &[]),
        ] {
            let canonical =
                |raw: &str| String::from_utf8(canonical(raw.as_bytes()).unwrap().into_owned()).unwrap();
            for &other in others.iter().chain([&one]) {
                assert_eq!(canonical(other), canonical(one), "{other}");
                // What the cancel says is read as JSON.
                assert_eq!(shown(&serde_json::from_str(other).unwrap()).unwrap(), canonical(one), "{other}");
            }
        }
        let different = [r#""1""#, "1", "1.5", "9007199254740993", "9007199254740992", r#""a""#];
        let spellings: std::collections::BTreeSet<_> =
            different.iter().map(|raw| canonical(raw.as_bytes()).unwrap()).collect();
        assert_eq!(spellings.len(), different.len());
        for none in ["null", "true", "[1]", "{}", ""] {
            assert_eq!(canonical(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn a_request_is_cancelled_with_the_last_of_its_calls() {
        let key = |number| NonZeroU64::new(number).unwrap();
        let calls = |numbers: &[u64]| {
            let mut calls = Calls::default();
            numbers.iter().for_each(|&number| calls.push(key(number)));
            calls
        };
        assert!(!Calls::default().strike(&[key(1)]));
        assert!(calls(&[1]).strike(&[key(1)]) && calls(&[1, 2]).strike(&[key(1), key(2)]));
        assert!(calls(&[1, 1]).strike(&[key(1)]));
        let mut batch = calls(&[3, 1, 2]);
        assert!(!batch.strike(&[key(3)]) && !batch.strike(&[key(3)]) && !batch.strike(&[key(1), key(4)]));
        assert!(batch.strike(&[key(2)]));
        assert!(!batch.strike(&[key(2)]), "once");
    }
}
