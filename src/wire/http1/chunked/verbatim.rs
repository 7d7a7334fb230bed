//! Passes a chunked body on as it is, byte for byte, after checking it.

use super::decoder::hex_digit;
use super::{ChunkError, Decoder};

/// Checks a chunked body that is forwarded without being re-framed.
///
/// Only sizes, data and a plain last chunk may pass; extensions and trailer fields may not
/// (they could mean something else to the next reader). A size line is held back until it is whole, so
/// what has passed always ends within data or between chunks, and re-framing can start there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Verbatim {
    place: Place,
}

/// What [`Verbatim::pass`] allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// So many bytes at the start of the input may be forwarded. Keep the rest (at most 19 bytes, unless
    /// `done` or not `clean`) and give it again in front of what follows.
    pub valid: usize,
    /// The body is over, and its last byte is the last valid one. What follows is not part of it.
    pub done: bool,
    /// Whether the rest can go on like this. If not, an extension or a trailer field follows within the
    /// chunk that starts right after the valid bytes: go on from there with [`Decoder`] and frame anew.
    pub clean: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Place {
    /// Before a size line.
    #[default]
    Size,
    /// So many bytes of data are to come, at least one.
    Data(u64),
    /// Before the CR LF that ends data.
    DataEnd,
    Done,
}

/// What stands at the start of a chunk.
enum Line {
    /// A size line of so many bytes, and the size.
    Plain {
        length: usize,
        size: u64,
    },
    /// The last chunk with the empty line, five bytes or more as zeros may repeat.
    Last {
        length: usize,
    },
    /// An extension or a trailer field.
    Odd,
    Partial,
}

impl Verbatim {
    /// A check at the start of a body.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether all that passed are whole chunks.
    pub fn is_between_chunks(&self) -> bool {
        self.place == Place::Size
    }

    /// A decoder for the rest of the body, for when a pass was not clean. It continues right after the
    /// bytes that passed.
    pub fn decoder(&self) -> Decoder {
        Decoder::new()
    }

    /// Reads `input`, which follows what earlier calls let pass.
    ///
    /// # Errors
    /// The first fault. What earlier calls let pass was well-formed.
    pub fn pass(&mut self, input: &[u8]) -> Result<Pass, ChunkError> {
        let mut at = 0;
        let mut clean = true;
        while at < input.len() {
            let rest = &input[at..];
            let taken = match self.place {
                Place::Data(left) => {
                    let taken = left.min(rest.len() as u64);
                    self.place = if left == taken { Place::DataEnd } else { Place::Data(left - taken) };
                    taken as usize
                }
                Place::DataEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        self.place = Place::Size;
                        2
                    }
                    [b'\r'] => break,
                    _ => return Err(ChunkError::LineEnd),
                },
                Place::Size => match size_line(rest)? {
                    Line::Plain { length, size } => {
                        self.place = Place::Data(size);
                        length
                    }
                    Line::Last { length } => {
                        self.place = Place::Done;
                        length
                    }
                    Line::Odd => {
                        clean = false;
                        break;
                    }
                    Line::Partial => break,
                },
                Place::Done => break,
            };
            at += taken;
        }
        Ok(Pass { valid: at, done: self.place == Place::Done, clean })
    }
}

fn size_line(rest: &[u8]) -> Result<Line, ChunkError> {
    let (mut digits, mut size) = (0, 0_u64);
    while let Some(value) = rest.get(digits).copied().and_then(hex_digit) {
        if digits == 16 {
            return Err(ChunkError::Size);
        }
        size = size << 4 | u64::from(value);
        digits += 1;
    }
    match &rest[digits..] {
        [] => Ok(Line::Partial),
        _ if digits == 0 => Err(ChunkError::Size),
        [b';', ..] => Ok(Line::Odd),
        [b'\r'] => Ok(Line::Partial),
        [b'\r', b'\n', after @ ..] if size == 0 => last_chunk(digits + 2, after),
        [b'\r', b'\n', ..] => Ok(Line::Plain { length: digits + 2, size }),
        [b'\r', ..] => Err(ChunkError::LineEnd),
        _ => Err(ChunkError::Size),
    }
}

fn last_chunk(line: usize, after: &[u8]) -> Result<Line, ChunkError> {
    match after {
        [] | [b'\r'] => Ok(Line::Partial),
        [b'\r', b'\n', ..] => Ok(Line::Last { length: line + 2 }),
        [b'\r', ..] => Err(ChunkError::LineEnd),
        _ => Ok(Line::Odd),
    }
}
