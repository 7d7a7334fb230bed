//! TLS towards `https://` targets: whom to trust, how to prove oneself, and a failure in words.

mod session;

use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, ClientConnection, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, Error, InconsistentKeys, ProtocolVersion,
    RootCertStore, SignatureScheme,
};

pub use session::{PENDING_BYTES_MAX, Received, Session};

/// The options of `https://` targets.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TlsArgs {
    /// https: trust only the authorities of this file (PEM), not those of the system
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,

    /// https: accept any certificate. Who answers is not proved then: only for a server of your own
    #[arg(long)]
    pub insecure: bool,

    /// https: a certificate to show when the server asks for one (PEM, its own first); needs --key
    #[arg(long, value_name = "FILE")]
    pub cert: Option<PathBuf>,

    /// https: the private key of --cert (PEM, not encrypted)
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

impl TlsArgs {
    /// The first option that is given, if any.
    fn given(&self) -> Option<&'static str> {
        let options = [
            (self.ca.is_some(), "--ca"),
            (self.insecure, "--insecure"),
            (self.cert.is_some(), "--cert"),
            (self.key.is_some(), "--key"),
        ];
        options.iter().find(|(given, _)| *given).map(|(_, name)| *name)
    }
}

/// How connections to the target speak TLS: 1.2 or 1.3, ALPN `http/1.1`. Clones share the sessions to
/// resume.
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    /// Whether any certificate is accepted.
    pub insecure: bool,
}

impl Tls {
    /// Checks the options for a target whose certificate must be for `host`; `None` is one without TLS.
    ///
    /// # Errors
    /// A sentence for the user: what is wrong, in which file, and how to mend it.
    pub fn compile(host: Option<&str>, args: &TlsArgs) -> Result<Option<Self>, String> {
        let Some(host) = host else {
            return args.given().map_or(Ok(None), |option| {
                Err(format!(
                    "{option}: only for a --url that begins with https://; leave it out, or measure TLS"
                ))
            });
        };
        if args.insecure && args.ca.is_some() {
            return Err(
                "--ca, --insecure: one says whom to trust, the other to trust anybody; leave one out"
                    .to_owned(),
            );
        }
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            format!("--url: no certificate can be for the host {host:?}: give a DNS name or an IP address")
        })?;
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(verifier(args, provider)?);
        let mut config = match (&args.cert, &args.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(cert), Some(key)) => builder
                .with_client_auth_cert(certificates("--cert", cert)?, private_key(key)?)
                .map_err(|error| explain_key(cert, key, &error))?,
            (Some(_), None) => return Err("--cert: needs its private key as well: add --key FILE".to_owned()),
            (None, Some(_)) => return Err("--key: needs its certificate as well: add --cert FILE".to_owned()),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Self { config: Arc::new(config), name, insecure: args.insecure }))
    }

    /// One handshake over `stream`, and what the server says right after it, so that a certificate
    /// refused by either side is known before any load.
    ///
    /// # Errors
    /// Why it failed, and what may help.
    pub fn probe(&self, mut stream: TcpStream, patience: Duration) -> Result<(), String> {
        // Under TLS 1.3 a server judges the client's certificate after the client believes to be done.
        const VERDICT: Duration = Duration::from_millis(250);
        let mut connection = self.connection().map_err(|error| explain(&error))?;
        stream.set_read_timeout(Some(patience)).map_err(|error| error.to_string())?;
        stream.set_write_timeout(Some(patience)).map_err(|error| error.to_string())?;
        connection.complete_io(&mut stream).map_err(|error| explain_io(&error, patience))?;
        stream.set_read_timeout(Some(VERDICT)).map_err(|error| error.to_string())?;
        let verdict_pending = connection.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        if verdict_pending && connection.read_tls(&mut stream).is_ok() {
            connection.process_new_packets().map_err(|error| explain(&error))?;
        }
        connection.send_close_notify();
        // The peer may be gone already; nothing is lost with the farewell.
        let _ = connection.write_tls(&mut stream);
        Ok(())
    }

    fn connection(&self) -> Result<ClientConnection, Error> {
        ClientConnection::new(self.config.clone(), self.name.clone())
    }
}

fn verifier(args: &TlsArgs, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, String> {
    if args.insecure {
        return Ok(Arc::new(AcceptAny(provider)));
    }
    let roots = match &args.ca {
        Some(file) => roots(file)?,
        None => platform_roots()?,
    };
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    Ok(verifier.map_err(|error| format!("--ca: the authorities cannot be used: {error}"))?)
}

fn read(option: &str, file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|error| format!("{option} {}: cannot be read: {error}", file.display()))
}

