//! `origins` and `hosts`: who may use the gateway from a browser.

use crate::config::file::File;
use crate::config::snapshot::{HostPolicy, ListenAddress, Listener, OriginPolicy};
use crate::config::text::AllowedOrigin;
use crate::schema::finding::Findings;

/// The two policies. Their defaults depend on whether only this machine can connect over TCP: then a
/// hostile page in a local browser is the danger (DNS rebinding), and both are narrow.
pub fn compile(file: &File, listeners: &[Listener], findings: &mut Findings) -> (OriginPolicy, HostPolicy) {
    let loopback = only_loopback(listeners);
    let own = file.public_url.as_ref().map(|url| &url.value);

    let mut origins = OriginPolicy { same_host: file.hosts.is_some(), ..OriginPolicy::default() };
    let mut listed: Vec<Box<str>> = own.map(|own| own.serialize().into()).into_iter().collect();
    match &file.origins {
        None => origins.loopback = loopback,
        Some(list) => {
            for origin in &list.value {
                match &origin.value {
                    AllowedOrigin::Any => origins.any = true,
                    AllowedOrigin::One(origin) => listed.push(origin.serialize().into()),
                }
            }
            if origins.any && list.value.len() > 1 {
                findings.add(
                    &list.place,
                    "has `\"*\"` and other origins",
                    "remove the others, or the `\"*\"`",
                );
            }
        }
    }
    origins.listed = unique(listed);

    let mut hosts = HostPolicy::default();
    let mut listed: Vec<Box<str>> = own.map(|own| own.authority.as_str().into()).into_iter().collect();
    match &file.hosts {
        None => (hosts.any, hosts.loopback) = (!loopback, loopback),
        Some(list) => listed.extend(list.value.iter().map(|host| host.value.as_str().into())),
    }
    hosts.listed = unique(listed);
    (origins, hosts)
}

/// Whether there is a TCP listener, and every one is on loopback.
fn only_loopback(listeners: &[Listener]) -> bool {
    let mut tcp =
        listeners.iter().filter(|listener| matches!(listener.address, ListenAddress::Tcp(_))).peekable();
    tcp.peek().is_some() && tcp.all(|listener| listener.address.is_loopback())
}

fn unique(mut values: Vec<Box<str>>) -> Box<[Box<str>]> {
    values.sort_unstable();
    values.dedup();
    values.into()
}
