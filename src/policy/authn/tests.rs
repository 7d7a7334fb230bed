#![allow(clippy::unwrap_used)]

use super::*;

mod bad_tokens;
mod dispatch;
mod introspected;
mod key_sets;
mod keys_missing;
pub(super) mod maker;
mod mutations;

use maker::{AUDIENCE, ISSUER, NOW, Setting, Signer};
use serde_json::json;

fn every_signer() -> Vec<Signer> {
    let rsa = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"].map(Signer::rsa);
    [Signer::es256(), Signer::es384(), Signer::ed25519()].into_iter().chain(rsa).collect()
}

#[test]
fn every_algorithm_verifies_its_own_signatures_and_no_other() {
    let signers = every_signer();
    for signer in &signers {
        let setting = Setting::of(signer);
        let known = setting.known(&signer.token(json!({}), json!({})));
        assert_eq!((known.proof, &*known.issuer), (crate::policy::Proof::Jwt, ISSUER), "{}", signer.name());
        assert_eq!((known.agent.as_deref(), known.user.as_deref()), (Some("a"), Some("u")));
        assert_eq!((known.credential.as_deref(), known.expires), (Some("t1"), Some(NOW + 300)));
        assert_eq!(known.claims["aud"], AUDIENCE);
        for other in signers.iter().filter(|other| other.name() != signer.name()) {
            // Signed by one, said to be signed by the other.
            let word = setting.word(&signer.token(json!({"alg": other.name()}), json!({})));
            assert!(["bad_signature", "wrong_algorithm"].contains(&word), "{} {word}", other.name());
        }
        // By another key of the same kind; there is only one of RSA.
        if !matches!(signer, Signer::Rsa(..)) {
            let other = match signer.name() {
                "ES256" => Signer::es256(),
                "ES384" => Signer::es384(),
                _ => Signer::ed25519(),
            };
            assert_eq!(setting.word(&other.token(json!({}), json!({}))), "bad_signature");
        }
    }
}

#[test]
fn permitted_spellings_of_a_token_are_accepted() {
    let signer = Signer::es256();
    let setting = Setting::of(&signer);
    for header in [
        json!({"typ": null}),
        json!({"typ": "JWT"}),
        json!({"typ": "jwt"}),
        json!({"typ": "AT+JWT"}),
        json!({"typ": "application/at+jwt"}),
        json!({"kid": null}),
        // Keys in the header, and where to fetch some, are not looked at.
        json!({"jwk": Signer::es256().jwk(), "jku": "https://evil.example/keys", "x5u": "https://evil.example"}),
        json!({"cty": "x", "private": {"a": [1]}}),
    ] {
        assert_eq!(setting.word(&signer.token(header.clone(), json!({}))), "known", "{header}");
    }
    for claims in [
        json!({"aud": [AUDIENCE]}),
        json!({"aud": ["https://other.example", AUDIENCE]}),
        json!({"exp": NOW + 1, "nbf": NOW, "iat": null}),
        json!({"exp": (NOW + 300) as f64 + 0.5, "iat": NOW as f64 - 0.5}),
        json!({"scope": "", "roles": [], "tenant": null}),
    ] {
        assert_eq!(setting.word(&signer.token(json!({}), claims.clone())), "known", "{claims}");
    }
}

