//! What a caller may do, and what it may see.

use serde_json::{Value as Json, json};

use super::{ISSUER, Issuer, PUBLIC, bearer, call, challenge, ping};
use crate::harness::{Client, Gateway, META, Message, TempDir, Upstream, modern, ok, post};
use crate::scenes::{LAST, SSE, chunk, get, method};

pub(super) const RULES: &str = "
  rules:
    - {name: support reads, effect: allow, roles: [support], tools: [echo, 'get_*'], prompts: [greet], resources: ['file:///public/*']}
    - {name: developers, effect: allow, roles: [developer], servers: [up]}
    - {name: nobody drops, effect: deny, tools: [drop_table]}
    - {name: payments, effect: allow, roles: [support], scopes: [pay], tools: [pay]}
    - {name: on trial, effect: deny, mode: report, roles: [developer], tools: [echo]}
";

/// Every tool, prompt and resource of the server of these tests.
fn offered(method: &str) -> Json {
    match method {
        "tools/list" => json!({"tools": [
            {"name": "echo", "inputSchema": {"type": "object"}}, {"name": "drop_table", "inputSchema": {"type": "object"}},
            {"name": "get_weather", "inputSchema": {"type": "object"}}, {"name": "pay", "inputSchema": {"type": "object"}},
        ], "nextCursor": "2"}),
        "prompts/list" => json!({"prompts": [{"name": "greet"}, {"name": "secret"}]}),
        "resources/list" => json!({"resources": [
            {"uri": "file:///public/a", "name": "a"}, {"uri": "file:///private/b", "name": "b"},
        ]}),
        "resources/templates/list" => json!({"resourceTemplates": [
            {"uriTemplate": "file:///public/{name}", "name": "p"}, {"uriTemplate": "file:///private/{name}", "name": "q"},
        ]}),
        _ => json!({"done": method}),
    }
}

fn answer(request: &Message) -> String {
    let body: Json = serde_json::from_slice(&request.body).unwrap_or_default();
    json!({"jsonrpc": "2.0", "id": body["id"], "result": offered(&method(request))}).to_string()
}

pub(super) fn json_server() -> Upstream {
    Upstream::new(|request, client| {
        client.send(&ok(&answer(request)));
        true
    })
}

/// A server that answers by a stream, as most SDKs do; a GET replays a list.
pub(super) fn sse_server() -> Upstream {
    Upstream::new(|request, client| {
        let list = match request.start.starts_with("GET") {
            true => json!({"jsonrpc": "2.0", "id": 3, "result": offered("tools/list")}).to_string(),
            false => answer(request),
        };
        let note = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "tools"}});
        client.send(SSE.as_bytes());
        client.send(&chunk(&format!(": hello\n\nid: 1\nevent: message\ndata: {note}\n\n")));
        client.send(&chunk(&format!("id: 2\nevent: message\ndata: {list}\n\n")));
        client.send(LAST);
        true
    })
}

pub(super) struct Scene {
    pub(super) gateway: Gateway,
    pub(super) upstream: Upstream,
    pub(super) issuer: Issuer,
    _dir: TempDir,
}

impl Scene {
    pub(super) fn new(upstream: Upstream, access: &str) -> Self {
        Self::with_server(upstream, "timeouts: {}", access)
    }

    pub(super) fn with_server(upstream: Upstream, server: &str, access: &str) -> Self {
        let (issuer, dir) = (Issuer::new(), TempDir::new());
        let keys = dir.file("jwks.json", &issuer.jwks());
        let gateway = Gateway::with(&format!(
            "public_url: {PUBLIC}\nservers:\n  - {{name: up, url: 'http://{}/mcp', {server}}}\naccess:{access}\n\
             authentication:\n  issuers:\n    - issuer: {ISSUER}\n      jwks: file:{}\n",
            upstream.address,
            keys.display()
        ));
        Self { gateway, upstream, issuer, _dir: dir }
    }

    pub(super) fn who(&self, role: &str) -> String {
        bearer(&self.issuer.token(json!({"sub": role, "azp": "agent", "roles": [role]})))
    }

    pub(super) fn client(&self) -> Client {
        self.gateway.connect()
    }
}

/// The names in the list of an answer, of JSON or of a stream.
pub(super) fn names(answer: &Message) -> Vec<String> {
    assert_eq!(answer.status(), 200, "{answer:?}");
    let text = answer.text();
    let message: Json = match text.lines().rfind(|line| line.starts_with("data: {")) {
        Some(line) => serde_json::from_str(&line[6..]).unwrap(),
        None => answer.json(),
    };
    let list = message["result"].as_object().unwrap().values().find_map(Json::as_array).unwrap().clone();
    let name = |item: &Json| {
        ["uri", "uriTemplate", "name"].iter().find_map(|key| item[*key].as_str().map(str::to_owned))
    };
    list.iter().map(|item| name(item).unwrap()).collect()
}

