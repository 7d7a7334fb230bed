//! Requests as they should be: unusual but right ones, pipelines, messages in pieces, and what of a head
//! goes on to the server.

use std::net::Shutdown;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use super::harness::{Client, META, Message, Upstream, echoed, modern, ok, post};
use super::probe::{Probe, chunked, framed};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

#[test]
fn unusual_but_right_requests_are_served() {
    let probe = Probe::new("");
    let whole = String::from_utf8(post(PING, "")).unwrap();
    let line = |line: &str| whole.replacen("POST /up/mcp HTTP/1.1", line, 1).into_bytes();
    let host = |host: &str| whole.replacen("Host: localhost", host, 1).into_bytes();
    let with = |lines: &str| post(PING, lines);
    let rows = [
        ("an empty line first", format!("\r\n{whole}").into_bytes()),
        ("a target with its host", line("POST http://localhost/up/mcp HTTP/1.1")),
        ("a target with its host in capitals", line("POST HTTP://LOCALHOST/up/mcp HTTP/1.1")),
        ("a host in capitals", host("Host: LOCALHOST")),
        ("a host with a port", host("Host: localhost:8080")),
        ("an address for a host", host("Host: 127.0.0.1")),
        ("an IPv6 host", host("Host: [::1]:80")),
        ("names in capitals", host("HOST: localhost")),
        ("whitespace around a value", host("Host:\t  localhost \t")),
        ("no whitespace", host("Host:localhost")),
        ("a value above ASCII", with("X-A: \u{e9}\r\n")),
        ("an empty value", with("X-A:\r\n")),
        (
            "an offer to upgrade",
            with("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAA\r\n"),
        ),
        ("an offer of websockets", with("Connection: upgrade\r\nUpgrade: websocket\r\n")),
        ("60 more headers", with(&"X-A: a\r\n".repeat(60))),
        ("a name of 255 bytes", with(&format!("{}: a\r\n", "x".repeat(255)))),
    ];
    for (what, bytes) in rows {
        let (answer, mut client) = probe.send(what, &bytes);
        assert_eq!(answer.status(), 200, "{what}: {answer:?}");
        let seen = probe.saw(what, PING.as_bytes());
        assert_eq!(seen.start, "POST /mcp HTTP/1.1", "{what}");
        for name in ["upgrade", "http2-settings", "connection"] {
            assert_eq!(seen.header(name), None, "{what}: {seen:?}");
        }
        assert_eq!(client.ask(&post(PING, "")).status(), 200, "{what}: the connection goes on");
        probe.saw(what, PING.as_bytes());
    }
    probe.upstream.assert_untouched();
}

#[test]
fn the_query_goes_along() {
    let probe = Probe::new("");
    let whole = String::from_utf8(post(PING, "")).unwrap();
    for query in ["?", "?a=b", "?a=b?c=d&e", "?%20%zz\"<>{}|^`\\"] {
        let (answer, _) =
            probe.send(query, whole.replacen("/up/mcp", &format!("/up/mcp{query}"), 1).as_bytes());
        assert_eq!(answer.status(), 200, "{query}: {answer:?}");
        assert_eq!(probe.saw(query, PING.as_bytes()).start, format!("POST /mcp{query} HTTP/1.1"));
    }
}

#[test]
fn http_1_0_is_answered_and_closed() {
    let probe = Probe::new("");
    for (host, connection) in [("Host: localhost\r\n", ""), ("", ""), ("", "Connection: keep-alive\r\n")] {
        let request = String::from_utf8(post(PING, connection)).unwrap();
        let request = request.replacen("HTTP/1.1", "HTTP/1.0", 1).replacen("Host: localhost\r\n", host, 1);
        let (answer, mut client) = probe.send("HTTP/1.0", request.as_bytes());
        assert_eq!((answer.status(), answer.header("connection")), (200, Some("close")), "{answer:?}");
        assert_eq!(answer.json()["id"], 1);
        assert!(client.is_at_end());
        probe.saw("HTTP/1.0", PING.as_bytes());
    }
    let (answer, mut client) = probe.send("close", &post(PING, "Connection: foo, Close\r\n"));
    assert_eq!((answer.status(), answer.header("connection")), (200, Some("close")), "{answer:?}");
    assert!(client.is_at_end());
}

