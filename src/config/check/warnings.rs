//! What is not wrong with a configuration, but worth a second look.

use crate::config::snapshot::{ListenAddress, Listener, ProxyProtocol, Server, Snapshot};
use crate::policy::authn::{Authn, KeySource};

mod forgotten;
mod nobody;

/// Audiences that are named. A thousand servers may share one each.
const AUDIENCES_MAX: usize = 8;
/// A certificate that ends within so many days is named.
const SOON_DAYS: u64 = 14;
/// Servers that are named of each.
const SERVERS_MAX: usize = 4;

/// What the operator should know and may well have meant, one line each: limits that ask who calls where nobody knows, names
/// that no certificate has, credentials that cross a network in the clear, what a restart forgets, audiences that several
/// servers share. Written to the log at the start and at each reload, and by `ringgate check`. `wall`: seconds since 1970 (UTC).
pub fn warnings(snapshot: &Snapshot, wall: u64) -> Vec<String> {
    let mut all = nobody::warnings(snapshot);
    all.extend(certificates(snapshot));
    all.extend(ends(snapshot, wall));
    all.extend(forgotten::warnings(snapshot));
    all.extend(snapshot.open_secrets.iter().map(|path| {
        format!("{0} holds a secret, and every user of this host may read it (chmod o-r {0})", path.display())
    }));
    let Some(authn) = &snapshot.authn else {
        all.extend(unguarded(snapshot));
        return all;
    };
    for (index, issuer) in authn.issuers.iter().enumerate() {
        if let KeySource::Given(keys) = &issuer.source
            && !keys.dropped().is_usual()
        {
            all.push(format!("authentication.issuers[{index}].jwks: keys are not used: {}", keys.dropped()));
        }
    }
    let unreadable = authn.revoked.unreadable();
    if unreadable.count > 0 {
        all.push(format!(
            "authentication.revoked: {unreadable}, and revokes nothing; all other lines do (write lines `jti:ID`, `key:ID` or \
             `cert:SERIAL`, and comments behind `#`)"
        ));
    }
    if shows_secrets(authn) {
        let behind_tls = snapshot.public_url.as_ref().is_some_and(|url| url.starts_with("https:"));
        let open =
            snapshot.listeners.iter().enumerate().filter(|(_, listener)| is_open(listener, behind_tls));
        all.extend(open.map(|(index, listener)| in_the_clear(index, listener)));
    }
    if !authn.issuers.is_empty() || authn.introspection.is_some() {
        all.extend(shared_audiences(&snapshot.servers));
    }
    all
}

/// Names that clients are to use and no certificate has, and certificates that are never chosen.
fn certificates(snapshot: &Snapshot) -> Vec<String> {
    let with_tls = || {
        let listeners = snapshot.listeners.iter().enumerate();
        listeners.filter_map(|(index, listener)| Some((index, &listener.tls.as_ref()?.identities)))
    };
    let mut all = Vec::new();
    for (index, identities) in with_tls() {
        for (at, own) in identities.iter().enumerate().skip(1) {
            let earlier = |name: &str| {
                identities[..at].iter().any(|other| other.names.iter().any(|have| **have == *name))
            };
            if own.names.iter().all(|name| earlier(name)) {
                let why =
                    if own.names.is_empty() { "has no DNS name" } else { "has only names of earlier ones" };
                all.push(format!(
                    "listeners[{index}].tls.certificates[{at}] {why}, and is never chosen (remove it, or put it first)"
                ));
            }
        }
    }
    let known = with_tls().any(|(_, identities)| identities.iter().any(|own| !own.names.is_empty()));
    for name in served_names(snapshot).filter(|_| known) {
        if !with_tls().any(|(_, identities)| identities.iter().any(|own| own.covers(&name))) {
            all.push(format!(
                "no certificate of a listener has the name `{name}`, by which clients are to reach the gateway (add one \
                 to `tls.certificates`)"
            ));
        }
    }
    all
}

/// Certificates of listeners that have ended, or will soon.
fn ends(snapshot: &Snapshot, wall: u64) -> Vec<String> {
    const DAY: u64 = 24 * 60 * 60;
    let mut all = Vec::new();
    for (index, listener) in snapshot.listeners.iter().enumerate() {
        let identities = listener.tls.iter().flat_map(|tls| &tls.identities);
        for (at, end) in identities.enumerate().filter_map(|(at, own)| Some((at, own.ends?))) {
            let which = format!(
                "the certificate of listeners[{index}]{}",
                if at > 0 { format!(" ({at})") } else { String::new() }
            );
            if end < wall {
                let days = (wall - end) / DAY;
                all.push(format!("{which} ended {days} days ago: clients refuse the connection (renew it; a changed file is taken over)"));
            } else if end - wall < SOON_DAYS * DAY {
                let days = (end - wall) / DAY;
                all.push(format!("{which} ends in {days} days (renew it; a changed file is taken over)"));
            }
        }
    }
    all
}

