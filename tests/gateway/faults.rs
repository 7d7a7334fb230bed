//! Servers that fail and clients that dawdle: each fault has its status, its state of the connection after
//! it, and leaves nothing behind.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::harness::{Client, Gateway, Message, Upstream, echoed, ok, post};
use super::scenes::{LAST, SSE, chunk, door, legacy, legacy_call, modern_call, pattern, told};

/// Closes with a reset instead of an end.
fn reset(stream: &TcpStream) {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// Asserts a gateway's error with this status, that echoes this id.
fn assert_error(answer: &Message, status: u16, id: impl Into<serde_json::Value>) {
    assert_eq!(answer.status(), status, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let json = answer.json();
    assert_eq!((&json["jsonrpc"], &json["id"]), (&"2.0".into(), &id.into()), "{json}");
    assert_eq!(json["error"]["code"], status);
    assert!(json["error"]["message"].as_str().is_some_and(|message| message.len() > 10), "{json}");
}

/// The method of the call that the upstreams here misbehave on; any other is answered.
const TROUBLE: &str = "\"name\":\"x\"";

/// An upstream that does `fault` to tool calls and answers all else.
fn faulty(fault: impl Fn(&Message, &mut Client) -> bool + Send + Sync + 'static) -> Upstream {
    Upstream::new(move |request, client| {
        if request.text().contains(TROUBLE) {
            return fault(request, client);
        }
        client.send(&ok(&echoed(request)));
        true
    })
}

/// A legacy tool call with an argument of so many bytes.
fn large_call(length: usize) -> Vec<u8> {
    let arguments = format!(r#""name":"x","arguments":{{"a":"{}"}}"#, "y".repeat(length));
    legacy(1, "tools/call", &arguments)
}

fn list(id: u32) -> Vec<u8> {
    legacy(id, "tools/list", "")
}

#[test]
fn a_server_that_refuses_is_a_502_and_the_connection_stays() {
    let gateway = Gateway::before(SocketAddr::from(([127, 0, 0, 1], super::harness::free_port())), "");
    let mut client = gateway.connect();
    assert_error(&client.ask(&modern_call(9)), 502, 9);
    let body = r#"{"id":"a\"b","jsonrpc":"2.0","method":"tools/list"}"#;
    assert_error(&client.ask(&post(body, "")), 502, "a\"b");
    drop(client);
    gateway.assert_nothing_left();
    gateway.await_metric("ringgate_exchanges_total", "unreachable", 2.0);
}

#[test]
fn a_server_that_does_not_accept_is_a_504() {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    // The kernel takes what fits its queue; the connection after that waits for an accept.
    let mut queued = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        queued.push(stream);
    }
    let gateway = Gateway::before(address, "timeouts:\n  connect: 200ms\n");
    let mut client = gateway.connect();
    assert_error(&client.ask(&modern_call(1)), 504, 1);
    assert_error(&client.ask(&modern_call(2)), 504, 2);
    drop(client);
    gateway.assert_nothing_left();
}

#[test]
fn a_server_that_does_not_answer_is_a_504_and_is_left() {
    let (tell, ended) = channel();
    let upstream = faulty(move |_, client| {
        tell.send(client.is_at_end()).unwrap();
        false
    });
    let gateway = Gateway::before(upstream.address, "timeouts:\n  first_byte: 200ms\n");
    let mut client = gateway.connect();
    assert_error(&client.ask(&modern_call(1)), 504, 1);
    assert!(told(&ended, "the connection is closed"));
    assert_error(&client.ask(&legacy_call(2)), 504, 2);
    assert_eq!(client.ask(&list(3)).json()["id"], 3, "the connection is as good as before");
    drop(client);
    gateway.assert_nothing_left();
    gateway.await_metric("ringgate_exchanges_total", "upstream_timeout", 2.0);
}

#[test]
fn a_call_may_take_as_long_as_it_may() {
    let upstream = faulty(|_, client| {
        client.send(&[SSE.as_bytes(), &chunk("data: 1\n\n")].concat());
        assert!(client.is_at_end());
        false
    });
    let own = format!(
        "servers:\n  - {{name: up, url: 'http://{0}', timeouts: {{call: 300ms}}}}\n  - {{name: idle, url: 'http://{0}', timeouts: {{stream_idle: 300ms}}}}\n",
        upstream.address
    );
    let gateway = Gateway::with(&own);
    for path in ["/up/mcp", "/idle/mcp"] {
        let mut client = gateway.connect();
        let body = super::scenes::legacy_body(1, "tools/call", TROUBLE);
        client.send(&super::harness::post_to(path, &body, ""));
        assert_eq!(client.head().unwrap().status(), 200);
        assert_eq!(client.chunk().unwrap(), b"data: 1\n\n");
        let last = String::from_utf8(client.chunk().unwrap()).unwrap();
        assert!(
            last.contains("\"id\":1,\"result\"") && last.contains("did not answer in time"),
            "{path}: {last}"
        );
        assert_eq!(client.chunk().unwrap(), b"", "{path}: the end");
    }
    gateway.assert_nothing_left();
    gateway.await_metric("ringgate_exchanges_total", "upstream_timeout", 2.0);
}

#[test]
fn an_answer_that_came_in_time_is_not_cut_while_the_client_reads_it() {
    const LENGTH: usize = 24 << 20;
    let answer = ok(std::str::from_utf8(&pattern(LENGTH)).unwrap());
    let upstream = faulty(move |_, client| {
        client.send(&answer);
        true
    });
    let gateway = Gateway::before(upstream.address, "timeouts:\n  first_byte: 200ms\n  stream_idle: 200ms\n");
    let mut client = gateway.connect();
    client.send(&modern_call(1));
    assert_eq!(client.head().unwrap().status(), 200);
    // Longer than the server's bounds, during which it is the client that takes its time.
    std::thread::sleep(Duration::from_millis(800));
    assert!(client.rest_of(LENGTH).is_some_and(|body| body == pattern(LENGTH)));
    drop(client);
    gateway.assert_nothing_left();
}

#[test]
fn a_server_that_takes_its_time_to_read_a_request_is_not_late() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut client = Client::new(listener.accept().unwrap().0);
        client.head().unwrap();
        // Longer than the bound for its answer, which begins when the request was sent.
        std::thread::sleep(Duration::from_secs(3));
        // The end of the request; what stands before it is of no interest.
        let (mut piece, mut read) = (vec![0; 1 << 20], 0);
        while read == 0 || !piece[..read].ends_with(b"y\"}}}") {
            read = client.stream.read(&mut piece).unwrap();
        }
        // Less than that bound.
        std::thread::sleep(Duration::from_millis(500));
        client.send(&ok("{}"));
        client.is_at_end();
    });
    let gateway = Gateway::before(address, "timeouts:\n  first_byte: 2s\nlimits:\n  body_bytes_max: 32MiB\n");
    let mut client = gateway.connect();
    let answer = client.ask(&large_call(24 << 20));
    assert_eq!((answer.status(), answer.text()), (200, "{}".to_owned()));
    drop(client);
    gateway.assert_nothing_left();
}

