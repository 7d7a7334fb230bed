//! Callers who are known by the certificate of their connection.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;

use super::{ISSUER, Issuer, PUBLIC, bearer, call, challenge, now, ping};
use crate::harness::{Client, Gateway, PATIENCE, TempDir, Upstream};
use crate::scenes::{SSE, chunk, get, wait_until};

type TlsClient = Client<StreamOwned<ClientConnection, TcpStream>>;

/// A common name, and the alternative names.
type Names = (&'static str, Vec<SanType>);

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A client with a certificate of these names that ends then, in seconds since 1970.
    fn client(&self, gateway: &Gateway, common_name: &str, names: &[SanType], ends: u64) -> TlsClient {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = names.to_vec();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(ends);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let stream = TcpStream::connect(gateway.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        Client::over(StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream))
    }
}

/// A gateway that asks for certificates. Who is an `agent` may use the tool `x`.
fn gateway(upstream: &Upstream, authority: &Authority, certificates: &str, more: &str) -> (Gateway, TempDir) {
    let (dir, key) = (TempDir::new(), KeyPair::generate().unwrap());
    let own =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &authority.0).unwrap();
    let (chain, key) = (dir.file("cert.pem", &own.pem()), dir.file("key.pem", &key.serialize_pem()));
    let ca = dir.file("ca.pem", &authority.0.pem());
    let gateway = Gateway::with(&format!(
        "public_url: {PUBLIC}\nlisteners:\n  - address: 127.0.0.1:PORT\n    tls: {{certificate: '{}', key: '{}', client_ca: 'file:{}'}}\n\
         servers:\n  - {{name: up, url: 'http://{}/mcp'}}\n\
         access: {{rules: [{{effect: allow, roles: [agent], tools: [x]}}, {{effect: allow, roles: [user], tools: [y]}}]}}\n\
         authentication:\n  certificates: {certificates}\n{more}",
        chain.display(),
        key.display(),
        ca.display(),
        upstream.address
    ));
    (gateway, dir)
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

fn mail(text: &str) -> SanType {
    SanType::Rfc822Name(text.try_into().unwrap())
}

const SPIFFE: &str =
    "{trust_domains: [prod.example], entries: [{name: 'spiffe://prod.example/agent/*', roles: [agent]}]}";

#[test]
fn the_configured_name_of_a_certificate_says_whose_it_is_and_no_other_name_does() {
    let (upstream, authority, ends) = (Upstream::echo(), Authority::new(), now() + 3600);
    let entry =
        |from: &str, name: &str| format!("{{from: {from}, entries: [{{name: '{name}', roles: [agent]}}]}}");
    let good_id = || uri("spiffe://prod.example/agent/a");
    let cases: [(String, Vec<Names>, Vec<Names>); 4] = [
        (
            SPIFFE.to_owned(),
            vec![("", vec![good_id()]), ("", vec![good_id(), dns("x.example")])],
            vec![
                ("", vec![uri("spiffe://test.example/agent/a")]),
                ("", vec![uri("spiffe://prod.example/agents/a")]),
                ("", vec![uri("spiffe://prod.example/agent/../admin")]),
                ("", vec![good_id(), uri("spiffe://prod.example/agent/b")]),
                ("spiffe://prod.example/agent/a", vec![dns("x.example")]),
                ("", vec![]),
            ],
        ),
        (
            entry("san_dns", "*.agents.example"),
            vec![
                ("", vec![dns("a.agents.example")]),
                ("", vec![dns("other.example"), dns("A.Agents.Example")]),
            ],
            vec![
                ("a.agents.example", vec![]),
                ("", vec![dns("agents.example")]),
                ("", vec![dns("a.agents.example.evil.example")]),
                ("", vec![mail("a@b.agents.example")]),
            ],
        ),
        (
            entry("san_email", "*@example.com"),
            vec![("", vec![mail("bot@example.com")])],
            vec![("bot@example.com", vec![]), ("", vec![mail("bot@example.com.evil.example")])],
        ),
        (
            entry("subject_cn", "build-bot"),
            vec![("build-bot", vec![])],
            vec![("build-bot2", vec![]), ("Build-Bot", vec![]), ("", vec![dns("build-bot")])],
        ),
    ];
    for (certificates, good, bad) in cases {
        let (gateway, _dir) = gateway(&upstream, &authority, &certificates, "");
        for (common_name, names) in good {
            let mut client = authority.client(&gateway, common_name, &names, ends);
            for _ in 0..2 {
                let answer = client.ask(&call("x", ""));
                assert!(answer.is_served(), "{certificates} {names:?}: {answer:?}");
                upstream.request();
            }
            // Known, and bound by the rules like everybody.
            assert!(!client.ask(&call("y", "")).is_served());
        }
        for (common_name, names) in bad {
            let answer = authority.client(&gateway, common_name, &names, ends).ask(&call("x", ""));
            assert_eq!(answer.status(), 401, "{certificates} {common_name} {names:?}: {answer:?}");
        }
        let kind =
            certificates.split("from: ").nth(1).map_or("spiffe_id", |rest| rest.split(',').next().unwrap());
        wait_until("the log names the certificate", || {
            let line = |line: &str| line.contains("unknown_certificate") && line.contains(kind);
            gateway.log().lines().any(line)
        });
        upstream.assert_untouched();
    }
}

