//! The pass over a body that finds the governed fields.
//!
//! Broken rules of JSON-RPC are remembered, not returned at once: the scan goes on to the end, so
//! that a body which is not JSON is told so first, and so that an `id` that comes late can be echoed.

use super::fault::{Fault, FaultKind};
use super::field::{FIELDS, Field, Holds, Key, Level, classify};
use super::{BatchFacts, Envelope, JsonLimits, Kind, Message, Parts};
use crate::wire::json::{JsonError, Mark, NO_MARKS, Padded, Scan, Span, Unit, Units, fastest, mark_portable};

/// Checks a whole body and finds its governed fields, in one pass and without allocating.
///
/// # Errors
/// The first rule that is broken; a body that is not JSON is always [`FaultKind::Syntax`],
/// [`FaultKind::Utf8`] or [`FaultKind::Depth`], whatever else is wrong with it.
pub fn extract_envelope<'a>(body: Padded<'a>, limits: &JsonLimits) -> Result<Message<'a>, Fault<'a>> {
    extract(body, limits, fastest(), |_| {})
}

/// [`extract_envelope`] as CPUs without AVX2 run it: the twin that tests compare with.
///
/// # Errors
/// As [`extract_envelope`].
pub fn extract_envelope_portable<'a>(
    body: Padded<'a>,
    limits: &JsonLimits,
) -> Result<Message<'a>, Fault<'a>> {
    extract(body, limits, mark_portable, |_| {})
}

/// Visits the messages of a batch in order; a single message is visited as a batch of one.
///
/// # Errors
/// As [`extract_envelope`]. Messages before the faulty one have been visited by then, so the effects
/// of `visit` count only if the result is `Ok`.
pub fn for_each_envelope<'a>(
    body: Padded<'a>,
    limits: &JsonLimits,
    visit: impl FnMut(Envelope<'a>),
) -> Result<(), Fault<'a>> {
    extract(body, limits, fastest(), visit).map(|_| ())
}

fn extract<'a>(
    body: Padded<'a>,
    limits: &JsonLimits,
    mark: Mark,
    mut visit: impl FnMut(Envelope<'a>),
) -> Result<Message<'a>, Fault<'a>> {
    let mut marks = NO_MARKS;
    let mut scan = Scan::new(body, limits.depth_max, mark, &mut marks);
    scan.spaces();
    let is_batch = scan.byte() == b'[';
    let mut batch = BatchState::default();
    if is_batch {
        scan.check_depth(1).map_err(Fault::of)?;
        scan.step();
        scan.spaces();
        if scan.byte() == b']' {
            scan.step();
            scan.finish().map_err(Fault::of)?;
            return Err(Fault::of(FaultKind::BatchEmpty));
        }
    }
    loop {
        let mut found = Found::at(scan.at());
        if scan.byte() == b'{' {
            found.message(&mut scan, is_batch.into()).map_err(Fault::of)?;
        } else {
            scan.value(is_batch.into()).map_err(Fault::of)?;
            found.fault(FaultKind::NotObject);
        }
        found.parts.whole.end = scan.at() as u32;
        if !is_batch {
            scan.finish().map_err(Fault::of)?;
            let envelope = found.judge(body.body(), limits)?;
            visit(envelope);
            return Ok(Message::Single(envelope));
        }
        batch.add(found.judge(body.body(), limits), limits, &mut visit);
        scan.spaces();
        let next = scan.byte();
        scan.step();
        match next {
            b',' => scan.spaces(),
            b']' => break,
            _ => return Err(Fault::of(FaultKind::Syntax)),
        }
    }
    scan.finish().map_err(Fault::of)?;
    batch.fault.map_or(Ok(Message::Batch(batch.facts)), |kind| Err(Fault::of(kind)))
}

/// A batch as far as it was read.
#[derive(Default)]
struct BatchState {
    facts: BatchFacts,
    fault: Option<FaultKind>,
}

impl BatchState {
    fn add<'a>(
        &mut self,
        element: Result<Envelope<'a>, Fault<'a>>,
        limits: &JsonLimits,
        visit: &mut impl FnMut(Envelope<'a>),
    ) {
        self.facts.count += 1;
        if self.facts.count > limits.batch_max {
            self.fault.get_or_insert(FaultKind::BatchTooLong);
        }
        match element {
            Err(fault) => {
                self.fault.get_or_insert(fault.kind);
            }
            Ok(envelope) if self.fault.is_none() => {
                match envelope.kind() {
                    Kind::Request => self.facts.requests += 1,
                    Kind::Notification => self.facts.notifications += 1,
                    Kind::Response => self.facts.responses += 1,
                }
                self.facts.has_initialize |= envelope.method().is_some_and(|name| name.eq(b"initialize"));
                self.facts.has_meta_version |= envelope.meta_version().is_some();
                visit(envelope);
            }
            Ok(_) => {}
        }
    }
}

/// What was found of one message.
struct Found {
    parts: Parts,
    /// Governed keys that occurred, whatever they held.
    seen: u32,
    /// The first broken rule.
    fault: Option<FaultKind>,
    /// The message's own keys are ambiguous, so no `id` is echoed.
    id_in_doubt: bool,
}

impl Found {
    #[inline(always)]
    fn at(start: usize) -> Self {
        let whole = Span { start: start as u32, end: 0 };
        let parts = Parts {
            kind: Kind::Notification,
            whole,
            present: 0,
            escaped: 0,
            spans: [Span::default(); FIELDS],
        };
        Self { parts, seen: 0, fault: None, id_in_doubt: false }
    }

