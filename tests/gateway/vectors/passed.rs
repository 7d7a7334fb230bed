//! Vectors that are about what passes between client and server once a request was passed on.

use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};

use super::{C, CALL, D, E, ECHO, Passes, echo, request, vector};
use crate::harness::{Client, Message, PATIENCE, Upstream, ok};
use crate::probe::Probe;

#[test]
fn vectors_35_and_36_ids_keep_their_type_and_their_digits() {
    // Repeats the id's bytes as they are, and answers only when both requests are there.
    let gate = Arc::new(Barrier::new(2));
    let upstream = Upstream::new(move |request, client| {
        let text = request.text();
        let id = text.split("\"id\":").nth(1).unwrap().split(",\"method\"").next().unwrap();
        gate.wait();
        client.send(&ok(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)));
        true
    });
    let probe = Probe::before(upstream, "");
    let ask = |id: &str| {
        let mut client = probe.gateway.connect();
        client.send(
            &vector(35, &[], format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#), Passes(None, None))
                .bytes(),
        );
        client
    };
    for (one, other) in
        [("1", "\"1\""), ("9007199254740993", "9007199254740992"), (r#""\u0031""#, "12345678901234567890123")]
    {
        let mut clients = [ask(one), ask(other)];
        for (client, id) in clients.iter_mut().zip([one, other]) {
            let answer = client.message().unwrap();
            assert_eq!(answer.text(), format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#));
        }
    }
}

#[test]
fn vectors_45_to_57_what_a_server_says_of_sessions_reaches_the_client() {
    // Answers as the session id says: a server with sessions, as the gateway sees it.
    let upstream = Upstream::new(|request, client| {
        let status = match (request.start.split(' ').next(), request.header("mcp-session-id")) {
            (_, Some("gone")) => "404 Not Found",
            (Some("GET"), Some("live")) => {
                client.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
                client.send(b"9\r\ndata: 1\n\n\r\n0\r\n\r\n");
                return true;
            }
            (Some("GET"), _) => "405 Method Not Allowed",
            (Some("DELETE"), Some("live")) => "204 No Content",
            (_, None) => "400 Bad Request",
            (_, Some(_)) => "202 Accepted",
        };
        let length = if status.starts_with("204") { "" } else { "Content-Length: 0\r\n" };
        client.send(format!("HTTP/1.1 {status}\r\n{length}\r\n").as_bytes());
        true
    });
    let probe = Probe::before(upstream, "");
    let mut client = probe.gateway.connect();
    let message = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    for (number, lines, status) in [
        (45, &[E, "Mcp-Session-Id: any"][..], 202),
        (46, &[D, "Mcp-Session-Id: live"], 202),
        (49, &[C, "Mcp-Session-Id: live"], 202),
        (51, &[D, "Mcp-Session-Id: gone"], 404),
        (52, &[D], 400),
        (56, &["Mcp-Session-Id: live"], 202),
    ] {
        let answer = client.ask(&vector(number, lines, message, Passes(None, None)).bytes());
        assert_eq!((answer.status(), answer.text()), (status, String::new()), "vector {number}: {answer:?}");
        let seen = probe.saw("session", message.as_bytes());
        let session = lines.iter().find_map(|line| line.strip_prefix("Mcp-Session-Id: "));
        assert_eq!(seen.header("mcp-session-id"), session, "vector {number}");
    }
    for (number, method, session, status) in [
        (53, "GET", "live", 200),
        (53, "GET", "other", 405),
        (54, "DELETE", "live", 204),
        (54, "DELETE", "gone", 404),
    ] {
        let lines = format!(
            "Host: localhost\r\n{D}\r\nAccept: text/event-stream\r\nMcp-Session-Id: {session}\r\nLast-Event-ID: 7"
        );
        let answer = client.ask(format!("{method} /up/mcp HTTP/1.1\r\n{lines}\r\n\r\n").as_bytes());
        assert_eq!(answer.status(), status, "vector {number}: {answer:?}");
        let seen = probe.upstream.request();
        assert_eq!(seen.start, format!("{method} /mcp HTTP/1.1"));
        assert_eq!((seen.header("mcp-session-id"), seen.header("last-event-id")), (Some(session), Some("7")));
        assert_eq!(
            (seen.header("content-length"), seen.header("transfer-encoding")),
            (None, None),
            "{seen:?}"
        );
    }
    probe.upstream.assert_untouched();
}

/// Reads until the stream ends; `true` if that was before anything came.
fn sees_the_end(client: &mut Client) -> bool {
    client.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    client.is_at_end()
}

#[test]
fn vectors_58_and_59_a_client_that_leaves_cancels_only_in_the_modern_era() {
    let (sender, ends) = channel();
    let sender = Mutex::new(sender);
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    // A modern call waits for the end of its connection; a legacy one is answered when the test says so.
    let upstream = Upstream::new(move |request, client| {
        let is_modern = request.header("mcp-protocol-version") == Some("2026-07-28");
        if is_modern {
            let ended = sees_the_end(client);
            sender.lock().unwrap().send(("modern", ended)).unwrap();
            return false;
        }
        wait.lock().unwrap().recv().unwrap();
        client.send(&ok("{}"));
        // The connection is still there, and is used again.
        sender.lock().unwrap().send(("legacy", true)).unwrap();
        true
    });
    let probe = Probe::before(upstream, "workers: 1");
    let mut client = probe.gateway.connect();
    client.send(&vector(58, &[E, CALL, ECHO], echo(), Passes(None, None)).bytes());
    probe.saw("vector 58", echo().as_bytes());
    drop(client);
    assert_eq!(ends.recv_timeout(PATIENCE).unwrap(), ("modern", true));
    probe.gateway.await_metric("ringgate_exchanges_open", "", 0.0);
    probe.gateway.await_metric("ringgate_upstream_connections", "", 0.0);

    let mut client = probe.gateway.connect();
    let call = request("tools/call", r#""name":"a_echo""#);
    client.send(&vector(59, &[D], call.clone(), Passes(None, None)).bytes());
    probe.saw("vector 59", call.as_bytes());
    drop(client);
    // Another exchange comes and goes on the same worker, which has thus seen the client leave.
    probe.gateway.connect().ask(b"GET /no HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(
        (probe.gateway.metric("ringgate_exchanges_open", "") - 1.0).abs() < f64::EPSILON,
        "it was cancelled"
    );
    go.send(()).unwrap();
    assert_eq!(ends.recv_timeout(PATIENCE).unwrap(), ("legacy", true));
    probe.gateway.assert_nothing_left();
}

#[test]
fn vectors_60_and_61_events_reach_the_client_as_they_occur() {
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let events = [
        "id: 5\ndata:\n\n",
        "event: message\ndata: {\"p\":1}\n\n",
        ": \r\n\r\ndata: {\"p\":2}\r\n\r\n",
        "data:{\"r\":1}\n\n",
    ];
    // Each event is sent only when the client has the one before.
    let upstream = Upstream::new(move |_, client| {
        client.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
        );
        for event in events {
            wait.lock().unwrap().recv().unwrap();
            client.send(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes());
        }
        client.send(b"0\r\n\r\n");
        true
    });
    let probe = Probe::before(upstream, "");
    for lines in [&[E, CALL, ECHO][..], &[D]] {
        let body = if lines.len() > 1 { echo() } else { request("tools/call", r#""name":"a_echo""#) };
        let mut client = probe.gateway.connect();
        client.send(&vector(60, lines, body, Passes(None, None)).bytes());
        let head: Message = client.head().unwrap();
        assert_eq!((head.status(), head.header("content-type")), (200, Some("text/event-stream")));
        assert_eq!((head.header("x-accel-buffering"), head.header("content-length")), (Some("no"), None));
        for event in events {
            go.send(()).unwrap();
            assert_eq!(String::from_utf8(client.chunk().unwrap()).unwrap(), event);
        }
        assert_eq!(client.chunk(), Some(Vec::new()), "the stream ends with the answer");
    }
    probe.gateway.assert_nothing_left();
}
