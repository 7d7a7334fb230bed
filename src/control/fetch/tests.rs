#![allow(clippy::unwrap_used)]

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;

use super::scripted::{Say, Scripted};
use super::*;

fn outbound() -> Outbound {
    Outbound { allow_http: true, timeout: Duration::from_secs(20), ..Outbound::default() }
}

fn hasty() -> Outbound {
    Outbound { timeout: Duration::from_millis(300), ..outbound() }
}

fn get(outbound: Outbound, url: &str, author: Author) -> Result<Vec<u8>, Fault> {
    Fetcher::new(outbound).get(url, author, 100, None).map(|reply| reply.body)
}

fn operators(outbound: Outbound, url: &str) -> Result<Vec<u8>, Fault> {
    get(outbound, url, Author::Operator)
}

#[test]
fn a_fetch_says_who_asks_and_takes_the_answer_as_it_is() {
    let server = Scripted::start(|_, _| {
        Say::Reply(200, "cache-control: public, max-age=\"90\"\r\n".into(), b"{}".into())
    });
    let reply = Fetcher::new(outbound()).get(&server.url("/keys?a=b"), Author::Operator, 100, None).unwrap();
    assert_eq!((reply.body, reply.max_age), (b"{}".to_vec(), Some(Duration::from_secs(90))));
    let request = server.seen().concat().to_ascii_lowercase();
    assert!(request.starts_with("get /keys?a=b http/1.1\r\n"), "{request}");
    assert!(request.contains(concat!("user-agent: ringgate/", env!("CARGO_PKG_VERSION"))), "{request}");
}

#[test]
fn how_long_an_answer_may_be_kept_is_read_strictly() {
    let seconds = |value| max_age(value).map(|age| age.as_secs());
    for (value, expected) in [
        ("max-age=60", Some(60)),
        ("Public , Max-Age=7", Some(7)),
        ("max-age=7, no-store", Some(0)),
        ("no-cache", Some(0)),
        ("max-age=-1", None),
        ("max-age", None),
        ("s-maxage=9", None),
        ("", None),
    ] {
        assert_eq!(seconds(value), expected, "{value}");
    }
}

#[test]
fn a_redirect_is_refused_wherever_it_leads_and_names_only_the_host() {
    let other = Scripted::start(|_, _| Say::ok("{}"));
    let place = other.url("/?token=hunter2");
    let server = Scripted::start(move |number, _| {
        let to = if number == 0 { place.clone() } else { "/here".to_owned() };
        Say::Reply(302, format!("location: {to}\r\n"), Vec::new())
    });
    let fault = operators(outbound(), &server.url("/")).unwrap_err();
    assert_eq!(fault, Fault::Redirect(other.address.to_string()));
    assert!(!fault.to_string().contains("hunter2"));
    assert!(matches!(operators(outbound(), &server.url("/")), Err(Fault::Redirect(_))));
    assert!(other.seen().is_empty());
}

#[test]
fn an_answer_is_read_up_to_its_bound_whatever_it_announces() {
    let server = Scripted::start(|_, request| match request.split(' ').nth(1).unwrap() {
        "/fits" => Say::ok([b'x'; 100]),
        "/over" => Say::ok([b'x'; 101]),
        "/endless" => Say::Raw([b"HTTP/1.1 200 X\r\n\r\n".to_vec(), vec![b'x'; 1 << 20]].concat()),
        "/chunks" => Say::Raw(
            [
                b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(),
                b"32\r\n".to_vec(),
                vec![b'x'; 50],
                b"\r\n32\r\n".to_vec(),
                vec![b'x'; 50],
                b"\r\n1\r\nx\r\n0\r\n\r\n".to_vec(),
            ]
            .concat(),
        ),
        "/head" => Say::Raw([b"HTTP/1.1 200 X\r\na: ".to_vec(), vec![b'x'; 32 << 10]].concat()),
        _ => Say::Raw(b"HTTP/1.1 200 X\r\ncontent-length: 4\r\n\r\nx".to_vec()),
    });
    let get = |path: &str| operators(outbound(), &server.url(path));
    assert_eq!(get("/fits").unwrap().len(), 100);
    for path in ["/over", "/endless", "/chunks"] {
        assert_eq!(get(path), Err(Fault::TooLarge(100)), "{path}");
    }
    assert!(matches!(get("/head"), Err(Fault::TooLarge(_) | Fault::Protocol)), "{:?}", get("/head"));
    assert!(get("/cut").is_err());
}

