//! `https://` targets: certificates of every kind, and the loops over TLS.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use serde_json::Value;

use super::mock::{Manner, Mock};
use super::{command, errors, load};

/// A file of certificates or keys, which goes with this guard.
struct Pem(PathBuf);

impl Pem {
    fn new(text: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("loadgen-test-{}-{count}.pem", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn option(&self, name: &str) -> String {
        format!(" {name} {}", self.0.display())
    }
}

impl Drop for Pem {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// An authority, its certificate in a file, and what it has signed.
struct Authority(CertifiedIssuer<'static, KeyPair>, Pem);

impl Authority {
    fn new() -> Self {
        Self::named("Authority")
    }

    fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let pem = Pem::new(&issuer.pem());
        Self(issuer, pem)
    }

    /// The option that trusts it.
    fn option(&self) -> String {
        self.1.option("--ca")
    }

    fn sign(&self, params: CertificateParams) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    /// A server for `localhost`.
    fn server(&self) -> Server {
        self.server_with(CertificateParams::new(vec!["localhost".to_owned()]).unwrap())
    }

    fn server_with(&self, params: CertificateParams) -> Server {
        let (certificate, key) = self.sign(params);
        Server { chain: certificate.pem(), key: key.serialize_pem(), clients: None, version: &version::TLS13 }
    }
}

struct Server {
    chain: String,
    key: String,
    /// Who must have signed the certificates of clients.
    clients: Option<CertificateDer<'static>>,
    version: &'static SupportedProtocolVersion,
}

impl Server {
    fn config(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[self.version])
            .unwrap();
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let chain = CertificateDer::pem_slice_iter(self.chain.as_bytes()).map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        Arc::new(builder.with_single_cert(chain, key).unwrap())
    }

    fn start(&self, manner: Manner) -> Mock {
        let config = self.config();
        Mock::start_tls(manner, move |_| config.clone())
    }
}

/// Runs loadgen with `line` against a TLS server of that manner, under both versions.
fn expect_clean(manner: Manner, line: &str, check: impl Fn(&Value, &Mock)) {
    let authority = Authority::new();
    for version in [&version::TLS13, &version::TLS12] {
        let mock = Server { version, ..authority.server() }.start(manner);
        let (report, success) = load(&mock.url, &format!("{line}{}", authority.option()));
        assert_eq!(report["errors"], 0, "{line}: {report:#}");
        assert!(success, "{line}");
        let seen = mock.seen.lock().unwrap();
        assert_eq!((&seen.complaints, seen.certified), (&Vec::new(), 0), "{line}");
        assert!(seen.names.iter().all(|name| name == "localhost") && !seen.names.is_empty(), "{line}");
        drop(seen);
        check(&report, &mock);
    }
}

/// What loadgen says when it cannot begin, and that it has not.
fn refusal(mock: &Mock, options: &str) -> String {
    let output = command(&mock.url, &format!("-n 10 -c 1{options}"));
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{words}");
    assert_eq!(mock.seen.lock().unwrap().calls, 0, "{words}");
    words
}

#[test]
fn the_closed_loop_counts_right_answers_of_every_kind() {
    for manner in [Manner::Json, Manner::Sse, Manner::Chunked] {
        for scenario in ["modern-call", "legacy-call"] {
            let line = format!("--scenario {scenario} -n 100 -c 4 -t 2 --expect-text hello");
            expect_clean(manner, &line, |report, mock| {
                assert_eq!(report["latency"]["count"], 100, "{line}: {report:#}");
                assert_eq!(mock.seen.lock().unwrap().calls, 100, "{line}");
            });
        }
    }
}

#[test]
fn whole_sessions_and_large_bodies_pass_both_ways() {
    expect_clean(Manner::Json, "--scenario legacy-session -n 50 -c 1", |_, mock| {
        let seen = mock.seen.lock().unwrap();
        assert_eq!((seen.calls, seen.deletes), (10, 10));
    });
    expect_clean(Manner::Json, "-n 6 -c 2 --body-bytes 3000000", |report, mock| {
        assert_eq!(mock.seen.lock().unwrap().calls, 6);
        assert!(report["bytes_sent"].as_u64().unwrap() > 18_000_000, "{report:#}");
    });
    expect_clean(Manner::Large, "-n 40 -c 3", |report, _| {
        assert!(report["bytes_received"].as_u64().unwrap() > 20_000_000, "{report:#}");
    });
}

#[test]
fn the_open_loop_sends_every_request_of_its_schedule() {
    expect_clean(Manner::Json, "--rate 200 --duration 500ms -c 4 -t 2", |report, mock| {
        assert_eq!(report["latency"]["count"], 100, "{report:#}");
        assert_eq!(mock.seen.lock().unwrap().calls, 100);
    });
}

#[test]
fn streams_are_held_and_their_events_counted() {
    for hold in ["get", "listen"] {
        let line = format!("--scenario sse-hold --hold {hold} -c 10 -t 2 --duration 300ms");
        expect_clean(Manner::Json, &line, |report, _| {
            assert_eq!(report["open_connections"], serde_json::json!([10, 10]), "{report:#}");
            assert_eq!(report["events"], 20, "{report:#}");
        });
    }
}

#[test]
fn closed_connections_are_made_anew_and_their_sessions_resumed() {
    expect_clean(Manner::CloseAnnounced, "-n 60 -c 2", |report, _| {
        assert!(report["reconnects"].as_u64().unwrap() >= 18, "{report:#}");
    });
    let authority = Authority::new();
    let mock = authority.server().start(Manner::CloseUnannounced);
    let (report, success) = load(&mock.url, &format!("-n 60 -c 2{}", authority.option()));
    assert!(errors(&report, "late close") >= 18, "{report:#}");
    assert!(!success);
}

#[test]
fn a_body_that_ends_with_the_connection_must_be_ended_by_tls_too() {
    let (report, success) = load(&Mock::start(Manner::Unframed).url, "-n 10 -c 1");
    assert!(success, "{report:#}");
    let authority = Authority::new();
    let mock = authority.server().start(Manner::Unframed);
    let (report, _) = load(&mock.url, &format!("-n 10 -c 1{}", authority.option()));
    assert_eq!(errors(&report, "early close"), 10, "{report:#}");
}

#[test]
fn certificates_that_prove_nothing_are_refused_with_the_reason() {
    let (authority, other) = (Authority::new(), Authority::named("Other"));
    let renewed = Authority::new();
    let named = |name: &str| CertificateParams::new(vec![name.to_owned()]).unwrap();
    let mut expired = named("localhost");
    expired.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let mut early = named("localhost");
    early.not_before = rcgen::date_time_ymd(4000, 1, 1);
    let mut ca = named("localhost");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    for (params, trusted, words) in [
        (named("localhost"), &other, &["unknown issuer", "--ca FILE"][..]),
        (named("localhost"), &renewed, &["signed with another key", "--ca"]),
        (named("gate.test"), &authority, &["not localhost, but gate.test;"]),
        (expired, &authority, &["has expired", "days ago"]),
        (early, &authority, &["not valid yet"]),
        (ca, &authority, &["CA:TRUE", "--insecure"]),
    ] {
        let mock = authority.server_with(params).start(Manner::Json);
        let said = refusal(&mock, &trusted.option());
        assert!(said.contains("the TLS handshake fails: "), "{said}");
        assert!(words.iter().all(|word| said.contains(word)), "{words:?}: {said}");
        let output = command(&mock.url, "-n 20 -c 2 --insecure");
        assert!(output.status.success(), "{output:?}");
        let warning = String::from_utf8(output.stderr).unwrap();
        assert!(warning.contains("warning: --insecure:"), "{warning}");
    }
}

#[test]
fn a_client_certificate_is_shown_where_one_is_asked_for() {
    let authority = Authority::new();
    let (certificate, key) = authority.sign(CertificateParams::new(vec!["client.test".to_owned()]).unwrap());
    let (cert, key) = (Pem::new(&certificate.pem()), Pem::new(&key.serialize_pem()));
    let stranger = rcgen::generate_simple_self_signed(vec!["stranger.test".to_owned()]).unwrap();
    let strange = (Pem::new(&stranger.cert.pem()), Pem::new(&stranger.signing_key.serialize_pem()));
    for version in [&version::TLS13, &version::TLS12] {
        let clients = Some(authority.0.der().clone());
        let mock = Server { clients, version, ..authority.server() }.start(Manner::Json);
        let ca = authority.option();
        let said = refusal(&mock, &ca);
        assert!(said.contains("--cert FILE --key FILE"), "{said}");
        let said =
            refusal(&mock, &format!("{ca}{}{}", strange.0.option("--cert"), strange.1.option("--key")));
        assert!(said.contains("refuses the client certificate"), "{said}");
        let line = format!("-n 50 -c 3{ca}{}{}", cert.option("--cert"), key.option("--key"));
        let (report, success) = load(&mock.url, &line);
        assert!(success, "{report:#}");
        let seen = mock.seen.lock().unwrap();
        assert_eq!((seen.calls, seen.certified), (50, 50));
    }
}

#[test]
fn a_handshake_that_fails_during_the_run_is_an_error_of_its_own_kind() {
    let (authority, other) = (Authority::new(), Authority::named("Other"));
    // Nothing to resume: each connection sees a certificate, of which only the first is the right one.
    let ticketless = |server: Server| {
        let mut config = (*server.config()).clone();
        config.send_tls13_tickets = 0;
        Arc::new(config)
    };
    let (right, wrong) = (ticketless(authority.server()), ticketless(other.server()));
    let mock =
        Mock::start_tls(Manner::Json, move |number| if number == 0 { right.clone() } else { wrong.clone() });
    let line = format!("-n 10 -c 2 --timeout 500ms{}", authority.option());
    let (report, success) = load(&mock.url, &line);
    assert!(errors(&report, "tls") >= 2, "{report:#}");
    assert!(report.to_string().contains("handshake: the server's certificate is from an unknown issuer"));
    assert!(!success);
}

#[test]
fn a_server_without_tls_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for (turn, mut stream) in listener.incoming().flatten().enumerate() {
            let mut hello = [0; 64 * 1024];
            let _ = stream.read(&mut hello);
            if turn == 0 {
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            }
        }
    });
    for words in ["http:// URL", "is TLS spoken"] {
        let output = command(&format!("https://{address}/"), "--insecure");
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains(words), "{output:?}");
    }
    let output = command("http://127.0.0.1:1/", "--ca ca.pem");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("https://"), "{output:?}");
}
