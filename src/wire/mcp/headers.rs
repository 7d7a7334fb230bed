//! The header fields that MCP gives a meaning.

use super::media::Accept;
use crate::wire::json::Text;

/// What a request's headers say, as plain bytes. Start from the default and [`HeaderFacts::note`]
/// each field.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeaderFacts<'a> {
    /// `MCP-Protocol-Version`.
    pub protocol_version: Option<&'a [u8]>,
    /// `Mcp-Method`.
    pub method: Option<&'a [u8]>,
    /// `Mcp-Name`, possibly in its base64 form.
    pub name: Option<&'a [u8]>,
    /// `Mcp-Session-Id`.
    pub session_id: Option<&'a [u8]>,
    /// `Last-Event-ID`.
    pub last_event_id: Option<&'a [u8]>,
    /// `Content-Type`.
    pub content_type: Option<&'a [u8]>,
    /// `Content-Encoding`.
    pub content_encoding: Option<&'a [u8]>,
    /// `Accept`, all its lines together.
    pub accept: Accept,
    /// One of the fields above (`Accept` excepted) came twice, or one of the first two as a comma-joined list.
    pub duplicates: bool,
}

impl<'a> HeaderFacts<'a> {
    /// Takes note of one header field; those without a meaning here are ignored. Names compare
    /// case-insensitively; `value` may still have whitespace around it.
    pub fn note(&mut self, name: &[u8], value: &'a [u8]) {
        let field = match name.len() {
            6 if name.eq_ignore_ascii_case(b"accept") => McpHeader::Accept,
            8 if name.eq_ignore_ascii_case(b"mcp-name") => McpHeader::Name,
            10 if name.eq_ignore_ascii_case(b"mcp-method") => McpHeader::Method,
            12 if name.eq_ignore_ascii_case(b"content-type") => McpHeader::ContentType,
            13 if name.eq_ignore_ascii_case(b"last-event-id") => McpHeader::LastEventId,
            14 if name.eq_ignore_ascii_case(b"mcp-session-id") => McpHeader::SessionId,
            16 if name.eq_ignore_ascii_case(b"content-encoding") => McpHeader::ContentEncoding,
            20 if name.eq_ignore_ascii_case(b"mcp-protocol-version") => McpHeader::ProtocolVersion,
            _ => return,
        };
        self.note_known(field, trim(value));
    }

    /// As [`HeaderFacts::note`], for who knows already which field it is. `value` has no whitespace around it.
    pub fn note_known(&mut self, field: McpHeader, value: &'a [u8]) {
        let (slot, list) = match field {
            McpHeader::Accept => return self.accept.add(value),
            McpHeader::Name => (&mut self.name, false),
            McpHeader::Method => (&mut self.method, true),
            McpHeader::ContentType => (&mut self.content_type, false),
            McpHeader::LastEventId => (&mut self.last_event_id, false),
            // Any visible character may stand in an id (MCP 2025-11-25, session management).
            McpHeader::SessionId => (&mut self.session_id, false),
            McpHeader::ContentEncoding => (&mut self.content_encoding, false),
            McpHeader::ProtocolVersion => (&mut self.protocol_version, true),
        };
        // A name may hold a comma of its own; where it is a joined list it equals no body.
        self.duplicates |= slot.is_some() || (list && memchr::memchr(b',', value).is_some());
        *slot = Some(value);
    }
}

/// A header field that MCP gives a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum McpHeader {
    Accept,
    ContentEncoding,
    ContentType,
    LastEventId,
    Method,
    Name,
    ProtocolVersion,
    SessionId,
}

/// Takes optional whitespace (RFC 9110 section 5.5) off both ends.
pub(super) fn trim(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}

/// How far the mirrored headers (`Mcp-Method`, `Mcp-Name`) can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mirror {
    /// There are none.
    Absent,
    /// They say what the body says.
    Verified,
    /// The request is of a revision that does not know them, so nothing was compared: decide by the
    /// body, and do not send them on.
    Unverified,
}

/// Whether a mirrored header value says the same as the body's text (2026-07-28, Streamable HTTP):
/// as it stands, or in base64 between `=?base64?` and `?=`. Any other value with characters that
/// must be encoded is not equal to anything.
pub(super) fn mirrors(value: &[u8], text: Text<'_>) -> bool {
    let coded = value.strip_prefix(b"=?base64?").and_then(|rest| rest.strip_suffix(b"?="));
    match coded {
        Some(coded) => base64_equals(coded, text.bytes()),
        None => value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) && text.eq(value),
    }
}

