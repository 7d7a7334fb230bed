//! Writing heads: into a vector that its owner reuses, so that nothing is allocated once it has grown.

use std::ops::Range;

use super::fields::{Fields, Header};

/// The reason phrase of a status code; empty if it has none we know.
pub fn reason(status: u16) -> &'static str {
    let line = status_line(status).unwrap_or_default();
    // "HTTP/1.1 200 " comes before it and CR LF after it.
    line.get(13..line.len().saturating_sub(2)).unwrap_or_default()
}

/// The lines that keep a browser from taking an answer for a page: what it is is what `content-type` says (Fetch,
/// `nosniff`), and a document that is made of it all the same runs nothing and belongs to no origin (CSP, `sandbox`).
macro_rules! guard {
    () => {
        "x-content-type-options: nosniff\r\ncontent-security-policy: default-src 'none'; sandbox\r\n"
    };
}

macro_rules! status_lines {
    ($($code:literal $reason:literal,)*) => {
        /// The whole status line of a common status code, with CR LF.
        pub fn status_line(status: u16) -> Option<&'static str> {
            match status {
                $($code => Some(concat!("HTTP/1.1 ", $code, " ", $reason, "\r\n")),)*
                _ => None,
            }
        }

        /// The same with the lines that every answer of the gateway has, in one piece.
        fn guarded_line(status: u16) -> Option<&'static str> {
            match status {
                $($code => Some(concat!("HTTP/1.1 ", $code, " ", $reason, "\r\n", guard!())),)*
                _ => None,
            }
        }
    };
}

status_lines! {
    100 "Continue",
    103 "Early Hints",
    200 "OK",
    201 "Created",
    202 "Accepted",
    204 "No Content",
    206 "Partial Content",
    301 "Moved Permanently",
    302 "Found",
    303 "See Other",
    304 "Not Modified",
    307 "Temporary Redirect",
    308 "Permanent Redirect",
    400 "Bad Request",
    401 "Unauthorized",
    403 "Forbidden",
    404 "Not Found",
    405 "Method Not Allowed",
    406 "Not Acceptable",
    408 "Request Timeout",
    409 "Conflict",
    410 "Gone",
    411 "Length Required",
    413 "Content Too Large",
    414 "URI Too Long",
    415 "Unsupported Media Type",
    417 "Expectation Failed",
    421 "Misdirected Request",
    422 "Unprocessable Content",
    425 "Too Early",
    426 "Upgrade Required",
    428 "Precondition Required",
    429 "Too Many Requests",
    431 "Request Header Fields Too Large",
    499 "Client Closed Request",
    500 "Internal Server Error",
    501 "Not Implemented",
    502 "Bad Gateway",
    503 "Service Unavailable",
    504 "Gateway Timeout",
    505 "HTTP Version Not Supported",
}

/// The interim response that lets a waiting client send its body.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Appends a status line.
pub fn push_status_line(out: &mut Vec<u8>, status: u16) {
    match status_line(status) {
        Some(line) => out.extend_from_slice(line.as_bytes()),
        None => {
            out.extend_from_slice(b"HTTP/1.1 ");
            out.extend_from_slice(Decimal::from(u64::from(status)).as_bytes());
            out.extend_from_slice(b" \r\n");
        }
    }
}

/// Appends the status line of an answer to somebody who may be a browser, and the lines that guard it.
pub fn push_guarded_line(out: &mut Vec<u8>, status: u16) {
    match guarded_line(status) {
        Some(lines) => out.extend_from_slice(lines.as_bytes()),
        None => {
            push_status_line(out, status);
            out.extend_from_slice(guard!().as_bytes());
        }
    }
}

