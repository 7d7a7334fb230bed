//! Whatever is done to a good token, it is no good token any more.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::json;

use super::maker::{Setting, Signer, set, word};
use crate::policy::authn::{Credential, Outcome};

static GOOD: LazyLock<Vec<(Setting, String)>> = LazyLock::new(|| {
    let signers = [Signer::es256(), Signer::ed25519(), Signer::rsa("RS256"), Signer::rsa("PS256")];
    let setting = |signer: &Signer| {
        // Pinned, since both RSA algorithms have the one key.
        let keys = set(&[signer.jwk_with(json!({"kid": "k", "alg": signer.name()}))]);
        Setting { keys: vec![Some(keys)], ..Setting::of(signer) }
    };
    signers.iter().map(|signer| (setting(signer), signer.token(json!({}), json!({})))).collect()
});

fn judged(which: usize, token: &[u8]) -> &'static str {
    let (setting, good) = &GOOD[which];
    let outcome = setting.ask(Credential::Bearer(token));
    assert!(
        !matches!(outcome, Outcome::Known(_)) || token == good.as_bytes(),
        "{}",
        String::from_utf8_lossy(token)
    );
    word(&outcome)
}

#[test]
fn every_flip_of_a_bit_is_seen() {
    for (which, (_, good)) in GOOD.iter().enumerate().take(2) {
        for at in 0..good.len() {
            for bit in [0, 1, 4, 7] {
                let mut token = good.clone().into_bytes();
                token[at] ^= 1 << bit;
                assert_ne!(judged(which, &token), "known");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_mutation_verifies(
        which in 0_usize..4,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>(), 0_u8..5), 1..4),
    ) {
        let mut token = GOOD[which].1.clone().into_bytes();
        for (at, other, byte, kind) in changes {
            if token.is_empty() {
                break;
            }
            let (at, other) = (at.index(token.len()), other.index(token.len()));
            match kind {
                0 => token[at] = byte,
                1 => { token.remove(at); }
                2 => token.insert(at, byte),
                3 => token.swap(at, other),
                _ => token.truncate(at),
            }
        }
        judged(which, &token);
    }

    #[test]
    fn parts_of_two_tokens_make_no_third(which in 0_usize..4, other in 0_usize..4, cut in any::<prop::sample::Index>()) {
        let (one, two) = (&GOOD[which].1, &GOOD[other].1);
        let cut = cut.index(one.len().min(two.len()));
        judged(which, &[&one.as_bytes()[..cut], &two.as_bytes()[cut..]].concat());
    }

    #[test]
    fn no_bytes_make_it_panic(token in prop::collection::vec(any::<u8>(), 0..300)) {
        judged(0, &token);
    }

    #[test]
    fn nothing_that_looks_like_a_token_makes_it_panic(token in "e[yw][A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,90}") {
        judged(0, token.as_bytes());
    }
}
