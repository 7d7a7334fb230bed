//! Answers: what of them reaches the client, and those that are no HTTP, too long or cut off.

use std::sync::atomic::Ordering;

use super::harness::{Gateway, Upstream, echoed, ok, post};
use super::probe::Probe;

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

#[test]
fn of_an_answer_only_what_concerns_the_client_goes_on() {
    let answer = "HTTP/1.1 200 Fine\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\
        Connection: keep-alive, X-Named\r\nX-Named: 1\r\nKeep-Alive: timeout=30\r\nProxy-Connection: x\r\n\
        Proxy-Authenticate: x\r\nTE: x\r\nTrailer: X\r\nUpgrade: h2c\r\nSet-Cookie: a=b\r\nset-cookie: c=d\r\n\
        X-Ringgate-Secret: 1\r\nMcp-Session-Id: s\r\nX-Custom: x\r\nServer: up\r\n\r\n{}";
    let upstream = Upstream::new(move |_, client| {
        client.send(answer.as_bytes());
        true
    });
    let probe = Probe::before(upstream, "");
    let mut client = probe.gateway.connect();
    for _ in 0..2 {
        let answer = client.ask(&post(PING, ""));
        assert_eq!((answer.start.as_str(), answer.text().as_str()), ("HTTP/1.1 200 OK", "{}"));
        let mut kept: Vec<_> = answer
            .headers
            .iter()
            .filter(|(name, _)| name != "date")
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        kept.sort();
        let expected = [
            "content-length: 2",
            "content-security-policy: default-src 'none'; sandbox",
            "content-type: application/json",
            "mcp-session-id: s",
            "x-content-type-options: nosniff",
        ];
        assert_eq!(kept, expected);
    }
}

