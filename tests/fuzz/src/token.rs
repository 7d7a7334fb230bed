//! Tokens made of anything: none is believed but the one that the issuer signed, letter by letter.

use std::sync::{Arc, LazyLock};

use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::json;

use crate::policy::authn::{Authn, Credential, Facts, Issuer, KeySet, KeySource, Outcome, base64url};

const NOW: u64 = 1_800_000_000;

struct Setting {
    authn: Authn,
    keys: Vec<Option<Arc<KeySet>>>,
    signer: Ed25519KeyPair,
    good: Vec<u8>,
}

static SETTING: LazyLock<Setting> = LazyLock::new(|| {
    let signer = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key of any seed");
    let x = base64url::encode(signer.public_key().as_ref());
    let keys = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": x}]}).to_string();
    let keys = Arc::new(KeySet::parse(keys.as_bytes()).expect("a good set"));
    let issuer = Issuer::new("https://idp.example", KeySource::Given(keys.clone()));
    let claims = json!({"iss": "https://idp.example", "aud": "gw", "sub": "a", "exp": NOW + 60});
    let good = signed(&signer, HEADER.as_bytes(), claims.to_string().as_bytes());
    Setting {
        authn: Authn { issuers: [issuer].into(), ..Authn::default() },
        keys: vec![Some(keys)],
        signer,
        good,
    }
});

const HEADER: &str = r#"{"alg":"EdDSA","kid":"k"}"#;

fn signed(signer: &Ed25519KeyPair, header: &[u8], claims: &[u8]) -> Vec<u8> {
    let text = format!("{}.{}", base64url::encode(header), base64url::encode(claims));
    format!("{text}.{}", base64url::encode(signer.sign(text.as_bytes()).as_ref())).into_bytes()
}

/// Who shows `token`; `None` if it is nobody.
fn judged(token: &[u8]) -> Option<crate::policy::Principal> {
    let audiences = ["gw".into()];
    let facts = Facts {
        server: "up",
        audiences: &audiences,
        anonymous: false,
        keys: &SETTING.keys,
        keys_are_fresh: true,
        certificate: None,
        now: NOW,
    };
    match SETTING.authn.authenticate(Credential::Bearer(token), &facts) {
        Outcome::Known(principal) => Some(principal),
        Outcome::Refused(_) => None,
        other => panic!("nothing is to be fetched: {other:?}"),
    }
}

pub fn check(data: &[u8]) {
    let setting = &*SETTING;
    assert!(judged(&setting.good).is_some(), "the good one is good");
    let Some((&mode, data)) = data.split_first() else { return };
    match mode % 4 {
        0 => forged(data),
        1 => forged(&edited(&setting.good, data)),
        2 => {
            // Other parts under the good signature.
            let good: Vec<&[u8]> = setting.good.split(|&byte| byte == b'.').collect();
            let (header, claims) = halves(data);
            let (header, claims) = (base64url::encode(header), base64url::encode(claims));
            forged(&[header.as_bytes(), good[1], good[2]].join(&b'.'));
            forged(&[good[0], claims.as_bytes(), good[2]].join(&b'.'));
            forged(&[good[0], good[1], claims.as_bytes()].join(&b'.'));
        }
        _ => {
            // Whatever the issuer signs is read without harm, and what is believed has an end.
            let (header, claims) = halves(data);
            let header = if header.is_empty() { HEADER.as_bytes() } else { header };
            if let Some(principal) = judged(&signed(&setting.signer, header, claims)) {
                assert!(principal.expires.is_some_and(|end| end + 30 > NOW));
                assert_eq!(&*principal.issuer, "https://idp.example");
                let claims: serde_json::Value = serde_json::from_slice(claims).expect("claims are JSON");
                assert_eq!(principal.claims, claims, "each name has one reading");
            }
        }
    }
}

fn forged(token: &[u8]) {
    assert!(judged(token).is_none() || token == SETTING.good, "{}", String::from_utf8_lossy(token));
}

/// The parts before and behind the first NUL.
fn halves(data: &[u8]) -> (&[u8], &[u8]) {
    let at = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    (&data[..at], data.get(at + 1..).unwrap_or_default())
}

/// `good` with some bytes put in, left out or changed, as `data` says.
fn edited(good: &[u8], data: &[u8]) -> Vec<u8> {
    let mut token = good.to_vec();
    for edit in data.chunks_exact(4) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % (token.len() + 1);
        match edit[2] % 4 {
            0 => token.insert(at, edit[3]),
            1 if at < token.len() => drop(token.remove(at)),
            2 if at < token.len() => token[at] = edit[3],
            3 => token.truncate(at),
            _ => {}
        }
    }
    token
}
