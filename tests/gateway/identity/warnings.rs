//! What the log says of a configuration that is good and dangerous.

use super::{ISSUER, Issuer, PUBLIC};
use crate::harness::{Gateway, TempDir, Upstream};
use crate::scenes::wait_until;

#[test]
fn credentials_in_the_clear_are_told_of_at_the_start_and_at_each_reload() {
    let (upstream, issuer, dir) = (Upstream::echo(), Issuer::new(), TempDir::new());
    let keys = dir.file("jwks.json", &issuer.jwks());
    let config = |address: &str| {
        format!(
            "public_url: {PUBLIC}\nlisteners:\n  - address: '{address}:PORT'\n\
             servers:\n  - {{name: up, url: 'http://{}/mcp'}}\n\
             authentication:\n  issuers:\n    - issuer: {ISSUER}\n      jwks: file:{}\n",
            upstream.address,
            keys.display()
        )
    };
    let told = |gateway: &Gateway| gateway.log().matches("takes tokens and keys over plain HTTP").count();
    let gateway = Gateway::with(&config("0.0.0.0"));
    wait_until("it is told", || told(&gateway) == 1);
    gateway.signal("HUP");
    wait_until("it is told again", || told(&gateway) == 2);
    let quiet = Gateway::with(&config("127.0.0.1"));
    quiet.signal("HUP");
    wait_until("it was reloaded", || quiet.log().contains("configuration reloaded"));
    assert_eq!(told(&quiet), 0);
}
