//! Names that a lenient server would take for others, and what leaves the gateway about resources.

use serde_json::json;

use super::access::{RULES, Scene, ask, json_server, list, names};
use crate::harness::{Client, Gateway, META, Message, Upstream, modern, ok, post};
use crate::scenes::{LAST, SSE, chunk, get, method};

const ALL_BUT: &str = "\n  rules:\n    - {effect: allow, roles: [support]}\n    - {effect: deny, tools: [secret], prompts: [secret]}\n";

#[test]
fn a_denied_name_is_denied_however_a_server_would_trim_it() {
    let scene = Scene::new(json_server(), ALL_BUT);
    let support = scene.who("support");
    let mut client = scene.client();
    for name in [
        "secret",
        "secret\0",
        "secret\0x",
        "secret\n",
        "secret ",
        " secret",
        "\tsecret",
        "secret\r",
        "secret\u{a0}",
        "\u{feff}secret",
        "secret\u{200b}",
        "se\u{ad}cret",
        "ｓecret",
        "",
    ] {
        let reference =
            json!({"ref": {"type": "ref/prompt", "name": name}, "argument": {"name": "a", "value": ""}});
        for (method, params) in [
            ("tools/call", json!({"name": name, "arguments": {}})),
            ("prompts/get", json!({"name": name})),
            ("completion/complete", reference),
        ] {
            let answer = client.ask(&ask(method, params, &support));
            let denied = answer.text().contains("error") || answer.text().contains("isError");
            assert!(denied, "{method} {name:?}: {answer:?}");
        }
    }
    for method in ["tools/call\n", "tools/call ", "\0tools/call", ""] {
        let answer = client.ask(&ask(method, json!({"name": "secret", "arguments": {}}), &support));
        assert!(answer.text().contains("error"), "{method:?}: {answer:?}");
    }
    scene.upstream.assert_untouched();
    for name in ["secrets", "files/read", "db:query", "Explain the code"] {
        let answer = client.ask(&ask("tools/call", json!({"name": name, "arguments": {}}), &support));
        assert!(answer.text().contains("done"), "{name}: {answer:?}");
    }
}

#[test]
fn a_name_that_is_no_ascii_is_spelled_out_by_a_rule() {
    let rules = "\n  rules:\n    - {effect: allow, roles: [support], tools: ['*', 天气]}\n    - {effect: deny, tools: [secret]}\n";
    let scene = Scene::new(json_server(), rules);
    let support = scene.who("support");
    let call = |name: &str| ask("tools/call", json!({"name": name, "arguments": {}}), &support);
    assert!(scene.client().ask(&call("天气")).text().contains("done"));
    assert!(!scene.client().ask(&call("天空")).text().contains("done"));
}

#[test]
fn odd_names_are_not_listed() {
    let upstream = Upstream::new(|request, client| {
        let tools = ["a", "secret", "secret ", "secret\n", "b"].map(|name| json!({"name": name}));
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
        client
            .send(&ok(&json!({"jsonrpc": "2.0", "id": body["id"], "result": {"tools": tools}}).to_string()));
        true
    });
    let scene = Scene::new(upstream, ALL_BUT);
    assert_eq!(names(&scene.client().ask(&list("tools/list", &scene.who("support")))), ["a", "b"]);
}

#[test]
fn a_limit_counts_what_a_lenient_server_would_run() {
    let upstream = Upstream::echo();
    let limits =
        "rate_limits:\n  limits:\n  - {name: dear, deny_as: error, unit: calls, tools: [dear], rate: 3/h}";
    let gateway = Gateway::before(upstream.address, limits);
    let mut client = gateway.connect();
    let mut status = |name: &str| {
        let params = json!({"name": name, "arguments": {}});
        client.ask(&ask("tools/call", params, "")).status()
    };
    assert_eq!(
        [status("dear"), status("dear "), status("\ndear"), status("dear\0"), status("other ")],
        [200, 200, 200, 429, 200]
    );
}

fn modern_ask(method: &str, params: &str, headers: &str) -> Vec<u8> {
    let body = format!(r#"{{"jsonrpc":"2.0","id":3,"method":"{method}","params":{{{params}{META}}}}}"#);
    let name = if method == "resources/read" { "file:///public/a" } else { "" };
    post(&body, &format!("{headers}{}", modern(method, name)))
}

#[test]
fn what_was_read_for_one_caller_is_kept_for_nobody_else() {
    let scope = r#""result":{"resultType":"complete","contents":[{"uri":"file:///public/a","text":"a"}],"ttlMs":3600000,"cacheScope":"public"}"#;
    let in_json = move |_: &Message, client: &mut Client| {
        client.send(&ok(&format!(r#"{{"jsonrpc":"2.0","id":3,{scope}}}"#)));
        true
    };
    let in_events = move |_: &Message, client: &mut Client| {
        client.send(SSE.as_bytes());
        client.send(&chunk(&format!("data: {{\"jsonrpc\":\"2.0\",\"id\":3,{scope}}}\n\n")));
        client.send(LAST);
        true
    };
    for upstream in [Upstream::new(in_json), Upstream::new(in_events)] {
        let scene = Scene::new(upstream, RULES);
        let support = scene.who("support");
        for (method, params) in [("resources/read", r#""uri":"file:///public/a","#), ("server/discover", "")]
        {
            let answer = scene.client().ask(&modern_ask(method, params, &support)).text();
            assert!(
                answer.contains(r#""cacheScope":"private""#) && !answer.contains("public\""),
                "{method}: {answer}"
            );
            assert!(answer.contains(r#""ttlMs":60000,"#), "{method}: {answer}");
        }
    }
}

#[test]
fn a_change_is_told_only_to_who_may_read_what_changed() {
    let upstream = Upstream::new(|request, client| {
        let updated = |uri: &str| {
            json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri}})
                .to_string()
        };
        let notes = [
            updated("file:///private/b"),
            updated("file:///public/a"),
            updated("file:///private/c").replace('/', "\\/"),
            updated("file:///private/d").replace("updated", "\\u0075pdated"),
        ];
        client.send(SSE.as_bytes());
        client.send(&chunk(": hello\n\n"));
        notes.iter().for_each(|note| client.send(&chunk(&format!("data: {note}\n\n"))));
        client.send(&chunk(": bye\n\n"));
        client.send(LAST);
        !method(request).is_empty() || request.start.starts_with("GET")
    });
    let scene = Scene::new(upstream, RULES);
    let support = scene.who("support");
    let listen = modern_ask("subscriptions/listen", r#""notifications":{},"#, &support);
    for request in [listen, get("/up/mcp", &support)] {
        let text = scene.client().ask(&request).text();
        assert!(text.contains("file:///public/a") && text.contains(": bye"), "{text}");
        assert!(!text.contains("private"), "{text}");
    }
}