#[test]
fn what_takes_too_long_fails_wherever_it_hangs() {
    let silent = Scripted::start(|_, _| Say::Silence);
    assert_eq!(operators(hasty(), &silent.url("/")), Err(Fault::Timeout));
    let head = Scripted::start(|_, _| Say::Drip(vec![b'H'; 4096]));
    assert!(matches!(operators(hasty(), &head.url("/")), Err(Fault::Timeout | Fault::Protocol)));
    let body = Scripted::start(|_, _| {
        Say::Drip([b"HTTP/1.1 200 X\r\ncontent-length: 90\r\n\r\n".to_vec(), vec![b'x'; 90]].concat())
    });
    assert_eq!(operators(hasty(), &body.url("/")), Err(Fault::Timeout));
}

#[test]
fn what_is_no_http_or_nobody_there_fails() {
    let garbage = Scripted::start(|_, _| Say::Raw(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()));
    assert_eq!(operators(outbound(), &garbage.url("/")), Err(Fault::Protocol));
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(
        operators(outbound(), &format!("http://{gone}/")),
        Err(Fault::Connection(io::ErrorKind::ConnectionRefused))
    );
    // A name that never resolves (RFC 6761 section 6.4).
    let unknown = operators(outbound(), "http://gone.invalid/");
    assert!(matches!(unknown, Err(Fault::Resolve | Fault::Timeout)), "{unknown:?}");
    let busy = Scripted::start(|_, _| Say::status(500));
    assert_eq!(operators(outbound(), &busy.url("/")), Err(Fault::Status(500)));
}

#[test]
fn urls_that_are_not_fetched_are_not_connected_to() {
    let server = Scripted::start(|_, _| Say::ok("{}"));
    let strict = Outbound { allow_http: false, ..outbound() };
    assert_eq!(operators(strict, &server.url("/")), Err(Fault::Scheme));
    for url in [
        format!("http://user:hunter2@{}/", server.address),
        "unix:/run/x".into(),
        "file:///etc/passwd".into(),
        "gopher://127.0.0.1/".into(),
        "http://127.1/".into(),
        "http://0x7f000001/".into(),
        "http://2130706433/".into(),
        server.url("/#a"),
        server.url("/\r\nx: y"),
        String::new(),
    ] {
        assert_eq!(operators(outbound(), &url), Err(Fault::Url), "{url}");
    }
    assert!(server.seen().is_empty());
}

#[test]
fn a_url_of_the_network_leads_to_no_private_address() {
    let server = Scripted::start(|_, _| Say::ok("{}"));
    let port = server.address.port();
    let hosts = [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "169.254.169.254",
        "10.0.0.1",
        "[fd00::1]",
    ];
    for host in hosts {
        let fault = get(outbound(), &format!("http://{host}:{port}/"), Author::Network).unwrap_err();
        assert!(matches!(fault, Fault::Forbidden(_)), "{host}: {fault:?}");
    }
    assert!(server.seen().is_empty());
    let permitted = Outbound { allow_private: true, ..outbound() };
    assert_eq!(get(permitted, &server.url("/"), Author::Network), Ok(b"{}".to_vec()));
    assert_eq!(operators(outbound(), &server.url("/")), Ok(b"{}".to_vec()));
}

/// Gives these addresses, one with each look-up, whatever is asked for; and how often it was asked.
#[derive(Clone, Debug)]
struct Rebound(Arc<std::sync::Mutex<(Vec<std::net::SocketAddr>, usize)>>);

impl Rebound {
    fn new(addresses: &[std::net::SocketAddr]) -> Self {
        Self(Arc::new(std::sync::Mutex::new((addresses.to_vec(), 0))))
    }

    fn asked(&self) -> usize {
        self.0.lock().unwrap().1
    }
}

impl Resolver for Rebound {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut state = self.0.lock().unwrap();
        let mut found = self.empty();
        found.push(state.0[state.1 % state.0.len()]);
        state.1 += 1;
        Ok(found)
    }
}

/// A fetcher whose names resolve so.
fn fetcher(outbound: Outbound, names: &Rebound) -> Fetcher {
    let agents = [false, !outbound.allow_private].map(|public_only| {
        let judge = Judge { public_only, names: names.clone() };
        agent(&outbound, RootCerts::Specific(Arc::default()), judge)
    });
    Fetcher { outbound, agents: OnceLock::from(agents) }
}

#[test]
fn a_name_is_resolved_once_and_what_was_judged_is_what_is_connected_to() {
    let (first, second) = (Scripted::start(|_, _| Say::ok("1")), Scripted::start(|_, _| Say::ok("2")));
    let names = Rebound::new(&[first.address, second.address]);
    let reply =
        fetcher(outbound(), &names).get("http://rebound.example/", Author::Operator, 100, None).unwrap();
    assert_eq!((reply.body, names.asked()), (b"1".to_vec(), 1));
    assert!(second.seen().is_empty());
}

