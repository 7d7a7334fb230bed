//! Calls that nobody waits for any more, and answers that their server does not bring to an end.

use std::sync::mpsc::{Receiver, channel};

use super::harness::{Client, Gateway, META, Upstream, modern, post};
use super::scenes::{SSE, chunk, legacy_body, told};

/// Header lines of a legacy request within a session.
const SESSION: &str = "MCP-Protocol-Version: 2025-06-18\r\nMcp-Session-Id: s-1\r\n";

/// A server that answers no call, and keeps its stream alive with comments until its client leaves.
fn never() -> (Upstream, Receiver<()>) {
    let (tell, ended) = channel();
    let upstream = Upstream::new(move |request, client| {
        if request.text().contains("notifications/cancelled") {
            client.send(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
            return true;
        }
        client.send(SSE.as_bytes());
        use std::io::Write;
        while client.stream.write_all(&chunk(": still here\n\n")).is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let _ = tell.send(());
        false
    });
    (upstream, ended)
}

fn call(id: &str) -> Vec<u8> {
    let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"x"}}}}"#);
    post(&body, SESSION)
}

fn cancel(id: &str) -> Vec<u8> {
    let body =
        format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#);
    post(&body, SESSION)
}

fn begun(gateway: &Gateway, request: &[u8]) -> Client {
    let mut client = gateway.connect();
    client.send(request);
    assert_eq!(client.head().unwrap().status(), 200);
    assert_eq!(client.chunk().unwrap(), b": still here\n\n");
    client
}

const LIMITS: &str = "timeouts: {abandoned: 300ms}\nrate_limits:\n  limits:\n  - {name: held, unit: in_flight, key: [server], max: 1, deny_as: error}\n";

#[test]
fn a_legacy_call_whose_client_left_has_a_last_moment_and_then_its_place_is_free() {
    let (upstream, ended) = never();
    let gateway = Gateway::before(upstream.address, LIMITS);
    for id in ["1", "2", "3"] {
        drop(begun(&gateway, &call(id)));
        told(&ended, "the server sees the end");
        gateway.await_metric("ringgate_exchanges_open", "", 0.0);
    }
    gateway.await_metric("ringgate_exchanges_total", "outcome=\"client_gone\"", 3.0);
    gateway.assert_nothing_left();
}

#[test]
fn a_cancelled_call_ends_though_its_client_waits_and_the_server_goes_on() {
    let (upstream, ended) = never();
    let gateway = Gateway::before(upstream.address, &format!("workers: 2\n{LIMITS}"));
    for id in ["7", "\"a-b\""] {
        let mut waiting = begun(&gateway, &call(id));
        // Of another call, and of another session, nothing happens.
        for other in [cancel("8"), String::from_utf8(cancel(id)).unwrap().replace("s-1", "s-2").into_bytes()]
        {
            assert_eq!(gateway.connect().ask(&other).status(), 202);
        }
        assert_eq!(gateway.connect().ask(&cancel(id)).status(), 202);
        while let Some(data) = waiting.chunk().filter(|data| !data.is_empty()) {
            assert_eq!(data, b": still here\n\n", "no answer is due to a cancelled call");
        }
        told(&ended, "the server sees the end");
        gateway.await_metric("ringgate_exchanges_open", "", 0.0);
    }
    gateway.await_metric("ringgate_exchanges_total", "outcome=\"cancelled\"", 2.0);
    gateway.assert_nothing_left();
}

/// A server that answers no call with a single byte, and tells of each that comes. A second channel tells of those that
/// end.
fn mute() -> (Upstream, Receiver<()>, Receiver<()>) {
    let ((tell, came), (tell_end, ended)) = (channel(), channel());
    let upstream = Upstream::new(move |request, client| {
        if !request.text().contains("tools/call") {
            client.send(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
            return true;
        }
        let _ = tell.send(());
        client.is_at_end();
        let _ = tell_end.send(());
        false
    });
    (upstream, came, ended)
}

/// As `session`, of the revision that has batches.
fn batch(messages: &[&str]) -> Vec<u8> {
    post(&format!("[{}]", messages.join(",")), "MCP-Protocol-Version: 2025-03-26\r\nMcp-Session-Id: s-1\r\n")
}

fn call_of(id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"x"}}}}"#)
}

