//! Reading HTTP/1.1 responses, strictly, from whatever pieces the socket gives.
//!
//! A judge must not be lenient: bare line feeds, two framings at once or a broken chunk are faults of
//! the server under test, not something to be repaired (RFC 9112 sections 2.2, 6.3, 7.1).

mod head;

use std::sync::LazyLock;

use memchr::memmem::Finder;

use head::parse_head;
pub use head::{Head, Media};

/// The next thing found in the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The input is used up and the response goes on.
    NeedMore,
    /// The head is complete; see [`ResponseReader::head`].
    Head,
    /// Some bytes of the body, decoded. A body of known length that lies in the input as a whole
    /// comes as one piece.
    Body(&'a [u8]),
    /// The response is complete. The reader is ready for the next one.
    End,
}

/// How a response broke the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HttpFault {
    /// The status line is not one.
    StatusLine,
    /// A header line is malformed, or ends in a bare line feed.
    HeaderLine,
    /// `Content-Length` and `Transfer-Encoding` are missing sense: both, twice, or not a number.
    Framing,
    /// A chunk header, chunk end or trailer is malformed.
    Chunk,
    /// The head is longer than [`HEAD_BYTES_MAX`].
    HeadTooLong,
}

impl HttpFault {
    /// A short name for reports.
    pub fn label(self) -> &'static str {
        match self {
            Self::StatusLine => "status line",
            Self::HeaderLine => "header line",
            Self::Framing => "body framing",
            Self::Chunk => "chunk",
            Self::HeadTooLong => "head too long",
        }
    }
}

/// The longest response head taken, in bytes.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;

/// An incremental reader of one response after another.
#[derive(Debug, Default)]
pub struct ResponseReader {
    state: State,
    head: Head,
    /// A head that came in parts; empty in the usual case.
    partial: Vec<u8>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    Sized(u64),
    Chunk(ChunkState),
    UntilClose,
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChunkState {
    Size { value: u64, digits: u8 },
    Extension { value: u64 },
    SizeLf { value: u64 },
    Data(u64),
    DataCr,
    DataLf,
    TrailerStart,
    TrailerLine,
    TrailerLf,
    LastLf,
}

impl ResponseReader {
    /// The head last announced by [`Piece::Head`].
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Whether no byte of the current response has been seen.
    pub fn is_fresh(&self) -> bool {
        self.state == State::Head && self.partial.is_empty()
    }

    /// Forgets a response half read.
    pub fn reset(&mut self) {
        self.state = State::Head;
        self.partial.clear();
    }

    /// Whether the peer's closing now completes the response (a body without any framing).
    pub fn ends_by_close(&self) -> bool {
        self.state == State::UntilClose
    }

    /// Takes the next piece off the front of `input`.
    ///
    /// # Errors
    /// The first rule broken; the reader must be [`reset`](Self::reset) and the connection closed.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Piece<'a>, HttpFault> {
        match self.state {
            State::Head => self.take_head(input),
            State::Sized(left) => Ok(self.take_sized(left, input)),
            State::Chunk(at) => self.take_chunk(at, input),
            State::UntilClose if input.is_empty() => Ok(Piece::NeedMore),
            State::UntilClose => Ok(Piece::Body(std::mem::take(input))),
            State::Ended => {
                self.state = State::Head;
                Ok(Piece::End)
            }
        }
    }