#[test]
fn a_name_that_leads_to_a_private_address_by_the_time_of_the_fetch_is_refused() {
    let inside = Scripted::start(|_, _| Say::ok("secret"));
    // Whoever looked it up before, to see whether it may be fetched, was told a public address.
    let names = Rebound::new(&[([93, 184, 215, 14], 80).into(), inside.address]);
    let judge = Judge { public_only: true, names: names.clone() };
    let timeout = NextTimeout {
        after: Duration::from_secs(9).into(),
        reason: ureq::Timeout::Global,
        per_read: None,
        per_write: None,
    };
    let looked = judge.resolve(&Uri::from_static("http://rebound.example/"), &Config::default(), timeout);
    assert_eq!(looked.unwrap()[0].ip(), IpAddr::from([93, 184, 215, 14]));
    let fetched = fetcher(outbound(), &names).get("http://rebound.example/", Author::Network, 100, None);
    assert_eq!(fetched.map(|reply| reply.body), Err(Fault::Forbidden(inside.address.ip())));
    assert!(inside.seen().is_empty());
}

/// What a server shows whose certificate, by this authority, is for `localhost` and ends in this year.
fn server_config(ca: &CertifiedIssuer<'_, KeyPair>, ends: i32) -> ServerConfig {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(ends, 1, 1);
    let leaf = params.signed_by(&key, ca).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    versions.unwrap().with_no_client_auth().with_single_cert(vec![leaf.der().clone()], key).unwrap()
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Only TLS, and only by this authority.
fn trusting(ca: &CertifiedIssuer<'_, KeyPair>) -> Outbound {
    let roots = Roots::Pem(ca.as_ref().pem().into_bytes().into());
    Outbound { allow_http: false, roots, ..outbound() }
}

#[test]
fn an_issuer_is_believed_only_with_a_certificate_of_the_right_authority() {
    let ca = authority();
    let server = Scripted::start_tls(server_config(&ca, 4000), |_, _| Say::ok("{}"));
    let port = server.address.port();
    let url = format!("https://localhost:{port}/");
    assert_eq!(operators(trusting(&ca), &url), Ok(b"{}".to_vec()));
    let ended = Scripted::start_tls(server_config(&ca, 2020), |_, _| Say::ok("{}"));
    for (outbound, url, why) in [
        (trusting(&ca), format!("https://127.0.0.1:{port}/"), "not valid for"),
        // Another authority of the same name, and none of that name.
        (trusting(&authority()), url.clone(), "BadSignature"),
        (Outbound { roots: Roots::System, ..trusting(&ca) }, url.clone(), "UnknownIssuer"),
        (trusting(&ca), format!("https://localhost:{}/", ended.address.port()), "expired"),
    ] {
        let fault = operators(outbound, &url).unwrap_err();
        assert!(matches!(fault, Fault::Tls(_)), "{fault:?}");
        // What the operator reads says which of them it is.
        let line = fault.to_string();
        assert!(line.starts_with("TLS failed: ") && line.contains(why), "{why}: {line}");
    }
}

#[test]
fn a_redirect_does_not_lead_out_of_tls_either() {
    let ca = authority();
    let plain = Scripted::start(|_, _| Say::ok("{}"));
    let place = plain.url("/keys");
    let server = Scripted::start_tls(server_config(&ca, 4000), move |_, _| {
        Say::Reply(301, format!("location: {place}\r\n"), Vec::new())
    });
    for allow_http in [false, true] {
        let outbound = Outbound { allow_http, ..trusting(&ca) };
        let fetched = operators(outbound, &format!("https://localhost:{}/", server.address.port()));
        assert_eq!(fetched, Err(Fault::Redirect(plain.address.to_string())));
    }
    assert!(plain.seen().is_empty());
}

#[test]
fn faults_have_a_word_each_and_the_words_are_few() {
    let faults = [
        Fault::Url,
        Fault::Scheme,
        Fault::Resolve,
        Fault::Forbidden([10, 0, 0, 1].into()),
        Fault::Timeout,
        Fault::Connection(io::ErrorKind::ConnectionReset),
        Fault::Tls("x".into()),
        Fault::Redirect("x".into()),
        Fault::TooLarge(1),
        Fault::Protocol,
        Fault::Status(500),
        Fault::Content("is not JSON"),
        Fault::Client(Said::of("invalid_client", "")),
        Fault::Denied(Said::of("invalid_grant", "why")),
        Fault::Refused(400, Said::default()),
        Fault::Busy,
    ];
    let labels: std::collections::BTreeSet<&str> = faults.iter().map(Fault::label).collect();
    assert_eq!(labels.len(), 13);
    assert!(faults.iter().all(|fault| !fault.to_string().is_empty()));
}
