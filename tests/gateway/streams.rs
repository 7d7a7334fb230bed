//! Answers on their way: event streams, framing, size, and what the client's going means.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use super::harness::{Gateway, Upstream, ok, post_to};
use super::scenes::{
    LAST, SSE, chunk, door, get, large_answer, legacy, legacy_call, modern_call, pattern, told, wait_until,
};

const RESULT: &str = "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n";

#[test]
fn each_event_reaches_the_client_before_the_next_one_exists() {
    let events =
        ["id: 5\ndata:\n\n", "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n", RESULT];
    let (handle, door) = door();
    let upstream = Upstream::new(move |_, client| {
        client.send(SSE.as_bytes());
        for event in events {
            client.send(&chunk(event));
            door.pass();
        }
        client.send(LAST);
        true
    });
    let gateway = Gateway::before(upstream.address, "");
    let mut client = gateway.connect();
    for request in [legacy_call(1), modern_call(1)] {
        client.send(&request);
        let head = client.head().unwrap();
        assert_eq!((head.status(), head.header("content-type")), (200, Some("text/event-stream")));
        assert_eq!(head.header("x-accel-buffering"), Some("no"), "{head:?}");
        for event in events {
            assert_eq!(client.chunk().unwrap(), event.as_bytes());
            handle.open();
        }
        assert_eq!(client.chunk().unwrap(), b"");
    }
    assert_eq!(upstream.accepted.load(Ordering::Relaxed), 1, "the connection is used again");
    drop(client);
    gateway.assert_nothing_left();
}

#[test]
fn a_stream_that_comes_byte_by_byte_arrives_as_it_was_sent() {
    let upstream = Upstream::new(move |_, client| {
        let wire = [SSE.as_bytes(), &chunk("event: message\n"), &chunk(RESULT), LAST].concat();
        for byte in wire {
            client.send(&[byte]);
        }
        true
    });
    let gateway = Gateway::before(upstream.address, "");
    let mut client = gateway.connect();
    for id in 1..=3 {
        assert_eq!(client.ask(&modern_call(id)).text(), format!("event: message\n{RESULT}"));
    }
}

#[test]
fn chunks_pass_as_they_are_and_what_is_more_than_chunks_does_not() {
    let upstream = Upstream::new(|_, client| {
        client.send(SSE.as_bytes());
        client
            .send(b"5\r\nfirst\r\n6;secret=1\r\nsecond\r\n00A\r\n--third---\r\n0\r\nX-Trailer: evil\r\n\r\n");
        true
    });
    let plain = Upstream::new(|_, client| {
        let pieces = [SSE.as_bytes(), &chunk("one"), &chunk("two, longer"), &chunk("three"), LAST];
        client.send(&pieces.concat());
        true
    });
    let servers = format!(
        "servers:\n  - {{name: up, url: 'http://{}'}}\n  - {{name: plain, url: 'http://{}'}}\n",
        upstream.address, plain.address
    );
    let gateway = Gateway::with(&servers);
    let mut client = gateway.connect();
    for _ in 0..2 {
        // `Client` takes no chunk extension, and a trailer would be taken for the next answer.
        assert_eq!(client.ask(&legacy_call(1)).text(), "firstsecond--third---");
    }
    client.send(&post_to("/plain/mcp", &super::scenes::legacy_body(1, "tools/list", ""), ""));
    client.head().unwrap();
    let chunks: Vec<_> = std::iter::from_fn(|| client.chunk().filter(|chunk| !chunk.is_empty())).collect();
    assert_eq!(chunks, [&b"one"[..], b"two, longer", b"three"]);
}

