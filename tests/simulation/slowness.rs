//! Clients that are slow, or do nothing: each is told or cut when its time is over, and not before.

use std::time::Duration;

use ringgate::io::sim::Faults;
use ringgate::shared::Stage;
use ringgate::telemetry::Outcome;

use super::call::Call;
use super::seeds;
use super::server::Server;
use super::speech::{Cut, Said, ends_of};
use super::world::{AGES, TICK, World};

const SERVER: &str = "127.0.0.1:7001";
const CONFIG: &str =
    "timeouts: {head: 5s, body: 7s, keep_alive: 20s, write: 6s, first_byte: 60s, stream_idle: 60s}
servers: [{name: s, url: 'http://127.0.0.1:7001/up'}]\n";

const HEAD: Duration = Duration::from_secs(5);
const BODY: Duration = Duration::from_secs(7);
const KEEP_ALIVE: Duration = Duration::from_secs(20);
const WRITE: Duration = Duration::from_secs(6);
/// How long the gateway waits for the end of a client that it has refused.
const LINGER: Duration = Duration::from_secs(2);
/// How late a bound may be enforced: a tick, and deliveries.
const LATE: Duration = Duration::from_millis(400);

/// Sends `bytes` with a rest of half a second before each piece of `piece` bytes, and gives the answer and
/// when it had come.
fn drip(
    seed: u64,
    faults: Faults,
    bytes: &[u8],
    whole: usize,
    piece: usize,
) -> (Result<Said, Cut>, Duration) {
    let world = World::new(seed, faults, faults, CONFIG);
    let server =
        Server::start(&world, SERVER, |_| async { panic!("nothing is whole, so nothing is sent on") });
    let (mut ear, mut mouth, hangup) = ends_of(world.connect());
    let (start, rest) = (bytes[..whole].to_vec(), bytes[whole..].to_vec());
    let (net, begun) = (world.net(), world.sim.now());
    world.sim.spawn(async move {
        mouth.say(&start).await;
        for piece in rest.chunks(piece) {
            net.sleep(Duration::from_millis(500)).await;
            if !mouth.say(piece).await {
                return;
            }
        }
    });
    let client = world.sim.spawn(async move { (ear.message(true).await, ear) });
    assert!(world.sim.run_until(|| client.is_done(), AGES));
    let took = world.sim.now().since(begun);
    let (got, ear) = client.take().unwrap();
    assert!(world.sim.run_until(|| world.worker.handle().connections.count() == 0, LINGER + LATE));
    drop((ear, hangup));
    world.assert_nothing_left(|| server.leave());
    (got, took)
}

fn assert_timed_out((got, took): (Result<Said, Cut>, Duration), bound: Duration, faults: Faults) {
    match got {
        Ok(said) => assert_eq!(said.status(), 408, "{said:?}"),
        // What the client goes on sending may reset the connection before it has read all.
        Err(cut) => assert!(faults != Faults::none(), "{cut:?}"),
    }
    assert!(took >= bound && took < bound + LATE, "{took:?}, not {bound:?}");
}

#[test]
fn a_slow_request_gets_a_408() {
    seeds::each("a_slow_request_gets_a_408", 10, |seed| {
        let call = Call::of(seed, 1, 300);
        let head = call.head("/s/mcp");
        let lengthy = [head.as_bytes(), b"content-length: 5000\r\n\r\n"].concat();
        let chunky = [head.as_bytes(), b"transfer-encoding: chunked\r\n\r\n"].concat();
        let body = vec![b' '; 5000];
        let chunks = "1\r\n \r\n".repeat(1000);
        for faults in [Faults::none(), Faults::awkward()] {
            assert_timed_out(drip(seed, faults, head.as_bytes(), 1, 3), HEAD, faults);
            let bytes = [&lengthy[..], &body].concat();
            assert_timed_out(drip(seed, faults, &bytes, lengthy.len(), 2), HEAD + BODY, faults);
            let bytes = [&chunky[..], chunks.as_bytes()].concat();
            assert_timed_out(drip(seed, faults, &bytes, chunky.len(), 2), HEAD + BODY, faults);
        }
    });
}

/// A client that sends `request`, then neither reads nor closes. When the gateway gave it up.
fn deaf(seed: u64, faults: Faults, request: Vec<u8>, outcome: Option<Outcome>) -> Duration {
    let world = World::new(seed, faults, Faults::none(), CONFIG);
    let server = Server::start(&world, SERVER, |mut visit| async move {
        while visit.request().await.is_some() {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 4000000\r\n\r\n";
            if !visit.mouth.say(&[head.as_bytes(), &[b' '; 4_000_000]].concat()).await {
                return;
            }
        }
    });
    let (ear, mut mouth, hangup) = ends_of(world.connect());
    let sender = world.sim.spawn(async move { mouth.say(&request).await });
    let places = || world.worker.handle().connections.count();
    assert!(world.sim.run_until(|| places() == 1, AGES));
    let begun = world.sim.now();
    assert!(world.sim.run_until(|| places() == 0, AGES), "a client that reads nothing is kept for ever");
    let took = world.sim.now().since(begun);
    drop((ear, hangup, sender));
    world.assert_nothing_left(|| server.leave());
    if let Some(outcome) = outcome {
        assert_eq!((world.ended_as(outcome), world.settled()), (1, 1));
    }
    took
}

