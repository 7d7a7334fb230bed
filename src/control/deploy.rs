//! From a snapshot to a deployment: what takes long or blocks is done here, once, and never on a worker.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use super::aside::{self, Aside};
use crate::config::Snapshot;
use crate::config::snapshot::{Address, Endpoint, ListenerTls, Roots};
use crate::io::tls::{Identity, TlsClient, TlsServer};
use crate::link::Deployment;
use crate::policy::authn::{Issuer, KeySet, KeySource};

/// For each endpoint, what its name resolved to.
pub type Addresses = Box<[Box<[SocketAddr]>]>;

/// Makes a deployment of a snapshot, after `old` if there was one. A name that does not resolve is no error:
/// it may come back, and until then it keeps what it resolved to in `old`. Blocks while names are resolved.
///
/// # Errors
/// A TLS set-up that cannot work, with the option it belongs to.
pub fn deploy(snapshot: Snapshot, old: Option<&Deployment>) -> Result<Deployment, String> {
    let addresses = resolve(&snapshot, old);
    assemble(Arc::new(snapshot), addresses, old)
}

/// A deployment of `snapshot`, whose names were resolved to `addresses`, after `old` if there was one.
///
/// # Errors
/// A TLS set-up that cannot work, with the option it belongs to.
pub fn assemble(
    snapshot: Arc<Snapshot>,
    addresses: Addresses,
    old: Option<&Deployment>,
) -> Result<Deployment, String> {
    let listener_tls = snapshot
        .listeners
        .iter()
        .enumerate()
        .map(|(index, listener)| listener.tls.as_ref().map(|tls| listener_set_up(index, tls)).transpose())
        .collect::<Result<_, _>>()?;
    let endpoint_tls = endpoints(&snapshot)
        .map(|(server, endpoint)| endpoint_set_up(server, endpoint))
        .collect::<Result<_, _>>()?;
    let keys = keys(&snapshot, old);
    Ok(Deployment { snapshot, listener_tls, endpoint_tls, addresses, keys })
}

/// The same deployment once more, to change something of it.
pub fn copy(of: &Deployment) -> Deployment {
    Deployment {
        snapshot: of.snapshot.clone(),
        listener_tls: of.listener_tls.clone(),
        endpoint_tls: of.endpoint_tls.clone(),
        addresses: of.addresses.clone(),
        keys: of.keys.clone(),
    }
}

/// The keys of each issuer: those that were read with the configuration, and of the fetched ones those that `old` has
/// of the same issuer from the same source.
fn keys(snapshot: &Snapshot, old: Option<&Deployment>) -> Box<[Option<Arc<KeySet>>]> {
    let before = |issuer: &Issuer| {
        let old = old?;
        let at = old
            .snapshot
            .authn
            .as_ref()?
            .issuers
            .iter()
            .position(|known| known.name == issuer.name && known.source == issuer.source)?;
        old.keys.get(at).cloned().flatten()
    };
    let of = |issuer: &Issuer| match &issuer.source {
        KeySource::Given(keys) => Some(keys.clone()),
        KeySource::Discovery | KeySource::Url(_) => before(issuer),
    };
    snapshot.authn.iter().flat_map(|authn| &authn.issuers).map(of).collect()
}

/// What the names of `snapshot` resolve to, on a thread that lives only for it: a name server that does not answer
/// holds up neither signals nor health checks. Without a thread, everything stays as it is in `old`.
pub async fn resolve_aside(snapshot: Arc<Snapshot>, old: Arc<Deployment>, aside: Aside) -> Addresses {
    let (theirs, before) = (snapshot.clone(), old.clone());
    let found = aside::run(aside, move || resolve(&theirs, Some(&before))).await;
    found.unwrap_or_else(|| unresolved(&snapshot, &old))
}

/// What the endpoints of `snapshot` resolved to in `old`; an address needs no resolving.
fn unresolved(snapshot: &Snapshot, old: &Deployment) -> Addresses {
    let known = |endpoint: &Endpoint| match &endpoint.address {
        Address::Tcp { host, port } => match host.parse::<IpAddr>() {
            Ok(ip) => [SocketAddr::new(ip, *port)].into(),
            Err(_) => before(old, &endpoint.address).unwrap_or_default(),
        },
        Address::Unix(_) => Box::default(),
    };
    endpoints(snapshot).map(|(_, endpoint)| known(endpoint)).collect()
}

fn endpoints(snapshot: &Snapshot) -> impl Iterator<Item = (&str, &Endpoint)> {
    snapshot
        .servers
        .iter()
        .flat_map(|server| server.endpoints.iter().map(|endpoint| (&*server.name, endpoint)))
}

fn listener_set_up(index: usize, tls: &ListenerTls) -> Result<TlsServer, String> {
    let identities: Vec<_> = tls
        .identities
        .iter()
        .map(|own| Identity { chain_pem: &own.certificate, key_pem: own.key.reveal(), names: &own.names })
        .collect();
    TlsServer::new(&identities, tls.client_ca.as_deref())
        .map_err(|what| format!("listeners[{index}].tls: {what}"))
}

