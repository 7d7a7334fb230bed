//! What request and response heads share: limits, the cheap search for the end of a head that comes in
//! pieces, and the step from raw header fields to the table.

use std::mem::MaybeUninit;

use super::error::HeadError;
use super::fields::Fields;

/// Most header fields a head can have, whatever the limits say.
pub const HEADERS_MAX: usize = 64;

/// Longest head in bytes, whatever the limits say.
pub const HEAD_BYTES_MAX: usize = u16::MAX as usize;

/// Longest method name in bytes.
pub(super) const METHOD_BYTES_MAX: usize = 32;

/// Limits of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Longest head in bytes, with its request line and the empty line (431). At most [`HEAD_BYTES_MAX`].
    pub head_bytes: usize,
    /// Longest request target in bytes (414).
    pub target_bytes: usize,
    /// Most header fields (431). At most [`HEADERS_MAX`].
    pub headers: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { head_bytes: 16 << 10, target_bytes: 4 << 10, headers: HEADERS_MAX }
    }
}

impl HeadLimits {
    /// The part of `bytes` that a head may take.
    pub(super) fn window<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        &bytes[..bytes.len().min(self.head_bytes).min(HEAD_BYTES_MAX)]
    }

    /// Whether `window` is as long as a head may get.
    pub(super) fn is_full(&self, window: &[u8]) -> bool {
        window.len() >= self.head_bytes.min(HEAD_BYTES_MAX)
    }

    pub(super) fn headers(&self) -> usize {
        self.headers.min(HEADERS_MAX)
    }
}

/// Remembers how far a head that comes in pieces was searched for its end, so that each byte is looked
/// at a fixed number of times however small the pieces are. One per head: start the next with a new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadScan {
    scanned: usize,
}

/// What [`HeadScan::search`] found first in the bytes it had not seen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// The empty line.
    End,
    /// An LF without its CR.
    BareLineFeed,
    Nothing,
}

impl HeadScan {
    /// A search that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing was searched yet. Most heads come whole: then parsing at once is cheaper.
    pub(super) fn is_fresh(&self) -> bool {
        self.scanned == 0
    }

    /// Searches what was added to `window` since the last time.
    pub(super) fn search(&mut self, window: &[u8]) -> Found {
        let from = self.scanned.min(window.len());
        for at in memchr::memchr_iter(b'\n', &window[from..]).map(|offset| from + offset) {
            if !window[..at].ends_with(b"\r") {
                return Found::BareLineFeed;
            }
            if window[..at].ends_with(b"\r\n\r") {
                return Found::End;
            }
            self.scanned = at + 1;
        }
        self.scanned = window.len();
        Found::Nothing
    }
}

/// Room for the raw header fields of a head.
pub(super) type RawHeaders<'b> = [MaybeUninit<httparse::Header<'b>>; HEADERS_MAX];

pub(super) const NO_RAW_HEADERS: RawHeaders<'static> = [const { MaybeUninit::uninit() }; HEADERS_MAX];

/// Puts the raw fields of a complete `head` into a table, and checks that each line ends with CR LF:
/// the tokenizer takes a bare LF as well.
///
/// A name starts right after the end of the line before it, so looking before each name and at the end
/// of the head sees every line end.
#[inline]
pub(super) fn fields_of<'b>(head: &'b [u8], raw: &[httparse::Header<'b>]) -> Result<Fields<'b>, HeadError> {
    if !head.ends_with(b"\r\n\r\n") {
        return Err(HeadError::BareLineFeed);
    }
    let start = head.as_ptr() as usize;
    let mut fields = Fields::new(head);
    for header in raw {
        let name_at = header.name.as_ptr() as usize - start;
        if head[name_at - 2] != b'\r' {
            return Err(HeadError::BareLineFeed);
        }
        // An empty value may be an empty slice from anywhere.
        let value_at = if header.value.is_empty() { name_at } else { header.value.as_ptr() as usize - start };
        fields.push(name_at, header.name.len(), value_at, header.value.len());
    }
    Ok(fields)
}

/// The fault that comes first in `window`, of which the tokenizer said `error`. `fails` tells whether the
/// tokenizer refuses a prefix. So the verdict does not depend on how the bytes were cut into reads.
#[cold]
pub(super) fn first_fault(window: &[u8], error: HeadError, fails: impl Fn(&[u8]) -> bool) -> HeadError {
    let bare = memchr::memchr_iter(b'\n', window).find(|&at| !window[..at].ends_with(b"\r"));
    if bare.is_some_and(|at| !fails(&window[..=at])) {
        return HeadError::BareLineFeed;
    }
    if error == HeadError::HeaderName {
        let fold = window.windows(2).position(|pair| matches!(pair, b"\n " | b"\n\t"));
        if fold.is_some_and(|at| !fails(&window[..=at])) {
            return HeadError::FoldedLine;
        }
    }
    error
}

/// What a complaint of the tokenizer is called here.
pub(super) fn error_of(error: httparse::Error) -> HeadError {
    match error {
        httparse::Error::HeaderName => HeadError::HeaderName,
        httparse::Error::HeaderValue => HeadError::HeaderValue,
        httparse::Error::NewLine => HeadError::LineEnd,
        httparse::Error::Status => HeadError::StatusLine,
        httparse::Error::Token => HeadError::RequestLine,
        httparse::Error::TooManyHeaders => HeadError::TooManyHeaders,
        httparse::Error::Version => HeadError::Version,
    }
}