fn certificates(option: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read(option, file)?;
    let wrong = |why: &dyn Display| format!("{option} {}: {why}", file.display());
    let all: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(&format!("not valid PEM: {error}")))?;
    if all.is_empty() {
        return Err(wrong(&"no certificate in it: it must have a -----BEGIN CERTIFICATE----- section"));
    }
    Ok(all)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(&read("--key", file)?).map_err(|error| {
        format!(
            "--key {}: no usable private key in it ({error}): it must be PEM with an unencrypted \
             -----BEGIN PRIVATE KEY-----, RSA PRIVATE KEY or EC PRIVATE KEY section",
            file.display()
        )
    })
}

fn explain_key(cert: &Path, key: &Path, error: &Error) -> String {
    let (cert, key) = (cert.display(), key.display());
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => format!(
            "--cert {cert}, --key {key}: the key does not belong to the first certificate of the file: \
             that one must be the client's own, made from this key"
        ),
        other => format!("--cert {cert}, --key {key}: cannot be used: {other}"),
    }
}

fn roots(file: &Path) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in certificates("--ca", file)? {
        store.add(certificate).map_err(|error| {
            format!("--ca {}: a certificate in it cannot be an authority: {error}", file.display())
        })?;
    }
    Ok(store)
}

/// The authorities of the system, wherever it keeps them (or `SSL_CERT_FILE`, `SSL_CERT_DIR`).
fn platform_roots() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        let why: String = found.errors.iter().map(|error| format!(" ({error})")).collect();
        return Err(format!(
            "this system has no CA certificates{why}: name some with --ca FILE, install ca-certificates, \
             or give --insecure"
        ));
    }
    Ok(store)
}

/// Accepts whoever answers. Not even the proof that the server has the certificate's key is looked at: where any
/// certificate will do, it proves nothing, and certificates that cannot be parsed would be refused by it.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// What a server that ends a handshake without a word may mean.
const CLOSED: &str = "the server closed the connection in the middle of it: is TLS spoken on this port?";

fn explain_io(error: &io::Error, patience: Duration) -> String {
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return explain(error);
    }
    match error.kind() {
        ErrorKind::UnexpectedEof => CLOSED.to_owned(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            format!("no answer within {patience:?}: is TLS spoken on this port?")
        }
        _ => error.to_string(),
    }
}

/// A failure of TLS in words, with what may help.
fn explain(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(why) => explain_certificate(why),
        Error::AlertReceived(alert) => explain_alert(*alert),
        Error::InvalidMessage(_) => {
            format!("what the server answers is not TLS ({error}): is this the port of an http:// URL?")
        }
        Error::NoCertificatesPresented => "the server shows no certificate".to_owned(),
        other => other.to_string(),
    }
}

fn explain_certificate(why: &CertificateError) -> String {
    const DAY: u64 = 86_400;
    match why {
        CertificateError::UnknownIssuer => "the server's certificate is from an unknown issuer: name its \
            authority with --ca FILE"
            .to_owned(),
        CertificateError::BadSignature => "the server's certificate names an authority that is trusted, but \
            was signed with another key: is the file of --ca an older one?"
            .to_owned(),
        CertificateError::Expired => "the server's certificate has expired".to_owned(),
        CertificateError::ExpiredContext { time, not_after } => {
            let days = time.as_secs().saturating_sub(not_after.as_secs()) / DAY;
            format!("the server's certificate has expired, {days} days ago")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet: are the clocks of both sides right?".to_owned()
        }
        CertificateError::NotValidForName => "the server's certificate is for another name".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "the server's certificate is for another name: not {}, but {}; name the host in --url as the \
             certificate does",
            expected.to_str(),
            names(presented)
        ),
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => "the server's certificate is that of \
            an authority itself (CA:TRUE): let it sign one for the server, or give --insecure"
            .to_owned(),
        other => format!("the server's certificate cannot be accepted: {other}"),
    }
}

/// The names of a certificate, of which rustls tells each with its kind: `DnsName("a.test")`.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| {
        let inner = name.strip_prefix("DnsName(\"").and_then(|rest| rest.strip_suffix("\")"));
        inner.unwrap_or(name).to_owned()
    };
    match presented {
        [] => "for none at all".to_owned(),
        names => names.iter().map(bare).collect::<Vec<_>>().join(", "),
    }
}

fn explain_alert(alert: AlertDescription) -> String {
    use AlertDescription as Alert;
    match alert {
        Alert::CertificateRequired | Alert::NoCertificate => {
            "the server wants a client certificate: give one with --cert FILE --key FILE".to_owned()
        }
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied
        | Alert::DecryptError => {
            format!("the server refuses the client certificate ({alert:?}): see --cert and --key")
        }
        Alert::UnrecognisedName => "the server has no certificate for the host of --url".to_owned(),
        Alert::NoApplicationProtocol => "the server does not speak HTTP/1.1 on this port".to_owned(),
        Alert::HandshakeFailure => "the server refuses the handshake (HandshakeFailure): no version or \
            cipher in common, or it wants a client certificate (--cert FILE --key FILE)"
            .to_owned(),
        other => format!("the server refuses the handshake ({other:?})"),
    }
}

#[cfg(test)]
mod tests;
