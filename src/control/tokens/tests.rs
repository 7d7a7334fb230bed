#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;
use crate::config::snapshot::Outbound;
use crate::control::fetch::scripted::{Say, Scripted};
use crate::control::scene::introspection_at;
use crate::policy::propagate::base64;

fn fetcher() -> Fetcher {
    Fetcher::new(Outbound { allow_http: true, timeout: Duration::from_secs(20), ..Outbound::default() })
}

fn grant(server: &Scripted) -> Grant {
    Grant {
        token_url: server.url("/token").into(),
        client_id: "gate way".into(),
        client_secret: Secret::new(*b"hunter2:&"),
        audience: Some("https://up.example".into()),
        resource: Some("https://up.example/mcp".into()),
        scope: "a b".into(),
    }
}

fn wish() -> ExchangeWish {
    ExchangeWish {
        subject_token_type: "urn:ietf:params:oauth:token-type:saml2".into(),
        requested_token_type: Some("urn:ietf:params:oauth:token-type:access_token".into()),
    }
}

const GOOD: &str = r#"{"access_token":"t0ken","token_type":"bearer","expires_in":100}"#;

#[test]
fn requests_are_those_of_the_rfcs() {
    let server = Scripted::start(|_, _| Say::ok(GOOD));
    client_credentials(&fetcher(), &grant(&server)).unwrap();
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
    let token = |body: &str| granted(body.as_bytes());
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
    for (status, code, expected) in [
        (400, "invalid_grant", Fault::Denied),
        (400, "invalid_request", Fault::Denied),
        (400, "access_denied", Fault::Denied),
        (403, "access_denied", Fault::Denied),
        (400, "invalid_client", Fault::Client("invalid_client".into())),
        (401, "invalid_client", Fault::Client("invalid_client".into())),
        (401, "invalid_grant", Fault::Client("invalid_grant".into())),
        (400, "invalid_target", Fault::Client("invalid_target".into())),
        (400, "invalid_scope", Fault::Client("invalid_scope".into())),
        (401, "", Fault::Client("status 401".into())),
        (403, "hunter2", Fault::Client("status 403".into())),
        (400, "hunter2", Fault::Status(400)),
        (404, "", Fault::Status(404)),
    ] {
        let body = format!(r#"{{"error":"{code}","error_description":"hunter2"}}"#);
        let fault = refusal(status, body.as_bytes());
        assert!(!fault.to_string().contains("hunter2"), "{fault}");
        assert_eq!(fault, expected, "{status} {code}");
    }
    assert_eq!(refusal(400, b"<html>"), Fault::Status(400));
}

#[test]
fn only_an_exchange_can_be_denied_and_only_200_is_an_answer() {
    let server =
        Scripted::start(|_, _| Say::Reply(400, String::new(), br#"{"error":"invalid_grant"}"#.into()));
    let subject = Secret::new(*b"s");
    assert_eq!(exchange(&fetcher(), &grant(&server), &wish(), &subject), Err(Fault::Denied));
    let own = client_credentials(&fetcher(), &grant(&server));
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
                Err(Fault::Client("status 401".into())),
                Err(Fault::Client("status 403".into())),
                Err(Fault::Status(500)),
            ])
    {
        let (status, body) = say;
        let server = Scripted::start(move |_, _| Say::Reply(status, String::new(), body.into()));
        let whom = introspection_at(server.url("/"), "id", b"secret");
        assert_eq!(introspect(&fetcher(), &whom, &Secret::new(*b"t")), expected, "{status} {body}");
    }
}
