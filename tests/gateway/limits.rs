//! Each bound of `limits`, at its edge and one past it.

use std::io::Write;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use super::harness::{Client, Gateway, PATIENCE, Upstream, ok, post};
use super::probe::{Probe, chunked, framed};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

fn limits(lines: &str) -> Probe {
    Probe::new(&format!("limits:\n  {}", lines.replace('\n', "\n  ")))
}

/// Asserts that these bytes are served, that the upstream got `body`, and that the connection goes on.
#[track_caller]
fn serves(probe: &Probe, what: &str, bytes: &[u8], body: &str) {
    let (answer, mut client) = probe.send(what, bytes);
    assert_eq!(answer.status(), 200, "{what}: {answer:?}");
    probe.saw(what, body.as_bytes());
    assert_eq!(client.ask(&post(PING, "")).status(), 200, "{what}");
    probe.saw(what, PING.as_bytes());
}

/// A POST whose head has exactly so many bytes.
fn with_head_of(bytes: usize) -> Vec<u8> {
    let bare = post(PING, "X-Pad: \r\n").len() - PING.len();
    post(PING, &format!("X-Pad: {}\r\n", "x".repeat(bytes - bare)))
}

#[test]
fn head_bytes_max() {
    for (limit, bytes) in
        [("1KiB", 1 << 10), ("2KiB", 2 << 10), ("16KiB", 16 << 10), ("20001", 20_001), ("65535", 65_535)]
    {
        let probe = limits(&format!("head_bytes_max: {limit}\nuri_bytes_max: 64"));
        serves(&probe, limit, &with_head_of(bytes), PING);
        let answer = probe.refuses(limit, &with_head_of(bytes + 1), 431);
        assert_eq!(answer.json()["error"]["code"], 431);
        // The body does not count; an empty line before the request line does.
        let long = format!("{PING}{}", " ".repeat(bytes));
        serves(&probe, limit, &post(&long, ""), &long);
        let head = with_head_of(bytes - 2);
        serves(&probe, limit, &[b"\r\n", &*head].concat(), PING);
        // Refused as soon as it is full, without waiting for its end.
        let open = with_head_of(bytes + 100);
        probe.refuses(limit, &open[..bytes], 431);
    }
}

#[test]
fn headers_max() {
    for (limit, count) in [("8", 8), ("20", 20), ("64", 64)] {
        let probe = limits(&format!("headers_max: {limit}"));
        // Four are there already.
        serves(&probe, limit, &post(PING, &"X-A: b\r\n".repeat(count - 4)), PING);
        probe.refuses(limit, &post(PING, &"X-A: b\r\n".repeat(count - 3)), 431);
    }
}

#[test]
fn uri_bytes_max() {
    let request =
        |target: &str| String::from_utf8(post(PING, "")).unwrap().replacen("/up/mcp", target, 1).into_bytes();
    for (limit, bytes) in [("64", 64), ("1000", 1000), ("4KiB", 4 << 10)] {
        let probe = limits(&format!("uri_bytes_max: {limit}"));
        for prefix in ["/up/mcp?", "http://localhost/up/mcp?"] {
            let target = |bytes: usize| format!("{prefix}{}", "x".repeat(bytes - prefix.len()));
            serves(&probe, limit, &request(&target(bytes)), PING);
            let answer = probe.refuses(limit, &request(&target(bytes + 1)), 414);
            assert_eq!(answer.json()["error"]["code"], 414);
        }
        // A path that leads nowhere is too long before it is unknown.
        let (answer, _) = probe.send(limit, &request(&format!("/{}", "x".repeat(bytes - 1))));
        assert_eq!(answer.status(), 404);
        probe.refuses(limit, &request(&format!("/{}", "x".repeat(bytes))), 414);
    }
}

