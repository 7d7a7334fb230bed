//! An event stream that is read on its way: whole events pass as they come, changed where they must be.

use super::endpoint_event::Endpoint;
use super::filter::may_be_json;
use crate::base::PAD;
use crate::policy::listing::{self, Edits, Keep};
use crate::wire::json::Padded;
use crate::wire::sse::{Event, Scanner, without_bom, write_with_data};

/// Reads the events of one stream.
pub struct Events {
    scanner: Scanner,
    /// An event whose end is to come.
    partial: Vec<u8>,
    /// No event has ended yet: readers skip a byte order mark here, and only here.
    at_start: bool,
    endpoint: Option<Endpoint>,
    keep: Option<Box<dyn Keep>>,
}

impl Events {
    /// For a stream whose `endpoint` events are rewritten, or whose messages are filtered, or both. An event may
    /// have at most so many bytes.
    pub fn new(event_bytes_max: usize, endpoint: Option<Endpoint>, keep: Option<Box<dyn Keep>>) -> Self {
        let scanner = Scanner::new(event_bytes_max);
        Self { scanner, partial: Vec::new(), at_start: true, endpoint, keep }
    }

    /// Takes bytes of the stream and gives what may be passed on.
    ///
    /// # Errors
    /// An event that is too large, an `endpoint` that the configuration does not allow, or a message that cannot
    /// be filtered.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut out = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some(end) =
            self.scanner.next_end(rest).map_err(|_| "an event is larger than limits.sse_event_bytes_max")?
        {
            self.partial.extend_from_slice(&rest[..end]);
            rest = &rest[end..];
            let event = std::mem::take(&mut self.partial);
            self.pass(&mut out, event)?;
        }
        self.partial.extend_from_slice(rest);
        Ok(out)
    }

    fn pass(&mut self, out: &mut Vec<u8>, mut bytes: Vec<u8>) -> Result<(), &'static str> {
        let at_start = std::mem::replace(&mut self.at_start, false);
        let start = if at_start { bytes.len() - without_bom(&bytes).len() } else { 0 };
        let event = Event::parse(&bytes[start..]);
        match (&self.endpoint, &self.keep) {
            (Some(endpoint), _) if event.is_endpoint() => endpoint.rewrite(out, &event),
            (_, Some(keep)) if event.data_lines > 0 => {
                let end = bytes.len();
                bytes.resize(end + PAD, 0);
                out.extend_from_slice(&bytes[..start]);
                filter(out, &bytes[start..], end - start, &**keep)
            }
            _ => {
                out.extend_from_slice(&bytes);
                Ok(())
            }
        }
    }
}

/// Appends the event `all[..end]` with its lists filtered. [`PAD`] bytes follow it.
fn filter(out: &mut Vec<u8>, all: &[u8], end: usize, keep: &dyn Keep) -> Result<(), &'static str> {
    const TOO_LARGE: &str = "an event is too large to be read";
    let bytes = &all[..end];
    let event = Event::parse(bytes);
    let mut joined = Vec::new();
    let span = event.data_span();
    let data = match &span {
        Some(span) => Padded::new(&all[span.start..], span.len()),
        None => {
            let length = event.data(&mut joined).map_or(0, <[u8]>::len);
            joined.resize(length + PAD, 0);
            Padded::new(&joined, length)
        }
    };
    let data = data.ok_or(TOO_LARGE)?;
    let mut edits = Edits::default();
    // Of other types, which clients pass over, what could be a message is filtered too: some take any type.
    let is_message = matches!(event.kind, None | Some(b"" | b"message"));
    let is_blank = data.body().trim_ascii().is_empty();
    if !is_blank && (is_message || may_be_json(data.body())) {
        listing::filter(data, keep, &mut edits).map_err(listing::ListFault::message)?;
    }
    match span {
        _ if edits.is_empty() => out.extend_from_slice(bytes),
        Some(span) => {
            out.extend_from_slice(&bytes[..span.start]);
            edits.apply(data.body(), out);
            out.extend_from_slice(&bytes[span.end..]);
        }
        None => {
            let mut changed = Vec::new();
            edits.apply(data.body(), &mut changed);
            write_with_data(out, bytes, &changed);
        }
    }
    Ok(())
}
