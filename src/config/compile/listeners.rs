//! `listeners`.

use super::{Context, material};
use crate::base::Secret;
use crate::config::file::{File, ListenerSection, ListenerTlsSection};
use crate::config::finding::{At, Findings};
use crate::config::snapshot::{ListenAddress, Listener, ListenerTls, ProxyProtocol};

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
    let tls = section.tls.as_ref().and_then(|tls| tls_of(&tls.value, context, findings));
    if let Some(At { place, .. }) = &section.trusted_sources
        && section.proxy_protocol.value == ProxyProtocol::Off
    {
        findings.add(place, "has no effect without the PROXY protocol", "set `proxy_protocol`, or remove it");
    }
    let address = match &section.address.as_ref()?.value {
        ListenAddress::Unix { path, .. } => {
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
    let mut read = |reference: &Option<At<_>>, check| {
        reference.as_ref().map(|reference| material::checked(reference, check, context, findings))
    };
    let certificate = read(&section.certificate, material::certificates);
    let key = read(&section.key, material::private_key);
    let client_ca = read(&section.client_ca, material::certificates);
    Some(ListenerTls { certificate: certificate??, key: Secret::new(key??), client_ca: client_ca.flatten() })
}