pub(super) fn list(method: &str, headers: &str) -> Vec<u8> {
    post(&json!({"jsonrpc": "2.0", "id": 3, "method": method}).to_string(), headers)
}

pub(super) fn ask(method: &str, params: Json, headers: &str) -> Vec<u8> {
    post(&json!({"jsonrpc": "2.0", "id": 3, "method": method, "params": params}).to_string(), headers)
}

#[test]
fn two_roles_see_different_lists_in_json_and_in_streams() {
    for upstream in [json_server(), sse_server()] {
        let scene = Scene::new(upstream, RULES);
        let (support, developer) = (scene.who("support"), scene.who("developer"));
        let mut client = scene.client();
        for (method, of_support, of_developer) in [
            ("tools/list", &["echo", "get_weather"][..], &["echo", "get_weather", "pay"][..]),
            ("prompts/list", &["greet"], &["greet", "secret"]),
            ("resources/list", &["file:///public/a"], &["file:///public/a", "file:///private/b"]),
            (
                "resources/templates/list",
                &["file:///public/{name}"],
                &["file:///public/{name}", "file:///private/{name}"],
            ),
        ] {
            let answer = client.ask(&list(method, &support));
            assert_eq!(names(&answer), of_support, "{method}");
            if method == "tools/list" {
                assert!(answer.text().contains("nextCursor"), "the rest of the answer stays: {answer:?}");
            }
            assert_eq!(names(&client.ask(&list(method, &developer))), of_developer, "{method}");
        }
    }
}

#[test]
fn a_stream_that_brings_a_list_again_shows_no_more_than_the_list_itself() {
    let scene = Scene::new(sse_server(), RULES);
    let answer = scene.client().ask(&get("/up/mcp", &scene.who("support")));
    assert_eq!(names(&answer), ["echo", "get_weather"]);
    assert!(answer.text().contains(": hello\n\nid: 1\nevent: message\ndata: {"), "{answer:?}");
}

#[test]
fn a_denied_call_looks_as_if_there_were_no_such_thing() {
    let scene = Scene::new(json_server(), RULES);
    let support = scene.who("support");
    let mut client = scene.client();
    for tool in ["drop_table", "pay2", "no such tool", "Echo", "echo ", "ech"] {
        let answer = client.ask(&call(tool, &support));
        assert_eq!(answer.status(), 200, "{answer:?}");
        let words = json!([{"type": "text", "text": format!("Unknown tool: {tool}")}]);
        let expected = json!({"jsonrpc": "2.0", "id": 7, "result": {"content": words, "isError": true}});
        assert_eq!(answer.json(), expected);
    }
    for (method, params, code) in [
        ("prompts/get", json!({"name": "secret"}), -32602),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "secret"}, "argument": {"name": "a", "value": ""}}),
            -32602,
        ),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/resource", "uri": "file:///private/{name}"}, "argument": {"name": "a", "value": ""}}),
            -32002,
        ),
        ("resources/read", json!({"uri": "file:///private/b"}), -32002),
        ("resources/subscribe", json!({"uri": "file:///private/b"}), -32002),
        ("resources/unsubscribe", json!({"uri": "file:///public/../private/b"}), -32002),
        ("admin/shutdown", json!({}), -32601),
    ] {
        let answer = client.ask(&ask(method, params.clone(), &support));
        assert_eq!(
            (answer.status(), answer.json()["error"]["code"].as_i64()),
            (200, Some(code)),
            "{method}: {answer:?}"
        );
    }
    scene.upstream.assert_untouched();
    for good in [
        call("echo", &support),
        call("get_x", &support),
        ping(&support),
        ask("resources/read", json!({"uri": "file:///public/a"}), &support),
    ] {
        assert_eq!(client.ask(&good).status(), 200);
        scene.upstream.request();
    }
    assert!(scene.gateway.metric("ringgate_denied_total", "") > 10.0);
}