    /// Moves over the message, from its opening brace; `depth` containers are open around it.
    ///
    /// One loop serves the message and the governed objects in it (`level` says which is innermost),
    /// so that the scanner's code is there once.
    #[inline(always)]
    fn message(&mut self, scan: &mut Scan<'_, '_>, depth: u32) -> Result<(), JsonError> {
        let mut level = Level::Message;
        scan.check_depth(depth + level.depth())?;
        scan.step();
        scan.spaces();
        let mut empty = scan.byte() == b'}';
        loop {
            if !empty {
                let key_start = scan.at() + 1;
                let (key_end, key_escaped) = scan.key()?;
                let field = self.key(level, scan.bytes(key_start, key_end), key_escaped);
                let start = scan.at();
                let first = scan.byte();
                let mut escaped = false;
                match first {
                    b'"' => escaped = scan.string()?,
                    b'{' => match field.and_then(Level::opened_by) {
                        Some((inner, field)) => {
                            level = inner;
                            scan.check_depth(depth + level.depth())?;
                            self.parts.spans[field as usize].start = start as u32;
                            scan.step();
                            scan.spaces();
                            empty = scan.byte() == b'}';
                            continue;
                        }
                        None => scan.container(depth + level.depth())?,
                    },
                    b'[' => scan.container(depth + level.depth())?,
                    _ => scan.plain_scalar()?,
                }
                if let Some(field) = field {
                    self.value(field, scan.bytes(start, scan.at()), start, escaped);
                }
            }
            empty = false;
            loop {
                scan.spaces();
                let next = scan.byte();
                scan.step();
                match next {
                    b',' => {
                        scan.spaces();
                        break;
                    }
                    b'}' => match level.closes() {
                        None => return scan.check(),
                        Some((field, outer)) => {
                            self.parts.spans[field as usize].end = scan.at() as u32;
                            self.parts.present |= field.bit();
                            level = outer;
                        }
                    },
                    _ => return Err(JsonError::Syntax),
                }
            }
        }
    }

    /// Takes note of a key. Returns its field if its value is of interest.
    #[inline(always)]
    fn key(&mut self, level: Level, raw: &[u8], escaped: bool) -> Option<Field> {
        let kind = match classify(level, raw, escaped) {
            Key::Other => return None,
            Key::Governed(field) if self.seen & field.bit() == 0 => {
                self.seen |= field.bit();
                return Some(field);
            }
            Key::Governed(_) => FaultKind::KeyTwice,
            Key::Variant => FaultKind::KeyVariant,
        };
        self.fault(kind);
        self.id_in_doubt |= level == Level::Message;
        None
    }

    /// Takes note of the value of a governed key: `token`, which starts at `start`.
    #[inline(always)]
    fn value(&mut self, field: Field, token: &[u8], start: usize, escaped: bool) {
        let first = token[0];
        if first == b'n' && field.may_be_null() {
            return;
        }
        let span = Span { start: start as u32, end: (start + token.len()) as u32 };
        let inside = Span { start: span.start + 1, end: span.end - 1 };
        let is_string = first == b'"';
        let kept = match field.holds() {
            Holds::Anything => Some(span),
            Holds::Text if is_string => Some(inside),
            Holds::TextOrIgnored if is_string => Some(inside),
            Holds::TextOrIgnored => return,
            Holds::Token if is_string || is_integer(token) => Some(span),
            Holds::Object if first == b'{' => Some(span),
            Holds::Text | Holds::Token | Holds::Object => None,
        };
        let Some(kept) = kept else {
            return self.fault(field.wrong_type());
        };
        if escaped {
            if Units::new(&token[1..token.len() - 1]).any(|unit| unit == Unit::LoneSurrogate) {
                return self.fault(FaultKind::LoneSurrogate);
            }
            self.parts.escaped |= field.bit();
        }
        self.parts.spans[field as usize] = kept;
        self.parts.present |= field.bit();
    }

    #[cold]
    fn fault(&mut self, kind: FaultKind) {
        self.fault.get_or_insert(kind);
    }

    /// The message as a whole, once all of it was read.
    #[inline(always)]
    fn judge<'a>(mut self, body: &'a [u8], limits: &JsonLimits) -> Result<Envelope<'a>, Fault<'a>> {
        match self.kind(body, limits) {
            Ok(kind) => {
                self.parts.kind = kind;
                Ok(self.parts.of(body))
            }
            Err(kind) => {
                let id = self.parts.of(body).id();
                let known = id.filter(|id| !self.id_in_doubt && id.len() <= limits.id_bytes_max as usize);
                Err(Fault { kind, id: known })
            }
        }
    }

    #[inline(always)]
    fn kind(&self, body: &[u8], limits: &JsonLimits) -> Result<Kind, FaultKind> {
        if let Some(kind) = self.fault {
            return Err(kind);
        }
        let envelope = self.parts.of(body);
        if !envelope.text(Field::Jsonrpc).is_some_and(|version| version.eq(b"2.0")) {
            return Err(FaultKind::Version);
        }
        let id = envelope.id();
        if id.is_some_and(|id| id.len() > limits.id_bytes_max as usize) {
            return Err(FaultKind::IdTooLong);
        }
        let has = |field: Field| self.seen & field.bit() != 0;
        match (has(Field::Method), has(Field::Result), has(Field::Error)) {
            (true, false, false) if id.is_some() => Ok(Kind::Request),
            (true, false, false) => Ok(Kind::Notification),
            (false, true, false) | (false, false, true) if has(Field::Params) => Err(FaultKind::Ambiguous),
            (false, true, false) if id.is_none() => Err(FaultKind::Id),
            (false, true, false) | (false, false, true) => Ok(Kind::Response),
            _ => Err(FaultKind::Ambiguous),
        }
    }
}

/// Whether a scalar token is a number without fraction and exponent.
fn is_integer(token: &[u8]) -> bool {
    matches!(token[0], b'-' | b'0'..=b'9') && !token.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
}
