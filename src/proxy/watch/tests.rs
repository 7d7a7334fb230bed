//! Deadlines, ends of streams, drains.
use super::*;

#[derive(Default)]
struct Cuts(Cell<Option<Direction>>, Cell<Option<i64>>);
impl Hangup for Cuts {
    fn hang_up(&self, direction: Direction) {
        self.0.set(Some(direction));
    }

    fn taken(&self) -> Option<i64> {
        self.1.get()
    }
}

const SECOND: u64 = 1_000_000_000;

/// When a send that begins at 0, with patience of a minute, is cut, if the peer has taken `taken(second)`.
fn cut_after(taken: impl Fn(u64) -> Option<i64>) -> Option<u64> {
    let (watches, cuts) = (Rc::new(Watches::default()), Rc::new(Cuts::default()));
    let guard = watches.watch(cuts.clone());
    guard.while_taken(Ticks(0), Duration::from_secs(60));
    (1..1_000).find(|&second| {
        cuts.1.set(taken(second));
        watches.sweep(Ticks(second * SECOND));
        cuts.0.get().is_some()
    })
}

#[test]
fn a_peer_that_takes_some_is_left_alone_and_one_that_takes_none_is_cut() {
    assert_eq!(cut_after(|_| None), Some(60), "nothing is known of it");
    assert_eq!(cut_after(|_| Some(7)), Some(61), "counted from the first look");
    assert_eq!(cut_after(|second| Some(second as i64)), None);
    assert_eq!(cut_after(|second| Some((second / 50) as i64)), None, "a byte now and then");
    assert_eq!(cut_after(|second| Some(-(second as i64))), Some(61), "counted late");
    let stops = cut_after(|second| Some(second.min(100) as i64)).unwrap_or_default();
    assert!((160..=175).contains(&stops), "{stops}");
}

#[test]
fn a_send_that_has_an_end_is_cut_there_however_much_is_taken() {
    let (watches, cuts) = (Rc::new(Watches::default()), Rc::new(Cuts::default()));
    let guard = watches.watch(cuts.clone());
    guard.while_taken_by(Ticks(0), Duration::from_secs(60), Ticks(100 * SECOND));
    let cut = (1..1_000).find(|&second| {
        cuts.1.set(Some(second as i64));
        watches.sweep(Ticks(second * SECOND));
        cuts.0.get().is_some()
    });
    assert_eq!((cut, guard.fired()), (Some(100), true));
    // The next send has none.
    cuts.0.set(None);
    guard.while_taken(Ticks(200 * SECOND), Duration::from_secs(60));
    watches.sweep(Ticks(201 * SECOND));
    assert_eq!(cuts.0.get(), None);
}

#[test]
fn a_bound_that_follows_a_send_is_its_own() {
    let (watches, cuts) = (Rc::new(Watches::default()), Rc::new(Cuts::default()));
    let guard = watches.watch(cuts.clone());
    guard.while_taken(Ticks(0), Duration::from_secs(60));
    guard.until(Ticks(5), Direction::Read);
    watches.sweep(Ticks(5));
    assert_eq!(cuts.0.get(), Some(Direction::Read));
}

#[test]
fn an_endless_stream_is_asked_first_and_cut_later() {
    let (watches, cuts) = (Rc::new(Watches::default()), Rc::new(Cuts::default()));
    let guard = watches.watch(cuts.clone());
    let cx = Context::from_waker(Waker::noop());
    guard.until(Ticks(SECOND), Direction::Both);
    guard.set_endless(Endless::Aside);
    assert!(guard.poll_asked(&cx).is_pending());
    watches.sweep(Ticks(SECOND));
    assert!(guard.is_asked() && cuts.0.get().is_none());
    assert!(guard.poll_asked(&cx).is_ready() && guard.poll_asked(&cx).is_pending(), "told once");
    guard.set_endless(Endless::Aside);
    watches.end_endless(Ticks(2 * SECOND));
    watches.sweep(Ticks(3 * SECOND - 1));
    assert_eq!((guard.is_asked(), cuts.0.get()), (true, None));
    watches.sweep(Ticks(3 * SECOND));
    assert_eq!(cuts.0.get(), Some(Direction::Both));
}

#[test]
fn a_drain_asks_streams_in_turn_and_what_is_no_stream_not_at_all() {
    let watches = Rc::new(Watches::default());
    let guards: Vec<_> = (0..5).map(|_| watches.watch(Rc::new(Cuts::default()))).collect();
    guards[1..4].iter().for_each(|guard| guard.set_endless(Endless::Aside));
    guards[4].set_endless(Endless::Answers);
    watches.drain_endless(&Drain::new(Ticks(0), Duration::from_secs(10)));
    for (at, asked) in [(0, 1), (SECOND / 10, 2), (SECOND / 5, 3), (5 * SECOND - 1, 3), (5 * SECOND, 4)] {
        watches.sweep(Ticks(at));
        assert_eq!(guards.iter().filter(|guard| guard.is_asked()).count(), asked, "{at}");
    }
    guards[1].set_endless(Endless::No);
    assert!(!guards[1].is_asked(), "the next exchange is none of it");
}

#[test]
fn a_deadline_cuts_once_and_only_when_it_passed() {
    let (watches, cuts) = (Rc::new(Watches::default()), Rc::new(Cuts::default()));
    let guard = watches.watch(cuts.clone());
    watches.sweep(Ticks(1_000));
    guard.until(Ticks(10), Direction::Read);
    watches.sweep(Ticks(9));
    assert_eq!((cuts.0.get(), guard.fired()), (None, false));
    watches.sweep(Ticks(10));
    assert_eq!((cuts.0.take(), guard.fired()), (Some(Direction::Read), true));
    watches.sweep(Ticks(11));
    assert_eq!(cuts.0.get(), None);
}

#[test]
fn a_dropped_guard_leaves_nothing_and_its_place_is_used_again() {
    let (watches, cuts) = (Rc::new(Watches::default()), Rc::new(Cuts::default()));
    drop(watches.watch(cuts.clone()));
    assert_eq!(watches.count(), 0);
    let _guard = watches.watch(cuts.clone());
    assert_eq!((watches.count(), watches.slots.borrow().len()), (1, 1));
    watches.cut_idle(Ticks(0));
    assert_eq!(cuts.0.get(), None, "not marked idle");
}

#[test]
fn a_drain_cuts_what_waits_for_another_request_and_lets_a_first_one_come() {
    let (watches, old, fresh) = (Rc::new(Watches::default()), Rc::new(Cuts::default()), Rc::default());
    let guards: Vec<_> = [old.clone(), Rc::clone(&fresh)].map(|cuts| watches.watch(cuts)).into();
    for (guard, idle) in guards.iter().zip([Idle::Next, Idle::First]) {
        guard.until(Ticks(75 * SECOND), Direction::Read);
        guard.set_idle(idle);
    }
    let fresh: &Cuts = &fresh;
    watches.cut_idle(Ticks(SECOND));
    assert_eq!((old.0.get(), fresh.0.get()), (Some(Direction::Read), None));
    watches.sweep(Ticks(3 * SECOND - 1));
    assert_eq!(fresh.0.get(), None);
    watches.sweep(Ticks(3 * SECOND));
    assert_eq!(fresh.0.get(), Some(Direction::Read));
    // A deadline that is nearer stays.
    guards[1].until(Ticks(4 * SECOND), Direction::Read);
    fresh.0.take();
    watches.cut_idle(Ticks(3 * SECOND));
    watches.sweep(Ticks(4 * SECOND));
    assert_eq!(fresh.0.get(), Some(Direction::Read));
}
