//! Which proof a credential is for, and that no other is tried.

use serde_json::json;

use super::introspected::introspection;
use super::maker::{ISSUER, NOW, Setting, Signer, word};
use crate::policy::Proof;
use crate::policy::authn::api_key::{ApiKey, Hash, mint};
use crate::policy::authn::jws::is_jwt;
use crate::policy::authn::{ApiKeys, Credential, Issuer, KeySource, Outcome, Revoked};

fn keys() -> (ApiKeys, String) {
    let key = mint("build", &[7; 32]);
    let entry = ApiKey {
        id: "build".into(),
        hash: Hash::of(key.as_bytes(), &[1; 16]),
        agent: "bot".into(),
        user: None,
        tenant: None,
        roles: Box::default(),
        scopes: Box::default(),
        expires: None,
        servers: Box::default(),
    };
    (ApiKeys::new(vec![entry]), key)
}

#[test]
fn the_kind_of_a_credential_decides_who_looks_at_it() {
    let signer = Signer::es256();
    let (jwt, (api_keys, key)) = (signer.token(json!({}), json!({})), keys());
    let mut setting = Setting { anonymous: true, ..Setting::of(&signer) };
    setting.authn.api_keys = Some(api_keys);
    setting.authn.introspection = Some(introspection());
    let bearer = |token: &str| word(&setting.ask(Credential::Bearer(token.as_bytes())));
    assert_eq!((bearer(&jwt), bearer(&key)), ("known", "known"));
    assert_eq!(word(&setting.ask(Credential::ApiKey(key.as_bytes()))), "known");
    for opaque in ["abc", "a.b.c", "v1.local.abc", "eyJ.a.b.c", "ey", "RGK_a_b"] {
        assert_eq!(bearer(opaque), "needs_introspection", "{opaque}");
    }
    // No second try: not as an opaque token, not as nobody.
    assert_eq!(bearer(&signer.token(json!({"typ": "x"}), json!({}))), "unsupported_type");
    assert_eq!(bearer(&jwt[..jwt.len() - 1]), "malformed_token");
    assert_eq!(bearer("eyJhbGciOiJub25lIn0.e30."), "wrong_algorithm");
    assert_eq!(bearer("rgk_build_x"), "mistyped_api_key");
    assert_eq!(word(&setting.ask(Credential::ApiKey(jwt.as_bytes()))), "mistyped_api_key");
    assert_eq!(word(&setting.ask(Credential::ApiKey(b"abc"))), "mistyped_api_key");
    assert!(
        matches!(setting.ask(Credential::None), Outcome::Known(known) if known.proof == Proof::Anonymous)
    );
}

#[test]
fn what_is_not_configured_is_not_supported() {
    let signer = Signer::es256();
    let (jwt, (_, key)) = (signer.token(json!({}), json!({})), keys());
    let nothing = Setting { anonymous: true, ..Setting::empty() };
    for token in [jwt.as_str(), &key, "abc"] {
        assert_eq!(nothing.word(token), "unsupported");
    }
    assert_eq!(word(&nothing.ask(Credential::ApiKey(key.as_bytes()))), "unsupported");
    assert!(matches!(
        nothing.authn.introspected(b"{\"active\":true}", &nothing.facts()),
        Outcome::Refused(_)
    ));
    let mut asks = Setting::empty();
    asks.authn.introspection = Some(introspection());
    assert_eq!(asks.word(&jwt), "needs_introspection", "without issuers of JWTs a JWT is as opaque as any");
}

#[test]
fn nobody_is_anonymous_but_who_shows_nothing_where_it_is_permitted() {
    let signer = Signer::es256();
    let mut setting = Setting::of(&signer);
    setting.authn.anonymous_roles = ["guest".into()].into();
    assert_eq!(word(&setting.ask(Credential::None)), "no_credential");
    setting.anonymous = true;
    let Outcome::Known(nobody) = setting.ask(Credential::None) else { panic!("anonymous") };
    assert!(nobody.proof == Proof::Anonymous && nobody.has_role("guest") && nobody.agent.is_none());
    assert_eq!(setting.word(&signer.token(json!({}), json!({"exp": NOW - 60}))), "expired");
    assert_eq!(setting.word("abc"), "malformed_token");
    // A certificate says nothing where certificates do not count.
    setting.certificate = Some(vec![1, 2, 3]);
    assert_eq!(word(&setting.ask(Credential::None)), "known");
}

