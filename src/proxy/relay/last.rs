//! What it takes to end an event stream with an event of the gateway's own: where the stream stands, and what was said on
//! it, wherever its server and the network have cut it.

use crate::base::Seam;
use crate::wire::http1::chunked::{Decoder, Step};

/// Longer ids are not kept, in bytes: SDKs count, or take UUIDs.
const ID_BYTES_MAX: usize = 46;

/// Of what was sent so many bytes are kept, to see what is cut in two: one less than the longest thing that is looked for.
const SEAM: usize = 7;

/// What was sent of an event stream.
pub struct Last {
    /// Takes the chunks off, where there are some.
    chunked: Option<Decoder>,
    /// Payload; at first the end of a line.
    seam: Seam<SEAM>,
    /// Payload was sent.
    begun: bool,
    /// Events have ids, so a client with a session resumes the stream.
    has_ids: bool,
    /// Something was sent that may be the answer.
    answered: bool,
    /// Bytes of `id`.
    id_len: u8,
    /// The raw id of the request.
    id: [u8; ID_BYTES_MAX],
}

impl Last {
    /// Of a stream of which nothing was sent, with or without chunked coding.
    pub fn new(chunked: bool) -> Self {
        Self {
            chunked: chunked.then(Decoder::new),
            seam: Seam::new(b"\n"),
            begun: false,
            has_ids: false,
            answered: false,
            id_len: 0,
            id: [0; ID_BYTES_MAX],
        }
    }

    /// Keeps the raw id of the request.
    pub fn keep_id(&mut self, id: Option<&[u8]>) {
        if let Some((place, id)) = id.and_then(|id| Some((self.id.get_mut(..id.len())?, id))) {
            place.copy_from_slice(id);
            self.id_len = u8::try_from(id.len()).unwrap_or(0);
        }
    }

    /// The raw id of the request, if it was kept.
    pub fn id(&self) -> Option<&[u8]> {
        self.id.get(..usize::from(self.id_len)).filter(|id| !id.is_empty())
    }

    /// Notes what is sent.
    pub fn note(&mut self, mut bytes: &[u8]) {
        let Some(mut decoder) = self.chunked.take() else { return self.payload(bytes) };
        while let Ok(Step::Data(range)) = decoder.step(bytes) {
            let end = range.end;
            self.payload(&bytes[range]);
            bytes = &bytes[end..];
        }
        self.chunked = Some(decoder);
    }

    fn payload(&mut self, payload: &[u8]) {
        self.begun |= !payload.is_empty();
        let (has_ids, answered) = (&mut self.has_ids, &mut self.answered);
        self.seam.show(payload, |bytes| {
            let has = |part: &[u8]| memchr::memmem::find(bytes, part).is_some();
            *has_ids |= has(b"\nid:") || has(b"\rid:");
            // A request has one answer; what only looks like one is cut.
            *answered |= has(b"\"result\"") || has(b"\"error\"");
            false
        });
    }

    /// Whether the payload stands between two events, and another may follow that its client makes something of: it has no
    /// answer yet, and will not resume the stream.
    pub fn may_end(&self, modern: bool) -> bool {
        if self.answered || (self.has_ids && !modern) {
            return false;
        }
        let seam = self.seam.end();
        !self.begun || [&b"\n\n"[..], b"\r\n\r\n", b"\r\r"].iter().any(|end| seam.ends_with(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http1::chunked::write_chunk;

    /// Whether a stream may end behind this payload, of an older and of a modern call, however it is cut in three and framed.
    #[track_caller]
    fn judge(payload: &str) -> (bool, bool) {
        let mut all = Vec::new();
        let bytes = payload.as_bytes();
        for one in 0..=bytes.len() {
            for two in one..=bytes.len() {
                for chunked in [false, true] {
                    let mut last = Last::new(chunked);
                    for part in [&bytes[..one], &bytes[one..two], &bytes[two..]] {
                        let mut framed = Vec::new();
                        if chunked && !part.is_empty() {
                            write_chunk(&mut framed, part);
                        }
                        // The network cuts it otherwise than the server.
                        let sent = if chunked { &framed[..] } else { part };
                        let (start, end) = sent.split_at(sent.len() / 2);
                        last.note(start);
                        last.note(end);
                    }
                    all.push((last.may_end(false), last.may_end(true)));
                }
            }
        }
        assert!(all.iter().all(|verdict| *verdict == all[0]), "{payload:?} is read in two ways");
        all[0]
    }

    #[test]
    fn a_stream_is_read_in_one_way_wherever_it_is_cut() {
        for (payload, older, modern) in [
            ("", true, true),
            (": a\n\n", true, true),
            ("data: 1\r\n\r\n", true, true),
            ("data: 1\r\r", true, true),
            ("data: 1\n", false, false),
            ("data: 1\r\n", false, false),
            ("data: 1", false, false),
            ("data: 1\n\ndata", false, false),
            ("id: 1\ndata:\n\n", false, true),
            (": a\nid:1\n\n", false, true),
            (": a\rid:1\r\r", false, true),
            ("data: void: 1\n\n", true, true),
            ("data: {\"id\":1,\"result\":{}}\n\n", false, false),
            ("data: {\"error\":1}\n\n", false, false),
        ] {
            assert_eq!(judge(payload), (older, modern), "{payload:?}");
        }
    }

    #[test]
    fn an_id_is_kept_up_to_its_bound() {
        let mut last = Last::new(true);
        assert_eq!(last.id(), None);
        last.keep_id(Some(&[b'1'; ID_BYTES_MAX + 1]));
        assert_eq!(last.id(), None);
        last.keep_id(Some(&[b'1'; ID_BYTES_MAX]));
        assert_eq!(last.id(), Some(&[b'1'; ID_BYTES_MAX][..]));
    }
}
