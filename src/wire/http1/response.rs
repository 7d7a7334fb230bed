//! Response heads from an upstream: the same strictness about framing as towards clients.

use std::time::Duration;

use super::error::HeadError;
use super::fields::{Fields, Header, media_type_is, tokens};
use super::framing::{content_length, decimal, has_transfer_encoding};
use super::header::HeaderId;
use super::plain;
use super::request::Method;
use super::scan::{self, Found, HeadLimits, HeadScan, NO_RAW_HEADERS, fill};
use super::{Parsed, Version};

/// The head of a response that passed every check of framing.
#[derive(Clone, Debug)]
pub struct ResponseHead<'b> {
    /// The status code, 100 to 599. 101 was refused.
    pub status: u16,
    /// The reason phrase; empty if it holds anything but ASCII.
    pub reason: &'b [u8],
    /// The protocol version.
    pub version: Version,
    /// The header fields.
    pub fields: Fields<'b>,
    /// How the body is delimited.
    pub framing: ResponseFraming,
    /// Whether the connection can carry another request once the body is over.
    pub keep_alive: bool,
    /// How long the upstream keeps an idle connection, if it says so (`Keep-Alive: timeout=5`).
    pub keep_alive_timeout: Option<Duration>,
    /// Whether the body is a stream of events that can be read as such: `text/event-stream` without a
    /// content coding.
    pub event_stream: bool,
    /// Length of the head in bytes, with the empty line: where the body starts.
    pub head_len: usize,
}

/// How the end of a response body is known (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseFraming {
    /// There is no body, whatever the fields say: to HEAD, and with 1xx, 204 and 304. Also of length 0.
    None,
    /// So many bytes. Not 0.
    Length(u64),
    /// Chunked transfer coding.
    Chunked,
    /// All until the connection ends. A cut cannot be told from the end.
    UntilClose,
}

impl<'b> ResponseHead<'b> {
    /// A head of which nothing was read yet.
    #[inline(always)]
    fn empty(head: &'b [u8]) -> Self {
        Self {
            status: 0,
            reason: b"",
            version: Version::Http11,
            fields: Fields::new(head),
            framing: ResponseFraming::None,
            keep_alive: false,
            keep_alive_timeout: None,
            event_stream: false,
            head_len: head.len(),
        }
    }

    /// Whether another head follows for the same request: 100, 102, 103 and the rest of 1xx.
    pub fn is_interim(&self) -> bool {
        self.status < 200
    }

    /// All header fields, in the order sent.
    pub fn headers(&self) -> impl Iterator<Item = Header<'b>> + '_ {
        self.fields.iter()
    }

    /// The value of the first field of this id; see [`Fields::get`].
    #[inline]
    pub fn get(&self, id: HeaderId) -> Option<&'b [u8]> {
        self.fields.get(id)
    }

    /// How often this id occurs.
    pub fn count(&self, id: HeaderId) -> usize {
        self.fields.count(id)
    }

    /// Whether a `Connection` field names `name`, which then must not be passed on.
    pub fn is_named_by_connection(&self, name: &[u8]) -> bool {
        self.fields.is_named_by_connection(name)
    }
}

/// Reads the response head at the start of `bytes`, the answer to a request with `method`.
///
/// `bytes` starts where the message starts, on every call; `scan` is new for each head, also for the one
/// after an interim one.
///
/// # Errors
/// As [`parse_request_head`](super::parse_request_head); the connection must be closed.
pub fn parse_response_head<'b>(
    bytes: &'b [u8],
    method: Method,
    limits: &HeadLimits,
    scan: &mut HeadScan,
) -> Result<Parsed<ResponseHead<'b>>, HeadError> {
    let window = limits.window(bytes);
    // Nothing may stand before the head: it would be left over from the answer before.
    if window.first().is_some_and(|&byte| byte != b'H') {
        return Err(HeadError::StatusLine);
    }
    if !scan.is_fresh() && scan.search(window) == Found::Nothing && !limits.is_full(window) {
        return Ok(Parsed::Partial);
    }
    let mut response = ResponseHead::empty(window);
    if read_plain(window, method, limits, &mut response).is_some() {
        return Ok(Parsed::Complete(response));
    }
    carefully(window, method, limits, scan)
}

/// Reads a head that is written as nearly all are, and right.
#[inline(always)]
fn read_plain<'b>(
    window: &'b [u8],
    method: Method,
    limits: &HeadLimits,
    response: &mut ResponseHead<'b>,
) -> Option<()> {
    let plain = plain::response(window, limits, &mut response.fields)?;
    (response.status, response.reason) = plain::status(plain.line)?;
    response.head_len = plain.head_len;
    response.fields.end_at(plain.head_len);
    judge(response, method).ok()
}

