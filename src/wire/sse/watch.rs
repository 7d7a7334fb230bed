//! A stream that may not name an endpoint.

use memchr::memmem;

/// Looks for a line that makes an event one of the type `endpoint`, in a stream that comes in pieces and is not read
/// otherwise: clients of HTTP+SSE (MCP 2024-11-05) post to whatever such an event names.
///
/// Readers disagree on what ends a line: beside CR and LF some take other control characters and separators of Unicode for
/// it. So whatever is no printable ASCII character counts as an end here. JSON has none of these unescaped between two words
/// of a text that looks like this line, so what is refused beyond the standard's own lines is nobody's data.
#[derive(Clone, Copy, Debug)]
pub struct EndpointWatch {
    /// The last bytes that were read, at the end of the array.
    tail: [u8; SEAM],
}

/// Bytes of the longest line with what stands before and behind it, but for one.
const SEAM: usize = b"\nevent: endpoint\n".len() - 1;

impl Default for EndpointWatch {
    fn default() -> Self {
        Self::new()
    }
}

impl EndpointWatch {
    /// At the start of a stream.
    pub fn new() -> Self {
        // The start of a stream is the start of a line.
        Self { tail: [b'\n'; SEAM] }
    }

    /// Reads the next bytes; whether they end such a line. Bytes of it that came before were harmless: no reader takes a line
    /// before its end.
    pub fn read(&mut self, bytes: &[u8]) -> bool {
        let mut seam = [0; 2 * SEAM];
        let ahead = bytes.len().min(SEAM);
        seam[..SEAM].copy_from_slice(&self.tail);
        seam[SEAM..SEAM + ahead].copy_from_slice(&bytes[..ahead]);
        let found = names_endpoint(&seam[..SEAM + ahead]) || (ahead < bytes.len() && names_endpoint(bytes));
        match bytes.last_chunk() {
            Some(tail) => self.tail = *tail,
            None => self.tail.copy_from_slice(&seam[ahead..SEAM + ahead]),
        }
        found
    }
}

/// Whether a line in the midst of `bytes` says so.
fn names_endpoint(bytes: &[u8]) -> bool {
    const VALUE: &[u8] = b"endpoint";
    let is_end = |byte: &u8| !matches!(byte, b' '..=b'~');
    memmem::find_iter(bytes, VALUE).any(|at| {
        let name = bytes[..at].strip_suffix(b" ").unwrap_or(&bytes[..at]);
        let before = name.strip_suffix(b"event:").and_then(<[u8]>::last);
        before.is_some_and(is_end) && bytes.get(at + VALUE.len()).is_some_and(is_end)
    })
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
        ] {
            assert!(finds(stream), "{}", stream.escape_ascii());
        }
    }

    #[test]
    fn what_only_looks_like_one_passes() {
        for stream in [
            &b"event: endpoint"[..],
            b"event: endpoints\n\n",
            b"event:  endpoint\n\n",
            b"event: message\ndata: {\"text\":\"event: endpoint\"}\n\n",
            b"data: {\"text\":\"a\\nevent: endpoint\\n\"}\n\n",
            b"data: event: endpoint\n\n",
            b"Event: endpoint\n\n",
            b": event: endpoint\n\n",
            b"endpoint\n\nendpoint: event\n\n",
        ] {
            assert!(!finds(stream), "{}", stream.escape_ascii());
        }
    }
}