#[test]
fn an_answer_that_ends_with_its_connection_gets_an_end_of_its_own() {
    let upstream = Upstream::new(|_, client| {
        client.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"jsonrpc\":");
        client.send(b"\"2.0\",\"id\":1,\"result\":{}}");
        false
    });
    let gateway = Gateway::before(upstream.address, "");
    let mut client = gateway.connect();
    for _ in 0..2 {
        let answer = client.ask(&modern_call(1));
        assert_eq!(answer.header("transfer-encoding"), Some("chunked"), "{answer:?}");
        assert_eq!(answer.json()["id"], 1);
    }
    assert_eq!(upstream.accepted.load(Ordering::Relaxed), 2);
    drop(client);
    gateway.assert_nothing_left();
}

#[test]
fn a_client_of_http_1_0_gets_no_chunks_and_an_end() {
    let upstream = Upstream::new(|_, client| {
        client.send(&[SSE.as_bytes(), &chunk("data: 1\n"), &chunk("\n"), LAST].concat());
        true
    });
    let gateway = Gateway::before(upstream.address, "");
    let mut client = gateway.connect();
    let request = String::from_utf8(legacy_call(1)).unwrap().replace("HTTP/1.1", "HTTP/1.0");
    client.send(request.as_bytes());
    let head = client.head().unwrap();
    assert_eq!((head.status(), head.header("connection")), (200, Some("close")));
    assert_eq!((head.header("transfer-encoding"), head.header("content-length")), (None, None));
    assert_eq!(client.rest(), b"data: 1\n\n");
    gateway.assert_nothing_left();
}

#[test]
fn interim_answers_stay_between_gateway_and_server() {
    let upstream = Upstream::new(|_, client| {
        client.send(b"HTTP/1.1 100 Continue\r\n\r\n");
        client.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
        client.send(&ok("{}"));
        true
    });
    let gateway = Gateway::before(upstream.address, "");
    let mut client = gateway.connect();
    for _ in 0..2 {
        let answer = client.ask(&modern_call(1));
        assert_eq!((answer.status(), answer.header("link"), answer.text()), (200, None, "{}".to_owned()));
    }
}

#[test]
fn answers_without_a_body_have_none_and_keep_the_connection() {
    let upstream = Upstream::new(|request, client| {
        match request.start.split(' ').next() {
            Some("DELETE") => client.send(b"HTTP/1.1 204 No Content\r\n\r\n"),
            Some("GET") => {
                client.send(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nETag: \"a\"\r\n\r\n")
            }
            _ => client.send(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"),
        }
        true
    });
    let gateway = Gateway::before(upstream.address, "");
    let mut client = gateway.connect();
    for _ in 0..2 {
        let delete = "DELETE /up/mcp HTTP/1.1\r\nHost: localhost\r\nMcp-Session-Id: s\r\n\r\n";
        let answer = client.ask(delete.as_bytes());
        assert_eq!((answer.status(), answer.header("content-length")), (204, None));
        client.send(&get("/up/mcp", ""));
        let answer = client.head().unwrap();
        assert_eq!((answer.status(), answer.header("etag")), (405, Some("\"a\"")));
        let notification =
            super::harness::post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, "");
        assert_eq!(client.ask(&notification).status(), 202);
    }
    assert_eq!(upstream.accepted.load(Ordering::Relaxed), 1);
}