/// What is wrong with the certificates and keys of a snapshot, with the option of each: what `ringgate check` can say
/// besides the findings.
pub fn tls_faults(snapshot: &Snapshot) -> Vec<String> {
    let listeners = snapshot.listeners.iter().enumerate();
    let listeners =
        listeners.filter_map(|(index, listener)| listener_set_up(index, listener.tls.as_ref()?).err());
    let endpoints =
        endpoints(snapshot).filter_map(|(server, endpoint)| endpoint_set_up(server, endpoint).err());
    let mut faults: Vec<_> = listeners.chain(endpoints).collect();
    // The endpoints of a server share their set-up.
    faults.dedup();
    faults
}

fn endpoint_set_up(server: &str, endpoint: &Endpoint) -> Result<Option<TlsClient>, String> {
    let Some(tls) = &endpoint.tls else { return Ok(None) };
    let roots = match &tls.roots {
        Roots::System => None,
        Roots::Pem(pem) => Some(&pem[..]),
    };
    let identity = tls.identity.as_ref().map(|(chain, key)| (&chain[..], key.reveal()));
    TlsClient::new(roots, identity).map(Some).map_err(|what| format!("servers.{server}.tls: {what}"))
}

/// The addresses of every endpoint. A name that does not resolve now keeps what it resolved to before.
fn resolve(snapshot: &Snapshot, old: Option<&Deployment>) -> Addresses {
    let mut known: HashMap<(&str, u16), Box<[SocketAddr]>> = HashMap::new();
    endpoints(snapshot)
        .map(|(server, endpoint)| {
            let Address::Tcp { host, port } = &endpoint.address else { return Box::default() };
            let found = known.entry((&**host, *port)).or_insert_with(|| {
                let mut addresses = look_up(server, host, *port);
                // The order that a name server gives turns with each answer and means nothing.
                addresses.sort_unstable();
                addresses.dedup();
                addresses.into()
            });
            if found.is_empty() {
                return old.and_then(|old| before(old, &endpoint.address)).unwrap_or_default();
            }
            found.clone()
        })
        .collect()
}

/// What an endpoint at `address` resolved to in `old`.
fn before(old: &Deployment, address: &Address) -> Option<Box<[SocketAddr]>> {
    let (_, kept) = endpoints(&old.snapshot).find(|(_, endpoint)| endpoint.address == *address)?;
    old.addresses.get(usize::from(kept.id.0)).cloned()
}

fn look_up(server: &str, host: &str, port: u16) -> Vec<SocketAddr> {
    match (host, port).to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(error) => {
            tracing::warn!(server, host, %error, "the name of a server does not resolve");
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::check::Flags;

    fn snapshot(servers: &[(&str, &str)]) -> Snapshot {
        let servers = servers.iter().map(|(name, url)| ((*name).to_owned(), (*url).to_owned())).collect();
        Snapshot::from_flags(&Flags { servers, ..Flags::default() }).unwrap()
    }

    #[test]
    fn a_name_that_stops_resolving_keeps_its_addresses_wherever_its_server_stands() {
        // A name that never resolves (RFC 6761 section 6.4).
        let gone = "http://gone.invalid:7/mcp";
        let mut old = deploy(snapshot(&[("gone", gone)]), None).unwrap();
        assert!(old.addresses[0].is_empty());
        old.addresses[0] = [SocketAddr::from(([192, 0, 2, 1], 7))].into();
        let new =
            deploy(snapshot(&[("here", "http://127.0.0.1:8/mcp"), ("gone", gone)]), Some(&old)).unwrap();
        assert_eq!(*new.addresses[0], [SocketAddr::from(([127, 0, 0, 1], 8))]);
        assert_eq!(new.addresses[1], old.addresses[0]);
    }

    #[test]
    fn a_client_certificate_must_fit_its_key() {
        let pair = |name: &str| {
            let key = rcgen::KeyPair::generate().unwrap();
            let certificate =
                rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
            (certificate.pem().into_bytes(), crate::base::Secret::new(key.serialize_pem().into_bytes()))
        };
        let ((chain, key), (_, other)) = (pair("gateway"), pair("other"));
        let with = |key: crate::base::Secret| {
            let mut snapshot = snapshot(&[("up", "https://127.0.0.1:8/mcp")]);
            let tls = snapshot.servers[0].endpoints[0].tls.as_mut().unwrap();
            tls.roots = Roots::Pem(chain.clone().into());
            tls.identity = Some((chain.clone().into(), key));
            deploy(snapshot, None).map(|deployment| deployment.endpoint_tls[0].is_some())
        };
        assert_eq!(with(key), Ok(true));
        let fault = with(other).unwrap_err();
        assert!(fault.starts_with("servers.up.tls: the private key does not belong"), "{fault}");
    }
}
