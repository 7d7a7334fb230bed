//! Each refusal leaves a line and a label of its own cause, and no peer can fill the log.

use super::harness::{self, Gateway, META, Upstream, free_port, modern};

fn call() -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"x",{META}}}}}"#)
}

fn post_to(path: &str, body: &str, headers: &str) -> String {
    String::from_utf8(harness::post_to(path, body, headers)).unwrap()
}

fn post(body: &str, headers: &str) -> String {
    post_to("/up/mcp", body, headers)
}

fn lines<'l>(log: &'l str, part: &str) -> Vec<&'l str> {
    log.lines().filter(|line| line.contains(part)).collect()
}

#[test]
fn a_refused_request_is_logged_and_counted_by_its_cause() {
    let upstream = Upstream::echo();
    let gateway = Gateway::before(upstream.address, "limits: {body_bytes_max: 1KiB}\n");
    let refusals: [(String, &str, u16, &str); 5] = [
        (
            post_to("/wheather/mcp?key=hidden", &call(), &modern("tools/call", "x")),
            "no_server",
            404,
            "POST /wheather/mcp",
        ),
        (
            post(&call(), &modern("tools/call", "x")).replace("Host: localhost", "Host: evil.example"),
            "unknown_host",
            403,
            "evil.example",
        ),
        (
            post(&call(), &format!("Origin: https://evil.example\r\n{}", modern("tools/call", "x"))),
            "foreign_origin",
            403,
            "https://evil.example",
        ),
        (post("{", &modern("tools/call", "x")), "bad_message", 400, "JSON"),
        (post(&format!("{:2000}", call()), &modern("tools/call", "x")), "body_size", 413, "body_bytes_max"),
    ];
    for (request, cause, status, shown) in &refusals {
        let answer = gateway.connect().ask(request.as_bytes());
        assert_eq!(answer.status(), *status, "{cause}: {answer:?}");
        gateway.await_metric(
            "ringgate_refusals_total",
            &format!("status=\"{status}\",cause=\"{cause}\""),
            1.0,
        );
        let log = gateway.await_log(&format!("cause=\"{cause}\""));
        let said = lines(&log, &format!("cause=\"{cause}\""));
        assert_eq!(said.len(), 1, "{cause}\n{log}");
        assert!(said[0].contains(shown) && said[0].contains("127.0.0.1:"), "{}", said[0]);
        assert!(!said[0].contains("hidden"), "a query may hold a secret: {}", said[0]);
    }
}

#[test]
fn what_nobody_did_yet_is_counted_as_zero() {
    let upstream = Upstream::echo();
    let gateway = Gateway::before(upstream.address, "");
    let (_, page) = gateway.admin_get("/metrics").unwrap();
    for series in [
        "ringgate_refusals_total{status=\"429\",cause=\"limited\"} 0",
        "ringgate_upstream_failures_total{server=\"up\",cause=\"dial_failed\"} 0",
        "ringgate_exchanges_total{server=\"up\",kind=\"request\",outcome=\"upstream_failed\"} 0",
        "ringgate_handshakes_failed_total{cause=\"tls\"} 0",
    ] {
        assert!(page.lines().any(|line| line == series), "{series}\n{page}");
    }
}

#[test]
fn a_server_that_is_down_does_not_fill_the_log() {
    let down = std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
    let gateway = Gateway::before(down, "workers: 1\n");
    let mut client = gateway.connect();
    for _ in 0..20 {
        assert_eq!(client.ask(post(&call(), &modern("tools/call", "x")).as_bytes()).status(), 502);
    }
    gateway.await_metric("ringgate_upstream_failures_total", "cause=\"dial_failed\"", 20.0);
    let log = gateway.await_log("no answer from the server");
    let said = lines(&log, "no answer from the server");
    assert!((1..10).contains(&said.len()), "{log}");
    assert!(said[0].contains("dial_failed") && said[0].contains("refused"), "{}", said[0]);
    assert!(lines(&log, "dial failed").is_empty(), "one line says all of it\n{log}");
}

#[test]
fn a_limit_that_refuses_says_whose_key_it_is() {
    let upstream = Upstream::echo();
    let gateway = Gateway::before(
        upstream.address,
        "rate_limits:\n  limits:\n  - {name: few, unit: calls, key: [tool], rate: 1/h, deny_as: error}\n  \
         - {name: watched, unit: calls, key: [tool], rate: 1/h, mode: report}\n",
    );
    let (_, page) = gateway.admin_get("/metrics").unwrap();
    for mode in ["enforce", "report"] {
        let series = format!("ringgate_limited_total{{limit=\"few\",mode=\"{mode}\"}} 0");
        assert!(page.lines().any(|line| line == series), "{series}\n{page}");
    }
    let mut client = gateway.connect();
    let ask = |client: &mut harness::Client| {
        client.ask(post(&call(), &modern("tools/call", "x")).as_bytes()).status()
    };
    assert_eq!([ask(&mut client), ask(&mut client)], [200, 429]);
    let log = gateway.await_log("a limit refuses");
    let said = lines(&log, "a limit refuses");
    assert!(said[0].contains("limit=few") && said[0].contains("key=\"tool=x\""), "{}", said[0]);
    gateway.await_metric("ringgate_refusals_total", "cause=\"limited\"", 1.0);
}

#[test]
fn a_gateway_that_can_verify_nobody_is_not_ready() {
    let upstream = Upstream::echo();
    let down = free_port();
    let issuers = format!(
        "outbound: {{allow_http: true, allow_private: true}}\nauthentication:\n  issuers: [{{issuer: 'http://127.0.0.1:{down}'}}]\n"
    );
    let with = |more: &str| {
        format!("servers: [{{name: up, url: 'http://{}/mcp', audiences: [a]{more}}}]\n", upstream.address)
    };
    let ready = Gateway::with(&format!("{}{issuers}", with(", anonymous: true")));
    assert_eq!(ready.admin_get("/readyz").unwrap().0, 200, "some callers need no key");
    let waiting = Gateway::with(&format!("{}{issuers}", with("")));
    let (status, words) = waiting.admin_get("/readyz").unwrap();
    assert_eq!(status, 503);
    assert!(words.contains(&format!("waiting for the keys of http://127.0.0.1:{down}")), "{words}");
    assert_eq!(waiting.admin_get("/healthz").unwrap().0, 200);
}
