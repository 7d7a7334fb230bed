//! What went wrong at other gateways and SDKs, tried here: one test for each advisory.

use serde_json::json;

use super::{ISSUER, Issuer, PUBLIC, bearer, call, ping};
use crate::harness::{Gateway, TempDir, Upstream, ok, post, post_to, spawn};
use crate::scenes::get;

const RULES: &str = "access:\n  rules:\n    - {effect: allow, roles: [reader], tools: ['read_*'], resources: ['file:///srv/public/*']}\n";

/// A gateway with the servers `up` and `admin` and an issuer of JWTs.
fn gateway(
    upstream: &Upstream,
    issuer: &Issuer,
    up: &str,
    authentication: &str,
    more: &str,
) -> (Gateway, TempDir) {
    let dir = TempDir::new();
    let keys = dir.file("jwks.json", &issuer.jwks());
    let address = upstream.address;
    let gateway = Gateway::with(&format!(
        "public_url: {PUBLIC}\nservers:\n  - {{name: up, url: 'http://{address}/mcp'{up}}}\n  - {{name: admin, url: 'http://{address}/mcp'}}\n\
         authentication:\n{authentication}  issuers: [{{issuer: '{ISSUER}', jwks: 'file:{}'}}]\n{more}",
        keys.display()
    ));
    (gateway, dir)
}

fn reader(issuer: &Issuer) -> String {
    bearer(&issuer.token(json!({"sub": "alice", "azp": "agent", "roles": ["reader"]})))
}

