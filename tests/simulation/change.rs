//! The world changes while calls are under way: the process drains, the configuration is replaced. What was
//! begun is brought to its end, and what cannot be served was not sent on.

use std::rc::Rc;
use std::time::Duration;

use ringgate::io::sim::{Faults, Prng, Task};
use ringgate::shared::Stage;
use ringgate::telemetry::Outcome;

use super::call::Call;
use super::client::{Got, Habit, converse};
use super::seeds;
use super::server::{Server, truthful};
use super::speech::{ends_of, hang_up};
use super::world::{AGES, GATEWAY, TICK, World, address};

const BYTES_MAX: usize = 3_000;

/// Bounds that nothing here comes near.
const PATIENT: &str = "timeouts: {head: 10m, body: 60m, keep_alive: 1440m, write: 60m, connect: 5m, first_byte: 60m, stream_idle: 60m}\n";

type Client = Task<Vec<(Call, Got)>>;

/// Clients that call at `path` with rests in between, for about `most`.
fn clients(
    world: &World,
    seed: u64,
    ids: std::ops::Range<u32>,
    path: &'static str,
    most: Duration,
) -> Vec<Client> {
    let prng = Rc::new(Prng::new(seed ^ 0xC11E));
    let mut ids: Vec<_> = ids.collect();
    let mut clients = Vec::new();
    while !ids.is_empty() {
        let taken = prng.up_to(4).min(ids.len());
        let calls = ids.drain(..taken).map(|id| Call::of(seed, id, BYTES_MAX)).collect();
        let (net, conn, prng) = (world.net(), world.connect(), prng.clone());
        let habit = Habit { pipelines: prng.chance(500), closes: prng.chance(200) };
        let rest = Duration::from_millis(prng.below(most.as_millis() as u64));
        clients.push(world.sim.spawn(async move {
            net.sleep(rest).await;
            converse(net, conn, path, calls, habit, prng).await
        }));
    }
    clients
}

fn results(world: &World, clients: &[Client]) -> Vec<(Call, Got)> {
    assert!(world.sim.run_until(|| clients.iter().all(Task::is_done), AGES), "clients wait for ever");
    clients.iter().flat_map(|client| client.take().unwrap()).collect()
}

/// The span in which clients begin, and the change comes.
const SPAN: Duration = Duration::from_secs(2);

fn drain(seed: u64, faults: Faults) -> (usize, usize) {
    let config = format!("{PATIENT}servers: [{{name: s, url: 'http://127.0.0.1:7001/up'}}]\n");
    let world = World::new(seed, faults, faults, &config);
    let server = Server::start(&world, "127.0.0.1:7001", truthful(seed, BYTES_MAX));
    let clients = clients(&world, seed, 1..30, "/s/mcp", SPAN);
    world.sim.run_for(Duration::from_millis(world.sim.prng().below(SPAN.as_millis() as u64)));
    world.shut();
    world.shared.stage.advance(Stage::Draining);
    let (mut served, mut turned_away) = (0, 0);
    for (call, got) in results(&world, &clients) {
        match got {
            Got::Answer(said) => {
                assert_eq!((said.status(), &said.body), (200, &call.answer()), "{call:?}");
                served += 1;
            }
            Got::Unsent => turned_away += 1,
            // It may call again elsewhere, without fear that it is done twice.
            Got::Cut(cut, _) => {
                assert_eq!((server.count(call.id), cut.begun.len()), (0, 0), "{call:?} is lost");
                turned_away += 1;
            }
        }
    }
    world.assert_nothing_left(|| server.leave());
    assert_eq!(world.settled(), served as u64);
    assert_eq!(world.ended_as(Outcome::Answered), served as u64);
    (served, turned_away)
}

#[test]
fn a_drain_lets_exchanges_end() {
    let (served, turned_away) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    seeds::each("a_drain_lets_exchanges_end", 50, |seed| {
        for faults in [Faults::none(), Faults::awkward()] {
            let (some, others) = drain(seed, faults);
            served.set(served.get() + some);
            turned_away.set(turned_away.get() + others);
        }
    });
    let both = served.get() > 0 && turned_away.get() > 0;
    assert!(both || seeds::replaying(), "no drain came in the middle");
}