#[test]
fn a_credential_in_the_head_counts_before_the_certificate_also_where_it_is_bad() {
    let (upstream, authority, issuer, keys) =
        (Upstream::echo(), Authority::new(), Issuer::new(), TempDir::new());
    let jwks = keys.file("jwks.json", &issuer.jwks());
    let more = format!("  issuers: [{{issuer: '{ISSUER}', jwks: 'file:{}'}}]\n", jwks.display());
    let (gateway, _dir) = gateway(&upstream, &authority, SPIFFE, &more);
    let connect = || authority.client(&gateway, "", &[uri("spiffe://prod.example/agent/a")], now() + 3600);
    let mut client = connect();
    let user = bearer(&issuer.token(json!({"roles": ["user"]})));
    let passes =
        |client: &mut TlsClient, tool: &str, headers: &str| client.ask(&call(tool, headers)).is_served();
    // On one connection, one after the other: nothing of the one is left for the other.
    for _ in 0..2 {
        assert!(passes(&mut client, "x", "") && !passes(&mut client, "y", ""));
        assert!(passes(&mut client, "y", &user) && !passes(&mut client, "x", &user));
    }
    while upstream.requests.try_recv().is_ok() {}
    let expired = bearer(&issuer.token(json!({"roles": ["user"], "exp": now() - 3600})));
    for bad in [
        expired,
        bearer("x"),
        "X-Api-Key: rgk_a_b\r\n".to_owned(),
        "Authorization: Basic YTpi\r\n".to_owned(),
    ] {
        assert_eq!(connect().ask(&call("x", &bad)).status(), 401, "{bad}");
    }
    upstream.assert_untouched();
    assert!(passes(&mut client, "x", ""));
}

#[test]
fn a_certificate_that_ends_while_its_connection_lives_is_nobodys_from_then_on() {
    let (upstream, authority) = (Upstream::echo(), Authority::new());
    let (gateway, _dir) = gateway(&upstream, &authority, SPIFFE, "");
    let ends = now() + 4;
    let mut client = authority.client(&gateway, "", &[uri("spiffe://prod.example/agent/a")], ends);
    assert_eq!(client.ask(&ping("")).status(), 200);
    let mut statuses = Vec::new();
    wait_until("the certificate has ended", || {
        statuses.push(client.ask(&ping("")).status());
        statuses.last() == Some(&401)
    });
    assert!(now() >= ends, "not before");
    let served = 1 + statuses.iter().filter(|status| **status == 200).count();
    assert_eq!(std::iter::from_fn(|| upstream.requests.try_recv().ok()).count(), served);
}

const AGENT: &str = "spiffe://prod.example/agent/a";

