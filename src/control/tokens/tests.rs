#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;
use crate::config::snapshot::Outbound;
use crate::control::fetch::scripted::{Say, Scripted};
use crate::control::scene::introspection_at;
use crate::policy::authn::base64url;
use crate::policy::propagate::{SAML2, Signer, base64};

fn fetcher() -> Fetcher {
    Fetcher::new(Outbound { allow_http: true, timeout: Duration::from_secs(20), ..Outbound::default() })
}

fn grant(server: &Scripted) -> Grant {
    Grant {
        token_url: server.url("/token").into(),
        client_id: "gate way".into(),
        client: ClientProof::Basic(Secret::new(*b"hunter2:&")),
        audience: Some("https://up.example".into()),
        resource: Some("https://up.example/mcp".into()),
        scope: "a b".into(),
    }
}

fn wish() -> ExchangeWish {
    ExchangeWish {
        trade: Trade::TokenExchange,
        subject_token_type: "urn:ietf:params:oauth:token-type:saml2".into(),
        requested_token_type: Some("urn:ietf:params:oauth:token-type:access_token".into()),
        header: None,
    }
}

/// 2026-01-01.
const NOW: u64 = 1_767_225_600;

fn exchange(
    fetcher: &Fetcher,
    grant: &Grant,
    wish: &ExchangeWish,
    subject: &Secret,
) -> Result<Granted, Fault> {
    super::exchange(fetcher, grant, wish, subject, None, NOW)
}

const GOOD: &str = r#"{"access_token":"t0ken","token_type":"bearer","expires_in":100}"#;

#[test]
fn requests_are_those_of_the_rfcs() {
    let server = Scripted::start(|_, _| Say::ok(GOOD));
    client_credentials(&fetcher(), &grant(&server), NOW).unwrap();
    exchange(&fetcher(), &grant(&server), &wish(), &Secret::new(*b"sub/ject")).unwrap();
    let whom = introspection_at(server.url("/introspect"), "gate way", b"hunter2:&");
    introspect(&fetcher(), &whom, &Secret::new(*b"opaque")).unwrap();
    let seen = server.seen();
    let bodies: Vec<&str> = seen.iter().map(|request| request.split_once("\r\n\r\n").unwrap().1).collect();
    let wishes = "audience=https%3A%2F%2Fup.example&resource=https%3A%2F%2Fup.example%2Fmcp&scope=a+b";
    assert_eq!(bodies[0], format!("grant_type=client_credentials&{wishes}"));
    assert_eq!(
        bodies[1],
        format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=sub%2Fject\
             &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Asaml2\
             &requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token&{wishes}"
        )
    );
    assert_eq!(bodies[2], "token=opaque&token_type_hint=access_token");
    let basic = format!("authorization: Basic {}\r\n", base64::padded(b"gate+way:hunter2%3A%26"));
    for request in &seen {
        assert!(request.starts_with("POST /") && request.contains(&basic), "{request}");
        assert!(request.contains("content-type: application/x-www-form-urlencoded\r\n"), "{request}");
    }
}

