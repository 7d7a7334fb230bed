//! Request heads: strict RFC 9112 on the way in.

use super::error::HeadError;
use super::fields::{Fields, Header, tokens};
use super::framing::{content_length, has_transfer_encoding};
use super::header::{HeaderId, HeaderSet};
use super::plain;
use super::scan::{self, Found, HeadLimits, HeadScan, METHOD_BYTES_MAX, NO_RAW_HEADERS, fill};
use super::target::{Target, is_host};
use super::{Parsed, Version};

/// The head of a request that passed every check of framing.
#[derive(Clone, Debug)]
pub struct RequestHead<'b> {
    /// The method. CONNECT and TRACE were refused.
    pub method: Method,
    /// The method as sent.
    pub method_name: &'b [u8],
    /// The path: starts with `/`, or is `*` with OPTIONS. Not decoded, dot segments not removed.
    pub path: &'b [u8],
    /// What follows the first `?`, if there is one.
    pub query: Option<&'b [u8]>,
    /// Host and port: of the Host field, which equals that of an absolute target. None only with HTTP/1.0.
    pub host: Option<&'b [u8]>,
    /// The protocol version.
    pub version: Version,
    /// The header fields.
    pub fields: Fields<'b>,
    /// How the body is delimited.
    pub framing: BodyFraming,
    /// Whether the client lets the connection live on after the answer. Never with HTTP/1.0.
    pub keep_alive: bool,
    /// Whether the client waits for a `100 Continue` before it sends the body.
    pub expect_continue: bool,
    /// Whether an Upgrade field came along. Ignore it by dropping the field (RFC 9110 section 7.8); the
    /// message itself is plain HTTP/1.1. Some clients offer h2c with every first request.
    pub upgrade: bool,
    /// Length of the head in bytes, with the empty line: where the body starts.
    pub head_len: usize,
}

/// A request method (RFC 9110 section 9). Names are case-sensitive: `get` is [`Method::Other`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Method {
    Get,
    Post,
    Delete,
    Head,
    Options,
    Put,
    Patch,
    /// Any other; see [`RequestHead::method_name`].
    Other,
}

/// How the end of a request body is known (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFraming {
    /// There is no body.
    None,
    /// So many bytes. Not 0.
    Length(u64),
    /// Chunked transfer coding.
    Chunked,
}

impl Method {
    fn of(name: &[u8]) -> Result<Self, HeadError> {
        Ok(match name {
            b"POST" => Self::Post,
            b"GET" => Self::Get,
            b"DELETE" => Self::Delete,
            b"HEAD" => Self::Head,
            b"OPTIONS" => Self::Options,
            b"PUT" => Self::Put,
            b"PATCH" => Self::Patch,
            b"CONNECT" | b"TRACE" => return Err(HeadError::MethodRefused),
            _ if name.len() > METHOD_BYTES_MAX => return Err(HeadError::MethodTooLong),
            _ => Self::Other,
        })
    }
}

impl<'b> RequestHead<'b> {
    /// A head of which nothing was read yet.
    #[inline(always)]
    fn empty(head: &'b [u8]) -> Self {
        Self {
            method: Method::Other,
            method_name: b"",
            path: b"",
            query: None,
            host: None,
            version: Version::Http11,
            fields: Fields::new(head),
            framing: BodyFraming::None,
            keep_alive: false,
            expect_continue: false,
            upgrade: false,
            head_len: head.len(),
        }
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

/// Reads the request head at the start of `bytes`.
///
/// `bytes` starts where the message starts, on every call; `scan` is new for each message and makes
/// repeated calls cheap. One empty line before the request line is skipped (RFC 9112 section 2.2).
///
/// # Errors
/// The first fault of the head in the order of its bytes; then, of a head that is well-formed, the first
/// rule it breaks. The answer is the same however the bytes were cut into reads; but in pieces a fault may
/// be seen only with the end of the head.
pub fn parse_request_head<'b>(
    bytes: &'b [u8],
    limits: &HeadLimits,
    scan: &mut HeadScan,
) -> Result<Parsed<RequestHead<'b>>, HeadError> {
    let window = limits.window(bytes);
    let skip = if window.starts_with(b"\r\n") { 2 } else { 0 };
    match &window[skip..] {
        [] | [b'\r'] if skip == 0 || window.len() == 2 => return partial_or_full(window, limits),
        [b'\r' | b'\n' | b' ' | b'\t', ..] => return Err(HeadError::EmptyLines),
        _ => {}
    }
    if !scan.is_fresh() && scan.search(window) == Found::Nothing && !limits.is_full(window) {
        return line_fault(&window[skip..], limits).map_or(Ok(Parsed::Partial), Err);
    }
    if skip == 0 {
        let mut request = RequestHead::empty(window);
        if read_plain(window, limits, &mut request).is_some() {
            return Ok(Parsed::Complete(request));
        }
    }
    carefully(window, skip, limits, scan)
}