    fn take_head<'a>(&mut self, input: &mut &'a [u8]) -> Result<Piece<'a>, HttpFault> {
        if self.partial.is_empty() {
            let Some(end) = head_end(input) else {
                self.partial.extend_from_slice(std::mem::take(input));
                return check_head_growth(&self.partial);
            };
            let (head, rest) = input.split_at(end);
            *input = rest;
            return self.open_body(head);
        }
        let old = self.partial.len();
        self.partial.extend_from_slice(input);
        // The blank line may have begun in the older part.
        let from = old.saturating_sub(3);
        let Some(end) = head_end(&self.partial[from..]).map(|at| at + from) else {
            *input = &[];
            return check_head_growth(&self.partial);
        };
        *input = &input[end - old..];
        let mut whole = std::mem::take(&mut self.partial);
        let outcome = self.open_body(&whole[..end]);
        whole.clear();
        self.partial = whole;
        outcome
    }

    /// Reads a whole head and decides how its body is framed (RFC 9112 section 6.3).
    fn open_body<'a>(&mut self, head: &[u8]) -> Result<Piece<'a>, HttpFault> {
        parse_head(head, &mut self.head)?;
        let Head { status, length, chunked, .. } = self.head;
        if (100..200).contains(&status) {
            return Ok(Piece::NeedMore); // an interim response; the final one follows
        }
        self.state = match (chunked, length) {
            _ if status == 204 || status == 304 => State::Ended,
            (true, None) => State::Chunk(ChunkState::Size { value: 0, digits: 0 }),
            (true, Some(_)) => return Err(HttpFault::Framing),
            (false, Some(0)) => State::Ended,
            (false, Some(length)) => State::Sized(length),
            (false, None) => {
                self.head.keep_alive = false;
                State::UntilClose
            }
        };
        Ok(Piece::Head)
    }

    fn take_sized<'a>(&mut self, left: u64, input: &mut &'a [u8]) -> Piece<'a> {
        if input.is_empty() {
            return Piece::NeedMore;
        }
        let taken = (input.len() as u64).min(left);
        let (body, rest) = input.split_at(taken as usize);
        *input = rest;
        self.state = if taken == left { State::Ended } else { State::Sized(left - taken) };
        Piece::Body(body)
    }

    fn take_chunk<'a>(&mut self, mut at: ChunkState, input: &mut &'a [u8]) -> Result<Piece<'a>, HttpFault> {
        loop {
            if let ChunkState::Data(left) = at {
                if input.is_empty() {
                    self.state = State::Chunk(at);
                    return Ok(Piece::NeedMore);
                }
                let taken = (input.len() as u64).min(left);
                let (body, rest) = input.split_at(taken as usize);
                *input = rest;
                let next = if taken == left { ChunkState::DataCr } else { ChunkState::Data(left - taken) };
                self.state = State::Chunk(next);
                return Ok(Piece::Body(body));
            }
            let Some((&byte, rest)) = input.split_first() else {
                self.state = State::Chunk(at);
                return Ok(Piece::NeedMore);
            };
            *input = rest;
            if at == ChunkState::LastLf {
                self.state = State::Head;
                return if byte == b'\n' { Ok(Piece::End) } else { Err(HttpFault::Chunk) };
            }
            at = at.step(byte).ok_or(HttpFault::Chunk)?;
        }
    }
}

impl ChunkState {
    /// The state after one byte that is not chunk data; `None` when the byte may not stand there.
    fn step(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (Self::Size { value, digits }, _) if byte.is_ascii_hexdigit() && digits < 15 => {
                let digit = u64::from((byte as char).to_digit(16)?);
                Some(Self::Size { value: value << 4 | digit, digits: digits + 1 })
            }
            (Self::Size { value, digits: 1.. }, b'\r') => Some(Self::SizeLf { value }),
            (Self::Size { value, digits: 1.. }, b';') => Some(Self::Extension { value }),
            (Self::Extension { value }, b'\r') => Some(Self::SizeLf { value }),
            (Self::Extension { .. }, b'\t' | 0x20..=0x7e | 0x80..) => Some(self),
            (Self::SizeLf { value: 0 }, b'\n') => Some(Self::TrailerStart),
            (Self::SizeLf { value }, b'\n') => Some(Self::Data(value)),
            (Self::DataCr, b'\r') => Some(Self::DataLf),
            (Self::DataLf, b'\n') => Some(Self::Size { value: 0, digits: 0 }),
            (Self::TrailerStart, b'\r') => Some(Self::LastLf),
            (Self::TrailerStart | Self::TrailerLine, b'\t' | 0x20..=0x7e | 0x80..) => Some(Self::TrailerLine),
            (Self::TrailerLine, b'\r') => Some(Self::TrailerLf),
            (Self::TrailerLf, b'\n') => Some(Self::TrailerStart),
            _ => None,
        }
    }
}

/// Built once: preparing a search costs more than searching a head.
static BLANK_LINE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\r\n\r\n"));

fn head_end(bytes: &[u8]) -> Option<usize> {
    BLANK_LINE.find(bytes).map(|at| at + 4)
}

fn check_head_growth<'a>(partial: &[u8]) -> Result<Piece<'a>, HttpFault> {
    if partial.len() > HEAD_BYTES_MAX { Err(HttpFault::HeadTooLong) } else { Ok(Piece::NeedMore) }
}

#[cfg(test)]
mod tests;