#[test]
fn the_check_of_a_call_does_not_depend_on_how_the_name_is_written() {
    let scene = Scene::new(json_server(), RULES);
    let support = scene.who("support");
    let mut client = scene.client();
    for body in [
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"drop\u005ftable"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools\/call","params":{"name":"drop_table"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"t\u006fols/call","params":{"\u006eame":"drop_table"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","name":"drop_table"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","Name":"drop_table"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"drop_table"}}"#,
        r#"[{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"drop_table"}}]"#,
        r#"[{"jsonrpc":"2.0","id":6,"method":"ping"},{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"drop_table"}}]"#,
    ] {
        let answer = client.ask(&post(body, &format!("{support}MCP-Protocol-Version: 2025-03-26\r\n")));
        assert!(answer.status() >= 400 || !answer.is_served(), "{body}: {answer:?}");
    }
    scene.upstream.assert_untouched();
    let good = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"\u0065cho"}}"#;
    assert_eq!(client.ask(&post(good, &support)).status(), 200);
}

#[test]
fn a_further_scope_is_asked_for_where_only_that_is_missing() {
    let scene = Scene::new(json_server(), RULES);
    let answer = scene.client().ask(&call("pay", &scene.who("support")));
    assert_eq!(answer.status(), 403, "{answer:?}");
    assert!(
        challenge(&answer).contains("error=\"insufficient_scope\"")
            && challenge(&answer).contains("scope=\"pay\"")
    );
    assert_eq!(answer.json()["id"], 7);
    let token = scene.issuer.token(json!({"sub": "s", "roles": ["support"], "scope": "pay"}));
    assert_eq!(scene.client().ask(&call("pay", &bearer(&token))).status(), 200);
    let request = "GET /.well-known/oauth-protected-resource/up/mcp HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let metadata = scene.client().ask(request.as_bytes());
    assert_eq!(metadata.json()["scopes_supported"], json!(["pay"]));
}

#[test]
fn who_has_no_rule_may_not_even_begin() {
    let scene = Scene::new(json_server(), RULES);
    let nobody = scene.who("visitor");
    for request in
        [ping(&nobody), call("echo", &nobody), list("tools/list", &nobody), get("/up/mcp", &nobody)]
    {
        let answer = scene.client().ask(&request);
        let denied = answer.status() == 403 || answer.json()["result"]["isError"] == true;
        assert!(denied, "{answer:?}");
    }
    scene.upstream.assert_untouched();
}

#[test]
fn a_rule_in_report_mode_is_counted_and_changes_nothing() {
    let scene = Scene::new(json_server(), RULES);
    assert_eq!(scene.client().ask(&call("echo", &scene.who("developer"))).status(), 200);
    scene.gateway.await_metric("ringgate_reported_total", "", 1.0);
    assert!(scene.gateway.log().contains("on trial"), "{}", scene.gateway.log());
}

#[test]
fn a_denied_call_is_a_403_where_the_configuration_prefers_that() {
    let scene = Scene::new(json_server(), &format!("\n  denied_as: forbidden{RULES}"));
    let answer = scene.client().ask(&call("drop_table", &scene.who("developer")));
    assert_eq!((answer.status(), answer.json()["id"].clone()), (403, json!(7)));
    scene.upstream.assert_untouched();
}

#[test]
fn a_list_that_is_not_understood_is_not_passed_on() {
    let bad: [&'static str; 7] = [
        r#"{"jsonrpc":"2.0","id":3,"result":{"tools":[{"name":"echo"}],"tools":[{"name":"drop_table"}]}}"#,
        r#"{"jsonrpc":"2.0","id":3,"result":{"tools":[{"name":"echo"}],"Tools":[{"name":"drop_table"}]}}"#,
        r#"{"jsonrpc":"2.0","id":3,"result":{"tools":[{"name":"echo","name":"drop_table"}]}}"#,
        r#"{"jsonrpc":"2.0","id":3,"result":{"tools":[{"title":"drop_table"}]}}"#,
        r#"{"jsonrpc":"2.0","id":3,"result":{"tools":{"0":{"name":"drop_table"}}}}"#,
        r#"{"jsonrpc":"2.0","id":3,"result":{"tools":[{"name":"drop_table"}]}"#,
        "tools: drop_table",
    ];
    for bad in bad {
        for sse in [false, true] {
            let upstream = Upstream::new(move |_, client| {
                if sse {
                    client.send(SSE.as_bytes());
                    client.send(&chunk(&format!("data: {bad}\n\n")));
                    client.send(LAST);
                } else {
                    client.send(&ok(bad));
                }
                true
            });
            let scene = Scene::new(upstream, RULES);
            let mut client = scene.client();
            client.send(&list("tools/list", &scene.who("support")));
            let seen = String::from_utf8_lossy(&{
                let head = client.head().unwrap();
                let status = head.status();
                assert!(sse || status == 502, "{bad}: {head:?}");
                client.body(&head).unwrap_or_default()
            })
            .into_owned();
            assert!(!seen.contains("drop_table"), "{bad}: {seen}");
        }
    }
}