#[test]
fn a_token_is_taken_only_if_it_can_be_sent_as_a_bearer() {
    let token = |body: &str| granted(body.as_bytes(), None);
    let usable = |expires: &str| {
        let body = format!(r#"{{"access_token":"t","token_type":"Bearer"{expires}}}"#);
        token(&body).map(|granted| granted.usable)
    };
    assert_eq!(token(GOOD), Ok(Granted { token: Secret::new(*b"t0ken"), usable: 90 }));
    for (expires, expected) in [
        ("", 54),
        (r#","expires_in":null"#, 54),
        (r#","expires_in":3600"#, 3240),
        (r#","expires_in":"3600""#, 3240),
        (r#","expires_in":20"#, 15),
        (r#","expires_in":5"#, 0),
        (r#","expires_in":0"#, 0),
        (r#","expires_in":99999999999"#, 77_760),
    ] {
        assert_eq!(usable(expires), Ok(expected), "{expires}");
    }
    for expires in
        [r#","expires_in":-1"#, r#","expires_in":1.5"#, r#","expires_in":"soon""#, r#","expires_in":[]"#]
    {
        assert!(usable(expires).is_err(), "{expires}");
    }
    let long = "x".repeat(TOKEN_MAX + 1);
    for (access, kind) in [
        ("", "Bearer"),
        ("=", "Bearer"),
        ("a b", "Bearer"),
        ("a\\r\\nx: y", "Bearer"),
        ("a=b", "Bearer"),
        (&long, "Bearer"),
        ("t", "N_A"),
        ("t", "DPoP"),
        ("t", "mac"),
    ] {
        let body = format!(r#"{{"access_token":"{access}","token_type":"{kind}"}}"#);
        assert!(matches!(token(&body), Err(Fault::Content(_))), "{kind}");
    }
    for body in [
        "",
        "[]",
        "<html>",
        r#"{"access_token":"t"}"#,
        r#"{"token_type":"Bearer"}"#,
        r#"{"access_token":7,"token_type":"Bearer"}"#,
    ] {
        assert!(matches!(token(body), Err(Fault::Content(_))), "{body}");
    }
    assert!(token(&format!(r#"{{"access_token":"{}","token_type":"BEARER"}}"#, &long[1..])).is_ok());
}

#[test]
fn a_refusal_is_about_the_caller_or_about_the_gateway() {
    let said = |code: &str| Said::of(code, "why \\u001b");
    for (status, code, expected) in [
        (400, "invalid_grant", Fault::Denied(said("invalid_grant"))),
        (400, "invalid_request", Fault::Denied(said("invalid_request"))),
        (400, "access_denied", Fault::Denied(said("access_denied"))),
        (403, "access_denied", Fault::Denied(said("access_denied"))),
        (400, "invalid_client", Fault::Client(said("invalid_client"))),
        (401, "invalid_client", Fault::Client(said("invalid_client"))),
        (401, "invalid_grant", Fault::Client(said("invalid_grant"))),
        (400, "invalid_target", Fault::Client(said("invalid_target"))),
        (400, "invalid_scope", Fault::Client(said("invalid_scope"))),
        (401, "", Fault::Client(Said::of("status 401", ""))),
        (403, "own_code", Fault::Client(said("own_code"))),
        (400, "own_code", Fault::Refused(400, said("own_code"))),
        (404, "", Fault::Status(404)),
    ] {
        let body = serde_json::json!({"error": code, "error_description": "why \\u001b"}).to_string();
        assert_eq!(refusal(status, body.as_bytes(), &[]), expected, "{status} {code}");
    }
    let body = serde_json::json!({"error": "x".repeat(100), "error_description": format!("a\nb{}", "y".repeat(400))})
        .to_string();
    let text = refusal(400, body.as_bytes(), &[]).to_string();
    assert!(text.contains("a\\nb") && text.len() < 450, "{text}");
    assert_eq!(refusal(400, b"<html>", &[]), Fault::Status(400));
}

#[test]
fn only_an_exchange_can_be_denied_and_only_200_is_an_answer() {
    let server =
        Scripted::start(|_, _| Say::Reply(400, String::new(), br#"{"error":"invalid_grant"}"#.into()));
    let subject = Secret::new(*b"s");
    assert!(matches!(exchange(&fetcher(), &grant(&server), &wish(), &subject), Err(Fault::Denied(_))));
    let own = client_credentials(&fetcher(), &grant(&server), NOW);
    assert!(matches!(own, Err(Fault::Client(_))), "{own:?}");
    for status in [204, 429, 500, 503] {
        let server = Scripted::start(move |_, _| Say::Reply(status, String::new(), Vec::new()));
        assert_eq!(exchange(&fetcher(), &grant(&server), &wish(), &subject), Err(Fault::Status(status)));
    }
}

#[test]
fn an_issuers_answer_about_a_token_is_passed_on_if_it_is_an_object() {
    for (say, expected) in
        [(200, "{\"active\":false}"), (200, "[]"), (200, "<html>"), (401, "{}"), (403, "{}"), (500, "{}")]
            .into_iter()
            .zip([
                Ok(Secret::new(*b"{\"active\":false}")),
                Err(Fault::Content("is not a JSON object")),
                Err(Fault::Content("is not a JSON object")),
                Err(Fault::Client(Said::of("status 401", ""))),
                Err(Fault::Client(Said::of("status 403", ""))),
                Err(Fault::Status(500)),
            ])
    {
        let (status, body) = say;
        let server = Scripted::start(move |_, _| Say::Reply(status, String::new(), body.into()));
        let whom = introspection_at(server.url("/"), "id", b"secret");
        assert_eq!(introspect(&fetcher(), &whom, &Secret::new(*b"t")), expected, "{status} {body}");
    }
}

/// The pairs of the one form that the server got.
fn form_of(request: &str) -> Vec<(&str, &str)> {
    let body = request.split_once("\r\n\r\n").unwrap().1;
    body.split('&').map(|pair| pair.split_once('=').unwrap()).collect()
}

#[test]
fn a_token_can_be_the_grant_itself() {
    for (trade, kind, more) in [
        (Trade::JwtBearer, "jwt-bearer", None),
        (Trade::OnBehalfOf, "jwt-bearer", Some(("requested_token_use", "on_behalf_of"))),
        (Trade::Saml2Bearer, "saml2-bearer", None),
    ] {
        let server = Scripted::start(|_, _| Say::ok(GOOD));
        let wish = ExchangeWish { trade, requested_token_type: None, ..wish() };
        let grant = Grant { audience: None, resource: None, ..grant(&server) };
        let subject = Secret::new(*b"sub.ject");
        super::exchange(&fetcher(), &grant, &wish, &subject, Some("https://gw/mcp"), NOW).unwrap();
        let seen = server.seen().concat();
        let kind = format!("urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3A{kind}");
        let mut expected = vec![("grant_type", kind.as_str()), ("assertion", "sub.ject")];
        expected.extend(more);
        expected.extend([("scope", "a+b"), ("resource", "https%3A%2F%2Fgw%2Fmcp")]);
        assert_eq!(form_of(&seen), expected);
    }
}

#[test]
fn a_client_proves_itself_in_the_form_where_it_is_to() {
    let server = Scripted::start(|_, _| Say::ok(GOOD));
    let post = Grant { client: ClientProof::Post(Secret::new(*b"hunter2:&")), ..grant(&server) };
    client_credentials(&fetcher(), &post, NOW).unwrap();
    let seen = server.seen().concat();
    assert!(!seen.contains("authorization:"), "{seen}");
    let form = form_of(&seen);
    assert!(form.ends_with(&[("client_id", "gate+way"), ("client_secret", "hunter2%3A%26")]), "{form:?}");
}

#[test]
fn a_client_with_a_key_signs_something_new_for_each_request() {
    let server = Scripted::start(|_, _| Say::ok(GOOD));
    let pair = rcgen::KeyPair::generate().unwrap();
    let signer = || Signer::new("gate way".into(), &pair.serialize_der()).unwrap();
    let grant = Grant { client: ClientProof::Key(Box::new(signer())), ..grant(&server) };
    for _ in 0..2 {
        client_credentials(&fetcher(), &grant, NOW).unwrap();
    }
    let seen = server.seen();
    let claims = |request: &str| -> Json {
        assert!(!request.contains("authorization:"), "{request}");
        let form: std::collections::HashMap<_, _> = form_of(request).into_iter().collect();
        assert_eq!(form["client_id"], "gate+way");
        assert_eq!(
            form["client_assertion_type"],
            "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
        );
        let claims = form["client_assertion"].split('.').nth(1).unwrap();
        serde_json::from_slice(&base64url::decode(claims.as_bytes()).unwrap()).unwrap()
    };
    let (first, second) = (claims(&seen[0]), claims(&seen[1]));
    assert_eq!((&first["iss"], &first["sub"]), (&Json::from("gate way"), &Json::from("gate way")));
    assert_eq!(first["aud"], *grant.token_url);
    assert_eq!((&first["iat"], &first["exp"]), (&Json::from(NOW), &Json::from(NOW + 60)));
    assert_ne!(first["jti"], second["jti"]);
}

#[test]
fn what_is_no_access_token_is_taken_only_where_a_header_is_made_for_it() {
    let other = |issued: &str| format!(r#"{{"access_token":"t","token_type":"N_A"{issued}}}"#);
    let saml = r#","issued_token_type":"urn:ietf:params:oauth:token-type:saml2""#;
    let asked = |header: Option<&str>, wanted: Option<&str>, body: &str| {
        let header = header.map(Into::into);
        let wish = ExchangeWish { header, requested_token_type: wanted.map(Into::into), ..wish() };
        granted(body.as_bytes(), Some(&wish)).map(|granted| granted.token)
    };
    let good = Ok(Secret::new(*b"t"));
    for wanted in [None, Some(SAML2)] {
        assert_eq!(asked(Some("x-saml"), wanted, &other(saml)), good);
        assert_eq!(asked(Some("x-saml"), wanted, &other(saml).replace("N_A", "n_a")), good);
        assert_eq!(asked(Some("x-saml"), wanted, GOOD), Ok(Secret::new(*b"t0ken")), "a bearer token, too");
    }
    let access = r#","issued_token_type":"urn:ietf:params:oauth:token-type:access_token""#;
    for (header, wanted, issued) in [
        (None, None, saml),
        (None, Some(SAML2), saml),
        (Some("x-saml"), None, ""),
        (Some("x-saml"), None, access),
        (Some("x-saml"), Some("urn:ietf:params:oauth:token-type:jwt"), saml),
    ] {
        let answer = asked(header, wanted, &other(issued));
        assert!(matches!(answer, Err(Fault::Content(_))), "{header:?} {wanted:?} {issued}");
    }
    assert!(matches!(granted(other(saml).as_bytes(), None), Err(Fault::Content(_))));
}
