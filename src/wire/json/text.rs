//! The inside of a JSON string as it stands in a body, read through its escapes.

use super::Span;

/// The content of a JSON string: the bytes between its quotes, not yet unescaped.
///
/// A `Text` comes from a scanned body, so it is UTF-8, its escapes are well formed and its
/// surrogates paired.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    raw: &'a [u8],
    start: u32,
    escaped: bool,
}

impl<'a> Text<'a> {
    pub(in crate::wire) fn new(body: &'a [u8], span: Span, escaped: bool) -> Self {
        Self { raw: span.of(body), start: span.start, escaped }
    }

    /// The inside of a string on its own, not knowing whether it holds escapes.
    pub(in crate::wire) fn whole(raw: &'a [u8]) -> Self {
        Self { raw, start: 0, escaped: true }
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
    #[expect(clippy::should_implement_trait, reason = "it compares what is meant, and not with another Text")]
    pub fn eq(self, other: &[u8]) -> bool {
        if self.escaped { self.bytes().eq(other.iter().copied()) } else { self.raw == other }
    }

    /// Appends the unescaped text (UTF-8).
    pub fn decode(self, out: &mut Vec<u8>) {
        if self.escaped { out.extend(self.bytes()) } else { out.extend_from_slice(self.raw) }
    }

    /// The unescaped text, byte by byte.
    pub fn bytes(self) -> impl Iterator<Item = u8> + 'a {
        Units { raw: self.raw, at: 0 }.flat_map(|unit| {
            let (bytes, length) = match unit {
                Unit::Byte(byte) => ([byte, 0, 0, 0], 1),
                Unit::Char(character) => encode(character),
                Unit::LoneSurrogate => encode(char::REPLACEMENT_CHARACTER),
            };
            bytes.into_iter().take(length)
        })
    }
}

/// A step through the inside of a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) enum Unit {
    /// A byte that stands for itself, possibly a part of a longer UTF-8 sequence.
    Byte(u8),
    /// What an escape, or a pair of them, stands for.
    Char(char),
    /// An escape of half a surrogate pair without its other half.
    LoneSurrogate,
}

/// Steps through the inside of a string that the scanner has accepted.
pub(in crate::wire) struct Units<'a> {
    raw: &'a [u8],
    at: usize,
}

impl<'a> Units<'a> {
    pub(in crate::wire) fn new(raw: &'a [u8]) -> Self {
        Self { raw, at: 0 }
    }

    /// The code unit of `\uXXXX` if that is what stands at `at`.
    fn code_unit(&self, at: usize) -> Option<u32> {
        let digits = self.raw.get(at..at + 6)?.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
    }

    /// An escape of four digits at `at`, and of the second half of a pair behind it.
    fn numeric(&mut self, at: usize) -> Unit {
        let Some(first) = self.code_unit(at) else { return Unit::LoneSurrogate };
        self.at = at + 6;
        if (0xd800..0xdc00).contains(&first) {
            let Some(second @ 0xdc00..0xe000) = self.code_unit(self.at) else { return Unit::LoneSurrogate };
            self.at += 6;
            let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            return char::from_u32(code).map_or(Unit::LoneSurrogate, Unit::Char);
        }
        char::from_u32(first).map_or(Unit::LoneSurrogate, Unit::Char)
    }
}

impl Iterator for Units<'_> {
    type Item = Unit;

    fn next(&mut self) -> Option<Unit> {
        let at = self.at;
        let &byte = self.raw.get(at)?;
        if byte != b'\\' {
            self.at += 1;
            return Some(Unit::Byte(byte));
        }
        self.at += 2;
        Some(match self.raw.get(at + 1)? {
            b'b' => Unit::Char('\u{8}'),
            b'f' => Unit::Char('\u{c}'),
            b'n' => Unit::Char('\n'),
            b'r' => Unit::Char('\r'),
            b't' => Unit::Char('\t'),
            b'u' => self.numeric(at),
            &other => Unit::Char(other.into()),
        })
    }
}

fn encode(character: char) -> ([u8; 4], usize) {
    let mut bytes = [0; 4];
    let length = character.encode_utf8(&mut bytes).len();
    (bytes, length)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn text(raw: &[u8]) -> Text<'_> {
        let span = Span { start: 0, end: raw.len() as u32 };
        Text::new(raw, span, raw.contains(&b'\\'))
    }

    fn decoded(raw: &str) -> String {
        let mut out = Vec::new();
        text(raw.as_bytes()).decode(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_mean_what_rfc_8259_says() {
        assert_eq!(decoded(r#"\"\\\/\b\f\n\r\t"#), "\"\\/\u{8}\u{c}\n\r\t");
        assert_eq!(decoded(r"na\u006de"), "name");
        assert_eq!(decoded(r"\u00E9\u20ac\uD834\uDD1E!"), "é€𝄞!");
        assert_eq!(decoded("plain é"), "plain é");
        assert_eq!(decoded(""), "");
    }

    #[test]
    fn half_a_pair_is_noticed_wherever_it_stands() {
        for raw in [r"\ud800", r"\udc00", r"\ud800x", r"\ud800\n", r"\ud800\u0041", r"\ud800\ud800"] {
            assert!(Units::new(raw.as_bytes()).any(|unit| unit == Unit::LoneSurrogate), "{raw}");
        }
        assert!(!Units::new(br"\ud834\udd1e").any(|unit| unit == Unit::LoneSurrogate));
    }

    #[test]
    fn comparing_compares_what_is_meant() {
        assert!(text(br"tools\/call").eq(b"tools/call"));
        assert!(!text(br"tools\/call").eq(br"tools\/call"));
        assert!(!text(br"tools\/call").eq(b"tools/cal"));
        assert!(!text(b"tools/call").eq(b"tools/calls"));
    }

    proptest! {
        #[test]
        fn decoding_agrees_with_serde(string in any::<String>(), escape_all in any::<bool>()) {
            let written = if escape_all {
                string.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()
            } else {
                let quoted = serde_json::to_string(&string).unwrap();
                quoted[1..quoted.len() - 1].to_string()
            };
            prop_assert_eq!(decoded(&written), &string[..]);
            prop_assert!(text(written.as_bytes()).eq(string.as_bytes()));
        }
    }
}