#[test]
fn an_answer_that_breaks_off_breaks_off_for_the_client() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n0123456789";
    for (wire, with_reset) in [
        (head.to_owned(), true),
        (head.to_owned(), false),
        (format!("{SSE}a\r\n0123456789\r\n"), true),
        (format!("{SSE}a\r\n0123456789\r\n"), false),
        (format!("{SSE}a\r\n0123456789\r\n8\r\nbroken"), false),
    ] {
        let (handle, door) = door();
        let bytes = wire.clone();
        let upstream = faulty(move |_, client| {
            client.send(bytes.as_bytes());
            door.pass();
            if with_reset {
                reset(&client.stream);
            }
            false
        });
        let gateway = Gateway::before(upstream.address, "");
        let mut client = gateway.connect();
        client.send(&modern_call(1));
        assert_eq!(client.head().unwrap().status(), 200);
        handle.open();
        let rest = String::from_utf8(client.rest()).unwrap();
        assert!(rest.contains("0123456789") && !rest.contains("\r\n0\r\n"), "{wire:?} gave {rest:?}");
        gateway.assert_nothing_left();
        gateway.await_metric("ringgate_exchanges_total", "upstream_cut", 1.0);
    }
}

#[test]
fn what_is_no_answer_is_a_502_and_the_connection_stays() {
    let two = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}";
    let both = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    for wire in [
        "",
        "garbage\r\n\r\n",
        "\0\0\0\0",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        two,
        both,
    ] {
        let upstream = faulty(move |_, client| {
            client.send(wire.as_bytes());
            false
        });
        let gateway = Gateway::before(upstream.address, "workers: 1\n");
        let mut client = gateway.connect();
        let answer = client.ask(&modern_call(7));
        assert_eq!(answer.status(), 502, "{wire:?} gave {answer:?}");
        assert_error(&answer, 502, 7);
        assert_eq!(client.ask(&list(8)).json()["id"], 8, "{wire:?}");
        drop(client);
        gateway.assert_nothing_left();
    }
}

#[test]
fn a_head_without_end_is_a_502() {
    let upstream = faulty(|_, client| {
        let mut wire = b"HTTP/1.1 200 OK\r\n".to_vec();
        wire.extend((0..4000).flat_map(|n| format!("X-{n}: 0123456789\r\n").into_bytes()));
        // The gateway may have gone before the end.
        let _ = std::io::Write::write_all(&mut client.stream, &wire);
        false
    });
    let gateway = Gateway::before(upstream.address, "");
    let mut client = gateway.connect();
    assert_error(&client.ask(&modern_call(1)), 502, 1);
    drop(client);
    gateway.assert_nothing_left();
}

