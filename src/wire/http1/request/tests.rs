#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const LIMITS: HeadLimits = HeadLimits { head_bytes: 2048, target_bytes: 256, headers: 16 };

type Answer<'b> = Result<Parsed<RequestHead<'b>>, HeadError>;

fn parse(bytes: &[u8]) -> Answer<'_> {
    parse_request_head(bytes, &LIMITS, &mut HeadScan::new())
}

fn head(bytes: &[u8]) -> RequestHead<'_> {
    match parse(bytes) {
        Ok(Parsed::Complete(head)) => head,
        other => panic!("{other:?} for {}", bytes.escape_ascii()),
    }
}

/// What of an answer must not depend on how the bytes were cut.
fn summary(answer: &Answer<'_>) -> Result<Option<String>, HeadError> {
    match answer {
        Ok(Parsed::Complete(head)) => Ok(Some(format!("{head:?}"))),
        Ok(Parsed::Partial) => Ok(None),
        Err(error) => Err(*error),
    }
}

/// The answer to `bytes` that come in pieces which end at `cuts`; the first that is not "more".
fn parse_in_pieces(bytes: &[u8], cuts: impl Iterator<Item = usize>) -> Result<Option<String>, HeadError> {
    let mut scan = HeadScan::new();
    for end in cuts.chain([bytes.len()]) {
        let answer = summary(&parse_request_head(&bytes[..end], &LIMITS, &mut scan));
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

const POST: &[u8] = b"POST /github/mcp?x=1 HTTP/1.1\r\n\
    Host: gw.example:8080\r\n\
    content-TYPE: application/json\r\n\
    Accept: application/json, text/event-stream\r\n\
    MCP-Protocol-Version: 2025-11-25\r\n\
    Mcp-Session-Id:\t abc \t\r\n\
    X-Empty:\r\n\
    Connection: keep-alive\r\n\
    Content-Length: 250\r\n\
    \r\n";

#[test]
fn a_usual_head_is_taken_apart() {
    let head = head(POST);
    assert_eq!((head.method, head.method_name), (Method::Post, &b"POST"[..]));
    assert_eq!((head.path, head.query), (&b"/github/mcp"[..], Some(&b"x=1"[..])));
    assert_eq!(head.host, Some(&b"gw.example:8080"[..]));
    assert_eq!((head.version, head.keep_alive), (Version::Http11, true));
    assert_eq!(head.framing, BodyFraming::Length(250));
    assert!(!head.expect_continue && !head.upgrade);
    assert_eq!(head.head_len, POST.len());
    assert_eq!(head.fields.len(), 8);
    assert_eq!(head.get(HeaderId::ContentType), Some(&b"application/json"[..]));
    assert_eq!(
        head.get(HeaderId::McpSessionId),
        Some(&b"abc"[..]),
        "whitespace around a value is not part of it"
    );
    assert_eq!(head.get(HeaderId::McpMethod), None);
    assert_eq!(head.count(HeaderId::McpMethod), 0);
    let names: Vec<_> = head.headers().map(|header| header.name).collect();
    assert_eq!(names[..2], [&b"Host"[..], b"content-TYPE"], "names stay as sent");
    let empty = Header { id: HeaderId::Other, name: b"X-Empty", value: b"" };
    assert_eq!(head.fields.at(5), Some(empty));
    assert_eq!(head.fields.at(8), None);
}

#[test]
fn bytes_after_the_head_are_not_touched() {
    for tail in [&b"{}"[..], b"GET / HTTP/1.1\r\n\r\n", b"\n\n\r\n\r\n\0"] {
        let bytes = [POST, tail].concat();
        assert_eq!(head(&bytes).head_len, POST.len());
        check_cuts(&bytes);
    }
}

#[test]
fn one_empty_line_before_the_request_line_is_skipped() {
    let bytes = [b"\r\n", POST].concat();
    let parsed = head(&bytes);
    assert_eq!(parsed.head_len, POST.len() + 2);
    assert_eq!(parsed.get(HeaderId::ContentLength), Some(&b"250"[..]));
    check_cuts(&bytes);
}

/// A GET with these lines after the request line; `Host` is added.
fn get(lines: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n").into_bytes()
}

/// A GET of this target, with Host `h`.
fn get_target(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n").into_bytes()
}

#[test]
fn smuggling_vectors_are_refused() {
    use HeadError::*;
    let cases: &[(&str, HeadError)] = &[
        // Two lengths, or a length and an encoding.
        ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", LengthAndEncoding),
        ("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", LengthAndEncoding),
        ("Transfer-Encoding: x\r\nContent-Length: 0\r\n", LengthAndEncoding),
        ("Content-Length: 3\r\nContent-Length: 4\r\n", ContentLengthRepeated),
        ("Content-Length: 3\r\nContent-Length: 3\r\n", ContentLengthRepeated),
        ("Content-Length: 3\r\ncontent-length: 3\r\n", ContentLengthRepeated),
        ("Content-Length: 3, 3\r\n", ContentLengthInvalid),
        ("Content-Length: +3\r\n", ContentLengthInvalid),
        ("Content-Length: -3\r\n", ContentLengthInvalid),
        ("Content-Length: 0x3\r\n", ContentLengthInvalid),
        ("Content-Length: 3 3\r\n", ContentLengthInvalid),
        ("Content-Length: 3_0\r\n", ContentLengthInvalid),
        ("Content-Length: 3.0\r\n", ContentLengthInvalid),
        ("Content-Length:\r\n", ContentLengthInvalid),
        ("Content-Length: 18446744073709551616\r\n", ContentLengthInvalid),
        ("Content-Length: 00000000000000000003\r\n", ContentLengthInvalid),
        // Encodings that hide.
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", EncodingRepeated),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", EncodingRepeated),
        ("Transfer-Encoding: gzip, chunked\r\n", EncodingUnsupported),
        ("Transfer-Encoding: chunked, chunked\r\n", EncodingNotChunked),
        ("Transfer-Encoding: chunked, identity\r\n", EncodingNotChunked),
        ("Transfer-Encoding: identity\r\n", EncodingNotChunked),
        ("Transfer-Encoding: xchunked\r\n", EncodingNotChunked),
        ("Transfer-Encoding: \"chunked\"\r\n", EncodingNotChunked),
        ("Transfer-Encoding: chunked;q=1\r\n", EncodingNotChunked),
        ("Transfer-Encoding:\r\n", EncodingNotChunked),
        ("Transfer-Encoding: chunked\u{b}\r\n", HeaderValue),
        ("Transfer_Encoding: chunked\r\n", DisguisedHeader),
        ("Content_Length: 3\r\n", DisguisedHeader),
        // Line ends and whitespace that another reader takes differently.
        ("Transfer-Encoding : chunked\r\n", HeaderName),
        ("Transfer-Encoding\t: chunked\r\n", HeaderName),
        (" Transfer-Encoding: chunked\r\n", FoldedLine),
        ("X: y\r\n Transfer-Encoding: chunked\r\n", FoldedLine),
        ("X: y\r\n\tz\r\n", FoldedLine),
        ("X:\r\n z\r\n", FoldedLine),
        ("X: y\nTransfer-Encoding: chunked\r\n", BareLineFeed),
        ("X: y\n", BareLineFeed),
        ("X: y\rTransfer-Encoding: chunked\r\n", HeaderValue),
        ("X: y\r\r\n", HeaderValue),
        ("X: y\0z\r\n", HeaderValue),
        ("X: y\u{7f}\r\n", HeaderValue),
        ("X\0: y\r\n", HeaderName),
        (": y\r\n", HeaderName),
        ("X\r\n", HeaderName),
        ("X y: z\r\n", HeaderName),
        ("\rX: y\r\n", LineEnd),
        // Who is asked.
        ("Host: h\r\n", HostRepeated),
        ("host: other\r\n", HostRepeated),
        // Fields that decide.
        ("Origin: http://a\r\nOrigin: http://b\r\n", SingletonRepeated),
        ("Authorization: Bearer a\r\nAuthorization: Bearer b\r\n", SingletonRepeated),
        ("Content-Type: text/plain\r\nContent-Type: application/json\r\n", SingletonRepeated),
        ("Mcp_Method: tools/list\r\n", DisguisedHeader),
        ("X-Ringgate_User: root\r\n", DisguisedHeader),
        ("Connection: close, Content-Length\r\n", ConnectionNamesField),
        ("Connection: host\r\n", ConnectionNamesField),
        ("Connection: Mcp-Name\r\n", ConnectionNamesField),
        ("Connection: x\r\nConnection: authorization\r\n", ConnectionNamesField),
        ("Expect: 200-ok\r\n", ExpectUnsupported),
        ("Expect: 100-continue, x\r\n", ExpectUnsupported),
        ("Expect: 100-continue\r\nExpect: 100-continue\r\n", SingletonRepeated),
    ];
    for (lines, error) in cases {
        let bytes = get(lines);
        assert_eq!(parse(&bytes).unwrap_err(), *error, "{lines:?}");
        check_cuts(&bytes);
    }
}

#[test]
fn request_lines_are_strict() {
    use HeadError::*;
    let cases: &[(&str, HeadError)] = &[
        ("\r\n\r\nGET / HTTP/1.1\r\n", EmptyLines),
        ("\nGET / HTTP/1.1\r\n", EmptyLines),
        (" GET / HTTP/1.1\r\n", EmptyLines),
        ("\r\n GET / HTTP/1.1\r\n", EmptyLines),
        ("\rGET / HTTP/1.1\r\n", EmptyLines),
        ("GET / HTTP/1.1\nX: y\r\n", BareLineFeed),
        ("GET  / HTTP/1.1\r\n", RequestLine),
        ("GET /  HTTP/1.1\r\n", RequestLine),
        ("GET\t/ HTTP/1.1\r\n", RequestLine),
        ("GET /a b HTTP/1.1\r\n", RequestLine),
        ("GET / HTTP/1.1 \r\n", LineEnd),
        ("GET / HTTP/1.1\rX\r\n", LineEnd),
        ("GET /\r\n", RequestLine),
        ("GET\r\n", RequestLine),
        ("GET / http/1.1\r\n", RequestLine),
        ("GET / HTTX/1.1\r\n", RequestLine),
        ("G(T / HTTP/1.1\r\n", RequestLine),
        ("GET /\0 HTTP/1.1\r\n", RequestLine),
        ("GET /\u{7f} HTTP/1.1\r\n", RequestLine),
        ("\u{16}\u{3}\u{1}\0\u{5}\r\n", RequestLine),
        ("GET / HTTP/1.2\r\n", Version),
        ("GET / HTTP/2.0\r\n", Version),
        ("GET / HTTP/0.9\r\n", Version),
        ("GET / HTTP/3\r\n", Version),
        ("PRI * HTTP/2.0\r\n", Version),
        ("CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n", MethodRefused),
        ("TRACE / HTTP/1.1\r\nHost: h\r\n", MethodRefused),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456 / HTTP/1.1\r\nHost: h\r\n", MethodTooLong),
        ("GET / HTTP/1.1\r\n", HostMissing),
        ("GET http://h/ HTTP/1.1\r\n", HostMissing),
        ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", EncodingInHttp10),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n", HostRepeated),
    ];
    for (start, error) in cases {
        let bytes = format!("{start}\r\n").into_bytes();
        assert_eq!(parse(&bytes).unwrap_err(), *error, "{start:?}");
        check_cuts(&bytes);
    }
}