/// GHSA-953h-535j-jg2v, CVE-2026-52869: a session was resumed for any valid bearer, and ids could be made up.
#[test]
fn no_session_id_is_made_up_or_carried_to_another_caller() {
    let upstream = Upstream::new(|_, client| {
        let answer = String::from_utf8(ok(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#)).unwrap();
        client.send(answer.replacen("\r\n", "\r\nMcp-Session-Id: s-1\r\n", 1).as_bytes());
        true
    });
    let issuer = Issuer::new();
    let (gateway, _dir) = gateway(&upstream, &issuer, "", "", "");
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
    let alice = reader(&issuer);
    let answer = gateway.connect().ask(&post(initialize, &alice));
    let id = answer.header("mcp-session-id").unwrap().to_owned();
    upstream.request();
    let mallory = bearer(&issuer.token(json!({"sub": "mallory", "azp": "agent", "roles": ["reader"]})));
    let (seal, own) = id.split_once('.').unwrap();
    let mut forged =
        vec![own.to_owned(), format!(".{own}"), format!("{seal}.s-2"), format!("{}.{own}", &seal[1..])];
    forged.push(format!("{}.{own}", "A".repeat(seal.len())));
    let shown = |who: &str, id: &str| format!("{who}Mcp-Session-Id: {id}\r\n");
    let tries = forged.iter().map(|id| shown(&alice, id)).chain([shown(&mallory, &id)]);
    for headers in tries {
        for request in [
            ping(&headers),
            get("/up/mcp", &headers),
            get("/up/mcp", &format!("{headers}Last-Event-ID: 1\r\n")),
        ] {
            assert_eq!(gateway.connect().ask(&request).status(), 404, "{headers}");
        }
    }
    upstream.assert_untouched();
}

/// CVE-2026-53709 (a secret in the source), and the insecure seed of a chart: what is too short to be a secret is
/// none, and without one the gateway makes its own.
#[test]
fn a_sample_secret_does_not_start() {
    let dir = TempDir::new();
    let long = "x".repeat(64);
    let samples =
        ["changeme", "default-insecure-seed", "my-test-key", "", "correct horse battery staple, in 32 bytes"];
    for sample in samples.into_iter().chain([&*long, "my-Super-Secret-Session-Key-For-Production-1"]) {
        let key = dir.file("key", sample);
        let text = format!(
            "servers: [{{name: up, url: 'http://127.0.0.1:1/mcp'}}]\nsessions: {{key: 'file:{}'}}\n\
             authentication: {{api_keys: []}}\n",
            key.display()
        );
        let config = dir.file("ringgate.yaml", &text);
        let mut child = spawn(&["check", "--config", config.to_str().unwrap()], &dir.0);
        assert!(!child.wait().unwrap().success(), "`{sample}` passes for a key");
    }
}

/// GHSA-g53w-w6mj-hrpp: a header between parts of the gateway let a stranger past the token, and chose the host.
#[test]
fn no_header_says_who_calls_or_where_to() {
    let (upstream, issuer) = (Upstream::echo(), Issuer::new());
    let (gateway, _dir) = gateway(&upstream, &issuer, "", "", RULES);
    let claims = [
        "X-Ringgate-Identity: eyJhbGciOiJub25lIn0.e30.\r\n",
        "X-Forwarded-User: admin\r\nX-Forwarded-Email: a@b.c\r\nX-Remote-User: admin\r\n",
        "X-Mcp-Authorized: true\r\nX-Mcp-Toolname: read_a\r\nX-Authenticated-Userid: 1\r\n",
        "X-Forwarded-Client-Cert: Subject=\"CN=admin\"\r\nX-SSL-Client-Verify: SUCCESS\r\n",
        "Proxy-Authorization: Bearer x\r\nForwarded: for=127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\n",
        "X-Original-URL: /admin/mcp\r\nX-Rewrite-URL: /admin/mcp\r\nX-HTTP-Method-Override: DELETE\r\n",
    ];
    for headers in claims {
        assert_eq!(gateway.connect().ask(&call("read_a", headers)).status(), 401, "{headers}");
    }
    upstream.assert_untouched();
    for headers in claims {
        let known = format!("{}{headers}", reader(&issuer));
        let denied = gateway.connect().ask(&call("drop_table", &known));
        assert!(denied.text().contains("Unknown tool"), "{headers}: {denied:?}");
        upstream.assert_untouched();
        assert_eq!(gateway.connect().ask(&call("read_a", &known)).status(), 200, "{headers}");
        let seen = upstream.request();
        assert!(seen.start.starts_with("POST /mcp "), "{seen:?}");
        assert_eq!(seen.header("host"), Some(&*upstream.address.to_string()));
    }
}

/// CVE-2026-59822: a key that failed was tried as something else, which let it pass.
#[test]
fn a_credential_that_fails_is_tried_as_nothing_else() {
    let (upstream, issuer, dir) = (Upstream::echo(), Issuer::new(), TempDir::new());
    let idp = Upstream::new(|_, client| {
        client
            .send(&ok(&json!({"active": true, "aud": format!("{PUBLIC}/up/mcp"), "sub": "all"}).to_string()));
        true
    });
    let secret = dir.file("secret", "s3cret");
    let authentication = format!(
        "  introspection: {{url: 'http://{}/i', client_id: gw, client_secret: 'file:{}'}}\n  api_keys: [{{id: k1, agent: a, hash: 'sha256:{}:{}'}}]\n",
        idp.address,
        secret.display(),
        "ab".repeat(16),
        "cd".repeat(32)
    );
    let (gateway, _dir) =
        gateway(&upstream, &issuer, ", anonymous: true", &authentication, "outbound: {allow_http: true}\n");
    let forged = Issuer::new().token(json!({}));
    let key = format!("rgk_k1_{}", "0".repeat(72));
    for bad in [
        bearer(&key),
        format!("X-Api-Key: {key}\r\n"),
        "X-Api-Key: opaque\r\n".to_owned(),
        format!("X-Api-Key: {forged}\r\n"),
        bearer(&forged),
        bearer("rgk_"),
        "Authorization: Basic b3BhcXVl\r\n".to_owned(),
        "Authorization: opaque\r\n".to_owned(),
        format!("{}X-Api-Key: k\r\n", bearer("opaque")),
    ] {
        let status = gateway.connect().ask(&ping(&bad)).status();
        assert!(matches!(status, 400 | 401), "{status}: {bad}");
    }
    idp.assert_untouched();
    upstream.assert_untouched();
    assert_eq!(gateway.connect().ask(&ping(&bearer("opaque"))).status(), 200, "that one is asked about");
    assert_eq!(gateway.connect().ask(&ping("")).status(), 200, "and nothing at all is anonymous");
}

/// A note on a plugin of another gateway: traffic that did not look like MCP was not authenticated.
#[test]
fn what_does_not_look_like_mcp_is_asked_who_it_is_all_the_same() {
    let (upstream, issuer) = (Upstream::echo(), Issuer::new());
    let (gateway, _dir) = gateway(&upstream, &issuer, "", "", "");
    for (method, headers, body) in [
        ("POST", "Content-Type: application/x-www-form-urlencoded\r\n", "a=b"),
        ("POST", "Content-Type: application/json\r\nContent-Encoding: gzip\r\n", "{}"),
        ("POST", "Content-Type: application/json\r\n", "{\"query\":\"{ me }\"}"),
        ("PATCH", "", "{}"),
        ("GET", "Accept: text/html\r\n", ""),
        ("GET", "Upgrade: websocket\r\nConnection: Upgrade\r\n", ""),
        ("DELETE", "", ""),
    ] {
        let request = format!(
            "{method} /up/mcp HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut client = gateway.connect();
        client.send(request.as_bytes());
        let status = client.head().unwrap().status();
        assert!(matches!(status, 400 | 401 | 405 | 501), "{status}: {request}");
    }
    upstream.assert_untouched();
}

/// github/gh-aw #25105 and a gateway whose connect path skipped its access list: the list was the only lock.
#[test]
fn a_tool_that_no_list_shows_is_not_called_either() {
    let (upstream, issuer) = (Upstream::echo(), Issuer::new());
    let (gateway, _dir) = gateway(&upstream, &issuer, "", "", RULES);
    let reader = reader(&issuer);
    // Without a list before it, on a fresh connection, by a stale id of a tool's task, and by way of another server.
    for request in [
        call("drop_table", &reader),
        call("read", &reader),
        call("READ_a", &reader),
        post_to(
            "/up/mcp?tool=read_a",
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"drop_table"}}"#,
            &reader,
        ),
        post(
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"drop_table","_meta":{"name":"read_a"}}}"#,
            &reader,
        ),
    ] {
        let answer = gateway.connect().ask(&request);
        assert!(answer.text().contains("Unknown tool"), "{answer:?}");
    }
    upstream.assert_untouched();
}