#[test]
fn a_connection_is_judged_by_the_authorities_of_now() {
    judged_by_the_authorities_of_now(|_| {});
}

#[test]
fn an_authority_is_taken_away_although_the_listeners_key_was_renewed_before_its_certificate() {
    judged_by_the_authorities_of_now(|dir| {
        dir.file("key.pem", &KeyPair::generate().unwrap().serialize_pem());
    });
}

/// `also` changes what else there is before the authority is taken away.
fn judged_by_the_authorities_of_now(also: fn(&TempDir)) {
    let upstream = Upstream::new(|request, client| {
        if request.start.starts_with("GET") {
            client.send(SSE.as_bytes());
            client.send(&chunk(": open\n\n"));
            return client.head().is_some();
        }
        client.send(&crate::harness::ok(&crate::harness::echoed(request)));
        true
    });
    let (authority, other, issuer, keys) =
        (Authority::new(), Authority::new(), Issuer::new(), TempDir::new());
    let jwks = keys.file("jwks.json", &issuer.jwks());
    let more = format!("  issuers: [{{issuer: '{ISSUER}', jwks: 'file:{}'}}]\n", jwks.display());
    let (gateway, dir) = gateway(&upstream, &authority, SPIFFE, &more);
    let connect = || authority.client(&gateway, "", &[uri(AGENT)], now() + 3600);
    let (mut client, mut idle, mut stream) = (connect(), connect(), connect());
    assert_eq!((client.ask(&ping("")).status(), idle.ask(&ping("")).status()), (200, 200));
    // One authority more: whoever was good is good.
    dir.file("ca.pem", &(authority.0.pem() + &other.0.pem()));
    gateway.signal("HUP");
    gateway.await_metric("ringgate_config_generation", "", 2.0);
    (0..20).for_each(|_| assert_eq!(client.ask(&ping("")).status(), 200));
    stream.send(&get("/up/mcp", ""));
    assert_eq!(stream.head().unwrap().status(), 200);
    assert!(stream.chunk().is_some());
    // Its own authority is taken away.
    also(&dir);
    dir.file("ca.pem", &other.0.pem());
    gateway.signal("HUP");
    gateway.await_metric("ringgate_config_generation", "", 3.0);
    let mut answer = client.ask(&ping(""));
    wait_until("the connection is refused", || {
        let refused = answer.status() == 401;
        if !refused {
            answer = client.ask(&ping(""));
        }
        refused
    });
    assert!(
        challenge(&answer).contains("the client certificate of this connection is not good any more"),
        "{answer:?}"
    );
    assert_eq!(answer.header("connection"), Some("close"));
    while upstream.requests.try_recv().is_ok() {}
    // A good token does not make up for it, for nobody without a certificate gets in here.
    let user = bearer(&issuer.token(json!({"roles": ["user"]})));
    assert_eq!(idle.ask(&call("y", &user)).status(), 401);
    gateway.await_metric("ringgate_exchanges_total", "outcome=\"expired\"", 1.0);
    drop(stream);
    upstream.assert_untouched();
    assert!(gateway.metric("ringgate_unauthenticated_total", "reason=\"untrusted_certificate\"") >= 2.0);
}

#[test]
fn a_token_keeps_no_connection_whose_certificate_has_ended() {
    let (upstream, authority, issuer, keys) =
        (Upstream::echo(), Authority::new(), Issuer::new(), TempDir::new());
    let jwks = keys.file("jwks.json", &issuer.jwks());
    let more = format!("  issuers: [{{issuer: '{ISSUER}', jwks: 'file:{}'}}]\n", jwks.display());
    let (gateway, _dir) = gateway(&upstream, &authority, SPIFFE, &more);
    let ends = now() + 6;
    let mut client = authority.client(&gateway, "", &[uri(AGENT)], ends);
    let user = bearer(&issuer.token(json!({"roles": ["user"]})));
    assert_eq!(client.ask(&call("y", &user)).status(), 200);
    wait_until("the certificate has ended", || client.ask(&call("y", &user)).status() == 401);
    assert!(now() >= ends, "not before");
}