#[test]
fn body_bytes_max() {
    let body = |bytes: usize| format!("{PING}{}", " ".repeat(bytes - PING.len()));
    for (limit, bytes) in [("1KiB", 1 << 10), ("1025", 1025), ("100000", 100_000), ("4MiB", 4 << 20)] {
        let probe = limits(&format!("body_bytes_max: {limit}"));
        let (at, past) = (body(bytes), body(bytes + 1));
        serves(&probe, limit, &post(&at, ""), &at);
        let answer = probe.refuses(limit, &framed(&format!("Content-Length: {}\r\n", bytes + 1), b""), 413);
        assert_eq!(answer.json()["error"]["code"], 413);
        for sizes in [&[][..], &[1, 700]] {
            let chunks =
                |body: &str| framed("Transfer-Encoding: chunked\r\n", &chunked(body.as_bytes(), sizes));
            serves(&probe, limit, &chunks(&at), &at);
            let whole = chunks(&past);
            // As soon as the size of the last chunk is known: its data, two line ends and `0` do not come.
            let left = past.len() - sizes.iter().sum::<usize>();
            let cut = whole.len() - left - "\r\n0\r\n\r\n".len();
            probe.refuses(limit, &whole[..cut], 413);
        }
    }
}

#[test]
fn json_depth_max() {
    let nested = |open: &str, close: &str, levels: usize| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a":{}1{}}}}}"#,
            open.repeat(levels - 2),
            close.repeat(levels - 2)
        )
    };
    for (limit, levels) in [("8", 8), ("64", 64), ("120", 120)] {
        let probe = limits(&format!("json_depth_max: {limit}"));
        let mut client = probe.gateway.connect();
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[[", "]]")] {
            let levels = if open == "[[" { levels / 2 + 1 } else { levels };
            let body = nested(open, close, levels);
            assert_eq!(client.ask(&post(&body, "")).status(), 200, "{limit}");
            probe.saw(limit, body.as_bytes());
            let answer = client.ask(&post(&nested(open, close, levels + 1), ""));
            assert_eq!(
                (answer.status(), answer.json()["error"]["code"].clone()),
                (400, (-32700).into()),
                "{limit}"
            );
            assert!(answer.json()["id"].is_null());
            probe.asks(limit);
        }
        // A batch is one level more.
        let batch = |levels| format!("[{}]", nested("[", "]", levels));
        assert_eq!(client.ask(&post(&batch(levels - 1), "")).status(), 200, "{limit}");
        probe.saw(limit, batch(levels - 1).as_bytes());
        assert_eq!(client.ask(&post(&batch(levels), "")).status(), 400, "{limit}");
        probe.upstream.assert_untouched();
    }
}

#[test]
fn batch_max() {
    let batch = |count: usize| format!("[{}]", vec![PING; count].join(","));
    for (limit, count) in [("1", 1), ("50", 50), ("1000", 1000)] {
        let probe = limits(&format!("batch_max: {limit}"));
        serves(&probe, limit, &post(&batch(count), ""), &batch(count));
        let answer = probe.gateway.connect().ask(&post(&batch(count + 1), ""));
        assert_eq!(
            (answer.status(), answer.json()["error"]["code"].clone()),
            (400, (-32600).into()),
            "{limit}"
        );
        probe.asks(limit);
        probe.upstream.assert_untouched();
    }
}

#[test]
fn connections_max() {
    let upstream = Upstream::echo();
    let gateway = Gateway::before(
        upstream.address,
        "workers: 1\nlimits:\n  connections_max: 16\n  connections_per_source_max: 16",
    );
    let refused = |gateway: &Gateway| {
        let mut client = gateway.connect();
        let answer = client.message().expect("an answer before the end");
        assert_eq!((answer.status(), answer.header("connection")), (503, Some("close")), "{answer:?}");
        assert_eq!(answer.header("retry-after"), Some("1"));
        let message = answer.json();
        assert!(message["id"].is_null() && message["error"]["code"] == 503, "{message}");
        assert!(client.is_at_end());
    };
    let mut clients: Vec<Client> = (0..16).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.ask(&post(PING, "")).status(), 200);
    }
    gateway.await_metric("ringgate_worker_connections", "", 16.0);
    for _ in 0..3 {
        refused(&gateway);
    }
    gateway.await_metric("ringgate_connections_refused_total", "", 3.0);
    // Those that are in go on, and a place that becomes free is taken again.
    for client in &mut clients {
        assert_eq!(client.ask(&post(PING, "")).status(), 200);
    }
    clients.pop();
    gateway.await_metric("ringgate_worker_connections", "", 15.0);
    clients.push(gateway.connect());
    assert_eq!(clients[15].ask(&post(PING, "")).status(), 200);
    refused(&gateway);
    drop(clients);
    gateway.assert_nothing_left();
}

