#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::{Entry, Pass, Throttle};
use crate::io::sim::{Faults, Sim};
use crate::policy::adaptive::{Class, Config, Outcome, Reason, Sample, Share, ToolKey};

const TOOL: ToolKey = ToolKey(7);
const LONG: Duration = Duration::from_secs(60);

const QUEUE_TIME: Duration = Duration::from_millis(200);

fn config() -> Config {
    Config { min: 2, max: 2, start: 2, per_tool: false, queue: 2, queue_time: QUEUE_TIME, percent: 150 }
}

fn world() -> (Sim, Rc<Throttle>) {
    let sim = Sim::new(3, Faults::none());
    let throttle = Throttle::new(&config(), Share::WHOLE, sim.net());
    (sim, throttle)
}

fn go(sim: &Sim, throttle: &Rc<Throttle>) -> Pass {
    match throttle.try_enter(Class::Critical, TOOL, sim.now()) {
        Entry::Go(pass) => pass,
        Entry::Wait(_) | Entry::Shed(_) => panic!("there is a place"),
    }
}

/// Starts a call that waits if it must; what became of it is noted under its name.
fn call(sim: &Sim, throttle: &Rc<Throttle>, name: &'static str, class: Class, log: &Log) {
    let (throttle, net, log) = (throttle.clone(), sim.net(), log.clone());
    sim.spawn(async move {
        let end = throttle.enter(class, TOOL, net.now()).await;
        log.borrow_mut().push((name, end.as_ref().err().map(|shed| shed.reason), net.now().0 / 1_000_000));
        if let Ok(pass) = end {
            net.sleep(Duration::from_millis(50)).await;
            drop(pass);
        }
    });
}

type Log = Rc<RefCell<Vec<(&'static str, Option<Reason>, u64)>>>;

#[test]
fn a_place_that_becomes_free_goes_to_the_most_important_who_waits() {
    let (sim, throttle) = world();
    let log = Log::default();
    let (first, second) = (go(&sim, &throttle), go(&sim, &throttle));
    call(&sim, &throttle, "low", Class::Low, &log);
    call(&sim, &throttle, "critical", Class::Critical, &log);
    sim.run_for(Duration::from_millis(10));
    assert_eq!(throttle.numbers().queued, 2);
    drop(first);
    sim.run_for(Duration::from_millis(10));
    assert_eq!(*log.borrow(), [("critical", None, 10)]);
    drop(second);
    assert!(sim.run_until_idle(LONG));
    assert_eq!(log.borrow()[1].0, "low");
    let numbers = throttle.numbers();
    assert_eq!((numbers.in_flight, numbers.queued), (0, 0));
    assert_eq!(numbers.admitted_after_wait, [1, 0, 1]);
}

#[test]
fn nobody_waits_longer_than_permitted_or_in_a_place_that_another_needs() {
    let (sim, throttle) = world();
    let log = Log::default();
    let passes = [go(&sim, &throttle), go(&sim, &throttle)];
    call(&sim, &throttle, "a", Class::Low, &log);
    call(&sim, &throttle, "b", Class::Normal, &log);
    sim.run_for(Duration::from_millis(20));
    call(&sim, &throttle, "c", Class::Critical, &log);
    call(&sim, &throttle, "d", Class::Low, &log);
    sim.run_for(Duration::from_millis(20));
    assert_eq!(
        *log.borrow(),
        [("d", Some(Reason::QueueFull), 20), ("a", Some(Reason::Displaced), 20)],
        "the newest of the least important makes room"
    );
    assert!(sim.run_until_idle(LONG));
    assert_eq!(log.borrow()[2..], [("b", Some(Reason::Deadline), 200), ("c", Some(Reason::Deadline), 220)]);
    drop(passes);
    assert_eq!(throttle.numbers().in_flight, 0);
}

#[test]
fn a_client_that_goes_away_leaves_its_place_whether_it_waits_or_was_let_go() {
    let (sim, throttle) = world();
    let (first, _second) = (go(&sim, &throttle), go(&sim, &throttle));
    let ticket = |class| match throttle.try_enter(class, TOOL, sim.now()) {
        Entry::Wait(ticket) => ticket,
        Entry::Go(_) | Entry::Shed(_) => panic!("it must wait"),
    };
    drop(ticket(Class::Normal));
    assert_eq!((throttle.numbers().queued, throttle.numbers().gone), (0, 1));

    // Let go, and gone before it noticed: the next one goes instead.
    let (gone, next) = (ticket(Class::Critical), ticket(Class::Normal));
    drop(first);
    assert_eq!((throttle.numbers().in_flight, throttle.numbers().queued), (2, 1));
    drop(gone);
    assert_eq!((throttle.numbers().in_flight, throttle.numbers().queued), (2, 0));

    // Its place in the queue is another's before it looks.
    let later = ticket(Class::Low);
    let pass = sim.block_on(next.wait(), LONG).unwrap().unwrap();
    assert_eq!(throttle.numbers().queued, 1);
    drop(pass);
    assert_eq!((throttle.numbers().in_flight, throttle.numbers().queued), (2, 0));
    drop(later);
    assert_eq!(throttle.numbers().in_flight, 1);
}

#[test]
fn a_pass_ends_once_and_counts_one_sample() {
    let (sim, throttle) = world();
    let mut pass = go(&sim, &throttle);
    let sample = Sample { latency: Duration::from_millis(5), outcome: Outcome::Answered };
    pass.observe(sample, sim.now());
    pass.observe(Sample { outcome: Outcome::Failed, ..sample }, sim.now());
    pass.end(sim.now());
    drop(go(&sim, &throttle));
    assert_eq!(throttle.numbers().in_flight, 0);
    assert!(throttle.is_of(&config()));
    assert!(!throttle.is_of(&Config { max: 3, ..config() }));
}
