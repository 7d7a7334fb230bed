//! The head of a response: its status and the few headers that matter here.

use super::HttpFault;

/// What kind of body a response announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Media {
    /// `application/json`.
    Json,
    /// `text/event-stream`.
    EventStream,
    /// Anything else, or nothing said.
    #[default]
    Other,
}

/// The facts of a response head that the load generator needs.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// The status code, 100 to 999.
    pub status: u16,
    /// `Content-Length`, when given.
    pub length: Option<u64>,
    /// The kind of body.
    pub media: Media,
    /// Whether the connection may carry another request.
    pub keep_alive: bool,
    /// The value of `Mcp-Session-Id`; empty when absent.
    pub session: Vec<u8>,
    pub(super) chunked: bool,
}

/// Reads a complete head, blank line included, into `head`, reusing its memory.
pub(super) fn parse_head(bytes: &[u8], head: &mut Head) -> Result<(), HttpFault> {
    let (version_minor, status) = parse_status_line(bytes)?;
    head.status = status;
    head.length = None;
    head.media = Media::Other;
    head.keep_alive = version_minor == b'1';
    head.session.clear();
    head.chunked = false;

    let mut rest = &bytes[line_length(bytes)?..];
    while rest != b"\r\n" {
        let length = line_length(rest)?;
        parse_header(&rest[..length - 2], head)?;
        rest = &rest[length..];
    }
    Ok(())
}

/// The length of the first line with its CRLF; a line feed elsewhere is a fault.
fn line_length(bytes: &[u8]) -> Result<usize, HttpFault> {
    match memchr::memchr(b'\n', bytes) {
        Some(at) if at > 0 && bytes[at - 1] == b'\r' => Ok(at + 1),
        _ => Err(HttpFault::HeaderLine),
    }
}

fn parse_status_line(bytes: &[u8]) -> Result<(u8, u16), HttpFault> {
    let [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ (b'0' | b'1'), b' ', status @ ..] = bytes else {
        return Err(HttpFault::StatusLine);
    };
    let [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b' ' | b'\r', ..] = status else {
        return Err(HttpFault::StatusLine);
    };
    let digit = |byte: &u8| u16::from(byte - b'0');
    Ok((*minor, digit(a) * 100 + digit(b) * 10 + digit(c)))
}

fn parse_header(line: &[u8], head: &mut Head) -> Result<(), HttpFault> {
    let colon = memchr::memchr(b':', line).ok_or(HttpFault::HeaderLine)?;
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    if name.is_empty() || name.iter().any(|&byte| byte <= b' ' || byte == 0x7f) {
        return Err(HttpFault::HeaderLine);
    }
    if memchr::memchr2(0, b'\r', value).is_some() {
        return Err(HttpFault::HeaderLine);
    }
    match name.len() {
        10 if name.eq_ignore_ascii_case(b"connection") => {
            if has_token(value, b"close") {
                head.keep_alive = false;
            } else if has_token(value, b"keep-alive") {
                head.keep_alive = true;
            }
        }
        12 if name.eq_ignore_ascii_case(b"content-type") => head.media = media_of(value),
        14 if name.eq_ignore_ascii_case(b"content-length") => {
            let length = parse_length(value).ok_or(HttpFault::Framing)?;
            if head.length.replace(length).is_some() {
                return Err(HttpFault::Framing);
            }
        }
        14 if name.eq_ignore_ascii_case(b"mcp-session-id") => head.session.extend_from_slice(value),
        17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
            if head.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(HttpFault::Framing);
            }
            head.chunked = true;
        }
        _ => {}
    }
    Ok(())
}

fn parse_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(value.iter().fold(0, |sum, byte| sum * 10 + u64::from(byte - b'0')))
}

fn has_token(value: &[u8], token: &[u8]) -> bool {
    value.split(|&byte| byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(token))
}

fn media_of(value: &[u8]) -> Media {
    let essence = value.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    if essence.eq_ignore_ascii_case(b"application/json") {
        Media::Json
    } else if essence.eq_ignore_ascii_case(b"text/event-stream") {
        Media::EventStream
    } else {
        Media::Other
    }
}
