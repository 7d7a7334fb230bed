//! Takes the coding off, piece by piece.

use std::ops::Range;

use super::{ChunkError, EXTENSION_BYTES_MAX, TRAILER_BYTES_MAX};

/// A decoder at some place in a chunked body. Give it the bytes as they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoder {
    state: State,
    /// The size being read, then how much of the chunk's data is to come.
    left: u64,
    extension_bytes: u32,
    trailer_bytes: u32,
}

/// What [`Decoder::step`] found in its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// This part of the input is payload. All before its end is done with: go on after it.
    Data(Range<usize>),
    /// All of the input is done with, and the body goes on.
    NeedMore,
    /// The body is over. So many bytes of the input belonged to it.
    End(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before or in a size; so many digits were read.
    Size(u8),
    Extension,
    /// After the CR of a size line.
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the start of a line of the trailer section.
    Trailer,
    TrailerName,
    TrailerValue,
    TrailerLf,
    /// After the CR of the empty line.
    EndLf,
    Done,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder at the start of a body.
    pub fn new() -> Self {
        Self { state: State::Size(0), left: 0, extension_bytes: 0, trailer_bytes: 0 }
    }

    /// Whether the body is over.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether all before this belongs to whole chunks, and the next may begin.
    pub fn is_between_chunks(&self) -> bool {
        self.state == State::Size(0)
    }

    /// Whether the data of a chunk are complete, and the line end after them is to come.
    pub fn is_after_data(&self) -> bool {
        self.state == State::DataCr
    }

    /// How many bytes of the current chunk's data are still to come; 0 outside of data. Useful to
    /// compare with a limit before they come.
    pub fn chunk_left(&self) -> u64 {
        if self.state == State::Data { self.left } else { 0 }
    }

    /// Reads `input`, which follows what earlier calls were done with, up to and with the next payload.
    ///
    /// After the end it answers `End(0)`.
    ///
    /// # Errors
    /// The first byte that does not fit. Do not call it again.
    pub fn step(&mut self, input: &[u8]) -> Result<Step, ChunkError> {
        for (at, &byte) in input.iter().enumerate() {
            match self.state {
                State::Data => {
                    let length = self.left.min((input.len() - at) as u64);
                    self.left -= length;
                    if self.left == 0 {
                        self.state = State::DataCr;
                    }
                    return Ok(Step::Data(at..at + length as usize));
                }
                State::Done => return Ok(Step::End(at)),
                state => self.state = self.after(state, byte)?,
            }
        }
        Ok(if self.is_done() { Step::End(input.len()) } else { Step::NeedMore })
    }

    /// The state after `byte` of framing in `state`.
    fn after(&mut self, state: State, byte: u8) -> Result<State, ChunkError> {
        match (state, byte) {
            (State::Size(1..), b'\r') => Ok(State::SizeLf),
            (State::Size(1..), b';') => self.extension(),
            (State::Size(digits), _) => self.digit(digits, byte),
            (State::Extension, b'\r') => Ok(State::SizeLf),
            (State::Extension, _) if is_text(byte) => self.extension(),
            (State::SizeLf, b'\n') if self.left == 0 => Ok(State::Trailer),
            (State::SizeLf, b'\n') => Ok(State::Data),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size(0)),
            (State::Trailer, b'\r') => Ok(State::EndLf),
            (State::Trailer, _) if is_token(byte) => self.trailer(State::TrailerName),
            (State::TrailerName, b':') => self.trailer(State::TrailerValue),
            (State::TrailerName, _) if is_token(byte) => self.trailer(State::TrailerName),
            (State::TrailerValue, b'\r') => self.trailer(State::TrailerLf),
            (State::TrailerValue, _) if is_text(byte) => self.trailer(State::TrailerValue),
            (State::TrailerLf, b'\n') => self.trailer(State::Trailer),
            (State::EndLf, b'\n') => Ok(State::Done),
            (State::SizeLf | State::DataCr | State::DataLf | State::TrailerLf | State::EndLf, _) => {
                Err(ChunkError::LineEnd)
            }
            (State::Extension | State::Trailer | State::TrailerName | State::TrailerValue, _) => {
                Err(ChunkError::Malformed)
            }
            // Not framing; `step` keeps them to itself.
            (State::Data | State::Done, _) => Ok(state),
        }
    }

    fn digit(&mut self, digits: u8, byte: u8) -> Result<State, ChunkError> {
        let Some(value) = hex_digit(byte).filter(|_| digits < 16) else { return Err(ChunkError::Size) };
        // Between chunks nothing is left, so the first digit starts from 0; sixteen digits fit.
        self.left = self.left << 4 | u64::from(value);
        Ok(State::Size(digits + 1))
    }

    fn extension(&mut self) -> Result<State, ChunkError> {
        self.extension_bytes += 1;
        if self.extension_bytes > EXTENSION_BYTES_MAX {
            return Err(ChunkError::ExtensionsTooLong);
        }
        Ok(State::Extension)
    }

    fn trailer(&mut self, next: State) -> Result<State, ChunkError> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > TRAILER_BYTES_MAX {
            return Err(ChunkError::TrailersTooLong);
        }
        Ok(next)
    }
}

/// The value of a hex digit of either case.
pub(super) fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What a field value or an extension may hold (RFC 9110 section 5.5): no control byte but the tab.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7F)
}
