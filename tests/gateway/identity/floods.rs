//! Who shows words that must be asked about, and who waits behind them.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::json;

use super::{PUBLIC, bearer, challenge, ping};
use crate::harness::{Client, Gateway, TempDir, Upstream, ok};

/// An introspection endpoint that takes a while, and knows the tokens with `good` in them.
fn endpoint(takes: Duration) -> Upstream {
    Upstream::new(move |request, client| {
        std::thread::sleep(takes);
        let active = request.text().contains("good");
        let answer = json!({"active": active, "aud": format!("{PUBLIC}/up/mcp"), "sub": "somebody"});
        client.send(&ok(&answer.to_string()));
        true
    })
}

fn gateway(upstream: &Upstream, asked: &Upstream, workers: u8, more: &str) -> (Gateway, TempDir) {
    let dir = TempDir::new();
    let secret = dir.file("secret", "s3cret");
    let gateway = Gateway::with(&format!(
        "public_url: {PUBLIC}\nservers:\n  - {{name: up, url: 'http://{}/mcp'}}\n\
         authentication:\n  introspection: {{url: 'http://{}/', client_id: gw, client_secret: 'file:{}'{more}}}\n\
         outbound: {{allow_http: true}}\nworkers: {workers}\n",
        upstream.address,
        asked.address,
        secret.display()
    ));
    (gateway, dir)
}

/// A client at another address of this machine.
fn elsewhere(gateway: &Gateway) -> Client {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).unwrap();
    socket.connect(&gateway.address.into()).unwrap();
    Client::new(TcpStream::from(socket))
}

#[test]
fn a_flood_of_made_up_tokens_keeps_no_real_one_from_being_served() {
    let (upstream, asked) = (Upstream::echo(), endpoint(Duration::from_millis(300)));
    let (gateway, _dir) = gateway(&upstream, &asked, 2, "");
    let mut flood: Vec<_> = (0..300)
        .map(|number| {
            let mut client = elsewhere(&gateway);
            client.send(&ping(&bearer(&format!("made-up-{number}"))));
            client
        })
        .collect();
    // As many as are asked about at once.
    for _ in 0..8 {
        asked.request();
    }
    for number in 0..4 {
        let answer = gateway.connect().ask(&ping(&bearer(&format!("good-{number}"))));
        assert_eq!(answer.status(), 200, "{answer:?}");
    }
    // Those that had no room were told so, the others that they are nobody.
    let statuses: Vec<_> = flood.iter_mut().map(|client| client.message().unwrap().status()).collect();
    assert!(statuses.iter().all(|status| [401, 503].contains(status)), "{statuses:?}");
    assert!(statuses.contains(&401) && statuses.contains(&503), "{statuses:?}");
}

#[test]
fn a_token_that_was_refused_is_not_asked_about_again_at_once() {
    let (upstream, asked) = (Upstream::echo(), endpoint(Duration::ZERO));
    let (gateway, _dir) = gateway(&upstream, &asked, 1, "");
    for _ in 0..3 {
        let answer = gateway.connect().ask(&ping(&bearer("made-up")));
        assert_eq!(answer.status(), 401);
        assert!(challenge(&answer).contains("error=\"invalid_token\""), "{answer:?}");
    }
    asked.request();
    asked.assert_untouched();
    assert_eq!(gateway.connect().ask(&ping(&bearer("good"))).status(), 200, "another is");
    upstream.request();
    upstream.assert_untouched();
}

#[test]
fn nobody_is_asked_about_what_does_not_look_like_a_token_of_theirs() {
    let (upstream, asked) = (Upstream::echo(), endpoint(Duration::ZERO));
    let (gateway, _dir) = gateway(&upstream, &asked, 1, ", token_pattern: 'tk_*'");
    for token in ["good", "xtk_good", "TK_good"] {
        let answer = gateway.connect().ask(&ping(&bearer(token)));
        assert_eq!(answer.status(), 401);
        challenge(&answer);
    }
    asked.assert_untouched();
    assert_eq!(gateway.connect().ask(&ping(&bearer("tk_good"))).status(), 200);
}
