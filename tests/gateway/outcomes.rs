//! How exchanges ended, as metrics tell it.

use super::harness::{Gateway, Upstream, ok};
use super::scenes::legacy_call;

#[test]
fn failed_tools_and_unreadable_answers_are_counted_apart() {
    for (body, outcome) in [
        (r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#, "answered"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":true}}"#, "tool_failed"),
        (r#"{"jsonrpc":"2.0","id":1,"result":"#, "unreadable"),
        ("<html>busy</html>", "unreadable"),
    ] {
        let upstream = Upstream::new(move |_, client| {
            client.send(&ok(body));
            true
        });
        let gateway = Gateway::before(upstream.address, "");
        let answer = gateway.connect().ask(&legacy_call(1));
        assert_eq!((answer.status(), answer.text().as_str()), (200, body), "it passes as it is");
        let label = format!("kind=\"request\",outcome=\"{outcome}\"");
        gateway.await_metric("ringgate_exchanges_total", &label, 1.0);
    }
}