fn cancel_of(id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"notifications\/cancelled","params":{{"requestId":{id}}}}}"#)
}

/// The client of a cancelled call is told, in HTTP's terms, that there is no answer, and its connection serves on.
fn assert_no_answer(client: &mut Client) {
    let answer = client.message().expect("an answer");
    let head = (answer.status(), answer.header("content-type"), answer.body.len());
    assert_eq!(head, (200, Some("text/event-stream"), 0), "{answer:?}");
    let note = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    assert_eq!(client.ask(&post(note, SESSION)).status(), 202);
}

#[test]
fn a_cancelled_call_without_a_head_ends_however_its_id_is_spelled() {
    let (upstream, came, ended) = mute();
    let gateway = Gateway::before(upstream.address, &format!("workers: 2\n{LIMITS}"));
    let several = [&*cancel_of("\"nobody\""), &*cancel_of("\"ab\"")];
    for (id, cancel) in [
        ("7", cancel("7")),
        (r#""a\u0062""#, cancel("\"ab\"")),
        (r#""ab""#, cancel(r#""\u0061\u0062""#)),
        (r#""\u0061b""#, batch(&several)),
    ] {
        let mut waiting = gateway.connect();
        waiting.send(&call(id));
        told(&came, "the call comes");
        let answer = gateway.connect().ask(&cancel);
        assert_eq!(answer.status(), 202, "{answer:?}");
        assert_no_answer(&mut waiting);
        told(&ended, "the server sees the end");
    }
    gateway.await_metric("ringgate_exchanges_total", "outcome=\"cancelled\"", 4.0);
    gateway.assert_nothing_left();
}

#[test]
fn a_batch_ends_when_each_of_its_calls_is_cancelled() {
    let (upstream, came, ended) = mute();
    let gateway = Gateway::before(upstream.address, "workers: 2\ntimeouts: {abandoned: 100ms}\n");
    let mut waiting = gateway.connect();
    waiting.send(&batch(&[&call_of("1"), &call_of("2"), &call_of("3")]));
    told(&came, "the batch comes");
    assert_eq!(gateway.connect().ask(&cancel("2")).status(), 202);
    assert_eq!(gateway.connect().ask(&batch(&[&cancel_of("3"), &cancel_of("2")])).status(), 202);
    // One is left, and it is bounded by nothing so soon.
    gateway.await_metric("ringgate_exchanges_total", "kind=\"message\",outcome=\"answered\"", 2.0);
    std::thread::sleep(std::time::Duration::from_millis(400));
    gateway.await_metric("ringgate_exchanges_total", "outcome=\"cancelled\"", 0.0);
    assert_eq!(gateway.connect().ask(&cancel("1")).status(), 202);
    assert_no_answer(&mut waiting);
    drop(waiting);
    told(&ended, "the server sees the end");
    gateway.assert_nothing_left();
}

#[test]
fn what_waits_for_a_place_and_is_given_up_is_not_sent_and_costs_nothing() {
    let (upstream, came, ended) = mute();
    let gateway = Gateway::with(&format!(
        "servers:\n  - {{name: up, url: 'http://{}/mcp', adaptive: {{min: 1, max: 1, start: 1, queue: 4, queue_time: 1m}}}}\nworkers: 1\n\
         timeouts: {{abandoned: 100ms}}\n\
         rate_limits:\n  limits:\n  - {{name: few, unit: calls, rate: 2/h, deny_as: error}}\n",
        upstream.address
    ));
    let modern_body =
        format!(r#"{{"jsonrpc":"2.0","id":"q","method":"tools/call","params":{{"name":"x",{META}}}}}"#);
    let modern = post(&modern_body, &modern("tools/call", "x"));
    let mut first = gateway.connect();
    first.send(&call("1"));
    told(&came, "the first call comes");
    for (request, is_cancelled) in [(call("2"), true), (call("3"), false), (modern, false)] {
        let mut waiting = gateway.connect();
        waiting.send(&request);
        gateway.await_metric("ringgate_adaptive_queued", "", 1.0);
        if is_cancelled {
            assert_eq!(gateway.connect().ask(&cancel("2")).status(), 202);
            assert_no_answer(&mut waiting);
        }
        drop(waiting);
        gateway.await_metric("ringgate_adaptive_queued", "", 0.0);
    }
    assert_eq!(gateway.connect().ask(&cancel("1")).status(), 202);
    assert_no_answer(&mut first);
    told(&ended, "the server sees the end");
    // Of two calls one was made.
    let mut second = gateway.connect();
    second.send(&call("4"));
    told(&came, "the second call comes");
    assert_eq!(gateway.connect().ask(&call("5")).status(), 429);
    drop((first, second));
    gateway.assert_nothing_left();
}

/// What comes of an answer that begins with these chunks and then breaks off, or stays silent.
fn rest_of(chunks: &'static [&'static str], silent: bool, request: &[u8]) -> (String, bool) {
    let upstream = Upstream::new(move |_, client| {
        client.send(SSE.as_bytes());
        chunks.iter().for_each(|data| client.send(&chunk(data)));
        if silent {
            client.is_at_end();
        }
        false
    });
    let gateway = Gateway::before(upstream.address, "timeouts: {stream_idle: 300ms}\n");
    let mut client = gateway.connect();
    client.send(request);
    assert_eq!(client.head().unwrap().status(), 200);
    let mut text = String::new();
    let whole = loop {
        match client.chunk() {
            Some(data) if data.is_empty() => break true,
            Some(data) => text.push_str(&String::from_utf8(data).unwrap()),
            None => break false,
        }
    };
    drop(client);
    gateway.assert_nothing_left();
    (text, whole)
}

#[test]
fn a_stream_that_cannot_be_resumed_ends_with_an_answer() {
    let legacy = |method: &str| post(&legacy_body(7, method, r#""name":"x""#), SESSION);
    let modern_body =
        format!(r#"{{"jsonrpc":"2.0","id":"q","method":"tools/call","params":{{"name":"x",{META}}}}}"#);
    let modern = post(&modern_body, &modern("tools/call", "x"));
    const PROGRESS: &str =
        "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n";
    for silent in [false, true] {
        let why = if silent {
            "the server did not answer in time"
        } else {
            "the server broke off before its answer was whole"
        };
        for (chunks, request, id, is_call) in [
            (&[][..], legacy("tools/call"), "7", true),
            (&[PROGRESS][..], legacy("tools/call"), "7", true),
            (&[PROGRESS, ": hi\n\n"][..], legacy("prompts/get"), "7", false),
            (&[PROGRESS][..], modern.clone(), "\"q\"", true),
        ] {
            let (text, whole) = rest_of(chunks, silent, &request);
            assert!(whole, "{text}");
            let last = text.strip_prefix(&*chunks.concat()).unwrap();
            let data = last.strip_prefix("event: message\ndata: ").unwrap().strip_suffix("\n\n").unwrap();
            let message: serde_json::Value = serde_json::from_str(data).unwrap();
            assert_eq!(message["id"].to_string(), id, "{data}");
            if is_call {
                assert_eq!(message["result"]["isError"], true, "{data}");
                assert_eq!(message["result"]["content"][0]["text"], format!("The call failed: {why}."));
            } else {
                assert_eq!(message["error"]["message"], why);
            }
        }
    }
}

#[test]
fn a_stream_that_can_be_resumed_or_has_begun_an_event_is_cut() {
    let request = post(&legacy_body(7, "tools/call", r#""name":"x""#), SESSION);
    const ANSWER: &str = "data: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}\n\n";
    for chunks in [
        &[ANSWER][..],
        &[": hi\n\n", "id: 1\ndata:\n\n"][..],
        &["id: 1\ndata:\n\n"][..],
        &["data: {\"a\":\n"][..],
        &["data: 1\n"][..],
    ] {
        let (text, whole) = rest_of(chunks, false, &request);
        assert_eq!((text, whole), (chunks.concat(), false));
    }
}