#[test]
fn a_refusal_of_a_whole_request_keeps_the_connection() {
    let probe = Probe::new("");
    let mut client = probe.gateway.connect();
    let get = |path: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n").into_bytes()
    };
    for (bytes, status) in [
        (get("/nothing/mcp"), 404),
        (get("/up/mcp/"), 404),
        (get("/up/%6Dcp"), 404),
        (get("/up/../up/mcp"), 404),
        (b"PUT /up/mcp HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), 405),
        (b"OPTIONS /up/mcp HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), 405),
        (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), 204),
        (b"GET /up/mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n".to_vec(), 406),
        (b"GET /up/mcp HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_vec(), 403),
        (post("{", ""), 400),
        (post("", ""), 400),
        (post(PING, ""), 200),
    ] {
        let answer = client.ask(&bytes);
        let what = String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!((answer.status(), answer.header("connection")), (status, None), "{what}: {answer:?}");
        if status == 405 {
            assert_eq!(answer.header("allow"), Some("POST, GET, DELETE"), "{what}");
        }
    }
    probe.saw("the only one", PING.as_bytes());
    // The answer to HEAD has the length of a body that does not come.
    client.send(b"HEAD /up/mcp HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let head = client.head().unwrap();
    assert_eq!(head.status(), 405);
    assert!(head.header("content-length").is_some_and(|length| length != "0"), "{head:?}");
    assert_eq!(client.ask(&post(PING, "")).status(), 200);
    probe.saw("behind HEAD", PING.as_bytes());
    probe.upstream.assert_untouched();
}

#[test]
fn no_request_hides_in_a_batch_without_its_id() {
    let probe = Probe::new("");
    for method in ["tools/call", r"tools\/call", r"tools\u002fcall", r"\u0074ools/call"] {
        let hidden = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"name":"x"}}}}"#);
        let (answer, _) = probe.send(method, &post(&format!("[{PING},{hidden}]"), ""));
        assert_eq!(
            (answer.status(), answer.json()["error"]["code"].clone()),
            (400, (-32600).into()),
            "{method}"
        );
    }
    let (answer, _) = probe.send("a batch", &post(&format!("[{PING}]"), ""));
    assert_eq!(answer.status(), 200);
    probe.saw("a batch", format!("[{PING}]").as_bytes());
    probe.upstream.assert_untouched();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let probe = Probe::new("");
    let body = |id: usize| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"ping","params":{{"pad":"{}"}}}}"#,
            "x".repeat(id * 700)
        )
    };
    let mut all = Vec::new();
    for id in 1..=12 {
        match id % 3 {
            0 => all.extend(framed(
                "Transfer-Encoding: chunked\r\n",
                &chunked(body(id).as_bytes(), &[1, 2, 300]),
            )),
            1 => all.extend(post(&body(id), "")),
            _ => all.extend(post(&body(id), &"X-Pad: x\r\n".repeat(id))),
        }
    }
    let mut client = probe.gateway.connect();
    client.send(&all);
    for id in 1..=12 {
        let answer = client.message().unwrap();
        assert_eq!((answer.status(), answer.json()["id"].clone()), (200, id.into()), "{answer:?}");
        probe.saw("pipelined", body(id).as_bytes());
    }
    // What the gateway answers itself keeps its place in the line.
    client.send(&[post("{", ""), post(&body(1), ""), post("[]", ""), post(&body(2), "")].concat());
    for (status, id) in [(400, None), (200, Some(1)), (400, None), (200, Some(2))] {
        let answer = client.message().unwrap();
        assert_eq!(
            (answer.status(), answer.json().get("id").and_then(serde_json::Value::as_u64)),
            (status, id)
        );
    }
    drop(client);
    probe.gateway.assert_nothing_left();
}