#[test]
fn a_listener_subscribes_only_to_what_it_may_read() {
    let scene = Scene::new(json_server(), RULES);
    let support = scene.who("support");
    let listen = |uri: &str| {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":3,"method":"subscriptions/listen","params":{{"notifications":{{"toolsListChanged":true,"resourceSubscriptions":["file:///public/a","{uri}"]}},{META}}}}}"#
        );
        post(&body, &format!("{support}{}", modern("subscriptions/listen", "")))
    };
    let answer = scene.client().ask(&listen("file:///private/b"));
    assert_eq!(answer.json()["error"]["code"], -32602, "{answer:?}");
    scene.upstream.assert_untouched();
    assert_eq!(scene.client().ask(&listen("file:///public/c")).status(), 200);
}

#[test]
fn a_resource_has_one_name_whatever_a_server_would_make_of_others() {
    for rules in [
        RULES,
        "\n  rules:\n    - {effect: allow, roles: [support]}\n    - {effect: deny, resources: ['file:///private/*']}\n",
    ] {
        let scene = Scene::new(json_server(), rules);
        let support = scene.who("support");
        let mut client = scene.client();
        for uri in [
            "file:///private/b",
            "file:///public/../private/b",
            "file:///public/%2e%2e/private/b",
            "FILE:///private/b",
            "file://localhost/private/b",
            "file:/private/b",
            "file:///./private/b",
            " file:///private/b",
            "fi\tle:///private/b",
        ] {
            let reference =
                json!({"ref": {"type": "ref/resource", "uri": uri}, "argument": {"name": "a", "value": ""}});
            for (method, params) in [
                ("resources/read", json!({"uri": uri})),
                ("resources/subscribe", json!({"uri": uri})),
                ("resources/unsubscribe", json!({"uri": uri})),
                ("completion/complete", reference),
            ] {
                let answer = client.ask(&ask(method, params, &support));
                assert_eq!(answer.json()["error"]["code"], -32002, "{method} {uri:?}: {answer:?}");
                assert_eq!(answer.json()["error"]["data"]["uri"], uri);
            }
            let answer =
                client.ask(&listen(&json!({"resourceSubscriptions": ["file:///public/a", uri]}), &support));
            assert_eq!(answer.json()["error"]["code"], -32602, "{uri:?}: {answer:?}");
        }
        scene.upstream.assert_untouched();
        let good = ask("resources/read", json!({"uri": "file:///public/a"}), &support);
        assert_eq!(client.ask(&good).status(), 200);
    }
}

fn listen(notifications: &Json, headers: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":3,"method":"subscriptions/listen","params":{{"notifications":{notifications},{META}}}}}"#
    );
    post(&body, &format!("{headers}{}", modern("subscriptions/listen", "")))
}

