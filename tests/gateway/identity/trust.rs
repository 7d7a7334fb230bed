//! Trust that is taken away counts, whatever else of the configuration is bad.

use serde_json::json;

use super::{ISSUER, Issuer, PUBLIC, bearer, ping};
use crate::harness::{Gateway, TempDir, Upstream};
use crate::scenes::{SSE, chunk, get, wait_until};

/// A gateway with a revocation list, a key set and a token for the server, each in a file.
struct Scene {
    gateway: Gateway,
    dir: TempDir,
    issuer: Issuer,
    _upstream: Upstream,
}

impl Scene {
    fn new() -> Self {
        let upstream = Upstream::new(|request, client| {
            if request.start.starts_with("GET") {
                client.send(SSE.as_bytes());
                client.send(&chunk(": open\n\n"));
                return client.head().is_some();
            }
            client.send(&crate::harness::ok("{}"));
            true
        });
        let (dir, issuer) = (TempDir::new(), Issuer::new());
        let file = |name: &str, text: &str| dir.file(name, text).display().to_string();
        let gateway = Gateway::with(&format!(
            "public_url: {PUBLIC}\nservers:\n  - {{name: up, url: 'http://{}/mcp', credentials: {{bearer: 'file:{}'}}}}\n\
             authentication:\n  revoked: '{}'\n  issuers:\n    - issuer: {ISSUER}\n      jwks: '{}'\n",
            upstream.address,
            file("token", "t\n"),
            file("revoked", ""),
            file("jwks.json", &issuer.jwks()),
        ));
        Self { gateway, dir, issuer, _upstream: upstream }
    }

    fn token(&self, id: &str) -> String {
        bearer(&self.issuer.token(json!({ "jti": id })))
    }

    fn status(&self, token: &str) -> u16 {
        self.gateway.connect().ask(&ping(token)).status()
    }

    fn waiting(&self, what: &str) -> f64 {
        self.gateway.metric("ringgate_config_waiting", &format!("what=\"{what}\""))
    }
}

#[test]
fn a_revocation_counts_without_a_signal_while_another_file_is_bad_and_ends_open_streams() {
    let scene = Scene::new();
    let (one, two) = (scene.token("one"), scene.token("two"));
    assert_eq!((scene.status(&one), scene.status(&two)), (200, 200));
    let mut stream = scene.gateway.connect();
    stream.send(&get("/up/mcp", &one));
    assert_eq!(stream.head().unwrap().status(), 200);
    assert!(stream.chunk().is_some());

    scene.dir.file("token", "");
    scene.dir.file("revoked", "? what\njti:one\n");
    wait_until("the revoked token is refused", || scene.status(&one) == 401);
    assert_eq!(stream.chunk().unwrap(), b"", "the stream ends where an event ended");
    assert_eq!(scene.status(&two), 200);
    assert_eq!((scene.waiting("configuration"), scene.waiting("revoked_lines")), (1.0, 1.0));
    let log = scene.gateway.log();
    assert!(log.contains("line 1 does not begin with"), "{log}");
    assert!(log.contains("credentials.bearer"), "{log}");

    // Mended, all of it counts again.
    scene.dir.file("revoked", "jti:one\njti:two\n");
    scene.dir.file("token", "other\n");
    wait_until("the rest is taken over", || scene.waiting("configuration") == 0.0);
    assert_eq!((scene.status(&one), scene.status(&two)), (401, 401));
    assert_eq!(scene.waiting("revoked_lines"), 0.0);
}

#[test]
fn what_takes_trust_away_counts_at_a_signal_whose_reload_is_refused() {
    let scene = Scene::new();
    let (one, two) = (scene.token("one"), scene.token("two"));
    assert_eq!((scene.status(&one), scene.status(&two)), (200, 200));
    // The text is bad, and so is one of the files: the others count.
    std::fs::write(&scene.gateway.config, "servers: [").unwrap();
    scene.dir.file("jwks.json", "{");
    scene.dir.file("revoked", "jti:one\n");
    scene.gateway.signal("HUP");
    wait_until("the revoked token is refused", || scene.status(&one) == 401);
    assert_eq!(scene.status(&two), 200);
    assert_eq!(
        (scene.waiting("configuration"), scene.waiting("jwks"), scene.waiting("revoked")),
        (1.0, 1.0, 0.0)
    );
    // A key that is published no more.
    let newer = Issuer::named(ISSUER, "k2");
    scene.dir.file("jwks.json", &newer.jwks());
    scene.gateway.signal("HUP");
    wait_until("the old key's token is refused", || scene.status(&two) == 401);
    let status = |id: &str| scene.status(&bearer(&newer.token(json!({ "jti": id }))));
    assert_eq!((status("three"), status("one")), (200, 401));
    // A list that is gone: what it said stays.
    std::fs::remove_file(scene.dir.0.join("revoked")).unwrap();
    scene.gateway.signal("HUP");
    wait_until("it is said", || scene.waiting("revoked") == 1.0);
    assert_eq!((status("three"), status("one")), (200, 401));
}