#[test]
fn what_comes_while_an_answer_is_awaited_is_the_next_request() {
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = Upstream::new(move |request, client| {
        wait.lock().unwrap().recv().unwrap();
        client.send(&ok(&echoed(request)));
        true
    });
    let probe = Probe::before(upstream, "workers: 1");
    let body = |size: usize| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{size},"method":"ping","params":{{"pad":"{}"}}}}"#,
            "x".repeat(size)
        )
    };
    for size in [1, 1_000, 5_000, 100_000] {
        let (first, second) = (post(PING, ""), post(&body(size), ""));
        for cut in [0, 1, 30, second.len() - 1, second.len()] {
            let mut client = probe.gateway.connect();
            client.send(&first);
            probe.saw("first", PING.as_bytes());
            // The server has the first and keeps it: this comes meanwhile.
            client.send(&second[..cut]);
            go.send(()).unwrap();
            assert_eq!(client.message().unwrap().json()["id"], 1, "{size}, cut at {cut}");
            client.send(&second[cut..]);
            go.send(()).unwrap();
            assert_eq!(client.message().unwrap().json()["id"], size, "{size}, cut at {cut}");
            probe.saw("second", body(size).as_bytes());
        }
    }
    probe.gateway.assert_nothing_left();
}

#[test]
fn a_client_that_says_it_sends_no_more_still_gets_its_answers() {
    let probe = Probe::new("");
    let get = b"GET /no HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
    for (bytes, statuses) in [
        (post(PING, ""), &[200][..]),
        (get.clone(), &[404]),
        ([get, post("{", ""), post(PING, "")].concat(), &[404, 400, 200]),
    ] {
        let mut client = probe.gateway.connect();
        client.send(&bytes);
        client.stream.shutdown(Shutdown::Write).unwrap();
        for status in statuses {
            assert_eq!(client.message().map(|answer| answer.status()), Some(*status));
        }
        assert!(client.is_at_end());
    }
    // Half a request is none.
    let mut client = probe.gateway.connect();
    client.send(&post(PING, "")[..100]);
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert!(client.is_at_end());
    probe.gateway.assert_nothing_left();
}

