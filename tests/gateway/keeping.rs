//! Connections that last through refusals, slowness and haste, and those that do not.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::time::Duration;

use super::harness::{Client, Gateway, Upstream, ok, post_to};
use super::scenes::{legacy, legacy_call, modern_call, pattern, told};

/// A refused request with a body: its head, its body, and the status.
fn refused() -> Vec<(String, &'static str, u16)> {
    let head = |line: &str, fields: &str| format!("{line} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
    let json = "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";
    vec![
        (head("POST /none", &format!("{json}Content-Length: 12\r\n")), "{\"a\":\"bcde\"}", 404),
        (head("PUT /up/mcp", &format!("{json}Content-Length: 2\r\n")), "{}", 405),
        (
            head("POST /up/mcp", &format!("{json}Origin: https://evil.test\r\nContent-Length: 2\r\n")),
            "{}",
            403,
        ),
        (head("POST /up/mcp", "Content-Type: text/plain\r\nContent-Length: 7\r\n"), "GET / H", 415),
        (head("POST /up/mcp", &format!("{json}Content-Length: 2000\r\n")), TWO_THOUSAND, 413),
        (
            head("POST /none", &format!("{json}Transfer-Encoding: chunked\r\n")),
            "5\r\nhello\r\n3;a=b\r\n{}{\r\n0\r\nX-Trailer: 1\r\n\r\n",
            404,
        ),
    ]
}

const TWO_THOUSAND: &str = match std::str::from_utf8(&[b'x'; 2000]) {
    Ok(text) => text,
    Err(_) => "",
};

#[test]
fn a_refusal_does_not_cost_the_connection() {
    let upstream = Upstream::echo();
    let gateway = Gateway::before(upstream.address, "limits:\n  body_bytes_max: 1KiB\n");
    let mut client = gateway.connect();
    for (head, body, status) in refused() {
        // The body with its head, after the answer, and byte by byte before the next request.
        for split in [true, false] {
            client.send(head.as_bytes());
            if !split {
                client.send(body.as_bytes());
            }
            let answer = client.message().unwrap();
            assert_eq!((answer.status(), answer.header("connection")), (status, None), "{head}");
            if split {
                client.send(body.as_bytes());
            }
            assert_eq!(client.ask(&legacy_call(1)).json()["id"], 1, "{head}");
        }
    }
    assert_eq!(gateway.metric("ringgate_connections_accepted_total", ""), 1.0);
    drop(client);
    gateway.assert_nothing_left();
}

#[test]
fn a_refused_body_that_is_large_or_uncertain_costs_the_connection() {
    let upstream = Upstream::echo();
    let gateway = Gateway::before(upstream.address, "");
    let head = |fields: &str| format!("POST /none HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
    for (head, close) in [
        (head("Content-Length: 65536\r\n"), None),
        (head("Content-Length: 65537\r\n"), Some("close")),
        (head("Expect: 100-continue\r\nContent-Length: 5\r\n"), Some("close")),
        (head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), Some("close")),
        (head("Content-Length: x\r\n"), Some("close")),
    ] {
        let mut client = gateway.connect();
        let answer = client.ask(head.as_bytes());
        assert_eq!(answer.header("connection"), close, "{head}");
        if close.is_some() {
            assert!(client.is_at_end(), "{head}");
        }
    }
    // The answer did not say so, but the body does not end, is malformed, or does not come.
    let chunked = head("Transfer-Encoding: chunked\r\n");
    let endless = format!("{chunked}{}", "1000\r\n".to_owned() + &"x".repeat(4096) + "\r\n");
    for wire in [
        format!("{chunked}5\nhello"),
        format!("{endless}{}", endless.replace(&chunked, "").repeat(20)),
        format!("{}he", head("Content-Length: 5\r\n")),
    ] {
        let mut client = gateway.connect();
        // The gateway may have gone before the end.
        let _ = std::io::Write::write_all(&mut client.stream, wire.as_bytes());
        assert_eq!(client.message().unwrap().status(), 404);
        assert!(client.is_at_end(), "{}", &wire[..60]);
    }
    upstream.assert_untouched();
    gateway.assert_nothing_left();
}

/// Asks for this much, and reads 320 KB a second for five seconds: the kernels hold so much that no send of the
/// gateway's ends within its bound. Then reads the rest, if it comes.
fn read_slowly(gateway: &Gateway, length: usize) -> Option<Vec<u8>> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(64 << 10).unwrap();
    socket.connect(&gateway.address.into()).unwrap();
    let mut client = Client::new(TcpStream::from(socket));
    client.send(&modern_call(1));
    assert_eq!(client.head().unwrap().status(), 200);
    let mut body = Vec::new();
    for _ in 0..100 {
        body.extend(client.rest_of(16 << 10)?);
        std::thread::sleep(Duration::from_millis(50));
    }
    body.extend(client.rest_of(length - body.len())?);
    Some(body)
}

