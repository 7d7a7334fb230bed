//! Where clients are accepted, and how.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::base::Secret;

/// One place where connections are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub address: ListenAddress,
    /// Whether another gateway may listen there too.
    pub shared: bool,
    /// Certificate and key, if TLS is spoken here.
    pub tls: Option<ListenerTls>,
    /// Whether the client's address comes from a PROXY protocol header.
    pub proxy_protocol: ProxyProtocol,
    /// Peers whose PROXY header is believed, as networks. Empty: every peer.
    pub trusted_sources: Box<[Network]>,
}

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix stream socket.
    Unix {
        /// File system path of the socket.
        path: PathBuf,
        /// Permission bits given to the socket; `None` leaves them to the umask.
        mode: Option<u32>,
    },
}

impl ListenAddress {
    /// Whether only this machine can connect over TCP.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix { .. } => false,
        }
    }
}

/// TLS of a listener: bytes that were checked to be PEM of the right kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerTls {
    /// What it proves itself with. At least one; the first is the one for all other names.
    pub identities: Box<[TlsIdentity]>,
    /// Certificates in PEM that client certificates must chain to, if they are asked for.
    pub client_ca: Option<Box<[u8]>>,
}

/// A certificate, its key, and for which names it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsIdentity {
    /// Certificate chain in PEM, leaf first.
    pub certificate: Box<[u8]>,
    /// Private key in PEM.
    pub key: Secret,
    /// The DNS names of the certificate in lower case, `*.` of the wildcards included.
    pub names: Box<[Box<str>]>,
    /// Its `notAfter`, in seconds since 1970 (UTC); `None` if that cannot be read.
    pub ends: Option<u64>,
}

impl TlsIdentity {
    /// Whether the certificate is good for this name, in lower case. A wildcard stands for one label (RFC 9525 section 6.3).
    pub fn covers(&self, name: &str) -> bool {
        let parent = name.split_once('.').map(|(_, parent)| parent);
        self.names
            .iter()
            .any(|own| **own == *name || own.strip_prefix("*.").is_some_and(|own| Some(own) == parent))
    }
}

/// An address block such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The first address of the block.
    pub address: std::net::IpAddr,
    /// How many leading bits count.
    pub prefix_bits: u8,
}

impl Network {
    /// The address with every bit behind the prefix cleared.
    pub fn first(&self) -> std::net::IpAddr {
        use std::net::IpAddr::{V4, V6};
        let kept = |width: u32| width - u32::from(self.prefix_bits).min(width);
        match self.address {
            V4(address) => V4((address.to_bits() & u32::MAX.checked_shl(kept(32)).unwrap_or(0)).into()),
            V6(address) => V6((address.to_bits() & u128::MAX.checked_shl(kept(128)).unwrap_or(0)).into()),
        }
    }

    /// Whether `address` is in the block. An IPv4-mapped IPv6 address counts as IPv4.
    pub fn contains(&self, address: std::net::IpAddr) -> bool {
        use std::net::IpAddr::{V4, V6};
        let (ours, theirs, width) = match (self.address, address.to_canonical()) {
            (V4(ours), V4(theirs)) => (u128::from(ours.to_bits()), u128::from(theirs.to_bits()), 32),
            (V6(ours), V6(theirs)) => (ours.to_bits(), theirs.to_bits(), 128),
            (V4(_), V6(_)) | (V6(_), V4(_)) => return false,
        };
        let shift = width - u32::from(self.prefix_bits).min(width);
        ours.checked_shr(shift).unwrap_or(0) == theirs.checked_shr(shift).unwrap_or(0)
    }
}

/// Whether connections begin with a PROXY protocol header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// They do not.
    #[default]
    Off,
    /// Version 1, the text form.
    V1,
    /// Version 2, the binary form.
    V2,
    /// Either version.
    Any,
}