#[test]
fn targets_are_normalised_or_refused() {
    let cases: &[(&str, &str, Option<&str>)] = &[
        ("/", "/", None),
        ("/?", "/", Some("")),
        ("/a%2Fb//c/../d;e=f,g@h:i!$&'()*+", "/a%2Fb//c/../d;e=f,g@h:i!$&'()*+", None),
        ("/a?b?c=/{|}\"", "/a", Some("b?c=/{|}\"")),
        ("http://h/mcp?x", "/mcp", Some("x")),
        ("HTTPS://H/mcp", "/mcp", None),
        ("http://h", "/", None),
        ("http://h?x=1", "/", Some("x=1")),
    ];
    for &(target, path, query) in cases {
        let bytes = get_target(target);
        let head = head(&bytes);
        assert_eq!((head.path, head.query), (path.as_bytes(), query.map(str::as_bytes)), "{target}");
        check_cuts(&bytes);
    }
    use HeadError::*;
    let cases: &[(&str, HeadError)] = &[
        ("*", TargetForm),
        ("mcp", TargetForm),
        ("h:80", TargetForm),
        ("ftp://h/", TargetForm),
        ("http:/h/", TargetForm),
        ("http://", TargetForm),
        ("http:///mcp", TargetForm),
        ("http://h:x/", TargetForm),
        ("http://user@h/", TargetUserinfo),
        ("http://other/", HostMismatch),
        ("http://h:80/", HostMismatch),
        ("/#f", TargetByte),
        ("/?#f", TargetByte),
        ("http://h#f", TargetByte),
        ("/\\", TargetByte),
        ("/a\"b", TargetByte),
        ("/{a}", TargetByte),
        ("/%", TargetByte),
        ("/%2", TargetByte),
        ("/%2x", TargetByte),
        ("/\u{e4}", TargetByte),
        ("/?\u{e4}", TargetByte),
    ];
    for &(target, error) in cases {
        let bytes = get_target(target);
        assert_eq!(parse(&bytes).unwrap_err(), error, "{target}");
        check_cuts(&bytes);
    }
    let broken_utf8 = b"GET /\xE4 HTTP/1.1\r\nHost: h\r\n\r\n";
    assert_eq!(parse(broken_utf8).unwrap_err(), RequestLine);
    assert_eq!(head(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").path, b"*");
    assert_eq!(head(b"OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n").path, b"*");
}

#[test]
fn hosts_are_checked() {
    for host in
        ["h", "a.b-c_d~e", "EXAMPLE.com:443", "127.0.0.1:1", "[::1]", "[2001:db8::1]:65535", "h:", "%41"]
    {
        let bytes = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes();
        assert_eq!(head(&bytes).host, Some(host.as_bytes()));
    }
    for host in [
        "",
        ":80",
        "h:65536",
        "h:+1",
        "h:1:2",
        "a b",
        "a,b",
        "a/b",
        "u@h",
        "[::1",
        "::1",
        "[h]",
        "[::1]x",
        "[fe80::1%25e]",
        "a\u{e4}",
        "%4",
        "h;x",
        "h\"",
    ] {
        let bytes = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes();
        assert_eq!(parse(&bytes).unwrap_err(), HeadError::HostInvalid, "{host}");
    }
}

#[test]
fn framing_and_persistence_follow_the_fields() {
    let cases: &[(&str, BodyFraming, bool, bool)] = &[
        ("", BodyFraming::None, true, false),
        ("Content-Length: 0\r\nExpect: 100-continue\r\n", BodyFraming::None, true, false),
        ("Content-Length: 007\r\n", BodyFraming::Length(7), true, false),
        (
            "Content-Length: 9999999999999999999\r\n",
            BodyFraming::Length(9_999_999_999_999_999_999),
            true,
            false,
        ),
        ("Content-Length: 7\r\nExpect: 100-Continue\r\n", BodyFraming::Length(7), true, true),
        ("Transfer-Encoding: Chunked\r\nExpect: 100-continue\r\n", BodyFraming::Chunked, true, true),
        ("Connection: CLOSE\r\n", BodyFraming::None, false, false),
        ("Connection: keep-alive , close\r\n", BodyFraming::None, false, false),
        ("Connection: x\r\nConnection: close\r\n", BodyFraming::None, false, false),
        ("Connection: closed\r\n", BodyFraming::None, true, false),
        ("Proxy-Connection: close\r\n", BodyFraming::None, true, false),
    ];
    for &(lines, framing, keep_alive, expect_continue) in cases {
        let bytes = get(lines);
        let head = head(&bytes);
        assert_eq!(
            (head.framing, head.keep_alive, head.expect_continue),
            (framing, keep_alive, expect_continue),
            "{lines:?}"
        );
    }
}

#[test]
fn http_1_0_is_not_kept_alive() {
    let bytes = b"POST http://h/x HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
    let head = head(bytes);
    assert_eq!((head.version, head.keep_alive, head.expect_continue), (Version::Http10, false, false));
    assert_eq!(head.host, Some(&b"h"[..]));
}

#[test]
fn an_upgrade_is_seen_and_its_fields_can_be_left_out() {
    let bytes = get(
        "Connection: Upgrade, HTTP2-Settings , X-Mine\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\nX-Mine: 1\r\n",
    );
    let head = head(&bytes);
    assert!(head.upgrade && head.keep_alive);
    let passed: Vec<_> = head
        .headers()
        .filter(|header| !header.id.is_hop_by_hop() && !head.is_named_by_connection(header.name))
        .map(|header| header.name)
        .collect();
    assert_eq!(passed, [b"Host"]);
}

#[test]
fn repeated_fields_stay_visible() {
    let bytes = get("Mcp-Method: a\r\nX: 1\r\nMCP-METHOD: b\r\nAccept: x\r\nx: 2\r\n");
    let head = head(&bytes);
    assert_eq!(head.count(HeaderId::McpMethod), 2);
    assert_eq!(head.get(HeaderId::McpMethod), Some(&b"a"[..]));
    let values: Vec<_> = head.fields.all(HeaderId::McpMethod).map(|header| header.value).collect();
    assert_eq!(values, [b"a", b"b"]);
    assert_eq!(head.count(HeaderId::Accept), 1);
    assert_eq!(head.fields.all(HeaderId::Origin).count(), 0);
    let repeated = HeaderSet::of(&[HeaderId::McpMethod, HeaderId::Other]);
    assert_eq!(head.fields.repeated(), repeated);
    assert!(head.fields.present().contains(HeaderId::Accept));
}

#[test]
fn heads_are_bounded() {
    let long = "a".repeat(4000);
    let cases: &[(String, HeadError)] = &[
        (format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", &long[..256]), HeadError::TargetTooLong),
        (format!("GET /{long}"), HeadError::TargetTooLong),
        (format!("GET /{} HTTP/9.9\r\n\r\n", &long[..300]), HeadError::TargetTooLong),
        (long.clone(), HeadError::MethodTooLong),
        (format!("GET / HTTP/1.1\r\nHost: h\r\nX: {long}"), HeadError::HeadTooLong),
        (format!("GET / HTTP/1.1\r\nHost: h\r\nX: {long}\r\n\r\n"), HeadError::HeadTooLong),
        (format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(16)), HeadError::TooManyHeaders),
        (format!("GET / HTTP/1.1\r\nHost: h\r\n{}", "X: y\r\n".repeat(900)), HeadError::TooManyHeaders),
    ];
    for (text, error) in cases {
        assert_eq!(parse(text.as_bytes()).unwrap_err(), *error, "{text:.40}");
        check_cuts(text.as_bytes());
    }
    let (fits, full) = (256 - 1, 16 - 1);
    head(format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", &long[..fits]).as_bytes());
    head(format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(full)).as_bytes());
}

#[test]
fn the_compiled_in_limits_hold_whatever_is_configured() {
    let limits = HeadLimits { head_bytes: usize::MAX, target_bytes: usize::MAX, headers: usize::MAX };
    let parse = |text: &str| {
        let answer = parse_request_head(text.as_bytes(), &limits, &mut HeadScan::new());
        answer.map(|parsed| parsed.complete().unwrap().fields.len())
    };
    let with = |lines: String| format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
    assert_eq!(parse(&with("X: y\r\n".repeat(63))), Ok(64));
    assert_eq!(parse(&with("X: y\r\n".repeat(64))), Err(HeadError::TooManyHeaders));
    let fill = |length: usize| with(format!("X: {}\r\n", "v".repeat(length - with("X: \r\n".into()).len())));
    assert_eq!(parse(&fill(HEAD_BYTES)), Ok(2));
    assert_eq!(parse(&fill(HEAD_BYTES + 1)), Err(HeadError::HeadTooLong));
    let none = HeadLimits { head_bytes: 0, target_bytes: 0, headers: 0 };
    let answer = parse_request_head(POST, &none, &mut HeadScan::new());
    assert_eq!(answer.unwrap_err(), HeadError::HeadTooLong);
}

const HEAD_BYTES: usize = super::super::HEAD_BYTES_MAX;

#[test]
fn every_cut_of_good_heads_gives_the_same_answer() {
    check_cuts(POST);
    check_cuts(b"");
    check_cuts(b"\r\n");
    check_cuts(&POST[..POST.len() - 1]);
    check_cuts(b"GET / HTTP/1.0\r\n\r\n");
}

#[test]
fn every_error_says_what_to_do() {
    for error in HeadError::ALL {
        assert!(matches!(error.status(), 400 | 414 | 417 | 431 | 501 | 502 | 505), "{error:?}");
        assert!(error.message().len() > 20 && !error.message().ends_with('.'), "{error:?}");
        assert_eq!(error.label(), format!("{error:?}"));
    }
}

/// Heads that are almost good: pieces of heads in any order, some of them bad.
fn almost_heads() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "GET ",
        "POST ",
        "/",
        "/mcp",
        "http://h/",
        " HTTP/1.1\r\n",
        " HTTP/1.0\r\n",
        " HTTP/2.0\r\n",
        "Host: h\r\n",
        "X: y\r\n",
        "Content-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: close\r\n",
        "\r\n",
        "\r\n\r\n",
        "\n",
        "\r",
        " ",
        "\t",
        ":",
        "\0",
        "abc",
        "\u{e4}",
        "Expect: 100-continue\r\n",
        "X_y: z\r\n",
        "host:h\r\n",
    ]);
    let free = prop::collection::vec(piece.clone(), 0..12);
    let led = prop::collection::vec(piece, 0..8)
        .prop_map(|pieces| [vec!["GET / HTTP/1.1\r\n", "Host: h\r\n"], pieces].concat());
    prop_oneof![free, led].prop_map(|pieces| [pieces.concat().into_bytes(), b"\r\n\r\n".to_vec()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn almost_heads_get_the_same_answer_at_every_cut(bytes in almost_heads(), cuts in some_cuts()) {
        check_some_cuts(&bytes, &cuts);
    }

    #[test]
    fn mutated_heads_get_the_same_answer_at_every_cut(at in 0..POST.len(), byte: u8, insert: bool, cuts in some_cuts()) {
        let mut bytes = POST.to_vec();
        if insert { bytes.insert(at, byte) } else { bytes[at] = byte }
        check_some_cuts(&bytes, &cuts);
    }

    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300), cuts in some_cuts()) {
        check_some_cuts(&bytes, &cuts);
    }

    /// A reader that only splits lines at CR LF and fields at the first colon sees the same message.
    #[test]
    fn what_is_accepted_is_plain(bytes in almost_heads()) {
        let Ok(Parsed::Complete(head)) = parse(&bytes) else { return Ok(()) };
        let text = &bytes[..head.head_len];
        let text = text.strip_prefix(b"\r\n").unwrap_or(text);
        let lines: Vec<_> = std::str::from_utf8(text).unwrap().split("\r\n").collect();
        let [line, fields @ .., "", ""] = &lines[..] else { panic!("{lines:?}") };
        prop_assert!(!lines.concat().contains(['\r', '\n', '\0']));
        prop_assert_eq!(line.split(' ').count(), 3);
        prop_assert_eq!(fields.len(), head.fields.len());
        for (line, header) in fields.iter().zip(head.headers()) {
            let (name, value) = line.split_once(':').unwrap();
            prop_assert_eq!(name.as_bytes(), header.name);
            prop_assert_eq!(value.trim_matches([' ', '\t']).as_bytes(), header.value);
        }
    }
}
