//! The short way through a head that is written as nearly all are.
//!
//! It accepts and never refuses: a head that it does not take goes the careful way, which alone says what is wrong with
//! it. What it takes, the careful way takes as well, and reads the same in it. It looks at each line once, 32 bytes at
//! a time, where the careful way first takes a head apart and then looks at the parts.

use super::fields::Fields;
use super::header::HeaderId;
use super::scan::HeadLimits;
use crate::wire::glance::{Eyes, GLANCE, Task, with_best};

/// A start line, with the fields that follow it.
pub(super) struct Plain<'b> {
    /// The request line without its version, or the status line without it.
    pub line: &'b [u8],
    /// Length of the head in bytes, with the empty line.
    pub head_len: usize,
}

/// Reads a request head of HTTP/1.1 at the start of `window` into `fields`, which are those of `window`.
#[inline]
pub(super) fn request<'b>(
    window: &'b [u8],
    limits: &HeadLimits,
    fields: &mut Fields<'b>,
) -> Option<Plain<'b>> {
    let read = with_best(Reading { window, limits, fields })?;
    Some(Plain { line: read.line.strip_suffix(b" HTTP/1.1")?, ..read })
}

/// Reads a response head of HTTP/1.1 at the start of `window` into `fields`, which are those of `window`.
#[inline]
pub(super) fn response<'b>(
    window: &'b [u8],
    limits: &HeadLimits,
    fields: &mut Fields<'b>,
) -> Option<Plain<'b>> {
    let read = with_best(Reading { window, limits, fields })?;
    Some(Plain { line: read.line.strip_prefix(b"HTTP/1.1 ")?, ..read })
}

/// The code and the reason in what a status line holds behind its version.
#[inline]
pub(super) fn status(line: &[u8]) -> Option<(u16, &[u8])> {
    let &[a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b' ', ref reason @ ..] = line else {
        return None;
    };
    let digit = |digit: u8| u16::from(digit - b'0');
    reason.is_ascii().then_some((digit(a) * 100 + digit(b) * 10 + digit(c), reason))
}

struct Reading<'a, 'b> {
    window: &'b [u8],
    limits: &'a HeadLimits,
    fields: &'a mut Fields<'b>,
}

impl<'b> Task for Reading<'_, 'b> {
    type Out = Option<Plain<'b>>;

    #[inline(always)]
    fn run(self, eyes: impl Eyes) -> Option<Plain<'b>> {
        let Self { window, limits, fields } = self;
        let end = line_end(eyes, window, 0)?;
        let line = &window[..end];
        let mut at = end + 2;
        let mut room = limits.headers();
        loop {
            let glance = glance(window, at);
            let controls = eyes.controls(&glance);
            if controls & 1 == 1 {
                let ends = window.get(at..at + 2)? == b"\r\n";
                return ends.then_some(Plain { line, head_len: at + 2 });
            }
            // A name is a word of some letters; one that is longer than a glance is read the careful way.
            let name_len = eyes.colons(&glance).trailing_zeros() as usize;
            let end = match controls {
                0 => line_end(eyes, window, at + GLANCE)?,
                _ => ended(window, at + controls.trailing_zeros() as usize)?,
            };
            if name_len == 0 || name_len >= GLANCE || at + name_len >= end || room == 0 {
                return None;
            }
            room -= 1;
            let name = &window[at..at + name_len];
            let id = HeaderId::of(name);
            // The others are known by all of their bytes, these by a prefix at most.
            if id >= HeaderId::Reserved && !name.iter().all(|&byte| IN_NAME[usize::from(byte)]) {
                return None;
            }
            let (value_at, value_len) = unspaced(window, at + name_len + 1, end);
            fields.push_as(id, at, name_len, value_at, value_len);
            at = end + 2;
        }
    }
}

/// The bytes from `at` on; where there are none, zeros, which are controls.
#[inline(always)]
fn glance(window: &[u8], at: usize) -> [u8; GLANCE] {
    if let Some(bytes) = window.get(at..).and_then(<[u8]>::first_chunk) {
        return *bytes;
    }
    last_glance(window, at)
}

#[cold]
fn last_glance(window: &[u8], at: usize) -> [u8; GLANCE] {
    let mut bytes = [0; GLANCE];
    let rest = window.get(at..).unwrap_or_default();
    bytes[..rest.len()].copy_from_slice(rest);
    bytes
}

/// Where the line that holds `at` ends: before its CR LF. Nothing else in it may be a control character.
#[inline(always)]
fn line_end(eyes: impl Eyes, window: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let controls = eyes.controls(&glance(window, at));
        if controls != 0 {
            return ended(window, at + controls.trailing_zeros() as usize);
        }
        at += GLANCE;
    }
}

/// `at`, if there is a CR LF.
#[inline(always)]
fn ended(window: &[u8], at: usize) -> Option<usize> {
    (window.get(at..at + 2)? == b"\r\n").then_some(at)
}

/// Offset and length of a value without the spaces around it.
#[inline(always)]
fn unspaced(window: &[u8], mut start: usize, mut end: usize) -> (usize, usize) {
    while start < end && window[start] == b' ' {
        start += 1;
    }
    while start < end && window[end - 1] == b' ' {
        end -= 1;
    }
    (start, end - start)
}

/// The bytes of a `token` (RFC 9110 section 5.6.2).
static IN_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let (mut byte, others) = (0, b"!#$%&'*+-.^_`|~");
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests;
