//! Client certificates of any bytes: whoever one is taken for stands in it, and its time is now.

use std::sync::LazyLock;

use crate::policy::authn::Certificates;
use crate::policy::authn::certificate::{Entry, NameKind, Pattern};
use crate::policy::authn::claims::NAME_BYTES_MAX;

const NOW: u64 = 1_800_000_000;

static ALL: LazyLock<Vec<Certificates>> = LazyLock::new(|| {
    let entry = |name: &str, kind| Entry {
        pattern: Pattern::parse(name, kind).expect("a good name"),
        agent: None,
        tenant: None,
        roles: Box::default(),
        scopes: Box::default(),
    };
    let of = |name: NameKind, entries: &[&str]| Certificates {
        name,
        trust_domains: ["prod.example".into()].into(),
        entries: entries.iter().map(|text| entry(text, name)).collect(),
    };
    vec![
        of(NameKind::SpiffeId, &["spiffe://prod.example/agent/*", "spiffe://prod.example/one"]),
        of(NameKind::SanDns, &["*.agents.example", "one.example"]),
        of(NameKind::SanEmail, &["*@example.com", "one@other.example"]),
        of(NameKind::SubjectCn, &["agent"]),
    ]
});

pub fn check(data: &[u8]) {
    let lower = data.to_ascii_lowercase();
    for certificates in &*ALL {
        let read = certificates.authenticate(data, NOW);
        assert_eq!(read, certificates.authenticate(data, NOW), "judged alike each time");
        let Ok(principal) = read else { continue };
        assert!(principal.expires.is_some_and(|end| end >= NOW));
        assert!(certificates.authenticate(data, principal.expires.unwrap_or(0) + 1).is_err(), "it ends");
        let name = principal.agent.expect("the name itself");
        assert!(!name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control));
        let stands = memchr::memmem::find(&lower, name.to_ascii_lowercase().as_bytes());
        // A common name may be spelled in UTF-16 or so.
        assert!(stands.is_some() || certificates.name == NameKind::SubjectCn, "{name} stands nowhere");
        assert!(certificates.authenticate(&[data, b"x"].concat(), NOW).is_err(), "nothing may follow it");
    }
}
