//! Key sets from an issuer's web server: read alike each time, bounded, and never a secret among them.

use serde_json::{Value as Json, json};

use crate::policy::authn::KeySet;
use crate::policy::authn::algorithm::Algorithm;
use crate::policy::authn::keys::{Choice, KEYS_MAX, SET_BYTES_MAX};

pub fn check(data: &[u8]) {
    let read = KeySet::parse(data);
    assert_eq!(read, KeySet::parse(data), "read alike each time");
    let blanks = [b" \n".as_slice(), data, b"\t\r\n"].concat();
    assert!(read == KeySet::parse(&blanks) || blanks.len() > SET_BYTES_MAX, "blanks say nothing");
    let Ok(set) = read else { return };
    let Ok(Json::Object(mut json)) = serde_json::from_slice(data) else { panic!("{set:?} is no object") };
    let entries = json["keys"].as_array().expect("a list of keys").clone();
    assert!((1..=KEYS_MAX).contains(&entries.len()));
    let ids = entries.iter().map(|entry| entry["kid"].as_str());
    for kid in ids.chain([None, Some(""), Some("no such key")]) {
        for algorithm in Algorithm::ALL.map(|(_, algorithm)| algorithm) {
            if let Choice::Key(key) = set.choose(kid, algorithm) {
                key.verifies(algorithm, b"header.claims", b"");
                key.verifies(algorithm, b"header.claims", &[0; 64]);
                key.verifies(algorithm, b"header.claims", &[7; 256]);
            }
        }
    }
    // A private half, or the secret of an HMAC, makes a key unusable: who can read it can sign.
    for part in ["d", "k"] {
        let mut spoilt = entries.clone();
        for entry in spoilt.iter_mut().filter_map(Json::as_object_mut) {
            entry.insert(part.to_owned(), json!("AQ"));
        }
        json.insert("keys".to_owned(), Json::Array(spoilt));
        let text = Json::Object(json.clone()).to_string();
        assert!(KeySet::parse(text.as_bytes()).is_err());
    }
}
