//! Requests that two readers could read differently, and requests that are no HTTP: refused with the
//! right status, the connection ends, and the upstream sees nothing of them.

use super::harness::post;
use super::probe::{Probe, framed};

/// A whole request, hidden where one reader sees a body and another the next request.
const HIDDEN: &str = "POST /up/mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
    Accept: application/json, text/event-stream\r\nContent-Length: 44\r\n\r\n\
    {\"jsonrpc\":\"2.0\",\"id\":666,\"method\":\"hidden\"}";

/// A small message.
const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

fn refuse_all(rows: &[(&str, Vec<u8>, u16)]) {
    let probe = Probe::new("");
    for (what, bytes, status) in rows {
        probe.refuses(what, bytes, *status);
    }
    probe.upstream.assert_untouched();
    probe.gateway.assert_nothing_left();
}

/// A POST of [`PING`] with its right length, and these header lines before the others.
fn with(lines: &str) -> Vec<u8> {
    with_bytes(lines.as_bytes())
}

fn with_bytes(lines: &[u8]) -> Vec<u8> {
    let whole = post(PING, "");
    let first = whole.windows(2).position(|pair| pair == b"\r\n").unwrap() + 2;
    [&whole[..first], lines, &whole[first..]].concat()
}

/// A POST of [`PING`] whose request line is this, CR LF left out.
fn line(line: &str) -> Vec<u8> {
    let whole = post(PING, "");
    let first = whole.windows(2).position(|pair| pair == b"\r\n").unwrap();
    [line.as_bytes(), &whole[first..]].concat()
}

/// A POST of [`PING`] with these Host lines instead of its own.
fn hosts(lines: &str) -> Vec<u8> {
    String::from_utf8(post(PING, "")).unwrap().replace("Host: localhost\r\n", lines).into_bytes()
}

/// A POST of [`PING`] with these framing lines instead of its own, and a request behind it.
fn length(lines: &str) -> Vec<u8> {
    framed(lines, format!("{PING}{HIDDEN}").as_bytes())
}

/// A chunked POST with these chunks.
fn chunks(chunks: &str) -> Vec<u8> {
    framed("Transfer-Encoding: chunked\r\n", chunks.as_bytes())
}

#[test]
fn the_hidden_request_would_be_served_if_it_were_seen() {
    let probe = Probe::new("");
    let (answer, _) = probe.send("hidden", HIDDEN.as_bytes());
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert!(probe.upstream.request().text().contains("hidden"));
}

#[test]
fn smuggling_with_two_framings_is_refused() {
    let hidden_chunk = format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len());
    let after_end = format!("0\r\n\r\n{HIDDEN}");
    let te = |value: &str| framed(&format!("Transfer-Encoding: {value}\r\n"), after_end.as_bytes());
    let both = |lines: &str, rest: &str| framed(lines, rest.as_bytes());
    refuse_all(&[
        (
            "CL.TE",
            both(
                &format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", after_end.len()),
                &after_end,
            ),
            400,
        ),
        ("TE.CL", both("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", &hidden_chunk), 400),
        ("CL 0 and TE", both("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", &after_end), 400),
        (
            "TE and an unknown coding",
            both("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", &after_end),
            400,
        ),
        ("TE twice", both("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", &after_end), 400),
        ("TE hidden by an underscore", both("Transfer_Encoding: chunked\r\n", &after_end), 400),
        ("CL hidden by an underscore", both("Content_Length: 5\r\n", &after_end), 400),
        ("TE behind a space", both("X: y\r\n Transfer-Encoding: chunked\r\n", &after_end), 400),
        ("TE with a space before the colon", both("Transfer-Encoding : chunked\r\n", &after_end), 400),
        ("TE with a tab before the colon", both("Transfer-Encoding\t: chunked\r\n", &after_end), 400),
        ("TE with a NUL in its name", both("Transfer-Encoding\0: chunked\r\n", &after_end), 400),
        ("TE on a folded line", both("Transfer-Encoding:\r\n chunked\r\n", &after_end), 400),
        ("TE behind a bare LF", both("X: y\nTransfer-Encoding: chunked\r\n", &after_end), 400),
        ("TE behind a bare CR", both("X: y\rTransfer-Encoding: chunked\r\n", &after_end), 400),
        ("TE xchunked", te("xchunked"), 400),
        ("TE chunked, identity", te("chunked, identity"), 400),
        ("TE identity", te("identity"), 400),
        ("TE empty", te(""), 400),
        ("TE chunked twice in a list", te("chunked, chunked"), 400),
        ("TE with a parameter", te("chunked;q=1"), 400),
        ("TE in quotes", te("\"chunked\""), 400),
        ("TE behind a vertical tab", te("\x0bchunked"), 400),
        ("TE before a NUL", te("chunked\0"), 400),
        ("TE with an empty element", te(",chunked"), 501),
        ("TE gzip, chunked", te("gzip, chunked"), 501),
        (
            "TE in HTTP/1.0",
            String::from_utf8(te("chunked")).unwrap().replace("HTTP/1.1", "HTTP/1.0").into_bytes(),
            400,
        ),
    ]);
}

