//! Unwraps a whole body within the buffer it was read into.

use super::{ChunkError, Decoder, Step};

/// Unwraps a chunked body in place while it comes in. Each byte is read once and moved at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InPlace {
    decoder: Decoder,
    payload: usize,
    limit: usize,
}

/// How far [`InPlace::unwrap`] got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwrapped {
    /// The payload so far is the first so many bytes of the buffer.
    pub payload: usize,
    /// If the body is over: where the bytes of the next message start. Between the two is waste. While it
    /// is not over, all after the payload is waste: cut the buffer there and read on.
    pub next: Option<usize>,
}

impl InPlace {
    /// For a body whose payload may have at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { decoder: Decoder::new(), payload: 0, limit }
    }

    /// Goes on with `body`: first the payload that earlier calls unwrapped, then new raw bytes.
    ///
    /// # Errors
    /// The first fault, or [`ChunkError::TooLarge`] as soon as the size of a chunk passes the limit, before
    /// its data comes. The contents of `body` are then unspecified.
    ///
    /// # Panics
    /// If `body` is shorter than the payload that earlier calls left in it.
    pub fn unwrap(&mut self, body: &mut [u8]) -> Result<Unwrapped, ChunkError> {
        assert!(body.len() >= self.payload, "the unwrapped payload was cut off");
        let mut at = self.payload;
        loop {
            match self.decoder.step(&body[at..])? {
                Step::Data(range) => {
                    let coming = range.len() as u64 + self.decoder.chunk_left();
                    if coming > (self.limit - self.payload) as u64 {
                        return Err(ChunkError::TooLarge);
                    }
                    body.copy_within(at + range.start..at + range.end, self.payload);
                    self.payload += range.len();
                    at += range.end;
                }
                Step::NeedMore => {
                    if self.decoder.chunk_left() > (self.limit - self.payload) as u64 {
                        return Err(ChunkError::TooLarge);
                    }
                    return Ok(Unwrapped { payload: self.payload, next: None });
                }
                Step::End(taken) => {
                    return Ok(Unwrapped { payload: self.payload, next: Some(at + taken) });
                }
            }
        }
    }
}
