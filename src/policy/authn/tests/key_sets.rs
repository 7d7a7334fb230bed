//! JWK sets, good and bad.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::every_signer;
use super::maker::{Setting, Signer, set};
use crate::policy::authn::KeySet;
use crate::policy::authn::base64url::encode;
use crate::policy::authn::keys::{KEYS_MAX, SET_BYTES_MAX};

fn parsed(set: &Json) -> Result<KeySet, String> {
    KeySet::parse(set.to_string().as_bytes())
}

#[test]
fn usable_keys_are_kept_and_others_are_passed_over() {
    let signer = Signer::es256();
    let usable = |more: Json| parsed(&json!({"keys": [signer.jwk_with(more)]})).is_ok();
    for more in [
        json!({}),
        json!({"use": "sig"}),
        json!({"use": "jwt-svid"}),
        json!({"key_ops": ["verify"]}),
        json!({"key_ops": ["sign", "verify"], "alg": "ES256", "x5t": "abc"}),
    ] {
        assert!(usable(more.clone()), "{more}");
    }
    for more in [
        json!({"use": "enc"}),
        json!({"use": 7}),
        json!({"use": "x509-svid"}),
        json!({"key_ops": ["encrypt"]}),
        json!({"key_ops": "verify"}),
        json!({"alg": "ES384"}),
        json!({"alg": "RS256"}),
        json!({"alg": "HS256"}),
        json!({"alg": "none"}),
        json!({"alg": 7}),
        json!({"kid": 7}),
        json!({"kid": "k".repeat(1025)}),
        json!({"crv": "P-384"}),
        json!({"crv": "P-521"}),
        json!({"crv": "secp256k1"}),
        json!({"crv": null}),
        json!({"kty": "oct", "k": "AAAA"}),
        json!({"kty": "ec"}),
        json!({"kty": null}),
        json!({"x": null}),
        json!({"x": "AAAA"}),
        json!({"x": "!"}),
        json!({"y": encode(&[0; 33])}),
        json!({"d": encode(&[1; 32])}),
    ] {
        assert!(!usable(more.clone()), "{more}");
        let with_good =
            json!({"keys": [signer.jwk_with(more.clone()), signer.jwk_with(json!({"kid": "good"}))]});
        assert_eq!(format!("{:?}", parsed(&with_good)), r#"Ok([Some("good")])"#, "{more}");
    }
}

#[test]
fn names_without_a_value_are_as_if_they_were_not_there() {
    let signer = Signer::es256();
    let mut jwk = signer.jwk();
    for name in ["use", "kid", "alg", "key_ops"] {
        jwk[name] = Json::Null;
    }
    let mut setting = Setting::of(&signer);
    setting.keys = vec![Some(set(&[jwk]))];
    assert_eq!(setting.word(&signer.token(json!({"kid": null}), json!({}))), "known");
    let text = signer.token(json!({}), json!({}));
    let claims = text.split('.').nth(1).unwrap();
    let claims =
        String::from_utf8(crate::policy::authn::base64url::decode(claims.as_bytes()).unwrap()).unwrap();
    assert_eq!(setting.word(&signer.token_of(r#"{"alg":"ES256","kid":null}"#, &claims)), "known");
}

#[test]
fn a_key_without_an_id_is_meant_where_no_other_can_be() {
    let (signer, named, unnamed) = (Signer::es256(), Signer::es256(), Signer::es256());
    let word = |keys: &[Json]| {
        let mut setting = Setting::of(&signer);
        (setting.keys, setting.fresh) = (vec![Some(set(keys))], true);
        setting.word(&signer.token(json!({"kid": "k"}), json!({})))
    };
    assert_eq!(word(&[signer.jwk()]), "known");
    assert_eq!(word(&[signer.jwk(), named.jwk_with(json!({"kid": "other"}))]), "known");
    assert_eq!(word(&[signer.jwk(), named.jwk_with(json!({"kid": "k"}))]), "bad_signature");
    assert_eq!(word(&[signer.jwk(), unnamed.jwk()]), "ambiguous_key");
    assert_eq!(word(&[Signer::ed25519().jwk()]), "unknown_key");
}

#[test]
fn keys_that_are_not_used_are_named_with_the_reason() {
    let signer = Signer::es256();
    let keys = parsed(&json!({"keys": [
        signer.jwk_with(json!({"kid": "good"})),
        signer.jwk_with(json!({"kid": "enc", "use": "enc"})),
        signer.jwk_with(json!({"kid": "five", "crv": "P-521"})),
        signer.jwk_with(json!({"alg": "ES384"})),
        7,
    ]}));
    let keys = keys.unwrap();
    assert!(!keys.dropped().is_usual());
    assert_eq!(
        keys.dropped().to_string(),
        "`enc` is for encryption (`use`), `five` is of another kind than RSA, P-256, P-384 and Ed25519 (`kty`, `crv`), \
         `keys[3]` is for an algorithm that is not accepted, or does not fit it (`alg`), `keys[4]` is not an object"
    );
    let usual = parsed(&json!({"keys": [signer.jwk(), signer.jwk_with(json!({"use": "enc"}))]})).unwrap();
    assert!(usual.dropped().is_usual());
    let none = parsed(&json!({"keys": [signer.jwk_with(json!({"kid": "a\nb", "use": "x"}))]})).unwrap_err();
    assert!(none.ends_with("known here: `a\\nb` is for something else than JWTs (`use`)"), "{none}");
}

#[test]
fn an_rsa_key_has_at_least_2048_bits_and_a_sane_exponent() {
    let usable = |modulus: &[u8], exponent: &[u8]| {
        parsed(&json!({"keys": [{"kty": "RSA", "n": encode(modulus), "e": encode(exponent)}]})).is_ok()
    };
    let mut modulus = vec![0xff; 256];
    assert!(
        usable(&modulus, &[1, 0, 1])
            && usable(&modulus, &[3])
            && usable(&[&[0], &modulus[..]].concat(), &[1, 0, 1])
    );
    assert!(usable(&[0xff; 1024], &[1, 0, 1]) && !usable(&[0xff; 1025], &[1, 0, 1]), "8192 bits");
    for exponent in [&b""[..], &[0], &[1], &[2], &[1, 0, 0], &[1, 0, 0, 0, 1]] {
        assert!(!usable(&modulus, exponent), "{exponent:?}");
    }
    assert!(!usable(&[0xff; 128], &[1, 0, 1]), "1024 bits");
    modulus[0] = 0x7f;
    assert!(!usable(&modulus, &[1, 0, 1]), "2047 bits");
    modulus[0] = 0xff;
    modulus[255] = 0xfe;
    assert!(!usable(&modulus, &[1, 0, 1]), "even");
    assert!(!usable(&[], &[1, 0, 1]) && !usable(&[0; 256], &[1, 0, 1]));
}

#[test]
fn an_rsa_key_with_an_algorithm_verifies_that_one_only() {
    let signers = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"].map(Signer::rsa);
    for pinned in &signers {
        let mut setting = Setting::of(pinned);
        setting.keys = vec![Some(set(&[pinned.jwk_with(json!({"kid": "k", "alg": pinned.name()}))]))];
        for signer in &signers {
            let expected = if signer.name() == pinned.name() { "known" } else { "wrong_algorithm" };
            assert_eq!(setting.word(&signer.token(json!({}), json!({}))), expected);
        }
    }
}

#[test]
fn a_point_that_is_not_on_its_curve_verifies_nothing() {
    let signer = Signer::es256();
    let mut setting = Setting::of(&signer);
    setting.keys = vec![Some(set(&[signer.jwk_with(json!({"kid": "k", "y": encode(&[1; 32])}))]))];
    assert_eq!(setting.word(&signer.token(json!({}), json!({}))), "bad_signature");
}

#[test]
fn a_key_that_is_published_twice_is_one_key() {
    let (signer, other) = (Signer::es256(), Signer::es256());
    let key = |signer: &Signer| signer.jwk_with(json!({"kid": "k"}));
    let mut setting = Setting::of(&signer);
    setting.keys = vec![Some(set(&[key(&signer), key(&signer)]))];
    assert_eq!(setting.word(&signer.token(json!({}), json!({}))), "known");
    setting.keys = vec![Some(set(&[key(&signer), key(&other)]))];
    assert_eq!(setting.word(&signer.token(json!({}), json!({}))), "ambiguous_key", "two keys of one name");
}

#[test]
fn garbage_is_no_key_set_and_is_not_quoted() {
    let good = Signer::es256().jwk().to_string();
    for text in [
        "",
        "hunter2",
        "[]",
        "{}",
        "null",
        r#"{"keys":null}"#,
        r#"{"keys":{}}"#,
        r#"{"keys":[]}"#,
        r#"{"keys":[7,null,"hunter2",[]]}"#,
        r#"{"keys":[{"kty":"oct","k":"aHVudGVyMg"}]}"#,
        "<html>hunter2</html>",
        &format!(r#"{{"keys":[{good}],"keys":[{good}]}}"#),
        &format!(r#"{{"keys":[{good}]}} hunter2"#),
        &format!(r#"{{"keys":[{}]}}"#, good.replacen('{', r#"{"kty":"RSA","#, 1)),
    ] {
        let what = KeySet::parse(text.as_bytes()).unwrap_err();
        assert!(!what.contains("hunter2"), "{what}");
    }
    assert!(KeySet::parse(b"\xff\xfe").is_err());
}

#[test]
fn the_size_has_a_bound() {
    let key = Signer::ed25519().jwk();
    assert!(parsed(&json!({"keys": vec![key.clone(); KEYS_MAX]})).is_ok());
    assert!(parsed(&json!({"keys": vec![key.clone(); KEYS_MAX + 1]})).is_err());
    let of_len = |len: usize| {
        let text = json!({"keys": [key], "x": ""}).to_string();
        let filler = "x".repeat(len - text.len());
        text.replace(r#""x":"""#, &format!(r#""x":"{filler}""#))
    };
    let whole = of_len(SET_BYTES_MAX);
    assert_eq!(whole.len(), SET_BYTES_MAX);
    assert!(KeySet::parse(whole.as_bytes()).is_ok());
    assert!(KeySet::parse(of_len(SET_BYTES_MAX + 1).as_bytes()).is_err());
}

#[test]
fn a_set_prints_its_ids_and_compares_its_keys() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    let signer = Signer::es256();
    let keys = parsed(&json!({"keys": [signer.jwk_with(json!({"kid": "k1"})), signer.jwk()]})).unwrap();
    assert_eq!(format!("{keys:?}"), r#"[Some("k1"), None]"#);
    shared(&keys);
    assert_eq!(keys, keys.clone());
    assert_ne!(keys, parsed(&json!({"keys": [signer.jwk()]})).unwrap());
    assert_ne!(parsed(&json!({"keys": [signer.jwk()]})), parsed(&json!({"keys": [Signer::es256().jwk()]})));
}

proptest! {
    #[test]
    fn no_set_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = KeySet::parse(&bytes);
    }

    #[test]
    fn no_change_to_a_good_set_makes_it_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), len in 0_usize..9) {
        let keys: Vec<Json> = every_signer().iter().take(3 + len).map(Signer::jwk).collect();
        let mut text = json!({"keys": keys}).to_string().into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        let _ = KeySet::parse(&text);
    }
}