/// Appends a request line. The parts come from a parsed head or from the config: nothing is escaped.
pub fn push_request_line(out: &mut Vec<u8>, method: &[u8], path: &[u8], query: Option<&[u8]>) {
    out.extend_from_slice(method);
    out.push(b' ');
    out.extend_from_slice(path);
    if let Some(query) = query {
        out.push(b'?');
        out.extend_from_slice(query);
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

/// Appends a header field. Name and value come from a parsed head or are our own: nothing is escaped, and
/// neither may hold a line break.
pub fn push_header(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    debug_assert!(memchr::memchr2(b'\r', b'\n', value).is_none(), "a header value with a line break");
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Writes `content-length` with this number.
pub fn push_content_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"content-length: ");
    out.extend_from_slice(Decimal::from(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Copies header lines of a head that was read: those that stand side by side, and as they would be written, in one go.
pub struct Lines<'o, 'b> {
    out: &'o mut Vec<u8>,
    head: &'b [u8],
    /// What is still to be copied of the head.
    run: Range<usize>,
}

impl<'o, 'b> Lines<'o, 'b> {
    /// Copies from the head of these fields to `out`.
    #[inline]
    pub fn new(out: &'o mut Vec<u8>, fields: &Fields<'b>) -> Self {
        Self { out, head: fields.head(), run: 0..0 }
    }

    /// Copies a field, which is one of these fields.
    #[inline]
    pub fn copy(&mut self, field: &Header<'b>) {
        let start = (field.name.as_ptr() as usize).wrapping_sub(self.head.as_ptr() as usize);
        let value = start + field.name.len() + 2;
        let end = value + field.value.len();
        let in_place =
            field.value.is_empty() || field.value.as_ptr() as usize == self.head.as_ptr() as usize + value;
        let as_written = in_place
            && self.head.get(value - 2..value) == Some(b": ")
            && self.head.get(end..end + 2) == Some(b"\r\n");
        if !as_written {
            return push_header(self.out(), field.name, field.value);
        }
        if self.run.end != start {
            self.flush();
            self.run.start = start;
        }
        self.run.end = end + 2;
    }

    /// Where lines of one's own may be written.
    pub fn out(&mut self) -> &mut Vec<u8> {
        self.flush();
        self.out
    }

    fn flush(&mut self) {
        self.out.extend_from_slice(&self.head[self.run.clone()]);
        self.run = 0..0;
    }
}

impl Drop for Lines<'_, '_> {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Appends the empty line that ends a head.
pub fn push_end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}

/// A number written in decimal digits, on the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    digits: [u8; 20],
    start: u8,
}

impl From<u64> for Decimal {
    fn from(number: u64) -> Self {
        let mut digits = [b'0'; 20];
        let (mut start, mut left) = (digits.len(), number);
        loop {
            start -= 1;
            digits[start] = b'0' + (left % 10) as u8;
            left /= 10;
            if left == 0 {
                return Self { digits, start: start as u8 };
            }
        }
    }
}

impl Decimal {
    /// The digits, without leading zeros.
    pub fn as_bytes(&self) -> &[u8] {
        &self.digits[usize::from(self.start)..]
    }

    /// The digits as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_standard_library_writes_them() {
        for number in [0, 1, 9, 10, 99, 100, 12_345, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            assert_eq!(Decimal::from(number).as_str(), number.to_string());
        }
    }

    #[test]
    fn heads_are_written() {
        let mut out = Vec::new();
        push_status_line(&mut out, 429);
        push_header(&mut out, b"retry-after", b"3");
        push_content_length(&mut out, 0);
        push_end(&mut out);
        assert_eq!(out, b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 3\r\ncontent-length: 0\r\n\r\n");
        for (status, line) in [(200, "HTTP/1.1 200 OK\r\n"), (299, "HTTP/1.1 299 \r\n")] {
            out.clear();
            push_guarded_line(&mut out, status);
            assert_eq!(out, [line, guard!()].concat().as_bytes());
        }
        out.clear();
        push_request_line(&mut out, b"POST", b"/mcp", Some(b"a=b"));
        assert_eq!(out, b"POST /mcp?a=b HTTP/1.1\r\n");
        out.clear();
        push_request_line(&mut out, b"GET", b"/mcp", None);
        push_status_line(&mut out, 299);
        assert_eq!(out, b"GET /mcp HTTP/1.1\r\nHTTP/1.1 299 \r\n");
    }

    #[test]
    fn copied_lines_are_those_that_would_be_written() {
        let lines = b"GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nSkip: 3\r\nC:4\r\nD:  5\r\nE: 6 \r\nF: \r\nG:\r\nH:\t7\r\nI: 8\r\n\r\n";
        let limits = crate::wire::http1::HeadLimits::default();
        let scan = &mut crate::wire::http1::HeadScan::new();
        let head = crate::wire::http1::parse_request_head(lines, &limits, scan);
        let fields = head.ok().and_then(crate::wire::http1::Parsed::complete).map(|head| head.fields);
        let Some(fields) = fields else { panic!("not read") };
        let (mut copied, mut written) = (b"first\r\n".to_vec(), b"first\r\n".to_vec());
        let mut lines = Lines::new(&mut copied, &fields);
        for field in fields.iter().filter(|field| field.name != b"Skip") {
            lines.copy(&field);
            push_header(&mut written, field.name, field.value);
            if field.name == b"I" {
                push_header(lines.out(), b"own", b"9");
                push_header(&mut written, b"own", b"9");
            }
        }
        drop(lines);
        assert_eq!(copied.escape_ascii().to_string(), written.escape_ascii().to_string());
    }

    #[test]
    fn reasons_come_from_the_same_table() {
        assert_eq!(reason(200), "OK");
        assert_eq!(reason(431), "Request Header Fields Too Large");
        assert_eq!(reason(299), "");
        for error in super::super::HeadError::ALL {
            assert!(!reason(error.status()).is_empty(), "{error:?}");
        }
    }
}
