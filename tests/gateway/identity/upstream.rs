//! What the server is shown: never the caller's own credential.

use serde_json::{Value as Json, json};

use super::{ISSUER, Issuer, PUBLIC, bearer, call, ping};
use crate::harness::{Gateway, TempDir, Upstream, ok};

fn gateway(dir: &TempDir, upstream: &Upstream, issuer: &Issuer, server: &str, more: &str) -> Gateway {
    let keys = dir.file("jwks.json", &issuer.jwks());
    Gateway::with(&format!(
        "public_url: {PUBLIC}\nservers:\n  - name: up\n    url: http://{}/mcp\n{server}\n\
         authentication:\n  issuers:\n    - issuer: {ISSUER}\n      jwks: file:{}\n\
         outbound: {{allow_http: true, timeout: 2s}}\n{more}\n",
        upstream.address,
        keys.display()
    ))
}

#[test]
fn fixed_credentials_take_the_place_of_the_callers() {
    let (upstream, issuer, dir) = (Upstream::echo(), Issuer::new(), TempDir::new());
    let secret = dir.file("secret", "s3cret\n");
    let secret = secret.display();
    for (credentials, name, value) in [
        (format!("bearer: file:{secret}"), "authorization", "Bearer s3cret"),
        (format!("basic: {{username: gw, password: file:{secret}}}"), "authorization", "Basic Z3c6czNjcmV0"),
        (format!("header: {{name: X-Team-Key, value: 'file:{secret}'}}"), "x-team-key", "s3cret"),
    ] {
        let server = format!("    credentials:\n      {credentials}");
        let gateway = gateway(&dir, &upstream, &issuer, &server, "");
        let token = issuer.token(json!({"sub": "alice"}));
        let headers = format!("{}X-Team-Key: mine\r\nX_Team_Key: mine\r\n", bearer(&token));
        assert_eq!(gateway.connect().ask(&ping(&headers)).status(), 200);
        let seen = upstream.request();
        assert_eq!(seen.header(name), Some(value));
        assert_eq!(seen.headers.iter().filter(|(have, _)| have == name).count(), 1);
        assert!(!format!("{seen:?}").contains(&token));
    }
}

/// A token endpoint that gives out `t-1`, `t-2`, ... and keeps what it was asked.
fn token_endpoint(expires_in: u64) -> Upstream {
    let turn = std::sync::atomic::AtomicUsize::new(0);
    Upstream::new(move |request, client| {
        let turn = turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        let good = request.start.starts_with("POST /token ") && !request.text().contains("refuse");
        if good {
            let answer = json!({"access_token": format!("t-{turn}"), "token_type": "Bearer", "expires_in": expires_in,
                "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"});
            client.send(&ok(&answer.to_string()));
        } else {
            client.send(b"HTTP/1.1 400 Bad\r\nContent-Type: application/json\r\nContent-Length: 25\r\n\r\n{\"error\":\"invalid_grant\"} ");
        }
        true
    })
}

#[test]
fn the_gateways_own_token_is_fetched_once_and_used_for_all() {
    let (upstream, issuer, dir, idp) =
        (Upstream::echo(), Issuer::new(), TempDir::new(), token_endpoint(3600));
    let secret = dir.file("secret", "s3cret");
    let server = format!(
        "    credentials:\n      client_credentials: {{token_url: 'http://{}/token', client_id: gw, client_secret: 'file:{}', scopes: [a, b]}}",
        idp.address,
        secret.display()
    );
    let gateway = gateway(&dir, &upstream, &issuer, &server, "");
    for number in 0..8 {
        let token = bearer(&issuer.token(json!({"sub": format!("u{number}")})));
        assert_eq!(gateway.connect().ask(&call("x", &token)).status(), 200);
        assert_eq!(upstream.request().header("authorization"), Some("Bearer t-1"));
    }
    let asked = idp.request();
    assert_eq!(asked.header("authorization"), Some("Basic Z3c6czNjcmV0"));
    let form = asked.text();
    assert!(form.contains("grant_type=client_credentials") && form.contains("scope=a+b"), "{form}");
    idp.assert_untouched();
}

#[test]
fn a_token_is_exchanged_for_each_caller() {
    let (upstream, issuer, dir, idp) =
        (Upstream::echo(), Issuer::new(), TempDir::new(), token_endpoint(3600));
    let secret = dir.file("secret", "s3cret");
    let server = format!(
        "    credentials:\n      token_exchange: {{token_url: 'http://{}/token', client_id: gw, client_secret: 'file:{}', audience: up-api}}",
        idp.address,
        secret.display()
    );
    let gateway = gateway(&dir, &upstream, &issuer, &server, "");
    let mut shown = Vec::new();
    for sub in ["alice", "bob"] {
        let token = issuer.token(json!({"sub": sub}));
        for _ in 0..3 {
            assert_eq!(gateway.connect().ask(&call("x", &bearer(&token))).status(), 200);
            shown.push(upstream.request().header("authorization").unwrap().to_owned());
        }
        // Each of two workers may have asked once; the last form is of this caller.
        let asked = std::iter::once(idp.request()).chain(std::iter::from_fn(|| idp.requests.try_recv().ok()));
        let form = asked.last().unwrap().text();
        assert!(
            form.contains("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange"),
            "{form}"
        );
        assert!(
            form.contains(&format!("subject_token={token}")) && form.contains("audience=up-api"),
            "{form}"
        );
    }
    // Two workers may each have asked; no caller is ever shown as another.
    let (alice, bob) = shown.split_at(3);
    assert!(alice.iter().all(|one| !bob.contains(one)), "{shown:?}");
}

