//! An event stream that is read on its way: whole events pass as they come, changed where they must be.

use super::endpoint_event::Endpoint;
use super::filter::may_be_json;
use crate::base::PAD;
use crate::policy::listing::{self, Filtering, Keep, Kind, Steps};
use crate::wire::json::{DEPTH_CAP, Padded};
use crate::wire::jsonrpc::{Envelope, JsonLimits, Message, extract_envelope, for_each_envelope};
use crate::wire::mcp::{MethodId, find_method};
use crate::wire::sse::{EndpointWatch, Event, Scanner, without_bom, write_with_data};

/// Reads the events of one stream.
pub struct Events {
    scanner: Scanner,
    event_bytes_max: usize,
    /// An event whose end is to come.
    pub(super) partial: Vec<u8>,
    /// No event has ended yet: readers skip a byte order mark here, and only here.
    at_start: bool,
    endpoint: Option<Endpoint>,
    keep: Option<Box<dyn Keep>>,
    /// An event that takes long to filter.
    work: Option<Box<Work>>,
    /// What has come behind it.
    waiting: Vec<u8>,
    /// Looks for an endpoint in an event that passes as it comes, being too long to be an `endpoint` event.
    long: Option<EndpointWatch>,
}

/// Bytes of an `endpoint` event: it holds a URI.
pub(super) const ENDPOINT_BYTES_MAX: usize = 16 << 10;

const TOO_LARGE: &str =
    "an event must be read, and is larger than limits.sse_event_bytes_max and limits.list_bytes_max";
const UNCLEAR_ENDPOINT: &str = "an event names an endpoint for messages in a way that readers disagree on";
const LONG_ENDPOINT: &str = "a long event names an endpoint for messages";

impl Events {
    /// For a stream whose `endpoint` events are rewritten, or whose messages are filtered, or both. An event that may have
    /// to be filtered may have at most so many bytes.
    pub fn new(event_bytes_max: usize, endpoint: Option<Endpoint>, keep: Option<Box<dyn Keep>>) -> Self {
        let event_bytes_max = if keep.is_some() { event_bytes_max } else { usize::MAX };
        Self {
            scanner: Scanner::new(event_bytes_max),
            event_bytes_max,
            partial: Vec::new(),
            at_start: true,
            endpoint,
            keep,
            work: None,
            waiting: Vec::new(),
            long: None,
        }
    }

    /// Takes bytes of the stream and gives what may be passed on. What comes while it [is busy](Self::is_busy) waits.
    ///
    /// # Errors
    /// An event that is too large, an `endpoint` that the configuration does not allow, or a message that cannot
    /// be filtered.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut out = Vec::with_capacity(bytes.len());
        if self.is_busy() {
            self.waiting.extend_from_slice(bytes);
        } else {
            self.take(&mut out, bytes)?;
        }
        Ok(out)
    }

    /// Whether an event takes long to filter: [`Events::go_on`] goes on with it.
    pub fn is_busy(&self) -> bool {
        self.work.is_some()
    }

    /// Bytes that wait for the end of their event, or for work on an event.
    pub fn held_bytes(&self) -> usize {
        let work = self.work.as_ref().map_or(0, |work| work.all.capacity());
        self.partial.capacity() + self.waiting.capacity() + work
    }

    /// Whether an event was begun and not ended: at the end of the stream no client reads it.
    pub fn is_within_event(&self) -> bool {
        let begun = self.partial.trim_ascii();
        self.long.is_some() || !begun.is_empty() && !begun.starts_with(b":")
    }

    /// Goes on for a millisecond or less, and gives what may be passed on now.
    ///
    /// # Errors
    /// As [`Events::push`].
    pub fn go_on(&mut self) -> Result<Vec<u8>, &'static str> {
        let mut out = Vec::new();
        if let (Some(work), Some(keep)) = (self.work.take(), &self.keep) {
            self.work = work.go_on(&mut out, &**keep)?;
        }
        if !self.is_busy() {
            let waiting = std::mem::take(&mut self.waiting);
            self.take(&mut out, &waiting)?;
        }
        Ok(out)
    }

    fn take(&mut self, out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), &'static str> {
        let mut rest = bytes;
        while let Some(end) = self.scanner.next_end(rest).map_err(|_| TOO_LARGE)? {
            let (here, behind) = rest.split_at(end);
            rest = behind;
            if self.long.is_some() {
                self.pass_long(out, here)?;
                self.long = None;
                continue;
            }
            self.partial.extend_from_slice(here);
            let event = std::mem::take(&mut self.partial);
            self.pass(out, event)?;
            if self.is_busy() {
                self.waiting.extend_from_slice(rest);
                return Ok(());
            }
        }
        if self.long.is_some() {
            return self.pass_long(out, rest);
        }
        self.partial.extend_from_slice(rest);
        if is_comments(&self.partial) {
            // They keep connections alive, so they wait for no event (WHATWG HTML section 9.2.6), and are part of none.
            out.append(&mut self.partial);
            (self.scanner, self.at_start) = (Scanner::new(self.event_bytes_max), false);
        } else if self.keep.is_none() && self.partial.len() > ENDPOINT_BYTES_MAX {
            let begun = std::mem::take(&mut self.partial);
            (self.long, self.at_start) = (Some(EndpointWatch::new()), false);
            return self.pass_long(out, &begun);
        }
        Ok(())
    }

    /// Passes a part of a long event.
    ///
    /// # Errors
    /// It is an `endpoint` event after all. No reader takes it for one yet, as its line is not sent to its end.
    fn pass_long(&mut self, out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), &'static str> {
        if self.long.as_mut().is_some_and(|watch| watch.read(bytes)) {
            return Err(LONG_ENDPOINT);
        }
        out.extend_from_slice(bytes);
        Ok(())
    }

    fn pass(&mut self, out: &mut Vec<u8>, bytes: Vec<u8>) -> Result<(), &'static str> {
        let at_start = std::mem::replace(&mut self.at_start, false);
        let start = if at_start { bytes.len() - without_bom(&bytes).len() } else { 0 };
        let event = Event::parse(&bytes[start..]);
        match (&self.endpoint, &self.keep) {
            (Some(_), _) if event.is_endpoint() && bytes.len() > ENDPOINT_BYTES_MAX => Err(LONG_ENDPOINT),
            (Some(endpoint), _) if event.is_endpoint() => endpoint.rewrite(out, &event),
            (Some(_), _) if EndpointWatch::new().read(&bytes) => Err(UNCLEAR_ENDPOINT),
            (_, Some(keep)) if event.data_lines > 0 => {
                out.extend_from_slice(&bytes[..start]);
                let work = Work::new(bytes, start, &**keep);
                self.work = work.go_on(out, &**keep)?;
                Ok(())
            }
            _ => {
                out.extend_from_slice(&bytes);
                Ok(())
            }
        }
    }
}