/// Requests and the status of their answers. What is refused is so with its last byte, not before.
fn samples() -> Vec<(&'static str, Vec<u8>, u16)> {
    let body =
        format!(r#"{{"jsonrpc":"2.0","id":"\u00e9é","method":"tools/call","params":{{"name":"x",{META}}}}}"#);
    let lines = modern("tools/call", "x");
    let chunks = chunked(body.as_bytes(), &[1, 16, 40]);
    let chunks = String::from_utf8(chunks)
        .unwrap()
        .replacen("\r\n", ";ext=\"1\"\r\n", 1)
        .replace("0\r\n\r\n", "000\r\nT: x\r\n\r\n");
    vec![
        ("length", post(&body, &lines), 200),
        ("chunked", framed(&format!("Transfer-Encoding: chunked\r\n{lines}"), chunks.as_bytes()), 200),
        ("wrong name", post(&body, &lines.replace("Name: x", "Name: y")), 400),
        (
            "smuggled",
            framed(&format!("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n{lines}"), b""),
            400,
        ),
        ("bad chunk", framed(&format!("Transfer-Encoding: chunked\r\n{lines}"), b"1\r\n{x"), 400),
        ("no path", b"GET /no HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n\r\n".to_vec(), 404),
        (
            "modern GET",
            b"GET /up/mcp HTTP/1.1\r\nHost: localhost\r\nMCP-Protocol-Version: 2026-07-28\r\n\r\n".to_vec(),
            405,
        ),
        ("two hosts", b"GET /up/mcp HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n".to_vec(), 400),
    ]
}

/// The parts of an answer that must not depend on how the request came.
fn essence(answer: &Message) -> (String, Vec<(String, String)>, String) {
    let headers = answer.headers.iter().filter(|(name, _)| name != "date").cloned().collect();
    (answer.start.clone(), headers, answer.text())
}

#[test]
fn a_request_that_comes_byte_by_byte_gets_the_same_answer() {
    let probe = Probe::new("");
    for (what, bytes, status) in samples() {
        let (whole, _) = probe.send(what, &bytes);
        assert_eq!(whole.status(), status, "{what}: {whole:?}");
        let seen = (status == 200).then(|| probe.upstream.request().body);
        let mut client = probe.gateway.connect();
        for byte in &bytes {
            client.send(&[*byte]);
        }
        let answer = client.message().unwrap();
        assert_eq!(essence(&answer), essence(&whole), "{what}");
        assert_eq!((status == 200).then(|| probe.upstream.request().body), seen, "{what}");
    }
    probe.upstream.assert_untouched();
}

/// Two pieces, cut at every place. First all first pieces are sent, each on its own connection; then one
/// request is served, so the only worker has seen them; then all the rest.
#[test]
fn a_request_in_two_pieces_gets_the_same_answer_wherever_it_is_cut() {
    let probe = Probe::new("workers: 1\ntimeouts:\n  head: 5m");
    for (what, bytes, status) in samples() {
        let (whole, _) = probe.send(what, &bytes);
        let seen = (status == 200).then(|| probe.upstream.request().body);
        let mut clients: Vec<Client> = (1..bytes.len()).map(|_| probe.gateway.connect()).collect();
        for (at, client) in (1..).zip(&mut clients) {
            client.send(&bytes[..at]);
        }
        probe.asks(what);
        for (at, client) in (1..).zip(&mut clients) {
            client.send(&bytes[at..]);
            let answer = client.message().unwrap_or_else(|| panic!("{what}, cut at {at}: no answer"));
            assert_eq!(essence(&answer), essence(&whole), "{what}, cut at {at}");
            assert_eq!((status == 200).then(|| probe.upstream.request().body), seen, "{what}, cut at {at}");
        }
    }
    probe.upstream.assert_untouched();
    probe.gateway.assert_nothing_left();
}

#[test]
fn a_chunked_body_arrives_with_its_length_and_byte_for_byte() {
    let probe = Probe::new("");
    let mut client = probe.gateway.connect();
    for size in [0, 1, 15, 2_000, 70_000, 1_000_000] {
        let body = format!(
            r#" {{"jsonrpc" : "2.0","id":1,"method":"ping","params":{{"pad":"{}é"}}}} "#,
            "x".repeat(size)
        );
        for sizes in [&[][..], &[1, 1, 1], &[1, 255, 4096, 65_536]] {
            client.send(&framed("Transfer-Encoding: Chunked\r\n", &chunked(body.as_bytes(), sizes)));
            assert_eq!(client.message().unwrap().status(), 200, "{size} {sizes:?}");
            probe.saw("chunked", body.as_bytes());
        }
    }
    // Chunks of one byte each; sizes in capitals and with zeros in front; extensions and trailers are dropped.
    let bytes: Vec<usize> = PING.bytes().map(|_| 1).collect();
    client.send(&framed("Transfer-Encoding: chunked\r\n", &chunked(PING.as_bytes(), &bytes)));
    assert_eq!(client.message().unwrap().status(), 200);
    probe.saw("single bytes", PING.as_bytes());
    let padded = format!("{PING}{}", " ".repeat(0xAB - PING.len()));
    let odd = format!(
        "00000000000000Ab;a;b=\"c;d\"\r\n{padded}\r\n0;x\r\nContent-Length: 5\r\nX-Trailer: t\r\n\r\n"
    );
    client.send(&framed("Transfer-Encoding: chunked\r\n", odd.as_bytes()));
    assert_eq!(client.message().unwrap().status(), 200);
    let seen = probe.saw("odd chunks", padded.as_bytes());
    assert_eq!(seen.header("x-trailer"), None, "{seen:?}");
    probe.upstream.assert_untouched();
}

#[test]
fn of_a_request_only_what_concerns_the_server_goes_on() {
    let probe = Probe::new("");
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"x",{META}}}}}"#);
    let lines = modern("tools/call", "x")
        + "Connection: keep-alive, X-Named, x-other\r\nConnection: X-Third\r\nKeep-Alive: timeout=5\r\n\
           X-Named: 1\r\nX-Other: 1\r\nX-THIRD: 1\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nTrailer: X\r\n\
           Upgrade: h2c\r\nHTTP2-Settings: AAA\r\nProxy-Authorization: Basic x\r\nProxy-Authenticate: x\r\n\
           Authorization: Bearer secret\r\nCookie: a=b\r\nCookie: c=d\r\nOrigin: http://localhost\r\n\
           Referer: http://localhost/\r\nForwarded: for=1.2.3.4\r\nX-Forwarded-For: 1.2.3.4\r\nx-forwarded-host: x\r\n\
           X-Forwarded-Anything: x\r\nX-Real-IP: 1.2.3.4\r\nVia: 1.1 x\r\nAccept-Encoding: gzip\r\n\
           X-Ringgate-User: root\r\nx-ringgate-anything: x\r\nX-RINGGATE-ENDPOINT: 1\r\nExpect: 100-continue\r\n\
           Mcp-Param-Region: eu\r\nX-Custom: x\r\nUser-Agent: test\r\ntraceparent: 00-1-2-03\r\n";
    let mut client = probe.gateway.connect();
    assert_eq!(client.ask(&post(&body, &lines)).status(), 200);
    let seen = probe.saw("headers", body.as_bytes());
    let mut kept: Vec<_> = seen.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    kept.sort();
    let mut expected = [
        "accept: application/json, text/event-stream".to_owned(),
        format!("content-length: {}", body.len()),
        "content-type: application/json".to_owned(),
        format!("host: {}", probe.upstream.address),
        "mcp-method: tools/call".to_owned(),
        "mcp-name: x".to_owned(),
        "mcp-param-region: eu".to_owned(),
        "mcp-protocol-version: 2026-07-28".to_owned(),
        "traceparent: 00-1-2-03".to_owned(),
        "accept-encoding: identity".to_owned(),
        "user-agent: test".to_owned(),
        "via: 1.1 ringgate".to_owned(),
    ];
    expected.sort();
    assert_eq!(kept, expected);
}

