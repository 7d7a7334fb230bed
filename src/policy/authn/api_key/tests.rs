#![allow(clippy::unwrap_used)]

use super::*;

const NOW: u64 = 1_800_000_000;

fn entry(id: &str, agent: &str, key: &str) -> ApiKey {
    ApiKey {
        id: id.into(),
        hash: Hash::of(key.as_bytes(), id.as_bytes()),
        agent: agent.into(),
        user: Some("u".into()),
        tenant: Some("t".into()),
        roles: ["r".into()].into(),
        scopes: ["s".into()].into(),
        expires: None,
        servers: Box::default(),
    }
}

fn shown(keys: &ApiKeys, key: &str) -> Result<Principal, &'static str> {
    let facts = Facts {
        server: "a",
        audiences: &[],
        anonymous: true,
        keys: &[],
        keys_are_fresh: false,
        certificate: None,
        now: NOW,
    };
    keys.authenticate(key.as_bytes(), &facts).map_err(|refused| refused.reason)
}

#[test]
fn keys_of_one_agent_are_good_together_so_that_they_can_rotate() {
    let (old, new) = (mint("bot-1", &[1; 32]), mint("bot-2", &[2; 32]));
    let both = ApiKeys::new(vec![entry("bot-2", "bot", &new), entry("bot-1", "bot", &old)]);
    let (one, two) = (shown(&both, &old).unwrap(), shown(&both, &new).unwrap());
    assert_eq!(one.identity(), two.identity(), "a session survives the change");
    assert_eq!((one.credential.as_deref(), two.credential.as_deref()), (Some("bot-1"), Some("bot-2")));
    assert_eq!(
        (one.agent.as_deref(), one.user.as_deref(), one.tenant.as_deref()),
        (Some("bot"), Some("u"), Some("t"))
    );
    assert!(one.proof == Proof::ApiKey && one.has_role("r") && one.has_scope("s"));
    let rotated = ApiKeys::new(vec![entry("bot-2", "bot", &new)]);
    assert_eq!(shown(&rotated, &old), Err("unknown_api_key"));
}

#[test]
fn a_key_that_is_not_exactly_it_is_refused() {
    let key = mint("a", &[1; 32]);
    let keys = ApiKeys::new(vec![entry("a", "bot", &key)]);
    assert!(shown(&keys, &key).is_ok());
    // Whole keys of another secret or id: the same answer.
    assert_eq!(shown(&keys, &mint("a", &[2; 32])), Err("unknown_api_key"));
    assert_eq!(shown(&keys, &mint("b", &[1; 32])), Err("unknown_api_key"));
    assert_eq!(shown(&ApiKeys::new(Vec::new()), &key), Err("unknown_api_key"));
    for cut in 0..key.len() {
        assert_eq!(shown(&keys, &key[..cut]), Err("mistyped_api_key"));
        let mut typo = key.clone().into_bytes();
        typo[cut] = if typo[cut] == b'x' { b'y' } else { b'x' };
        assert_eq!(shown(&keys, std::str::from_utf8(&typo).unwrap()), Err("mistyped_api_key"), "{cut}");
    }
    for wrong in [
        key.to_uppercase(),
        format!("{key}0"),
        format!(" {key}"),
        format!("rgk_{key}"),
        key.replace("rgk_a_", "rgk__a"),
    ] {
        assert_eq!(shown(&keys, &wrong), Err("mistyped_api_key"), "{wrong}");
    }
}

#[test]
fn an_end_and_servers_bound_a_key() {
    let key = mint("a", &[1; 32]);
    let with = |expires, servers: &[&str]| {
        let servers = servers.iter().map(|server| (*server).into()).collect();
        shown(&ApiKeys::new(vec![ApiKey { expires, servers, ..entry("a", "bot", &key) }]), &key)
    };
    assert_eq!(with(Some(NOW + 1), &["b", "a"]).unwrap().expires, Some(NOW + 1));
    assert_eq!(with(Some(NOW), &[]), Err("expired"));
    assert_eq!(with(None, &["b", "aa"]), Err("wrong_audience"));
}

#[test]
fn hashes_are_salted_and_read_back() {
    let (one, other) = (Hash::of(b"key", &[1; 16]), Hash::of(b"key", &[2; 16]));
    assert_ne!(one, other);
    assert_eq!(Hash::parse(&one.reveal()), Some(one.clone()));
    assert_eq!(Hash::parse(&one.reveal().replace("sha256", "SHA256")), None);
    assert_eq!(format!("{one:?}"), "***");
    let sum = "0".repeat(64);
    let salt = |bytes: usize| "ab".repeat(bytes);
    for (bytes, good) in [(7, false), (8, true), (64, true), (65, false)] {
        assert_eq!(Hash::parse(&format!("sha256:{}:{sum}", salt(bytes))).is_some(), good, "{bytes}");
    }
    for text in [
        String::new(),
        "sha256:".into(),
        "sha256::".into(),
        format!("sha256:{sum}"),
        format!("sha256:{}:{}", salt(8), &sum[1..]),
        format!("sha256:{}:{}", salt(8), &sum[2..]),
        format!("sha256:{}:{sum}00", salt(8)),
        format!("sha256:{}a:{sum}", salt(8)),
        format!("sha256:{}:{}", salt(8), sum.replace('0', "g")),
        format!("md5:{}:{sum}", salt(8)),
    ] {
        assert_eq!(Hash::parse(&text), None, "{text}");
    }
}

#[test]
fn ids_are_plain() {
    assert!(is_id("build-7.a") && is_id(&"a".repeat(ID_BYTES_MAX)));
    for id in ["", "a_b", "a b", "\u{e4}", "a/b", &"a".repeat(ID_BYTES_MAX + 1)] {
        assert!(!is_id(id), "{id}");
    }
    let longest = mint(&"a".repeat(ID_BYTES_MAX), &[0; 32]);
    assert!(longest.len() <= super::super::API_KEY_BYTES_MAX);
}
