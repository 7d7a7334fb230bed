//! Keys by discovery over TLS, by the real gateway.

use std::net::TcpListener;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

use super::{Issuer, PUBLIC, bearer, ping};
use crate::harness::{Client, Gateway, TempDir, Upstream, ok};
use crate::tls::{Authority, Tolerant};

/// An issuer's web server over TLS, and the issuer under this host name.
fn idp(config: ServerConfig, host: &str) -> Issuer {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = format!("https://{host}:{}", listener.local_addr().unwrap().port());
    let issuer = Issuer::named(&name, "k1");
    let (keys, config) = (issuer.jwks(), Arc::new(config));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let session = ServerConnection::new(config.clone()).unwrap();
            let mut client = Client::over(Tolerant(StreamOwned::new(session, stream)));
            while let Some(request) = client.message() {
                let metadata = json!({"issuer": name, "jwks_uri": format!("{name}/jwks")}).to_string();
                client.send(&ok(if request.start.contains("/jwks") { &keys } else { &metadata }));
            }
        }
    });
    issuer
}

#[test]
fn keys_come_over_tls_from_whoever_the_configured_authority_vouches_for_and_from_nobody_else() {
    let (ours, others) = (Authority::new(), Authority::new());
    for (authority, host, good) in
        [(&ours, "localhost", true), (&others, "localhost", false), (&ours, "127.0.0.1", false)]
    {
        let (upstream, dir) = (Upstream::echo(), TempDir::new());
        let ca = dir.file("ca.pem", &ours.pem());
        let issuer = idp(authority.server_config("localhost"), host);
        let token = issuer.token(json!({}));
        let gateway = Gateway::with(&format!(
            "public_url: {PUBLIC}\nservers: [{{name: up, url: 'http://{}/mcp'}}]\n\
             authentication: {{issuers: [{{issuer: '{}'}}]}}\noutbound: {{ca: '{}', timeout: 10s}}\n",
            upstream.address,
            issuer.name,
            ca.display()
        ));
        let answer = gateway.connect().ask(&ping(&bearer(&token)));
        let keys = gateway.metric("ringgate_keys", "");
        if good {
            assert_eq!((answer.status(), keys), (200, 1.0), "{answer:?}\n{}", gateway.log());
            continue;
        }
        assert_eq!((answer.status(), keys), (503, 0.0), "{answer:?}");
        assert!(gateway.metric("ringgate_keys_failures_total", "") >= 1.0);
        let log = gateway.log();
        assert!(
            log.contains("the keys of an issuer could not be fetched") && log.contains("TLS failed"),
            "{log}"
        );
        upstream.assert_untouched();
    }
}