#[test]
fn a_content_length_that_is_not_one_number_is_refused() {
    let n = PING.len();
    let mut rows = vec![
        ("equal twice".to_owned(), length(&format!("Content-Length: {n}\r\nContent-Length: {n}\r\n")), 400),
        ("different twice".to_owned(), length(&format!("Content-Length: {n}\r\nContent-Length: 0\r\n")), 400),
        (
            "hidden by Connection".to_owned(),
            length(&format!("Connection: content-length\r\nContent-Length: {n}\r\n")),
            400,
        ),
    ];
    for value in [
        format!("{n}, {n}"),
        format!("{n},"),
        format!("+{n}"),
        format!("-{n}"),
        format!("{n} {n}"),
        format!("0x{n}"),
        format!("{n}.0"),
        format!("{n}\0"),
        format!("\x0b{n}"),
        format!("\"{n}\""),
        format!("{n}e0"),
        format!("{n};q=1"),
        String::new(),
        "18446744073709551616".to_owned(),
        format!("{n:0>20}"),
        "\u{664}\u{660}".to_owned(),
    ] {
        rows.push((value.clone(), length(&format!("Content-Length: {value}\r\n")), 400));
    }
    for value in ["9999999999999999999", "9223372036854775808", "4294967296"] {
        rows.push((value.to_owned(), length(&format!("Content-Length: {value}\r\n")), 413));
    }
    let rows: Vec<_> =
        rows.iter().map(|(what, bytes, status)| (what.as_str(), bytes.clone(), *status)).collect();
    refuse_all(&rows);
}

