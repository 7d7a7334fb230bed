//! As much HTTP/1.1 as the mock needs: one request out of a buffer.

use std::borrow::Cow;

/// What the mock wants to know of a request.
#[derive(Debug)]
pub struct Request<'a> {
    /// What is asked for.
    pub method: Method,
    /// The MCP revision in the head is one without sessions (2026-07-28 or later).
    pub modern: bool,
    /// The connection stays open after the answer.
    pub keep_alive: bool,
    /// The body, out of its chunks.
    pub body: Cow<'a, [u8]>,
}

/// The HTTP methods that MCP uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// A message to the server.
    Post,
    /// A stream of the server's own messages.
    Get,
    /// The end of a session.
    Delete,
    /// Anything else.
    Other,
}

/// The outcome of looking at a buffer.
#[derive(Debug)]
pub enum Parsed<'a> {
    /// A request, and how many bytes of the buffer it takes.
    Complete(Request<'a>, usize),
    /// More is needed; looking again is of no use below this length.
    Partial(usize),
    /// Not HTTP that the mock understands.
    Invalid,
}

/// Reads one request from the start of `input`.
pub fn parse(input: &[u8]) -> Parsed<'_> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let head_bytes = match head.parse(input) {
        Ok(httparse::Status::Complete(bytes)) => bytes,
        Ok(httparse::Status::Partial) if input.len() < HEAD_BYTES_MAX => {
            return Parsed::Partial(input.len() + 1);
        }
        _ => return Parsed::Invalid,
    };
    let method = match head.method {
        Some("POST") => Method::Post,
        Some("GET") => Method::Get,
        Some("DELETE") => Method::Delete,
        _ => Method::Other,
    };
    let mut length = 0usize;
    let mut chunked = false;
    let mut modern = false;
    let mut keep_alive = head.version == Some(1);
    for header in head.headers.iter() {
        let name = header.name;
        match name.len() {
            10 if name.eq_ignore_ascii_case("connection") => {
                keep_alive &= !header.value.eq_ignore_ascii_case(b"close");
            }
            14 if name.eq_ignore_ascii_case("content-length") => match decimal(header.value) {
                Some(value) => length = value,
                None => return Parsed::Invalid,
            },
            17 if name.eq_ignore_ascii_case("transfer-encoding") => chunked = true,
            20 if name.eq_ignore_ascii_case("mcp-protocol-version") => {
                modern = header.value >= FIRST_MODERN_REVISION;
            }
            _ => {}
        }
    }
    let (body, bytes) = if chunked {
        match unchunk(&input[head_bytes..]) {
            Unchunked::Whole(body, bytes) => (Cow::Owned(body), head_bytes + bytes),
            Unchunked::Partial => return Parsed::Partial(input.len() + 1),
            Unchunked::Invalid => return Parsed::Invalid,
        }
    } else if input.len() < head_bytes + length {
        return Parsed::Partial(head_bytes + length);
    } else {
        (Cow::Borrowed(&input[head_bytes..head_bytes + length]), head_bytes + length)
    };
    Parsed::Complete(Request { method, modern, keep_alive, body }, bytes)
}

enum Unchunked {
    Whole(Vec<u8>, usize),
    Partial,
    Invalid,
}

fn unchunk(input: &[u8]) -> Unchunked {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        match httparse::parse_chunk_size(&input[at..]) {
            Ok(httparse::Status::Complete((line, size))) => {
                let size = size as usize;
                let start = at + line;
                if size == 0 {
                    // Trailers are not read: clients of the bench send none.
                    let whole = input.len() >= start + 2;
                    return if whole { Unchunked::Whole(body, start + 2) } else { Unchunked::Partial };
                }
                if size > BODY_BYTES_MAX {
                    return Unchunked::Invalid;
                }
                let Some(chunk) = input.get(start..start + size) else {
                    return Unchunked::Partial;
                };
                body.extend_from_slice(chunk);
                at = start + size + 2;
                if at > input.len() {
                    return Unchunked::Partial;
                }
            }
            Ok(httparse::Status::Partial) => return Unchunked::Partial,
            Err(_) => return Unchunked::Invalid,
        }
    }
}

fn decimal(text: &[u8]) -> Option<usize> {
    let value: usize = std::str::from_utf8(text).ok()?.trim().parse().ok()?;
    (value <= BODY_BYTES_MAX).then_some(value)
}

const HEADERS_MAX: usize = 48;
const HEAD_BYTES_MAX: usize = 64 * 1024;
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
const FIRST_MODERN_REVISION: &[u8] = b"2026-07-28";

#[cfg(test)]
mod tests {
    use super::{Method, Parsed, parse};

    fn whole(input: &str) -> (Method, Vec<u8>, bool, usize) {
        match parse(input.as_bytes()) {
            Parsed::Complete(request, bytes) => {
                (request.method, request.body.into_owned(), request.modern, bytes)
            }
            other => panic!("{other:?} of {input}"),
        }
    }

    #[test]
    fn a_request_ends_where_its_length_says() {
        let one = "POST /mcp HTTP/1.1\r\nContent-Length: 2\r\nMCP-Protocol-Version: 2026-07-28\r\n\r\n{}";
        let (method, body, modern, bytes) = whole(&format!("{one}POST /"));
        assert_eq!((method, body.as_slice(), modern, bytes), (Method::Post, &b"{}"[..], true, one.len()));
    }

    #[test]
    fn chunks_are_joined() {
        let one = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        let (_, body, modern, bytes) = whole(one);
        assert_eq!((body.as_slice(), modern, bytes), (&b"abcde"[..], false, one.len()));
    }

    #[test]
    fn every_shorter_input_is_partial() {
        let fixed = "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}";
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        for one in [fixed, chunked] {
            for end in 0..one.len() {
                let outcome = parse(&one.as_bytes()[..end]);
                assert!(matches!(outcome, Parsed::Partial(needed) if needed > end && needed <= one.len()));
            }
        }
    }

    #[test]
    fn nonsense_is_invalid() {
        for input in ["\0\0\0", "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"] {
            assert!(matches!(parse(input.as_bytes()), Parsed::Invalid));
        }
    }
}
