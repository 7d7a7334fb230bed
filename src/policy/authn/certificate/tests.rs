#![allow(clippy::unwrap_used)]

use rcgen::{CertificateParams, DnType, KeyPair, SanType, SerialNumber};

use super::*;
use crate::policy::authn::Credential;
use crate::policy::authn::tests::maker::{Setting, Signer, word};

const NOW: u64 = 1_800_000_000;

enum Name<'a> {
    Uri(&'a str),
    Dns(&'a str),
    Mail(&'a str),
    Common(&'a str),
}

/// A certificate with these names, good from 2024 to 2029 (of which [`NOW`] is a day), as DER.
fn certificate(names: &[Name<'_>]) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for name in names {
        match name {
            Name::Uri(uri) => params.subject_alt_names.push(SanType::URI((*uri).try_into().unwrap())),
            Name::Dns(dns) => params.subject_alt_names.push(SanType::DnsName((*dns).try_into().unwrap())),
            Name::Mail(mail) => {
                params.subject_alt_names.push(SanType::Rfc822Name((*mail).try_into().unwrap()))
            }
            Name::Common(name) => params.distinguished_name.push(DnType::CommonName, *name),
        }
    }
    params.not_before = rcgen::date_time_ymd(2024, 1, 1);
    params.not_after = rcgen::date_time_ymd(2029, 1, 1);
    params.serial_number = Some(SerialNumber::from_slice(&[0x0a, 0xff]));
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

fn known(name: NameKind, patterns: &[&str]) -> Certificates {
    let entry = |pattern: &&str| Entry {
        pattern: Pattern::parse(pattern, name).unwrap(),
        agent: None,
        tenant: Some("t".into()),
        roles: [(*pattern).into()].into(),
        scopes: Box::default(),
    };
    Certificates {
        name,
        trust_domains: ["prod.example".into()].into(),
        entries: patterns.iter().map(entry).collect(),
    }
}

/// The agent, or the word for why not.
fn agent(certificates: &Certificates, names: &[Name<'_>]) -> String {
    match certificates.authenticate(&certificate(names), NOW) {
        Ok(known) => known.agent.unwrap().into(),
        Err(refused) => refused.reason.to_owned(),
    }
}

#[test]
fn a_spiffe_id_is_an_agent() {
    let agents = known(NameKind::SpiffeId, &["spiffe://prod.example/agent/*", "spiffe://prod.example/one"]);
    let id = "spiffe://prod.example/agent/build";
    let shown = agents.authenticate(&certificate(&[Name::Uri(id), Name::Dns("x.example")]), NOW).unwrap();
    assert_eq!((shown.agent.as_deref(), shown.tenant.as_deref()), (Some(id), Some("t")));
    assert!(shown.proof == Proof::Certificate && shown.has_role("spiffe://prod.example/agent/*"));
    assert_eq!(shown.credential.as_deref(), Some("aff"));
    assert_eq!(shown.expires, Some(1_861_920_000), "the end of the certificate");
    assert_eq!(agent(&agents, &[Name::Uri("spiffe://prod.example/one")]), "spiffe://prod.example/one");
    for names in [
        &[Name::Uri("spiffe://prod.example/other")][..],
        &[Name::Uri("spiffe://prod.example/agent")],
        &[Name::Uri("spiffe://prod.example/agent-evil/build")],
        &[Name::Uri("spiffe://prod.example/agent/")],
        &[Name::Uri("spiffe://prod.example/agent/../other")],
        &[Name::Uri("spiffe://prod.example/agent//x")],
        &[Name::Uri("spiffe://prod.example/agent/%41")],
        &[Name::Uri("spiffe://prod.example/agent/x?y")],
        &[Name::Uri("spiffe://prod.example:1/agent/x")],
        &[Name::Uri("spiffe://u@prod.example/agent/x")],
        &[Name::Uri("SPIFFE://prod.example/agent/x")],
        &[Name::Uri("spiffe://PROD.example/agent/x")],
        &[Name::Uri("spiffe://evil.example/agent/x")],
        &[Name::Uri("spiffe://prod.example.evil/agent/x")],
        &[Name::Uri("https://prod.example/agent/x")],
        &[Name::Uri(id), Name::Uri("spiffe://prod.example/agent/second")],
        &[Name::Uri(id), Name::Uri("https://prod.example")],
        &[Name::Dns("prod.example"), Name::Common(id)],
        &[],
    ] {
        assert_eq!(agent(&agents, names), "unknown_certificate");
    }
}

#[test]
fn other_names_are_compared_as_their_kind_is() {
    let dns = known(NameKind::SanDns, &["one.example", "*.agents.example"]);
    assert_eq!(agent(&dns, &[Name::Dns("ONE.example")]), "one.example");
    assert_eq!(
        agent(&dns, &[Name::Dns("other.example"), Name::Dns("a.b.agents.example")]),
        "a.b.agents.example"
    );
    for name in ["agents.example", "xagents.example", "one.example.evil", "two.example"] {
        assert_eq!(agent(&dns, &[Name::Dns(name)]), "unknown_certificate", "{name}");
    }
    assert_eq!(agent(&dns, &[Name::Common("one.example")]), "unknown_certificate");

    let mail = known(NameKind::SanEmail, &["a@example.com", "*@agents.example"]);
    assert_eq!(agent(&mail, &[Name::Mail("a@example.com")]), "a@example.com");
    assert_eq!(agent(&mail, &[Name::Mail("x@agents.example")]), "x@agents.example");
    for name in ["b@example.com", "A@example.com", "x@evil-agents.example", "x@agents.example.evil"] {
        assert_eq!(agent(&mail, &[Name::Mail(name)]), "unknown_certificate", "{name}");
    }

    let common = known(NameKind::SubjectCn, &["build bot"]);
    assert_eq!(agent(&common, &[Name::Common("build bot")]), "build bot");
    for names in [&[Name::Common("Build bot")][..], &[Name::Common("")], &[Name::Dns("build")], &[]] {
        assert_eq!(agent(&common, names), "unknown_certificate");
    }
}

#[test]
fn an_entry_names_its_agent_and_the_first_that_fits_counts() {
    let mut agents = known(NameKind::SanDns, &["one.example", "*.example"]);
    agents.entries[0].agent = Some("bot".into());
    assert_eq!(agent(&agents, &[Name::Dns("two.example"), Name::Dns("one.example")]), "bot");
    assert_eq!(agent(&agents, &[Name::Dns("two.example")]), "two.example");
}

#[test]
fn the_time_of_a_certificate_is_looked_at_again_on_every_request() {
    let agents = known(NameKind::SanDns, &["one.example"]);
    let der = certificate(&[Name::Dns("one.example")]);
    let at = |now| agents.authenticate(&der, now).map(|_| ()).map_err(|refused| refused.reason);
    let (begins, ends) = (1_704_067_200, 1_861_920_000);
    assert_eq!((at(begins - 1), at(begins)), (Err("not_yet_valid"), Ok(())));
    assert_eq!((at(ends), at(ends + 1)), (Ok(()), Err("expired")));
}

#[test]
fn what_is_no_certificate_is_refused_wherever_it_is_cut_or_changed() {
    let agents = known(NameKind::SanDns, &["one.example"]);
    let der = certificate(&[Name::Dns("one.example")]);
    for cut in 0..der.len() {
        assert!(agents.authenticate(&der[..cut], NOW).is_err());
        let mut changed = der.clone();
        changed[cut] ^= 0xff;
        let _ = agents.authenticate(&changed, NOW);
    }
    assert!(agents.authenticate(&[&der[..], &[0]].concat(), NOW).is_err(), "something behind it");
}

#[test]
fn a_credential_in_the_head_counts_before_the_certificate() {
    let signer = Signer::es256();
    let mut setting = Setting { anonymous: true, ..Setting::of(&signer) };
    setting.authn.certificates = Some(known(NameKind::SanDns, &["one.example"]));
    setting.certificate = Some(certificate(&[Name::Dns("one.example")]));
    let proof = |outcome| match outcome {
        crate::policy::authn::Outcome::Known(known) => known.proof.label(),
        other => word(&other),
    };
    assert_eq!(proof(setting.ask(Credential::None)), "certificate");
    assert_eq!(proof(setting.show(&signer.token(serde_json::json!({}), serde_json::json!({})))), "jwt");
    assert_eq!(proof(setting.show("abc")), "malformed_token", "the certificate does not help it");
    setting.certificate = Some(certificate(&[Name::Dns("two.example")]));
    assert_eq!(
        proof(setting.ask(Credential::None)),
        "unknown_certificate",
        "nobody becomes anonymous by failing"
    );
    setting.certificate = None;
    assert_eq!(proof(setting.ask(Credential::None)), "anonymous");
}

#[test]
fn patterns_end_where_their_grammar_has_a_border() {
    for (kind, text) in [
        (NameKind::SpiffeId, "spiffe://prod.example/agent*"),
        (NameKind::SpiffeId, "spiffe://prod.example*"),
        (NameKind::SpiffeId, "spiffe://*/agent"),
        (NameKind::SpiffeId, "spiffe://prod.example/*/x"),
        (NameKind::SpiffeId, "spiffe:///*"),
        (NameKind::SpiffeId, "*"),
        (NameKind::SpiffeId, "prod.example/x"),
        (NameKind::SanDns, "*"),
        (NameKind::SanDns, "*example"),
        (NameKind::SanDns, "*."),
        (NameKind::SanDns, "a.*.example"),
        (NameKind::SanDns, "a..example"),
        (NameKind::SanEmail, "*"),
        (NameKind::SanEmail, "*x@example.com"),
        (NameKind::SanEmail, "a@*"),
        (NameKind::SanEmail, "@example.com"),
        (NameKind::SanEmail, "example.com"),
        (NameKind::SubjectCn, "build*"),
        (NameKind::SubjectCn, ""),
    ] {
        assert!(Pattern::parse(text, kind).is_err(), "{text}");
    }
    assert!(
        Pattern::parse("spiffe://prod.example/*", NameKind::SpiffeId)
            .unwrap()
            .fits("spiffe://prod.example/a/b")
    );
}