#[test]
fn chunks_that_are_not_well_formed_are_refused() {
    let good = format!("{:x}\r\n{PING}\r\n", PING.len());
    let size = |size: &str| chunks(&format!("{size}\r\n{PING}\r\n0\r\n\r\n{HIDDEN}"));
    refuse_all(&[
        ("17 digits", size("00000000000000028"), 400),
        ("17 digits that would wrap to the right size", size("10000000000000028"), 400),
        ("the largest size", size("FFFFFFFFFFFFFFFF"), 413),
        ("a size that wraps with what came", chunks(&format!("{good}FFFFFFFFFFFFFFD8\r\n{HIDDEN}")), 413),
        ("a plus", size("+28"), 400),
        ("a minus", size("-28"), 400),
        ("a prefix", size("0x28"), 400),
        ("an underscore", size("2_8"), 400),
        ("a space before", size(" 28"), 400),
        ("a space behind", size("28 "), 400),
        ("a tab behind", size("28\t"), 400),
        ("no digits", size(""), 400),
        ("no digits but an extension", size(";a=b"), 400),
        ("a bare LF behind the size", chunks(&format!("28\n{PING}\r\n0\r\n\r\n")), 400),
        ("a bare CR behind the size", chunks(&format!("28\r{PING}\r\n0\r\n\r\n")), 400),
        ("an LF in an extension", chunks(&format!("28;a\n{PING}\r\n0\r\n\r\n")), 400),
        ("a CR in an extension", chunks(&format!("28;a\rb\r\n{PING}\r\n0\r\n\r\n")), 400),
        ("a NUL in an extension", chunks(&format!("28;\0\r\n{PING}\r\n0\r\n\r\n")), 400),
        ("data too long", chunks(&format!("27\r\n{PING}\r\n0\r\n\r\n")), 400),
        ("data too short", chunks(&format!("29\r\n{PING}\r\n0\r\n\r\n")), 400),
        ("data behind which a bare LF stands", chunks(&format!("28\r\n{PING}\n0\r\n\r\n")), 400),
        ("data behind which nothing stands", chunks(&format!("28\r\n{PING}0\r\n\r\n")), 400),
        ("a bare LF at the end", chunks(&format!("{good}0\r\n\n{HIDDEN}")), 400),
        ("a bare CR at the end", chunks(&format!("{good}0\r\n\r{HIDDEN}")), 400),
        ("a trailer line without a name", chunks(&format!("{good}0\r\n: x\r\n\r\n")), 400),
        ("a trailer line without a colon", chunks(&format!("{good}0\r\nx\r\n\r\n")), 400),
        ("a folded trailer line", chunks(&format!("{good}0\r\na: b\r\n c\r\n\r\n")), 400),
        ("a bare LF in the trailers", chunks(&format!("{good}0\r\na: b\nc: d\r\n\r\n")), 400),
        ("a request line as a trailer", chunks(&format!("{good}0\r\n{HIDDEN}")), 400),
        ("extensions without end", chunks(&format!("28;{}\r\n{PING}\r\n0\r\n\r\n", "x".repeat(5000))), 400),
        ("trailers without end", chunks(&format!("{good}0\r\na: {}\r\n\r\n", "x".repeat(9000))), 431),
    ]);
}

#[test]
fn heads_that_are_not_well_formed_are_refused() {
    let lf = String::from_utf8(post(PING, "")).unwrap();
    let head_end = lf.find("\r\n\r\n").unwrap();
    let replaced = |from: &str, to: &str| lf.replacen(from, to, 1).into_bytes();
    refuse_all(&[
        ("LF for every line", lf.replace("\r\n", "\n").into_bytes(), 400),
        ("LF behind the request line", replaced("\r\n", "\n"), 400),
        ("LF behind a header", replaced("localhost\r\n", "localhost\n"), 400),
        ("LF as the empty line", replaced("\r\n\r\n", "\r\n\n"), 400),
        ("LF LF as the end", [&lf.as_bytes()[..head_end], b"\n\n", PING.as_bytes()].concat(), 400),
        ("CR for every line", lf.replace("\r\n", "\r").into_bytes(), 400),
        ("CR CR LF", replaced("\r\n", "\r\r\n"), 400),
        ("CR in a value", with("X-A: a\rb\r\n"), 400),
        ("CR at the end of a value", with("X-A: a\r\r\n"), 400),
        ("NUL in a value", with("X-A: a\0b\r\n"), 400),
        ("DEL in a value", with("X-A: a\x7fb\r\n"), 400),
        ("escape in a value", with("X-A: \x1b[0m\r\n"), 400),
        ("a folded line", with("X-A: a\r\n b\r\n"), 400),
        ("a line folded with a tab", with("X-A: a\r\n\tb\r\n"), 400),
        ("a fold before the first header", with(" X-A: a\r\n"), 400),
        ("a space before the colon", with("X-A : a\r\n"), 400),
        ("no name", with(": a\r\n"), 400),
        ("no colon", with("X-A\r\n"), 400),
        ("a name in brackets", with("(X-A): a\r\n"), 400),
        ("a name with a NUL", with("X\0A: a\r\n"), 400),
        ("a name that is no ASCII", with("\u{445}: a\r\n"), 400),
        ("a name of 256 bytes", with(&format!("{}: a\r\n", "x".repeat(256))), 431),
        ("a reserved name in disguise", with("X_Ringgate_User: root\r\n"), 400),
        ("Mcp-Name in disguise", with("Mcp_Name: x\r\n"), 400),
        ("Content-Type twice", with("Content-Type: application/json\r\n"), 400),
        ("Authorization twice", with("Authorization: Bearer a\r\nAuthorization: Bearer b\r\n"), 400),
        ("Origin twice", with("Origin: http://localhost\r\nOrigin: http://localhost\r\n"), 400),
        ("Connection names Host", with("Connection: host\r\n"), 400),
        ("Connection names what governs", with("Connection: close, Mcp-Method\r\n"), 400),
        ("another expectation", with("Expect: 200-ok\r\n"), 417),
        ("a list of expectations", with("Expect: 100-continue, x\r\n"), 417),
        ("a header behind the 64th", with(&"X-A: a\r\n".repeat(61)), 431),
        ("a head over the limit", with(&format!("X-A: {}\r\n", "a".repeat(17 << 10))), 431),
        (
            "a head without end",
            format!("POST /up/mcp HTTP/1.1\r\nX: {}", "a".repeat(17 << 10)).into_bytes(),
            431,
        ),
        (
            "headers without end",
            format!("POST /up/mcp HTTP/1.1\r\n{}", "X: a\r\n".repeat(100)).into_bytes(),
            431,
        ),
        ("two empty lines first", format!("\r\n\r\n{lf}").into_bytes(), 400),
        ("an LF first", format!("\n{lf}").into_bytes(), 400),
        ("a space first", format!(" {lf}").into_bytes(), 400),
    ]);
}

