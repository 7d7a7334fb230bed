//! `authentication.certificates`.

use super::{names, optional, sorted};
use crate::config::file::File;
use crate::config::file::authentication::{AuthenticationSection, CertificatesSection};
use crate::policy::authn::Certificates;
use crate::policy::authn::certificate::{Entry, NameKind, Pattern, spiffe};
use crate::schema::finding::{At, Findings};
use crate::schema::units::shorten;

/// Whose client certificates are whose, if they count.
pub fn compile(
    file: &File,
    section: &AuthenticationSection,
    findings: &mut Findings,
) -> Option<Certificates> {
    let At { value: section, place } = section.certificates.as_ref()?;
    let asks = |listener: &At<crate::config::file::ListenerSection>| {
        listener.value.tls.as_ref().is_some_and(|tls| tls.value.client_ca.is_some())
    };
    if !file.listeners.value.iter().any(asks) {
        let fix = "give a listener `tls` with `client_ca`, the authority of the certificates";
        findings.add(place, "has no effect: no listener asks for client certificates", fix);
    }
    let kind = section.from.value;
    let trust_domains = section.trust_domains.as_ref().map(names).unwrap_or_default();
    match (kind, &section.trust_domains) {
        (NameKind::SpiffeId, None) => {
            let fix = "add `trust_domains: [prod.example]`";
            findings.add(place, "believes no trust domain", fix);
        }
        (NameKind::SanDns | NameKind::SanEmail | NameKind::SubjectCn, Some(domains)) => {
            findings.add(&domains.place, "has no effect without `from: spiffe_id`", "remove it");
        }
        _ => {}
    }
    Some(Certificates { name: kind, entries: entries(section, &trust_domains, findings), trust_domains })
}

fn entries(
    section: &CertificatesSection,
    trust_domains: &[Box<str>],
    findings: &mut Findings,
) -> Box<[Entry]> {
    let mut entries = Vec::new();
    for At { value: entry, .. } in section.entries.iter().flat_map(|list| &list.value) {
        let Some(name) = &entry.name else { continue };
        let pattern = match Pattern::parse(&name.value, section.from.value) {
            Ok(pattern) => pattern,
            Err(what) => {
                let fix =
                    "write the name as it stands in the certificate; a `*` takes the place of whole parts";
                findings.add(&name.place, format!("`{}` {what}", shorten(&name.value)), fix);
                continue;
            }
        };
        let domain = spiffe(name.value.trim_end_matches("/*")).map(|(domain, _)| domain);
        if let Some(domain) =
            domain.filter(|domain| !trust_domains.iter().any(|trusted| **trusted == **domain))
            && !trust_domains.is_empty()
        {
            let fix = "add it there, or remove this entry";
            findings.add(&name.place, format!("`{}` is not in `trust_domains`", shorten(domain)), fix);
        }
        entries.push(Entry {
            pattern,
            agent: optional(&entry.agent),
            tenant: optional(&entry.tenant),
            roles: sorted(&entry.roles),
            scopes: sorted(&entry.scopes),
        });
    }
    entries.into()
}
