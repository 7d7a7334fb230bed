#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const LIMITS: HeadLimits = HeadLimits { head_bytes: 1024, target_bytes: 0, headers: 8 };

fn parse(bytes: &[u8]) -> Result<Parsed<ResponseHead<'_>>, HeadError> {
    parse_response_head(bytes, Method::Post, &LIMITS, &mut HeadScan::new())
}

fn head(bytes: &[u8]) -> ResponseHead<'_> {
    match parse(bytes) {
        Ok(Parsed::Complete(head)) => head,
        other => panic!("{other:?} for {}", bytes.escape_ascii()),
    }
}

fn summary(answer: &Result<Parsed<ResponseHead<'_>>, HeadError>) -> Result<Option<String>, HeadError> {
    match answer {
        Ok(Parsed::Complete(head)) => Ok(Some(format!("{head:?}"))),
        Ok(Parsed::Partial) => Ok(None),
        Err(error) => Err(*error),
    }
}

fn parse_in_pieces(bytes: &[u8], cuts: impl Iterator<Item = usize>) -> Result<Option<String>, HeadError> {
    let mut scan = HeadScan::new();
    for end in cuts.chain([bytes.len()]) {
        let answer = summary(&parse_response_head(&bytes[..end], Method::Post, &LIMITS, &mut scan));
        if answer != Ok(None) {
            return answer;
        }
    }
    Ok(None)
}

/// A fault may be seen later in pieces than in one, but not later than the end of the head.
fn check_pieces(bytes: &[u8], cuts: impl Iterator<Item = usize> + Clone) {
    let whole = summary(&parse(bytes));
    let mut pieces = parse_in_pieces(bytes, cuts.clone());
    if whole.is_err() && pieces == Ok(None) {
        pieces = parse_in_pieces(&[bytes, b"\r\n\r\n"].concat(), cuts);
    }
    assert_eq!(pieces, whole, "{}", bytes.escape_ascii());
}

fn check_cuts(bytes: &[u8]) {
    for cut in 0..bytes.len() {
        check_pieces(bytes, [cut].into_iter());
    }
    check_pieces(bytes, 0..bytes.len());
}

/// The same at a few cuts, for cases that are many.
fn check_some_cuts(bytes: &[u8], cuts: &[prop::sample::Index]) {
    for cut in cuts.iter().filter(|_| !bytes.is_empty()) {
        check_pieces(bytes, [cut.index(bytes.len())].into_iter());
    }
    check_pieces(bytes, 0..bytes.len());
}

fn some_cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 8)
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream; charset=utf-8\r\n\
    Transfer-Encoding: chunked\r\nKeep-Alive: max=100, Timeout=5\r\n\r\n";

#[test]
fn a_usual_head_is_taken_apart() {
    let bytes = [OK, b"5\r\n"].concat();
    let head = head(&bytes);
    assert_eq!((head.status, head.reason, head.version), (200, &b"OK"[..], Version::Http11));
    assert_eq!((head.framing, head.keep_alive), (ResponseFraming::Chunked, true));
    assert_eq!(head.keep_alive_timeout, Some(Duration::from_secs(5)));
    assert!(head.event_stream && !head.is_interim());
    assert_eq!(head.head_len, OK.len());
    assert_eq!(head.count(HeaderId::ContentType), 1);
    check_cuts(&bytes);
}

#[test]
fn framing_and_persistence_follow_status_and_fields() {
    use ResponseFraming::*;
    let cases: &[(&str, Method, ResponseFraming, bool)] = &[
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", Method::Post, Length(5), true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", Method::Post, None, true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", Method::Post, Chunked, true),
        ("HTTP/1.1 200 OK\r\n", Method::Post, UntilClose, false),
        ("HTTP/1.1 202\r\nContent-Length: 0\r\n", Method::Post, None, true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n", Method::Post, Length(5), false),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: x\r\nConnection: Close\r\n",
            Method::Post,
            Length(5),
            false,
        ),
        (
            "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n",
            Method::Post,
            Length(5),
            false,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", Method::Head, None, true),
        ("HTTP/1.1 200 OK\r\n", Method::Head, None, true),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n", Method::Get, None, true),
        ("HTTP/1.1 204 No Content\r\n", Method::Delete, None, true),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n", Method::Delete, None, true),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n", Method::Delete, None, false),
        ("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n", Method::Delete, None, false),
        ("HTTP/1.1 100 Continue\r\n", Method::Post, None, true),
        ("HTTP/1.1 103 Early Hints\r\nLink: x\r\n", Method::Post, None, true),
    ];
    for &(text, method, framing, keep_alive) in cases {
        let bytes = format!("{text}\r\n").into_bytes();
        let answer = parse_response_head(&bytes, method, &LIMITS, &mut HeadScan::new());
        let head = answer.unwrap().complete().unwrap();
        assert_eq!((head.framing, head.keep_alive), (framing, keep_alive), "{text:?}");
        assert_eq!(head.is_interim(), text.contains(" 10"), "{text:?}");
        check_cuts(&bytes);
    }
}

