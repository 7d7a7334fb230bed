//! The inside of a JSON string as it stands in a body, read through its escapes.

use super::Span;

/// The content of a JSON string: the bytes between its quotes, not yet unescaped.
///
/// A `Text` comes from a scanned body, so its escapes are well formed and its surrogates paired.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    raw: &'a [u8],
    start: u32,
    escaped: bool,
}

impl<'a> Text<'a> {
    pub(crate) fn new(body: &'a [u8], span: Span, escaped: bool) -> Self {
        Self { raw: span.of(body), start: span.start, escaped }
    }

    /// The bytes between the quotes as they stand in the body.
    pub fn raw(self) -> &'a [u8] {
        self.raw
    }

    /// Whether [`Text::raw`] holds escapes, so that it differs from what it means.
    pub fn is_escaped(self) -> bool {
        self.escaped
    }

    /// Where [`Text::raw`] stands in the body, quotes not included.
    pub fn span(self) -> Span {
        Span { start: self.start, end: self.start + self.raw.len() as u32 }
    }

    /// The text itself where it needs no unescaping: the common case.
    pub fn plain(self) -> Option<&'a str> {
        if self.escaped { None } else { std::str::from_utf8(self.raw).ok() }
    }

    /// Whether the text, unescaped, is `other`.
    pub fn eq(self, other: &[u8]) -> bool {
        if self.escaped { self.bytes().eq(other.iter().copied()) } else { self.raw == other }
    }

    /// Appends the unescaped text (UTF-8).
    pub fn decode(self, out: &mut Vec<u8>) {
        if self.escaped { out.extend(self.bytes()) } else { out.extend_from_slice(self.raw) }
    }

    /// The unescaped text, byte by byte.
    pub fn bytes(self) -> impl Iterator<Item = u8> + 'a {
        self.raw.iter().copied()
    }
}