#[test]
fn request_lines_that_are_not_well_formed_are_refused() {
    let long = format!("POST /up/mcp?{} HTTP/1.1", "a".repeat(5000));
    let endless = format!("POST /{}", "a".repeat(5000)).into_bytes();
    refuse_all(&[
        ("two spaces", line("POST  /up/mcp HTTP/1.1"), 400),
        ("a tab", line("POST\t/up/mcp HTTP/1.1"), 400),
        ("a space at the end", line("POST /up/mcp HTTP/1.1 "), 400),
        ("a space in the target", line("POST /up/mcp x HTTP/1.1"), 400),
        ("a request within the target", line("POST /up/mcp HTTP/1.1 HTTP/1.1"), 400),
        ("no version", line("POST /up/mcp"), 400),
        ("no target", line("POST HTTP/1.1"), 400),
        ("nothing", line(""), 400),
        ("lower-case http", line("POST /up/mcp http/1.1"), 400),
        ("HTTP/0.9", line("POST /up/mcp HTTP/0.9"), 505),
        ("HTTP/1.2", line("POST /up/mcp HTTP/1.2"), 505),
        ("HTTP/2.0", line("POST /up/mcp HTTP/2.0"), 505),
        ("HTTP/11.1", line("POST /up/mcp HTTP/11.1"), 505),
        ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(), 505),
        ("a TLS handshake", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n".to_vec(), 400),
        ("a PROXY header", [b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n", &*post(PING, "")].concat(), 400),
        ("a NUL in the target", line("POST /up/mcp\0 HTTP/1.1"), 400),
        ("a control byte in the target", line("POST /up\x01/mcp HTTP/1.1"), 400),
        ("DEL in the target", line("POST /up/mcp\x7f HTTP/1.1"), 400),
        ("a control byte in the method", line("PO\x01ST /up/mcp HTTP/1.1"), 400),
        ("no ASCII in the path", line("POST /up/mcp/\u{e9} HTTP/1.1"), 400),
        ("a fragment", line("POST /up/mcp#a HTTP/1.1"), 400),
        ("a fragment in the query", line("POST /up/mcp?a#b HTTP/1.1"), 400),
        ("a backslash", line("POST /up\\mcp HTTP/1.1"), 400),
        ("half an escape", line("POST /up/mcp%2 HTTP/1.1"), 400),
        ("no slash", line("POST up/mcp HTTP/1.1"), 400),
        ("a star", line("POST * HTTP/1.1"), 400),
        ("an authority", line("POST localhost:80 HTTP/1.1"), 400),
        ("another host", line("POST http://evil.example/up/mcp HTTP/1.1"), 400),
        ("another port", line("POST http://localhost:1/up/mcp HTTP/1.1"), 400),
        ("user information", line("POST http://user@localhost/up/mcp HTTP/1.1"), 400),
        ("another scheme", line("POST ftp://localhost/up/mcp HTTP/1.1"), 400),
        ("CONNECT", line("CONNECT localhost:80 HTTP/1.1"), 501),
        ("CONNECT with a path", line("CONNECT /up/mcp HTTP/1.1"), 501),
        ("TRACE", line("TRACE /up/mcp HTTP/1.1"), 501),
        ("a lower-case method", line("post /up/mcp HTTP/1.1"), 405),
        ("PUT", line("PUT /up/mcp HTTP/1.1"), 405),
        ("an unknown method", line("PURGE /up/mcp HTTP/1.1"), 405),
        ("a method of 33 bytes", line(&format!("{} /up/mcp HTTP/1.1", "A".repeat(33))), 501),
        ("a target over the limit", line(&long), 414),
        ("a target without end", endless, 414),
        ("GET with a body", line("GET /up/mcp HTTP/1.1"), 400),
        ("DELETE with a body", line("DELETE /up/mcp HTTP/1.1"), 400),
    ]);
}

#[test]
fn a_host_that_is_not_exactly_one_is_refused() {
    let mut rows = vec![
        ("none".to_owned(), hosts(""), 400),
        ("two".to_owned(), hosts("Host: localhost\r\nHost: localhost\r\n"), 400),
        ("two that differ".to_owned(), hosts("Host: localhost\r\nHost: evil.example\r\n"), 400),
        ("one behind a space".to_owned(), hosts("Host: localhost\r\n Host: evil.example\r\n"), 400),
        ("one with a space before the colon".to_owned(), hosts("Host : localhost\r\n"), 400),
    ];
    for value in [
        "",
        "local host",
        "localhost, evil.example",
        "localhost,",
        "user@localhost",
        "localhost/up",
        "localhost?x",
        "http://localhost",
        "localhost:99999",
        "localhost:+80",
        "localhost:80:80",
        ":80",
        "[::1",
        "::1",
        "[evil]",
        "\"localhost\"",
        "localh\u{f6}st",
    ] {
        rows.push((format!("{value:?}"), hosts(&format!("Host: {value}\r\n")), 400));
    }
    for value in ["evil.example", "localhost.evil.example", "127.0.0.2", "0.0.0.0", "localhost."] {
        rows.push((format!("{value:?}"), hosts(&format!("Host: {value}\r\n")), 403));
    }
    let rows: Vec<_> =
        rows.iter().map(|(what, bytes, status)| (what.as_str(), bytes.clone(), *status)).collect();
    refuse_all(&rows);
}

#[test]
fn what_stands_behind_a_request_is_judged_like_the_first() {
    let probe = Probe::new("");
    let smuggled = [post(PING, ""), length("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n")].concat();
    let (answer, mut client) = probe.send("a good one and a bad one", &smuggled);
    assert_eq!((answer.status(), answer.json()["id"].clone()), (200, 1.into()), "{answer:?}");
    let second = client.message().unwrap();
    assert_eq!((second.status(), second.header("connection")), (400, Some("close")), "{second:?}");
    assert!(client.is_at_end());
    probe.saw("the good one", PING.as_bytes());
    probe.asks("a good one and a bad one");

    // Without a length there is no body: the message is empty, and what follows is no request.
    let (answer, mut client) = probe.send("no length", &framed("", PING.as_bytes()));
    assert_eq!(
        (answer.status(), answer.json()["error"]["code"].clone()),
        (400, (-32700).into()),
        "{answer:?}"
    );
    assert_eq!(client.message().unwrap().status(), 400);
    assert!(client.is_at_end());
    probe.asks("no length");
    probe.upstream.assert_untouched();
}
