#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::wire::http1::request::carefully as request_carefully;
use crate::wire::http1::response::carefully as response_carefully;
use crate::wire::http1::{HeadScan, Method, parse_request_head, parse_response_head};

const LIMITS: HeadLimits = HeadLimits { head_bytes: 1024, target_bytes: 100, headers: 6 };

/// Whether the short way took it, once it is sure that the careful way says the same.
fn check_request(bytes: &[u8]) -> bool {
    let both = parse_request_head(bytes, &LIMITS, &mut HeadScan::new());
    // Only who comes the whole way skips an empty line.
    if !bytes.starts_with(b"\r\n") && bytes.first().is_some_and(|byte| !byte.is_ascii_whitespace()) {
        let window = LIMITS.window(bytes);
        let alone = request_carefully(window, 0, &LIMITS, &mut HeadScan::new());
        assert_eq!(format!("{both:?}"), format!("{alone:?}"), "{}", bytes.escape_ascii());
    }
    request(LIMITS.window(bytes), &LIMITS, &mut Fields::new(bytes)).is_some()
}

fn check_response(bytes: &[u8]) -> bool {
    let both = parse_response_head(bytes, Method::Post, &LIMITS, &mut HeadScan::new());
    let window = LIMITS.window(bytes);
    if window.first() == Some(&b'H') {
        let alone = response_carefully(window, Method::Post, &LIMITS, &mut HeadScan::new());
        assert_eq!(format!("{both:?}"), format!("{alone:?}"), "{}", bytes.escape_ascii());
    }
    response(window, &LIMITS, &mut Fields::new(bytes)).is_some()
}

const REQUEST: &[u8] =
    b"POST /a/mcp?x=y HTTP/1.1\r\nHost: a.example:80\r\nAccept: application/json, text/event-stream\r\n\
    X-Team-Key:  a b \r\nMcp-Param-Region:\r\nContent-Length: 12\r\n\r\n{\"jsonrpc\":1";
const RESPONSE: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\ncontent-length: 3\r\nX-A:b:c\r\n\r\nabc";

#[test]
fn usual_heads_take_the_short_way() {
    assert!(check_request(REQUEST) && check_response(RESPONSE));
    assert!(check_request(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"), "it ends right behind the head");
    assert!(check_request(b"DELETE /a HTTP/1.1\r\nhost: a\r\n\r\n"));
    assert!(
        !check_request(b"PATCH /a HTTP/1.0\r\nhost: a\r\n\r\n")
            && !check_response(b"HTTP/1.0 200 OK\r\n\r\n")
    );
}

#[test]
fn one_other_byte_anywhere_is_read_the_same_both_ways() {
    for (head, check) in [(REQUEST, check_request as fn(&[u8]) -> bool), (RESPONSE, check_response)] {
        for (at, byte) in (0..head.len()).flat_map(|at| (0..=u8::MAX).map(move |byte| (at, byte))) {
            let mut other = head.to_vec();
            other[at] = byte;
            check(&other);
        }
    }
}

#[test]
fn a_head_that_is_cut_or_has_a_byte_too_many_is_read_the_same_both_ways() {
    for (head, check) in [(REQUEST, check_request as fn(&[u8]) -> bool), (RESPONSE, check_response)] {
        for at in 0..head.len() {
            check(&head[..at]);
            for byte in *b"\r\n\t :_-aZ0\0\x7f\x80,%?" {
                check(&[&head[..at], &[byte], &head[at..]].concat());
            }
        }
    }
}

#[test]
fn the_bounds_are_those_of_the_careful_way() {
    for count in 4..9 {
        let lines = "a-line: of it\r\n".repeat(count - 1);
        let taken = check_request(format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n").as_bytes());
        assert_eq!(taken, count <= LIMITS.headers);
        check_response(format!("HTTP/1.1 200 OK\r\n{lines}{lines}\r\n").as_bytes());
    }
    for length in [30, 31, 32, 33, 254, 255, 256] {
        let name = "n".repeat(length);
        let taken = check_request(format!("GET / HTTP/1.1\r\nHost: a\r\n{name}: 1\r\n\r\n").as_bytes());
        assert_eq!(taken, length < GLANCE);
    }
    for length in [98, 99, 100, 101, 2000] {
        check_request(format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "p".repeat(length)).as_bytes());
    }
    for length in 900..1100 {
        check_request(
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\nbody", "v".repeat(length)).as_bytes(),
        );
    }
}

fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(
        &[
            "POST ",
            "GET ",
            "/mcp",
            " ",
            "HTTP/1.1",
            " HTTP/1.1\r\n",
            "\r\n",
            "\r\n\r\n",
            "\r",
            "\n",
            "HTTP/1.1 200 OK\r\n",
            "Host: a\r\n",
            "host:b\r\n",
            "Content-Length: 5\r\n",
            "Transfer-Encoding: chunked\r\n",
            "X-Other:\tq \t\r\n",
            "Connection: close\r\n",
            "content_length: 1\r\n",
            "Authorization: Bearer abc.def\r\n",
            ": x\r\n",
            " folded\r\n",
            "X-Forwarded-For: 1\r\n",
            "mcp-param-q r: 1\r\n",
            "Accept: */*\r\n",
            "a: \u{e9}\r\n",
            "?q=1",
            "*",
            "http://a/",
        ][..],
    )
}

proptest! {
    #[test]
    fn whatever_pieces_are_put_together_both_ways_read_the_same(pieces in prop::collection::vec(piece(), 0..12)) {
        let text = pieces.concat();
        check_request(text.as_bytes());
        check_request(format!("POST /mcp HTTP/1.1\r\nHost: a\r\n{text}\r\n\r\n").as_bytes());
        check_response(text.as_bytes());
        check_response(format!("HTTP/1.1 202 Accepted\r\n{text}\r\n\r\n").as_bytes());
    }
}
