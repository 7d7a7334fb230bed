//! How streams without an end of their own end, and how answers that break off look to their clients.

use std::io::{ErrorKind, Read};
use std::sync::mpsc::channel;

use super::harness::{Client, Gateway, Upstream, ok, post_to};
use super::scenes::{LAST, SSE, chunk, door, get, legacy_body, legacy_call, modern_call, told, wait_until};

const EVENT: &str = "id: 1\ndata: 1\n\n";

/// An upstream whose streams send these chunks, and then nothing, until their client leaves. It tells of that. Calls are
/// answered at once.
fn streams(chunks: &'static [&'static str]) -> (Upstream, std::sync::mpsc::Receiver<bool>) {
    let (tell, ended) = channel();
    let upstream = Upstream::new(move |request, client| {
        if !request.start.starts_with("GET") {
            client.send(&ok("{}"));
            return true;
        }
        client.send(SSE.as_bytes());
        chunks.iter().for_each(|data| client.send(&chunk(data)));
        tell.send(client.is_at_end()).unwrap();
        false
    });
    (upstream, ended)
}

/// A client in the middle of a stream, of which it has read these chunks.
fn listening(gateway: &Gateway, chunks: &[&str]) -> Client {
    let mut client = gateway.connect();
    client.send(&get("/up/mcp", ""));
    assert_eq!(client.head().unwrap().status(), 200);
    for data in chunks {
        assert_eq!(client.chunk().unwrap(), data.as_bytes());
    }
    client
}

#[test]
fn a_stream_that_is_silent_for_too_long_ends_in_order_and_its_connection_stays() {
    let (upstream, ended) = streams(&[EVENT]);
    let gateway = Gateway::before(upstream.address, "timeouts:\n  stream_idle: 300ms\n");
    let mut client = listening(&gateway, &[EVENT]);
    assert_eq!(client.chunk().unwrap(), b"", "the last chunk");
    assert!(told(&ended, "the server sees the end"));
    assert_eq!(client.ask(&legacy_call(2)).status(), 200);
    drop(client);
    gateway.assert_nothing_left();
    gateway.await_metric("ringgate_exchanges_total", "upstream_timeout", 1.0);
}

#[test]
fn a_stream_whose_event_is_half_sent_breaks_off_when_the_server_does_not_go_on() {
    let (upstream, ended) = streams(&[EVENT, "data: 2\n"]);
    let gateway = Gateway::before(upstream.address, "timeouts:\n  stream_idle: 300ms\n");
    let mut client = listening(&gateway, &[EVENT, "data: 2\n"]);
    assert_eq!(client.chunk(), None, "nobody is to take half an event for whole");
    assert!(told(&ended, "the server sees the end"));
    gateway.assert_nothing_left();
}

#[test]
fn an_event_that_is_half_sent_when_the_drain_begins_is_sent_to_its_end() {
    let (handle, door) = door();
    let upstream = Upstream::new(move |_, client| {
        client.send(&[SSE.as_bytes(), &chunk("data: 1\n")].concat());
        door.pass();
        // Two chunks: the event ends within the second.
        client.send(&[chunk("data: 2\n"), chunk("\n")].concat());
        client.is_at_end();
        false
    });
    let mut gateway = Gateway::before(upstream.address, "");
    let mut client = listening(&gateway, &["data: 1\n"]);
    gateway.signal("TERM");
    wait_until("draining", || gateway.admin_get("/readyz").is_some_and(|(status, _)| status == 503));
    handle.open();
    let mut rest = Vec::new();
    while let Some(data) = client.chunk().filter(|data| !data.is_empty()) {
        rest.extend(data);
    }
    assert_eq!(rest, b"data: 2\n\n");
    assert!(client.is_at_end());
    assert_eq!(gateway.wait(), Some(0));
}

#[test]
fn a_drain_ends_idle_streams_in_order_and_does_not_wait_for_them() {
    let (upstream, ended) = streams(&[EVENT]);
    // Far longer than this test is patient.
    let mut gateway = Gateway::before(upstream.address, "timeouts:\n  drain: 10m\n");
    let mut clients: Vec<_> = (0..5).map(|_| listening(&gateway, &[EVENT])).collect();
    gateway.signal("TERM");
    for client in &mut clients {
        assert_eq!(client.chunk().unwrap(), b"");
        assert!(client.is_at_end());
        assert!(told(&ended, "the server sees the end"));
    }
    assert_eq!(gateway.wait(), Some(0), "{}", gateway.log());
    wait_until("the log says so", || gateway.log().contains("drained"));
}

