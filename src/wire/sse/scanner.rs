//! Where events end.

use std::fmt;

/// Finds the ends of events in a stream that comes in pieces. Every byte is looked at once.
///
/// Lines end with LF, CR LF or CR; an empty line ends an event. An event that ends with CR is reported
/// at once; if an LF then follows in the next piece, that LF is reported as a piece of its own.
/// So the reported pieces, one after another, are always the stream itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scanner {
    /// Bytes of the current event that earlier inputs held.
    event_bytes: usize,
    event_bytes_max: usize,
    /// Whether the current line has no bytes yet.
    line_is_empty: bool,
    /// Whether the last byte was a CR, so that an LF would belong to it.
    after_cr: bool,
    /// How much of a byte order mark the stream began with; [`BOM`]'s length once that is settled.
    bom: u8,
}

/// An event is larger than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventTooLarge {
    /// So many bytes at the start of the input complete whole events before the one that is too large.
    pub whole: usize,
}

impl fmt::Display for EventTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event is larger than allowed")
    }
}

impl std::error::Error for EventTooLarge {}

pub(super) const BOM: &[u8] = b"\xEF\xBB\xBF";

impl Scanner {
    /// A scanner at the start of a stream. An event with its comments and the line end of its empty line
    /// may have at most `event_bytes_max` bytes.
    pub fn new(event_bytes_max: usize) -> Self {
        Self { event_bytes: 0, event_bytes_max, line_is_empty: true, after_cr: false, bom: 0 }
    }

    /// Reads all of `input`, which follows the inputs of earlier calls, and tells how many of its bytes
    /// complete whole events. The rest belongs to an event whose end is to come; it is remembered, so do
    /// not give it again.
    ///
    /// # Errors
    /// An event is too large. Do not call it again.
    pub fn scan(&mut self, input: &[u8]) -> Result<usize, EventTooLarge> {
        let mut whole = 0;
        loop {
            match self.next_end(&input[whole..]) {
                Ok(Some(end)) => whole += end,
                Ok(None) => return Ok(whole),
                Err(_) => return Err(EventTooLarge { whole }),
            }
        }
    }

    /// Reads `input` up to the end of the next event, and tells where that is. Give what lies behind it
    /// to the next call. `None`: all was read, and the event goes on.
    ///
    /// # Errors
    /// The event is too large. Do not call it again.
    pub fn next_end(&mut self, input: &[u8]) -> Result<Option<usize>, EventTooLarge> {
        let mut at = 0;
        if self.after_cr && !input.is_empty() {
            self.after_cr = false;
            if input[0] == b'\n' {
                if self.is_between_events() {
                    return Ok(Some(1));
                }
                at = 1;
            }
        }
        if usize::from(self.bom) < BOM.len() {
            at = self.skip_bom(input, at);
        }
        while let Some(offset) = memchr::memchr2(b'\n', b'\r', &input[at..]) {
            let end = at + offset;
            let ends_event = offset == 0 && self.line_is_empty;
            self.line_is_empty = true;
            at = end + 1;
            if input[end] == b'\r' {
                match input.get(at) {
                    Some(b'\n') => at += 1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            if ends_event {
                // The LF of a CR LF at the very end is not counted: it may come too late to be.
                self.check_size(end + 1)?;
                self.event_bytes = 0;
                return Ok(Some(at));
            }
        }
        self.line_is_empty &= at == input.len();
        self.check_size(input.len())?;
        self.event_bytes += input.len();
        Ok(None)
    }

    /// Whether what was read so far ends with a whole event (or nothing was read): here a stream may be
    /// cut without loss, and a comment may be put in.
    pub fn is_between_events(&self) -> bool {
        self.event_bytes == 0 && self.line_is_empty
    }

    fn check_size(&self, more: usize) -> Result<(), EventTooLarge> {
        let fits = self.event_bytes.checked_add(more).is_some_and(|size| size <= self.event_bytes_max);
        if fits { Ok(()) } else { Err(EventTooLarge { whole: 0 }) }
    }

    /// A byte order mark at the start of the stream does not make the first line non-empty.
    fn skip_bom(&mut self, input: &[u8], mut at: usize) -> usize {
        while let Some(&byte) = input.get(at)
            && let Some(&expected) = BOM.get(usize::from(self.bom))
        {
            if byte != expected {
                self.line_is_empty &= self.bom == 0;
                self.bom = BOM.len() as u8;
                break;
            }
            self.bom += 1;
            at += 1;
        }
        at
    }
}