/// Reads a head that is written as nearly all are, and right.
#[inline(always)]
fn read_plain<'b>(window: &'b [u8], limits: &HeadLimits, request: &mut RequestHead<'b>) -> Option<()> {
    let plain = plain::request(window, limits, &mut request.fields)?;
    let method_len = match plain.line {
        [b'P', b'O', b'S', b'T', b' ', ..] => 4,
        [b'G', b'E', b'T', b' ', ..] => 3,
        [b'D', b'E', b'L', b'E', b'T', b'E', b' ', ..] => 6,
        _ => return None,
    };
    (request.method_name, request.path) = (&plain.line[..method_len], &plain.line[method_len + 1..]);
    if request.path.len() > limits.target_bytes {
        return None;
    }
    request.head_len = plain.head_len;
    request.fields.end_at(plain.head_len);
    judge(request).ok()
}

/// Reads any head, and says what is wrong with it.
#[cold]
#[inline(never)]
pub(super) fn carefully<'b>(
    window: &'b [u8],
    skip: usize,
    limits: &HeadLimits,
    scan: &mut HeadScan,
) -> Result<Parsed<RequestHead<'b>>, HeadError> {
    let mut raw = NO_RAW_HEADERS;
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(&window[skip..], &mut raw[..limits.headers()]) {
        Ok(httparse::Status::Complete(length)) => {
            let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
            else {
                return Err(HeadError::RequestLine);
            };
            let line = Line { method: method.as_bytes(), target: target.as_bytes(), minor };
            build(&window[..skip + length], &line, request.headers, limits)
        }
        Ok(httparse::Status::Partial) => incomplete(window, skip, limits, scan),
        Err(error) => Err(fault(window, skip, limits, error)),
    }
}

/// The request line as the tokenizer took it apart.
struct Line<'b> {
    method: &'b [u8],
    target: &'b [u8],
    minor: u8,
}

/// Judges a head that is well-formed.
#[inline(always)]
fn build<'b>(
    head: &'b [u8],
    line: &Line<'b>,
    raw: &[httparse::Header<'b>],
    limits: &HeadLimits,
) -> Result<Parsed<RequestHead<'b>>, HeadError> {
    if line.method.len() > METHOD_BYTES_MAX {
        return Err(HeadError::MethodTooLong);
    }
    if line.target.len() > limits.target_bytes {
        return Err(HeadError::TargetTooLong);
    }
    // Filled where it is returned from: a head is large, and each copy of it shows.
    let mut request = RequestHead {
        method_name: line.method,
        path: line.target,
        version: if line.minor == 0 { Version::Http10 } else { Version::Http11 },
        ..RequestHead::empty(head)
    };
    fill(&mut request.fields, head, raw)?;
    judge(&mut request)?;
    Ok(Parsed::Complete(request))
}

/// Applies the rules for a head whose lines are well-formed, and derives from it what they say.
fn judge(request: &mut RequestHead<'_>) -> Result<(), HeadError> {
    let version = request.version;
    request.method = Method::of(request.method_name)?;
    let target = Target::parse(request.path, request.method)?;
    check_names(&request.fields)?;
    let close = request.fields.read_connection()?;
    let fields = &request.fields;
    request.host = host(fields, &target, version)?;
    request.framing = framing(fields, version)?;
    let expects = expects_continue(fields)?;
    check_options(fields)?;
    request.upgrade = fields.present().contains(HeaderId::Upgrade);
    (request.path, request.query) = (target.path, target.query);
    request.keep_alive = version == Version::Http11 && !close;
    request.expect_continue = expects && version == Version::Http11 && request.framing != BodyFraming::None;
    Ok(())
}

/// Fields of which a second one would let two readers pick different values. (Host and the framing
/// fields have errors of their own; the MCP fields are judged together with the body.)
const SINGLETONS: HeaderSet =
    HeaderSet::of(&[HeaderId::Authorization, HeaderId::ContentType, HeaderId::Expect, HeaderId::Origin]);

fn check_names(fields: &Fields<'_>) -> Result<(), HeadError> {
    if fields.present().contains(HeaderId::Other)
        && fields.all(HeaderId::Other).any(|header| HeaderId::has_disguise(header.name))
    {
        return Err(HeadError::DisguisedHeader);
    }
    if !fields.repeated().common(SINGLETONS).is_empty() {
        return Err(HeadError::SingletonRepeated);
    }
    Ok(())
}

fn host<'b>(
    fields: &Fields<'b>,
    target: &Target<'b>,
    version: Version,
) -> Result<Option<&'b [u8]>, HeadError> {
    if fields.repeated().contains(HeaderId::Host) {
        return Err(HeadError::HostRepeated);
    }
    let Some(host) = fields.get(HeaderId::Host) else {
        return if version == Version::Http10 { Ok(target.authority) } else { Err(HeadError::HostMissing) };
    };
    if !is_host(host) {
        return Err(HeadError::HostInvalid);
    }
    if target.authority.is_some_and(|authority| !authority.eq_ignore_ascii_case(host)) {
        return Err(HeadError::HostMismatch);
    }
    Ok(Some(host))
}

