#![allow(clippy::unwrap_used)]

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};

use super::*;

fn p256() -> Vec<u8> {
    let rng = SystemRandom::new();
    EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng).unwrap().as_ref().to_vec()
}

fn ed25519() -> Vec<u8> {
    Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap().as_ref().to_vec()
}

fn principal() -> Principal {
    let mut principal = Principal::anonymous(["a", "b"].map(Into::into));
    principal.agent = Some("agent-1".into());
    principal.user = Some("ann".into());
    principal.tenant = Some("acme".into());
    principal.expires = Some(1_000_030);
    principal
}

const ASSERTION: fn() -> Assertion =
    || Assertion { header: "x-id".into(), audience: "weather".into(), lifetime: 60 };

fn minted(signer: &Signer, principal: &Principal) -> Result<Vec<u8>, MintError> {
    signer.mint(&ASSERTION(), principal, 1_000_000, 7, &SystemRandom::new())
}

fn unbase64(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'-' => 62,
        _ => 63,
    };
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.bytes() {
        (bits, count) = ((bits << 6) | u32::from(value(byte)), count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

fn json_of(part: &str) -> Json {
    serde_json::from_slice(&unbase64(part)).unwrap()
}

#[test]
fn both_kinds_of_key_sign_what_their_published_half_verifies() {
    for (key, algorithm) in [(p256(), "ES256"), (ed25519(), "EdDSA")] {
        let signer = Signer::new("https://gw.example".into(), &key).unwrap();
        let token = String::from_utf8(minted(&signer, &principal()).unwrap()).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let header = json_of(parts[0]);
        assert_eq!(header, json!({"alg": algorithm, "kid": signer.kid(), "typ": "JWT"}));
        let jwk = serde_json::from_str::<Json>(&signer.jwks()).unwrap()["keys"][0].clone();
        assert_eq!((&jwk["kid"], &jwk["alg"]), (&header["kid"], &header["alg"]));
        let part =
            |name: &str| jwk.get(name).map(|text| unbase64(text.as_str().unwrap())).unwrap_or_default();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let verified = match algorithm {
            "ES256" => {
                let point = [vec![4], part("x"), part("y")].concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                    .verify(message.as_bytes(), &unbase64(signature))
            }
            _ => UnparsedPublicKey::new(&ED25519, part("x")).verify(message.as_bytes(), &unbase64(signature)),
        };
        assert_eq!(verified, Ok(()), "{algorithm}");
    }
}

#[test]
fn it_says_who_calls_and_for_whom_and_ends_with_the_callers_own_credential() {
    let signer = Signer::new("https://gw.example".into(), &ed25519()).unwrap();
    let claims = |principal: &Principal| {
        let token = String::from_utf8(minted(&signer, principal).unwrap()).unwrap();
        json_of(token.split('.').nth(1).unwrap())
    };
    let all = claims(&principal());
    for (name, value) in [
        ("iss", json!("https://gw.example")),
        ("aud", json!("weather")),
        ("sub", json!("ann")),
        ("act", json!({"sub": "agent-1"})),
        ("azp", json!("agent-1")),
        ("tenant", json!("acme")),
        ("roles", json!(["a", "b"])),
        ("iat", json!(1_000_000)),
        ("exp", json!(1_000_030)),
        ("jti", json!("00000000000000000000000000000007")),
    ] {
        assert_eq!(all[name], value, "{name}");
    }
    let alone = claims(&Principal { user: None, expires: None, ..principal() });
    assert_eq!((&alone["sub"], &alone["exp"]), (&json!("agent-1"), &json!(1_000_060)));
    assert!(alone.get("act").is_none());
    let nobody = claims(&Principal::anonymous([]));
    assert!(nobody.get("sub").is_none() && nobody["proof"] == "anonymous");
}

#[test]
fn what_is_over_or_too_large_gets_none() {
    let signer = Signer::new("i".into(), &ed25519()).unwrap();
    let ends = |expires: u64| Principal { expires: Some(expires), ..principal() };
    let exp = |expires: u64| {
        let token = String::from_utf8(minted(&signer, &ends(expires)).unwrap()).unwrap();
        json_of(token.split('.').nth(1).unwrap())["exp"].clone()
    };
    // In its last seconds, which are those by which clocks may differ, it is still good.
    assert_eq!([exp(1_000_001), exp(1_000_000), exp(999_701)], [1_000_001, 1_000_005, 1_000_005]);
    let ended = ends(1_000_000 - SKEW_MAX);
    assert_eq!(minted(&signer, &ended), Err(MintError::Expired));
    let with_roles = |count: usize| Principal {
        roles: (0..count).map(|n| format!("role-{n:04}").into()).collect(),
        ..principal()
    };
    let sizes: Vec<usize> =
        (0..400).filter_map(|n| Some(minted(&signer, &with_roles(n)).ok()?.len())).collect();
    assert!(sizes.len() > 100 && sizes.len() < 400, "{}", sizes.len());
    assert!(sizes.iter().all(|&size| size <= ASSERTION_BYTES_MAX));
    assert_eq!(minted(&signer, &with_roles(sizes.len())), Err(MintError::TooLarge));
}

#[test]
fn keys_are_published_once_and_never_printed() {
    let (own, old, public) = (p256(), ed25519(), p256());
    let mut signer = Signer::new("i".into(), &own).unwrap();
    let point = Pair::read(&public).unwrap();
    let Pair::P256(pair) = &point else { panic!("P-256") };
    let spki = [P256_PREFIX, &pair.public_key().as_ref()[1..]].concat();
    for key in [&own, &old, &spki, &public] {
        assert_eq!(signer.publish(key), Ok(()));
    }
    let keys = serde_json::from_str::<Json>(&signer.jwks()).unwrap();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 3);
    assert!(keys["keys"].as_array().unwrap().iter().all(|key| key.get("d").is_none()));
    let shown = format!("{signer:?}");
    assert!(shown.contains(signer.kid()) && !shown.contains("Pair"), "{shown}");
    assert!(signer != Signer::new("i".into(), &own).unwrap(), "another set is published");
    for bad in [&b""[..], b"hello", &own[..own.len() - 1], &spki[..spki.len() - 1]] {
        assert!(Signer::new("i".into(), bad).is_err());
        assert!(signer.publish(bad).is_err());
    }
    assert!(Signer::new("i".into(), &spki).is_err(), "a public key cannot sign");
}

#[test]
fn a_thumbprint_is_that_of_the_rfc() {
    // RFC 8037 appendix A.3.
    let jwk = r#"{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    assert_eq!(thumbprint(jwk), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}