#[test]
fn answers_that_are_not_http_become_502() {
    let fine = |lines: &str, body: &str| format!("HTTP/1.1 200 OK\r\n{lines}\r\n{body}");
    let bad = [
        fine("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        fine("Content-Length: 2\r\nContent-Length: 2\r\n", "{}"),
        fine("Content-Length: 2\r\nContent-Length: 3\r\n", "{}"),
        fine("Content-Length: 2, 2\r\n", "{}"),
        fine("Content-Length: +2\r\n", "{}"),
        fine("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
        fine("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        fine("Content-Type: a/b\r\nContent-Type: c/d\r\nContent-Length: 2\r\n", "{}"),
        fine("X-A: a\r\n b\r\nContent-Length: 2\r\n", "{}"),
        fine("X-A: a\nContent-Length: 2\r\n", "{}"),
        fine("X-A: a\rb\r\nContent-Length: 2\r\n", "{}"),
        fine("X-A: a\0\r\nContent-Length: 2\r\n", "{}"),
        fine("X-A : a\r\nContent-Length: 2\r\n", "{}"),
        fine(&"X-A: a\r\n".repeat(65), "{}"),
        fine(&format!("X-A: {}\r\n", "a".repeat(40_000)), "{}"),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n".to_owned(),
        "HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 600 High\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-".to_owned(),
        "HTTP/1.1 100 Continue\r\n\r\n".to_owned(),
        String::new(),
    ];
    let script = bad.clone();
    // The id says which answer to give; the connection is closed behind it.
    let upstream = Upstream::new(move |request, client| {
        match script.get(request.json()["id"].as_u64().unwrap_or(999) as usize) {
            Some(answer) => {
                client.send(answer.as_bytes());
                false
            }
            None => {
                client.send(&ok(&echoed(request)));
                true
            }
        }
    });
    let probe = Probe::before(upstream, "");
    let mut client = probe.gateway.connect();
    for (id, answer) in bad.iter().enumerate() {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"x"}}"#);
        let got = client.ask(&post(&body, ""));
        assert_eq!(got.status(), 502, "{answer:?}: {got:?}");
        assert_eq!(
            (got.json()["id"].clone(), got.json()["error"]["code"].clone()),
            (id.into(), 502.into()),
            "{answer:?}"
        );
        probe.saw("once", body.as_bytes());
    }
    probe.asks("all of them");
    probe.upstream.assert_untouched();
}

#[test]
fn bytes_behind_an_answer_never_become_the_next_answer() {
    let extra = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n\"stray\"";
    let answers = [
        format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{{}}{extra}"),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n{extra}"),
        format!("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n{extra}"),
        format!("HTTP/1.1 204 No Content\r\n\r\n{extra}"),
        format!("HTTP/1.1 204 No Content\r\nContent-Length: {}\r\n\r\n{extra}", extra.len()),
    ];
    let script = answers.clone();
    let upstream = Upstream::new(move |request, client| {
        let index = request.json()["id"].as_u64().unwrap_or(999) as usize;
        client.send(
            script.get(index).map_or_else(|| ok("\"mine\""), |answer| answer.clone().into_bytes()).as_slice(),
        );
        true
    });
    let probe = Probe::before(upstream, "workers: 1");
    let mut client = probe.gateway.connect();
    for (id, answer) in answers.iter().enumerate() {
        let first = client.ask(&post(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"x"}}"#), ""));
        assert_eq!(first.status().to_string(), answer[9..12], "{answer}");
        assert!(["{}", ""].contains(&&*first.text()), "{answer}: {first:?}");
        let second = client.ask(&post(r#"{"jsonrpc":"2.0","id":"x","method":"ping"}"#, ""));
        assert_eq!((second.status(), second.text().as_str()), (200, "\"mine\""), "{answer}");
    }
    // Each time the connection was given up, and the next request went over a new one.
    assert_eq!(probe.upstream.accepted.load(Ordering::Relaxed), answers.len() + 1);
}

#[test]
fn an_answer_that_breaks_off_is_not_ended() {
    /// So many of the answers break off; the others are malformed.
    const BROKEN_OFF: usize = 3;
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nx\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}XX0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n",
    ];
    let upstream = Upstream::new(move |request, client| {
        client.send(answers[request.json()["id"].as_u64().unwrap_or(0) as usize].as_bytes());
        false
    });
    let probe = Probe::before(upstream, "");
    for (id, answer) in answers.iter().enumerate() {
        let mut client = probe.gateway.connect();
        client.send(&post(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"x"}}"#), ""));
        let head = client.head().unwrap();
        if id < BROKEN_OFF {
            assert_eq!((head.status(), client.body(&head)), (200, None), "{answer}");
        } else {
            // It came with the head, so nothing had been passed on yet.
            assert_eq!(head.status(), 502, "{answer}");
            assert!(
                client.body(&head).is_some_and(|body| String::from_utf8_lossy(&body).contains("chunk")),
                "{answer}"
            );
        }
    }
    // A body that lasts until the connection ends is whole with it, and gets an end of its own.
    let until_close = Upstream::new(|_, client| {
        client.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"a\":");
        client.send(b"1}");
        false
    });
    let probe = Probe::before(until_close, "");
    let mut client = probe.gateway.connect();
    for _ in 0..2 {
        assert_eq!(client.ask(&post(PING, "")).text(), "{\"a\":1}");
    }
}

#[test]
fn interim_answers_stay_between_gateway_and_server() {
    let upstream = Upstream::new(|_, client| {
        for interim in
            ["100 Continue\r\n", "102 Processing\r\nX-A: b\r\n", "103 Early Hints\r\nLink: </x>\r\n"]
        {
            client.send(format!("HTTP/1.1 {interim}\r\n").as_bytes());
        }
        client.send(&ok("{}"));
        true
    });
    let probe = Probe::before(upstream, "");
    let mut client = probe.gateway.connect();
    for _ in 0..2 {
        let answer = client.ask(&post(PING, ""));
        assert_eq!((answer.status(), answer.text().as_str()), (200, "{}"), "{answer:?}");
        assert_eq!((answer.header("link"), answer.header("x-a")), (None, None), "{answer:?}");
    }
}

