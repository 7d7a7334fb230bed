//! The body of an answer: what of the bytes that came may go to the client now, and in which framing.
//!
//! The common cases pass bytes as they are: a body of known length, and chunked coding that was checked to
//! say nothing but sizes and data. All else is taken apart and framed anew.

use super::events::Events;
use crate::base::Buf;
use crate::wire::http1::chunked::{Decoder, LAST_CHUNK, Step, Verbatim, write_chunk};
use crate::wire::http1::{ResponseFraming, Version};

/// The body of one answer.
pub struct Body {
    input: Input,
    chunked_out: bool,
    events: Option<Box<Events>>,
}

enum Input {
    Empty,
    Length(u64),
    /// Of known length, but framed anew.
    Counted(u64),
    Verbatim(Verbatim),
    Chunked(Decoder),
    UntilClose,
}

/// What may go to the client now.
pub struct Pass {
    /// The first so many bytes of the buffer.
    pub len: usize,
    /// And then these, where the body is framed anew.
    pub frames: Option<Vec<u8>>,
    /// This is the end of the body.
    pub done: bool,
    /// There are bytes behind the end.
    pub extra: bool,
}

impl Body {
    /// A body framed like this, for a client of this version.
    pub fn new(framing: ResponseFraming, version: Version) -> Self {
        let chunked_out = version == Version::Http11;
        let input = match framing {
            ResponseFraming::None => Input::Empty,
            ResponseFraming::Length(length) => Input::Length(length),
            ResponseFraming::Chunked if chunked_out => Input::Verbatim(Verbatim::new()),
            ResponseFraming::Chunked => Input::Chunked(Decoder::new()),
            ResponseFraming::UntilClose => Input::UntilClose,
        };
        Self { input, chunked_out, events: None }
    }

    /// Reads the body as events on the way. What comes of them has a length of its own, so the body is framed anew.
    pub fn read_events(&mut self, events: Box<Events>) {
        match self.input {
            Input::Verbatim(_) => self.input = Input::Chunked(Decoder::new()),
            Input::Length(length) => self.input = Input::Counted(length),
            _ => {}
        }
        self.events = Some(events);
    }

    /// Bytes still to come, if that is known.
    pub fn bytes_left(&self) -> Option<usize> {
        match self.input {
            Input::Length(left) | Input::Counted(left) => Some(usize::try_from(left).unwrap_or(usize::MAX)),
            Input::Empty | Input::Verbatim(_) | Input::Chunked(_) | Input::UntilClose => None,
        }
    }

    /// Judges what is in `buf`: `lead` bytes that pass in any case, then bytes of the body.
    ///
    /// # Errors
    /// What is wrong with the body, in words for the log.
    pub fn pass(&mut self, buf: &mut Buf, lead: usize) -> Result<Pass, &'static str> {
        let here = buf.len() - lead;
        let whole = |len: usize, done: bool, extra: bool| Pass { len, frames: None, done, extra };
        match &mut self.input {
            Input::Empty => Ok(whole(lead, true, here > 0)),
            Input::Length(left) => {
                let part = usize::try_from(*left).unwrap_or(usize::MAX).min(here);
                *left -= part as u64;
                let done = *left == 0;
                Ok(whole(lead + part, done, done && here > part))
            }
            Input::Verbatim(verbatim) => {
                let pass = verbatim.pass(&buf.filled()[lead..]).map_err(|error| error.message())?;
                let len = lead + pass.valid;
                if pass.clean {
                    return Ok(whole(len, pass.done, pass.done && buf.len() > len));
                }
                self.input = Input::Chunked(verbatim.decoder());
                self.reframe(buf, len)
            }
            Input::Counted(_) | Input::Chunked(_) | Input::UntilClose => self.reframe(buf, lead),
        }
    }

    /// The end of a body that lasts until the connection ends; `None` if it was to end otherwise.
    pub fn finish(&mut self) -> Option<Pass> {
        matches!(self.input, Input::UntilClose).then(|| {
            let frames = self.chunked_out.then(|| LAST_CHUNK.to_vec());
            Pass { len: 0, frames, done: true, extra: false }
        })
    }

    fn reframe(&mut self, buf: &mut Buf, lead: usize) -> Result<Pass, &'static str> {
        let mut frames = Vec::new();
        let mut rest = &buf.filled()[lead..];
        let mut done = false;
        match &mut self.input {
            Input::Chunked(decoder) => loop {
                match decoder.step(rest).map_err(|error| error.message())? {
                    Step::Data(range) => {
                        let end = range.end;
                        emit(&mut frames, &rest[range], self.chunked_out, self.events.as_deref_mut())?;
                        rest = &rest[end..];
                    }
                    Step::NeedMore => {
                        rest = &[];
                        break;
                    }
                    Step::End(used) => {
                        rest = &rest[used..];
                        done = true;
                        break;
                    }
                }
            },
            Input::Counted(left) => {
                let part = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                emit(&mut frames, &rest[..part], self.chunked_out, self.events.as_deref_mut())?;
                *left -= part as u64;
                rest = &rest[part..];
                done = *left == 0;
            }
            _ => {
                emit(&mut frames, rest, self.chunked_out, self.events.as_deref_mut())?;
                rest = &[];
            }
        }
        if done && self.chunked_out {
            frames.extend_from_slice(LAST_CHUNK);
        }
        let extra = !rest.is_empty();
        buf.truncate(lead);
        Ok(Pass { len: lead, frames: (!frames.is_empty()).then_some(frames), done, extra })
    }
}

fn emit(
    frames: &mut Vec<u8>,
    payload: &[u8],
    chunked: bool,
    events: Option<&mut Events>,
) -> Result<(), &'static str> {
    let rewritten;
    let payload = match events {
        Some(events) => {
            rewritten = events.push(payload)?;
            &rewritten[..]
        }
        None => payload,
    };
    if chunked {
        write_chunk(frames, payload);
    } else {
        frames.extend_from_slice(payload);
    }
    Ok(())
}
