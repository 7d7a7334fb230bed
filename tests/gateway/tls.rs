//! TLS on both sides, by the real gateway.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::harness::{Client, Gateway, PATIENCE, TempDir, Upstream, echoed, ok};
use super::scenes::{SSE, chunk, door, large_answer, legacy_call, modern_call, told, wait_until};

/// An authority, and what it has signed.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for this name and its key, both in PEM.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    fn client_config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        builder.with_root_certificates(roots).with_no_client_auth()
    }

    /// Its own certificate, in PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    pub fn server_config(&self, name: &str) -> ServerConfig {
        let (chain, key) = self.sign(name);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).map(Result::unwrap).collect();
        builder
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap())
            .unwrap()
    }
}

type TlsStream = StreamOwned<ClientConnection, TcpStream>;

fn tls_stream(address: SocketAddr, config: ClientConfig) -> TlsStream {
    tls_stream_to("localhost", address, config)
}

/// One that asks for this name, and expects it in the certificate.
fn tls_stream_to(name: &'static str, address: SocketAddr, config: ClientConfig) -> TlsStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let name = ServerName::try_from(name).unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
}

/// A gateway with a TLS listener, and the directory of its `cert.pem` and `key.pem`.
fn tls_gateway(authority: &Authority, upstream: SocketAddr) -> (Gateway, TempDir) {
    let (chain, key) = authority.sign("localhost");
    let dir = TempDir::new();
    let (chain, key) = (dir.file("cert.pem", &chain), dir.file("key.pem", &key));
    let tls = format!("{{certificate: '{}', key: '{}'}}", chain.display(), key.display());
    (Gateway::before(upstream, &format!("listeners:\n  - address: 127.0.0.1:PORT\n    tls: {tls}\n")), dir)
}

/// A server that speaks TLS and answers like `Upstream::echo`.
fn tls_upstream(config: ServerConfig) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (config, served) = (Arc::new(config), Arc::new(AtomicUsize::new(0)));
    let count = served.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (config, count) = (config.clone(), count.clone());
            std::thread::spawn(move || {
                let session = ServerConnection::new(config).unwrap();
                let mut client = Client::over(Tolerant(StreamOwned::new(session, stream)));
                while let Some(request) = client.message() {
                    count.fetch_add(1, Ordering::Relaxed);
                    let large = request.text().contains("\"id\":5");
                    let answer = if large {
                        String::from_utf8(large_answer(2 << 20)).unwrap()
                    } else {
                        echoed(&request)
                    };
                    client.send(&ok(&answer));
                }
            });
        }
    });
    (address, served)
}

/// Takes every failure to read as the end: a peer that refuses the certificate says so in its own way.
pub struct Tolerant<S>(pub S);

impl<S: Read> Read for Tolerant<S> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        Ok(self.0.read(buf).unwrap_or(0))
    }
}

