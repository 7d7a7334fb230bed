//! What a log line says of a credential that was refused.

use serde_json::{Value as Json, json};

use super::maker::{AUDIENCE, NOW, Setting, Signer};
use crate::policy::authn::claims::ClaimPath;
use crate::policy::authn::{Credential, Detail, Outcome};

fn detail(setting: &Setting, token: &str) -> Option<(String, String, String)> {
    let credential = Credential::Bearer(token.as_bytes());
    let Outcome::Refused(refused) = setting.authn.authenticate(credential, &setting.facts()) else {
        return None;
    };
    let Detail { claim, came, wanted } = setting.authn.detail(credential, None, &refused, &setting.facts());
    Some((claim.into_owned(), came, wanted))
}

#[test]
fn a_line_names_the_claim_and_what_came_and_was_wanted() {
    let signer = Signer::es256();
    let mut setting = Setting::of(&signer);
    setting.fresh = true;
    setting.authn.issuers[0].required =
        [(ClaimPath::parse("realm.hd").unwrap(), Some("example.com".into()))].into();
    let good = json!({"realm": {"hd": "example.com"}});
    let now = NOW.to_string();
    let cases: [(Json, Json, &str, &str, &str); 12] = [
        (
            json!({}),
            json!({"iss": "https://evil.example\n"}),
            "iss",
            "https://evil.example\\n",
            "https://idp.example",
        ),
        (json!({}), json!({"aud": ["a", "b"]}), "aud", "a, b", AUDIENCE),
        (json!({}), json!({"aud": null}), "aud", "", AUDIENCE),
        (json!({"kid": "other"}), json!({}), "kid", "other", "k"),
        (
            json!({"alg": "HS256"}),
            json!({}),
            "alg",
            "HS256",
            "RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 and 1 more",
        ),
        (json!({"typ": "logout+jwt"}), json!({}), "typ", "logout+jwt", "jwt, at+jwt"),
        (json!({}), json!({"exp": NOW - 60}), "exp", "1799999940", &format!("more than {now}")),
        (json!({}), json!({"iat": NOW + 60}), "iat", "1800000060", &format!("at most {now}")),
        (json!({}), json!({"realm": {"hd": "secret"}}), "realm.hd", "", ""),
        (json!({}), json!({"roles": {"a": 1}}), "roles", "", ""),
        (json!({}), json!({"exp": null}), "exp", "", ""),
        (json!({}), json!({"cnf": {"jkt": "x"}}), "cnf", "", ""),
    ];
    for (header, claims, claim, came, wanted) in cases {
        let mut all = good.clone();
        for (name, value) in claims.as_object().unwrap() {
            all[name] = value.clone();
        }
        let found = detail(&setting, &signer.token(header.clone(), all));
        assert_eq!(found, Some((claim.to_owned(), came.to_owned(), wanted.to_owned())), "{header} {claims}");
    }
    let long = detail(&setting, &signer.token(json!({}), json!({"iss": "x".repeat(900)}))).unwrap();
    assert_eq!(long.1.len(), 200);
    for token in ["", "a.b.c", "opaque", "rgk_a_b"] {
        let (claim, came, _) = detail(&setting, token).unwrap();
        assert!(claim.is_empty() && came.is_empty(), "{token}");
    }
}
