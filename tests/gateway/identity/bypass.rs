//! Ways past the rules that somebody might try: each is a request that must not bring a tool about that its caller may
//! not use, however it is written and by whatever way it comes.

use serde_json::json;

use super::access::{RULES, Scene, ask, json_server, names};
use super::{PUBLIC, bearer, call, ping};
use crate::harness::{Gateway, META, Message, Upstream, modern, post, post_to};

const DROP: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"drop_table"}}"#;

/// The request is refused, by status or by a JSON-RPC error, and the server has seen nothing of it.
fn assert_stopped(scene: &Scene, what: &str, request: &[u8]) -> u16 {
    let mut client = scene.client();
    client.send(request);
    let Some(head) = client.head() else {
        scene.upstream.assert_untouched();
        return 0;
    };
    let status = head.status();
    if (200..300).contains(&status) {
        let body = client.body(&head).unwrap_or_default();
        let answer: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        let denied = answer["error"]["code"].is_i64() || answer["result"]["isError"] == true;
        assert!(denied, "{what}: {head:?} {answer}");
    }
    scene.upstream.assert_untouched();
    status
}

#[test]
fn no_spelling_of_a_call_gets_past_the_rules() {
    let scene = Scene::new(json_server(), RULES);
    let support = scene.who("support");
    let named = |name: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{name}"}}}}"#)
    };
    let method = |method: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{{"name":"drop_table"}}}}"#)
    };
    let bodies = [
        // The method in other letters, or with something around it.
        method("tools/Call"),
        method("TOOLS/CALL"),
        method("tools/call "),
        method("tools//call"),
        method("/tools/call"),
        method("tools/call\\u0000"),
        method("tools.call"),
        method("tools\\uff0fcall"),
        // Names that look like a permitted one, or that a server might make the forbidden one of.
        named("drop_table\\u0000"),
        named("drop_table "),
        named("\\ufeffdrop_table"),
        named("drop_table\\ud800"),
        named("get_\\ud800"),
        named("\\udc00echo"),
        named("\u{ff45}cho"),
        named("ec\u{200b}ho"),
        named("ECHO"),
        named("echo,drop_table"),
        named(""),
        // Parameters of another shape.
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":["drop_table"]}"#.into(),
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":["echo","drop_table"]}}"#.into(),
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":{"a":"echo"}}}"#.into(),
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":null}}"#.into(),
        r#"{"jsonrpc":"2.0","id":7,"method":["tools/call"],"params":{"name":"drop_table"}}"#.into(),
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo"},"params":{"name":"drop_table"}}"#.into(),
        r#"{"jsonrpc":"2.0","id":7,"method":"ping","method":"tools/call","params":{"name":"drop_table"}}"#.into(),
        r#"{"jsonrpc":"2.0","id":7,"method":"ping","Method":"tools/call","params":{"name":"drop_table"}}"#.into(),
        // A request that is an answer too, or has no id, or half a one.
        r#"{"jsonrpc":"2.0","id":7,"result":{},"method":"tools/call","params":{"name":"drop_table"}}"#.into(),
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":""},"method":"tools/call","params":{"name":"drop_table"}}"#.into(),
        r#"{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"drop_table"}}"#.into(),
        r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"drop_table"}}"#.into(),
        r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo"}}"#.into(),
        r#"{"id":7,"method":"tools/call","params":{"name":"drop_table"}}"#.into(),
        // More than one message where one is meant.
        format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}}\n{DROP}"),
        format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}}{DROP}"),
        format!("[{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}},{DROP}]"),
        format!("[[{DROP}]]"),
        // What is no JSON to us might be to a lenient reader.
        format!("\u{feff}{DROP}"),
        DROP.replace("\"name\"", "'name'"),
        DROP.replace("}}", "},}"),
        format!("// ping\n{DROP}"),
        // What a server asks of clients, sent the other way.
        r#"{"jsonrpc":"2.0","id":7,"method":"sampling/createMessage","params":{"name":"echo"}}"#.into(),
        r#"{"jsonrpc":"2.0","id":7,"method":"elicitation/create","params":{}}"#.into(),
    ];
    for body in &bodies {
        for version in ["", "MCP-Protocol-Version: 2025-03-26\r\n", "MCP-Protocol-Version: 2025-11-25\r\n"] {
            assert_stopped(&scene, body, &post(body, &format!("{support}{version}")));
        }
    }
    let utf16: Vec<u8> = DROP.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut request = format!(
        "POST /up/mcp HTTP/1.1\r\nHost: localhost\r\n{support}Content-Type: application/json; charset=utf-16\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n",
        utf16.len()
    )
    .into_bytes();
    request.extend(utf16);
    assert_stopped(&scene, "UTF-16", &request);
}