/// Calls, and keeps its connection idle in between; once that ends it connects anew and calls at once, until nobody
/// listens. Gives how many of its connections had their first request answered while the process left.
async fn persist(world: Rc<World>, server: Rc<Server>, seed: u64, who: u32) -> usize {
    let (net, prng) = (world.net(), Rc::new(Prng::new(seed ^ u64::from(who))));
    let (mut ids, mut late) = (who * 1_000.., 0);
    while let Ok(conn) = net.dial(&address(GATEWAY)).await {
        let (mut ear, mut mouth, hangup) = ends_of(conn);
        // Some think before they ask: they are accepted long before their first request.
        net.sleep(Duration::from_millis(prng.below(1_200))).await;
        for nth in 0.. {
            let call = Call::of(seed, ids.next().unwrap(), BYTES_MAX);
            let _ = mouth.say(&call.request_by_chance("/s/mcp", false, &prng)).await;
            match ear.message(true).await {
                Ok(said) => {
                    assert_eq!((said.status(), &said.body), (200, &call.answer()), "{call:?}");
                    if said.field("connection") == Some("close") {
                        late += usize::from(nth == 0);
                        break;
                    }
                }
                Err(cut) => {
                    assert!(nth > 0, "a connection was accepted and closed without an answer: {cut:?}");
                    assert_eq!(server.count(call.id), 0, "{call:?} is lost");
                    break;
                }
            }
            if prng.chance(700) && !ear.more().await {
                break;
            }
        }
        hang_up(&hangup);
    }
    late
}

#[test]
fn a_drain_loses_no_request_of_clients_that_connect_again_at_once() {
    let late = std::cell::Cell::new(0);
    seeds::each("a_drain_loses_no_request_of_clients_that_connect_again_at_once", 50, |seed| {
        let config = format!("{PATIENT}servers: [{{name: s, url: 'http://127.0.0.1:7001/up'}}]\n");
        let world = Rc::new(World::new(seed, Faults::none(), Faults::none(), &config));
        let server = Server::start(&world, "127.0.0.1:7001", truthful(seed, BYTES_MAX));
        let clients: Vec<_> =
            (0..16).map(|who| world.sim.spawn(persist(world.clone(), server.clone(), seed, who))).collect();
        world.sim.run_for(Duration::from_millis(world.sim.prng().below(1_500)));
        world.drain();
        assert!(world.sim.run_until(|| clients.iter().all(Task::is_done), AGES), "clients wait for ever");
        late.set(late.get() + clients.iter().map(|client| client.take().unwrap()).sum::<usize>());
        world.assert_nothing_left(|| server.leave());
    });
    assert!(late.get() > 0 || seeds::replaying(), "no first request came during a drain");
}

