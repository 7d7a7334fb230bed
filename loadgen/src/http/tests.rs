#![allow(clippy::unwrap_used)]
use super::*;

/// Everything a reader says about `parts`, one after another: heads' statuses and whole bodies.
fn read_all(parts: &[&[u8]]) -> Result<Vec<(u16, Vec<u8>)>, HttpFault> {
    let mut reader = ResponseReader::default();
    let (mut found, mut body) = (Vec::new(), Vec::new());
    for part in parts {
        let mut input = *part;
        loop {
            match reader.next(&mut input)? {
                Piece::NeedMore if input.is_empty() => break,
                Piece::NeedMore | Piece::Head => {}
                Piece::Body(piece) => body.extend_from_slice(piece),
                Piece::End => found.push((reader.head().status, std::mem::take(&mut body))),
            }
        }
    }
    if !reader.is_fresh() {
        found.push((0, body)); // marks a response still open
    }
    Ok(found)
}

/// Reads `bytes` whole and split at every byte, and expects the same each time.
fn check(bytes: &[u8], expected: &[(u16, &[u8])]) {
    let expected: Vec<_> = expected.iter().map(|(status, body)| (*status, body.to_vec())).collect();
    assert_eq!(read_all(&[bytes]).unwrap(), expected);
    for at in 0..=bytes.len() {
        assert_eq!(read_all(&[&bytes[..at], &bytes[at..]]).unwrap(), expected, "split at {at}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(read_all(&single).unwrap(), expected, "byte by byte");
}

fn check_fault(bytes: &[u8], fault: HttpFault) {
    assert_eq!(read_all(&[bytes]), Err(fault), "{}", String::from_utf8_lossy(bytes));
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(read_all(&single), Err(fault), "byte by byte");
}

#[test]
fn sized_bodies_follow_each_other() {
    check(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 202 Accepted\r\ncontent-length:0\r\n\r\n",
        &[(200, b"hello"), (202, b"")],
    );
}

#[test]
fn chunked_bodies_are_decoded_with_extensions_and_trailers() {
    check(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;a=b\r\nwiki\r\n0A\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
        &[(200, b"wiki0123456789")],
    );
}

#[test]
fn interim_responses_are_passed_over_and_bodiless_statuses_end_at_the_head() {
    check(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        &[(204, b"")],
    );
}

#[test]
fn a_body_without_framing_lasts_until_the_close() {
    let mut reader = ResponseReader::default();
    let mut input: &[u8] = b"HTTP/1.1 200 OK\r\n\r\nabc";
    assert_eq!(reader.next(&mut input), Ok(Piece::Head));
    assert!(!reader.head().keep_alive);
    assert_eq!(reader.next(&mut input), Ok(Piece::Body(b"abc")));
    assert!(reader.ends_by_close());
}

#[test]
fn a_whole_sized_body_is_one_borrowed_piece() {
    let mut reader = ResponseReader::default();
    let mut input: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: Application/JSON; charset=utf-8\r\nMcp-Session-Id: s1\r\nContent-Length: 2\r\n\r\n{}";
    assert_eq!(reader.next(&mut input), Ok(Piece::Head));
    let head = reader.head();
    assert_eq!((head.media, head.length, head.keep_alive), (Media::Json, Some(2), true));
    assert_eq!(head.session, b"s1");
    assert_eq!(reader.next(&mut input), Ok(Piece::Body(b"{}")));
    assert_eq!(reader.next(&mut input), Ok(Piece::End));
    assert!(reader.is_fresh());
}

#[test]
fn the_connection_header_and_the_version_decide_about_keep_alive() {
    for (head, keep_alive) in [
        ("HTTP/1.1 200 OK\r\n", true),
        ("HTTP/1.1 200 OK\r\nConnection: foo, Close\r\n", false),
        ("HTTP/1.0 200 OK\r\n", false),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", true),
    ] {
        let text = format!("{head}Content-Length: 1\r\n\r\nx");
        let mut reader = ResponseReader::default();
        reader.next(&mut text.as_bytes()).unwrap();
        assert_eq!(reader.head().keep_alive, keep_alive, "{head}");
    }
}

#[test]
fn broken_rules_are_named() {
    check_fault(b"HTTP/2 200 OK\r\n\r\n", HttpFault::StatusLine);
    check_fault(b"HTTP/1.1 2x0 OK\r\n\r\n", HttpFault::StatusLine);
    check_fault(b"HTTP/1.1 200 OK\nA: b\r\n\r\n", HttpFault::HeaderLine);
    check_fault(b"HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n", HttpFault::HeaderLine);
    check_fault(b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", HttpFault::HeaderLine);
    check_fault(b"HTTP/1.1 200 OK\r\n folded\r\n\r\n", HttpFault::HeaderLine);
    check_fault(b"HTTP/1.1 200 OK\r\nnothing\r\n\r\n", HttpFault::HeaderLine);
    check_fault(b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx", HttpFault::Framing);
    check_fault(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", HttpFault::Framing);
    check_fault(
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HttpFault::Framing,
    );
    check_fault(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", HttpFault::Framing);
    for chunks in [
        "\r\n",
        "g\r\n",
        "4\nwiki",
        "4\r\nwikiX",
        "0\r\n\rX",
        "0\r\nX: y\n",
        "1;\0\r\n",
        "1234567890abcdef\r\n",
    ] {
        let text = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        check_fault(text.as_bytes(), HttpFault::Chunk);
    }
}

#[test]
fn an_endless_head_is_cut_off() {
    let mut bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
    bytes.resize(HEAD_BYTES_MAX + 1, b'x');
    assert_eq!(read_all(&[&bytes]), Err(HttpFault::HeadTooLong));
}