/// CVE-2026-77825: a path was allowed because it began like one that was.
#[test]
fn what_begins_like_a_path_is_not_that_path() {
    let (upstream, issuer) = (Upstream::echo(), Issuer::new());
    let (gateway, _dir) = gateway(&upstream, &issuer, "", "", RULES);
    let reader = reader(&issuer);
    let body = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"read_a"}}"#;
    for path in [
        "/up/mcpx",
        "/up/mcp/",
        "/up/mcp/x",
        "//up/mcp",
        "/up//mcp",
        "/./up/mcp",
        "/up/../admin/mcp",
        "/up/mcp/../../admin/mcp",
        "/up/%2e%2e/admin/mcp",
        "/up%2fmcp",
        "/UP/mcp",
        "/up/mcp;x",
        "/up/mcp%00",
        "/up",
        "/",
    ] {
        let status = gateway.connect().ask(&post_to(path, body, &reader)).status();
        assert!(matches!(status, 400 | 404), "{status}: {path}");
    }
    let read = |uri: &str| {
        let body = json!({"jsonrpc": "2.0", "id": 7, "method": "resources/read", "params": {"uri": uri}});
        gateway.connect().ask(&post(&body.to_string(), &reader)).json()["error"]["code"].as_i64()
    };
    for uri in
        ["file:///srv/publicity", "file:///srv/public", "file:///SRV/public/a", "file://host/srv/public/a"]
    {
        assert_eq!(read(uri), Some(-32002), "{uri}");
    }
    upstream.assert_untouched();
    assert_eq!(read("file:///srv/public/a"), None);
}