#[test]
fn a_caller_for_whom_no_token_is_given_is_refused() {
    let (upstream, issuer, dir, idp) =
        (Upstream::echo(), Issuer::new(), TempDir::new(), token_endpoint(3600));
    let secret = dir.file("secret", "refuse");
    for (path, status) in [("nowhere", 401), ("token", 200)] {
        let server = format!(
            "    credentials:\n      token_exchange: {{token_url: 'http://{}/{path}', client_id: gw, client_secret: 'file:{}', audience: up-api}}",
            idp.address,
            secret.display()
        );
        let gateway = gateway(&dir, &upstream, &issuer, &server, "");
        let token = bearer(&issuer.token(json!({"sub": "alice"})));
        assert_eq!(gateway.connect().ask(&call("x", &token)).status(), status);
    }
}

#[test]
fn an_assertion_says_who_calls_and_can_be_verified() {
    let (upstream, issuer, dir) = (Upstream::echo(), Issuer::new(), TempDir::new());
    let key = rcgen::KeyPair::generate().unwrap();
    let key = dir.file("identity.pem", &key.serialize_pem());
    let more = format!("identity: {{key: 'file:{}'}}", key.display());
    let gateway = gateway(&dir, &upstream, &issuer, "    assertion: {}", &more);
    let token = issuer.token(json!({"sub": "alice", "azp": "agent-1", "tid": "acme", "roles": ["support"]}));
    let underscored = format!("{}X_Ringgate_Identity: forged\r\n", bearer(&token));
    assert_eq!(gateway.connect().ask(&call("x", &underscored)).status(), 400);
    let forged = "X-Ringgate-Identity: forged\r\n";
    let answer = gateway.connect().ask(&call("x", &format!("{}{forged}", bearer(&token))));
    assert_eq!(answer.status(), 200, "{answer:?}");
    let seen = upstream.request();
    assert!(!format!("{seen:?}").contains("forged"), "{seen:?}");
    let assertion = seen.header("x-ringgate-identity").unwrap();
    let claims = verified(&gateway, assertion);
    assert_eq!((claims["iss"].as_str(), claims["sub"].as_str()), (Some(PUBLIC), Some("alice")));
    assert_eq!(claims["act"]["sub"], "agent-1");
    assert_eq!(claims["roles"], json!(["support"]));
    let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert!((1..=60).contains(&life), "{claims}");
}

/// The claims of an assertion, verified by the keys on the admin port.
fn verified(gateway: &Gateway, assertion: &str) -> Json {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    let (status, keys) = gateway.admin_get("/.well-known/jwks.json").unwrap();
    assert_eq!(status, 200);
    let keys: Json = serde_json::from_str(&keys).unwrap();
    let parts: Vec<&str> = assertion.split('.').collect();
    let header: Json = serde_json::from_slice(&decoded(parts[0])).unwrap();
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).unwrap();
    let coordinate = |name: &str| decoded(key[name].as_str().unwrap());
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let text = assertion.rsplit_once('.').unwrap().0;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(text.as_bytes(), &decoded(parts[2]))
        .unwrap();
    serde_json::from_slice(&decoded(parts[1])).unwrap()
}

fn decoded(text: &str) -> Vec<u8> {
    let value = |byte: u8| -> u32 {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        u32::try_from(alphabet.iter().position(|&known| known == byte).unwrap()).unwrap()
    };
    let mut bytes = Vec::new();
    for part in text.as_bytes().chunks(4) {
        let word = part.iter().fold(0, |word, &byte| (word << 6) | value(byte)) << (6 * (4 - part.len()));
        bytes.extend_from_slice(&word.to_be_bytes()[1..part.len()]);
    }
    bytes
}

#[test]
fn an_api_key_is_no_issuers_business() {
    let (upstream, dir, idp) = (Upstream::echo(), TempDir::new(), token_endpoint(3600));
    let secret = dir.file("secret", "s3cret");
    let made = std::process::Command::new(env!("CARGO_BIN_EXE_ringgate"))
        .args(["key", "new", "--id", "k1", "--agent", "bot"])
        .output()
        .unwrap();
    let made = String::from_utf8(made.stdout).unwrap();
    let key = made.split_whitespace().find(|word| word.starts_with("rgk_k1_")).unwrap().to_owned();
    let hash = made.split(['"', '\'', ' ', ',']).find(|word| word.starts_with("sha256:")).unwrap().to_owned();
    let gateway = Gateway::with(&format!(
        "public_url: {PUBLIC}\nservers:\n  - name: up\n    url: http://{}/mcp\n    credentials:\n      token_exchange: \
         {{token_url: 'http://{}/token', client_id: gw, client_secret: 'file:{}', audience: a}}\n\
         authentication:\n  api_keys: [{{id: k1, hash: '{hash}', agent: bot}}]\noutbound: {{allow_http: true}}\n",
        upstream.address,
        idp.address,
        secret.display()
    ));
    for headers in [bearer(&key), format!("X-Api-Key: {key}\r\n")] {
        let answer = gateway.connect().ask(&call("x", &headers));
        assert_eq!(answer.status(), 403, "{answer:?}");
    }
    idp.assert_untouched();
    upstream.assert_untouched();
}

