//! What the log says of refused credentials, and what clients are told where an issuer refuses to change a token.

use serde_json::{Value as Json, json};

use super::{ISSUER, Issuer, PUBLIC, bearer, challenge, ping};
use crate::harness::{Gateway, TempDir, Upstream};
use crate::scenes::wait_until;

/// An endpoint that says this to every form.
fn endpoint(status: u16, body: &Json) -> Upstream {
    let body = body.to_string();
    Upstream::new(move |_, client| {
        let answer = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        client.send(answer.as_bytes());
        true
    })
}

fn logged(gateway: &Gateway, parts: &[&str]) {
    wait_until(&parts.join(" "), || {
        gateway.log().lines().any(|line| parts.iter().all(|part| line.contains(part)))
    });
}

#[test]
fn a_refused_token_is_a_line_with_the_claim_and_no_flood_of_lines() {
    let (upstream, issuer, dir) = (Upstream::echo(), Issuer::new(), TempDir::new());
    let keys = dir.file("jwks.json", &issuer.jwks());
    let gateway = Gateway::with(&format!(
        "public_url: {PUBLIC}\nservers:\n  - {{name: up, url: 'http://{}/mcp'}}\n\
         authentication:\n  issuers:\n    - issuer: {ISSUER}\n      jwks: file:{}\n",
        upstream.address,
        keys.display()
    ));
    let status = |claims: Json| gateway.connect().ask(&ping(&bearer(&issuer.token(claims)))).status();
    for _ in 0..50 {
        assert_eq!(status(json!({"aud": "https://other.example"})), 401);
    }
    assert_eq!(status(json!({"iss": "https://stranger.example"})), 401);
    assert_eq!(gateway.connect().ask(&ping("")).status(), 401);
    logged(
        &gateway,
        &[
            "a credential was refused",
            "wrong_audience",
            "aud",
            "https://other.example",
            "https://gw.example/up/mcp",
        ],
    );
    logged(&gateway, &["unknown_issuer", "iss", "https://stranger.example", ISSUER]);
    let lines = gateway.log().lines().filter(|line| line.contains("wrong_audience")).count();
    assert!(lines < 25, "{lines}");
    assert!(!gateway.log().contains("no_credential"));
    upstream.assert_untouched();
}

#[test]
fn an_issuer_that_refuses_an_exchange_is_quoted_and_an_invalid_grant_sends_to_the_login() {
    let (upstream, issuer, dir) = (Upstream::echo(), Issuer::new(), TempDir::new());
    let (keys, secret) = (dir.file("jwks.json", &issuer.jwks()), dir.file("secret", "s"));
    for (code, status) in [("invalid_request", 403), ("invalid_grant", 401)] {
        let idp =
            endpoint(400, &json!({"error": code, "error_description": "Invalid subject_token_type.\n"}));
        let gateway = Gateway::with(&format!(
            "public_url: {PUBLIC}\noutbound: {{allow_http: true}}\n\
             servers:\n  - name: up\n    url: 'http://{}/mcp'\n    credentials: {{token_exchange: {{token_url: 'http://{}/token', client_id: gw, client_secret: 'file:{}'}}}}\n\
             authentication:\n  issuers:\n    - issuer: {ISSUER}\n      jwks: file:{}\n",
            upstream.address,
            idp.address,
            secret.display(),
            keys.display()
        ));
        let answer = gateway.connect().ask(&ping(&bearer(&issuer.token(json!({})))));
        assert_eq!(answer.status(), status, "{answer:?}");
        logged(&gateway, &["an issuer refuses a caller's token", code, "Invalid subject_token_type."]);
        if status == 401 {
            assert!(challenge(&answer).contains("error=\"invalid_token\""), "{answer:?}");
            assert!(gateway.metric("ringgate_unauthenticated_total", "reason=\"refused_grant\"") >= 1.0);
        }
    }
    upstream.assert_untouched();
}

#[test]
fn an_endpoint_that_does_not_say_whether_a_token_is_active_is_named() {
    let (upstream, dir) = (Upstream::echo(), TempDir::new());
    let (idp, secret) = (endpoint(200, &json!({"sub": "ann"})), dir.file("secret", "s"));
    let gateway = Gateway::with(&format!(
        "public_url: {PUBLIC}\noutbound: {{allow_http: true}}\nservers:\n  - {{name: up, url: 'http://{}/mcp'}}\n\
         authentication:\n  introspection: {{url: 'http://{}/ask', client_id: gw, client_secret: 'file:{}'}}\n",
        upstream.address,
        idp.address,
        secret.display()
    ));
    assert_eq!(gateway.connect().ask(&ping(&bearer("opaque"))).status(), 503);
    logged(&gateway, &["a credential was refused", "malformed_answer", "active", "true or false"]);
    upstream.assert_untouched();
}