/// CVE-2026-110279: a client's header took the place of the credential that the gateway manages.
#[test]
fn a_client_does_not_override_what_the_gateway_shows() {
    let (upstream, issuer, dir) = (Upstream::echo(), Issuer::new(), TempDir::new());
    let secret = dir.file("secret", "s3cret");
    let up = format!(", credentials: {{header: {{name: X-Team-Key, value: 'file:{}'}}}}", secret.display());
    let (gateway, _dir) = gateway(&upstream, &issuer, &up, "", "");
    for headers in [
        "X-Team-Key: mine\r\n",
        "x-team-key: mine\r\nX-TEAM-KEY: mine\r\n",
        "X_Team_Key: mine\r\n",
        "Connection: X-Team-Key\r\n",
        "Connection: keep-alive, x-team-key\r\nX-Team-Key: mine\r\n",
    ] {
        let answer = gateway.connect().ask(&ping(&format!("{}{headers}", reader(&issuer))));
        assert_eq!(answer.status(), 200, "{headers}: {answer:?}");
        let seen = upstream.request();
        let shown: Vec<_> =
            seen.headers.iter().filter(|(name, _)| name.replace('_', "-") == "x-team-key").collect();
        assert!(shown.len() == 1 && shown[0].1 == "s3cret", "{headers}: {seen:?}");
    }
}

/// CVE-2026-77822, CVE-2026-79747: a URL that came over the network, or a redirect, led the gateway inwards.
#[test]
fn metadata_leads_the_gateway_nowhere_inside() {
    let upstream = Upstream::echo();
    let inside = Upstream::new(|_, client| {
        client.send(&ok("{\"keys\":[]}"));
        true
    });
    let port = inside.address.port();
    for target in ["127.0.0.2", "localhost", "[::1]", "0.0.0.0", "2130706433", "[::ffff:127.0.0.1]"] {
        for redirects in [false, true] {
            let url = format!("http://{target}:{port}/keys");
            let idp = Upstream::new(move |request, client| {
                let issuer = format!("http://{}", request.header("host").unwrap());
                let metadata = json!({"issuer": issuer, "jwks_uri": url}).to_string();
                let found = format!("HTTP/1.1 302 Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n");
                client.send(&if redirects { found.into_bytes() } else { ok(&metadata) });
                true
            });
            let name = format!("http://{}", idp.address);
            let gateway = Gateway::with(&format!(
                "public_url: {PUBLIC}\nservers: [{{name: up, url: 'http://{}/mcp'}}]\n\
                 authentication: {{issuers: [{{issuer: '{name}'}}]}}\noutbound: {{allow_http: true, timeout: 1s}}\n",
                upstream.address
            ));
            let token = Issuer::named(&name, "k1").token(json!({}));
            assert_eq!(gateway.connect().ask(&ping(&bearer(&token))).status(), 503, "{target}");
            inside.assert_untouched();
        }
    }
    upstream.assert_untouched();
}

/// CVE-2025-64443: a page rebound a name to the gateway's address. A Host that is not known is not served, and the
/// Origin of a page must be allowed, whatever token comes along.
#[test]
fn a_rebound_name_reaches_nothing() {
    let (upstream, issuer) = (Upstream::echo(), Issuer::new());
    let (gateway, _dir) = gateway(&upstream, &issuer, "", "", "");
    let good = String::from_utf8(ping(&reader(&issuer))).unwrap();
    for request in [
        good.replacen("Host: localhost", "Host: rebound.example", 1),
        good.replacen("Host: localhost", "Host: localhost\r\nOrigin: http://rebound.example", 1),
        good.replacen("Host: localhost", "Host: localhost.rebound.example", 1),
    ] {
        assert_eq!(gateway.connect().ask(request.as_bytes()).status(), 403, "{request}");
    }
    upstream.assert_untouched();
}

/// CVE-2026-27896: names in JSON were read in any case, so two readers saw two messages.
#[test]
fn a_claim_in_other_letters_is_another_claim() {
    let (upstream, issuer) = (Upstream::echo(), Issuer::new());
    let (gateway, _dir) = gateway(&upstream, &issuer, "", "", RULES);
    let odd = bearer(&issuer.token(json!({"Roles": ["reader"], "ROLES": ["reader"], "roles ": ["reader"]})));
    assert!(!gateway.connect().ask(&call("read_a", &odd)).is_served());
    let late = bearer(&issuer.token(json!({"exp": super::now() - 3600, "Exp": super::now() + 3600})));
    assert_eq!(gateway.connect().ask(&call("read_a", &late)).status(), 401);
    upstream.assert_untouched();
}