#[test]
fn bytes_behind_an_answer_are_nobodys_answer() {
    for framed in
        ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_owned(), format!("{SSE}2\r\n{{}}\r\n0\r\n\r\n")]
    {
        let upstream = faulty(move |_, client| {
            client.send(format!("{framed}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen").as_bytes());
            client.is_at_end();
            false
        });
        let gateway = Gateway::before(upstream.address, "workers: 1\n");
        let mut client = gateway.connect();
        assert_eq!(client.ask(&modern_call(1)).text(), "{}");
        assert_eq!(client.ask(&list(2)).json()["id"], 2);
        assert_eq!(upstream.accepted.load(Ordering::Relaxed), 2, "the connection is not used again");
        drop(client);
        gateway.assert_nothing_left();
    }
}

/// An upstream that answers the first request of each connection and closes at the second one, and then
/// answers only on connections after that.
fn dies_at_the_second_request() -> Upstream {
    let met = std::sync::atomic::AtomicUsize::new(0);
    Upstream::new(move |request, client| {
        if met.fetch_add(1, Ordering::Relaxed) == 1 {
            return false;
        }
        client.send(&ok(&echoed(request)));
        true
    })
}

#[test]
fn only_what_is_safe_is_sent_again() {
    for (request, more, status, seen) in [
        (list(2), "", 200, 3),
        (legacy_call(2), "", 502, 2),
        (modern_call(2), "", 502, 2),
        (modern_call(2), "    idempotent_tools: [x]\n", 200, 3),
        (modern_call(2), "    idempotent_tools: [y]\n", 502, 2),
    ] {
        let upstream = dies_at_the_second_request();
        let gateway = Gateway::before(upstream.address, &format!("{more}workers: 1\n"));
        let mut client = gateway.connect();
        assert_eq!(client.ask(&list(1)).status(), 200);
        let answer = client.ask(&request);
        assert_eq!(answer.status(), status, "{} {more}", String::from_utf8_lossy(&request));
        assert_eq!(answer.json()["id"], 2);
        assert_eq!(upstream.requests.try_iter().count(), seen);
        assert_eq!(
            gateway.metric("ringgate_upstream_retries_total", ""),
            if status == 200 { 1.0 } else { 0.0 }
        );
        drop(client);
        gateway.assert_nothing_left();
    }
}

#[test]
fn an_idle_connection_that_the_server_closed_is_not_used() {
    let upstream = Upstream::new(|request, client| {
        client.send(&ok(&echoed(request)));
        false
    });
    let gateway = Gateway::before(upstream.address, "");
    let mut client = gateway.connect();
    for id in 1..=5 {
        assert_eq!(client.ask(&modern_call(id)).json()["id"], id);
        gateway.await_metric("ringgate_upstream_connections", "", 0.0);
    }
    assert_eq!(upstream.requests.try_iter().count(), 5);
}

#[test]
fn a_server_that_says_close_is_dialled_anew() {
    let upstream = Upstream::new(|_, client| {
        client.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}");
        client.is_at_end();
        false
    });
    let gateway = Gateway::before(upstream.address, "");
    let mut client = gateway.connect();
    for id in 1..=3 {
        let answer = client.ask(&modern_call(id));
        assert_eq!(
            (answer.status(), answer.header("connection")),
            (200, None),
            "its connection is not the client's"
        );
    }
    assert_eq!(upstream.accepted.load(Ordering::Relaxed), 3);
}

#[test]
fn an_answer_that_comes_before_the_end_of_the_request_passes() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let mut client = Client::new(listener.accept().unwrap().0);
        client.head().unwrap();
        client.send(b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlong");
        // Closing with unread bytes resets the connection under the request.
    });
    let gateway = Gateway::before(address, "");
    let mut client = gateway.connect();
    let answer = client.ask(&large_call(3 << 20));
    assert_eq!((answer.status(), answer.text()), (413, "long".to_owned()));
    server.join().unwrap();
    drop(client);
    gateway.assert_nothing_left();
}

#[test]
fn a_client_that_vanishes_takes_its_stream_with_it() {
    let (tell, ended) = channel();
    let upstream = Upstream::new(move |_, client| {
        client.send(&[SSE.as_bytes(), &chunk("data: 1\n\n")].concat());
        tell.send(client.is_at_end()).unwrap();
        false
    });
    let gateway = Gateway::before(upstream.address, "");
    let mut client = gateway.connect();
    client.send(&modern_call(1));
    client.head().unwrap();
    client.chunk().unwrap();
    reset(&client.stream);
    drop(client);
    assert!(told(&ended, "the server sees the end"));
    gateway.assert_nothing_left();
}

