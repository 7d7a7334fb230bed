//! A view of one whole event.

use std::ops::Range;

use super::scanner::BOM;

/// The fields of one event. Names are case-sensitive; of repeated fields the last counts, but `data`
/// lines add up. Unknown fields and comments are skipped.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Event<'a> {
    bytes: &'a [u8],
    /// The `event` field: the type. Readers take an absent or empty one as `message`.
    pub kind: Option<&'a [u8]>,
    /// The `id` field. One that holds NUL is ignored.
    pub id: Option<&'a [u8]>,
    /// The `retry` field in milliseconds. One that is not a plain number is ignored; very large ones
    /// saturate.
    pub retry: Option<u64>,
    /// How many `data` lines there are. Readers do not dispatch an event without any, but one empty line
    /// of data is data.
    pub data_lines: usize,
    last_data: Range<usize>,
}

impl<'a> Event<'a> {
    /// Reads the event at the start of `bytes`: up to its empty line. Empty lines before it are skipped; a
    /// line without an end is not read.
    pub fn parse(bytes: &'a [u8]) -> Self {
        let mut event = Self { bytes, ..Self::default() };
        for field in fields(bytes) {
            let value = &bytes[field.value.clone()];
            match field.name {
                b"data" => {
                    event.data_lines += 1;
                    event.last_data = field.value;
                }
                b"event" => event.kind = Some(value),
                b"id" if memchr::memchr(0, value).is_none() => event.id = Some(value),
                b"retry" => event.retry = number(value).or(event.retry),
                _ => {}
            }
        }
        event
    }

    /// The data: the values of all `data` lines with LF between them. None if there is no such line.
    /// `scratch` is used only if there are several; what was in it is lost.
    pub fn data<'s>(&self, scratch: &'s mut Vec<u8>) -> Option<&'s [u8]>
    where
        'a: 's,
    {
        match self.data_lines {
            0 => None,
            1 => Some(&self.bytes[self.last_data.clone()]),
            _ => {
                scratch.clear();
                for field in fields(self.bytes).filter(|field| field.name == b"data") {
                    scratch.extend_from_slice(&self.bytes[field.value]);
                    scratch.push(b'\n');
                }
                scratch.pop();
                Some(scratch)
            }
        }
    }

    /// Where the data stands in the bytes of the event, if it is on exactly one line: then it can be read
    /// and replaced in place.
    pub fn data_span(&self) -> Option<Range<usize>> {
        (self.data_lines == 1).then(|| self.last_data.clone())
    }

    /// Whether the type is the one that tells a client of HTTP+SSE where to post (MCP 2024-11-05).
    pub fn is_endpoint(&self) -> bool {
        self.kind == Some(b"endpoint")
    }

    /// Whether a reader learns nothing from it: only comments, unknown fields or nothing.
    pub fn is_blank(&self) -> bool {
        self.kind.is_none() && self.id.is_none() && self.retry.is_none() && self.data_lines == 0
    }
}

/// `bytes` without a byte order mark in front. Use it on the first event of a stream, and only there.
pub fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BOM).unwrap_or(bytes)
}

/// Digits only. Too many to fit saturate.
fn number(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_u64, |sum, byte| match byte {
        b'0'..=b'9' => Some(sum.saturating_mul(10).saturating_add(u64::from(byte - b'0'))),
        _ => None,
    })
}

struct Field<'a> {
    name: &'a [u8],
    value: Range<usize>,
}

/// The fields of the first event in `bytes`, without comments.
fn fields(bytes: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = Lines::of(bytes).skip_while(Range::is_empty).take_while(|line| !line.is_empty());
    std::iter::from_fn(move || {
        loop {
            let line = rest.next()?;
            let colon = memchr::memchr(b':', &bytes[line.clone()]);
            match colon {
                Some(0) => {}
                Some(colon) => {
                    let name_end = line.start + colon;
                    let space = usize::from(bytes[name_end + 1..line.end].first() == Some(&b' '));
                    let value = name_end + 1 + space..line.end;
                    return Some(Field { name: &bytes[line.start..name_end], value });
                }
                None => return Some(Field { name: &bytes[line.clone()], value: line.end..line.end }),
            }
        }
    })
}

/// The lines that have an end, without it.
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }
}

impl Iterator for Lines<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let end = start + memchr::memchr2(b'\n', b'\r', &self.bytes[start..])?;
        self.at = if self.bytes[end..].starts_with(b"\r\n") { end + 2 } else { end + 1 };
        Some(start..end)
    }
}
