//! Which answers of a server reach a client. All servers share the gateway's origin, and none may speak for it: no answer
//! leads elsewhere, asks for a credential, or can be taken for a page.

use crate::base::restraint::cut;
use crate::config::snapshot::Transport;
use crate::proxy::exchange::{Exchange, Failure, TOKEN_REFUSED};
use crate::telemetry::Kind;
use crate::wire::http1::{HeaderId, ResponseFraming, ResponseHead, media_type};
use crate::wire::mcp::is_utf8;

/// Why an answer does not reach the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It leads elsewhere: 3xx.
    Redirect,
    /// It asks for a credential: 401 or 407.
    Challenge,
    /// It is a part of a body, though none was asked for.
    Part,
    /// It is a success of a media type that is not MCP's.
    Media,
    /// It is an error, and its body is of another media type: the status is passed on without it.
    Page,
}

impl Unfit {
    /// Word for the restraint of its log line.
    fn label(self) -> &'static str {
        match self {
            Self::Redirect => "redirect",
            Self::Challenge => "challenge",
            Self::Part => "part",
            Self::Media => "media",
            Self::Page => "page",
        }
    }
}

/// Whether the server says what the body of its answer is, if there is one. If it is successful, its client awaits a
/// message in it, or only that it came.
///
/// # Errors
/// The answer must not reach the client as it is.
#[inline]
pub fn judge(head: &ResponseHead<'_>, awaits_message: bool) -> Result<bool, Unfit> {
    match head.status {
        300..=399 => return Err(Unfit::Redirect),
        401 | 407 => return Err(Unfit::Challenge),
        206 => return Err(Unfit::Part),
        _ => {}
    }
    if head.framing == ResponseFraming::None {
        return Ok(true);
    }
    if head.fields.present().contains(HeaderId::ContentRange) {
        return Err(Unfit::Part);
    }
    let Some(media) = head.get(HeaderId::ContentType) else { return Ok(false) };
    if matches!(media, b"application/json" | b"text/event-stream") {
        return Ok(true);
    }
    // Errors, acknowledgements, and the ends of sessions: nobody reads them as messages.
    let is_text = head.status >= 400 || head.status == 202 || !awaits_message;
    match media_type(media) {
        kind if is_utf8(media) && kind.eq_ignore_ascii_case(b"application/json") => Ok(true),
        kind if is_utf8(media) && kind.eq_ignore_ascii_case(b"text/event-stream") => Ok(true),
        media if is_text && media.eq_ignore_ascii_case(b"text/plain") => Ok(true),
        _ if head.status >= 400 => Err(Unfit::Page),
        _ => Err(Unfit::Media),
    }
}

/// Whether the answer is an event stream of the HTTP+SSE transport, whose `endpoint` event is rewritten.
///
/// # Errors
/// It is a stream that cannot be read: to a client of that transport it could name any endpoint.
pub fn check_stream(exchange: &Exchange<'_>, head: &ResponseHead<'_>) -> Result<bool, &'static str> {
    let is_older = matches!(exchange.server().transport, Transport::Sse { .. });
    if exchange.forward.kind == Kind::Stream && !head.event_stream {
        let media = head.get(HeaderId::ContentType).map_or(&b""[..], media_type);
        if media.eq_ignore_ascii_case(b"text/event-stream") {
            return Err("its event stream is coded, and cannot be read");
        }
        if is_older && head.status == 200 {
            return Err("the stream of the HTTP+SSE transport is no event stream");
        }
    }
    let names_endpoint = is_older && head.event_stream;
    if names_endpoint && matches!(head.framing, ResponseFraming::Length(_)) {
        return Err("an event stream of the HTTP+SSE transport with a Content-Length");
    }
    Ok(names_endpoint)
}

/// Characters that are logged of what a server says.
const LOGGED_CHARS_MAX: usize = 200;

