//! Keys that are not there yet, that rotate, and that never come.

use serde_json::json;

use super::maker::{NOW, Setting, Signer, set};
use crate::policy::authn::{Issuer, KeySource, Outcome};

#[test]
fn missing_keys_are_asked_for_once_and_then_the_token_is_refused() {
    let signer = Signer::es256();
    let mut setting = Setting::of(&signer);
    let token = signer.token(json!({}), json!({}));
    let unknown = signer.token(json!({"kid": "new"}), json!({}));
    assert_eq!(setting.word(&unknown), "needs_keys");
    setting.keys = vec![None];
    assert!(matches!(setting.show(&token), Outcome::NeedsKeys(0)));
    setting.fresh = true;
    let Outcome::Refused(refused) = setting.show(&token) else { panic!("no keys") };
    assert_eq!((refused.status, refused.reason), (503, "no_keys"));
    setting = Setting { fresh: true, ..Setting::of(&signer) };
    assert_eq!(setting.word(&unknown), "unknown_key");
    // Facts that were made for another configuration.
    setting.keys = Vec::new();
    assert_eq!(setting.word(&token), "no_keys");
}

#[test]
fn the_issuer_whose_keys_are_needed_is_named() {
    let signer = Signer::es256();
    let mut setting = Setting::of(&signer);
    setting.authn.issuers = [
        Issuer::new("https://x.example", KeySource::Discovery),
        Issuer::new("https://y.example", KeySource::Discovery),
    ]
    .into();
    setting.keys = vec![None, None];
    let token = signer.token(json!({}), json!({"iss": "https://y.example"}));
    assert!(matches!(setting.show(&token), Outcome::NeedsKeys(1)));
}

#[test]
fn a_token_that_no_key_can_save_is_not_worth_a_fetch() {
    let signer = Signer::es256();
    let setting = Setting { keys: vec![None], ..Setting::of(&signer) };
    for (header, claims, word) in [
        (json!({}), json!({"exp": NOW - 60}), "expired"),
        (json!({}), json!({"aud": "https://other.example"}), "wrong_audience"),
        (json!({}), json!({"iss": "https://evil.example"}), "unknown_issuer"),
        (json!({"alg": "HS256"}), json!({}), "wrong_algorithm"),
        (json!({"typ": "logout+jwt"}), json!({}), "unsupported_type"),
    ] {
        assert_eq!(setting.word(&signer.token(header, claims)), word);
    }
}

#[test]
fn keys_rotate() {
    let (old, new) = (Signer::es256(), Signer::rsa("PS256"));
    let jwk = |signer: &Signer, kid: &str| signer.jwk_with(json!({"kid": kid}));
    let tokens = [old.token(json!({"kid": "1"}), json!({})), new.token(json!({"kid": "2"}), json!({}))];
    let mut setting = Setting::of(&old);
    let mut words = |keys: &[serde_json::Value]| {
        setting.keys = vec![Some(set(keys))];
        tokens.each_ref().map(|token| setting.word(token))
    };
    assert_eq!(words(&[jwk(&old, "1")]), ["known", "needs_keys"]);
    assert_eq!(words(&[jwk(&old, "1"), jwk(&new, "2")]), ["known", "known"]);
    assert_eq!(words(&[jwk(&new, "2")]), ["needs_keys", "known"], "what is not published counts no more");
}

#[test]
fn a_token_without_a_kid_needs_one_key_that_could_be_meant() {
    let (one, other, rsa) = (Signer::es256(), Signer::es256(), Signer::rsa("RS256"));
    let token = one.token(json!({"kid": null}), json!({}));
    let mut setting = Setting::of(&one);
    let mut word = |keys: &[serde_json::Value], fresh: bool| {
        (setting.keys, setting.fresh) = (vec![Some(set(keys))], fresh);
        setting.word(&token)
    };
    assert_eq!(word(&[one.jwk(), rsa.jwk()], false), "known", "the RSA key cannot be meant");
    assert_eq!(word(&[one.jwk(), other.jwk()], false), "ambiguous_key");
    assert_eq!(word(&[rsa.jwk()], false), "needs_keys");
    assert_eq!(word(&[rsa.jwk()], true), "unknown_key");
    // The only key may have been replaced.
    assert_eq!(word(&[other.jwk()], false), "needs_keys");
    assert_eq!(word(&[other.jwk()], true), "bad_signature");
    // A key without an id may be the one of that name, if no key has it: the signature decides. It may have been replaced.
    let named = one.token(json!({"kid": "k"}), json!({}));
    (setting.keys, setting.fresh) = (vec![Some(set(&[one.jwk()]))], true);
    assert_eq!(setting.word(&named), "known");
    (setting.keys, setting.fresh) = (vec![Some(set(&[other.jwk()]))], false);
    assert_eq!(setting.word(&named), "needs_keys");
}
