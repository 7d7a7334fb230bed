//! The reference model: whatever the network does, a client gets the answers to its own requests, in
//! order and byte for byte, or an error that says so, or a connection that ends; and each request is sent
//! upstream as often as it may be.

use std::rc::Rc;
use std::time::Duration;

use ringgate::io::sim::{Faults, Prng};

use super::call::Call;
use super::client::{Got, Habit, converse};
use super::seeds;
use super::server::{Server, truthful};
use super::speech::find;
use super::world::{AGES, World};

/// Bounds of times that no path without faults comes near.
const PATIENT: &str = "timeouts: {head: 10m, body: 60m, keep_alive: 1440m, write: 60m, connect: 5m, first_byte: 60m, stream_idle: 60m}\n";
/// Bounds that faults run into.
const FIRM: &str = "timeouts: {head: 2m, body: 2m, keep_alive: 3m, write: 2m, connect: 5s, first_byte: 2m, stream_idle: 2m}\n";

const SERVER: &str = "127.0.0.1:7001";

fn config(timeouts: &str) -> String {
    format!("{timeouts}servers:\n- {{name: s, url: 'http://{SERVER}/up'}}\n")
}

/// Which paths may fail.
#[derive(Clone, Copy)]
struct Weather {
    clients: Faults,
    servers: Faults,
    bytes_max: usize,
}

impl Weather {
    fn clients_may_fail(&self) -> bool {
        self.clients.reset_per_mille > 0
    }

    fn servers_may_fail(&self) -> bool {
        self.servers.reset_per_mille > 0
    }
}

const CALM: Weather = Weather { clients: Faults::none(), servers: Faults::none(), bytes_max: 100_000 };
const AWKWARD: Weather =
    Weather { clients: Faults::awkward(), servers: Faults::awkward(), bytes_max: 20_000 };

/// Runs one world to its end, and gives the number of its trace.
fn run(seed: u64, weather: Weather) -> u64 {
    let firm = weather.clients_may_fail() || weather.servers_may_fail();
    let world =
        World::new(seed, weather.clients, weather.servers, &config(if firm { FIRM } else { PATIENT }));
    let server = Server::start(&world, SERVER, truthful(seed, weather.bytes_max));
    let prng = Rc::new(Prng::new(seed ^ 0xC11E));
    let mut id = 0;
    let mut clients = Vec::new();
    for _ in 0..1 + prng.below(5) {
        let calls = (0..1 + prng.below(5)).map(|_| {
            id += 1;
            Call::of(seed, id, weather.bytes_max)
        });
        let (calls, net, conn, prng) = (calls.collect(), world.net(), world.connect(), prng.clone());
        let habit = Habit { pipelines: prng.chance(400), closes: prng.chance(300) };
        clients.push(world.sim.spawn(async move {
            net.sleep(Duration::from_millis(prng.below(2_000))).await;
            converse(net, conn, "/s/mcp", calls, habit, prng).await
        }));
    }
    let done = || clients.iter().all(|client| client.is_done());
    let patience = if weather.clients_may_fail() { AGES / 8 } else { AGES };
    if !world.sim.run_until(done, patience) {
        // One whose path has stalled hears of nothing, and must end it itself.
        assert!(weather.clients_may_fail(), "clients wait for ever");
        world.send_clients_away();
        assert!(world.sim.run_until(done, AGES));
    }
    let mut answered = 0;
    for (call, got) in clients.iter().flat_map(|client| client.take().unwrap()) {
        judge(&call, &got, &server, weather);
        answered += u64::from(!matches!(&got, Got::Unsent));
        let most = if call.safe { 2 } else { 1 };
        assert!(server.count(call.id) <= most, "{call:?} was sent {} times", server.count(call.id));
    }
    world.assert_nothing_left(|| server.leave());
    if !firm {
        assert_eq!(world.settled(), answered, "each call is settled once");
    }
    assert!(world.settled() >= server.seen.borrow().len() as u64, "an exchange was not settled");
    assert!(world.settled() <= u64::from(id), "an exchange was settled twice");
    world.sim.trace_hash()
}

