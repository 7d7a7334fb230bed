//! Which tokens are believed, and what the others are told.

use serde_json::json;

use super::{ISSUER, Issuer, PUBLIC, base64url, bearer, challenge, now, ping};
use crate::harness::{Gateway, TempDir, Upstream, post, post_to};
use crate::scenes::get;

/// A gateway with two servers, `up` and `other`, and one issuer whose keys are in a file.
fn gateway(upstream: &Upstream, issuer: &Issuer, more: &str) -> (Gateway, TempDir) {
    let dir = TempDir::new();
    let keys = dir.file("jwks.json", &issuer.jwks());
    let address = upstream.address;
    let gateway = Gateway::with(&format!(
        "public_url: {PUBLIC}\nservers:\n  - {{name: up, url: 'http://{address}/mcp', scopes: [mcp:use]}}\n  \
         - {{name: other, url: 'http://{address}/mcp'}}\n\
         authentication:\n  issuers:\n    - issuer: {ISSUER}\n      jwks: file:{}\n{more}\n",
        keys.display()
    ));
    (gateway, dir)
}

const METADATA: &str = "https://gw.example/.well-known/oauth-protected-resource/up/mcp";

#[test]
fn who_shows_nothing_is_told_where_to_get_a_token() {
    let (upstream, issuer) = (Upstream::echo(), Issuer::new());
    let (gateway, _dir) = gateway(&upstream, &issuer, "");
    let session = "Mcp-Session-Id: abc\r\n";
    let delete = format!("DELETE /up/mcp HTTP/1.1\r\nHost: localhost\r\n{session}\r\n").into_bytes();
    for request in [ping(""), get("/up/mcp", ""), get("/up/mcp", "Last-Event-ID: 7\r\n"), delete] {
        let answer = gateway.connect().ask(&request);
        assert_eq!(answer.status(), 401, "{answer:?}");
        let expected = format!("Bearer resource_metadata=\"{METADATA}\", scope=\"mcp:use\"");
        assert_eq!(challenge(&answer), expected, "no error is named to who shows nothing");
    }
    upstream.assert_untouched();
    let mut client = gateway.connect();
    let document =
        client.ask(b"GET /.well-known/oauth-protected-resource/up/mcp HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!((document.status(), document.header("content-type")), (200, Some("application/json")));
    let expected = json!({
        "resource": "https://gw.example/up/mcp", "authorization_servers": [ISSUER],
        "scopes_supported": ["mcp:use"], "bearer_methods_supported": ["header"],
    });
    assert_eq!(document.json(), expected);
    for path in ["", "/", "/up", "/up/mcp/", "/nobody/mcp", "/up/mcp/~/message", "up/mcp"] {
        let request =
            format!("GET /.well-known/oauth-protected-resource{path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(client.ask(request.as_bytes()).status(), 404, "{path}");
    }
    let head = "HEAD /.well-known/oauth-protected-resource/other/mcp HTTP/1.1\r\nHost: localhost\r\n\r\n";
    client.send(head.as_bytes());
    assert_eq!(client.head().unwrap().status(), 200);
}

#[test]
fn a_good_token_passes_and_does_not_travel_on() {
    let (upstream, issuer) = (Upstream::echo(), Issuer::new());
    let (gateway, _dir) = gateway(&upstream, &issuer, "");
    let token = issuer.token(json!({"sub": "alice", "azp": "agent-1", "scope": "a mcp:use"}));
    let mut client = gateway.connect();
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let answer = client.ask(&ping(&format!("Authorization: {scheme} {token}\r\nCookie: {token}\r\n")));
        assert_eq!(answer.status(), 200, "{answer:?}");
        let seen = upstream.request();
        assert!(!format!("{seen:?}").contains(&token), "the token is for the gateway: {seen:?}");
        assert_eq!(seen.header("authorization"), None);
    }
    assert!((gateway.metric("ringgate_credentials_total", "verified") - 1.0).abs() < 0.1);
    assert!((gateway.metric("ringgate_credentials_total", "remembered") - 2.0).abs() < 0.1);
}

#[test]
fn every_bad_token_is_a_401_and_nothing_reaches_the_server() {
    let (upstream, issuer) = (Upstream::echo(), Issuer::new());
    let (gateway, _dir) = gateway(&upstream, &issuer, "");
    let good = json!({"sub": "alice", "scope": "mcp:use"});
    let token = issuer.token(good.clone());
    let (text, signature) = token.rsplit_once('.').unwrap();
    let with = |change: serde_json::Value| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        issuer.token(claims)
    };
    let header = |header: serde_json::Value| issuer.signed(&header, &issuer.claims(good.clone()));
    let none = format!(
        "{}.{}.",
        base64url(br#"{"alg":"none"}"#),
        base64url(issuer.claims(good.clone()).to_string().as_bytes())
    );
    let stranger = Issuer::new();
    let bad = [
        ("expired", with(json!({"exp": now() - 3600}))),
        ("without an end", with(json!({"exp": null}))),
        ("not yet valid", with(json!({"nbf": now() + 3600}))),
        ("for another virtual server", with(json!({"aud": format!("{PUBLIC}/other/mcp")}))),
        ("for the origin alone", with(json!({"aud": PUBLIC}))),
        ("for nobody", with(json!({"aud": null}))),
        ("of an unknown issuer", with(json!({"iss": "https://evil.example"}))),
        ("of nobody", with(json!({"iss": null}))),
        ("signed by somebody else", stranger.token(good.clone())),
        ("of an unknown key", Issuer::named(ISSUER, "k9").token(good.clone())),
        ("unsigned", none),
        ("without its signature", format!("{text}.")),
        ("cut off", token[..token.len() - 1].to_owned()),
        ("with a byte more", format!("{token}A")),
        ("signed as HMAC", header(json!({"alg": "HS256", "kid": "k1"}))),
        ("of another algorithm than its key's", header(json!({"alg": "ES384", "kid": "k1"}))),
        ("with a critical extension", header(json!({"alg": "ES256", "kid": "k1", "crit": ["x"], "x": 1}))),
        ("of another kind", header(json!({"alg": "ES256", "kid": "k1", "typ": "oauth-id-jag+jwt"}))),
        ("in four parts", format!("{text}.{signature}.{signature}")),
        ("opaque", "opaque-token".to_owned()),
    ];
    for (what, token) in bad {
        let answer = gateway.connect().ask(&ping(&bearer(&token)));
        assert_eq!(answer.status(), 401, "{what}: {answer:?}");
        let challenge = challenge(&answer);
        assert!(challenge.starts_with("Bearer error=\"invalid_token\""), "{what}: {challenge}");
        assert!(challenge.contains(&format!("resource_metadata=\"{METADATA}\"")), "{what}: {challenge}");
    }
    upstream.assert_untouched();
    // What was refused does not count as known later, and the good one does still pass.
    assert_eq!(gateway.connect().ask(&ping(&bearer(&token))).status(), 200);
}

#[test]
fn a_malformed_way_of_showing_a_token_is_refused() {
    let (upstream, issuer) = (Upstream::echo(), Issuer::new());
    let (gateway, _dir) = gateway(&upstream, &issuer, "");
    let token = issuer.token(json!({"sub": "alice", "scope": "mcp:use"}));
    let large = "a".repeat(17 << 10);
    let cases = [
        ("two Authorization headers", bearer(&token).repeat(2), 400),
        ("a token and a key", format!("{}X-Api-Key: k\r\n", bearer(&token)), 400),
        ("another scheme", "Authorization: Basic YTpi\r\n".to_owned(), 401),
        ("no token", "Authorization: Bearer\r\n".to_owned(), 401),
        ("two tokens", format!("Authorization: Bearer {token} {token}\r\n"), 401),
        ("bytes that no token has", "Authorization: Bearer \u{e9}\r\n".to_owned(), 401),
        ("a token that is too large", bearer(&large), 431),
    ];
    for (what, headers, status) in cases {
        let answer = gateway.connect().ask(&ping(&headers));
        let ok = answer.status() == status || (status == 401 && answer.status() == 400);
        assert!(ok, "{what}: {answer:?}");
    }
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    for query in [format!("access_token={token}"), format!("a=b&access_token={token}")] {
        for headers in [String::new(), bearer(&token)] {
            let answer = gateway.connect().ask(&post_to(&format!("/up/mcp?{query}"), body, &headers));
            assert_eq!(answer.status(), 400, "in the query: {answer:?}");
        }
    }
    upstream.assert_untouched();
}

#[test]
fn a_token_without_the_servers_scope_is_told_all_that_it_needs() {
    let (upstream, issuer) = (Upstream::echo(), Issuer::new());
    let (gateway, _dir) = gateway(&upstream, &issuer, "");
    let token = issuer.token(json!({"sub": "alice", "scope": "else"}));
    let answer = gateway.connect().ask(&ping(&bearer(&token)));
    assert_eq!(answer.status(), 403);
    let challenge = challenge(&answer);
    assert!(challenge.starts_with("Bearer error=\"insufficient_scope\""), "{challenge}");
    assert!(challenge.contains("scope=\"mcp:use\"") && challenge.contains(METADATA), "{challenge}");
    upstream.assert_untouched();
}

#[test]
fn a_credential_is_asked_for_before_anything_else_of_a_request_is_judged() {
    let (upstream, issuer) = (Upstream::echo(), Issuer::new());
    let (gateway, _dir) = gateway(&upstream, &issuer, "");
    // What does not look like MCP gets past no lock (a gateway that sniffed first let such requests through).
    for request in [
        "POST /up/mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi",
        "POST /up/mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n{\"a\":",
        "PUT /up/mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
        "GET /up/mcp HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "HEAD /up/mcp HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST /up/mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n",
    ] {
        let mut client = gateway.connect();
        client.send(request.as_bytes());
        assert_eq!(client.head().unwrap().status(), 401, "{request}");
    }
    let preflight = "OPTIONS /up/mcp HTTP/1.1\r\nHost: localhost\r\nOrigin: https://gw.example\r\n\
                     Access-Control-Request-Method: POST\r\n\r\n";
    assert_eq!(gateway.connect().ask(preflight.as_bytes()).status(), 204, "a preflight shows no credential");
    assert_eq!(gateway.connect().ask(&post_to("/nobody/mcp", "{}", "")).status(), 404);
    upstream.assert_untouched();
}

#[test]
fn nobody_becomes_anonymous_by_failing() {
    let (upstream, issuer) = (Upstream::echo(), Issuer::new());
    let dir = TempDir::new();
    let keys = dir.file("jwks.json", &issuer.jwks());
    let gateway = Gateway::with(&format!(
        "public_url: {PUBLIC}\nservers:\n  - {{name: up, url: 'http://{}/mcp', anonymous: true}}\n\
         authentication:\n  issuers:\n    - issuer: {ISSUER}\n      jwks: file:{}\n",
        upstream.address,
        keys.display()
    ));
    assert_eq!(gateway.connect().ask(&ping("")).status(), 200, "where it is written, nothing need be shown");
    for headers in [
        bearer(&issuer.token(json!({"exp": now() - 60 * 60}))),
        bearer("x"),
        "X-Api-Key: rgk_none_none\r\n".to_owned(),
        "Authorization: Basic YTpi\r\n".to_owned(),
    ] {
        let answer = gateway.connect().ask(&post(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, &headers));
        assert_eq!(answer.status(), 401, "{headers}: {answer:?}");
    }
}

#[test]
fn no_token_and_no_key_appears_in_logs_errors_or_metrics() {
    let (upstream, issuer) = (Upstream::echo(), Issuer::new());
    let (gateway, _dir) = gateway(&upstream, &issuer, "log: {level: trace}");
    let good = issuer.token(json!({"sub": "alice", "scope": "mcp:use"}));
    let expired = issuer.token(json!({"sub": "alice", "exp": now() - 3600}));
    let mut seen = String::new();
    let key = "rgk_k1_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0";
    for headers in
        [bearer(&good), bearer(&expired), bearer(&good[..good.len() - 3]), format!("X-Api-Key: {key}\r\n")]
    {
        let answer = gateway.connect().ask(&ping(&headers));
        seen.push_str(&format!("{answer:?}"));
    }
    seen.push_str(&gateway.admin_get("/metrics").unwrap().1);
    seen.push_str(&gateway.log());
    for secret in
        [&good[..], &expired, key, good.rsplit('.').next().unwrap(), good.split('.').nth(1).unwrap()]
    {
        assert!(!seen.contains(secret), "{secret} shows in {seen}");
    }
}
