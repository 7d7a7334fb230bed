//! What a listener proves itself with.

use crate::base::Secret;

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
