//! The forms of a denied call.

use serde_json::json;

use super::access::{RULES, Scene, json_server};
use super::call;

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
