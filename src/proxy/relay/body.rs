//! The body of an answer: what of the bytes that came may go to the client now, and in which framing.
//!
//! The common cases pass bytes as they are: a body of known length, and chunked coding that was checked to
//! say nothing but sizes and data. All else is taken apart and framed anew.

use super::events::Events;
use super::last::Last;
use crate::base::Buf;
use crate::wire::http1::chunked::{Decoder, LAST_CHUNK, Step, Verbatim, write_chunk};
use crate::wire::http1::{ResponseFraming, Version};

/// The body of one answer.
pub struct Body {
    input: Input,
    chunked_out: bool,
    events: Option<Box<Events>>,
    last: Last,
    /// All of it has come, and whether there are bytes behind the end, while events are still being read.
    ended: Option<bool>,
}

/// What is wrong with a stream whose last event has no end: no client reads it.
pub const WITHIN_EVENT: &str = "the stream ended within an event, or is no stream of events";

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
    /// There is more work in what has come: [`Body::go_on`] does it, and nothing more is to be read until then.
    pub again: bool,
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
        Self { input, chunked_out, events: None, ended: None, last: Last::new(chunked_out) }
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

    /// Keeps the raw id of the request.
    pub fn keep_id(&mut self, id: Option<&[u8]>) {
        self.last.keep_id(id);
    }

    /// The raw id of the request, if it was kept.
    pub fn id(&self) -> Option<&[u8]> {
        self.last.id()
    }

    /// Notes what is sent of an event stream: bytes as they are, then bytes framed anew.
    pub fn note(&mut self, bytes: &[u8], frames: Option<&[u8]>) {
        self.last.note(bytes);
        self.last.note(frames.unwrap_or_default());
    }

    /// Whether the stream stands between two events and two chunks, so that another event may follow, and its client will not
    /// resume it.
    pub fn may_end(&self, modern: bool) -> bool {
        let between = match &self.input {
            Input::Verbatim(verbatim) => verbatim.is_between_chunks(),
            Input::Chunked(_) | Input::UntilClose | Input::Counted(_) => true,
            Input::Empty | Input::Length(_) => false,
        };
        between && self.last.may_end(modern)
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
        let whole =
            |len: usize, done: bool, extra: bool| Pass { len, frames: None, done, extra, again: false };
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
            Pass { len: 0, frames, done: true, extra: false, again: false }
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
        let extra = !rest.is_empty();
        if done {
            self.ended = Some(extra);
        }
        buf.truncate(lead);
        self.framed(frames, lead)
    }

    /// Goes on with what has come: see [`Pass::again`].
    ///
    /// # Errors
    /// As [`Body::pass`].
    pub fn go_on(&mut self) -> Result<Pass, &'static str> {
        let mut frames = Vec::new();
        if let Some(events) = &mut self.events {
            let payload = events.go_on()?;
            frame(&mut frames, &payload, self.chunked_out);
        }
        self.framed(frames, 0)
    }

    /// What passes of a body that is framed anew, and its end if it has come and was read.
    ///
    /// # Errors
    /// The end came within an event.
    fn framed(&self, mut frames: Vec<u8>, len: usize) -> Result<Pass, &'static str> {
        let again = self.events.as_ref().is_some_and(|events| events.is_busy());
        let done = self.ended.is_some() && !again;
        if done && self.is_within_event() {
            return Err(WITHIN_EVENT);
        }
        if done && self.chunked_out {
            frames.extend_from_slice(LAST_CHUNK);
        }
        let extra = done && self.ended == Some(true);
        Ok(Pass { len, frames: (!frames.is_empty()).then_some(frames), done, extra, again })
    }

    /// Bytes of events that are held.
    pub fn held_bytes(&self) -> Option<usize> {
        self.events.as_ref().map(|events| events.held_bytes())
    }

    /// Whether events are read, and one was begun and not ended.
    pub fn is_within_event(&self) -> bool {
        self.events.as_ref().is_some_and(|events| events.is_within_event())
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
    frame(frames, payload, chunked);
    Ok(())
}

fn frame(frames: &mut Vec<u8>, payload: &[u8], chunked: bool) {
    if chunked {
        write_chunk(frames, payload);
    } else {
        frames.extend_from_slice(payload);
    }
}