#[test]
fn headers_that_name_another_thing_than_the_body_change_nothing() {
    let scene = Scene::new(json_server(), RULES);
    let support = scene.who("support");
    let body = |meta: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"drop_table",{meta}"arguments":{{}}}}}}"#
        )
    };
    let with_meta = body(&format!("{META},"));
    for headers in [
        modern("tools/call", "echo"),
        modern("tools/call", "drop_table"),
        modern("ping", "echo"),
        format!("{}Mcp-Name: drop_table\r\n", modern("tools/call", "echo")),
        format!("{}Mcp-Method: ping\r\n", modern("tools/call", "drop_table")),
        "MCP-Protocol-Version: 2025-11-25\r\nMcp-Method: tools/call\r\nMcp-Name: echo\r\n".to_owned(),
        "MCP-Protocol-Version: 2025-11-25\r\nMCP-Protocol-Version: 2026-07-28\r\n".to_owned(),
        "Mcp-Method: ping\r\nMcp-Name: echo\r\n".to_owned(),
        "MCP-Protocol-Version: 2099-01-01\r\n".to_owned(),
    ] {
        for body in [&with_meta, &body("")] {
            assert_stopped(&scene, &headers, &post(body, &format!("{support}{headers}")));
        }
    }
    // Completion that says two things, or the one by the other's name.
    for reference in [
        json!({"type": "ref/prompt", "name": "greet", "uri": "file:///private/b"}),
        json!({"type": "ref/resource", "uri": "file:///public/a", "name": "secret"}),
        json!({"type": "ref/resource", "name": "secret"}),
        json!({"type": "ref/tool", "name": "drop_table"}),
        json!({"type": "ref/prompt"}),
        json!({"type": "ref/resource", "uri": "file:///{+path}"}),
        json!({"type": "ref/resource", "uri": "file:///public/../private/{name}"}),
    ] {
        let params = json!({"ref": reference, "argument": {"name": "a", "value": ""}});
        assert_stopped(&scene, &reference.to_string(), &ask("completion/complete", params, &support));
    }
    for uri in ["file:///{+path}", "file:///public/{x}/../../private/b", "file:///public%2F..%2Fprivate/b"] {
        assert_stopped(&scene, uri, &ask("resources/read", json!({"uri": uri}), &support));
    }
    // A page of a list further on is filtered as the first is.
    let page = scene.client().ask(&ask("tools/list", json!({"cursor": "2"}), &support));
    assert_eq!(names(&page), ["echo", "get_weather"]);
}

