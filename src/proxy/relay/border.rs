//! Where an event stream may end so that its client takes what it has for whole: between two events, and where the
//! framing can be closed.

use crate::wire::http1::chunked::{Decoder, LAST_CHUNK, Step};
use crate::wire::sse::{EndpointWatch, Scanner};

/// The end of a chunk's data, and the last chunk.
const DATA_END_AND_LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

/// Reads along with one event stream, as the client gets it.
pub struct Border {
    chunks: Option<Decoder>,
    events: Scanner,
    /// It could not be read.
    blind: bool,
    /// The body has a length, so nothing can end it before that.
    has_length: bool,
    /// Looks for endpoints, where the server may name none.
    watch: Option<EndpointWatch>,
    /// It has named one.
    names_endpoint: bool,
}

/// The framing of a stream as its client gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// In chunks.
    Chunked,
    /// Until the connection ends.
    UntilClose,
    /// By a length that was announced.
    Length,
}

impl Border {
    /// At the start of the body of a server that may name endpoints, or may not.
    pub fn new(framing: Framing, may_name_endpoint: bool) -> Self {
        Self {
            chunks: (framing == Framing::Chunked).then(Decoder::new),
            events: Scanner::new(usize::MAX),
            blind: false,
            has_length: framing == Framing::Length,
            watch: (!may_name_endpoint).then(EndpointWatch::new),
            names_endpoint: false,
        }
    }

    /// Whether the stream names an endpoint for messages, which only servers of the HTTP+SSE transport do: its clients would
    /// take any path of the gateway for one.
    pub fn names_endpoint(&self) -> bool {
        self.names_endpoint
    }

    /// The next bytes of the body, as they are sent.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        let Some(mut decoder) = self.chunks else { return self.payload(bytes) };
        loop {
            match decoder.step(bytes) {
                Ok(Step::Data(range)) => {
                    let end = range.end;
                    self.payload(&bytes[range]);
                    bytes = &bytes[end..];
                }
                Ok(Step::NeedMore | Step::End(_)) => break,
                Err(_) => {
                    self.blind = true;
                    break;
                }
            }
        }
        self.chunks = Some(decoder);
    }

    fn payload(&mut self, bytes: &[u8]) {
        self.names_endpoint |= self.watch.as_mut().is_some_and(|watch| watch.read(bytes));
        self.blind |= self.events.scan(bytes).is_err();
    }

    /// What ends the body here; `None` within an event, or within a chunk.
    pub fn end(&self) -> Option<&'static [u8]> {
        if self.blind || self.has_length || !self.events.is_between_events() {
            return None;
        }
        match &self.chunks {
            None => Some(b""),
            Some(chunks) if chunks.is_between_chunks() => Some(LAST_CHUNK),
            Some(chunks) if chunks.is_after_data() => Some(DATA_END_AND_LAST_CHUNK),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What ends the body after these bytes, fed whole and byte by byte.
    fn end_of(chunked: bool, bytes: &[u8]) -> Option<&'static [u8]> {
        let framing = if chunked { Framing::Chunked } else { Framing::UntilClose };
        let [mut whole, mut pieces] = [(); 2].map(|()| Border::new(framing, false));
        whole.feed(bytes);
        bytes.chunks(1).for_each(|byte| pieces.feed(byte));
        assert_eq!(whole.end(), pieces.end());
        whole.end()
    }

    #[test]
    fn a_stream_ends_between_events_and_nowhere_else() {
        for (payload, may_end) in [
            (&b""[..], true),
            (b": hi\n\n", true),
            (b"data: 1\r\n\r\n", true),
            (b"data: 1\r\r", true),
            (b"data: 1\n\ndata: 2\n\n", true),
            (b"d", false),
            (b"data: 1\n", false),
            (b"data: 1\n\ni", false),
            (b"data: 1\n\nid: 7\n", false),
        ] {
            assert_eq!(end_of(false, payload), may_end.then_some(&b""[..]), "{}", payload.escape_ascii());
        }
    }

    #[test]
    fn the_framing_is_closed_where_it_can_be() {
        for (body, end) in [
            (&b""[..], Some(LAST_CHUNK)),
            (b"9\r\ndata: 1\n\n\r\n", Some(LAST_CHUNK)),
            (b"9\r\ndata: 1\n\n", Some(DATA_END_AND_LAST_CHUNK)),
            (b"9\r\ndata: 1\n\n\r", None),
            (b"a\r\ndata: 1\n\n", None),
            (b"8\r\ndata: 1\n\r\n", None),
            (b"8\r\ndata: 1\n\r\n1\r\n\n\r\n", Some(LAST_CHUNK)),
            (b"9\r\ndata: 1\n\n\r\n5", None),
        ] {
            assert_eq!(end_of(true, body), end, "{}", body.escape_ascii());
            if let Some(end) = end {
                let (mut decoder, whole) = (Decoder::new(), [body, end].concat());
                let mut rest = &whole[..];
                let used = loop {
                    match decoder.step(rest) {
                        Ok(Step::Data(range)) => rest = &rest[range.end..],
                        other => break other,
                    }
                };
                assert_eq!(used, Ok(Step::End(rest.len())));
            }
        }
    }
}