#[test]
fn upstream_connections_max() {
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = Upstream::new(move |_, client| {
        wait.lock().unwrap().recv().unwrap();
        client.send(&ok("{}"));
        true
    });
    let config = "workers: 1\nlimits:\n  upstream_connections_max: 3\n  upstream_idle_max: 3";
    let gateway = Gateway::before(upstream.address, config);
    let mut clients: Vec<Client> = (0..3).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        client.send(&post(PING, ""));
        upstream.request();
    }
    let mut late = gateway.connect();
    for id in [7, 8] {
        let answer = late.ask(&post(&PING.replace("\"id\":1", &format!("\"id\":{id}")), ""));
        let error = answer.json();
        assert_eq!(
            (answer.status(), error["id"].clone(), error["error"]["code"].clone()),
            (503, id.into(), 503.into())
        );
        assert_eq!(answer.header("connection"), None, "the client may try again on it");
    }
    upstream.assert_untouched();
    // One is answered, and its connection serves the one that was late.
    go.send(()).unwrap();
    go.send(()).unwrap();
    go.send(()).unwrap();
    for client in &mut clients {
        assert_eq!(client.message().unwrap().status(), 200);
    }
    go.send(()).unwrap();
    assert_eq!(late.ask(&post(PING, "")).status(), 200);
    assert_eq!(upstream.accepted.load(std::sync::atomic::Ordering::Relaxed), 3);
    gateway.await_metric("ringgate_upstream_connections", "", 3.0);
}

#[test]
fn upstream_idle_max() {
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = Upstream::new(move |_, client| {
        wait.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        client.send(&ok("{}"));
        true
    });
    for (limit, kept) in [(0, 0.0), (1, 1.0), (3, 3.0)] {
        let gateway =
            Gateway::before(upstream.address, &format!("workers: 1\nlimits:\n  upstream_idle_max: {limit}"));
        let mut clients: Vec<Client> = (0..3).map(|_| gateway.connect()).collect();
        for client in &mut clients {
            client.send(&post(PING, ""));
            upstream.request();
        }
        (0..3).for_each(|_| go.send(()).unwrap());
        for client in &mut clients {
            assert_eq!(client.message().unwrap().status(), 200);
        }
        gateway.await_metric("ringgate_upstream_connections", "", kept);
    }
}

#[test]
fn upstream_max_age() {
    let upstream = Upstream::echo();
    let gateway = Gateway::before(upstream.address, "workers: 1\ntimeouts:\n  upstream_max_age: 1s");
    let mut client = gateway.connect();
    assert_eq!(client.ask(&post(PING, "")).status(), 200);
    // It may be idle for much longer, but is too old to be used again.
    gateway.await_metric("ringgate_upstream_connections", "", 0.0);
    assert_eq!(client.ask(&post(PING, "")).status(), 200);
    assert_eq!(gateway.metric("ringgate_upstream_dials_total", ""), 2.0);
}

#[test]
fn response_head_bytes_max() {
    let upstream = Upstream::new(|request, client| {
        // The id says how many bytes the head has.
        let bytes = request.json()["id"].as_u64().unwrap_or(200) as usize;
        let head = |pad: &str| format!("HTTP/1.1 200 OK\r\nX-Pad: {pad}\r\nContent-Length: 2\r\n\r\n");
        let _ = client.stream.write_all(head(&"x".repeat(bytes - head("").len())).as_bytes());
        // A head that is too long is not read to its end.
        let _ = client.stream.write_all(b"{}");
        true
    });
    for (limit, bytes) in [("1KiB", 1 << 10), ("32KiB", 32 << 10), ("60KiB", 60 << 10)] {
        let gateway =
            Gateway::before(upstream.address, &format!("limits:\n  response_head_bytes_max: {limit}"));
        let mut client = gateway.connect();
        let ask = |bytes: usize| post(&PING.replace("\"id\":1", &format!("\"id\":{bytes}")), "");
        for _ in 0..2 {
            assert_eq!(client.ask(&ask(bytes)).status(), 200, "{limit}");
            let answer = client.ask(&ask(bytes + 1));
            let error = answer.json();
            assert_eq!(
                (answer.status(), error["error"]["code"].clone(), error["id"].clone()),
                (502, 502.into(), (bytes + 1).into()),
                "{limit}"
            );
        }
        drop(client);
        gateway.assert_nothing_left();
    }
}