#[test]
fn what_one_server_is_shown_of_an_anonymous_caller_is_shown_to_no_other() {
    let (upstream, dir) = (Upstream::echo(), TempDir::new());
    let key = dir.file("identity.pem", &rcgen::KeyPair::generate().unwrap().serialize_pem());
    let server = |name: &str| {
        format!(
            "  - {{name: {name}, url: 'http://{}/mcp', anonymous: true, assertion: {{audience: aud-{name}}}}}\n",
            upstream.address
        )
    };
    let gateway = Gateway::with(&format!(
        "public_url: {PUBLIC}\nservers:\n{}{}authentication:\n  issuers: [{{issuer: '{ISSUER}'}}]\n\
         identity: {{key: 'file:{}'}}\n",
        server("up"),
        server("other"),
        key.display()
    ));
    for name in ["up", "other", "up"] {
        let request = crate::harness::post_to(
            &format!("/{name}/mcp"),
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
            "",
        );
        assert_eq!(gateway.connect().ask(&request).status(), 200);
        let assertion = upstream.request().header("x-ringgate-identity").unwrap().to_owned();
        assert_eq!(verified(&gateway, &assertion)["aud"], format!("aud-{name}"));
    }
}

#[test]
fn a_servers_challenge_is_not_the_clients() {
    let upstream = Upstream::new(|_, client| {
        client.send(
            b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer resource_metadata=\"https://evil.example/\"\r\nContent-Length: 0\r\n\r\n",
        );
        true
    });
    let (issuer, dir) = (Issuer::new(), TempDir::new());
    let gateway = gateway(&dir, &upstream, &issuer, "", "");
    let answer = gateway.connect().ask(&ping(&bearer(&issuer.token(json!({})))));
    assert_eq!((answer.status(), answer.header("www-authenticate")), (502, None), "{answer:?}");
}

#[test]
fn nobody_but_the_gateway_says_who_is_signed_in() {
    let (upstream, issuer, dir) = (Upstream::echo(), Issuer::new(), TempDir::new());
    let gateway = gateway(&dir, &upstream, &issuer, "", "");
    let names = [
        "Remote-User",
        "X-Remote-User",
        "X-Remote-Groups",
        "X-Forwarded-User",
        "X-Auth-Request-Email",
        "X-WebAuth-User",
    ];
    let headers: String = names.iter().map(|name| format!("{name}: admin\r\n")).collect();
    let answer = gateway.connect().ask(&ping(&format!("{}{headers}", bearer(&issuer.token(json!({}))))));
    assert_eq!(answer.status(), 200);
    assert!(!format!("{:?}", upstream.request()).contains("admin"));
}

#[test]
fn a_token_that_was_fetched_for_one_server_is_not_shown_to_another_after_a_reload() {
    let (one, other, issuer, dir) = (Upstream::echo(), Upstream::echo(), Issuer::new(), TempDir::new());
    let (handle, shut) = crate::scenes::door();
    let idp = Upstream::new(move |request, client| {
        let audience = request.text().split("audience=").nth(1).unwrap().to_owned();
        if audience == "one" {
            shut.pass();
        }
        let answer =
            json!({"access_token": format!("for-{audience}"), "token_type": "Bearer", "expires_in": 600});
        client.send(&ok(&answer.to_string()));
        true
    });
    let secret = dir.file("secret", "s3cret");
    let server = format!(
        "    credentials:\n      client_credentials: {{token_url: 'http://{}/token', client_id: gw, client_secret: 'file:{}', audience: one}}",
        idp.address,
        secret.display()
    );
    let gateway = gateway(&dir, &one, &issuer, &server, "");
    let token = bearer(&issuer.token(json!({})));
    let mut parked = gateway.connect();
    parked.send(&call("x", &token));
    idp.request();
    let text = std::fs::read_to_string(&gateway.config).unwrap();
    let text = text
        .replace(&one.address.to_string(), &other.address.to_string())
        .replace("audience: one", "audience: other");
    std::fs::write(&gateway.config, text).unwrap();
    gateway.signal("HUP");
    gateway.await_metric("ringgate_config_generation", "", 2.0);
    handle.open();
    assert_eq!(parked.message().unwrap().status(), 200);
    assert_eq!(other.request().header("authorization"), Some("Bearer for-other"));
    one.assert_untouched();
}
