//! Tasks: whose one is, only the server knows.

use serde_json::json;

use super::access::{RULES, Scene, ask, json_server};

#[test]
fn a_task_is_nobodys_who_may_only_use_some_tools() {
    let scene = Scene::new(json_server(), RULES);
    let (support, developer) = (scene.who("support"), scene.who("developer"));
    for method in ["tasks/get", "tasks/result", "tasks/cancel", "tasks/list"] {
        let answer = scene.client().ask(&ask(method, json!({"taskId": "of-somebody-else"}), &support));
        assert!(answer.status() == 403 || answer.json()["error"].is_object(), "{method}: {answer:?}");
        scene.upstream.assert_untouched();
        assert_eq!(scene.client().ask(&ask(method, json!({"taskId": "t"}), &developer)).status(), 200);
        scene.upstream.request();
    }
}
