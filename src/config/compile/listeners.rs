//! `listeners`.

use super::{Context, material};
use crate::base::Secret;
use crate::config::file::{File, ListenerSection, ListenerTlsSection};
use crate::config::snapshot::{ListenAddress, Listener, ListenerTls, ProxyProtocol, TlsIdentity};
use crate::config::text::Reference;
use crate::policy::authn::certificate::{dns_names, end};
use crate::schema::finding::{At, Findings};
use crate::schema::world::TrustKind;

/// The listeners. Those whose address is wrong are left out, after a finding.
pub fn compile(file: &File, context: &Context<'_>, findings: &mut Findings) -> Vec<Listener> {
    let mut listeners: Vec<Listener> = Vec::new();
    for section in &file.listeners.value {
        let Some(listener) = listener(&section.value, context, findings) else { continue };
        let taken = |other: &Listener| same_place(&other.address, &listener.address);
        if listeners.iter().any(taken) {
            findings.add(&section.place, "has the address of another listener", "remove one of the two");
        }
        listeners.push(listener);
    }
    listeners
}

fn same_place(one: &ListenAddress, other: &ListenAddress) -> bool {
    match (one, other) {
        (ListenAddress::Tcp(one), ListenAddress::Tcp(other)) => one == other && one.port() != 0,
        (ListenAddress::Unix { path: one, .. }, ListenAddress::Unix { path: other, .. }) => one == other,
        (ListenAddress::Tcp(_), ListenAddress::Unix { .. })
        | (ListenAddress::Unix { .. }, ListenAddress::Tcp(_)) => false,
    }
}

fn listener(section: &ListenerSection, context: &Context<'_>, findings: &mut Findings) -> Option<Listener> {
    let tls = section.tls.as_ref().and_then(|tls| {
        check_form(tls, findings);
        tls_of(&tls.value, context, findings)
    });
    if let Some(At { place, .. }) = &section.trusted_sources
        && section.proxy_protocol.value == ProxyProtocol::Off
    {
        findings.add(place, "has no effect without the PROXY protocol", "set `proxy_protocol`, or remove it");
    }
    let address = match &section.address.as_ref()?.value {
        ListenAddress::Unix { path, .. } => {
            if section.shared.value {
                let fix = "remove it; a socket file has one listener";
                findings.add(&section.shared.place, "has no effect on a Unix socket", fix);
            }
            ListenAddress::Unix { path: path.clone(), mode: section.mode.as_ref().map(|mode| mode.value) }
        }
        ListenAddress::Tcp(address) => {
            if let Some(At { place, .. }) = &section.mode {
                findings.add(
                    place,
                    "has no effect on a TCP listener",
                    "remove it; only Unix sockets have a mode",
                );
            }
            ListenAddress::Tcp(*address)
        }
    };
    let networks = section.trusted_sources.iter().flat_map(|list| &list.value);
    Some(Listener {
        shared: section.shared.value,
        address,
        tls,
        proxy_protocol: section.proxy_protocol.value,
        trusted_sources: networks.map(|network| network.value).collect(),
    })
}

fn tls_of(
    section: &ListenerTlsSection,
    context: &Context<'_>,
    findings: &mut Findings,
) -> Option<ListenerTls> {
    let client_ca = section.client_ca.as_ref();
    let client_ca = client_ca
        .and_then(|reference| material::authorities(reference, TrustKind::ClientCa, context, findings));
    let identities: Option<Box<[_]>> = match &section.certificates {
        None => identity(&section.certificate, &section.key, context, findings).map(|own| [own].into()),
        Some(list) => {
            // All are read, so that all mistakes are found.
            let read: Vec<_> = list
                .value
                .iter()
                .map(|At { value, .. }| identity(&value.certificate, &value.key, context, findings))
                .collect();
            read.into_iter().collect()
        }
    };
    Some(ListenerTls { identities: identities?, client_ca })
}

/// Whether `tls` has one certificate or several, and not both or neither.
fn check_form(section: &At<ListenerTlsSection>, findings: &mut Findings) {
    let At { value: tls, place } = section;
    match (&tls.certificate, &tls.key, &tls.certificates) {
        (Some(At { place, .. }), _, Some(_)) | (None, Some(At { place, .. }), Some(_)) => {
            findings.add(place, "stands beside `certificates`", "make it the first of `certificates`");
        }
        (None, _, None) => {
            findings.add(place, "has no certificate", "add `certificate` and `key`, or `certificates`");
        }
        (Some(_), None, None) => findings.add(place, "has a certificate without its key", "add `key`"),
        (Some(_), Some(_), None) | (None, None, Some(_)) => {}
    }
}

fn identity(
    certificate: &Option<At<Reference>>,
    key: &Option<At<Reference>>,
    context: &Context<'_>,
    findings: &mut Findings,
) -> Option<TlsIdentity> {
    let key_reference = key.as_ref();
    let mut read = |reference: &Option<At<_>>, check| {
        reference.as_ref().and_then(|reference| material::checked(reference, check, context, findings))
    };
    let certificate = read(certificate, material::certificates);
    let key = read(key, material::private_key);
    if let Some(key) = key_reference {
        material::note_secret(&key.value, context);
    }
    let leaf = material::der_of_first(certificate.as_deref()?)?;
    let (names, ends) = (dns_names(&leaf), end(&leaf));
    Some(TlsIdentity { certificate: certificate?, key: Secret::new(key?), names, ends })
}
