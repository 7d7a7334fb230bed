//! The older transport, HTTP+SSE of 2024-11-05, where it is easily treated otherwise than Streamable HTTP.

use super::harness::{Gateway, Upstream, post_to};
use super::scenes::get;

fn gateway(upstream: &Upstream) -> Gateway {
    Gateway::with(&format!(
        "servers:\n  - {{name: up, transport: sse, url: 'http://{}/sse', message_paths: [/message]}}\n",
        upstream.address
    ))
}

#[test]
fn a_call_without_an_id_is_refused_as_elsewhere() {
    let upstream = Upstream::echo();
    let gateway = gateway(&upstream);
    let unseen = r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"x"}}"#;
    let answer = gateway.connect().ask(&post_to("/up/mcp/~/message", unseen, ""));
    assert_eq!((answer.status(), answer.json()["error"]["code"].as_i64()), (400, Some(-32600)), "{answer:?}");
    upstream.assert_untouched();
}

#[test]
fn a_stream_that_cannot_be_read_is_refused_since_its_endpoint_could_be_any() {
    for kind in ["text/event-stream\r\nContent-Encoding: gzip", "application/json"] {
        let upstream = Upstream::new(move |_, client| {
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n");
            client.send(head.as_bytes());
            client.is_at_end();
            false
        });
        let answer = gateway(&upstream).connect().ask(&get("/up/mcp", ""));
        assert_eq!(answer.status(), 502, "{kind}: {answer:?}");
    }
}

#[test]
fn a_stream_of_a_streamable_server_names_no_endpoint() {
    for (framing, end) in [("Transfer-Encoding: chunked", true), ("Content-Length: 60", false)] {
        let upstream = Upstream::new(move |_, client| {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{framing}\r\n\r\n");
            let events = ["event: message\ndata: 1\n\n", "event: endpoint\n", "data: /other/mcp\n\n"];
            client.send(head.as_bytes());
            for event in events {
                let chunk = if end { format!("{:x}\r\n{event}\r\n", event.len()) } else { event.to_owned() };
                client.send(chunk.as_bytes());
            }
            client.is_at_end();
            false
        });
        let gateway = Gateway::before(upstream.address, "");
        let mut client = gateway.connect();
        client.send(&get("/up/mcp", ""));
        let seen = client.rest();
        let seen = String::from_utf8_lossy(&seen);
        assert!(!seen.contains("endpoint\n") && !seen.contains("/other/mcp"), "{seen}");
        gateway.await_log("names an endpoint for messages");
    }
}

#[test]
fn a_coded_stream_of_a_streamable_server_is_refused_too() {
    let upstream = Upstream::new(|_, client| {
        client.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.is_at_end();
        false
    });
    let answer = Gateway::before(upstream.address, "").connect().ask(&get("/up/mcp", ""));
    assert_eq!(answer.status(), 502, "{answer:?}");
}

#[test]
fn a_session_may_stand_in_the_path_for_messages_and_the_path_may_be_relative() {
    let upstream = Upstream::new(|request, client| {
        if request.start.starts_with("GET ") {
            client.send(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
            );
            client.send(b"29\r\nevent: endpoint\ndata: messages/7f-A?x=1\n\n\r\n");
            client.is_at_end();
            return false;
        }
        client.send(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
        true
    });
    let gateway = Gateway::with(&format!(
        "servers:\n  - {{name: up, transport: sse, url: 'http://{}/mcp/sse', message_paths: [/mcp/messages/*]}}\n",
        upstream.address
    ));
    let mut stream = gateway.connect();
    stream.send(&get("/up/mcp", ""));
    assert_eq!(stream.head().unwrap().status(), 200);
    let event = String::from_utf8(stream.chunk().unwrap()).unwrap();
    assert!(event.contains("data: /up/mcp/~/mcp/messages/7f-A?x=1\n"), "{event}");
    upstream.request();
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let answer = gateway.connect().ask(&post_to("/up/mcp/~/mcp/messages/7f-A?x=1", body, ""));
    assert_eq!(answer.status(), 202, "{answer:?}");
    assert_eq!(upstream.request().start, "POST /mcp/messages/7f-A?x=1 HTTP/1.1");
    let answer = gateway.connect().ask(&post_to("/up/mcp/~/mcp/messages/a/b", body, ""));
    assert_eq!(answer.status(), 404, "{answer:?}");
}