impl<S: Write> Write for Tolerant<S> {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.0.write(buf)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

#[test]
fn a_tls_listener_serves_and_renews_its_certificate_under_open_connections() {
    let (old, new) = (Authority::new(), Authority::new());
    let upstream = Upstream::echo();
    let (gateway, dir) = tls_gateway(&old, upstream.address);
    let mut early = Client::over(tls_stream(gateway.address, old.client_config()));
    for id in 1..=3 {
        assert_eq!(early.ask(&modern_call(id)).json()["id"], id);
    }

    let (chain, key) = new.sign("localhost");
    dir.file("cert.pem", &chain);
    dir.file("key.pem", &key);
    gateway.signal("HUP");
    gateway.await_metric("ringgate_config_reloads_total", "", 1.0);
    let mut late = Client::over(tls_stream(gateway.address, new.client_config()));
    assert_eq!(late.ask(&modern_call(4)).json()["id"], 4);
    assert_eq!(early.ask(&modern_call(5)).json()["id"], 5, "the reload drops nobody");
    let mut trusting_the_old = tls_stream(gateway.address, old.client_config());
    assert!(trusting_the_old.write_all(&modern_call(6)).and_then(|()| trusting_the_old.flush()).is_err());

    // A key that is not the certificate's is refused as a whole.
    dir.file("key.pem", &KeyPair::generate().unwrap().serialize_pem());
    gateway.signal("HUP");
    gateway.await_metric("ringgate_config_reloads_failed_total", "", 1.0);
    assert_eq!(late.ask(&modern_call(7)).json()["id"], 7);
    let mut still = Client::over(tls_stream(gateway.address, new.client_config()));
    assert_eq!(still.ask(&modern_call(8)).json()["id"], 8);
    drop((early, late, still, trusting_the_old));
    gateway.assert_nothing_left();
}

#[test]
fn what_is_not_tls_is_closed() {
    let authority = Authority::new();
    let upstream = Upstream::echo();
    let (gateway, _dir) = tls_gateway(&authority, upstream.address);
    let mut plain = gateway.connect();
    plain.send(&legacy_call(1));
    let answer = plain.rest();
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    upstream.assert_untouched();
    gateway.await_metric("ringgate_handshakes_failed_total", "", 1.0);
    let mut client = Client::over(tls_stream(gateway.address, authority.client_config()));
    assert_eq!(client.ask(&modern_call(1)).status(), 200);
    drop(client);
    gateway.assert_nothing_left();
}

#[test]
fn http_1_1_is_what_is_negotiated() {
    let authority = Authority::new();
    let (gateway, _dir) = tls_gateway(&authority, Upstream::echo().address);
    let mut config = authority.client_config();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut client = Client::over(tls_stream(gateway.address, config));
    assert_eq!(client.ask(&modern_call(1)).status(), 200);
    assert_eq!(client.stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[test]
fn a_server_is_reached_over_tls_when_its_certificate_is_the_expected_one() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (address, served) = tls_upstream(authority.server_config("up.test"));
    let dir = TempDir::new();
    let ca = dir.file("ca.pem", &authority.0.pem());
    let wrong = dir.file("wrong.pem", &stranger.0.pem());
    let server = |name: &str, ca: &std::path::Path, own: &str| {
        format!(
            "  - {{name: {name}, url: 'https://{address}/mcp', tls: {{ca: '{}', server_name: {own}}}}}\n",
            ca.display()
        )
    };
    let gateway = Gateway::with(&format!(
        "servers:\n{}{}{}",
        server("up", &ca, "up.test"),
        server("wrong", &wrong, "up.test"),
        server("other", &ca, "other.test")
    ));
    let mut client = gateway.connect();
    for id in 1..=3 {
        assert_eq!(client.ask(&modern_call(id)).json()["id"], id);
    }
    assert!(client.ask(&modern_call(5)).body == large_answer(2 << 20));
    assert_eq!(gateway.metric("ringgate_upstream_dials_total", ""), 1.0, "the connection is kept");
    let before = served.load(Ordering::Relaxed);
    for path in ["/wrong/mcp", "/other/mcp"] {
        let body = super::scenes::legacy_body(9, "tools/list", "");
        let answer = client.ask(&super::harness::post_to(path, &body, ""));
        assert_eq!((answer.status(), &answer.json()["id"]), (502, &9.into()), "{path}");
    }
    assert_eq!(served.load(Ordering::Relaxed), before, "nothing was sent");
    wait_until("the log says why", || gateway.log().contains("certificate"));
    drop(client);
    gateway.assert_nothing_left();
}

#[test]
fn a_plain_server_behind_an_https_url_is_a_502() {
    let upstream = Upstream::echo();
    let gateway = Gateway::with(&format!(
        "servers:\n  - {{name: up, url: 'https://{}/mcp'}}\ntimeouts: {{connect: 2s}}\n",
        upstream.address
    ));
    let mut client = gateway.connect();
    let status = client.ask(&modern_call(1)).status();
    assert!(matches!(status, 502 | 504), "{status}");
    upstream.assert_untouched();
}

#[test]
fn streams_pass_over_tls_event_by_event_and_end_with_their_client() {
    let authority = Authority::new();
    let (handle, door) = door();
    let (tell, ended) = channel();
    let upstream = Upstream::new(move |_, client| {
        client.send(&[SSE.as_bytes(), &chunk("data: 1\n\n")].concat());
        door.pass();
        client.send(&chunk("data: 2\n\n"));
        tell.send(client.is_at_end()).unwrap();
        false
    });
    let (gateway, _dir) = tls_gateway(&authority, upstream.address);
    for says_goodbye in [true, false] {
        let mut client = Client::over(tls_stream(gateway.address, authority.client_config()));
        client.send(&modern_call(1));
        assert_eq!(client.head().unwrap().status(), 200);
        assert_eq!(client.chunk().unwrap(), b"data: 1\n\n");
        handle.open();
        assert_eq!(client.chunk().unwrap(), b"data: 2\n\n");
        if says_goodbye {
            client.stream.conn.send_close_notify();
            client.stream.flush().unwrap();
        }
        drop(client);
        assert!(told(&ended, "the server sees the end"), "with close_notify: {says_goodbye}");
    }
    gateway.assert_nothing_left();
}

#[test]
fn a_proxy_header_stands_before_tls() {
    let authority = Authority::new();
    let (chain, key) = authority.sign("localhost");
    let dir = TempDir::new();
    let (chain, key) = (dir.file("cert.pem", &chain), dir.file("key.pem", &key));
    let upstream = Upstream::echo();
    let gateway = Gateway::before(
        upstream.address,
        &format!(
            "listeners:\n  - address: 127.0.0.1:PORT\n    proxy_protocol: any\n    tls: {{certificate: '{}', key: '{}'}}\n",
            chain.display(),
            key.display()
        ),
    );
    for whole in [true, false] {
        let mut stream = tls_stream(gateway.address, authority.client_config());
        let mut first = b"PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\n".to_vec();
        if whole {
            // The header and the first bytes of TLS in one piece.
            stream.conn.write_tls(&mut first).unwrap();
        }
        stream.sock.write_all(&first).unwrap();
        assert_eq!(Client::over(stream).ask(&modern_call(1)).json()["id"], 1);
    }
    let mut bare = Tolerant(tls_stream(gateway.address, authority.client_config()));
    assert!(bare.0.write_all(&modern_call(1)).is_err() || bare.read(&mut [0; 64]).unwrap() == 0);
    gateway.assert_nothing_left();
}

#[test]
fn a_certificate_is_chosen_by_the_name_that_the_client_asks_for() {
    let (authority, other) = (Authority::new(), Authority::new());
    let dir = TempDir::new();
    let pair = |file: &str, signer: &Authority, name: &str| {
        let (chain, key) = signer.sign(name);
        let chain = dir.file(&format!("{file}.pem"), &chain);
        let key = dir.file(&format!("{file}.key"), &key);
        format!("{{certificate: '{}', key: '{}'}}", chain.display(), key.display())
    };
    let pairs = [
        pair("first", &authority, "a.test"),
        pair("exact", &authority, "one.b.test"),
        pair("wild", &authority, "*.b.test"),
    ]
    .join(", ");
    let upstream = Upstream::echo();
    let gateway = Gateway::before(
        upstream.address,
        &format!("listeners:\n  - address: 127.0.0.1:PORT\n    tls: {{certificates: [{pairs}]}}\n"),
    );
    let served = |name, signer: &Authority| {
        let mut stream = tls_stream_to(name, gateway.address, signer.client_config());
        let sent = stream.write_all(&modern_call(1)).and_then(|()| stream.flush()).is_ok();
        sent.then(|| {
            assert_eq!(Client::over(&mut stream).message().unwrap().status(), 200);
            stream.conn.peer_certificates().unwrap()[0].clone()
        })
    };
    let (first, exact, wild) = ("a.test", "one.b.test", "two.b.test");
    let [a, b, c] =
        [first, exact, wild].map(|name| served(name, &authority).expect("a certificate of that name"));
    assert!(a != b && b != c && a != c);
    assert_eq!(served("TWO.b.test", &authority), Some(c.clone()));
    for unknown in ["c.test", "b.test", "x.two.b.test"] {
        assert_eq!(served(unknown, &authority), None, "{unknown}: the first certificate has another name");
    }
    // All of them are renewed.
    pair("wild", &other, "*.b.test");
    gateway.signal("HUP");
    gateway.await_metric("ringgate_config_reloads_total", "", 1.0);
    assert!(served(wild, &other).is_some() && served(first, &authority) == Some(a));

    // A key of another certificate is named, and changes nothing.
    dir.file("exact.key", &KeyPair::generate().unwrap().serialize_pem());
    gateway.signal("HUP");
    gateway.await_metric("ringgate_config_reloads_failed_total", "", 1.0);
    assert_eq!(served(exact, &authority), Some(b));
    let mut check = super::harness::spawn(&["check", gateway.config.to_str().unwrap()], &dir.0);
    let mut text = String::new();
    check.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(check.wait().unwrap().code(), Some(1), "{text}");
    assert!(text.contains("listeners[0].tls: certificates[1]: the private key does not belong"), "{text}");
}
