//! One token for another: SAML assertions that agents show, and grants other than token exchange.

use std::sync::Mutex;

use serde_json::json;

use super::{ISSUER, Issuer, PUBLIC, base64url, bearer, call, challenge, ping};
use crate::harness::{Gateway, Message, TempDir, Upstream, ok};
use crate::scenes::wait_until;

/// An assertion of this subject: nobody here looks at its signature but the authorization server.
fn assertion(subject: &str) -> String {
    base64url(
        format!(
            "<?xml version=\"1.0\"?><saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">\
             <saml:Issuer>https://adfs.example</saml:Issuer><saml:Subject>{subject}</saml:Subject></saml:Assertion>"
        )
        .as_bytes(),
    )
}

/// The value of a field of the form in a request.
fn field(request: &Message, name: &str) -> Option<String> {
    let text = request.text();
    let pair = text.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    pair.map(|value| value.replace("%3A", ":").replace("%2F", "/"))
}

fn refusal() -> Vec<u8> {
    let body = r#"{"error":"invalid_grant"}"#;
    format!(
        "HTTP/1.1 400 Bad\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// An authorization server that takes each assertion once, and gives a token of `issuer` for those of `alice`.
fn authorization_server(issuer: Issuer) -> Upstream {
    let used = Mutex::new(Vec::new());
    Upstream::new(move |request, client| {
        let shown = field(request, "assertion").unwrap_or_default();
        let mut used = used.lock().unwrap();
        let fresh = !used.contains(&shown);
        used.push(shown.clone());
        let granted = if shown == assertion("alice") && fresh {
            let token = issuer.token(json!({"sub": "alice", "azp": "gw"}));
            ok(&json!({"access_token": token, "token_type": "Bearer", "expires_in": 600}).to_string())
        } else if shown == assertion("for another server") {
            let token = issuer.token(json!({"sub": "alice", "aud": "https://gw.example/other"}));
            ok(&json!({"access_token": token, "token_type": "Bearer", "expires_in": 600}).to_string())
        } else if shown == assertion("a forger") {
            let token = Issuer::new().token(json!({"sub": "alice"}));
            ok(&json!({"access_token": token, "token_type": "Bearer", "expires_in": 600}).to_string())
        } else {
            refusal()
        };
        client.send(&granted);
        true
    })
}

struct Scene {
    gateway: Gateway,
    upstream: Upstream,
    idp: Upstream,
    _dir: TempDir,
}

/// A gateway that has assertions traded, with these lines more of the server and of `saml`.
fn scene(server: &str, saml: &str) -> Scene {
    let (upstream, issuer, dir) = (Upstream::echo(), Issuer::new(), TempDir::new());
    let (keys, secret) = (dir.file("jwks.json", &issuer.jwks()), dir.file("secret", "s3cret"));
    let idp = authorization_server(issuer);
    let gateway = Gateway::with(&format!(
        "public_url: {PUBLIC}\nlog: {{level: trace}}\nservers:\n  - name: up\n    url: http://{}/mcp\n{server}\n\
         authentication:\n  issuers: [{{issuer: '{ISSUER}', jwks: 'file:{}'}}]\n  saml: {{token_url: 'http://{}/token', \
         client_id: gw, client_secret: 'file:{}', client_authentication: client_secret_post{saml}}}\n\
         outbound: {{allow_http: true, timeout: 10s}}\nlimits: {{head_bytes_max: 32KiB}}\n",
        upstream.address,
        keys.display(),
        idp.address,
        secret.display(),
    ));
    Scene { gateway, upstream, idp, _dir: dir }
}

impl Scene {
    fn status(&self, token: &str) -> u16 {
        self.gateway.connect().ask(&ping(&bearer(token))).status()
    }

    fn asked(&self) -> usize {
        std::iter::from_fn(|| self.idp.requests.try_recv().ok()).count()
    }
}

#[test]
fn an_assertion_is_whose_the_issuers_token_says_and_is_shown_to_the_issuer_once() {
    let scene = scene("", ", entity_id: 'https://adfs.example'");
    for _ in 0..10 {
        // Every worker, and no second question: this issuer takes an assertion once.
        assert_eq!(scene.status(&assertion("alice")), 200);
        let seen = format!("{:?}", scene.upstream.request());
        assert!(!seen.contains(&assertion("alice")), "the assertion is for the gateway");
    }
    let asked = scene.idp.request();
    assert_eq!(field(&asked, "grant_type").unwrap(), "urn:ietf:params:oauth:grant-type:saml2-bearer");
    assert_eq!(field(&asked, "resource").unwrap(), format!("{PUBLIC}/up/mcp"));
    assert_eq!(field(&asked, "client_secret").unwrap(), "s3cret");
    assert_eq!(asked.header("authorization"), None);
    assert_eq!(scene.asked(), 0);
    assert!(!scene.gateway.log().contains(&assertion("alice")[..40]), "nothing of it is in the log");
}

#[test]
fn an_assertion_for_which_there_is_no_good_token_is_nobodys() {
    let scene = scene("", "");
    for subject in ["mallory", "for another server", "a forger"] {
        let answer = scene.gateway.connect().ask(&ping(&bearer(&assertion(subject))));
        assert_eq!(answer.status(), 401, "{subject}");
        assert!(challenge(&answer).contains("invalid_token"), "{answer:?}");
    }
    scene.upstream.assert_untouched();
    // A refused one is not sent again at once.
    let before = scene.asked();
    assert_eq!(before, 3);
    for _ in 0..5 {
        assert_eq!(scene.status(&assertion("mallory")), 401);
    }
    assert!(scene.asked() <= 1, "each worker asks once");
}

#[test]
fn what_is_no_plain_assertion_or_too_large_goes_to_nobody() {
    let scene = scene("", ", entity_id: 'https://adfs.example'");
    let of = |text: &str| base64url(text.as_bytes());
    let plain = "<a xmlns='urn:oasis:names:tc:SAML:2.0:assertion'>https://adfs.example</a>";
    for token in [
        of(&format!("<!DOCTYPE a SYSTEM 'http://x/'>{plain}")),
        of(&plain.replace("https", "<!---->https")),
        of(&plain.replace("adfs", "other")),
        // No assertion at all: nobody is asked about opaque tokens here.
        of("<html></html>"),
        format!("{}=", of(plain)),
    ] {
        assert_eq!(scene.status(&token), 401, "{token}");
    }
    // 12 KiB of XML are 16 KiB of token; a byte more is refused before anybody looks.
    let padding = (12 << 10) - plain.len() + 1;
    let large = of(&plain.replace("</a>", &format!("{}</a>", "x".repeat(padding))));
    assert!(large.len() > 16 << 10);
    assert_eq!(scene.status(&large), 400);
    scene.idp.assert_untouched();
    let fits = of(&plain.replace("</a>", &format!("{}</a>", "x".repeat(padding - 1))));
    assert_eq!((fits.len(), scene.status(&fits)), (16 << 10, 401));
    assert_eq!(scene.asked(), 1, "this one was worth a question");
}

#[test]
fn an_issuer_that_cannot_be_asked_about_an_assertion_is_a_503() {
    let idp = Upstream::new(|_, client| {
        client.send(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
        true
    });
    let (upstream, issuer, dir) = (Upstream::echo(), Issuer::new(), TempDir::new());
    let (keys, secret) = (dir.file("jwks.json", &issuer.jwks()), dir.file("secret", "s3cret"));
    let gateway = Gateway::with(&format!(
        "public_url: {PUBLIC}\nservers: [{{name: up, url: 'http://{}/mcp'}}]\n\
         authentication:\n  issuers: [{{issuer: '{ISSUER}', jwks: 'file:{}'}}]\n  saml: {{token_url: 'http://{}/token', \
         client_id: gw, client_secret: 'file:{}'}}\noutbound: {{allow_http: true}}\n",
        upstream.address,
        keys.display(),
        idp.address,
        secret.display(),
    ));
    let answer = gateway.connect().ask(&ping(&bearer(&assertion("alice"))));
    assert_eq!(answer.status(), 503);
    assert!(answer.header("retry-after").is_some());
    assert_eq!(gateway.metric("ringgate_fetches_total", "kind=\"saml\""), 1.0);
    // The others come as ever.
    assert_eq!(gateway.connect().ask(&ping(&bearer(&issuer.token(json!({}))))).status(), 200);
}

#[test]
fn the_token_that_an_assertion_was_traded_for_is_what_is_exchanged_for_the_server() {
    // One endpoint for both: the second form has the token of the first answer.
    let (upstream, issuer, dir) = (Upstream::echo(), Issuer::new(), TempDir::new());
    let (keys, secret) = (dir.file("jwks.json", &issuer.jwks()), dir.file("secret", "s3cret"));
    let idp = Upstream::new(move |request, client| {
        let token = match field(request, "subject_token") {
            None => issuer.token(json!({"sub": "alice"})),
            Some(subject) => format!("for.{}", subject.len()),
        };
        client.send(&ok(
            &json!({"access_token": token, "token_type": "Bearer", "expires_in": 600}).to_string()
        ));
        true
    });
    let client = format!(
        "{{token_url: 'http://{}/token', client_id: gw, client_secret: 'file:{}'}}",
        idp.address,
        secret.display()
    );
    let gateway = Gateway::with(&format!(
        "public_url: {PUBLIC}\nservers:\n  - name: up\n    url: http://{}/mcp\n    credentials: {{token_exchange: {client}}}\n\
         authentication:\n  issuers: [{{issuer: '{ISSUER}', jwks: 'file:{}'}}]\n  saml: {client}\n\
         outbound: {{allow_http: true}}\n",
        upstream.address,
        keys.display(),
    ));
    assert_eq!(gateway.connect().ask(&call("x", &bearer(&assertion("alice")))).status(), 200);
    let first = idp.request();
    assert_eq!(field(&first, "assertion").unwrap(), assertion("alice"));
    let subject = field(&idp.request(), "subject_token").unwrap();
    assert!(subject.starts_with("eyJ") && subject.split('.').count() == 3, "{subject}");
    let shown = upstream.request().header("authorization").unwrap().to_owned();
    assert_eq!(shown, format!("Bearer for.{}", subject.len()));
}

/// A gateway whose server's credentials are `token_exchange` with these options, at this issuer.
fn exchanging(upstream: &Upstream, idp: &Upstream, options: &str) -> (Gateway, Issuer, TempDir) {
    let (issuer, dir) = (Issuer::new(), TempDir::new());
    let (keys, secret) = (dir.file("jwks.json", &issuer.jwks()), dir.file("secret", "s3cret"));
    let gateway = Gateway::with(&format!(
        "public_url: {PUBLIC}\nservers:\n  - name: up\n    url: http://{}/mcp\n    credentials: {{token_exchange: {{\
         token_url: 'http://{}/token', client_id: gw, client_secret: 'file:{}', {options}}}}}\n\
         authentication:\n  issuers: [{{issuer: '{ISSUER}', jwks: 'file:{}'}}]\noutbound: {{allow_http: true}}\n",
        upstream.address,
        idp.address,
        secret.display(),
        keys.display(),
    ));
    (gateway, issuer, dir)
}

#[test]
fn a_token_is_had_on_behalf_of_the_user_as_entra_wants_it_asked_for() {
    let idp = Upstream::new(|_, client| {
        client.send(&ok(r#"{"access_token":"obo","token_type":"Bearer","expires_in":600}"#));
        true
    });
    let upstream = Upstream::echo();
    let options =
        "grant: on_behalf_of, client_authentication: client_secret_post, scopes: ['api://crm/.default']";
    let (gateway, issuer, _dir) = exchanging(&upstream, &idp, options);
    let token = issuer.token(json!({"sub": "alice"}));
    assert_eq!(gateway.connect().ask(&call("x", &bearer(&token))).status(), 200);
    assert_eq!(upstream.request().header("authorization"), Some("Bearer obo"));
    let form = idp.request();
    for (name, value) in [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", &*token),
        ("requested_token_use", "on_behalf_of"),
        ("scope", "api://crm/.default"),
        ("client_id", "gw"),
        ("client_secret", "s3cret"),
    ] {
        assert_eq!(field(&form, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!((form.header("authorization"), field(&form, "subject_token")), (None, None));
}

#[test]
fn a_token_that_is_no_access_token_goes_in_a_header_of_its_own_and_nowhere_else() {
    let answer = json!({"access_token": assertion("alice"), "token_type": "N_A", "expires_in": 600,
        "issued_token_type": "urn:ietf:params:oauth:token-type:saml2"})
    .to_string();
    let idp = Upstream::new(move |_, client| {
        client.send(&ok(&answer));
        true
    });
    let upstream = Upstream::echo();
    let options = "requested_token_type: saml2, header: X-Saml-Assertion";
    let (gateway, issuer, _dir) = exchanging(&upstream, &idp, options);
    let headers = format!("{}X-Saml-Assertion: forged\r\n", bearer(&issuer.token(json!({}))));
    assert_eq!(gateway.connect().ask(&call("x", &headers)).status(), 200);
    let seen = upstream.request();
    assert_eq!(seen.header("x-saml-assertion"), Some(&*assertion("alice")));
    assert_eq!(seen.header("authorization"), None);
    assert!(!format!("{seen:?}").contains("forged"));
    // Nobody has said that it may go as a bearer token.
    let (gateway, issuer, _dir) = exchanging(&upstream, &idp, "audience: up");
    assert_eq!(gateway.connect().ask(&call("x", &bearer(&issuer.token(json!({}))))).status(), 503);
    upstream.assert_untouched();
}

/// A server that takes no token called `t-1`.
fn choosy() -> Upstream {
    Upstream::new(|request, client| {
        if request.header("authorization") == Some("Bearer t-1") {
            client.send(b"HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer\r\nContent-Length: 0\r\n\r\n");
        } else {
            client.send(&ok(&crate::harness::echoed(request)));
        }
        true
    })
}

/// A token endpoint that gives out `t-1`, `t-2`, ...
fn counting() -> Upstream {
    let turn = Mutex::new(0);
    Upstream::new(move |_, client| {
        let mut turn = turn.lock().unwrap();
        *turn += 1;
        let answer = json!({"access_token": format!("t-{turn}"), "token_type": "Bearer", "expires_in": 600});
        client.send(&ok(&answer.to_string()));
        true
    })
}

#[test]
fn a_token_that_its_server_refuses_is_changed_and_the_call_is_sent_again() {
    for own in [false, true] {
        let (upstream, idp) = (choosy(), counting());
        let (gateway, issuer, _dir) = exchanging(&upstream, &idp, "audience: up");
        if own {
            let text = std::fs::read_to_string(&gateway.config).unwrap();
            std::fs::write(&gateway.config, text.replace("token_exchange", "client_credentials")).unwrap();
            gateway.signal("HUP");
            gateway.await_metric("ringgate_config_generation", "", 2.0);
        }
        let token = bearer(&issuer.token(json!({"sub": "alice"})));
        // One connection, so one worker. What was had a moment ago is not changed: the server may want something else.
        let mut client = gateway.connect();
        let refused = client.ask(&call("x", &token));
        assert_eq!((refused.status(), refused.header("www-authenticate")), (502, None), "{refused:?}");
        wait_until("the token is changed", || {
            let answer = client.ask(&call("x", &token));
            assert!(matches!(answer.status(), 200 | 502), "{answer:?}");
            if answer.status() == 200 {
                assert_eq!(answer.json()["id"], 7, "the whole call came, with its body");
            }
            answer.status() == 200
        });
        let asked = std::iter::from_fn(|| idp.requests.try_recv().ok()).count();
        assert_eq!(asked, 2, "own: {own}");
        assert_eq!(gateway.metric("ringgate_upstream_retries_total", ""), 1.0);
    }
}
