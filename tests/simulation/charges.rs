//! Who pays for a call that does not come to its end, where only success is charged: the server for its own failures, and
//! the caller for all others.

use std::time::Duration;

use ringgate::io::sim::Faults;
use ringgate::shared::Stage;
use ringgate::telemetry::Outcome;

use super::server::{Server, Visit};
use super::speech::{ends_of, hang_up};
use super::world::{AGES, TICK, World};

const CONFIG: &str =
    "timeouts: {first_byte: 20s, stream_idle: 40s, call: 60s, abandoned: 5s, upstream_idle: 1s}
servers: [{name: s, url: 'http://127.0.0.1:7001/up'}]
rate_limits:
  limits:
  - {name: paid, unit: requests, charge: on_success, methods: [tools/call, subscriptions/listen], rate: 1/h}
";

/// What a server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Will {
    /// No head.
    Never,
    /// An event, and then comments.
    Goes,
    /// An event, and then nothing.
    Silent,
    /// An event, and then its end.
    Breaks,
}

/// What happens to a call after ten seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Nothing,
    Leaves,
    Cancels,
    /// Other rules come in force.
    Reload,
    Drain,
    Stop,
}

async fn serve(mut visit: Visit, will: Will) {
    while let Ok(said) = visit.ear.message(false).await {
        if !said.body.windows(5).any(|part| part == b"\"id\":") {
            visit.mouth.say(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await;
            continue;
        }
        if will != Will::Never {
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
            visit.mouth.say(format!("{head}a\r\ndata: {{}}\n\n\r\n").as_bytes()).await;
        }
        while will == Will::Goes && visit.mouth.say(b"5\r\n: a\n\n\r\n").await {
            visit.net.sleep(Duration::from_secs(1)).await;
        }
        if will != Will::Breaks {
            visit.see_the_end().await;
        }
        return;
    }
}

fn request(method: &str, modern: bool, body: &str) -> Vec<u8> {
    let headers = match modern {
        true => format!("mcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\nmcp-name: x\r\n"),
        false => "mcp-protocol-version: 2025-06-18\r\nmcp-session-id: s-1\r\n".to_owned(),
    };
    let headers = if method == "tools/call" { headers } else { headers.replace("mcp-name: x\r\n", "") };
    format!(
        "POST /s/mcp HTTP/1.1\r\nHost: 127.0.0.1:8080\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn call(method: &str, modern: bool) -> Vec<u8> {
    const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    let params = match (method, modern) {
        ("tools/call", true) => format!(r#""name":"x",{META}"#),
        ("tools/call", false) => r#""name":"x""#.to_owned(),
        _ => format!(r#""notifications":{{}},{META}"#),
    };
    request(
        method,
        modern,
        &format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{{{params}}}}}"#),
    )
}

/// How the call ended, and whether it was paid.
fn run(method: &str, modern: bool, will: Will, then: Then) -> (Outcome, bool) {
    let world = World::new(7, Faults::none(), Faults::none(), CONFIG);
    let server = Server::start(&world, "127.0.0.1:7001", move |visit| serve(visit, will));
    let (mut ear, mut mouth, hangup) = ends_of(world.connect());
    let bytes = call(method, modern);
    let client = world.sim.spawn(async move {
        mouth.say(&bytes).await;
        while ear.more().await {}
    });
    world.sim.run_for(Duration::from_secs(10));
    let mut others = Vec::new();
    match then {
        Then::Nothing => {}
        Then::Leaves => hang_up(&hangup),
        Then::Cancels => {
            let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;
            let (mut ear, mut mouth, hangup) = ends_of(world.connect());
            let bytes = request("notifications/cancelled", false, cancel);
            others.push(world.sim.spawn(async move {
                mouth.say(&bytes).await;
                ear.message(true).await.unwrap();
                hang_up(&hangup);
            }));
        }
        Then::Reload => world.deploy(&format!("access: {{rules: [{{effect: allow}}]}}\n{CONFIG}")),
        Then::Drain => world.shared.stage.advance(Stage::Draining),
        Then::Stop => world.shared.stage.advance(Stage::Stopping),
    }
    let open = || world.worker.report().exchanges_open;
    assert!(world.sim.run_until(|| open() == 0, AGES), "{method} {will:?} {then:?} goes on for ever");
    // What the worker holds unused goes back to the ledger.
    world.sim.run_for(Duration::from_secs(5));
    let paid = world.shared.book.live(world.sim.now()) > 0;
    let ended = |outcome: &Outcome| world.ended_as(*outcome) > 0 && *outcome != Outcome::Answered;
    let outcome = Outcome::ALL.into_iter().find(ended).unwrap();
    hang_up(&hangup);
    world.sim.run_for(TICK);
    drop((client, others, hangup));
    world.send_clients_away();
    world.assert_nothing_left(|| server.leave());
    (outcome, paid)
}

#[test]
fn the_server_pays_for_its_own_failures_and_the_caller_for_all_else() {
    const CALL: &str = "tools/call";
    const LISTEN: &str = "subscriptions/listen";
    for (method, modern, will, then, outcome, paid) in [
        (CALL, true, Will::Never, Then::Leaves, Outcome::ClientGone, true),
        (CALL, true, Will::Goes, Then::Leaves, Outcome::ClientGone, true),
        (CALL, false, Will::Never, Then::Leaves, Outcome::ClientGone, true),
        (CALL, false, Will::Goes, Then::Leaves, Outcome::ClientGone, true),
        (CALL, false, Will::Never, Then::Cancels, Outcome::Cancelled, true),
        (CALL, false, Will::Goes, Then::Cancels, Outcome::Cancelled, true),
        (LISTEN, true, Will::Goes, Then::Reload, Outcome::Expired, true),
        (LISTEN, true, Will::Goes, Then::Drain, Outcome::Stopped, true),
        (CALL, false, Will::Goes, Then::Stop, Outcome::Stopped, true),
        (CALL, true, Will::Never, Then::Stop, Outcome::Stopped, true),
        (CALL, true, Will::Never, Then::Nothing, Outcome::UpstreamTimeout, false),
        (CALL, false, Will::Goes, Then::Nothing, Outcome::UpstreamTimeout, false),
        (CALL, false, Will::Silent, Then::Nothing, Outcome::UpstreamTimeout, false),
        (CALL, true, Will::Breaks, Then::Nothing, Outcome::UpstreamCut, false),
    ] {
        let got = run(method, modern, will, then);
        assert_eq!(got, (outcome, paid), "{method} modern: {modern}, {will:?}, {then:?}");
    }
}
