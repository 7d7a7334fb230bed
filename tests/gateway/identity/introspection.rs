//! Opaque tokens, and the endpoint that is asked about them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{PUBLIC, bearer, now, ping};
use crate::harness::{Gateway, TempDir, Upstream, ok};
use crate::scenes::{door, wait_until};

/// What the endpoint says next: the bytes of an answer, or nothing for too long.
type Next = Arc<Mutex<Option<Vec<u8>>>>;

fn endpoint(first: &Json) -> (Upstream, Next) {
    let next: Next = Arc::new(Mutex::new(Some(ok(&first.to_string()))));
    let state = next.clone();
    let server = Upstream::new(move |_, client| {
        let Some(answer) = state.lock().unwrap().clone() else {
            std::thread::sleep(Duration::from_secs(4));
            return false;
        };
        client.send(&answer);
        true
    });
    (server, next)
}

fn says(next: &Next, answer: &Json) {
    *next.lock().unwrap() = Some(ok(&answer.to_string()));
}

fn active() -> Json {
    json!({"active": true, "sub": "alice", "client_id": "agent", "aud": format!("{PUBLIC}/up/mcp"), "exp": now() + 600})
}

fn gateway(upstream: &Upstream, idp: &Upstream, more: &str) -> (Gateway, TempDir) {
    let dir = TempDir::new();
    let secret = dir.file("secret", "s3cret\n");
    let gateway = Gateway::with(&format!(
        "public_url: {PUBLIC}\nservers:\n  - {{name: up, url: 'http://{}/mcp'}}\noutbound: {{allow_http: true, timeout: 1s}}\n\
         authentication:\n  introspection: {{url: 'http://{}/ask', client_id: gw, client_secret: 'file:{}', clock_skew: 0s{more}}}\n",
        upstream.address,
        idp.address,
        secret.display()
    ));
    (gateway, dir)
}

fn status(gateway: &Gateway, token: &str) -> u16 {
    gateway.connect().ask(&ping(&bearer(token))).status()
}

fn asked(idp: &Upstream) -> usize {
    std::iter::from_fn(|| idp.requests.try_recv().ok()).count()
}

#[test]
fn an_answer_without_an_issuer_is_good_and_clients_are_sent_to_sign_in() {
    let answer = json!({"active": true, "scope": "a", "client_id": "c", "username": "ann",
        "aud": [format!("{PUBLIC}/up/mcp")], "exp": 4_000_000_000_u64});
    let document = "GET /.well-known/oauth-protected-resource/up/mcp HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (option, place) in [
        (", issuer: 'https://idp.example'", "https://idp.example"),
        (", issuer: acme, authorization_server: 'https://login.example/o'", "https://login.example/o"),
    ] {
        let (upstream, (idp, next)) = (Upstream::echo(), endpoint(&answer));
        let (gateway, _dir) = gateway(&upstream, &idp, option);
        assert_eq!(status(&gateway, "opaque"), 200, "{option}");
        let metadata = gateway.connect().ask(document.as_bytes());
        assert_eq!(metadata.json()["authorization_servers"], json!([place]));
        assert_eq!(idp.request().header("accept-encoding"), Some("identity"));
        let mut other = answer.clone();
        other["iss"] = json!("https://other.example");
        says(&next, &other);
        assert_eq!(status(&gateway, "other"), 401);
    }
}

#[test]
fn the_endpoint_is_asked_once_and_its_answer_is_believed_for_a_while() {
    let (upstream, (idp, next)) = (Upstream::echo(), endpoint(&active()));
    let (gateway, _dir) = gateway(&upstream, &idp, ", cache: 60s");
    assert_eq!(status(&gateway, "opaque-1"), 200);
    let question = idp.request();
    assert!(question.start.starts_with("POST /ask "), "{question:?}");
    assert_eq!(question.header("authorization"), Some("Basic Z3c6czNjcmV0"));
    assert!(question.text().contains("token=opaque-1"), "{question:?}");
    assert!(!format!("{:?}", upstream.request()).contains("opaque-1"), "the token is for the gateway");
    // The workers each ask for themselves.
    (0..20).for_each(|_| assert_eq!(status(&gateway, "opaque-1"), 200));
    assert!(asked(&idp) <= 1);
    says(&next, &json!({"active": false}));
    assert_eq!(status(&gateway, "opaque-2"), 401, "another token is another question");
    assert_eq!(asked(&idp), 1);
}

#[test]
fn what_is_not_active_here_and_now_is_refused() {
    let (upstream, (idp, next)) = (Upstream::echo(), endpoint(&active()));
    let (gateway, _dir) = gateway(&upstream, &idp, "");
    let with = |name: &str, value: Json| {
        let mut answer = active();
        answer[name] = value;
        answer
    };
    let bad = [
        json!({"active": false}),
        json!({}),
        with("active", json!("true")),
        with("active", json!(1)),
        with("aud", json!("https://gw.example/other/mcp")),
        with("aud", Json::Null),
        with("exp", json!(now() - 10)),
        with("nbf", json!(now() + 600)),
        with("cnf", json!({"jkt": "x"})),
        with("token_type", json!("DPoP")),
    ];
    for (number, answer) in bad.iter().enumerate() {
        says(&next, answer);
        let status = status(&gateway, &format!("t{number}"));
        assert!(matches!(status, 401 | 502 | 503), "{status}: {answer}");
    }
    upstream.assert_untouched();
    says(&next, &active());
    assert_eq!(status(&gateway, "good"), 200);
}