#[test]
fn ambiguous_and_broken_heads_are_refused() {
    use HeadError::*;
    let cases: &[(&str, HeadError)] = &[
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n", LengthAndEncoding),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n", ContentLengthRepeated),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n", ContentLengthRepeated),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3,3\r\n", ContentLengthInvalid),
        ("HTTP/1.1 304 OK\r\nContent-Length: x\r\n", ContentLengthInvalid),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n", EncodingUnsupported),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n", EncodingNotChunked),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", EncodingRepeated),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n", EncodingInHttp10),
        ("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Type: text/event-stream\r\n", SingletonRepeated),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n", SwitchingProtocols),
        ("HTTP/1.1 000 x\r\n", StatusInvalid),
        ("HTTP/1.1 099 x\r\n", StatusInvalid),
        ("HTTP/1.1 600 x\r\n", StatusInvalid),
        ("HTTP/1.1 20 OK\r\n", StatusLine),
        ("HTTP/1.1 2000 OK\r\n", StatusLine),
        ("HTTP/1.1  200 OK\r\n", StatusLine),
        ("HTTP/1.1 -20 OK\r\n", StatusLine),
        ("HTTP/2 200\r\n", StatusLine),
        ("HTTP/1.2 200 OK\r\n", StatusLine),
        ("\r\nHTTP/1.1 200 OK\r\n", StatusLine),
        ("\nHTTP/1.1 200 OK\r\n", StatusLine),
        ("{}HTTP/1.1 200 OK\r\n", StatusLine),
        ("SSH-2.0-x\r\n", StatusLine),
        ("HTTP/1.1 200 O\0K\r\n", StatusLine),
        ("HTTP/1.1 200 O\rK\r\n", StatusLine),
        ("HTTP/1.1 200 OK\nX: y\r\n", BareLineFeed),
        ("HTTP/1.1 200\nX: y\r\n", BareLineFeed),
        ("HTTP/1.1 200 OK\r\nX: y\n", BareLineFeed),
        ("HTTP/1.1 200 OK\r\nX : y\r\n", HeaderName),
        ("HTTP/1.1 200 OK\r\nX: y\r\n z\r\n", FoldedLine),
        ("HTTP/1.1 200 OK\r\nX: y\rz\r\n", HeaderValue),
        (
            "HTTP/1.1 200 OK\r\nA: 1\r\nA: 2\r\nA: 3\r\nA: 4\r\nA: 5\r\nA: 6\r\nA: 7\r\nA: 8\r\nA: 9\r\n",
            TooManyHeaders,
        ),
    ];
    for (text, error) in cases {
        let bytes = format!("{text}\r\n").into_bytes();
        assert_eq!(parse(&bytes).unwrap_err(), *error, "{text:?}");
        check_cuts(&bytes);
    }
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(1024)).into_bytes();
    assert_eq!(parse(&long).unwrap_err(), HeadError::HeadTooLong);
    check_cuts(&long);
}

#[test]
fn promises_and_media_types_are_read_with_care() {
    let timeout = |value: &str| {
        let text = format!("HTTP/1.1 200 OK\r\nKeep-Alive: {value}\r\n\r\n");
        head(text.as_bytes()).keep_alive_timeout.map(|timeout| timeout.as_secs())
    };
    assert_eq!(timeout("timeout=30"), Some(30));
    assert_eq!(timeout("timeout = 0 , max=3"), Some(0));
    assert_eq!(timeout("timeout=9999999999"), Some(86_400));
    for nonsense in ["", "timeout", "timeout=", "timeout=-1", "timeout=1.5", "max=5", "xtimeout=5"] {
        assert_eq!(timeout(nonsense), None, "{nonsense}");
    }
    let events = |lines: &str| head(format!("HTTP/1.1 200 OK\r\n{lines}\r\n").as_bytes()).event_stream;
    assert!(events("Content-Type: text/event-stream\r\n"));
    assert!(events("Content-Type: text/event-stream ;charset=x\r\nContent-Encoding: identity\r\n"));
    assert!(!events("Content-Type: text/event-stream\r\nContent-Encoding: gzip\r\n"));
    assert!(!events("Content-Type: text/event-streams\r\n"));
    assert!(!events("Content-Type: application/json\r\n"));
    assert!(!events(""));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn mutated_heads_get_the_same_answer_at_every_cut(at in 0..OK.len(), byte: u8, insert: bool, cuts in some_cuts()) {
        let mut bytes = OK.to_vec();
        if insert { bytes.insert(at, byte) } else { bytes[at] = byte }
        check_some_cuts(&bytes, &cuts);
    }

    #[test]
    fn any_bytes_get_an_answer(tail in prop::collection::vec(any::<u8>(), 0..200), led: bool, cuts in some_cuts()) {
        let start: &[u8] = if led { b"HTTP/1.1 200 OK\r\nX:" } else { b"" };
        check_some_cuts(&[start, &tail].concat(), &cuts);
    }
}
