//! Clients that leave: the modern one cancels, the legacy one does not.

use std::rc::Rc;
use std::time::Duration;

use ringgate::io::sim::{Faults, Prng};
use ringgate::telemetry::Outcome;

use super::call::Call;
use super::client::{Got, Habit, converse};
use super::seeds;
use super::server::{Server, whole_answer};
use super::speech::{ends_of, hang_up};
use super::world::{AGES, World};

const SERVER: &str = "127.0.0.1:7001";
const CONFIG: &str = "timeouts: {first_byte: 60s, stream_idle: 60s, abandoned: 30s}
servers: [{name: s, url: 'http://127.0.0.1:7001/up'}]\n";

/// The most that may pass between a client's end and the end at the server: deliveries, no timer.
const PROMPT: Duration = Duration::from_millis(200);

/// How far the server has come when the client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Waiting,
    InBody,
}

/// The call of this era with the lowest id.
fn call_of(seed: u64, modern: bool) -> Call {
    (1..).map(|id| Call::of(seed, id, 300)).find(|call| call.modern == modern).unwrap()
}

fn run(seed: u64, modern: bool, moment: Moment, faults: Faults) {
    let world = World::new(seed, faults, faults, CONFIG);
    let call = call_of(seed, modern);
    let answer = whole_answer(&call, "");
    let server = Server::start(&world, SERVER, move |mut visit| {
        let answer = answer.clone();
        async move {
            let (_, _) = visit.request().await.unwrap();
            let (start, rest) = answer.split_at(if moment == Moment::InBody { answer.len() - 9 } else { 0 });
            visit.mouth.say(start).await;
            if modern {
                return visit.see_the_end().await;
            }
            visit.net.sleep(Duration::from_secs(20)).await;
            assert!(visit.mouth.say(rest).await, "the server of a legacy client was cut");
            while let Some((id, _)) = visit.request().await {
                visit.answer(&Call::of(seed, id, 300)).await;
            }
        }
    });
    let (ear, mut mouth, hangup) = ends_of(world.connect());
    let (net, request) = (world.net(), call.request("/s/mcp"));
    let client = world.sim.spawn(async move {
        assert!(mouth.say(&request).await);
        net.sleep(Duration::from_secs(10)).await;
        hang_up(&hangup);
        drop((ear, mouth));
    });
    assert!(world.sim.run_until(|| client.is_done(), AGES));
    if modern {
        let ended = || server.ended.borrow().contains(&0);
        assert!(!ended() || faults != Faults::none());
        assert!(world.sim.run_until(ended, PROMPT), "the server works on for a client that has left");
        assert_eq!(world.ended_as(Outcome::ClientGone), 1);
    } else {
        world.sim.run_for(Duration::from_secs(15));
        assert!(!server.ended.borrow().contains(&0));
        // The answer was read to its end, so the connection can serve the next client.
        let next = Call::of(seed, 500, 300);
        let (prng, habit) = (Rc::new(Prng::new(seed)), Habit { pipelines: false, closes: true });
        let task = world.sim.spawn(converse(
            world.net(),
            world.connect(),
            "/s/mcp",
            vec![next.clone()],
            habit,
            prng,
        ));
        assert!(world.sim.run_until(|| task.is_done(), AGES));
        let got = task.take().unwrap().remove(0).1;
        assert!(matches!(&got, Got::Answer(said) if said.body == next.answer()), "{got:?}");
        assert_eq!(server.dialled.get(), 1);
    }
    assert_eq!(server.count(call.id), 1);
    world.assert_nothing_left(|| server.leave());
    assert_eq!(world.settled(), if modern { 1 } else { 2 });
}

/// A legacy client leaves a call that its server never answers, and keeps alive with comments or not at all.
fn run_abandoned(seed: u64, begun: bool, faults: Faults) {
    let world = World::new(seed, faults, faults, CONFIG);
    let call = call_of(seed, false);
    let server = Server::start(&world, SERVER, move |mut visit| async move {
        let (_, _) = visit.request().await.unwrap();
        if begun {
            let head =
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
            visit.mouth.say(head.as_bytes()).await;
            // A comment a second hides from every bound of silence that nobody is there.
            while visit.mouth.say(b"5\r\n: a\n\n\r\n").await {
                visit.net.sleep(Duration::from_secs(1)).await;
            }
        }
        visit.see_the_end().await;
    });
    let (ear, mut mouth, hangup) = ends_of(world.connect());
    let (net, request) = (world.net(), call.request("/s/mcp"));
    let client = world.sim.spawn(async move {
        assert!(mouth.say(&request).await);
        net.sleep(Duration::from_secs(10)).await;
        hang_up(&hangup);
        drop((ear, mouth));
    });
    assert!(world.sim.run_until(|| client.is_done(), AGES));
    world.sim.run_for(Duration::from_secs(25));
    assert_eq!(world.settled(), 0, "closing is no cancel: the call has its grace");
    assert!(
        world.sim.run_until(|| world.settled() == 1, Duration::from_secs(10)),
        "nobody waits for it for ever"
    );
    assert_eq!(world.ended_as(Outcome::ClientGone), 1);
    world.assert_nothing_left(|| server.leave());
}

#[test]
fn an_abandoned_call_is_ended_after_its_grace() {
    seeds::each("an_abandoned_call_is_ended_after_its_grace", 20, |seed| {
        for begun in [false, true] {
            run_abandoned(seed, begun, Faults::none());
            run_abandoned(seed, begun, Faults::awkward());
        }
    });
}

#[test]
fn a_modern_client_that_leaves_cancels_and_a_legacy_one_does_not() {
    seeds::each("a_modern_client_that_leaves_cancels_and_a_legacy_one_does_not", 20, |seed| {
        for (modern, moment) in [
            (true, Moment::Waiting),
            (true, Moment::InBody),
            (false, Moment::Waiting),
            (false, Moment::InBody),
        ] {
            run(seed, modern, moment, Faults::none());
            run(seed, modern, moment, Faults::awkward());
        }
    });
}