#[test]
fn an_endpoint_that_fails_is_a_503_and_the_failure_is_not_remembered() {
    let (upstream, (idp, next)) = (Upstream::echo(), endpoint(&active()));
    let (gateway, _dir) = gateway(&upstream, &idp, "");
    for state in [Some(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".to_vec()), None] {
        *next.lock().unwrap() = state;
        let answer = gateway.connect().ask(&ping(&bearer("t")));
        assert_eq!(answer.status(), 503, "{answer:?}");
        assert!(answer.header("retry-after").is_some());
    }
    for garbage in ["<html>", "[]", "{\"active\":true", "{\"active\":false,\"active\":true}"] {
        *next.lock().unwrap() = Some(ok(garbage));
        assert_ne!(status(&gateway, "t"), 200, "{garbage}");
    }
    let elsewhere =
        format!("HTTP/1.1 302 Found\r\nLocation: http://{}/x\r\nContent-Length: 0\r\n\r\n", upstream.address);
    *next.lock().unwrap() = Some(elsewhere.into_bytes());
    assert_eq!(status(&gateway, "t"), 503);
    upstream.assert_untouched();
    says(&next, &active());
    assert_eq!(status(&gateway, "t"), 200);
}

#[test]
fn an_answer_is_believed_no_longer_than_the_token_lives_or_the_configuration_says() {
    for (cache, life) in [("60s", 3), ("2s", 600)] {
        let (upstream, (idp, next)) = (Upstream::echo(), endpoint(&active()));
        let mut answer = active();
        answer["exp"] = json!(now() + life);
        says(&next, &answer);
        let (gateway, _dir) = gateway(&upstream, &idp, &format!(", cache: {cache}"));
        assert_eq!(status(&gateway, "t"), 200);
        says(&next, &json!({"active": false}));
        wait_until("the endpoint is asked again", || status(&gateway, "t") == 401);
    }
}

#[test]
fn many_who_show_one_token_at_once_are_one_question() {
    let (handle, shut) = door();
    let upstream = Upstream::echo();
    let idp = Upstream::new(move |_, client| {
        shut.pass();
        client.send(&ok(&active().to_string()));
        true
    });
    // Longer than the test needs, as the endpoint waits for it.
    let dir = TempDir::new();
    let secret = dir.file("secret", "s3cret\n");
    let gateway = Gateway::with(&format!(
        "public_url: {PUBLIC}\nservers:\n  - {{name: up, url: 'http://{}/mcp'}}\noutbound: {{allow_http: true, timeout: 10s}}\n\
         authentication:\n  introspection: {{url: 'http://{}/ask', client_id: gw, client_secret: 'file:{}'}}\n",
        upstream.address,
        idp.address,
        secret.display()
    ));
    let mut clients: Vec<_> = (0..20).map(|_| gateway.connect()).collect();
    clients.iter_mut().for_each(|client| client.send(&ping(&bearer("t"))));
    idp.request();
    gateway.await_metric("ringgate_worker_connections", "", 20.0);
    std::thread::sleep(Duration::from_millis(300));
    handle.open();
    clients.iter_mut().for_each(|client| assert_eq!(client.message().unwrap().status(), 200));
    assert_eq!(asked(&idp), 0, "one question for all");
}

#[test]
fn an_answer_is_not_believed_anew_while_a_body_takes_its_time() {
    let (upstream, (idp, next)) = (Upstream::echo(), endpoint(&active()));
    let (gateway, _dir) = gateway(&upstream, &idp, ", cache: 1s");
    let request = ping(&bearer("opaque-1"));
    let (first, rest) = request.split_at(request.len() - 20);
    let mut client = gateway.connect();
    client.send(first);
    gateway.await_metric("ringgate_credentials_total", "known=\"verified\"", 1.0);
    idp.request();
    // The token is revoked while the body is on its way, and what was said of it is good for a second.
    says(&next, &json!({"active": false}));
    std::thread::sleep(Duration::from_millis(2_500));
    client.send(rest);
    assert_eq!(client.message().unwrap().status(), 401);
    assert_eq!(asked(&idp), 1, "it is asked about again");
    upstream.assert_untouched();
}

#[test]
fn the_place_of_a_client_that_leaves_is_free_at_once() {
    let upstream = Upstream::echo();
    let (handle, shut) = door();
    let idp = Upstream::new(move |_, client| {
        shut.pass();
        client.send(&ok(&active().to_string()));
        true
    });
    let (gateway, dir) = gateway(&upstream, &idp, "");
    let text = std::fs::read_to_string(&gateway.config).unwrap();
    std::fs::write(&gateway.config, text.replace("timeout: 1s", "timeout: 60s")).unwrap();
    gateway.signal("HUP");
    gateway.await_metric("ringgate_config_generation", "", 2.0);
    let (mut whole, mut half) = (gateway.connect(), gateway.connect());
    whole.send(&ping(&bearer("opaque-1")));
    // One that is still sending its body.
    let request = ping(&bearer("opaque-1"));
    half.send(&request[..request.len() - 5]);
    idp.request();
    gateway.await_metric("ringgate_errands_total", "", 2.0);
    half.send(&request[request.len() - 5..]);
    drop((whole, half));
    // An exchange waits for 15 seconds at the most, and the endpoint has said nothing yet.
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while gateway.metric("ringgate_errands_failed_total", "") < 2.0 {
        assert!(std::time::Instant::now() < deadline, "places are kept for clients that left");
        std::thread::sleep(Duration::from_millis(20));
    }
    gateway.assert_nothing_left();
    handle.open();
    drop((handle, dir));
    upstream.assert_untouched();
}
