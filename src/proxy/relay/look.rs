//! A glance at what a server's successful answer says while it passes: whether a tool failed, and whether the body can be
//! JSON at all. For metrics only: bytes pass either way.

use crate::base::Seam;
use crate::telemetry::Outcome;

/// Looks at the body of one answer, in pieces, framing included.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    seam: Seam<SEAM>,
    first: Option<u8>,
    failed: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self { seam: Seam::new(b""), first: None, failed: false }
    }
}

/// Bytes that are looked at again with those that follow: the longest that is looked for, but for one.
const SEAM: usize = b"\"isError\": true".len() - 1;

impl Look {
    /// The next bytes.
    pub fn see(&mut self, bytes: &[u8]) {
        if self.first.is_none() {
            self.first = bytes.iter().copied().find(|byte| !byte.is_ascii_whitespace());
        }
        // A member of JSON, since within a text its quotes would be escaped.
        let failed = self.failed;
        self.failed |= self.seam.show(bytes, |bytes| !failed && tells_failure(bytes));
    }

    /// How the exchange ended whose answer was passed on to its end. `is_json`: the body is JSON, without framing.
    pub fn outcome(&self, is_json: bool) -> Outcome {
        let last = self.seam.end().iter().rev().copied().find(|byte| !byte.is_ascii_whitespace());
        let fits = matches!(
            (self.first, last),
            (None | Some(0xEF), _) | (Some(b'{'), Some(b'}')) | (Some(b'['), Some(b']'))
        );
        match (is_json && !fits, self.failed) {
            (true, _) => Outcome::Unreadable,
            (false, true) => Outcome::ToolFailed,
            (false, false) => Outcome::Answered,
        }
    }
}

/// Whether the bytes hold the member `"isError": true`. Its `E` is rare in JSON, and one byte is the cheapest to look for.
fn tells_failure(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'E', bytes).any(|at| {
        bytes[..at].ends_with(b"\"is")
            && bytes[at..]
                .strip_prefix(b"Error\":")
                .is_some_and(|value| value.trim_ascii_start().starts_with(b"true"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(body: &str, is_json: bool) -> Outcome {
        let mut whole = Look::default();
        whole.see(body.as_bytes());
        let expected = whole.outcome(is_json);
        for cut in 0..=body.len() {
            let mut parts = Look::default();
            parts.see(&body.as_bytes()[..cut]);
            parts.see(&body.as_bytes()[cut..]);
            assert_eq!(parts.outcome(is_json), expected, "{body} cut at {cut}");
        }
        let mut bytes = Look::default();
        body.as_bytes().iter().for_each(|&byte| bytes.see(&[byte]));
        assert_eq!(bytes.outcome(is_json), expected, "{body} byte by byte");
        expected
    }

    #[test]
    fn a_failed_tool_is_seen_wherever_the_answer_is_cut() {
        for (body, failed) in [
            (r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":true}}"#, true),
            (r#"{"jsonrpc":"2.0","id":1,"result":{"isError": true,"content":[]}}"#, true),
            (r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":false}}"#, false),
            (r#"{"result":{"content":[{"type":"text","text":"\"isError\":true"}]}}"#, false),
            (r#"{"result":{"isErrors":true}}"#, false),
            ("", false),
        ] {
            let expected = if failed { Outcome::ToolFailed } else { Outcome::Answered };
            assert_eq!(outcome(body, true), expected, "{body}");
            assert_eq!(outcome(&format!("data: {body}\n\n"), false), expected, "{body}");
        }
    }

    #[test]
    fn what_cannot_be_json_is_told_apart() {
        for (body, fits) in [
            (" {\"a\":1}\r\n", true),
            ("[]", true),
            ("<html></html>", false),
            ("{\"a\":", false),
            ("{\"a\":1}]", false),
            ("oops", false),
            ("   ", true),
            ("\u{feff}{}", true),
        ] {
            let expected = if fits { Outcome::Answered } else { Outcome::Unreadable };
            assert_eq!(outcome(body, true), expected, "{body}");
            assert_eq!(outcome(body, false), Outcome::Answered, "{body}");
        }
    }
}
