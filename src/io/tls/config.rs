//! Certificates, keys and trust, checked once by the control plane and shared by all workers.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::{ClientConfig, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring as crypto};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConfig, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, RootCertStore};

/// The one application protocol that is spoken (RFC 7301).
const ALPN: &[u8] = b"http/1.1";

/// How a listener speaks TLS: TLS 1.2 and 1.3, resumption by tickets, ALPN `http/1.1`. Cheap to clone.
#[derive(Clone)]
pub struct TlsServer {
    pub(super) config: Arc<ServerConfig>,
    /// Verifies the certificates of clients, where these are asked for.
    verifier: Option<Arc<dyn ClientCertVerifier>>,
}

/// How connections to upstreams speak TLS. Cheap to clone; clones share the sessions to resume.
#[derive(Clone)]
pub struct TlsClient(pub(super) Arc<ClientConfig>);

impl TlsServer {
    /// A server that proves itself with one of these, of which there is at least one: the one whose name the client asks
    /// for, or the first. With `client_ca_pem`, clients must present a certificate that one of those authorities has
    /// signed.
    ///
    /// # Errors
    /// A sentence that says what is wrong and how to mend it.
    pub fn new(identities: &[Identity<'_>], client_ca_pem: Option<&[u8]>) -> Result<Self, String> {
        let provider = Arc::new(crypto::default_provider());
        let choice = ByName::new(identities, &provider)?;
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let verifier: Option<Arc<dyn ClientCertVerifier>> = match client_ca_pem {
            None => None,
            Some(pem) => {
                let roots = Arc::new(roots(pem, "the client CA file")?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                    .build()
                    .map_err(|error| format!("the client CA file cannot be used: {error}"))?;
                Some(verifier)
            }
        };
        let builder = match &verifier {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(verifier.clone()),
        };
        let mut config = builder.with_cert_resolver(Arc::new(choice));
        config.alpn_protocols = vec![ALPN.to_vec()];
        // Tickets, not a session cache: nothing to lock, and any worker can resume any session.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer =
            crypto::Ticketer::new().map_err(|error| format!("no key for session tickets: {error}"))?;
        config.send_tls13_tickets = 1;
        Ok(Self { config: Arc::new(config), verifier })
    }

    /// A server with one certificate for all names.
    #[cfg(test)]
    pub(super) fn single(chain: &[u8], key: &[u8], client_ca: Option<&[u8]>) -> Result<Self, String> {
        Self::new(&[Identity { chain_pem: chain, key_pem: key, names: &[] }], client_ca)
    }

    /// Whether clients must show a certificate.
    pub fn asks_for_certificates(&self) -> bool {
        self.verifier.is_some()
    }

    /// Whether a handshake at `now`, in seconds since 1970 (UTC), would accept a client with these certificates in DER,
    /// its own first. Of no use where none is asked for: then everybody is accepted.
    pub fn trusts(&self, chain: &[Vec<u8>], now: u64) -> bool {
        let Some(verifier) = &self.verifier else { return true };
        let Some((own, others)) = chain.split_first() else { return false };
        let others: Vec<_> = others.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
        verifier.verify_client_cert(&CertificateDer::from(own.as_slice()), &others, now).is_ok()
    }
}

/// What a server proves itself with.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    /// Its certificate chain in PEM, its own first.
    pub chain_pem: &'a [u8],
    /// The private key in PEM.
    pub key_pem: &'a [u8],
    /// The names it is shown for, in lower case; `*.` stands for one label.
    pub names: &'a [Box<str>],
}

impl TlsClient {
    /// A client that trusts the authorities in `ca_pem`, or those of the platform, and proves itself with
    /// `client_cert` (certificate chain and key) where a server asks for it.
    ///
    /// # Errors
    /// A sentence that says what is wrong and how to mend it.
    pub fn new(ca_pem: Option<&[u8]>, client_cert: Option<(&[u8], &[u8])>) -> Result<Self, String> {
        let provider = Arc::new(crypto::default_provider());
        let roots = match ca_pem {
            Some(pem) => roots(pem, "the CA file")?,
            None => platform_roots()?,
        };
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .map_err(|error| format!("the CA certificates cannot be used: {error}"))?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_webpki_verifier(verifier);
        let mut config = match client_cert {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(certificates(chain, "the client certificate file")?, private_key(key)?)
                .map_err(|error| explain_key(&error))?,
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsServer")
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsClient")
    }
}

thread_local! {
    static ASKED_NAME: Cell<Option<String>> = const { Cell::new(None) };
}

/// The name that the client hello just processed on this thread has asked for (SNI, RFC 6066).
pub(super) fn take_asked_name() -> Option<String> {
    ASKED_NAME.take()
}

/// Answers each name with its certificate. rustls without its own buffers does not tell the name
/// afterwards, so it is noted here, in the middle of the call that takes the hello in.
#[derive(Debug)]
struct ByName {
    first: Arc<CertifiedKey>,
    /// The others, and the first, by name; a wildcard by what stands behind its star.
    names: HashMap<Box<str>, Arc<CertifiedKey>>,
    wildcards: HashMap<Box<str>, Arc<CertifiedKey>>,
}

impl ByName {
    fn new(identities: &[Identity<'_>], provider: &CryptoProvider) -> Result<Self, String> {
        let (mut first, mut names, mut wildcards) = (None, HashMap::new(), HashMap::new());
        let mut faults = Vec::new();
        for (index, identity) in identities.iter().enumerate() {
            let key = match certified_key(identity.chain_pem, identity.key_pem, provider) {
                Ok(key) => Arc::new(key),
                // One needs no number.
                Err(what) if identities.len() == 1 => return Err(what),
                Err(what) => {
                    faults.push(format!("certificates[{index}]: {what}"));
                    continue;
                }
            };
            for name in identity.names {
                match name.strip_prefix("*") {
                    Some(rest) => wildcards.entry(rest.into()).or_insert_with(|| key.clone()),
                    None => names.entry(name.clone()).or_insert_with(|| key.clone()),
                };
            }
            first.get_or_insert(key);
        }
        match first {
            Some(first) if faults.is_empty() => Ok(Self { first, names, wildcards }),
            None if faults.is_empty() => Err("there is no certificate".into()),
            _ => Err(faults.join("; ")),
        }
    }

    fn choose(&self, name: Option<&str>) -> &Arc<CertifiedKey> {
        let Some(name) = name.map(str::to_ascii_lowercase) else { return &self.first };
        let wildcard = || self.wildcards.get(&name[name.find('.')?..]);
        self.names.get(&*name).or_else(wildcard).unwrap_or(&self.first)
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name();
        ASKED_NAME.set(name.map(str::to_owned));
        Some(self.choose(name).clone())
    }
}

fn certified_key(
    chain_pem: &[u8],
    key_pem: &[u8],
    provider: &CryptoProvider,
) -> Result<CertifiedKey, String> {
    let chain = certificates(chain_pem, "the certificate file")?;
    CertifiedKey::from_der(chain, private_key(key_pem)?, provider).map_err(|error| explain_key(&error))
}

fn explain_key(error: &Error) -> String {
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => "the private key does not belong to the \
            certificate: the first certificate in the file must be the server's own, made from this key"
            .into(),
        other => {
            format!("the certificate and key cannot be used: {other}; RSA, ECDSA P-256/P-384 and Ed25519 are")
        }
    }
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{what} is not valid PEM: {error}"))?;
    if all.is_empty() {
        return Err(format!(
            "{what} holds no certificate: it must have a -----BEGIN CERTIFICATE----- section"
        ));
    }
    Ok(all)
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
        format!(
            "the key file holds no usable private key ({error}): it must be PEM with an unencrypted \
             -----BEGIN PRIVATE KEY-----, RSA PRIVATE KEY or EC PRIVATE KEY section"
        )
    })
}

fn roots(pem: &[u8], what: &str) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(pem, what)? {
        store
            .add(certificate)
            .map_err(|error| format!("{what} holds a certificate that cannot be a CA: {error}"))?;
    }
    Ok(store)
}

fn platform_roots() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        let why: String = found.errors.iter().map(|error| format!(" ({error})")).collect();
        return Err(format!(
            "the platform has no CA certificates{why}: install ca-certificates, set SSL_CERT_FILE, or name a CA file"
        ));
    }
    Ok(store)
}
