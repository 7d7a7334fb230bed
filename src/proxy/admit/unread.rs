//! What is still to come of a request that is refused before its body was read. A small rest is read and thrown away, so
//! that the connection serves the next request; behind a large one, or one whose end cannot be told, it ends.

use crate::wire::http1::chunked::{Decoder, Step};
use crate::wire::http1::{BodyFraming, RequestHead};

/// The largest rest that is thrown away, in bytes as they come over the wire.
pub const UNREAD_BYTES_MAX: usize = 64 << 10;

/// The body of a refused request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// So many bytes.
    Length(usize),
    /// Up to its last chunk.
    Chunked(Decoder),
}

/// The body lasts longer than this end of the connection is worth, or is not framed as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotWorthIt;

impl Unread {
    /// The body behind `head`, if it may be thrown away. A client that waits for a 100 may send its body or not after
    /// another answer (RFC 9110 section 10.1.1), so what follows could be either.
    pub fn of(head: &RequestHead<'_>, waits: bool) -> Option<Self> {
        match head.framing {
            _ if waits => None,
            BodyFraming::None => None,
            BodyFraming::Length(length) => {
                let length = usize::try_from(length).ok()?;
                (length <= UNREAD_BYTES_MAX).then_some(Self::Length(length))
            }
            BodyFraming::Chunked => Some(Self::Chunked(Decoder::new())),
        }
    }

    /// Reads `input`, which follows what was read before. How many of its bytes belong to the body, and whether that is
    /// its end.
    ///
    /// # Errors
    /// The chunked coding is malformed: where the next request begins is unknown.
    pub fn skip(&mut self, input: &[u8]) -> Result<(usize, bool), NotWorthIt> {
        match self {
            Self::Length(left) => {
                let part = input.len().min(*left);
                *left -= part;
                Ok((part, *left == 0))
            }
            Self::Chunked(decoder) => {
                let mut at = 0;
                loop {
                    match decoder.step(&input[at..]).map_err(|_| NotWorthIt)? {
                        Step::Data(range) => at += range.end,
                        Step::NeedMore => return Ok((input.len(), false)),
                        Step::End(used) => return Ok((at + used, true)),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wire::http1::{HeadLimits, HeadScan, Parsed, parse_request_head};

    fn of(framing: &str, waits: bool) -> Option<Unread> {
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\n{framing}\r\n");
        let parsed = parse_request_head(head.as_bytes(), &HeadLimits::default(), &mut HeadScan::new());
        let Parsed::Complete(head) = parsed.unwrap() else { panic!("a whole head") };
        Unread::of(&head, waits)
    }

    #[test]
    fn only_a_small_body_that_comes_for_certain_is_thrown_away() {
        assert_eq!(of("content-length: 65536\r\n", false), Some(Unread::Length(65_536)));
        assert_eq!(of("content-length: 65537\r\n", false), None);
        assert_eq!(of("content-length: 5\r\n", true), None);
        assert_eq!(of("", false), None);
        assert!(matches!(of("transfer-encoding: chunked\r\n", false), Some(Unread::Chunked(_))));
    }

    #[test]
    fn what_follows_the_body_is_left() {
        let next = b"POST";
        for (mut unread, body) in [
            (Unread::Length(5), &b"hello"[..]),
            (Unread::Chunked(Decoder::new()), b"5\r\nhello\r\n0\r\n\r\n"),
            (Unread::Chunked(Decoder::new()), b"1;x\r\nh\r\n00\r\nA: b\r\n\r\n"),
        ] {
            let mut bytewise = unread;
            let all = [body, next].concat();
            assert_eq!(unread.skip(&all), Ok((body.len(), true)));
            for at in 0..body.len() {
                assert_eq!(bytewise.skip(&all[at..=at]), Ok((1, at + 1 == body.len())));
            }
        }
        assert_eq!(Unread::Chunked(Decoder::new()).skip(b"5\nhello"), Err(NotWorthIt));
    }
}
