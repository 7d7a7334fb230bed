//! Making events.

use std::fmt;

use super::event::Event;
use crate::wire::http1::write::Decimal;

/// An event to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewEvent<'a> {
    /// Its type; without one it is a `message`.
    pub kind: Option<&'a [u8]>,
    /// Its id, for resuming.
    pub id: Option<&'a [u8]>,
    /// How long the client shall wait before it connects again, in milliseconds.
    pub retry: Option<u64>,
    /// Its data; each line becomes a line of its own. Without data nothing is dispatched, but id and retry
    /// count.
    pub data: Option<&'a [u8]>,
}

/// A type or an id that cannot be written, as it holds a line break or NUL. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineBreak;

impl fmt::Display for LineBreak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event type or id holds a line break or NUL")
    }
}

impl std::error::Error for LineBreak {}

/// Appends `event` with its empty line.
///
/// # Errors
/// [`LineBreak`], and nothing is written.
pub fn write_event(out: &mut Vec<u8>, event: &NewEvent<'_>) -> Result<(), LineBreak> {
    let fits =
        |value: Option<&[u8]>| value.is_none_or(|value| memchr::memchr3(b'\n', b'\r', 0, value).is_none());
    if !fits(event.kind) || !fits(event.id) {
        return Err(LineBreak);
    }
    if let Some(kind) = event.kind {
        push_line(out, b"event: ", kind);
    }
    if let Some(id) = event.id {
        push_line(out, b"id: ", id);
    }
    if let Some(retry) = event.retry {
        push_line(out, b"retry: ", Decimal::from(retry).as_bytes());
    }
    if let Some(data) = event.data {
        push_data(out, data);
    }
    out.push(b'\n');
    Ok(())
}

/// Appends `original`, an `endpoint` event, with another URI for its data.
///
/// # Errors
/// [`LineBreak`] if `uri` or the original's id holds one; nothing is written.
pub fn write_endpoint(out: &mut Vec<u8>, original: &Event<'_>, uri: &[u8]) -> Result<(), LineBreak> {
    if memchr::memchr3(b'\n', b'\r', 0, uri).is_some() {
        return Err(LineBreak);
    }
    let event = NewEvent { kind: Some(b"endpoint"), id: original.id, retry: original.retry, data: Some(uri) };
    write_event(out, &event)
}

pub(super) fn push_data(out: &mut Vec<u8>, data: &[u8]) {
    let mut rest = data;
    while let Some(end) = memchr::memchr2(b'\n', b'\r', rest) {
        push_line(out, b"data: ", &rest[..end]);
        let length = if rest[end..].starts_with(b"\r\n") { 2 } else { 1 };
        rest = &rest[end + length..];
    }
    push_line(out, b"data: ", rest);
}

fn push_line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    out.push(b'\n');
}