#[test]
fn the_options_of_an_issuer_count() {
    let signer = Signer::es256();
    let word = |change: &dyn Fn(&mut Issuer), header: serde_json::Value, claims: serde_json::Value| {
        let mut setting = Setting::of(&signer);
        change(&mut setting.authn.issuers[0]);
        setting.word(&signer.token(header, claims))
    };
    let only_rsa =
        |issuer: &mut Issuer| issuer.algorithms = [algorithm::Algorithm::Rs256].into_iter().collect();
    assert_eq!(word(&only_rsa, json!({}), json!({})), "wrong_algorithm");
    let audience = |issuer: &mut Issuer| issuer.audiences = ["api://gateway".into()].into();
    assert_eq!(word(&audience, json!({}), json!({"aud": "api://gateway"})), "known");
    assert_eq!(word(&audience, json!({}), json!({})), "known", "the server's own stays good");
    assert_eq!(word(&audience, json!({}), json!({"aud": "api://gatewa"})), "wrong_audience");
    let types = |issuer: &mut Issuer| issuer.types = ["x+jwt".into()].into();
    assert_eq!(word(&types, json!({"typ": "application/X+JWT"}), json!({})), "known");
    assert_eq!(word(&types, json!({"typ": "JWT"}), json!({})), "unsupported_type");
    let exact = |issuer: &mut Issuer| issuer.skew = 0;
    assert_eq!(word(&exact, json!({}), json!({"exp": NOW})), "expired");
    assert_eq!(word(&exact, json!({}), json!({"iat": NOW + 1})), "not_yet_valid");
    let age = |issuer: &mut Issuer| (issuer.age_max, issuer.skew) = (Some(60), 0);
    assert_eq!(word(&age, json!({}), json!({"iat": NOW - 59})), "known");
    assert_eq!(word(&age, json!({}), json!({"iat": NOW - 60})), "too_old");
    assert_eq!(word(&age, json!({}), json!({"iat": null})), "malformed_claims");
}

#[test]
fn for_whom_a_token_is_may_stand_elsewhere_or_nowhere_where_the_issuer_says_so() {
    let signer = Signer::es256();
    let word = |paths: &[&str], require: bool, claims: serde_json::Value| {
        let mut setting = Setting::of(&signer);
        let issuer = &mut setting.authn.issuers[0];
        issuer.audience_claims = paths.iter().filter_map(|path| claims::ClaimPath::parse(path)).collect();
        issuer.require_audience = require;
        issuer.audiences = ["app".into()].into();
        setting.word(&signer.token(json!({}), claims))
    };
    let none = json!({"aud": null, "client_id": "app"});
    assert_eq!(word(&["aud"], true, none.clone()), "wrong_audience");
    assert_eq!(word(&["aud", "client_id"], true, none.clone()), "known");
    assert_eq!(word(&["aud"], false, none), "known");
    // What is there counts, and nothing makes up for it.
    let other = json!({"aud": "other", "client_id": "app"});
    assert_eq!(word(&["aud", "client_id"], true, other.clone()), "wrong_audience");
    assert_eq!(word(&["aud"], false, other), "wrong_audience");
    assert_eq!(word(&["aud", "client_id"], false, json!({"aud": null, "client_id": "x"})), "wrong_audience");
    assert_eq!(word(&["aud", "client_id"], true, json!({"aud": null, "client_id": null})), "wrong_audience");
}

#[test]
fn the_age_of_a_token_ends_what_is_made_from_it() {
    let signer = Signer::es256();
    let mut setting = Setting::of(&signer);
    setting.authn.issuers[0].age_max = Some(60);
    assert_eq!(setting.known(&signer.token(json!({}), json!({"iat": NOW - 10}))).expires, Some(NOW + 50));
    assert_eq!(setting.known(&signer.token(json!({}), json!({"exp": NOW + 5}))).expires, Some(NOW + 5));
}

#[test]
fn required_claims_must_be_there_with_their_value() {
    let signer = Signer::es256();
    let mut setting = Setting::of(&signer);
    let path = |text: &str| claims::ClaimPath::parse(text).unwrap();
    setting.authn.issuers[0].required = [
        (path("hd"), Some("example.com".into())),
        (path("email_verified"), Some("true".into())),
        (path("level.of"), Some("3".into())),
        (path("amr"), Some("mfa".into())),
        (path("any"), None),
    ]
    .into();
    let good = json!({"hd": "example.com", "email_verified": true, "level": {"of": 3}, "amr": ["pwd", "mfa"], "any": {}});
    assert_eq!(setting.word(&signer.token(json!({}), good.clone())), "known");
    for (name, value) in [
        ("hd", json!("example.com.evil")),
        ("hd", json!(null)),
        ("hd", json!({"example.com": 1})),
        ("email_verified", json!(false)),
        ("level", json!({"of": 4})),
        ("level", json!(3)),
        ("amr", json!(["pwd"])),
        ("amr", json!([["mfa"]])),
        ("any", json!(null)),
    ] {
        let mut claims = good.clone();
        claims[name] = value.clone();
        assert_eq!(setting.word(&signer.token(json!({}), claims)), "required_claim", "{name} {value}");
    }
}