#[test]
fn the_end_of_a_drain_cuts_what_is_left() {
    seeds::each("the_end_of_a_drain_cuts_what_is_left", 30, |seed| {
        let config = format!("{PATIENT}servers: [{{name: s, url: 'http://127.0.0.1:7001/up'}}]\n");
        let world = World::new(seed, Faults::awkward(), Faults::awkward(), &config);
        let server = Server::start(&world, "127.0.0.1:7001", |mut visit| async move {
            if visit.request().await.is_some() {
                // An answer that never ends, or never begins.
                if visit.number % 2 == 0 {
                    visit
                        .mouth
                        .say(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: hello\n\n")
                        .await;
                }
                visit.see_the_end().await;
            }
        });
        let clients = clients(&world, seed, 1..12, "/s/mcp", SPAN);
        world.sim.run_for(SPAN * 5);
        let under_way = server.seen.borrow().len() as u64;
        assert!(under_way > 0);
        world.shared.stage.advance(Stage::Draining);
        world.sim.run_for(SPAN);
        assert_eq!(world.settled(), 0, "a drain waits for exchanges");
        world.shared.stage.advance(Stage::Stopping);
        // Each is told so, which takes as long as the network does.
        world.sim.run_for(Duration::from_secs(1));
        assert_eq!((world.ended_as(Outcome::Stopped), world.settled()), (under_way, under_way));
        for (call, got) in results(&world, &clients) {
            if server.count(call.id) == 0 {
                continue;
            }
            let Got::Answer(said) = got else {
                panic!("{call:?} was not told that its answer is lost: {got:?}")
            };
            let text = String::from_utf8(said.body).unwrap();
            let id = format!("\"id\":{},", call.id);
            assert!(text.contains("the gateway stops") && text.contains(&id), "{call:?} got {text}");
        }
        world.assert_nothing_left(|| server.leave());
    });
}

/// Server `a` moves from one endpoint to another, and server `b` is taken out.
/// Gives how many calls the new endpoint got.
fn reload(seed: u64, faults: Faults) -> usize {
    let old = format!(
        "{PATIENT}servers:\n- {{name: b, url: 'http://127.0.0.1:7002/up'}}\n- {{name: a, url: 'http://127.0.0.1:7001/up'}}\n"
    );
    let new = format!("{PATIENT}servers:\n- {{name: a, url: 'http://127.0.0.1:7003/up'}}\n");
    let world = World::new(seed, faults, faults, &old);
    let [one, two, three] =
        [("127.0.0.1:7001", seed), ("127.0.0.1:7002", seed + 1), ("127.0.0.1:7003", seed)]
            .map(|(at, seed)| Server::start(&world, at, truthful(seed, BYTES_MAX)));
    let of_a = clients(&world, seed, 1..15, "/a/mcp", SPAN);
    let of_b = clients(&world, seed + 1, 101..110, "/b/mcp", SPAN);
    world.sim.run_for(Duration::from_millis(world.sim.prng().below(SPAN.as_millis() as u64)));
    world.deploy(&new);
    world.sim.run_for(TICK * 2);
    let before = one.seen.borrow().len();
    for (call, got) in results(&world, &of_a) {
        let Got::Answer(said) = got else { panic!("{call:?} got {got:?}") };
        assert_eq!((said.status(), &said.body), (200, &call.answer()), "{call:?}");
        assert_eq!(one.count(call.id) + three.count(call.id), 1, "{call:?}");
    }
    for (call, got) in results(&world, &of_b) {
        match got {
            Got::Answer(said) if said.status() == 200 => assert_eq!(two.count(call.id), 1, "{call:?}"),
            Got::Answer(said) => assert_eq!((said.status(), two.count(call.id)), (404, 0), "{call:?}"),
            // The 404 ends the connection: its body is not waited for.
            Got::Unsent | Got::Cut(..) => assert_eq!(two.count(call.id), 0, "{call:?}"),
        }
    }
    if faults == Faults::none() {
        assert_eq!(one.seen.borrow().len(), before, "the old endpoint was used after the change");
    }
    let moved = three.seen.borrow().len();
    world.sim.run_for(SPAN);
    for (name, server) in [("a's old endpoint", &one), ("b", &two)] {
        assert_eq!(server.ended.borrow().len(), server.dialled.get(), "{name}: connections stay");
    }
    world.assert_nothing_left(|| [one, two, three].iter().for_each(|server| server.leave()));
    moved
}

#[test]
fn a_reload_loses_nothing() {
    let moved = std::cell::Cell::new(0);
    seeds::each("a_reload_loses_nothing", 50, |seed| {
        moved.set(moved.get() + reload(seed, Faults::none()) + reload(seed, Faults::awkward()));
    });
    assert!(moved.get() > 0 || seeds::replaying(), "no call came after the change");
}

/// Bounds that faults run into.
const FIRM: &str = "timeouts: {head: 1m, body: 1m, keep_alive: 2m, write: 1m, connect: 5s, first_byte: 1m, stream_idle: 1m}\n";

/// All at once: failing paths, a reload, a drain, its end.
fn turmoil(seed: u64) {
    let at = |port| format!("{FIRM}servers: [{{name: s, url: 'http://127.0.0.1:{port}/up'}}]\n");
    let world = World::new(seed, Faults::hostile(), Faults::hostile(), &at(7001));
    let servers =
        ["127.0.0.1:7001", "127.0.0.1:7002"].map(|at| Server::start(&world, at, truthful(seed, BYTES_MAX)));
    let clients = clients(&world, seed, 1..25, "/s/mcp", SPAN);
    let pass = |most: Duration| {
        let millis = world.sim.prng().below(most.as_millis() as u64);
        world.sim.run_for(Duration::from_millis(millis));
    };
    pass(SPAN);
    world.deploy(&at(7002));
    pass(SPAN);
    world.shared.stage.advance(Stage::Draining);
    pass(SPAN * 10);
    world.shared.stage.advance(Stage::Stopping);
    if !world.sim.run_until(|| clients.iter().all(Task::is_done), AGES / 12) {
        world.send_clients_away();
    }
    for (call, got) in results(&world, &clients) {
        let count: usize = servers.iter().map(|server| server.count(call.id)).sum();
        assert!(count <= if call.safe { 2 } else { 1 }, "{call:?} was sent {count} times");
        if let Got::Answer(said) = got
            && said.status() == 200
        {
            let unframed = servers.iter().any(|server| server.unframed.borrow().contains(&call.id));
            let answer = call.answer();
            assert!(
                said.body == answer
                    || (unframed && answer.starts_with(&said.body))
                    || is_ended(&call, &answer, &said.body),
                "{call:?} got {said:?}"
            );
        }
    }
    world.assert_nothing_left(|| servers.iter().for_each(|server| server.leave()));
}

/// Whether a stream has a start of its answer, in which there is no result, and one last event that says so.
fn is_ended(call: &Call, answer: &[u8], body: &[u8]) -> bool {
    let (answer, body) = (String::from_utf8_lossy(answer), String::from_utf8_lossy(body));
    let Some((start, last)) = body.rfind("event: message\n").map(|at| body.split_at(at)) else {
        return false;
    };
    let of_it = last.contains(&format!("\"id\":{},", call.id));
    let is_failure = last.contains("\"error\":") || last.contains("\"isError\":true");
    call.stream && answer.starts_with(start) && !start.contains("\"result\"") && of_it && is_failure
}

#[test]
fn nothing_is_left_of_a_turmoil() {
    seeds::each("nothing_is_left_of_a_turmoil", 60, turmoil);
}