/// Whether `coded` is padded, canonical standard base64 (RFC 4648 section 4) of `bytes`.
fn base64_equals(coded: &[u8], mut bytes: impl Iterator<Item = u8>) -> bool {
    if !coded.len().is_multiple_of(4) {
        return false;
    }
    let padding = coded.iter().rev().take(2).take_while(|&&byte| byte == b'=').count();
    let (mut bits, mut held) = (0u32, 0u32);
    for &digit in &coded[..coded.len() - padding] {
        let Some(value) = sextet(digit) else { return false };
        bits = bits << 6 | value;
        held += 6;
        if held >= 8 {
            held -= 8;
            if bytes.next() != Some((bits >> held) as u8) {
                return false;
            }
            bits &= (1 << held) - 1;
        }
    }
    bits == 0 && bytes.next().is_none()
}

fn sextet(digit: u8) -> Option<u32> {
    Some(u32::from(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(value: &str, text: &str, expected: bool) {
        assert_eq!(mirrors(value.as_bytes(), Text::whole(text.as_bytes())), expected, "{value} {text}");
    }

    #[test]
    fn a_mirrored_value_is_plain_or_well_formed_base64() {
        check("a_echo", "a_echo", true);
        check("a_echo", "a_Echo", false);
        check("=?base64?YV9lY2hv?=", "a_echo", true);
        check("=?base64?YV9lY2hv?=", "a_ech", false);
        check("=?base64?YV9lY2hv?=", "a_echoo", false);
        check("=?base64?YV9lY2g=?=", "a_ech", true);
        check("=?base64?YV9lYw==?=", "a_ec", true);
        check("=?base64??=", "", true);
        for bad in [
            "YV9lY2h",
            "YV9lY2h!",
            "YV9lY2h=",
            "YV9lYx==",
            "YV9lY2hv====",
            "====",
            "YV9l\nY2hv",
            "YQ",
            "Y===",
        ] {
            for text in ["a_echo", "a_ech", "a_ec", "a", ""] {
                check(&format!("=?base64?{bad}?="), text, false);
            }
        }
        // Not the sentinel, so literals.
        check("=?BASE64?YV9lY2hv?=", "a_echo", false);
        check("=?BASE64?YV9lY2hv?=", "=?BASE64?YV9lY2hv?=", true);
        check("=?base64?YV9lY2hv", "=?base64?YV9lY2hv", true);
        // What must be encoded and is not.
        check("é", "é", false);
        check("=?base64?w6k=?=", "é", true);
    }

    #[test]
    fn names_ignore_case_and_values_lose_their_whitespace() {
        let mut facts = HeaderFacts::default();
        facts.note(b"MCP-METHOD", b" tools/list\t");
        facts.note(b"mcp-name", b"  a_echo ");
        facts.note(b"x-other", b"1");
        assert_eq!(facts.method, Some(&b"tools/list"[..]));
        assert_eq!(facts.name, Some(&b"a_echo"[..]));
        assert!(!facts.duplicates);
        assert_eq!(trim(b" \t "), b"");
    }

    #[test]
    fn a_field_that_comes_twice_or_joined_is_noticed() {
        for fields in [
            [(&b"Mcp-Method"[..], &b"a"[..]), (b"mcp-method", b"a")],
            [(b"Mcp-Name", b"a"), (b"Mcp-Name", b"b")],
            [(b"Content-Type", b"application/json"), (b"Content-Type", b"application/json")],
            [(b"Mcp-Method", b"a, b"), (b"x", b"")],
            [(b"MCP-Protocol-Version", b"2026-07-28,2026-07-28"), (b"x", b"")],
        ] {
            let mut facts = HeaderFacts::default();
            for (name, value) in fields {
                facts.note(name, value);
            }
            assert!(facts.duplicates, "{fields:?}");
        }
        let mut facts = HeaderFacts::default();
        facts.note(b"Mcp-Name", b"one, two");
        facts.note(b"Mcp-Session-Id", b"one,two");
        assert!(!facts.duplicates, "a tool or a session may be called so");
    }

    fn encode(bytes: &[u8]) -> String {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut out = String::new();
        for chunk in bytes.chunks(3) {
            let bits = (0..3).fold(0u32, |bits, at| bits << 8 | u32::from(*chunk.get(at).unwrap_or(&0)));
            for at in 0..4 {
                let digit = char::from(DIGITS[(bits >> (18 - 6 * at) & 63) as usize]);
                out.push(if at <= chunk.len() { digit } else { '=' });
            }
        }
        out
    }

    proptest! {
        #[test]
        fn whatever_is_encoded_compares_equal(name in "[^\\\\]{0,40}", other in "[^\\\\]{0,4}") {
            let value = format!("=?base64?{}?=", encode(name.as_bytes()));
            prop_assert!(mirrors(value.as_bytes(), Text::whole(name.as_bytes())));
            prop_assert_eq!(mirrors(value.as_bytes(), Text::whole(other.as_bytes())), name == other);
        }
    }
}