#[test]
fn no_way_to_a_server_leaves_out_who_calls() {
    let scene = Scene::new(json_server(), RULES);
    let token = scene.issuer.token(json!({"sub": "s", "roles": ["support"]}));
    let support = bearer(&token);
    let sibling = json!({"sub": "s", "roles": ["support"], "aud": format!("{PUBLIC}/other/mcp")});
    let sibling = bearer(&scene.issuer.token(sibling));
    let raw = |line: &str, headers: &str, body: &str| {
        let more = "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";
        format!("{line}\r\n{headers}{more}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    };
    let ping_body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let on = |path: &str| post_to(path, ping_body, "");
    for (what, request) in [
        ("a token in a cookie", ping(&format!("Cookie: Authorization=Bearer {token}\r\n"))),
        ("a key in the query", on("/up/mcp?api_key=rgk_a_b&X-Api-Key=rgk_a_b")),
        ("a token in the query", on(&format!("/up/mcp?access_token={token}"))),
        ("a token in the query, escaped", on(&format!("/up/mcp?%61ccess_token={token}"))),
        ("a token in the query, capitals", on(&format!("/up/mcp?ACCESS_TOKEN={token}"))),
        ("a token of a sibling", ping(&sibling)),
        ("two tokens", ping(&format!("{support}{support}"))),
        ("two tokens in one line", ping(&format!("Authorization: Bearer {token}, Bearer {token}\r\n"))),
        ("a folded line", ping(&format!("Authorization: Bearer\r\n {token}\r\n"))),
        ("another scheme", ping(&format!("Authorization: Basic {token}\r\n"))),
        ("a blank before the colon", ping(&format!("Authorization : Bearer {token}\r\n"))),
        ("an upgrade", raw("POST /up/mcp HTTP/1.1", "Host: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n", ping_body)),
        ("HTTP/1.0", raw("POST /up/mcp HTTP/1.0", "", ping_body)),
        ("an absolute target", raw("POST http://localhost/up/mcp HTTP/1.1", "Host: localhost\r\n", ping_body)),
        ("two hosts", raw("POST /up/mcp HTTP/1.1", &format!("Host: localhost\r\nHost: localhost\r\n{support}"), ping_body)),
        ("another host in the target", raw("POST http://evil.example/up/mcp HTTP/1.1", &format!("Host: localhost\r\n{support}"), ping_body)),
        ("a user in the host", raw("POST /up/mcp HTTP/1.1", &format!("Host: localhost@evil.example\r\n{support}"), ping_body)),
        ("a method in small letters", raw("post /up/mcp HTTP/1.1", &format!("Host: localhost\r\n{support}"), ping_body)),
        ("HEAD", raw("HEAD /up/mcp HTTP/1.1", "Host: localhost\r\n", "")),
        ("HEAD with a token", raw("HEAD /up/mcp HTTP/1.1", &format!("Host: localhost\r\n{support}"), "")),
        ("OPTIONS with a body", raw("OPTIONS /up/mcp HTTP/1.1", "Host: localhost\r\n", DROP)),
        ("TRACE", raw("TRACE /up/mcp HTTP/1.1", &format!("Host: localhost\r\n{support}"), "")),
        ("CONNECT", raw("CONNECT /up/mcp HTTP/1.1", &format!("Host: localhost\r\n{support}"), "")),
        ("a token in a trailer", format!(
            "POST /up/mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
             Trailer: Authorization\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{ping_body}\r\n0\r\n{support}\r\n", ping_body.len()).into_bytes()),
        ("two lengths", format!(
            "POST /up/mcp HTTP/1.1\r\nHost: localhost\r\n{support}Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
             Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{DROP}", DROP.len()).into_bytes()),
        ("a document by a winding path", raw("GET /.well-known/oauth-protected-resource/../../up/mcp HTTP/1.1", "Host: localhost\r\n", "")),
        ("a document in place of a server", raw("POST /.well-known/oauth-protected-resource/up/mcp HTTP/1.1", &format!("Host: localhost\r\n{support}"), ping_body)),
    ] {
        let status = assert_stopped(&scene, what, &request);
        assert!(status == 0 || status >= 400, "{what}: {status}");
    }
    // A preflight is answered here, whatever it carries.
    let mut client = scene.client();
    client.send(&raw(
        "OPTIONS /up/mcp HTTP/1.1",
        "Host: localhost\r\nOrigin: http://localhost\r\nAccess-Control-Request-Method: POST\r\n",
        "",
    ));
    assert!(matches!(client.head().unwrap().status(), 204 | 403));
    scene.upstream.assert_untouched();
}

#[test]
fn a_connection_remembers_nothing_of_who_called_before() {
    let scene = Scene::new(json_server(), RULES);
    let (support, developer) = (scene.who("support"), scene.who("developer"));
    let mut client = scene.client();
    let answers = |client: &mut crate::harness::Client, requests: &[Vec<u8>]| -> Vec<Message> {
        client.send(&requests.concat());
        requests.iter().map(|_| client.message().unwrap()).collect()
    };
    // Sent at once: each is judged by its own head.
    let requests = [
        ping(&developer),
        call("pay", &developer),
        call("pay", &support),
        call("drop_table", &developer),
        ping(""),
    ];
    let found = answers(&mut client, &requests);
    let statuses: Vec<u16> = found.iter().map(Message::status).collect();
    assert_eq!(statuses, [200, 200, 403, 200, 401], "{found:?}");
    assert!(found[1].json()["result"].is_object() && found[3].text().contains("Unknown tool: drop_table"));
    let seen: Vec<_> = std::iter::from_fn(|| scene.upstream.requests.try_recv().ok()).collect();
    assert_eq!(seen.len(), 2, "{seen:?}");
}

#[test]
fn a_client_of_the_older_transport_is_told_of_a_denial_by_the_status() {
    let upstream = Upstream::echo();
    let gateway = Gateway::with(&format!(
        "servers:\n  - {{name: old, transport: sse, url: 'http://{}/sse'}}\naccess:\n  rules:\n    - {{effect: deny, tools: [drop]}}\n    - {{effect: allow, servers: [old]}}\n",
        upstream.address
    ));
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"drop"}}"#;
    let answer = gateway.connect().ask(&post_to("/old/mcp/~/message?sessionId=7", body, ""));
    assert_eq!(
        (answer.status(), answer.json()["error"]["message"].clone()),
        (400, "Unknown tool: drop".into())
    );
    upstream.assert_untouched();
}