#[test]
fn a_listener_says_in_one_way_what_it_wants() {
    let scene = Scene::new(json_server(), RULES);
    let support = scene.who("support");
    let mut client = scene.client();
    let (good, bad) = (r#"["file:///public/a"]"#, r#"["file:///private/b"]"#);
    for params in [
        format!(r#""notifications":{{"resourceSubscriptions":{bad},"resourceSubscriptions":{good}}}"#),
        format!(r#""notifications":{{"resourceSubscriptions":{good},"resource\u0053ubscriptions":{bad}}}"#),
        format!(r#""notifications":{{"ResourceSubscriptions":{bad}}}"#),
        format!(r#""notifications":{{"resourceSubscriptions":{good},"resourcesubscriptions":{bad}}}"#),
        format!(r#""Notifications":{{"resourceSubscriptions":{bad}}}"#),
        format!(r#""notifications":{{"resourceSubscriptions":{bad}}},"notifications":{{}}"#),
        r#""notifications":{"resourceSubscriptions":"file:///private/b"}"#.to_owned(),
        r#""notifications":{"resourceSubscriptions":[["file:///private/b"]]}"#.to_owned(),
    ] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":3,"method":"subscriptions/listen","params":{{{params},{META}}}}}"#
        );
        let answer = client.ask(&post(&body, &format!("{support}{}", modern("subscriptions/listen", ""))));
        assert_eq!(answer.json()["error"]["code"], -32602, "{params}: {answer:?}");
    }
    scene.upstream.assert_untouched();
}

const PATHS: &str = "
  rules:
    - {effect: allow, roles: [support], tools: [read], arguments: {path: '/data/*'}}
    - {effect: allow, roles: [support], tools: [any]}
    - {effect: deny, tools: [any], arguments: {path: '/etc/*'}}
    - {effect: allow, tools: [team], when: 'headers[\"x-team\"] == \"blue\"'}
    - {effect: deny, tools: [any], when: '\"x-team\" in headers && headers[\"x-team\"] == \"red\"'}
";

fn with_arguments(tool: &str, arguments: &str, headers: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
    );
    post(&body, headers)
}

#[test]
fn what_servers_may_read_in_several_ways_meets_no_rule_that_allows_and_every_rule_that_denies() {
    let scene = Scene::new(json_server(), PATHS);
    let support = scene.who("support");
    let mut client = scene.client();
    for arguments in [
        r#"{"path":"/data/a","Path":"/etc/passwd"}"#,
        r#"{"PATH":"/etc/passwd"}"#,
        r#"{"path":"/data/a","p\u0041th":"/etc/passwd"}"#,
        r#"{"path":"/data/../etc/passwd"}"#,
        r#"{"path":"/data/%2e%2e/etc/passwd"}"#,
        r#"{"path":["/data/a","/data/../../etc/passwd"]}"#,
    ] {
        for tool in ["read", "any"] {
            let answer = client.ask(&with_arguments(tool, arguments, &support));
            assert_eq!(answer.json()["result"]["isError"], true, "{tool} {arguments}: {answer:?}");
        }
    }
    scene.upstream.assert_untouched();
    for tool in ["read", "any"] {
        let answer =
            client.ask(&with_arguments(tool, r#"{"path":"/data/a..b","Mode":"r","mode":"w"}"#, &support));
        assert_eq!(answer.json()["error"], Json::Null, "{tool}: {answer:?}");
        scene.upstream.request();
    }
}

#[test]
fn rules_see_a_header_only_if_the_server_sees_the_same() {
    let scene = Scene::new(json_server(), PATHS);
    let support = scene.who("support");
    let mut client = scene.client();
    let mut passes = |tool: &str, lines: &str| {
        let answer = client.ask(&with_arguments(tool, "{}", &format!("{support}{lines}")));
        answer.is_served()
    };
    assert!(passes("team", "X-Team: blue\r\n") && passes("any", "X-Team: blue\r\n"));
    let twice = "X-Team: blue\r\nX-Team: red\r\n";
    assert!(!passes("team", twice) && !passes("any", twice));
    assert!(!passes("team", "X-Team: blue\r\nConnection: x-team\r\n"), "the server would not see it");
    assert!(!passes("any", "x-team: red\r\n") && !passes("any", "X_Team: red\r\n"));
}

/// A second issuer, a partner's, that is believed as the first is, and says of its callers what it likes.
#[test]
fn an_issuer_cannot_name_the_agents_of_another() {
    let (own, partner, dir) = (Issuer::new(), Issuer::new(), TempDir::new());
    let (own_keys, partner_keys) =
        (dir.file("own.json", &own.jwks()), dir.file("partner.json", &partner.jwks()));
    let upstream = json_server();
    let gateway = Gateway::with(&format!(
        "public_url: {PUBLIC}\nservers:\n  - {{name: up, url: 'http://{}/mcp'}}\naccess:\n  rules:\n    \
         - {{effect: allow, agents: [billing], tools: [pay], issuers: ['{ISSUER}']}}\n    \
         - {{effect: allow, tools: [echo]}}\nauthentication:\n  issuers:\n    \
         - {{issuer: '{ISSUER}', jwks: 'file:{}'}}\n    - {{issuer: 'https://partner.example', jwks: 'file:{}'}}\n",
        upstream.address,
        own_keys.display(),
        partner_keys.display()
    ));
    let ours = bearer(&own.token(json!({"sub": "s", "azp": "billing"})));
    let theirs =
        bearer(&partner.token(json!({"sub": "s", "azp": "billing", "iss": "https://partner.example"})));
    let mut client = gateway.connect();
    let code = |answer: &Message| answer.json()["error"]["code"].as_i64();
    assert_eq!(client.ask(&call("pay", &theirs)).json()["result"]["isError"], true);
    upstream.assert_untouched();
    assert_eq!(code(&client.ask(&call("echo", &theirs))), None);
    assert_eq!(code(&client.ask(&call("pay", &ours))), None);
}

#[test]
fn a_long_name_does_not_fill_the_log() {
    let scene = Scene::new(json_server(), RULES);
    let support = scene.who("support");
    let mut client = scene.client();
    for _ in 0..3 {
        client.ask(&call(&"x".repeat(10_000), &support));
    }
    scene.gateway.await_metric("ringgate_denied_total", "", 3.0);
    let log = scene.gateway.log();
    assert!(log.contains(&"x".repeat(200)) && !log.contains(&"x".repeat(201)), "{log}");
}
