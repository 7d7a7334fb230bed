//! Where keys come from: an issuer that is slow, down, lies, or changes its keys; and reloads.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use super::{ISSUER, Issuer, PUBLIC, bearer, ping};
use crate::harness::{Gateway, TempDir, Upstream, ok};
use crate::scenes::{SSE, chunk, door, get, wait_until};

/// What the issuer's web server does now.
#[derive(Clone)]
enum Now {
    Keys(String),
    Garbage,
    Error,
    Slow,
}

struct Idp {
    server: Upstream,
    now: Arc<Mutex<Now>>,
}

impl Idp {
    /// An issuer's web server with the usual documents.
    fn new(first: Now) -> Self {
        let now = Arc::new(Mutex::new(first));
        let state = now.clone();
        let server = Upstream::new(move |request, client| {
            let state = state.lock().unwrap().clone();
            let host = request.header("host").unwrap().to_owned();
            let answer = match state {
                Now::Garbage => ok("<html>"),
                Now::Error => b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".to_vec(),
                Now::Slow => {
                    std::thread::sleep(Duration::from_secs(30));
                    return false;
                }
                Now::Keys(keys) if request.start.contains("/jwks") => ok(&keys),
                Now::Keys(_) if request.start.contains("/.well-known/") => {
                    let issuer = format!("http://{host}");
                    ok(&json!({"issuer": issuer, "jwks_uri": format!("{issuer}/jwks"), "token_endpoint": format!("{issuer}/token")}).to_string())
                }
                Now::Keys(_) => b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n".to_vec(),
            };
            client.send(&answer);
            true
        });
        Self { server, now }
    }

    fn becomes(&self, now: Now) {
        *self.now.lock().unwrap() = now;
    }

    fn name(&self) -> String {
        format!("http://{}", self.server.address)
    }

    fn fetches(&self) -> usize {
        std::iter::from_fn(|| self.server.requests.try_recv().ok())
            .filter(|request| request.start.contains("/jwks"))
            .count()
    }
}

fn gateway(upstream: &Upstream, idp: &Idp) -> Gateway {
    Gateway::with(&format!(
        "public_url: {PUBLIC}\nservers:\n  - {{name: up, url: 'http://{}/mcp'}}\n\
         authentication:\n  issuers:\n    - issuer: {}\noutbound: {{allow_http: true, allow_private: true, timeout: 1s}}\n",
        upstream.address,
        idp.name()
    ))
}

#[test]
fn keys_are_discovered_and_a_new_key_is_fetched_when_it_is_first_seen() {
    let upstream = Upstream::echo();
    let idp = Idp::new(Now::Garbage);
    let (first, second) = (Issuer::named(&idp.name(), "k1"), Issuer::named(&idp.name(), "k2"));
    idp.becomes(Now::Keys(first.jwks()));
    let gateway = gateway(&upstream, &idp);
    assert_eq!(gateway.connect().ask(&ping(&bearer(&first.token(json!({}))))).status(), 200);
    idp.becomes(Now::Keys(json!({"keys": [first.jwk(), second.jwk()]}).to_string()));
    // Within the cool-down a new key has to wait for its turn. Nobody is sent to sign in for that.
    let mut waited = 0;
    wait_until("the new key is known", || {
        let answer = gateway.connect().ask(&ping(&bearer(&second.token(json!({})))));
        if answer.status() == 503 {
            assert_eq!(answer.header("retry-after"), Some("10"));
            waited += 1;
        } else {
            assert_eq!(answer.status(), 200);
        }
        answer.status() == 200
    });
    assert!(waited > 0);
    assert!(gateway.metric("ringgate_unauthenticated_total", "reason=\"unknown_key_yet\"") >= 1.0);
    idp.fetches();
    for number in 0..50 {
        let stranger = Issuer::named(&idp.name(), &format!("unknown-{number}"));
        let status = gateway.connect().ask(&ping(&bearer(&stranger.token(json!({}))))).status();
        assert!([401, 503].contains(&status), "{status}");
    }
    assert!(idp.fetches() <= 2, "unknown keys do not flood the issuer");
    idp.becomes(Now::Error);
    assert_eq!(
        gateway.connect().ask(&ping(&bearer(&first.token(json!({}))))).status(),
        200,
        "the keys outlive the issuer's bad day"
    );
}

#[test]
fn a_stream_does_not_outlive_the_key_that_let_it_in() {
    let upstream = Upstream::new(|request, client| {
        if request.start.starts_with("GET") {
            client.send(SSE.as_bytes());
            client.send(&chunk(": open\n\n"));
            return client.head().is_some();
        }
        client.send(&ok("{}"));
        true
    });
    let idp = Idp::new(Now::Garbage);
    let (first, second) = (Issuer::named(&idp.name(), "k1"), Issuer::named(&idp.name(), "k2"));
    idp.becomes(Now::Keys(first.jwks()));
    let gateway = gateway(&upstream, &idp);
    let mut stream = gateway.connect();
    stream.send(&get("/up/mcp", &bearer(&first.token(json!({})))));
    assert_eq!(stream.head().unwrap().status(), 200);
    assert!(stream.chunk().is_some());
    idp.becomes(Now::Keys(second.jwks()));
    wait_until("the new key is known", || {
        gateway.connect().ask(&ping(&bearer(&second.token(json!({}))))).status() == 200
    });
    assert_eq!(stream.chunk().unwrap(), b"", "the stream ends where an event ended");
    assert_ne!(gateway.connect().ask(&ping(&bearer(&first.token(json!({}))))).status(), 200);
}