#[test]
fn head_is_refused_without_a_body() {
    let upstream = Upstream::echo();
    let gateway = Gateway::before(upstream.address, "");
    let mut client = gateway.connect();
    client.send(b"HEAD /up/mcp HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let head = client.head().unwrap();
    assert_eq!((head.status(), head.header("allow")), (405, Some("POST, GET, DELETE")));
    upstream.assert_untouched();
    assert_eq!(client.ask(&modern_call(2)).json()["id"], 2, "what follows is the next answer, not a body");
}

#[test]
fn a_modern_client_that_leaves_cancels_before_and_within_the_answer() {
    let (tell, ended) = channel();
    let upstream = Upstream::new(move |request, client| {
        if request.text().contains("\"id\":2") {
            client.send(&[SSE.as_bytes(), &chunk("data: 1\n\n")].concat());
        }
        tell.send(client.is_at_end()).unwrap();
        false
    });
    let gateway = Gateway::before(upstream.address, "");
    for id in [1, 2] {
        let mut client = gateway.connect();
        client.send(&modern_call(id));
        upstream.request();
        if id == 2 {
            client.head().unwrap();
            assert_eq!(client.chunk().unwrap(), b"data: 1\n\n");
        }
        drop(client);
        assert!(told(&ended, "the server sees the end while it works"));
    }
    gateway.assert_nothing_left();
    gateway.await_metric("ringgate_exchanges_total", "client_gone", 2.0);
}

#[test]
fn a_legacy_client_that_leaves_cancels_nothing() {
    let (handle, door) = door();
    let (tell, wrote) = channel();
    let upstream = Upstream::new(move |request, client| {
        if request.text().contains("\"id\":1") {
            door.pass();
            let answer = ok(std::str::from_utf8(&large_answer(3 << 20)).unwrap());
            tell.send(std::io::Write::write_all(&mut client.stream, &answer).is_ok()).unwrap();
        } else {
            client.send(&ok("{}"));
        }
        true
    });
    let gateway = Gateway::before(upstream.address, "workers: 1\n");
    let mut client = gateway.connect();
    client.send(&legacy_call(1));
    upstream.request();
    drop(client);
    // The one worker that serves this has seen the other connection end before it.
    assert_eq!(gateway.connect().ask(&legacy_call(2)).status(), 200);
    handle.open();
    assert!(told(&wrote, "the server writes all of its answer"));
    gateway.assert_nothing_left();
    gateway.await_metric("ringgate_exchanges_total", "client_gone", 1.0);
    gateway.await_metric("ringgate_upstream_connections", "", 2.0);
}

#[test]
fn a_held_get_stream_ends_at_the_server_when_the_client_leaves() {
    let (tell, ended) = channel();
    let upstream = Upstream::new(move |_, client| {
        client.send(&[SSE.as_bytes(), &chunk(": hello\n\n")].concat());
        tell.send(client.is_at_end()).unwrap();
        false
    });
    let gateway = Gateway::before(upstream.address, "");
    let mut client = gateway.connect();
    client.send(&get("/up/mcp", "Mcp-Session-Id: s\r\n"));
    assert_eq!(client.head().unwrap().status(), 200);
    assert_eq!(client.chunk().unwrap(), b": hello\n\n");
    gateway.await_metric("ringgate_exchanges_open", "", 1.0);
    drop(client);
    assert!(told(&ended, "the server sees the end"));
    gateway.assert_nothing_left();
}

#[test]
fn large_answers_arrive_byte_for_byte() {
    const LENGTH: usize = 5 << 20;
    let upstream = Upstream::new(|request, client| {
        if request.text().contains("\"id\":1") {
            client.send(&ok(std::str::from_utf8(&large_answer(LENGTH)).unwrap()));
            return true;
        }
        client.send(SSE.as_bytes());
        let (bytes, mut at) = (pattern(LENGTH), 0);
        for size in (1..).map(|n: usize| 1 + n * n * 37 % 70_001) {
            let piece = &bytes[at..bytes.len().min(at + size)];
            client.send(&chunk(std::str::from_utf8(piece).unwrap()));
            at += piece.len();
            if at == bytes.len() {
                break;
            }
        }
        client.send(LAST);
        true
    });
    let gateway = Gateway::before(upstream.address, "");
    let mut client = gateway.connect();
    for _ in 0..2 {
        assert!(client.ask(&modern_call(1)).body == large_answer(LENGTH), "JSON of known length");
        assert!(client.ask(&modern_call(2)).body == pattern(LENGTH), "a chunked stream");
    }
    drop(client);
    gateway.assert_nothing_left();
}

/// Resident memory of a process, in KiB.
fn resident_kib(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_client_that_does_not_read_holds_the_server_back_and_costs_no_memory() {
    const LENGTH: usize = 50 << 20;
    let written = Arc::new(AtomicUsize::new(0));
    let count = written.clone();
    let upstream = Upstream::new(move |_, client| {
        client.send(
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {LENGTH}\r\n\r\n")
                .as_bytes(),
        );
        let piece = pattern(64 << 10);
        for _ in 0..LENGTH / piece.len() {
            client.send(&piece);
            count.fetch_add(piece.len(), Ordering::Relaxed);
        }
        true
    });
    let gateway = Gateway::before(upstream.address, "");
    let mut client = gateway.connect();
    gateway.connect().ask(&post_to("/none", "{}", ""));
    let before = resident_kib(gateway.child.id());
    client.send(&modern_call(1));
    let mut last = 0;
    wait_until("the server is held back", || {
        std::thread::sleep(std::time::Duration::from_millis(500));
        let now = written.load(Ordering::Relaxed);
        std::mem::replace(&mut last, now) == now && now > 0
    });
    assert!(last < LENGTH, "all of it was taken");
    let grown = resident_kib(gateway.child.id()).saturating_sub(before);
    assert!(grown < 8 << 10, "{grown} KiB for an answer that nobody reads");
    let answer = client.message().unwrap();
    assert_eq!(answer.body.len(), LENGTH);
    assert!(answer.body.chunks(64 << 10).all(|piece| piece == pattern(64 << 10)));
}

#[test]
fn the_http_sse_transport_of_2024_passes_through() {
    let (handle, door) = door();
    let upstream = Upstream::new(move |request, client| {
        if request.start.starts_with("GET") {
            client.send(SSE.as_bytes());
            client.send(&chunk("event: endpoint\ndata: /mess"));
            client.send(&chunk("age?sessionId=7\n\n"));
            door.pass();
            client.send(&chunk("event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n"));
            client.send(LAST);
        } else {
            client.send(b"HTTP/1.1 202 Accepted\r\nContent-Length: 8\r\n\r\nAccepted");
        }
        true
    });
    let gateway = Gateway::with(&format!(
        "servers:\n  - name: old\n    transport: sse\n    url: http://{}/sse\n",
        upstream.address
    ));
    let mut stream = gateway.connect();
    stream.send(&get("/old/mcp", ""));
    assert_eq!(stream.head().unwrap().status(), 200);
    let event = String::from_utf8(stream.chunk().unwrap()).unwrap();
    assert_eq!(event, "event: endpoint\ndata: /old/mcp/~/message?sessionId=7\n\n");
    assert_eq!(upstream.request().start, "GET /sse HTTP/1.1");
    let message = super::scenes::legacy_body(1, "tools/list", "");
    let mut client = gateway.connect();
    let answer = client.ask(&post_to("/old/mcp/~/message?sessionId=7", &message, ""));
    assert_eq!((answer.status(), answer.text()), (202, "Accepted".to_owned()));
    let seen = upstream.request();
    assert_eq!((&*seen.start, seen.text()), ("POST /message?sessionId=7 HTTP/1.1", message.clone()));
    handle.open();
    assert!(String::from_utf8(stream.chunk().unwrap()).unwrap().starts_with("event: message\n"));
    assert_eq!(stream.chunk().unwrap(), b"");
    for path in ["/old/mcp/~/admin", "/old/mcp/~//message", "/old/mcp/~/message/../admin"] {
        assert_eq!(gateway.connect().ask(&post_to(path, &message, "")).status(), 404, "{path}");
    }
    assert_eq!(gateway.connect().ask(&post_to("/old/mcp", &message, "")).status(), 405);
    upstream.assert_untouched();
    drop((client, stream));
    gateway.assert_nothing_left();
}

#[test]
fn session_and_event_ids_pass_both_ways() {
    let upstream = Upstream::new(|_, client| {
        client.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nMcp-Session-Id: se~ss/1\r\nContent-Length: 13\r\n\r\nid: e\ndata:\n\n");
        true
    });
    let gateway = Gateway::before(upstream.address, "");
    let mut client = gateway.connect();
    let answer = client.ask(&get("/up/mcp", "Mcp-Session-Id: 1~own\r\nLast-Event-ID: a b=\r\n"));
    assert_eq!(
        (answer.header("mcp-session-id"), answer.text()),
        (Some("se~ss/1"), "id: e\ndata:\n\n".to_owned())
    );
    let seen = upstream.request();
    assert_eq!(seen.header("last-event-id"), Some("a b="));
    assert_eq!(seen.header("mcp-session-id"), Some("1~own"), "one endpoint: the id is the server's own");
}

#[test]
fn a_session_stays_at_the_endpoint_that_opened_it() {
    let own: Vec<Upstream> = ["first", "second"].map(|name| {
        Upstream::new(move |_, client| {
            client.send(format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nMcp-Session-Id: {name}\r\nContent-Length: 2\r\n\r\n{{}}").as_bytes());
            true
        })
    })
    .into();
    let endpoints: Vec<String> =
        own.iter().map(|upstream| format!("'http://{}/mcp'", upstream.address)).collect();
    let gateway = Gateway::with(&format!(
        "servers:\n  - name: up\n    endpoints: [{}]\nworkers: 1\n",
        endpoints.join(", ")
    ));
    let mut client = gateway.connect();
    let mut met = Vec::new();
    for _ in 0..2 {
        let opened = client.ask(&legacy(
            1,
            "initialize",
            r#""protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}"#,
        ));
        let id = opened.header("mcp-session-id").unwrap().to_owned();
        let (endpoint, name) = id.split_once('~').unwrap();
        let upstream = &own[endpoint.parse::<usize>().unwrap()];
        assert_eq!(upstream.request().header("mcp-session-id"), None);
        for _ in 0..3 {
            let body = super::scenes::legacy_body(2, "tools/call", r#""name":"x""#);
            let answer = client.ask(&super::harness::post(&body, &format!("Mcp-Session-Id: {id}\r\n")));
            assert_eq!(answer.header("mcp-session-id"), Some(&*id));
            assert_eq!(upstream.request().header("mcp-session-id"), Some(name), "the server gets its own id");
        }
        met.push(name.to_owned());
    }
    met.sort();
    assert_eq!(met, ["first", "second"], "new sessions go round");
    own.iter().for_each(Upstream::assert_untouched);
}

#[test]
fn an_endpoint_that_refuses_is_replaced_by_the_next() {
    let upstream = Upstream::echo();
    let dead = super::harness::free_port();
    let gateway = Gateway::with(&format!(
        "servers:\n  - name: up\n    endpoints: ['http://127.0.0.1:{dead}/a-path-that-is-longer?k=v', 'http://{}/b?x=1']\nworkers: 1\n",
        upstream.address
    ));
    let mut client = gateway.connect();
    for id in 1..=4 {
        let body = super::scenes::legacy_body(id, "tools/call", r#""name":"x""#);
        let answer = client.ask(&post_to("/up/mcp?y=2", &body, ""));
        assert_eq!((answer.status(), &answer.json()["id"]), (200, &id.into()));
        let seen = upstream.request();
        assert_eq!(
            (&*seen.start, seen.text()),
            ("POST /b?x=1 HTTP/1.1", body),
            "the operator's query, not the client's"
        );
        assert_eq!(seen.header("host"), Some(&*upstream.address.to_string()));
    }
    assert!(gateway.metric("ringgate_upstream_dials_failed_total", "") >= 1.0);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let seen = order.clone();
    let upstream = Upstream::new(move |request, client| {
        seen.lock().unwrap().push(super::scenes::method(request));
        client.send(&ok(&super::harness::echoed(request)));
        true
    });
    let gateway = Gateway::before(upstream.address, "");
    let mut client = gateway.connect();
    let all: Vec<u8> =
        (1..=20).flat_map(|id| if id % 2 == 0 { legacy_call(id) } else { modern_call(id) }).collect();
    client.send(&all);
    for id in 1..=20 {
        assert_eq!(client.message().unwrap().json()["id"], id);
    }
    assert_eq!(order.lock().unwrap().len(), 20);
}
