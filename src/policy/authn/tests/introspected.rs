//! What an introspection endpoint may say.

use serde_json::{Value as Json, json};

use super::maker::{AUDIENCE, NOW, Setting, word};
use crate::base::Secret;
use crate::policy::Proof;
use crate::policy::authn::claims::Mapping;
use crate::policy::authn::introspection::ANSWER_BYTES_MAX;
use crate::policy::authn::{Credential, Introspection, Outcome};
use crate::policy::authz::Pattern;

pub(super) fn introspection() -> Introspection {
    Introspection {
        url: "https://idp.example/introspect".into(),
        client_id: "gateway".into(),
        client_secret: Secret::new(*b"hunter2"),
        token_pattern: None,
        issuer: None,
        authorization_server: None,
        cache: 60,
        require_audience: true,
        audiences: Box::default(),
        skew: 30,
        required: Box::default(),
        mapping: Mapping::default(),
    }
}

fn asked(change: impl FnOnce(&mut Introspection), answer: &Json) -> Outcome {
    let mut setting = Setting::empty();
    let mut introspection = introspection();
    change(&mut introspection);
    setting.authn.introspection = Some(introspection);
    setting.authn.introspected(answer.to_string().as_bytes(), &setting.facts())
}

fn with(more: Json) -> Json {
    let mut answer = json!({"active": true, "aud": AUDIENCE, "exp": NOW + 300, "sub": "u", "client_id": "a", "scope": "x y"});
    for (name, value) in more.as_object().unwrap() {
        if value.is_null() {
            answer.as_object_mut().unwrap().remove(name);
        } else {
            answer[name] = value.clone();
        }
    }
    answer
}

#[test]
fn an_active_token_is_somebodys() {
    let Outcome::Known(known) = asked(|_| (), &with(json!({}))) else { panic!("known") };
    assert_eq!((known.proof, &*known.issuer), (Proof::Introspection, "https://idp.example/introspect"));
    assert_eq!((known.agent.as_deref(), known.user.as_deref()), (Some("a"), Some("u")));
    assert!(known.has_scope("x") && known.has_scope("y"));
    let answer = with(json!({"iss": "https://idp.example", "token_type": "bearer"}));
    let issuer = |asked: &mut Introspection| asked.issuer = Some("https://idp.example".into());
    assert!(
        matches!(asked(issuer, &answer), Outcome::Known(known) if &*known.issuer == "https://idp.example")
    );
}

#[test]
fn an_answer_need_not_name_its_issuer_and_may_name_no_other() {
    let word_of = |iss: Json| {
        let issuer = |asked: &mut Introspection| asked.issuer = Some("https://idp.example".into());
        word(&asked(issuer, &with(json!({ "iss": iss }))))
    };
    assert_eq!(word_of(json!(null)), "known");
    assert_eq!(word_of(json!("https://idp.example")), "known");
    for other in [json!("https://idp.example/"), json!(""), json!(1), json!(["https://idp.example"])] {
        assert_eq!(word_of(other.clone()), "unknown_issuer", "{other}");
    }
    let insists = |asked: &mut Introspection| {
        asked.required = [(crate::policy::authn::claims::ClaimPath::parse("iss").unwrap(), None)].into();
    };
    assert_eq!(word(&asked(insists, &with(json!({})))), "required_claim");
}

#[test]
fn an_answer_is_believed_for_a_while_and_never_past_the_end_of_the_token() {
    let until = |more: Json| match asked(|_| (), &with(more)) {
        Outcome::Known(known) => known.expires,
        other => panic!("{other:?}"),
    };
    assert_eq!(until(json!({})), Some(NOW + 60));
    assert_eq!(until(json!({"exp": NOW + 59})), Some(NOW + 59));
    assert_eq!(until(json!({"exp": null})), Some(NOW + 60));
}

#[test]
fn whatever_is_not_right_is_refused() {
    for (more, reason) in [
        (json!({"active": false}), "inactive"),
        (json!({"active": null}), "malformed_answer"),
        (json!({"active": "true"}), "malformed_answer"),
        (json!({"active": 1}), "malformed_answer"),
        (json!({"exp": NOW - 30}), "expired"),
        (json!({"exp": "x"}), "malformed_claims"),
        (json!({"nbf": NOW + 31}), "not_yet_valid"),
        (json!({"iat": NOW + 31}), "not_yet_valid"),
        (json!({"aud": null}), "wrong_audience"),
        (json!({"aud": "https://other.example"}), "wrong_audience"),
        (json!({"token_type": "DPoP"}), "unsupported_type"),
        (json!({"token_type": 7}), "unsupported_type"),
        (json!({"cnf": {"x5t#S256": "x"}}), "bound_token"),
        (json!({"sub": null, "client_id": null}), "no_subject"),
        (json!({"scope": 7}), "malformed_claims"),
    ] {
        assert_eq!(word(&asked(|_| (), &with(more.clone()))), reason, "{more}");
    }
    let issuer = |asked: &mut Introspection| asked.issuer = Some("https://idp.example".into());
    assert_eq!(word(&asked(issuer, &with(json!({"iss": "https://evil.example"})))), "unknown_issuer");
    let lenient = |asked: &mut Introspection| asked.require_audience = false;
    assert_eq!(word(&asked(lenient, &with(json!({"aud": null})))), "known");
    assert_eq!(word(&asked(lenient, &with(json!({"aud": "https://other.example"})))), "wrong_audience");
    let shared = |asked: &mut Introspection| asked.audiences = ["api".into()].into();
    assert_eq!(word(&asked(shared, &with(json!({"aud": ["api"]})))), "known");
}

#[test]
fn garbage_is_no_answer() {
    let mut setting = Setting::empty();
    setting.authn.introspection = Some(introspection());
    let long = format!(r#"{{"active":true,"x":"{}"}}"#, "x".repeat(ANSWER_BYTES_MAX));
    for answer in [
        "",
        "true",
        "[]",
        "<html>",
        r#"{"active":true,"active":true}"#,
        r#"{"active":false,"active":true}"#,
        &long,
    ] {
        let outcome = setting.authn.introspected(answer.as_bytes(), &setting.facts());
        let Outcome::Refused(refused) = outcome else { panic!("{outcome:?}") };
        assert_eq!((refused.status, refused.reason), (503, "malformed_answer"));
    }
}

#[test]
fn nobody_is_asked_about_a_token_that_looks_like_no_token_of_theirs() {
    let mut setting = Setting::empty();
    let mut asked = introspection();
    asked.token_pattern = Some(Pattern::parse("gho_*").unwrap());
    setting.authn.introspection = Some(asked);
    let outcome = |setting: &Setting, token: &[u8]| {
        setting.authn.authenticate(Credential::Bearer(token), &setting.facts())
    };
    for token in [&b"gho_x"[..], b"gho_"] {
        assert!(matches!(outcome(&setting, token), Outcome::NeedsIntrospection));
    }
    for token in [&b"gh"[..], b"xgho_x", b"GHO_x", b"\xffgho_", b""] {
        let Outcome::Refused(refused) = outcome(&setting, token) else { panic!("{token:?}") };
        assert_eq!((refused.status, refused.reason), (401, "unsupported"));
    }
    setting.authn.introspection = Some(introspection());
    assert!(matches!(outcome(&setting, b"anything"), Outcome::NeedsIntrospection));
}
