//! The forms of a denied call.

use serde_json::json;

use super::access::{RULES, Scene, json_server, list};
use super::call;
use crate::harness::Upstream;

#[test]
fn a_denied_call_has_the_form_that_the_operator_wants() {
    for (form, expected) in [
        ("text", json!({"result": {"content": [{"type": "text", "text": "Unknown tool: pay2"}]}})),
        ("unknown", json!({"error": {"code": -32602, "message": "Unknown tool: pay2"}})),
    ] {
        let scene = Scene::new(json_server(), &format!("\n  denied_as: {form}{RULES}"));
        let mut answer = scene.client().ask(&call("pay2", &scene.who("support"))).json();
        let answer = answer.as_object_mut().unwrap();
        assert_eq!((answer.remove("jsonrpc"), answer.remove("id")), (Some("2.0".into()), Some(7.into())));
        assert_eq!(json!(answer), expected, "{form}");
        scene.upstream.assert_untouched();
    }
}

#[test]
fn a_stream_whose_last_event_no_client_reads_is_no_answer() {
    const LIST: &str = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"echo"}]}}"#;
    for body in [LIST.to_owned(), format!("data: {LIST}"), format!("data: {LIST}\n")] {
        let upstream = Upstream::new(move |_, client| {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            client.send(&[head.as_bytes(), body.as_bytes()].concat());
            true
        });
        let scene = Scene::new(upstream, RULES);
        let answer = scene.client().ask(&list("tools/list", &scene.who("support")));
        assert_eq!(answer.status(), 502, "{answer:?}");
        scene.gateway.await_log("the stream ended within an event, or is no stream of events");
    }
}