#[test]
fn a_revoked_credential_is_refused_whatever_its_kind() {
    let signer = Signer::es256();
    let (api_keys, key) = keys();
    let mut setting = Setting::of(&signer);
    setting.authn.api_keys = Some(api_keys);
    setting.authn.introspection = Some(introspection());
    setting.authn.revoked = Revoked::parse(b"jti:t1\nkey:build\n");
    assert_eq!(setting.word(&signer.token(json!({}), json!({}))), "revoked");
    assert_eq!(setting.word(&signer.token(json!({}), json!({"jti": "t2"}))), "known");
    assert_eq!(setting.word(&signer.token(json!({}), json!({"jti": null}))), "known");
    assert_eq!(setting.word(&key), "revoked");
    let answer = json!({"active": true, "aud": super::AUDIENCE, "sub": "u", "jti": "t1"}).to_string();
    assert_eq!(word(&setting.authn.introspected(answer.as_bytes(), &setting.facts())), "revoked");
    // Who may not know is not told that it is revoked.
    assert_eq!(setting.word(&Signer::es256().token(json!({}), json!({}))), "bad_signature");
}

#[test]
fn clients_are_sent_to_issuers_that_are_urls() {
    let mut setting = Setting::empty();
    let issuer = |name| Issuer::new(name, KeySource::Discovery);
    setting.authn.issuers =
        [issuer(ISSUER), issuer("kubernetes/serviceaccount"), issuer("http://localhost:1")].into();
    setting.authn.introspection = Some(introspection());
    let servers =
        |setting: &Setting| setting.authn.authorization_servers().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(servers(&setting), [ISSUER, "http://localhost:1"]);
    if let Some(asked) = &mut setting.authn.introspection {
        asked.issuer = Some("https://opaque.example".into());
    }
    assert_eq!(servers(&setting), [ISSUER, "http://localhost:1", "https://opaque.example"]);
    if let Some(asked) = &mut setting.authn.introspection {
        asked.issuer = Some(ISSUER.into());
    }
    assert_eq!(servers(&setting), [ISSUER, "http://localhost:1"], "none twice");
}

#[test]
fn a_jwt_is_told_by_its_form() {
    for header in ["{}", "{\"alg\":1}", "{ \"a\":1}", "{\n\"a\":1}", "{\t}", "{\u{e4}}"] {
        let token = format!("{}.e30.AAAA", crate::policy::authn::base64url::encode(header.as_bytes()));
        assert!(is_jwt(token.as_bytes()), "{header}");
    }
    for token in ["", ".", "..", "e..", "a.b.c", "eyJ", "eyJ.a", "eyJ.a.b.c", "Zm9v.e30.AAAA", "[]"] {
        assert!(!is_jwt(token.as_bytes()), "{token}");
    }
}

#[test]
fn nothing_of_a_credential_is_printed() {
    let signer = Signer::es256();
    let (api_keys, key) = keys();
    let mut setting = Setting::of(&signer);
    setting.authn.api_keys = Some(api_keys);
    setting.authn.introspection = Some(introspection());
    let hash = Hash::of(key.as_bytes(), &[1; 16]).reveal();
    let shown = format!("{:?} {:#?}", setting.authn, setting.authn);
    assert!(shown.contains("build") && shown.contains("***"));
    for secret in [&*hash, hash.rsplit(':').next().unwrap(), "hunter2", &key] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let refused = setting.show(&signer.token(json!({}), json!({"aud": "hunter2"})));
    assert!(!format!("{refused:?}").contains("hunter2"));
}