#[test]
fn an_answer_that_comes_byte_by_byte_arrives_whole() {
    let chunks = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n\
        3;a=b\r\n{\"a\r\n000b\r\n\":\"\r\n\r\n\r\n1\"\r\n1\r\n}\r\n0;x\r\nX-Trailer: t\r\nSet-Cookie: a\r\n\r\n";
    let bodies = [
        (chunks.as_bytes().to_vec(), "{\"a\":\"\r\n\r\n\r\n1\"}"),
        (ok("{\"a\":[1]}"), "{\"a\":[1]}"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(), ""),
        (b"HTTP/1.1 202 \r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(), ""),
    ];
    let script = bodies.clone();
    let upstream = Upstream::new(move |request, client| {
        for byte in &script[request.json()["id"].as_u64().unwrap() as usize].0 {
            client.send(&[*byte]);
        }
        true
    });
    let probe = Probe::before(upstream, "");
    let mut client = probe.gateway.connect();
    for _ in 0..3 {
        for (id, (answer, body)) in bodies.iter().enumerate() {
            let got = client.ask(&post(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"x"}}"#), ""));
            assert_eq!(got.status().to_string().as_bytes(), &answer[9..12]);
            assert_eq!(got.text(), *body);
            assert_eq!(got.header("x-trailer"), None);
        }
    }
    // HTTP/1.0 knows no chunks: there the end of the connection ends the body.
    let old = String::from_utf8(post(&PING.replace("\"id\":1", "\"id\":0"), ""))
        .unwrap()
        .replacen("/1.1", "/1.0", 1);
    let mut client = probe.gateway.connect();
    client.send(old.as_bytes());
    let head = client.head().unwrap();
    assert_eq!(
        (head.header("transfer-encoding"), head.header("connection")),
        (None, Some("close")),
        "{head:?}"
    );
    assert_eq!(client.rest(), bodies[0].1.as_bytes());
}

#[test]
fn heads_that_grow_on_the_way_keep_their_bodies() {
    // What the gateway adds is longer than what it takes away, and than the room before a message.
    let token = "t".repeat(8000);
    let upstream = Upstream::new(|request, client| {
        let short = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.body.len());
        client.send(&[short.as_bytes(), &request.body].concat());
        true
    });
    let config =
        format!("    headers:\n      Authorization: Bearer {token}\n      X-Own: mine\n      Cookie: a=b");
    let gateway = Gateway::before(upstream.address, &config);
    let origin = format!("http://localhost:{}", 8080);
    let mut client = gateway.connect();
    for size in [0, 100, 1_700, 2_000, 16_000, 80_000, 500_000, 3_000_000] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"pad":"{}"}}}}"#,
            "x".repeat(size)
        );
        let lines =
            format!("Authorization: Bearer theirs\r\nX-Own: theirs\r\nx-own: again\r\nOrigin: {origin}\r\n");
        let requests = [post(&body, &lines), post(PING, ""), post(&body, "")].concat();
        client.send(&requests);
        for body in [&body, PING, &body] {
            let answer = client.message().unwrap();
            assert_eq!((answer.status(), answer.text().as_str()), (200, body), "{size}");
            let seen = upstream.request();
            assert_eq!(seen.text(), *body, "{size}");
            let own = |name: &str| {
                seen.headers
                    .iter()
                    .filter(|(have, _)| have == name)
                    .map(|(_, value)| value.as_str())
                    .collect::<Vec<_>>()
            };
            assert_eq!(own("authorization"), [&*format!("Bearer {token}")], "{size}");
            assert_eq!((own("x-own"), own("cookie")), (vec!["mine"], vec!["a=b"]), "{size}");
        }
    }
    drop(client);
    gateway.assert_nothing_left();
}
