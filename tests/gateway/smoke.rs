//! The shortest way through.

use super::harness::{Gateway, META, Upstream, modern, post};

#[test]
fn a_call_goes_through_and_comes_back() {
    let upstream = Upstream::echo();
    let gateway = Gateway::before(upstream.address, "");
    let mut client = gateway.connect();
    for id in 1..=3 {
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"x",{META}}}}}"#);
        let answer = client.ask(&post(&body, &modern("tools/call", "x")));
        assert_eq!(answer.status(), 200, "{answer:?}");
        assert_eq!(answer.json()["id"], id);
        let seen = upstream.request();
        assert_eq!(seen.start, "POST /mcp HTTP/1.1");
        assert_eq!(seen.header("host"), Some(&*upstream.address.to_string()));
        assert_eq!(seen.text(), body);
    }
    drop(client);
    gateway.assert_nothing_left();
}

#[test]
fn the_demo_of_the_readme_answers() {
    let dir = super::harness::TempDir::new();
    let port = super::harness::free_port();
    let mut child = super::harness::spawn(&["demo", "--listen", &format!("127.0.0.1:{port}")], &dir.0);
    let deadline = std::time::Instant::now() + super::harness::PATIENCE;
    let mut client = loop {
        match std::net::TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => break super::harness::Client::new(stream),
            Err(_) => assert!(std::time::Instant::now() < deadline, "the demo does not listen"),
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    };
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"countdown","arguments":{"from":2},"_meta":{"progressToken":1}}}"#;
    client.send(&super::harness::post_to("/demo/mcp", body, ""));
    let head = client.head().unwrap();
    assert_eq!((head.status(), head.header("content-type")), (200, Some("text/event-stream")));
    let events: Vec<String> = std::iter::from_fn(|| client.chunk().filter(|chunk| !chunk.is_empty()))
        .map(|chunk| String::from_utf8(chunk).unwrap())
        .collect();
    assert_eq!(events.len(), 3, "each event is a chunk of its own: {events:?}");
    assert!(events[2].contains("lift-off"));
    let _ = child.kill();
    let _ = child.wait();
}
