//! Clients that get one scope after the other: how they find out that there is more, and what they are told to ask for.

use serde_json::json;

use super::access::{Scene, json_server, list, names};
use super::{bearer, call, challenge, ping};
use crate::harness::Message;

const RULES: &str = "
  lists: {missing_scope: show}
  rules:
    - {name: support reads, effect: allow, roles: [support], tools: [echo]}
    - {name: payments, effect: allow, roles: [support, clerk], scopes: [pay, mcp.use], tools: [pay]}
    - {name: nobody drops, effect: deny, tools: [drop_table]}
    - {name: drops, effect: allow, roles: [support], scopes: [drop], tools: [drop_table]}
    - {name: weather, effect: allow, roles: [other], tools: [get_weather]}
";

const METADATA: &str = "https://gw.example/.well-known/oauth-protected-resource/up/mcp";

#[test]
fn what_only_a_scope_is_missing_for_is_listed_and_its_call_is_told_the_scope() {
    let scene = Scene::new(json_server(), RULES);
    let mut client = scene.client();
    let support = scene.who("support");
    // What a rule denies, and what another role is needed for, stays hidden.
    assert_eq!(names(&client.ask(&list("tools/list", &support))), ["echo", "pay"]);
    // Who has nothing yet gets as far as the list.
    let clerk = scene.who("clerk");
    assert_eq!(client.ask(&ping(&clerk)).status(), 200);
    assert_eq!(names(&client.ask(&list("tools/list", &clerk))), ["pay"]);
    assert_eq!(client.ask(&ping(&scene.who("nobody"))).status(), 403);
    while scene.upstream.requests.try_recv().is_ok() {}
    for who in [&support, &clerk] {
        let answer = client.ask(&call("pay", who));
        assert_eq!(answer.status(), 403, "{answer:?}");
        let expected = format!(
            "Bearer error=\"insufficient_scope\", error_description=\"the token has not the scopes that this needs; \
             the challenge names them\", resource_metadata=\"{METADATA}\", scope=\"pay mcp.use\""
        );
        assert_eq!(challenge(&answer), expected);
    }
    let dropped = client.ask(&call("drop_table", &support));
    assert_eq!(dropped.json()["result"]["content"][0]["text"], "Unknown tool: drop_table");
    scene.upstream.assert_untouched();
    let token = scene.issuer.token(json!({"sub": "c", "roles": ["clerk"], "scope": "mcp.use pay"}));
    assert_eq!(client.ask(&call("pay", &bearer(&token))).status(), 200);
}

#[test]
fn lists_hide_it_where_nothing_is_said() {
    let scene = Scene::new(json_server(), &RULES.replace("lists: {missing_scope: show}", ""));
    let mut client = scene.client();
    assert_eq!(names(&client.ask(&list("tools/list", &scene.who("support")))), ["echo"]);
    assert_eq!(client.ask(&list("tools/list", &scene.who("clerk"))).status(), 403);
}

/// The challenge of an answer, and the scopes that the metadata names.
fn asked_for(scene: &Scene, answer: &Message) -> (String, serde_json::Value) {
    let request = "GET /.well-known/oauth-protected-resource/up/mcp HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let document = scene.client().ask(request.as_bytes());
    (challenge(answer).to_owned(), document.json()["scopes_supported"].clone())
}

#[test]
fn the_first_challenge_can_name_all_that_rules_ask_for_and_metadata_can_be_kept_back() {
    let asked = "scopes: [mcp.use], challenge_scopes: {initial: all}";
    let scene = Scene::with_server(json_server(), asked, RULES);
    let nothing = scene.client().ask(&ping(""));
    let (first, supported) = asked_for(&scene, &nothing);
    assert_eq!(first, format!("Bearer resource_metadata=\"{METADATA}\", scope=\"drop mcp.use pay\""));
    assert_eq!(supported, json!(["drop", "mcp.use", "pay"]));

    let scene = Scene::with_server(json_server(), "anonymous: true, publish_metadata: false", RULES);
    let document = "GET /.well-known/oauth-protected-resource/up/mcp HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(scene.client().ask(document.as_bytes()).status(), 404);
    let bad = scene.client().ask(&ping(&bearer("bad")));
    assert_eq!(bad.status(), 401);
    assert!(!challenge(&bad).contains("resource_metadata"), "{bad:?}");
}

#[test]
fn clients_are_told_the_names_that_the_authorization_server_knows() {
    let asked =
        "scopes: [mcp.use], challenge_scopes: {prefix: 'api://app-1/', names: {drop: 'urn:admin:drop'}}";
    let scene = Scene::with_server(json_server(), asked, RULES);
    let nothing = scene.client().ask(&ping(""));
    let supported = json!(["api://app-1/mcp.use", "api://app-1/pay", "urn:admin:drop"]);
    let expected = format!("Bearer resource_metadata=\"{METADATA}\", scope=\"api://app-1/mcp.use\"");
    assert_eq!(asked_for(&scene, &nothing), (expected, supported));
    // What the token has is tested by the names in it.
    let with =
        |scopes: &str| {
            bearer(&scene.issuer.token(
                json!({"sub": "c", "roles": ["support"], "scp": scopes.split(' ').collect::<Vec<_>>()}),
            ))
        };
    assert_eq!(scene.client().ask(&ping(&with("api://app-1/mcp.use"))).status(), 403);
    assert_eq!(scene.client().ask(&ping(&with("mcp.use"))).status(), 200);
    let answer = scene.client().ask(&call("pay", &with("mcp.use")));
    assert_eq!(answer.status(), 403);
    assert!(challenge(&answer).ends_with(", scope=\"api://app-1/mcp.use api://app-1/pay\""), "{answer:?}");
    assert_eq!(scene.client().ask(&call("pay", &with("pay mcp.use"))).status(), 200);
}
