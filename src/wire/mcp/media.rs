//! Media types: what a body is, and what a client takes as an answer.

use super::headers::trim;

/// Which of the two media types of MCP answers a client takes (RFC 9110 section 12.5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accept {
    json: Verdict,
    event_stream: Verdict,
    /// There is a field. Who sends none takes everything (RFC 9110 section 12.5.1).
    given: bool,
}

/// Media ranges of a field that are looked at. Real ones have a dozen.
const RANGES_MAX: usize = 64;

/// The most specific range so far that matches a media type. Ordered by how specific it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Verdict {
    /// 0: nothing matched; 1: `*/*`; 2: `type/*`; 3: the type itself.
    specific: u8,
    accepted: bool,
}

impl Accept {
    /// Takes note of one `Accept` field value; several lines count as one list.
    pub fn add(&mut self, value: &[u8]) {
        self.given = true;
        // What nearly every client sends. (Taking lists apart costs more than the rest of the headers.)
        if matches!(value, b"application/json, text/event-stream" | b"application/json,text/event-stream") {
            let exactly = Verdict { specific: 3, accepted: true };
            (self.json, self.event_stream) = (exactly, exactly);
            return;
        }
        for range in value.split(|&byte| byte == b',').take(RANGES_MAX) {
            let (media, accepted) = split_range(range);
            self.json.note(media, b"application/", b"json", accepted);
            self.event_stream.note(media, b"text/", b"event-stream", accepted);
        }
    }

    /// `application/json` is acceptable.
    pub fn json(self) -> bool {
        self.json.accepted || !self.given
    }

    /// `text/event-stream` is acceptable.
    pub fn event_stream(self) -> bool {
        self.event_stream.accepted || !self.given
    }
}

impl Verdict {
    fn note(&mut self, media: &[u8], main: &[u8], sub: &[u8], accepted: bool) {
        let specific = match media.split_at_checked(main.len()) {
            _ if media == b"*/*" => 1,
            Some((start, b"*")) if start.eq_ignore_ascii_case(main) => 2,
            Some((start, rest)) if start.eq_ignore_ascii_case(main) && rest.eq_ignore_ascii_case(sub) => 3,
            _ => return,
        };
        // Of two ranges that are equally specific, one that accepts wins.
        *self = (*self).max(Self { specific, accepted });
    }
}

/// The media range without its parameters, and whether its weight is above zero.
fn split_range(range: &[u8]) -> (&[u8], bool) {
    let mut parts = range.split(|&byte| byte == b';').map(trim);
    let media = parts.next().unwrap_or_default();
    let refused = parts.any(|parameter| match parameter {
        [b'q' | b'Q', b'=', weight @ ..] => {
            !weight.is_empty() && weight.iter().all(|byte| matches!(byte, b'0' | b'.'))
        }
        _ => false,
    });
    (media, !refused)
}

/// Whether a `Content-Type` says JSON: the type alone in any letter case, parameters aside, except a
/// `charset` other than UTF-8 (RFC 8259 section 8.1 allows no other).
pub fn is_json(content_type: &[u8]) -> bool {
    if content_type == b"application/json" {
        return true;
    }
    let mut parts = content_type.split(|&byte| byte == b';').map(trim);
    let media = parts.next().unwrap_or_default();
    media.eq_ignore_ascii_case(b"application/json") && parts.all(is_harmless)
}

/// Whether a `Content-Type` names no `charset` other than UTF-8: the only one of JSON and of event streams (WHATWG HTML section
/// 9.2.5). Readers that obey another one read other text than the gateway.
pub fn is_utf8(content_type: &[u8]) -> bool {
    content_type.split(|&byte| byte == b';').skip(1).map(trim).all(is_harmless)
}

fn is_harmless(parameter: &[u8]) -> bool {
    match parameter.split_at_checked(8) {
        Some((name, value)) if name.eq_ignore_ascii_case(b"charset=") => {
            let bare = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value);
            bare.eq_ignore_ascii_case(b"utf-8") || bare.eq_ignore_ascii_case(b"utf8")
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_accept(lines: &[&str], json: bool, event_stream: bool) {
        let mut accept = Accept::default();
        for line in lines {
            accept.add(line.as_bytes());
        }
        assert_eq!((accept.json(), accept.event_stream()), (json, event_stream), "{lines:?}");
    }

    #[test]
    fn accept_is_read_as_rfc_9110_says() {
        check_accept(&["application/json, text/event-stream"], true, true);
        check_accept(&["application/json", "text/event-stream"], true, true);
        check_accept(&["application/json,text/event-stream", "*/*;q=0"], true, true);
        check_accept(&["text/html", "application/json, text/event-stream"], true, true);
        check_accept(&["Application/JSON;q=0.5 , TEXT/Event-Stream; charset=utf-8"], true, true);
        check_accept(&["*/*"], true, true);
        check_accept(&["application/*,text/*"], true, true);
        check_accept(&["application/json"], true, false);
        check_accept(&["text/event-stream"], false, true);
        check_accept(&["application/json;q=0, */*"], false, true);
        check_accept(&["*/*, application/json; q=0.000"], false, true);
        check_accept(&["*/*;q=0, text/event-stream"], false, true);
        check_accept(&["text/*;q=0, */*;q=0.1"], true, false);
        check_accept(&["application/jsonp, text/event-streams, text/html"], false, false);
        check_accept(&["application/json;q=0.001,text/event-stream;Q=1"], true, true);
        check_accept(&[""], false, false);
        check_accept(&["", "application/json"], true, false);
        check_accept(&[], true, true);
        let many = "a/b,".repeat(RANGES_MAX - 1);
        check_accept(&[&format!("{many}*/*")], true, true);
        check_accept(&[&format!("{many}a/b,*/*")], false, false);
    }

    #[test]
    fn a_json_body_is_recognised_in_any_letter_case() {
        for good in
            ["application/json", "Application/JSON; charset=utf-8", "application/json;charset=\"UTF-8\""]
        {
            assert!(is_json(good.as_bytes()), "{good}");
        }
        for bad in ["", "text/plain", "application/jsonx", "application/json, text/plain", "json"] {
            assert!(!is_json(bad.as_bytes()), "{bad}");
        }
        assert!(!is_json(b"application/json; charset=utf-16"));
    }
}