#[test]
fn a_legacy_client_that_vanishes_within_a_stream_leaves_it_to_its_end() {
    let (handle, door) = door();
    let (tell, wrote) = channel();
    let upstream = Upstream::new(move |_, client| {
        client.send(&[SSE.as_bytes(), &chunk("data: 1\n\n")].concat());
        door.pass();
        let event = chunk(&format!("data: {}\n\n", "x".repeat(1000)));
        let all = (0..2000).all(|_| std::io::Write::write_all(&mut client.stream, &event).is_ok());
        tell.send(all && std::io::Write::write_all(&mut client.stream, LAST).is_ok()).unwrap();
        true
    });
    let gateway = Gateway::before(upstream.address, "");
    let mut client = gateway.connect();
    client.send(&legacy_call(1));
    client.head().unwrap();
    client.chunk().unwrap();
    reset(&client.stream);
    drop(client);
    handle.open();
    assert!(told(&wrote, "the server writes all of it"));
    gateway.assert_nothing_left();
    gateway.await_metric("ringgate_upstream_connections", "", 1.0);
}

#[test]
fn requests_that_dawdle_are_told_so() {
    let upstream = Upstream::echo();
    let gateway = Gateway::before(upstream.address, "timeouts:\n  head: 200ms\n  body: 200ms\n");
    let whole = modern_call(1);
    let head_len = whole.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    for part in [1, 20, head_len - 1, head_len, head_len + 5, whole.len() - 1] {
        let mut client = gateway.connect();
        client.send(&whole[..part]);
        let answer = client.message().unwrap();
        assert_eq!((answer.status(), answer.header("connection")), (408, Some("close")), "{part}");
        assert!(client.is_at_end());
    }
    upstream.assert_untouched();
    gateway.assert_nothing_left();
    gateway.await_metric("ringgate_refusals_total", "408", 6.0);
}

#[test]
fn a_connection_that_waits_too_long_for_its_next_request_is_closed() {
    let upstream = Upstream::echo();
    let gateway = Gateway::before(upstream.address, "timeouts:\n  keep_alive: 200ms\n");
    let mut silent = gateway.connect();
    assert!(silent.is_at_end());
    let mut client = gateway.connect();
    assert_eq!(client.ask(&modern_call(1)).status(), 200);
    assert!(client.is_at_end());
    gateway.assert_nothing_left();
}

#[test]
fn a_client_that_does_not_take_its_answer_is_left() {
    let (tell, wrote) = channel();
    let upstream = Upstream::new(move |_, client| {
        client.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1_usize << 30).as_bytes());
        let piece = pattern(64 << 10);
        tell.send((0..1 << 14).all(|_| std::io::Write::write_all(&mut client.stream, &piece).is_ok()))
            .unwrap();
        false
    });
    let gateway = Gateway::before(upstream.address, "timeouts:\n  write: 300ms\n");
    let mut client = gateway.connect();
    client.send(&modern_call(1));
    assert_eq!(client.head().unwrap().status(), 200);
    assert!(!told(&wrote, "the server is left"));
    gateway.assert_nothing_left();
    gateway.await_metric("ringgate_exchanges_total", "client_gone", 1.0);
}

#[test]
fn more_connections_than_allowed_are_told_so() {
    let upstream = Upstream::echo();
    let limits = "workers: 1\nlimits: {connections_max: 16, connections_per_source_max: 16}\n";
    let gateway = Gateway::before(upstream.address, limits);
    let held: Vec<_> = (0..16).map(|_| gateway.connect()).collect();
    gateway.await_metric("ringgate_worker_connections", "", 16.0);
    let mut one_more = gateway.connect();
    let answer = one_more.message().unwrap();
    assert_eq!((answer.status(), answer.header("connection")), (503, Some("close")));
    assert!(one_more.is_at_end());
    drop(held);
    gateway.assert_nothing_left();
    assert_eq!(gateway.connect().ask(&list(1)).status(), 200);
}

#[test]
fn a_server_with_all_its_connections_busy_is_a_503() {
    let (handle, door) = door();
    let upstream = faulty(move |request, client| {
        door.pass();
        client.send(&ok(&echoed(request)));
        true
    });
    let gateway = Gateway::before(
        upstream.address,
        "workers: 1\nlimits:\n  upstream_connections_max: 1\n  upstream_idle_max: 1\n",
    );
    let (mut first, mut second) = (gateway.connect(), gateway.connect());
    first.send(&modern_call(1));
    upstream.request();
    assert_error(&second.ask(&modern_call(2)), 503, 2);
    handle.open();
    assert_eq!(first.message().unwrap().json()["id"], 1);
    assert_eq!(second.ask(&list(3)).json()["id"], 3);
}