#[test]
fn a_client_that_reads_nothing_is_cut() {
    seeds::each("a_client_that_reads_nothing_is_cut", 10, |seed| {
        let call = Call::of(seed, 1, 300);
        for faults in [Faults::none(), Faults { buffer_bytes: (1, 2000), ..Faults::none() }] {
            let took = deaf(seed, faults, call.request("/s/mcp"), Some(Outcome::ClientGone));
            assert!(took >= WRITE && took < WRITE + LATE, "{took:?}");
        }
    });
}

#[test]
fn a_client_that_does_not_read_its_100_is_cut() {
    seeds::each("a_client_that_does_not_read_its_100_is_cut", 5, |seed| {
        let head = Call::of(seed, 1, 300).head("/s/mcp");
        let request = format!("{head}expect: 100-continue\r\ncontent-length: 300\r\n\r\n");
        let faults = Faults { buffer_bytes: (1, 20), ..Faults::none() };
        let took = deaf(seed, faults, request.into(), None);
        assert!(took <= HEAD + BODY + WRITE + LATE, "{took:?}");
    });
}

#[test]
fn an_idle_client_is_let_go() {
    seeds::each("an_idle_client_is_let_go", 10, |seed| {
        for faults in [Faults::none(), Faults::awkward()] {
            let world = World::new(seed, faults, Faults::none(), CONFIG);
            let server = Server::start(&world, SERVER, move |mut visit| async move {
                while let Some((id, _)) = visit.request().await {
                    visit.answer(&Call::of(seed, id, 300)).await;
                }
            });
            let (mut ear, mut mouth, hangup) = ends_of(world.connect());
            let (net, call) = (world.net(), Call::of(seed, 1, 300));
            let client = world.sim.spawn(async move {
                // The second call comes just before the connection would be closed.
                for rest in [Duration::ZERO, KEEP_ALIVE - LATE * 3] {
                    net.sleep(rest).await;
                    mouth.say(&call.request("/s/mcp")).await;
                    assert_eq!(ear.message(true).await.unwrap().body, call.answer());
                }
                let idle_since = net.now();
                assert!(!ear.more().await);
                net.now().since(idle_since)
            });
            assert!(world.sim.run_until(|| client.is_done(), AGES));
            drop(hangup);
            let took = client.take().unwrap();
            assert!(took + LATE >= KEEP_ALIVE && took < KEEP_ALIVE + TICK + LATE, "{took:?}");
            world.assert_nothing_left(|| server.leave());
        }
    });
}

/// A request that arrives in the very moment in which its idle connection is given up, by the end of its
/// time or by a drain.
fn last_minute(seed: u64, drain: bool) {
    let world = World::new(seed, Faults::none(), Faults::none(), CONFIG);
    let server = Server::start(&world, SERVER, move |mut visit| async move {
        while let Some((id, _)) = visit.request().await {
            visit.net.sleep(TICK * 3).await;
            visit.answer(&Call::of(seed, id, 300)).await;
        }
    });
    let (mut ear, mut mouth, hangup) = ends_of(world.connect());
    world.sim.run_for(TICK / 2);
    let call = Call::of(seed, 1, 300);
    let request = call.request("/s/mcp");
    let sent = world.sim.spawn(async move { mouth.say(&request).await });
    assert!(world.sim.run_until(|| sent.is_done(), TICK / 4));
    // The worker counts from its last tick, and adds one so as not to be early.
    let idle = if drain { Duration::ZERO } else { KEEP_ALIVE + TICK };
    if drain {
        world.shared.stage.advance(Stage::Draining);
    }
    world.worker.tick(world.sim.now() + idle);
    let client = world.sim.spawn(async move {
        let got = ear.message(true).await;
        (got, ear.more().await)
    });
    assert!(world.sim.run_until(|| client.is_done(), AGES));
    drop(hangup);
    let (got, more) = client.take().unwrap();
    let said =
        got.unwrap_or_else(|cut| panic!("{call:?} was sent {} times and lost: {cut:?}", server.count(1)));
    assert_eq!((&said.body, said.field("connection"), more), (&call.answer(), Some("close"), false));
    world.assert_nothing_left(|| server.leave());
}

#[test]
fn a_request_at_the_last_moment_is_served() {
    seeds::each("a_request_at_the_last_moment_is_served", 8, |seed| {
        last_minute(seed, true);
        last_minute(seed, false);
    });
}
