//! A stream that may not name an endpoint.

use memchr::memmem;

use crate::base::Seam;

/// Looks for a line that makes an event one of the type `endpoint`, in a stream that comes in pieces and is not read
/// otherwise: clients of HTTP+SSE (MCP 2024-11-05) post to whatever such an event names.
///
/// Readers disagree on what ends a line, and on blanks around a value: some trim them, the standard takes one blank away in
/// front. So a line begins behind any control character and behind the separators of Unicode, and a type is taken for
/// `endpoint` also where blanks stand around it, or where so many stand in front that it cannot be told. JSON has no
/// control character within a text, so nobody's data looks like this.
#[derive(Clone, Copy, Debug)]
pub struct EndpointWatch {
    seam: Seam<SEAM>,
}

/// Bytes of the longest line that must be seen whole, with what stands before and behind it, but for one.
const SEAM: usize = "\n\u{feff}event: endpoint\n".len() - 1;

impl Default for EndpointWatch {
    fn default() -> Self {
        Self::new()
    }
}

impl EndpointWatch {
    /// At the start of a stream.
    pub fn new() -> Self {
        // The start of a stream is the start of a line.
        Self { seam: Seam::new(b"\n") }
    }

    /// Reads the next bytes; whether they end such a line. Bytes of it that came before were harmless: no reader takes a line
    /// before its end.
    pub fn read(&mut self, bytes: &[u8]) -> bool {
        self.seam.show(bytes, names_endpoint)
    }
}

/// Whether a line in the midst of `bytes` says so, as far as its end is here too.
fn names_endpoint(bytes: &[u8]) -> bool {
    const NAME: &[u8] = b"event:";
    memmem::find_iter(bytes, NAME)
        .any(|at| begins_line(&bytes[..at]) && is_endpoint(&bytes[at + NAME.len()..]))
}

/// Whether a reader may take what follows these bytes for the start of a line.
fn begins_line(before: &[u8]) -> bool {
    let before = match before.strip_suffix(b"\xEF\xBB\xBF") {
        // A byte order mark, at the start of the stream.
        Some(before) if before.ends_with(b"\n") => return true,
        _ => before,
    };
    before.last().is_some_and(u8::is_ascii_control)
        || [&b"\xC2\x85"[..], b"\xE2\x80\xA8", b"\xE2\x80\xA9"].iter().any(|end| before.ends_with(end))
}

/// Whether a reader may take this value for `endpoint`.
fn is_endpoint(value: &[u8]) -> bool {
    let value = value.strip_prefix(b" ").unwrap_or(value);
    match value.first() {
        None | Some(b'\n' | b'\r') => false,
        // More blanks than the one that the standard takes away, or one of another kind.
        Some(byte) if !byte.is_ascii_graphic() => true,
        Some(_) => value
            .strip_prefix(b"endpoint")
            .is_some_and(|behind| behind.first().is_some_and(|byte| !byte.is_ascii_graphic())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the stream names an endpoint, wherever it is cut into pieces.
    fn finds(stream: &[u8]) -> bool {
        let mut whole = EndpointWatch::new();
        let found = whole.read(stream);
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let mut watch = EndpointWatch::new();
                let parts = [&stream[..first], &stream[first..second], &stream[second..]];
                assert_eq!(
                    parts.map(|part| watch.read(part)).contains(&true),
                    found,
                    "{} cut at {first} and {second}",
                    stream.escape_ascii()
                );
            }
        }
        found
    }

    #[test]
    fn an_endpoint_is_found_wherever_the_stream_is_cut() {
        for stream in [
            &b"event: endpoint\ndata: /x\n\n"[..],
            b"event:endpoint\r",
            b": hi\n\nevent: endpoint\r\n",
            b"\xEF\xBB\xBFevent: endpoint\n",
            b"data: {\"a\":\"some event\"}\ndata: more\nevent: endpoint\n\n",
            b"data: 1\n\nid: 7\nevent: endpoint\ndata: /x\n\n",
            b"event:  endpoint\n",
            b"event: endpoint \n",
            b"event:\tendpoint\n",
            b": hi\x0Bevent: endpoint\n",
            b": hi\xE2\x80\xA8event: endpoint\n",
        ] {
            assert!(finds(stream), "{}", stream.escape_ascii());
        }
    }

    #[test]
    fn what_only_looks_like_one_passes() {
        for stream in [
            &b"event: endpoint"[..],
            b"event: endpoints\n\n",
            b"event:\n\nevent: \r\n\r\n",
            b"event: message\ndata: {\"text\":\"event: endpoint\"}\n\n",
            b"data: {\"text\":\"a\\nevent: endpoint\\n\"}\n\n",
            b"data: event: endpoint\n\n",
            b"Event: endpoint\n\n",
            b": event: endpoint\n\n",
            b"endpoint\n\nendpoint: event\n\n",
            "data: \u{53d1}event: endpoint\u{4e8b}\n\n".as_bytes(),
        ] {
            assert!(!finds(stream), "{}", stream.escape_ascii());
        }
    }
}