#[test]
fn a_client_that_reads_slowly_is_cut_by_the_bound_of_the_call_and_by_no_other() {
    const LENGTH: usize = 24 << 20;
    for (timeouts, whole) in [("write: 2s", true), ("call: 2s", false)] {
        let upstream = Upstream::new(|_, client| {
            client.send(&ok(std::str::from_utf8(&pattern(LENGTH)).unwrap()));
            true
        });
        let gateway = Gateway::before(upstream.address, &format!("timeouts:\n  {timeouts}\n"));
        let body = read_slowly(&gateway, LENGTH);
        assert_eq!(body.map(|body| body == pattern(LENGTH)), whole.then_some(true), "{timeouts}");
        gateway.assert_nothing_left();
    }
}

#[test]
fn a_server_that_takes_no_byte_of_a_request_is_a_504() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let config = "timeouts:\n  write: 300ms\nlimits:\n  body_bytes_max: 32MiB\n";
    let gateway = Gateway::before(address, config);
    let arguments = format!(r#""name":"x","arguments":{{"a":"{}"}}"#, "y".repeat(24 << 20));
    let mut client = gateway.connect();
    let answer = client.ask(&legacy(1, "tools/call", &arguments));
    assert_eq!(answer.status(), 504, "{answer:?}");
    assert_eq!(answer.json()["error"]["message"], "the server did not take the request in time");
    assert_eq!(answer.json()["id"], 1);
    gateway.await_metric("ringgate_exchanges_total", "upstream_timeout", 1.0);
    assert_eq!(client.ask(&post_to("/none", "{}", "")).status(), 404, "the connection stays");
    drop((client, listener));
    gateway.assert_nothing_left();
}

#[test]
fn a_client_that_pipelines_and_leaves_cancels_too() {
    let (tell, ended) = channel();
    let upstream = Upstream::new(move |_, client| {
        tell.send(client.is_at_end()).unwrap();
        false
    });
    let gateway = Gateway::before(upstream.address, "");
    for (together, more) in [(true, 1), (false, 1), (false, 8)] {
        let mut client = gateway.connect();
        client.send(&modern_call(1));
        if !together {
            upstream.request();
        }
        client.send(&(0..more).flat_map(|id| modern_call(2 + id)).collect::<Vec<_>>());
        if together {
            upstream.request();
        }
        drop(client);
        assert!(told(&ended, "the server sees the end while it works"));
    }
    gateway.assert_nothing_left();
    gateway.await_metric("ringgate_exchanges_total", "client_gone", 3.0);
    upstream.assert_untouched();
}

#[test]
fn what_is_pipelined_while_a_call_runs_is_served_after_it() {
    let (handle, door) = super::scenes::door();
    let upstream = Upstream::new(move |request, client| {
        if request.text().contains("\"id\":0,") {
            door.pass();
        }
        client.send(&ok(&super::harness::echoed(request)));
        true
    });
    let gateway = Gateway::before(upstream.address, "");
    let mut client = gateway.connect();
    client.send(&legacy_call(0));
    upstream.request();
    // More than is read ahead, in pieces that begin and end anywhere.
    let padding = format!(r#""name":"x","arguments":{{"a":"{}"}}"#, "y".repeat(900));
    let all: Vec<u8> = (1..=60).flat_map(|id| legacy(id, "tools/call", &padding)).collect();
    for piece in all.chunks(1_000) {
        client.send(piece);
    }
    handle.open();
    for id in 0..=60 {
        assert_eq!(client.message().unwrap().json()["id"], id);
    }
    drop(client);
    gateway.assert_nothing_left();
}
