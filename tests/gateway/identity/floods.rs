//! Who shows words that must be asked about, and who waits behind them.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use socket2::{Domain, Socket, Type};

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

/// Shows made-up tokens from another address of this machine, 250 a second, until it is told to stop.
fn flood(gateway: SocketAddr, stop: &AtomicBool) {
    let mut clients = VecDeque::new();
    for round in 0..200 {
        for number in 0..25 {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into()).unwrap();
            socket.connect(&gateway.into()).unwrap();
            let mut client = Client::new(TcpStream::from(socket));
            client.send(&ping(&bearer(&format!("made-up-{round}-{number}"))));
            clients.push_back(client);
        }
        // Who leaves has asked its question all the same.
        clients.drain(..clients.len().saturating_sub(300));
        if stop.load(Ordering::Relaxed) {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_flood_of_made_up_tokens_keeps_no_real_one_from_being_served() {
    let (upstream, asked) = (Upstream::echo(), endpoint(Duration::from_millis(300)));
    let (gateway, _dir) = gateway(&upstream, &asked, 2, "");
    let stop = AtomicBool::new(false);
    let answers: Vec<_> = std::thread::scope(|scope| {
        scope.spawn(|| flood(gateway.address, &stop));
        // More than are asked about at once.
        (0..20).for_each(|_| drop(asked.request()));
        let answer = |number| gateway.connect().ask(&ping(&bearer(&format!("good-{number}")))).status();
        let answers = (0..4).map(answer).collect();
        stop.store(true, Ordering::Relaxed);
        answers
    });
    assert_eq!(answers, [200; 4], "{}", gateway.admin_get("/metrics").unwrap().1);
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