#[test]
fn a_stream_that_brings_the_answers_of_calls_stays_until_late_in_the_drain() {
    let (handle, door) = door();
    let upstream = Upstream::new(move |request, client| {
        if request.start.starts_with("GET") {
            client.send(&[SSE.as_bytes(), &chunk("event: endpoint\ndata: /message\n\n")].concat());
            door.pass();
            client.send(&chunk(EVENT));
            client.is_at_end();
            return false;
        }
        client.send(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
        true
    });
    let mut gateway = Gateway::with(&format!(
        "servers:\n  - {{name: up, transport: sse, url: 'http://{}/sse'}}\ntimeouts: {{drain: 8s}}\n",
        upstream.address
    ));
    let mut stream = listening(&gateway, &["event: endpoint\ndata: /up/mcp/~/message\n\n"]);
    let call = post_to("/up/mcp/~/message", &legacy_body(1, "tools/list", ""), "");
    assert_eq!(gateway.connect().ask(&call).status(), 202);
    gateway.signal("TERM");
    wait_until("draining", || gateway.admin_get("/readyz").is_some_and(|(status, _)| status == 503));
    handle.open();
    assert_eq!(stream.chunk().unwrap(), EVENT.as_bytes(), "the answer of a call that was made before");
    assert_eq!(stream.chunk().unwrap(), b"");
    assert!(stream.is_at_end());
    drop(stream);
    assert_eq!(gateway.wait(), Some(0));
    wait_until("the log says so", || gateway.log().contains("drained"));
}

/// What a client of HTTP/1.0 reads, and how its connection ends.
fn read_as_http_1_0(gateway: &Gateway, request: &[u8]) -> (String, Option<ErrorKind>) {
    let mut client = gateway.connect();
    client.send(String::from_utf8(request.to_vec()).unwrap().replace("HTTP/1.1", "HTTP/1.0").as_bytes());
    let (mut all, mut piece) = (Vec::new(), [0; 4096]);
    let end = loop {
        match client.stream.read(&mut piece) {
            Ok(0) => break None,
            Ok(count) => all.extend_from_slice(&piece[..count]),
            Err(error) => break Some(error.kind()),
        }
    };
    (String::from_utf8(all).unwrap(), end)
}

#[test]
fn a_client_of_http_1_0_is_told_of_a_break_and_not_of_an_end() {
    let (handle, door) = door();
    let upstream = Upstream::new(move |request, client| {
        client.send(&[SSE.as_bytes(), &chunk(EVENT)].concat());
        if request.text().contains("\"id\":1") {
            client.send(LAST);
            return true;
        }
        door.pass();
        false
    });
    let gateway = Gateway::before(upstream.address, "");
    let (text, end) = read_as_http_1_0(&gateway, &legacy_call(1));
    assert!(text.ends_with(EVENT), "{text}");
    assert_eq!(end, None, "a whole answer ends");
    handle.open();
    let (text, end) = read_as_http_1_0(&gateway, &legacy_call(2));
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert_eq!(end, Some(ErrorKind::ConnectionReset), "one that broke off does not");
    gateway.assert_nothing_left();
}

#[test]
fn the_drain_deadline_resets_what_has_no_other_end() {
    let (tell, begun) = channel();
    let upstream = Upstream::new(move |_, client| {
        client.send(&[SSE.as_bytes(), &chunk("data: 1\n")].concat());
        tell.send(()).unwrap();
        client.is_at_end();
        false
    });
    let mut gateway = Gateway::before(upstream.address, "timeouts:\n  drain: 500ms\n");
    std::thread::scope(|scope| {
        let answer = scope.spawn(|| read_as_http_1_0(&gateway, &modern_call(1)));
        told(&begun, "the answer has begun");
        gateway.signal("TERM");
        assert_eq!(answer.join().unwrap().1, Some(ErrorKind::ConnectionReset));
    });
    assert_eq!(gateway.wait(), Some(0));
}

#[test]
fn whoever_waits_at_the_drain_deadline_is_told() {
    const NOTE: &str = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n";
    let (tell, came) = channel();
    let upstream = Upstream::new(move |request, client| {
        if !request.text().contains("\"id\":9") {
            client.send(&[SSE.as_bytes(), &chunk(NOTE)].concat());
        }
        tell.send(()).unwrap();
        client.is_at_end();
        false
    });
    let mut gateway = Gateway::with(&format!(
        "servers:\n  - {{name: up, url: 'http://{0}/mcp'}}\n  - {{name: busy, url: 'http://{0}/mcp', \
         adaptive: {{min: 1, max: 1, start: 1, queue: 4, queue_time: 1m}}}}\nworkers: 1\ntimeouts: {{drain: 500ms}}\n",
        upstream.address
    ));
    let begin = |request: &[u8], is_sent: bool| {
        let mut client = gateway.connect();
        client.send(request);
        match is_sent {
            true => told(&came, "the call comes"),
            false => gateway.await_metric("ringgate_adaptive_queued", "", 1.0),
        }
        client
    };
    let mut streams = [legacy_call(7), modern_call(7)].map(|call| begin(&call, true));
    let list = post_to("/up/mcp", &legacy_body(7, "tools/list", ""), "");
    let mut headless = [legacy_call(9), modern_call(9)].map(|call| begin(&call, true));
    let mut listing = begin(&list, true);
    let call = legacy_body(9, "tools/call", "\"name\":\"x\"");
    let mut busy = begin(&post_to("/busy/mcp", &call, ""), true);
    let mut queued = begin(&post_to("/busy/mcp", &call, ""), false);
    gateway.signal("TERM");
    const WHY: &str = "the gateway stops, and the server has not answered yet";
    for (client, is_call) in streams.iter_mut().map(|client| (client, true)).chain([(&mut listing, false)]) {
        assert_eq!(client.head().unwrap().status(), 200);
        assert_eq!(client.chunk().unwrap(), NOTE.as_bytes());
        let event = String::from_utf8(client.chunk().expect("a last event")).unwrap();
        let data = event.strip_prefix("event: message\ndata: ").unwrap().strip_suffix("\n\n").unwrap();
        let message: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(message["id"], 7, "{data}");
        match is_call {
            true => assert_eq!(message["result"]["content"][0]["text"], format!("The call failed: {WHY}.")),
            false => assert_eq!(
                (&message["error"]["code"], &message["error"]["message"]),
                (&503.into(), &WHY.into())
            ),
        }
        assert_eq!(client.chunk().unwrap(), b"", "the body ends in order");
        assert!(client.is_at_end());
    }
    const UNSENT: &str = "the gateway stops, and nothing was sent to the server: try again";
    let waiting = headless.iter_mut().chain([&mut busy]).map(|client| (client, WHY, None));
    for (client, why, retry) in waiting.chain([(&mut queued, UNSENT, Some("1"))]) {
        let answer = client.message().expect("an answer before the end");
        assert_eq!((answer.status(), answer.header("connection")), (503, Some("close")));
        assert_eq!(answer.header("retry-after"), retry, "nobody knows whether what was sent is done");
        let message = answer.json();
        assert_eq!((&message["id"], &message["error"]["message"]), (&9.into(), &why.into()));
        assert!(client.is_at_end());
    }
    drop((streams, headless, listing, busy, queued));
    assert_eq!(gateway.wait(), Some(0));
    wait_until("the log says so", || gateway.log().contains("drain deadline"));
}

#[test]
fn the_stream_of_a_server_that_a_reload_removed_ends_in_order() {
    let (upstream, ended) = streams(&[EVENT]);
    let gateway = Gateway::before(upstream.address, "");
    let mut client = listening(&gateway, &[EVENT]);
    let text = std::fs::read_to_string(&gateway.config).unwrap();
    std::fs::write(&gateway.config, text.replace("name: up", "name: other")).unwrap();
    gateway.signal("HUP");
    gateway.await_metric("ringgate_config_generation", "", 2.0);
    assert_eq!(client.chunk().unwrap(), b"", "the last chunk");
    assert!(told(&ended, "the server sees the end"));
    assert_eq!(client.ask(&get("/up/mcp", "")).status(), 404);
}