#[test]
fn an_issuer_that_cannot_be_asked_is_a_503_and_delays_nobody_else() {
    let upstream = Upstream::echo();
    for state in [Now::Garbage, Now::Error, Now::Slow] {
        let idp = Idp::new(state);
        let gateway = gateway(&upstream, &idp);
        let issuer = Issuer::named(&idp.name(), "k1");
        let mut waiting = gateway.connect();
        waiting.send(&ping(&bearer(&issuer.token(json!({})))));
        // Meanwhile the worker answers others, and the admin listener answers.
        for _ in 0..20 {
            assert_eq!(gateway.connect().ask(&ping("")).status(), 401);
        }
        assert_eq!(gateway.admin_get("/healthz").unwrap().0, 200);
        let answer = waiting.message().unwrap();
        assert_eq!(answer.status(), 503, "{answer:?}");
        assert!(answer.header("retry-after").is_some());
        upstream.assert_untouched();
    }
}

#[test]
fn a_reload_that_removes_an_issuer_or_revokes_a_token_ends_what_was_remembered() {
    let (upstream, issuer, dir) = (Upstream::echo(), Issuer::new(), TempDir::new());
    let keys = dir.file("jwks.json", &issuer.jwks());
    let revoked = dir.file("revoked", "# nobody\n");
    let gateway = Gateway::with(&format!(
        "public_url: {PUBLIC}\nservers:\n  - {{name: up, url: 'http://{}/mcp'}}\n\
         authentication:\n  revoked: file:{}\n  issuers:\n    - issuer: {ISSUER}\n      jwks: file:{}\n",
        upstream.address,
        revoked.display(),
        keys.display()
    ));
    let (one, two) =
        (bearer(&issuer.token(json!({"jti": "one"}))), bearer(&issuer.token(json!({"jti": "two"}))));
    let status = |headers: &str| gateway.connect().ask(&ping(headers)).status();
    assert_eq!((status(&one), status(&two)), (200, 200));
    dir.file("revoked", "jti:one\n");
    gateway.signal("HUP");
    wait_until("the revoked token is refused", || status(&one) == 401);
    assert_eq!(status(&two), 200);
    // Another key at the same place: what the old one signed is worth nothing.
    let newer = Issuer::new();
    dir.file("jwks.json", &newer.jwks());
    gateway.signal("HUP");
    wait_until("the old key's token is refused", || status(&two) == 401);
    assert_eq!(status(&bearer(&newer.token(json!({})))), 200);
    let text = std::fs::read_to_string(&gateway.config).unwrap();
    std::fs::write(&gateway.config, text.replace(ISSUER, "https://another.example")).unwrap();
    gateway.signal("HUP");
    wait_until("the removed issuer's token is refused", || status(&bearer(&newer.token(json!({})))) == 401);
}

#[test]
fn a_rotated_file_is_read_again_without_a_signal() {
    let (upstream, issuer, dir) = (Upstream::echo(), Issuer::new(), TempDir::new());
    let keys = dir.file("jwks.json", &issuer.jwks());
    let gateway = Gateway::with(&format!(
        "public_url: {PUBLIC}\nservers:\n  - {{name: up, url: 'http://{}/mcp'}}\n\
         authentication:\n  issuers:\n    - issuer: {ISSUER}\n      jwks: file:{}\n",
        upstream.address,
        keys.display()
    ));
    let status = |issuer: &Issuer| gateway.connect().ask(&ping(&bearer(&issuer.token(json!({}))))).status();
    assert_eq!(status(&issuer), 200);
    let newer = Issuer::named(ISSUER, "k2");
    // A half-edited configuration beside it is not taken over.
    std::fs::write(&gateway.config, "servers: [").unwrap();
    dir.file("jwks.json", &newer.jwks());
    wait_until("the new file counts", || status(&newer) == 200);
    assert_eq!(status(&issuer), 401);
}

#[test]
fn a_parked_exchange_whose_client_leaves_leaves_nothing_behind() {
    let upstream = Upstream::echo();
    let idp = Idp::new(Now::Slow);
    let gateway = gateway(&upstream, &idp);
    let issuer = Issuer::named(&idp.name(), "k1");
    let (_handle, _door) = door();
    for _ in 0..20 {
        let mut client = gateway.connect();
        client.send(&ping(&bearer(&issuer.token(json!({})))));
    }
    gateway.assert_nothing_left();
    upstream.assert_untouched();
}
