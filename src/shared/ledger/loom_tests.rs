//! Every interleaving of a few threads, up to a number of preemptions, over the same code with groups of three slots.
#![allow(clippy::unwrap_used)]

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use super::*;

/// Up to so many times a thread is interrupted where it could have gone on.
fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

fn number(number: u64) -> NonZeroU64 {
    NonZeroU64::new(number).unwrap()
}

/// Fills so slowly that nothing comes back within a test.
fn slow(burst: u64) -> Refill {
    Refill::Steady { count: number(1), per: Duration::from_secs(3600), burst: number(burst) }
}

fn at(millis: u64) -> Ticks {
    Ticks(millis * 1_000_000)
}

/// Keys whose orders of slots begin with slot 0, but for the last, whose order begins with slot 1. (The order is the
/// key modulo the slots of a group, and the tag leaves its lowest three bits out.)
const KEY: BucketKey = BucketKey(24);
const OTHER: BucketKey = BucketKey(48);
const FIRST: BucketKey = BucketKey(72);
const SECOND: BucketKey = BucketKey(97);

const ONE: Ask = Ask { least: 1, most: 1, spent: 0, at_once: 1 };

/// Threads that each run `act` with a clerk and their own time; what they return.
fn together<T: Send + 'static>(
    book: &Arc<Book>,
    times: &[Ticks],
    act: impl Fn(&Clerk, usize, Ticks) -> T + Send + Sync + 'static,
) -> Vec<T> {
    let act = Arc::new(act);
    let threads: Vec<_> = times
        .iter()
        .enumerate()
        .map(|(core, &now)| {
            let (clerk, act) = (book.clerk(core), act.clone());
            loom::thread::spawn(move || act(&clerk, core, now))
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

/// Slots 0 and 1 are taken by buckets that are free for clocks from 2 s and from 4 s on.
fn crowded() -> Arc<Book> {
    let book = Book::new(1, 3);
    let clerk = book.clerk(0);
    let second = |per| Refill::Steady { count: number(1), per: Duration::from_secs(per), burst: number(1) };
    assert!(clerk.charge(FIRST, &second(1), 1, at(0)));
    assert!(clerk.charge(SECOND, &second(3), 1, at(0)));
    book
}

fn draws(drawn: &[Drawn]) -> (u64, usize) {
    let granted = drawn.iter().map(|drawn| if let Drawn::Granted(units) = drawn { *units } else { 0 }).sum();
    (granted, drawn.iter().filter(|&&drawn| drawn == Drawn::NoRoom).count())
}

#[test]
fn two_cores_that_meet_a_new_key_admit_one_burst() {
    explore(4, || {
        let book = Book::new(1, 2);
        let drawn = together(&book, &[at(0); 2], |clerk, _, now| clerk.draw(KEY, &slow(1), ONE, now));
        assert_eq!(draws(&drawn), (1, 0));
        assert_eq!(book.live(at(0)), 1);
    });
}

#[test]
fn two_cores_that_see_different_slots_free_make_one_bucket() {
    for times in [[1, 3], [1, 5], [3, 5]] {
        explore(4, move || {
            let book = crowded();
            let times = times.map(|seconds| at(seconds * 1000));
            let drawn = together(&book, &times, |clerk, _, now| clerk.draw(KEY, &slow(1), ONE, now));
            assert_eq!(draws(&drawn), (1, 0));
            let left = book.clerk(0).draw(KEY, &slow(1), ONE, at(5000));
            assert!(matches!(left, Drawn::Refused { .. }), "a second bucket: {left:?}");
            assert_eq!(book.live(at(5000)), 1);
        });
    }
}

#[test]
fn three_cores_that_see_different_slots_free_make_one_bucket() {
    explore(3, || {
        let book = crowded();
        let times = [at(1000), at(3000), at(5000)];
        let drawn = together(&book, &times, |clerk, _, now| clerk.draw(KEY, &slow(1), ONE, now));
        assert_eq!(draws(&drawn), (1, 0));
        assert_eq!(book.live(at(5000)), 1);
    });
}

#[test]
fn a_claim_that_was_removed_does_not_come_back_with_the_next_in_its_slot() {
    explore(4, || {
        let book = crowded();
        let times = [at(1000), at(3000), at(1000)];
        let drawn = together(&book, &times, |clerk, _, now| clerk.draw(KEY, &slow(1), ONE, now));
        assert_eq!(draws(&drawn), (1, 0));
        assert_eq!(book.live(at(5000)), 1);
    });
}

#[test]
fn a_slot_that_another_key_takes_is_not_lost_on_the_way() {
    explore(3, || {
        let book = Book::new(1, 3);
        let quick = Refill::Steady { count: number(1), per: Duration::from_secs(1), burst: number(1) };
        assert!(book.clerk(0).charge(KEY, &quick, 1, at(0)));
        // The bucket is full again: one core gives its slot to another key while two come back to it.
        let drawn = together(&book, &[at(5000); 3], move |clerk, core, now| match core {
            0 => clerk.draw(OTHER, &slow(1), ONE, now),
            _ => clerk.draw(KEY, &quick, ONE, now),
        });
        assert!(matches!(drawn[0], Drawn::Granted(1)));
        assert_eq!(draws(&drawn[1..]), (1, 0));
        assert_eq!(book.live(at(5000)), 2);
    });
}

#[test]
fn leases_that_come_and_go_at_once_add_up() {
    explore(4, || {
        let book = Book::new(1, 2);
        let granted = together(&book, &[at(0); 2], |clerk, _, now| {
            let ask = Ask { least: 1, most: 2, spent: 0, at_once: 0 };
            let Drawn::Granted(units) = clerk.draw(KEY, &slow(3), ask, now) else {
                return 0;
            };
            clerk.settle(KEY, &slow(3), 1, units - 1, now);
            1
        });
        let level = book.clerk(0).level(KEY, &slow(3), at(0));
        assert_eq!(granted, [1, 1]);
        assert_eq!((level.available, level.outstanding), (1, 0));
    });
}

#[test]
fn no_more_are_held_than_there_are() {
    explore(3, || {
        let book = Book::new(1, 3);
        let held = Refill::Held { count: number(1) };
        let given = together(&book, &[at(0); 3], move |clerk, _, now| {
            let drawn = clerk.draw(KEY, &held, ONE, now);
            if drawn == Drawn::Granted(1) {
                // One more while this is out would be one too many.
                assert!(matches!(clerk.draw(KEY, &held, ONE, now), Drawn::Refused { .. }));
                clerk.settle(KEY, &held, 0, 1, now);
            }
            drawn
        });
        assert!(draws(&given).0 >= 1 && draws(&given).1 == 0);
        assert_eq!(book.live(at(0)), 0, "all was given back");
    });
}