fn judge(call: &Call, got: &Got, server: &Server, weather: Weather) {
    let id = call.id;
    match got {
        Got::Answer(said) if said.status() == 200 => {
            let answer = call.answer();
            assert_eq!(said.field("content-type"), Some(call.media()));
            assert_eq!(said.field("keep-alive"), None);
            let cut = weather.servers_may_fail() && server.unframed.borrow().contains(&id);
            let said_so =
                weather.servers_may_fail() && call.stream && ends_with_an_error(&said.body, &answer, id);
            assert!(
                said.body == answer || (cut && answer.starts_with(&said.body)) || said_so,
                "the answer to {call:?} is {}\n{:?}",
                said.body.len(),
                String::from_utf8_lossy(&said.body)
            );
            assert!(server.count(id) >= 1);
        }
        Got::Answer(said) if matches!(said.status(), 502 | 504) => {
            assert!(weather.servers_may_fail(), "{call:?}: {said:?}");
            assert_eq!(said.id(), Some(id), "{said:?}");
        }
        Got::Answer(said) => {
            assert!(weather.clients_may_fail() && said.status() == 408, "{call:?}: {said:?}")
        }
        Got::Cut(cut, _) if weather.clients_may_fail() => assert_own(call, &cut.begun),
        Got::Cut(cut, pipelined) => {
            assert!(weather.servers_may_fail(), "{call:?} was cut: {cut:?}");
            assert!(*pipelined || !cut.begun.is_empty(), "{call:?} got nothing, though its own path is good");
            assert_own(call, &cut.begun);
        }
        Got::Unsent => {
            assert!(weather.clients_may_fail() || weather.servers_may_fail(), "{call:?} was not sent")
        }
    }
}

/// A part of the answer, and then the gateway's own event that answers this request.
fn ends_with_an_error(body: &[u8], answer: &[u8], id: u32) -> bool {
    let own = format!("event: message\ndata: {{\"jsonrpc\":\"2.0\",\"id\":{id},");
    let at = body.windows(own.len()).rposition(|window| window == own.as_bytes());
    at.is_some_and(|at| answer.starts_with(&body[..at]) && body.ends_with(b"\n\n"))
}

/// Nothing of another call is in a part of an answer.
fn assert_own(call: &Call, bytes: &[u8]) {
    let mut rest = bytes;
    while let Some(at) = find(rest, b"say-") {
        rest = &rest[at + 4..];
        let (own, len) = (call.id.to_string(), rest.iter().take_while(|byte| byte.is_ascii_digit()).count());
        let digits = std::str::from_utf8(&rest[..len]).unwrap();
        // A chunk, or what came, may end within the number.
        let whole = rest.get(len) == Some(&b'.');
        assert!(own.starts_with(digits) && (!whole || own == digits), "{call:?} got bytes of {digits}");
    }
}

#[test]
fn a_calm_network_loses_nothing() {
    seeds::each("a_calm_network_loses_nothing", 150, |seed| {
        run(seed, CALM);
    });
}

#[test]
fn an_awkward_network_loses_nothing() {
    seeds::each("an_awkward_network_loses_nothing", 200, |seed| {
        run(seed, AWKWARD);
    });
}

#[test]
fn servers_that_fail_are_told_from_those_that_answer() {
    let weather = Weather { servers: Faults::hostile(), bytes_max: 8_000, ..AWKWARD };
    seeds::each("servers_that_fail_are_told_from_those_that_answer", 300, |seed| {
        run(seed, weather);
    });
}

#[test]
fn clients_that_fail_hurt_nobody_else() {
    let weather = Weather { clients: Faults::hostile(), bytes_max: 8_000, ..AWKWARD };
    seeds::each("clients_that_fail_hurt_nobody_else", 200, |seed| {
        run(seed, weather);
    });
}

#[test]
fn nothing_is_left_when_everything_fails() {
    let weather = Weather { clients: Faults::hostile(), servers: Faults::hostile(), bytes_max: 4_000 };
    seeds::each("nothing_is_left_when_everything_fails", 200, |seed| {
        run(seed, weather);
    });
}

#[test]
fn a_seed_replays() {
    let weather = Weather { clients: Faults::hostile(), servers: Faults::hostile(), bytes_max: 4_000 };
    seeds::each("a_seed_replays", 10, |seed| {
        for weather in [CALM, AWKWARD, weather] {
            assert_eq!(run(seed, weather), run(seed, weather));
        }
        assert_ne!(run(seed, CALM), run(seed + 1, CALM));
    });
}
