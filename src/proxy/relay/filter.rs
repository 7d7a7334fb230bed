//! Whether and how an answer is filtered for its caller, told from its head.

use crate::wire::http1::{HeaderId, ResponseFraming, ResponseHead, media_type_is};
use crate::wire::mcp::is_json;

/// How an answer is filtered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filtering {
    /// Not at all: nobody asked for it, or there is no body.
    No,
    /// As a whole, before any of it is sent.
    Whole {
        /// It must be JSON. Else it may also be what nobody could take for JSON.
        strict: bool,
    },
    /// Event by event.
    Events,
}

/// Tells how an answer is filtered. If it is successful, its client awaits a message in it, or only that it came.
///
/// # Errors
/// It cannot be, and so it must not be passed on: why, in words for the log.
pub fn judge(head: &ResponseHead<'_>, awaits_message: bool) -> Result<Filtering, &'static str> {
    if head.framing == ResponseFraming::None {
        return Ok(Filtering::No);
    }
    let plain = |coding: &[u8]| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity");
    if !head.fields.all(HeaderId::ContentEncoding).all(|field| plain(field.value)) {
        return Err("it is compressed, and a list in it could not be filtered");
    }
    // A part of a list could be cut so that it looks like something else.
    if head.status == 206 || head.get(HeaderId::ContentRange).is_some() {
        return Err("it is a part of a body, and a list in it could not be filtered");
    }
    if head.event_stream {
        return Ok(Filtering::Events);
    }
    let media = head.get(HeaderId::ContentType).unwrap_or_default();
    if is_json(media) {
        return Ok(Filtering::Whole { strict: true });
    }
    // JSON in another charset than UTF-8 would be read in another way than it is here.
    if media_type_is(media, b"application/json") {
        return Err("its charset is not UTF-8");
    }
    // Texts of refusals and acknowledgements, which no client reads as a message.
    let is_message = matches!(head.status, 200..=299) && head.status != 202;
    if awaits_message && is_message {
        return Err(
            "its content type is neither JSON nor an event stream, and a list in it could not be filtered",
        );
    }
    Ok(Filtering::Whole { strict: false })
}

/// Whether a reader, however lenient, could find an object or array in the text: unless it begins with
/// something else that can be seen.
pub fn may_be_json(text: &[u8]) -> bool {
    match text.trim_ascii_start().first() {
        None => false,
        Some(b'{' | b'[') => true,
        Some(first) => !first.is_ascii_graphic(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wire::http1::{HeadLimits, HeadScan, Method, Parsed, parse_response_head};

    fn judged(status: u16, fields: &str, awaits_message: bool) -> Result<Filtering, &'static str> {
        let head = format!("HTTP/1.1 {status} X\r\n{fields}\r\n");
        let parsed =
            parse_response_head(head.as_bytes(), Method::Post, &HeadLimits::default(), &mut HeadScan::new());
        let Parsed::Complete(head) = parsed.unwrap() else { panic!("a whole head") };
        judge(&head, awaits_message)
    }

    const STRICT: Result<Filtering, &str> = Ok(Filtering::Whole { strict: true });
    const LENIENT: Result<Filtering, &str> = Ok(Filtering::Whole { strict: false });

    #[test]
    fn an_answer_is_filtered_by_what_its_head_says() {
        for (status, fields, awaits, expected) in [
            (200, "content-type: application/json\r\ncontent-length: 5\r\n", true, STRICT),
            (200, "content-type: Application/JSON; charset=utf-8\r\n", true, STRICT),
            (404, "content-type: application/json\r\n", true, STRICT),
            (200, "content-type: text/event-stream\r\n", true, Ok(Filtering::Events)),
            (200, "content-type: text/event-stream\r\n", true, Ok(Filtering::Events)),
            (200, "content-encoding: identity\r\ncontent-type: application/json\r\n", true, STRICT),
            (202, "content-length: 0\r\n", false, Ok(Filtering::No)),
            (204, "", false, Ok(Filtering::No)),
            (202, "content-length: 8\r\n", false, LENIENT),
            (200, "content-type: text/plain\r\n", false, LENIENT),
            (500, "content-type: text/html\r\n", true, LENIENT),
            (302, "", true, LENIENT),
            (400, "content-type: application/problem+json\r\n", true, LENIENT),
        ] {
            assert_eq!(judged(status, fields, awaits), expected, "{status} {fields}");
        }
    }

    #[test]
    fn what_cannot_be_filtered_is_refused() {
        for (status, fields) in [
            (200, "content-type: application/json\r\ncontent-encoding: gzip\r\n"),
            (200, "content-type: text/event-stream\r\ncontent-encoding: br\r\n"),
            (500, "content-type: text/html\r\ncontent-encoding: gzip\r\n"),
            (206, "content-type: application/json\r\n"),
            (200, "content-type: application/json\r\ncontent-range: bytes 1-2/9\r\n"),
            (200, "content-type: application/json; charset=utf-16\r\n"),
            (404, "content-type: application/json; charset=utf-7\r\n"),
            (200, "content-type: text/plain\r\n"),
            (200, "content-type: application/x-ndjson\r\n"),
            (200, "content-length: 3\r\n"),
            (200, ""),
        ] {
            assert!(judged(status, fields, true).is_err(), "{status} {fields}");
        }
    }

    #[test]
    fn only_what_plainly_is_something_else_counts_as_text() {
        for text in ["Accepted", "<html>", "  Not found", "2020-01-01T00:00:00", "", " \n", "\"x\""] {
            assert!(!may_be_json(text.as_bytes()), "{text}");
        }
        for text in ["{", " [", "\n\t{}", "\u{feff}{}", "\u{0}{}", "\u{a0}["] {
            assert!(may_be_json(text.as_bytes()), "{text}");
        }
    }
}