/// Whether this is nothing but whole lines of comments.
fn is_comments(bytes: &[u8]) -> bool {
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    bytes.last().is_some_and(is_end)
        && bytes.split(is_end).all(|line| line.is_empty() || line.starts_with(b":"))
        && bytes.starts_with(b":")
}

/// An event whose lists are filtered, in parts.
struct Work {
    /// The event, behind what a reader skips, with padding.
    all: Vec<u8>,
    end: usize,
    /// Its data, where they are of several lines, with padding; and their length.
    joined: Option<(Vec<u8>, usize)>,
    filtering: Filtering,
    begun: bool,
}

impl Work {
    /// The event from `start` of `bytes`.
    fn new(mut bytes: Vec<u8>, start: usize, keep: &dyn Keep) -> Box<Self> {
        bytes.drain(..start);
        let end = bytes.len();
        let event = Event::parse(&bytes);
        let joined = event.data_span().is_none().then(|| {
            let mut joined = Vec::new();
            let length = event.data(&mut joined).map_or(0, <[u8]>::len);
            joined.resize(length + PAD, 0);
            (joined, length)
        });
        bytes.resize(end + PAD, 0);
        Box::new(Self { all: bytes, end, joined, filtering: Filtering::new(keep), begun: false })
    }

    /// Goes on for a millisecond or less, and appends the event once it is filtered. What is left of the work.
    fn go_on(
        mut self: Box<Self>,
        out: &mut Vec<u8>,
        keep: &dyn Keep,
    ) -> Result<Option<Box<Self>>, &'static str> {
        const TOO_LARGE: &str = "an event is too large to be read";
        let bytes = &self.all[..self.end];
        let event = Event::parse(bytes);
        let span = event.data_span();
        let data = match (&span, &self.joined) {
            (Some(span), _) => Padded::new(&self.all[span.start..], span.len()),
            (None, Some((joined, length))) => Padded::new(joined, *length),
            (None, None) => None,
        };
        let data = data.ok_or(TOO_LARGE)?;
        let is_blank = data.body().trim_ascii().is_empty();
        if !self.begun && !is_blank && tells_of_hidden(data, keep)? {
            return Ok(None);
        }
        self.begun = true;
        // Of other types, which clients pass over, what could be a message is filtered too: some take any type.
        let is_message = matches!(event.kind, None | Some(b"" | b"message"));
        if !is_blank && (is_message || may_be_json(data.body())) {
            let done = self.filtering.go_on(data, keep).map_err(listing::ListFault::message)?;
            if !done {
                return Ok(Some(self));
            }
        }
        let edits = self.filtering.edits();
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
        Ok(None)
    }
}

/// Whether a message tells that a resource changed which its reader may not see.
///
/// # Errors
/// It stands in a batch with others, or cannot be read.
fn tells_of_hidden(data: Padded<'_>, keep: &dyn Keep) -> Result<bool, &'static str> {
    const UNREADABLE: &str = "a notification cannot be read in one way only";
    let body = data.body();
    // Its method has no other spelling without a backslash.
    let may =
        memchr::memmem::find(body, b"resources/updated").is_some() || memchr::memchr(b'\\', body).is_some();
    if !may || !may_be_json(body) {
        return Ok(false);
    }
    let steps = Steps::new(keep.bounds().steps);
    let hides = |envelope: &Envelope<'_>| {
        let known = envelope.method().and_then(find_method);
        if known.is_none_or(|known| known.id != MethodId::NotificationsResourcesUpdated) {
            return false;
        }
        let mut uri = Vec::new();
        if let Some(text) = envelope.uri() {
            text.decode(&mut uri);
        }
        let uri = std::str::from_utf8(&uri).unwrap_or_default();
        !keep.keeps(Kind::Resource, uri, &steps) || steps.is_over()
    };
    let limits = JsonLimits { depth_max: DEPTH_CAP, batch_max: u32::MAX, id_bytes_max: u32::MAX };
    let tells = ["resources/updated", "resources\\/updated"]
        .iter()
        .any(|text| memchr::memmem::find(body, text.as_bytes()).is_some());
    match extract_envelope(data, &limits) {
        Ok(Message::Single(envelope)) => Ok(hides(&envelope)),
        Ok(Message::Batch(_)) => {
            let mut hidden = false;
            for_each_envelope(data, &limits, |envelope| hidden |= hides(&envelope))
                .map_err(|_| UNREADABLE)?;
            if hidden { Err("a batch tells of a resource that the caller may not see") } else { Ok(false) }
        }
        // What is no message of ours to read is no notification, unless it looks like one.
        Err(_) if tells => Err(UNREADABLE),
        Err(_) => Ok(false),
    }
}
