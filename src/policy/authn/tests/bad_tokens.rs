//! Every way in which a token can be bad, one by one.

use ring::hmac;
use serde_json::{Value as Json, json};

use super::maker::{AUDIENCE, ISSUER, NOW, Setting, Signer, good_claims, set};
use crate::policy::authn::base64url::encode;
use crate::policy::authn::{Credential, Issuer, KeySource, TOKEN_BYTES_MAX};

#[test]
fn a_token_that_is_cut_anywhere_is_no_token() {
    let signer = Signer::es256();
    let setting = Setting::of(&signer);
    let token = signer.token(json!({}), json!({}));
    for cut in 0..token.len() {
        let word = setting.word(&token[..cut]);
        assert!(["malformed_token", "bad_signature"].contains(&word), "{cut} {word}");
        assert_ne!(setting.word(&token[cut + 1..]), "known", "{cut}");
    }
    assert_eq!(setting.word(&token), "known");
}

#[test]
fn what_is_no_jwt_is_refused() {
    let signer = Signer::es256();
    let setting = Setting::of(&signer);
    let token = signer.token(json!({}), json!({}));
    let [header, claims, signature]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    for text in [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        "a.b.c".into(),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.{signature}"),
        format!("{header}.{claims}.{signature}=="),
        format!("{header}=.{claims}.{signature}"),
        format!("{header}.{claims}.{signature}AAA"),
        format!("{header}.{claims}\n.{signature}"),
        format!("{header}..{signature}"),
        format!(".{claims}.{signature}"),
        // JSON serialization (RFC 7515 section 7.2), and an encrypted token.
        json!({"payload": claims, "protected": header, "signature": signature}).to_string(),
        format!("{}.a.b.c.d", encode(br#"{"alg":"RSA-OAEP","enc":"A128GCM"}"#)),
    ] {
        assert_eq!(setting.word(&text), "malformed_token", "{text}");
    }
    assert_eq!(setting.word(&format!("{header}.{claims}.")), "bad_signature");
    let bytes = [token.as_bytes(), b"\xff"].concat();
    assert_eq!(super::maker::word(&setting.ask(Credential::Bearer(&bytes))), "malformed_token");
}

#[test]
fn the_length_has_a_bound() {
    let signer = Signer::es256();
    let setting = Setting::of(&signer);
    let of_len = |wanted: usize| {
        // Four letters of the token are three bytes of the claim, so the last few lengths are met by both together.
        let mut more = (0..3).flat_map(|one| (0..3).map(move |other| (one, other)));
        more.find_map(|(one, other)| {
            let token =
                |len: usize| signer.token(json!({"x": "x".repeat(one)}), json!({"x": "x".repeat(len)}));
            let token = token((wanted - token(other).len()) / 4 * 3 + other);
            (token.len() == wanted).then_some(token)
        })
    };
    assert_eq!(setting.word(&of_len(TOKEN_BYTES_MAX).unwrap()), "known");
    assert_eq!(setting.word(&of_len(TOKEN_BYTES_MAX + 1).unwrap()), "oversized_credential");
}

#[test]
fn no_algorithm_but_the_keys_own_is_accepted() {
    let signer = Signer::rsa("RS256");
    let setting = Setting::of(&signer);
    for (header, word) in [
        (json!({"alg": "none"}), "wrong_algorithm"),
        (json!({"alg": "None"}), "wrong_algorithm"),
        (json!({"alg": "NONE"}), "wrong_algorithm"),
        (json!({"alg": "HS256"}), "wrong_algorithm"),
        (json!({"alg": "ES512"}), "wrong_algorithm"),
        (json!({"alg": "ES256"}), "wrong_algorithm"),
        (json!({"alg": "EdDSA"}), "wrong_algorithm"),
        (json!({"alg": "rs256"}), "wrong_algorithm"),
        (json!({"alg": ""}), "wrong_algorithm"),
        (json!({"alg": null}), "malformed_token"),
        (json!({"alg": 256}), "malformed_token"),
        (json!({"alg": ["RS256"]}), "malformed_token"),
        (json!({"alg": "PS256"}), "bad_signature"),
        (json!({"alg": "RS512"}), "bad_signature"),
        (json!({"crit": ["exp"], "exp": 1}), "malformed_token"),
        (json!({"crit": []}), "malformed_token"),
        (json!({"b64": false}), "malformed_token"),
        (json!({"kid": 7}), "malformed_token"),
        (json!({"kid": "k".repeat(1025)}), "malformed_token"),
        (json!({"typ": ["JWT"]}), "malformed_token"),
        (json!({"typ": ""}), "unsupported_type"),
        (json!({"typ": "oauth-id-jag+jwt"}), "unsupported_type"),
        (json!({"typ": "application/oauth-id-jag+jwt"}), "unsupported_type"),
        (json!({"typ": "logout+jwt"}), "unsupported_type"),
        (json!({"typ": "dpop+jwt"}), "unsupported_type"),
        (json!({"typ": "application/x/jwt"}), "unsupported_type"),
    ] {
        assert_eq!(setting.word(&signer.token(header.clone(), json!({}))), word, "{header}");
    }
    // Without a signature, as `none` has it.
    let header = encode(br#"{"alg":"none","kid":"k"}"#);
    let claims = encode(good_claims().to_string().as_bytes());
    assert_eq!(setting.word(&format!("{header}.{claims}.")), "wrong_algorithm");
}

#[test]
fn a_public_key_is_no_secret_of_an_hmac() {
    let signer = Signer::rsa("RS256");
    let setting = Setting::of(&signer);
    for secret in [signer.jwk().to_string(), signer.jwk()["n"].as_str().unwrap().to_owned()] {
        for alg in ["HS256", "RS256"] {
            let header = encode(json!({"alg": alg, "kid": "k"}).to_string().as_bytes());
            let signed = format!("{header}.{}", encode(good_claims().to_string().as_bytes()));
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), signed.as_bytes());
            let word = setting.word(&format!("{signed}.{}", encode(tag.as_ref())));
            assert_eq!(word, if alg == "HS256" { "wrong_algorithm" } else { "bad_signature" });
        }
    }
}

#[test]
fn claims_are_checked_after_the_signature() {
    let signer = Signer::es256();
    let setting = Setting::of(&signer);
    let cases: &[(Json, &str)] = &[
        (json!({"exp": NOW - 30}), "expired"),
        (json!({"exp": 0}), "expired"),
        (json!({"exp": null}), "malformed_claims"),
        (json!({"exp": "1800000300"}), "malformed_claims"),
        (json!({"exp": -1}), "malformed_claims"),
        (json!({"exp": 1e300}), "malformed_claims"),
        (json!({"exp": true}), "malformed_claims"),
        (json!({"nbf": NOW + 31}), "not_yet_valid"),
        (json!({"nbf": "soon"}), "malformed_claims"),
        (json!({"iat": NOW + 31}), "not_yet_valid"),
        (json!({"iat": []}), "malformed_claims"),
        (json!({"aud": null}), "wrong_audience"),
        (json!({"aud": []}), "wrong_audience"),
        (json!({"aud": "https://mcp.example/b/mcp"}), "wrong_audience"),
        (json!({"aud": "https://mcp.example/a/mcp/"}), "wrong_audience"),
        (json!({"aud": "https://MCP.example/a/mcp"}), "wrong_audience"),
        (json!({"aud": "https://mcp.example/a/mcp https://mcp.example/b/mcp"}), "wrong_audience"),
        (json!({"aud": "https://mcp.example"}), "wrong_audience"),
        (json!({"aud": {"a": AUDIENCE}}), "malformed_claims"),
        (json!({"aud": [AUDIENCE, 7]}), "malformed_claims"),
        (json!({"aud": [[AUDIENCE]]}), "malformed_claims"),
        (json!({"iss": null}), "malformed_claims"),
        (json!({"iss": 7}), "malformed_claims"),
        (json!({"iss": [ISSUER]}), "malformed_claims"),
        (json!({"iss": ""}), "unknown_issuer"),
        (json!({"iss": "https://idp.example/"}), "unknown_issuer"),
        (json!({"iss": "https://IDP.example"}), "unknown_issuer"),
        (json!({"iss": "https://idp.example.evil.example"}), "unknown_issuer"),
        (json!({"sub": null, "azp": null}), "no_subject"),
        (json!({"sub": ""}), "malformed_claims"),
        (json!({"sub": 7}), "malformed_claims"),
        (json!({"azp": "a\nb"}), "malformed_claims"),
        (json!({"azp": "a".repeat(1025)}), "malformed_claims"),
        (json!({"jti": 7}), "malformed_claims"),
        (json!({"cnf": {"jkt": "x"}}), "bound_token"),
        (json!({"cnf": {}}), "bound_token"),
    ];
    for (claims, word) in cases {
        assert_eq!(setting.word(&signer.token(json!({}), claims.clone())), *word, "{claims}");
        let other = Signer::es256().token(json!({}), claims.clone());
        let forged = setting.word(&other);
        let about_issuer =
            ["unknown_issuer", "malformed_claims"].contains(&forged) && claims.get("iss").is_some();
        assert!(forged == "bad_signature" || about_issuer, "{claims} {forged}");
    }
    // The edges of the default skew.
    for claims in [json!({"exp": NOW - 29}), json!({"nbf": NOW + 30}), json!({"iat": NOW + 30})] {
        assert_eq!(setting.word(&signer.token(json!({}), claims.clone())), "known", "{claims}");
    }
}

#[test]
fn a_name_that_stands_there_twice_is_no_name() {
    let signer = Signer::es256();
    let setting = Setting::of(&signer);
    let (header, claims) = (json!({"alg": "ES256", "kid": "k"}).to_string(), good_claims().to_string());
    assert_eq!(setting.word(&signer.token_of(&header, &claims)), "known");
    let before = |text: &str, more: &str| format!("{{{more},{}", &text[1..]);
    let after = |text: &str, more: &str| format!("{},{more}}}", &text[..text.len() - 1]);
    for more in [r#""alg":"ES256""#, r#""alg":"none""#, r#""kid":"k""#, r#""\u0061lg":"ES256""#] {
        for header in [before(&header, more), after(&header, more)] {
            assert_eq!(setting.word(&signer.token_of(&header, &claims)), "malformed_token", "{header}");
        }
    }
    for more in [
        format!(r#""iss":"{ISSUER}""#),
        format!(r#""aud":"{AUDIENCE}""#),
        r#""exp":1900000000"#.to_owned(),
        r#""sub":"root""#.to_owned(),
        r#""s\u0075b":"root""#.to_owned(),
        r#""x":{"a":1,"a":2}"#.to_owned(),
    ] {
        for claims in [before(&claims, &more), after(&claims, &more)] {
            assert_eq!(setting.word(&signer.token_of(&header, &claims)), "malformed_token", "{claims}");
        }
    }
    let deep = format!(r#""x":{}{}"#, "[".repeat(40), "]".repeat(40));
    assert_eq!(setting.word(&signer.token_of(&header, &after(&claims, &deep))), "malformed_token");
    for claims in ["[]", "null", "7", "\"x\"", "", "{", "{}{}", "{} x"] {
        assert_eq!(setting.word(&signer.token_of(&header, claims)), "malformed_token", "{claims}");
    }
}

#[test]
fn a_key_counts_only_for_its_own_issuer() {
    let (ours, theirs) = (Signer::es256(), Signer::es256());
    let mut setting = Setting::of(&ours);
    setting.authn.issuers = [
        Issuer::new(ISSUER, KeySource::Discovery),
        Issuer::new("https://other.example", KeySource::Discovery),
    ]
    .into();
    setting.keys.push(Some(set(&[theirs.jwk_with(json!({"kid": "theirs"}))])));
    setting.fresh = true;
    let their_token = theirs.token(json!({"kid": "theirs"}), json!({"iss": "https://other.example"}));
    assert_eq!(&*setting.known(&their_token).issuer, "https://other.example");
    // Their key, our name; their key and their kid, our name; our kid, their name.
    assert_eq!(setting.word(&theirs.token(json!({}), json!({}))), "bad_signature");
    assert_eq!(setting.word(&theirs.token(json!({"kid": "theirs"}), json!({}))), "unknown_key");
    assert_eq!(setting.word(&ours.token(json!({}), json!({"iss": "https://other.example"}))), "unknown_key");
}

#[test]
fn a_server_without_audiences_has_no_tokens() {
    let signer = Signer::es256();
    let mut setting = Setting::of(&signer);
    setting.audiences.clear();
    for claims in [json!({}), json!({"aud": null}), json!({"aud": []}), json!({"aud": ""})] {
        assert_eq!(setting.word(&signer.token(json!({}), claims)), "wrong_audience");
    }
}