/// Reads any head, and says what is wrong with it.
#[cold]
#[inline(never)]
pub(super) fn carefully<'b>(
    window: &'b [u8],
    method: Method,
    limits: &HeadLimits,
    scan: &mut HeadScan,
) -> Result<Parsed<ResponseHead<'b>>, HeadError> {
    let mut raw = NO_RAW_HEADERS;
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        window,
        &mut raw[..limits.headers()],
    );
    match parsed {
        Ok(httparse::Status::Complete(length)) => {
            let (Some(status), Some(minor)) = (response.code, response.version) else {
                return Err(HeadError::StatusLine);
            };
            let line = Line { status, minor, reason: response.reason.unwrap_or_default().as_bytes() };
            build(&window[..length], &line, response.headers, method)
        }
        Ok(httparse::Status::Partial) => incomplete(window, limits, scan),
        Err(error) => Err(fault(window, limits, error)),
    }
}

/// The status line as the tokenizer took it apart.
struct Line<'b> {
    status: u16,
    minor: u8,
    reason: &'b [u8],
}

#[inline(always)]
fn build<'b>(
    head: &'b [u8],
    line: &Line<'b>,
    raw: &[httparse::Header<'b>],
    method: Method,
) -> Result<Parsed<ResponseHead<'b>>, HeadError> {
    let mut response = ResponseHead {
        status: line.status,
        reason: line.reason,
        version: if line.minor == 0 { Version::Http10 } else { Version::Http11 },
        ..ResponseHead::empty(head)
    };
    fill(&mut response.fields, head, raw)?;
    judge(&mut response, method)?;
    Ok(Parsed::Complete(response))
}

/// Applies the rules for a head whose lines are well-formed, and derives from it what they say.
fn judge(response: &mut ResponseHead<'_>, method: Method) -> Result<(), HeadError> {
    let close = response.fields.read_connection()?;
    let (status, version, fields) = (response.status, response.version, &response.fields);
    match status {
        101 => return Err(HeadError::SwitchingProtocols),
        100..=599 => {}
        _ => return Err(HeadError::StatusInvalid),
    }
    if fields.repeated().contains(HeaderId::ContentType) {
        return Err(HeadError::SingletonRepeated);
    }
    let chunked = has_transfer_encoding(fields, version)?;
    let length = content_length(fields)?;
    response.framing = match (status, chunked, length) {
        (100..=199 | 204 | 304, ..) => ResponseFraming::None,
        _ if method == Method::Head => ResponseFraming::None,
        (_, true, _) => ResponseFraming::Chunked,
        (_, _, Some(0)) => ResponseFraming::None,
        (_, _, Some(length)) => ResponseFraming::Length(length),
        (_, _, None) => ResponseFraming::UntilClose,
    };
    // A 1xx or 204 may not announce a body (RFC 9110 section 8.6). One that does may also send it, and
    // then the next answer would start in the middle of it.
    let lies = matches!(status, 100..=199 | 204) && (chunked || length.is_some_and(|length| length > 0));
    let delimited = response.framing != ResponseFraming::UntilClose && !lies;
    response.keep_alive = version == Version::Http11 && delimited && !close;
    response.keep_alive_timeout = fields.get(HeaderId::KeepAlive).and_then(idle_timeout);
    response.event_stream = is_event_stream(fields);
    Ok(())
}

/// The `timeout` parameter of a Keep-Alive field, in seconds, capped to a day. Nonsense is no promise.
fn idle_timeout(value: &[u8]) -> Option<Duration> {
    let seconds = tokens(value).find_map(|parameter| {
        let at = memchr::memchr(b'=', parameter)?;
        let (name, value) = (parameter[..at].trim_ascii(), parameter[at + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"timeout") { decimal(value) } else { None }
    })?;
    Some(Duration::from_secs(seconds.min(86_400)))
}

fn is_event_stream(fields: &Fields<'_>) -> bool {
    let plain = |coding: &[u8]| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity");
    fields.get(HeaderId::ContentType).is_some_and(|value| media_type_is(value, b"text/event-stream"))
        && fields.all(HeaderId::ContentEncoding).all(|field| plain(field.value))
}

#[cold]
fn incomplete<T>(window: &[u8], limits: &HeadLimits, scan: &mut HeadScan) -> Result<Parsed<T>, HeadError> {
    match scan.search(window) {
        Found::Nothing if limits.is_full(window) => Err(HeadError::HeadTooLong),
        Found::Nothing => Ok(Parsed::Partial),
        Found::BareLineFeed => Err(HeadError::BareLineFeed),
        // The tokenizer ends at the first empty line, so it cannot want more after one.
        Found::End => Err(HeadError::StatusLine),
    }
}

#[cold]
fn fault(window: &[u8], limits: &HeadLimits, error: httparse::Error) -> HeadError {
    let error = match error {
        httparse::Error::Version | httparse::Error::Status => HeadError::StatusLine,
        other => scan::error_of(other),
    };
    scan::first_fault(window, error, |prefix| {
        let (mut raw, mut response) = (NO_RAW_HEADERS, httparse::Response::new(&mut []));
        let config = httparse::ParserConfig::default();
        let raw = &mut raw[..limits.headers()];
        config.parse_response_with_uninit_headers(&mut response, prefix, raw).is_err()
    })
}

#[cfg(test)]
mod tests;