/// Says in the log what the client is not told, and what it is told.
#[cold]
pub fn explain(exchange: &Exchange<'_>, head: &ResponseHead<'_>, unfit: Unfit) -> Failure {
    let shown = |id| head.get(id).map(|value| value.escape_ascii().to_string()).unwrap_or_default();
    let (what, fix) = match unfit {
        Unfit::Redirect => {
            // A query may hold a secret.
            let target = shown(HeaderId::Location);
            (
                target.split(['?', '#']).next().unwrap_or_default().to_owned(),
                "set `url` to where the server is served, as it is there",
            )
        }
        Unfit::Challenge => (
            String::new(),
            "give the server what it wants with `credentials`, `headers` or `tls.certificate`",
        ),
        Unfit::Part => (shown(HeaderId::ContentRange), "the server must send whole answers"),
        Unfit::Media | Unfit::Page => {
            (shown(HeaderId::ContentType), "see that `url` leads to an MCP endpoint, and not to a web page")
        }
    };
    let (worker, id) = (exchange.worker, exchange.forward.server.0);
    if let Some(kept_back) = worker.restraints.may_speak(unfit.label(), Some(id), worker.recently()) {
        let (server, endpoint) =
            (&exchange.server().name, &exchange.server().endpoints[exchange.forward.endpoint]);
        tracing::warn!(
            %server,
            status = head.status,
            url = %format_args!("{}{}", endpoint.authority, endpoint.target),
            location = cut(if unfit == Unfit::Redirect { &what } else { "" }, LOGGED_CHARS_MAX),
            content_type = cut(if unfit == Unfit::Redirect { "" } else { &what }, LOGGED_CHARS_MAX),
            fix,
            kept_back,
            "an answer of the server is not passed on"
        );
    }
    match unfit {
        Unfit::Redirect => Failure::Malformed("it leads elsewhere, and MCP has no redirects"),
        Unfit::Challenge => Failure::Malformed(TOKEN_REFUSED),
        Unfit::Part => Failure::Malformed("it is a part of a body, and nobody asked for one"),
        Unfit::Media => Failure::Malformed("its content type is neither JSON nor an event stream"),
        Unfit::Page => Failure::Page(head.status),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wire::http1::{HeadLimits, HeadScan, Method, Parsed, parse_response_head};

    fn judged(status: u16, fields: &str, awaits_message: bool) -> Result<bool, Unfit> {
        let head = format!("HTTP/1.1 {status} X\r\n{fields}\r\n");
        let parsed =
            parse_response_head(head.as_bytes(), Method::Post, &HeadLimits::default(), &mut HeadScan::new());
        let Parsed::Complete(head) = parsed.unwrap() else { panic!("a whole head") };
        judge(&head, awaits_message)
    }

    #[test]
    fn only_what_mcp_knows_reaches_a_client() {
        const LINES: [&str; 12] = [
            "content-type: text/event-stream; charset=utf-16\r\n",
            "content-type: application/json;charset=\"iso-8859-1\"\r\n",
            "content-type: application/json\r\n",
            "content-type: Application/JSON; charset=utf-8\r\n",
            "content-type: text/event-stream\r\n",
            "content-type: text/event-stream;charset=utf-8\r\ncontent-encoding: gzip\r\n",
            "content-type: text/plain; charset=utf-8\r\n",
            "content-type: text/html\r\n",
            "content-type: image/svg+xml\r\n",
            "content-type: application/xhtml+xml\r\n",
            "content-type: application/json, text/html\r\n",
            "",
        ];
        let (yes, untyped, media, page) = (Ok(true), Ok(false), Err(Unfit::Media), Err(Unfit::Page));
        for (status, awaits_message, expected) in [
            (200, true, [media, media, yes, yes, yes, yes, media, media, media, media, media, untyped]),
            (200, false, [media, media, yes, yes, yes, yes, yes, media, media, media, media, untyped]),
            (202, true, [media, media, yes, yes, yes, yes, yes, media, media, media, media, untyped]),
            (404, true, [page, page, yes, yes, yes, yes, yes, page, page, page, page, untyped]),
            (500, false, [page, page, yes, yes, yes, yes, yes, page, page, page, page, untyped]),
        ] {
            let got = LINES.map(|lines| judged(status, lines, awaits_message));
            assert_eq!(got, expected, "{status} {awaits_message}");
            // Without a body there is nothing that could be taken for something else.
            for lines in LINES {
                assert_eq!(judged(status, &format!("{lines}content-length: 0\r\n"), awaits_message), yes);
            }
        }
    }

    #[test]
    fn what_leads_elsewhere_or_asks_for_a_credential_does_not_even_without_a_body() {
        for (status, unfit) in (300..400).map(|status| (status, Unfit::Redirect)).chain([
            (401, Unfit::Challenge),
            (407, Unfit::Challenge),
            (206, Unfit::Part),
        ]) {
            for lines in ["content-length: 0\r\n", "content-type: application/json\r\n"] {
                assert_eq!(judged(status, lines, true), Err(unfit), "{status}");
            }
        }
        let part = "content-type: application/json\r\ncontent-range: bytes 1-2/9\r\n";
        assert_eq!(judged(200, part, true), Err(Unfit::Part));
    }
}