/// Listeners that other machines reach, where nobody is asked who calls.
fn unguarded(snapshot: &Snapshot) -> Vec<String> {
    let listeners = snapshot.listeners.iter().enumerate();
    let open = listeners.filter(|(_, listener)| {
        let asks_certificate = listener.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        is_open(listener, false) && !asks_certificate && listener.trusted_sources.is_empty()
            || matches!(&listener.address, ListenAddress::Tcp(address)
                if listener.tls.is_some() && !asks_certificate && !address.ip().to_canonical().is_loopback())
    });
    open.map(|(index, listener)| {
        let plain = if listener.tls.is_none() { " and in the clear" } else { "" };
        format!(
            "listeners[{index}] on {} serves whoever reaches it, without a credential{plain} (add `authentication`{}, or listen \
             on 127.0.0.1)",
            place(listener),
            if listener.tls.is_none() { " and `tls`" } else { "" },
        )
    })
    .collect()
}

/// The DNS names of `hosts`, and of `public_url` if it is `https`.
fn served_names(snapshot: &Snapshot) -> impl Iterator<Item = String> {
    let public = snapshot.public_url.as_deref().and_then(|url| url.strip_prefix("https://"));
    let mut names: Vec<String> = public
        .into_iter()
        .chain(snapshot.hosts.listed.iter().map(|host| &**host))
        .filter(|host| !host.starts_with('['))
        .map(|host| host.split(':').next().unwrap_or_default().to_ascii_lowercase())
        .filter(|host| host.parse::<std::net::IpAddr>().is_err())
        .collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter()
}

/// Whether callers show what whoever reads it can show too. The key of a certificate does not travel.
fn shows_secrets(authn: &Authn) -> bool {
    !authn.issuers.is_empty() || authn.api_keys.is_some() || authn.introspection.is_some()
}

/// Whether what clients send to the listener crosses a network in the clear, as far as can be told. A PROXY header comes
/// from a balancer, which may well be where TLS ends if clients know the gateway by `https`.
fn is_open(listener: &Listener, behind_tls: bool) -> bool {
    let ListenAddress::Tcp(address) = &listener.address else { return false };
    let balanced = listener.proxy_protocol != ProxyProtocol::Off && behind_tls;
    listener.tls.is_none() && !address.ip().to_canonical().is_loopback() && !balanced
}

fn in_the_clear(index: usize, listener: &Listener) -> String {
    let address = place(listener);
    format!(
        "listeners[{index}] takes tokens and keys over plain HTTP on {address}: whoever is on the way can use them \
         (give it `tls`; where a balancer ends TLS, set `public_url` to its https URL and use `proxy_protocol`)"
    )
}

fn place(listener: &Listener) -> String {
    match &listener.address {
        ListenAddress::Tcp(address) => address.to_string(),
        ListenAddress::Unix { path, .. } => path.display().to_string(),
    }
}

/// Each audience that is good for several servers, in the order of the file.
fn shared_audiences(servers: &[Server]) -> Vec<String> {
    let mut by_audience: Vec<(&str, usize, &str)> = Vec::new();
    for (index, server) in servers.iter().enumerate() {
        let audiences = server.protection.audiences.iter();
        by_audience.extend(audiences.map(|audience| (&**audience, index, &*server.name)));
    }
    by_audience.sort_unstable();
    by_audience.dedup();
    let groups = by_audience.chunk_by(|one, other| one.0 == other.0);
    let mut shared: Vec<_> = groups.filter(|group| group.len() > 1).collect();
    shared.sort_by_key(|group| group[0].1);
    let more = shared.len().saturating_sub(AUDIENCES_MAX);
    let mut lines: Vec<_> = shared.into_iter().take(AUDIENCES_MAX).map(shared_audience).collect();
    if more > 0 {
        let noun = if more == 1 { "audience is" } else { "audiences are" };
        lines.push(format!("{more} more {noun} shared by several servers"));
    }
    lines
}

fn shared_audience(group: &[(&str, usize, &str)]) -> String {
    let names: Vec<_> = group.iter().take(SERVERS_MAX).map(|(_, _, name)| *name).collect();
    let more = match group.len().saturating_sub(SERVERS_MAX) {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    let audience = group.first().map_or("", |(audience, _, _)| audience);
    format!(
        "the servers {}{more} share the audience `{audience}`: a token for one is good for all of them \
         (give each `audiences` of its own, unless they are one resource)",
        names.join(", ")
    )
}
