//! Tokens that are counted by a tokenizer beside the workers, through the real gateway.

use ringgate::policy::rate_limit::{Estimator, o200k};
use serde_json::{Value as Json, json};

use super::harness::{Gateway, Upstream, ok, post};
use super::scenes::{LAST, SSE, chunk};

/// A run of signs, of which the estimator makes much more than it is.
const ARGUMENTS: &str =
    r#"{"q":"hello world ================================================================"}"#;
const ANSWER: &str =
    r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"hello world"}]}}"#;
/// Of both together, as the makers of the tokenizer count them.
const TOKENS: u64 = 37;

fn call(name: &str, arguments: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{name}","arguments":{arguments}}}}}"#
    );
    post(&body, "")
}

/// Answers with these bytes, whatever is asked.
fn answering(answer: Vec<u8>) -> Upstream {
    Upstream::new(move |_, client| {
        client.send(&answer);
        true
    })
}

fn gateway(upstream: &Upstream, tokens: &str, quota: u64, workers: u32) -> Gateway {
    let limit = format!("{{name: day, deny_as: error, unit: tokens, rate: {quota}/day, window: calendar}}");
    let gateway = Gateway::before(
        upstream.address,
        &format!("workers: {workers}\nrate_limits:\n  tokens: {tokens}\n  limits:\n  - {limit}"),
    );
    if tokens.contains("o200k") {
        gateway.await_metric("ringgate_tokenizer_ready", "", 1.0);
    }
    gateway
}

/// Makes a call, and waits until so many were counted.
fn counted(gateway: &Gateway, request: &[u8], calls: u32) {
    let answer = gateway.connect().ask(request);
    assert_eq!(answer.status(), 200, "{answer:?}");
    gateway.await_metric("ringgate_tokens_exchanges_total", "o200k", calls.into());
}

#[test]
fn a_quota_ends_with_the_very_call_that_uses_its_last_token() {
    let text = |text: &str| o200k::count(text.as_bytes());
    assert_eq!(text(ARGUMENTS) + text(ANSWER), TOKENS);
    let mut estimator = Estimator::default();
    estimator.feed(ARGUMENTS.as_bytes());
    estimator.feed(ANSWER.as_bytes());
    assert!(
        2 * estimator.tokens() > 3 * TOKENS,
        "by the estimate, the second call would be the last of three"
    );
    let upstream = answering(ok(ANSWER));
    for (quota, calls) in [(3 * TOKENS - 1, 3), (3 * TOKENS, 3), (3 * TOKENS + 1, 4)] {
        // One worker: each keeps a token of the quota to itself while it is used.
        let gateway = gateway(&upstream, "{count: o200k}", quota, 1);
        for done in 1..=calls {
            counted(&gateway, &call("x", ARGUMENTS), done);
            gateway.await_metric("ringgate_tokens_total", "o200k", (TOKENS * u64::from(done)) as f64);
        }
        assert_eq!(gateway.connect().ask(&call("x", ARGUMENTS)).status(), 429, "{quota}");
        gateway.await_metric("ringgate_tokens_total", "estimate", 0.0);
        gateway.await_metric("ringgate_tokenizer_missed_total", "", 0.0);
        gateway.await_metric("ringgate_tokenizer_waiting_bytes", "", 0.0);
    }
}

#[test]
fn what_servers_report_counts_before_what_is_counted() {
    let upstream = Upstream::new(|request, client| {
        let body: Json = serde_json::from_slice(&request.body).unwrap();
        let usage = if body["params"]["name"] == "tells" { json!({"tokens": 500}) } else { json!({}) };
        client.send(&ok(&json!({"jsonrpc": "2.0", "id": 7, "result": {"usage": usage}}).to_string()));
        true
    });
    let gateway = gateway(&upstream, "{count: reported, from: /usage/tokens, otherwise: o200k}", 100_000, 2);
    counted(&gateway, &call("silent", "{}"), 1);
    assert_eq!(gateway.connect().ask(&call("tells", "{}")).status(), 200);
    gateway.await_metric("ringgate_tokens_total", "reported", 500.0);
    counted(&gateway, &call("silent", "{}"), 2);
    gateway.await_metric("ringgate_tokens_exchanges_total", "", 3.0);
}

#[test]
fn whatever_a_server_answers_is_counted() {
    let count = |text: &[u8]| o200k::count(text);
    let note = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"message":"hello world"}}"#;
    let events =
        [SSE.as_bytes(), &chunk(&format!("data: {note}\n\n")), &chunk(&format!("data: {ANSWER}\n\n")), LAST];
    let wrong = b"{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"text\":\"\xff\xfe and \xf0\x9f\"}}";
    let mut no_text = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        wrong.len()
    )
    .into_bytes();
    no_text.extend_from_slice(wrong);
    let giant = ANSWER.replace("hello world", &"hello world ".repeat(50_000));
    let (first, rest) = giant.split_at((64 << 10) - 2 - 4);
    let mut estimator = Estimator::default();
    estimator.feed(rest.as_bytes());
    for (answer, tokens) in [
        (events.concat(), count(note.as_bytes()) + count(ANSWER.as_bytes())),
        (no_text, count(wrong)),
        (ok(&giant), count(first.as_bytes()) + estimator.tokens()),
        (
            ok(&ANSWER.replace("hello world", &"-".repeat(8_000))),
            count(ANSWER.replace("hello world", &"-".repeat(8_000)).as_bytes()),
        ),
    ] {
        let upstream = answering(answer);
        let gateway = gateway(&upstream, "{count: o200k, max_bytes: 64KiB}", 10_000_000, 2);
        counted(&gateway, &call("x", "{}"), 1);
        let all = tokens + count(b"{}");
        gateway.await_metric("ringgate_tokens_total", "o200k", all as f64);
    }
}

#[test]
fn the_tokenizer_is_loaded_when_a_reload_first_wants_it() {
    let upstream = answering(ok(ANSWER));
    let gateway = gateway(&upstream, "{count: estimate}", 1_000_000, 2);
    assert_eq!(gateway.connect().ask(&call("x", "{}")).status(), 200);
    gateway.await_metric("ringgate_tokens_exchanges_total", "estimate", 1.0);
    gateway.await_metric("ringgate_tokenizer_ready", "", 0.0);
    let text = std::fs::read_to_string(&gateway.config).unwrap();
    std::fs::write(&gateway.config, text.replace("count: estimate", "count: o200k")).unwrap();
    gateway.signal("HUP");
    gateway.await_metric("ringgate_tokenizer_ready", "", 1.0);
    counted(&gateway, &call("x", "{}"), 1);
    gateway.await_metric("ringgate_tokens_exchanges_total", "estimate", 1.0);
}