#[test]
fn who_waits_for_100_gets_it_only_where_the_head_passed() {
    let probe = Probe::new("");
    let waits = format!("Expect: 100-Continue\r\nContent-Length: {}\r\n", PING.len());
    let mut client = probe.gateway.connect();
    for _ in 0..2 {
        client.send(&framed(&waits, b""));
        assert_eq!(client.head().unwrap().start, "HTTP/1.1 100 Continue");
        client.send(PING.as_bytes());
        assert_eq!(client.message().unwrap().status(), 200);
        assert_eq!(probe.saw("expect", PING.as_bytes()).header("expect"), None);
    }
    // One that does not wait, on the same connection; and one whose body comes in chunks.
    assert_eq!(client.ask(&post(PING, "")).status(), 200);
    probe.saw("no expect", PING.as_bytes());
    client.send(&framed("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", b""));
    assert_eq!(client.head().unwrap().start, "HTTP/1.1 100 Continue");
    client.send(&chunked(PING.as_bytes(), &[3]));
    assert_eq!(client.message().unwrap().status(), 200);
    probe.saw("expect, chunked", PING.as_bytes());
    // The body is here already, or there is none: nobody waits.
    assert_eq!(client.ask(&framed(&waits, PING.as_bytes())).status(), 200);
    probe.saw("expect, all here", PING.as_bytes());
    let get = "GET /no HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\r\n";
    assert_eq!(client.ask(get.as_bytes()).status(), 404);

    let head = |line: &str, lines: &str| {
        format!("{line} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n{lines}\r\n").into_bytes()
    };
    let json = "Content-Type: application/json\r\nAccept: */*\r\n";
    for (what, bytes, status) in [
        ("path", head("POST /no", &format!("{json}Content-Length: 9\r\n")), 404),
        ("method", head("PUT /up/mcp", &format!("{json}Content-Length: 9\r\n")), 405),
        (
            "origin",
            head("POST /up/mcp", &format!("{json}Origin: http://evil.example\r\nContent-Length: 9\r\n")),
            403,
        ),
        (
            "type",
            head("POST /up/mcp", "Content-Type: text/plain\r\nAccept: */*\r\nContent-Length: 9\r\n"),
            415,
        ),
        (
            "accept",
            head("POST /up/mcp", "Content-Type: application/json\r\nAccept: a/b\r\nContent-Length: 9\r\n"),
            406,
        ),
        ("size", head("POST /up/mcp", &format!("{json}Content-Length: 999999999\r\n")), 413),
        (
            "framing",
            head("POST /up/mcp", &format!("{json}Content-Length: 9\r\nTransfer-Encoding: chunked\r\n")),
            400,
        ),
    ] {
        probe.refuses(what, &bytes, status);
    }
    // A client of HTTP/1.0 knows no 100 (RFC 9110 section 10.1.1).
    let old = String::from_utf8(framed(&waits, PING.as_bytes())).unwrap().replace("HTTP/1.1", "HTTP/1.0");
    let (at, mut client) = (old.len() - 5, probe.gateway.connect());
    client.send(&old.as_bytes()[..at]);
    probe.asks("the first part");
    client.send(&old.as_bytes()[at..]);
    assert_eq!(client.message().unwrap().status(), 200);
    probe.saw("HTTP/1.0", PING.as_bytes());
    probe.upstream.assert_untouched();
}
