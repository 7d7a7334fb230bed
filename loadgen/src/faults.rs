//! Errors, counted by kind, each kind with its first example.

use std::collections::BTreeMap;
use std::fmt;

use crate::http::HttpFault;

/// What went wrong with one request or connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The connection could not be made.
    Connect,
    /// TLS failed: the handshake, or what came after it.
    Tls,
    /// The peer reset the connection, or it broke while being used.
    Reset,
    /// The peer closed a reused connection under a request it had not begun to answer.
    LateClose,
    /// The peer closed before the answer (or the held stream) was complete.
    EarlyClose,
    /// No complete answer within the time limit.
    Timeout,
    /// The HTTP response breaks the protocol.
    MalformedHttp(HttpFault),
    /// Bytes arrived that belong to no request.
    Unsolicited,
    /// A status other than the one this request must have.
    Status(u16),
    /// The body is of another kind than the status and request call for.
    ContentType,
    /// The body is not a JSON-RPC message.
    MalformedJson,
    /// The answer is for another request.
    WrongId,
    /// An event stream ended without the answer.
    NoAnswer,
    /// A JSON-RPC error with this code.
    RpcError(i64),
    /// The answer lacks the expected text.
    WrongText,
    /// The answer is longer than the load generator takes.
    TooLong,
    /// Open loop: the request was due but could not be sent before the end.
    Unsent,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("connect"),
            Self::Tls => f.write_str("tls"),
            Self::Reset => f.write_str("reset"),
            Self::LateClose => f.write_str("late close"),
            Self::EarlyClose => f.write_str("early close"),
            Self::Timeout => f.write_str("timeout"),
            Self::MalformedHttp(fault) => write!(f, "malformed http ({})", fault.label()),
            Self::Unsolicited => f.write_str("unsolicited bytes"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::ContentType => f.write_str("content type"),
            Self::MalformedJson => f.write_str("malformed json"),
            Self::WrongId => f.write_str("wrong id"),
            Self::NoAnswer => f.write_str("no answer in stream"),
            Self::RpcError(code) => write!(f, "rpc error {code}"),
            Self::WrongText => f.write_str("wrong text"),
            Self::TooLong => f.write_str("answer too long"),
            Self::Unsent => f.write_str("unsent"),
        }
    }
}

/// How often each kind happened.
#[derive(Debug, Clone, Default)]
pub struct FaultCounts(BTreeMap<Fault, FaultCount>);

/// The count of one kind.
#[derive(Debug, Clone, Default)]
pub struct FaultCount {
    /// How often.
    pub count: u64,
    /// What the first one looked like: which request, and the start of what was received.
    pub example: String,
}

impl FaultCounts {
    /// Counts one; `example` is only asked for the first of its kind.
    pub fn add(&mut self, fault: Fault, example: impl FnOnce() -> String) {
        let entry = self.0.entry(fault).or_insert_with(|| FaultCount { count: 0, example: example() });
        entry.count += 1;
    }

    /// Counts `count` at once.
    pub fn add_many(&mut self, fault: Fault, count: u64, example: impl FnOnce() -> String) {
        if count > 0 {
            self.add(fault, example);
            if let Some(entry) = self.0.get_mut(&fault) {
                entry.count += count - 1;
            }
        }
    }

    /// Adds the counts of another worker.
    pub fn merge(&mut self, other: &Self) {
        for (fault, theirs) in &other.0 {
            self.add_many(*fault, theirs.count, || theirs.example.clone());
        }
    }

    /// How many there were of one kind.
    pub fn count(&self, fault: Fault) -> u64 {
        self.0.get(&fault).map_or(0, |entry| entry.count)
    }

    /// How many there were of all kinds.
    pub fn total(&self) -> u64 {
        self.0.values().map(|entry| entry.count).sum()
    }

    /// Every kind that happened.
    pub fn iter(&self) -> impl Iterator<Item = (Fault, &FaultCount)> {
        self.0.iter().map(|(fault, entry)| (*fault, entry))
    }
}

/// The start of `bytes` as printable text, for an example.
pub fn excerpt(bytes: &[u8]) -> String {
    const EXCERPT_BYTES_MAX: usize = 240;
    let shown = &bytes[..bytes.len().min(EXCERPT_BYTES_MAX)];
    let mut text: String =
        String::from_utf8_lossy(shown).chars().map(|c| if c.is_control() { '·' } else { c }).collect();
    if shown.len() < bytes.len() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_merge_and_keep_the_first_example() {
        let mut ours = FaultCounts::default();
        ours.add(Fault::WrongId, || "first".to_owned());
        ours.add(Fault::WrongId, || "second".to_owned());
        let mut theirs = FaultCounts::default();
        theirs.add_many(Fault::WrongId, 3, || "third".to_owned());
        theirs.add(Fault::Status(503), String::new);
        theirs.add_many(Fault::Unsent, 0, String::new);
        ours.merge(&theirs);
        assert_eq!((ours.count(Fault::WrongId), ours.count(Fault::Status(503)), ours.total()), (5, 1, 6));
        let shown: Vec<_> =
            ours.iter().map(|(fault, entry)| (fault.to_string(), entry.example.as_str())).collect();
        assert_eq!(shown, [("status 503".to_owned(), ""), ("wrong id".to_owned(), "first")]);
    }

    #[test]
    fn excerpts_are_short_and_printable() {
        assert_eq!(excerpt(b"a\r\nb"), "a··b");
        assert!(excerpt(&[b'x'; 1000]).chars().count() <= 241);
    }
}