fn framing(fields: &Fields<'_>, version: Version) -> Result<BodyFraming, HeadError> {
    if has_transfer_encoding(fields, version)? {
        return Ok(BodyFraming::Chunked);
    }
    Ok(match content_length(fields)? {
        None | Some(0) => BodyFraming::None,
        Some(length) => BodyFraming::Length(length),
    })
}

fn expects_continue(fields: &Fields<'_>) -> Result<bool, HeadError> {
    match fields.get(HeaderId::Expect) {
        None => Ok(false),
        Some(value) if value.eq_ignore_ascii_case(b"100-continue") => Ok(true),
        Some(_) => Err(HeadError::ExpectUnsupported),
    }
}

/// End-to-end fields that decide something. A client that names one in `Connection` wants it removed on
/// the way, after it was judged.
const GOVERNED: HeaderSet = HeaderSet::of(&[
    HeaderId::Host,
    HeaderId::ContentLength,
    HeaderId::ContentType,
    HeaderId::ContentEncoding,
    HeaderId::Accept,
    HeaderId::Origin,
    HeaderId::Authorization,
    HeaderId::Cookie,
    HeaderId::LastEventId,
    HeaderId::McpProtocolVersion,
    HeaderId::McpMethod,
    HeaderId::McpName,
    HeaderId::McpSessionId,
    HeaderId::McpParam,
    HeaderId::Mcp,
    HeaderId::Reserved,
]);

fn check_options(fields: &Fields<'_>) -> Result<(), HeadError> {
    if !fields.names_fields() {
        return Ok(());
    }
    let mut options = fields.all(HeaderId::Connection).flat_map(|field| tokens(field.value));
    if options.any(|option| GOVERNED.contains(HeaderId::of(option))) {
        return Err(HeadError::ConnectionNamesField);
    }
    Ok(())
}

#[cold]
fn incomplete<T>(
    window: &[u8],
    skip: usize,
    limits: &HeadLimits,
    scan: &mut HeadScan,
) -> Result<Parsed<T>, HeadError> {
    if let Some(fault) = line_fault(&window[skip..], limits) {
        return Err(fault);
    }
    match scan.search(window) {
        Found::Nothing => partial_or_full(window, limits),
        Found::BareLineFeed => Err(HeadError::BareLineFeed),
        // The tokenizer ends at the first empty line, so it cannot want more after one.
        Found::End => Err(HeadError::RequestLine),
    }
}

fn partial_or_full<T>(window: &[u8], limits: &HeadLimits) -> Result<Parsed<T>, HeadError> {
    if limits.is_full(window) { Err(HeadError::HeadTooLong) } else { Ok(Parsed::Partial) }
}

/// A method or a target that is too long, seen without the rest of its line.
fn line_fault(window: &[u8], limits: &HeadLimits) -> Option<HeadError> {
    let method_end = memchr::memchr(b' ', &window[..window.len().min(METHOD_BYTES_MAX + 1)]);
    let Some(method_end) = method_end else {
        let long =
            window.len() > METHOD_BYTES_MAX && window[..=METHOD_BYTES_MAX].iter().all(|&b| is_token(b));
        return long.then_some(HeadError::MethodTooLong);
    };
    let target = window[method_end + 1..].get(..=limits.target_bytes)?;
    let goes_on = |&byte: &u8| byte > b' ' && byte != 0x7F;
    let long = memchr::memchr(b' ', target).is_none() && target.iter().all(goes_on);
    (long && window[..method_end].iter().all(|&b| is_token(b))).then_some(HeadError::TargetTooLong)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cold]
fn fault(window: &[u8], skip: usize, limits: &HeadLimits, error: httparse::Error) -> HeadError {
    let message = &window[skip..];
    if let Some(fault) = line_fault(message, limits) {
        return fault;
    }
    let error = match error {
        httparse::Error::Version if names_a_version(message) => HeadError::Version,
        httparse::Error::Version => HeadError::RequestLine,
        other => scan::error_of(other),
    };
    scan::first_fault(message, error, |prefix| {
        let mut raw = NO_RAW_HEADERS;
        httparse::Request::new(&mut [])
            .parse_with_uninit_headers(prefix, &mut raw[..limits.headers()])
            .is_err()
    })
}

/// Whether the third word of the request line is some version of HTTP.
fn names_a_version(message: &[u8]) -> bool {
    let version = message.splitn(3, |&byte| byte == b' ').nth(2).unwrap_or_default();
    matches!(version, [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', ..])
}

#[cfg(test)]
mod tests;
