//! The account against a twin of plain numbers and exact fractions, and its edges.
#![allow(clippy::unwrap_used)]

use std::num::NonZeroU64;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::base::ledger::{OUTSTANDING_MAX, PlainLedger, WINDOW_COUNT_MAX};

fn number(number: u64) -> NonZeroU64 {
    NonZeroU64::new(number).unwrap()
}

fn steady(count: u64, per: Duration, burst: u64) -> Refill {
    Refill::Steady { count: number(count), per, burst: number(burst) }
}

fn seconds(seconds: u64) -> Ticks {
    Ticks(seconds * 1_000_000_000)
}

fn ask(least: u64, most: u64, spent: u64, at_once: u64) -> Ask {
    Ask { least, most, spent, at_once }
}

/// One unit, for the request at hand.
const ONE: Ask = Ask { least: 1, most: 1, spent: 0, at_once: 1 };
const KEY: BucketKey = BucketKey(0x0123_4567_89AB_CDEF_0011_2233_4455_6677);
const SECOND: Duration = Duration::from_secs(1);

fn clerk() -> Clerk {
    Book::new(100, 1).clerk(0)
}

/// Whether so many units can be had one by one at `now`, and no more.
#[track_caller]
fn assert_admits(clerk: &Clerk, refill: &Refill, now: Ticks, units: u64) {
    let admitted = (0..units + 1).take_while(|_| clerk.draw(KEY, refill, ONE, now) == Drawn::Granted(1));
    assert_eq!(admitted.count() as u64, units);
}

#[test]
fn a_burst_is_what_it_says_whatever_the_rate() {
    for count in [1, 3, 7, 60, 999, 50_000, 999_983] {
        let clerk = clerk();
        let refill = steady(count, SECOND, 10);
        assert_admits(&clerk, &refill, seconds(1), 10);
        // All of it has come back when the time of ten units has passed, and a millionth.
        let again = Duration::from_nanos(10_000_000_000_u64.div_ceil(count) + 10_000);
        assert_admits(&clerk, &refill, seconds(1) + again, 10);
    }
}

#[test]
fn the_wait_is_right_to_the_nanosecond() {
    let (clerk, refill) = (clerk(), steady(3, SECOND, 5));
    assert_admits(&clerk, &refill, seconds(1), 5);
    let Drawn::Refused { wait } = clerk.draw(KEY, &refill, ask(2, 2, 0, 2), seconds(1)) else {
        panic!("an empty bucket gave");
    };
    let then = seconds(1) + wait;
    assert_eq!(wait, Duration::from_nanos(666_666_667));
    let early = clerk.draw(KEY, &refill, ask(2, 2, 0, 2), Ticks(then.0 - 1));
    assert_eq!(early, Drawn::Refused { wait: Duration::from_nanos(1) });
    assert_eq!(clerk.draw(KEY, &refill, ask(2, 2, 0, 2), then), Drawn::Granted(2));
}

#[test]
fn what_can_never_be_had_is_said_so() {
    let clerk = clerk();
    let never = Drawn::Refused { wait: Duration::MAX };
    assert_eq!(clerk.draw(KEY, &steady(1, SECOND, 5), ask(6, 6, 0, 0), seconds(1)), never);
    let huge = steady(1, SECOND, u64::MAX);
    let most = OUTSTANDING_MAX + 1;
    assert_eq!(clerk.draw(KEY, &huge, ask(most, most, 0, 0), seconds(1)), never);
    assert_eq!(clerk.draw(KEY, &huge, ask(0, most, 0, 0), seconds(1)), Drawn::Granted(OUTSTANDING_MAX));
    assert_eq!(clerk.draw(KEY, &huge, ask(1, 1, 0, 1), seconds(1)), Drawn::Granted(1), "spent at once");
}

#[test]
fn a_bucket_refills_only_up_to_what_is_outstanding() {
    let (clerk, refill) = (clerk(), steady(1, SECOND, 10));
    assert_eq!(clerk.draw(KEY, &refill, ask(1, 6, 0, 0), seconds(1)), Drawn::Granted(6));
    let level = clerk.level(KEY, &refill, seconds(1000));
    assert_eq!((level.available, level.outstanding), (4, 6));
    // Reported after long, they count as spent at the report.
    clerk.settle(KEY, &refill, 6, 0, seconds(1000));
    assert_eq!(clerk.level(KEY, &refill, seconds(1000)).available, 4);
    assert_eq!(clerk.level(KEY, &refill, seconds(1006)).available, 10);
}

#[test]
fn what_is_given_back_is_there_again() {
    let (clerk, refill) = (clerk(), steady(1, SECOND, 10));
    assert_eq!(clerk.draw(KEY, &refill, ask(1, 10, 0, 1), seconds(1)), Drawn::Granted(10));
    clerk.settle(KEY, &refill, 0, 9, seconds(1));
    assert_eq!(clerk.level(KEY, &refill, seconds(1)), Level { available: 9, outstanding: 0 });
    clerk.settle(KEY, &refill, 0, 9, seconds(1));
    assert_eq!(clerk.level(KEY, &refill, seconds(1)).available, 9, "nothing is given back twice");
}

#[test]
fn an_undone_unit_is_worth_what_has_not_come_back() {
    let (clerk, refill) = (clerk(), steady(1, SECOND, 10));
    assert_admits(&clerk, &refill, seconds(1), 10);
    clerk.undo(KEY, &refill, 4, seconds(1), seconds(1));
    assert_eq!(clerk.level(KEY, &refill, seconds(1)).available, 4);
    // Three of these four came back by themselves.
    clerk.undo(KEY, &refill, 4, seconds(1), seconds(4));
    assert_eq!(clerk.level(KEY, &refill, seconds(4)).available, 8);
}

#[test]
fn debt_is_repaid_before_anything_is_admitted() {
    let (clerk, refill) = (clerk(), steady(1, SECOND, 10));
    assert!(clerk.charge(KEY, &refill, 25, seconds(1)));
    assert_eq!(clerk.level(KEY, &refill, seconds(1)).available, -15);
    let wait = Duration::from_secs(16);
    assert_eq!(clerk.draw(KEY, &refill, ONE, seconds(1)), Drawn::Refused { wait });
    assert_admits(&clerk, &refill, seconds(17), 1);
}

#[test]
fn extremes_neither_panic_nor_admit() {
    for refill in [
        steady(1, Duration::from_nanos(1), 1),
        steady(u64::MAX, Duration::from_nanos(1), u64::MAX),
        steady(1, Duration::MAX, u64::MAX),
        Refill::Window { count: NonZeroU64::MAX, index: u32::MAX, left: Duration::MAX },
        Refill::Held { count: NonZeroU64::MAX },
    ] {
        let clerk = clerk();
        for now in [Ticks(0), Ticks::NEVER, Ticks(1), Ticks::NEVER] {
            clerk.draw(KEY, &refill, ask(0, u64::MAX, u64::MAX, 3), now);
            clerk.draw(KEY, &refill, ask(u64::MAX, u64::MAX, 0, u64::MAX), now);
            clerk.settle(KEY, &refill, 1, u64::MAX, now);
            clerk.undo(KEY, &refill, 1, Ticks::NEVER, now);
            assert!(clerk.charge(KEY, &refill, u64::MAX, now));
            clerk.level(KEY, &refill, now);
        }
        let held = matches!(refill, Refill::Held { .. });
        let drawn = clerk.draw(KEY, &refill, ONE, Ticks(0));
        assert!(held || matches!(drawn, Drawn::Refused { .. }), "{refill:?} admits in debt: {drawn:?}");
    }
}

#[test]
fn a_burst_beyond_the_horizon_ends_there() {
    let (clerk, refill) = (clerk(), steady(1, Duration::from_secs(3600), 1_000_000));
    let all = ask(0, u64::MAX, 0, u64::MAX);
    let nine_years_of_hours = (1_u64 << 58) / 3_600_000_000_000;
    assert_eq!(clerk.draw(KEY, &refill, all, seconds(1)), Drawn::Granted(nine_years_of_hours));
    assert_eq!(clerk.draw(KEY, &refill, all, seconds(1)), Drawn::Granted(0));
    let Drawn::Refused { wait } = clerk.draw(KEY, &refill, ONE, seconds(1)) else {
        panic!("more than the horizon holds");
    };
    assert!(wait <= Duration::from_secs(3600), "{wait:?}");
    assert_eq!(clerk.draw(KEY, &refill, ONE, seconds(1) + wait), Drawn::Granted(1));
}

#[test]
fn an_older_clock_admits_nothing_more() {
    let (clerk, refill) = (clerk(), steady(1, SECOND, 5));
    assert_admits(&clerk, &refill, seconds(100), 5);
    assert_admits(&clerk, &refill, seconds(90), 0);
    assert_admits(&clerk, &refill, seconds(101), 1);
}

#[test]
fn another_rate_revalues_what_is_owed_by_its_time() {
    let (clerk, quick, slow) = (clerk(), steady(100, SECOND, 100), steady(10, SECOND, 10));
    assert_admits(&clerk, &quick, seconds(1), 100);
    assert_eq!(clerk.level(KEY, &slow, seconds(1)).available, 0, "a second is owed, which is ten units");
    assert_admits(&clerk, &slow, seconds(2), 10);
    assert_eq!(clerk.level(KEY, &quick, seconds(2)).available, 0);
}

#[test]
fn a_window_begins_anew_and_never_goes_back() {
    let clerk = clerk();
    // Numbers whose low bits wrap around in between.
    for index in [(1 << 20) - 2, (1 << 20) - 1, 1 << 20, (1 << 20) + 1] {
        let window = |index| Refill::Window { count: number(3), index, left: Duration::from_secs(9) };
        assert_eq!(clerk.draw(KEY, &window(index), ask(1, 2, 0, 0), seconds(1)), Drawn::Granted(2));
        clerk.settle(KEY, &window(index - 1), 0, 2, seconds(1));
        let wait = Duration::from_secs(9);
        assert_eq!(clerk.draw(KEY, &window(index), ask(2, 2, 0, 0), seconds(1)), Drawn::Refused { wait });
        assert_eq!(clerk.draw(KEY, &window(index - 1), ONE, seconds(1)), Drawn::Refused { wait });
        clerk.settle(KEY, &window(index), 1, 1, seconds(1));
        assert_eq!(clerk.draw(KEY, &window(index), ask(1, 9, 0, 0), seconds(1)), Drawn::Granted(2));
    }
}

#[test]
fn a_window_counts_as_far_as_it_says() {
    let clerk = clerk();
    let window = Refill::Window { count: NonZeroU64::MAX, index: 7, left: SECOND };
    assert!(clerk.charge(KEY, &window, WINDOW_COUNT_MAX - 1, seconds(1)));
    assert_admits(&clerk, &window, seconds(1), 1);
    assert!(clerk.charge(KEY, &window, u64::MAX, seconds(1)));
    assert_admits(&clerk, &window, seconds(1), 0);
}

#[test]
fn the_held_come_back_only_by_hand() {
    let (clerk, held) = (clerk(), Refill::Held { count: number(2) });
    assert_admits(&clerk, &held, seconds(1), 2);
    assert_admits(&clerk, &held, seconds(100_000), 0);
    clerk.settle(KEY, &held, 0, 1, seconds(1));
    assert_admits(&clerk, &held, seconds(1), 1);
    let level = clerk.level(KEY, &held, seconds(1));
    assert_eq!((level.available, level.outstanding), (0, 2));
}

#[test]
fn room_is_refused_when_it_is_used_up_and_found_again_when_buckets_are_full() {
    let book = Book::new(1, 1);
    let clerk = book.clerk(0);
    let refill = steady(1, SECOND, 1);
    let key = |key: u128| BucketKey(key.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835));
    for one in 0..32 {
        assert_eq!(clerk.draw(key(one), &refill, ONE, seconds(1)), Drawn::Granted(1), "key {one}");
    }
    assert_eq!(clerk.draw(key(32), &refill, ONE, seconds(1)), Drawn::NoRoom);
    assert!(!clerk.charge(key(32), &refill, 1, seconds(1)));
    assert_eq!((book.turned_away(), book.live(seconds(1))), (2, 32));
    // They are full after a second, and gone after another.
    assert_eq!(clerk.draw(key(32), &refill, ONE, seconds(2)), Drawn::NoRoom);
    assert_eq!(book.live(seconds(3)), 0);
    assert_eq!(clerk.draw(key(32), &refill, ONE, seconds(3)), Drawn::Granted(1));
}

#[test]
fn as_many_keys_as_it_was_made_for_find_room() {
    let keys = 100_000;
    let book = Book::new(keys, 1);
    let clerk = book.clerk(0);
    let refill = steady(1, SECOND, 1);
    let mut seed = 1_u64;
    let mut random = || {
        seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (seed ^ seed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        u128::from(mixed ^ mixed >> 31)
    };
    let drawn: Vec<_> = (0..keys).map(|_| BucketKey(random() << 64 | random())).collect();
    assert!(drawn.iter().all(|&key| clerk.draw(key, &refill, ONE, seconds(1)) == Drawn::Granted(1)));
    assert!(drawn.iter().all(|&key| clerk.level(key, &refill, seconds(1)).available == 0));
    assert_eq!((book.live(seconds(1)), book.turned_away()), (keys, 0));
    assert!(book.bytes() <= keys * 32);
}

/// What may be done to a bucket.
#[derive(Clone, Debug)]
enum Act {
    Draw(Ask),
    Settle(u64, u64),
    Charge(u64),
    Undo(u64),
    Pass(u64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let draw = (0..4_u64, 0..20_u64, 0..5_u64, 0..3_u64).prop_map(|(least, more, spent, at_once)| {
        Act::Draw(Ask { least, most: least + more, spent, at_once })
    });
    let act = prop_oneof![
        5 => draw,
        2 => (0..6_u64, 0..6_u64).prop_map(|(spent, unspent)| Act::Settle(spent, unspent)),
        1 => (0..15_u64).prop_map(Act::Charge),
        1 => (0..4_u64).prop_map(Act::Undo),
        4 => (0..3_000_000_000_u64).prop_map(Act::Pass),
    ];
    proptest::collection::vec(act, 0..80)
}

/// Does the same to both and compares every answer.
fn assert_twins(acts: &[Act], refill: &Refill) -> Result<(), TestCaseError> {
    let (clerk, plain) = (clerk(), PlainLedger::default());
    let mut now = seconds(5);
    for act in acts {
        match *act {
            Act::Draw(ask) => {
                prop_assert_eq!(clerk.draw(KEY, refill, ask, now), plain.draw(KEY, refill, ask, now));
            }
            Act::Settle(spent, unspent) => {
                clerk.settle(KEY, refill, spent, unspent, now);
                plain.settle(KEY, refill, spent, unspent, now);
            }
            Act::Charge(units) => {
                prop_assert!(clerk.charge(KEY, refill, units, now));
                prop_assert!(plain.charge(KEY, refill, units, now));
            }
            Act::Undo(units) => {
                clerk.undo(KEY, refill, units, now, now);
                plain.undo(KEY, refill, units, now, now);
            }
            Act::Pass(nanos) => now = Ticks(now.0 + nanos),
        }
        prop_assert_eq!(clerk.level(KEY, refill, now), plain.level(KEY, refill, now));
    }
    Ok(())
}

/// Admissions of a log never exceed what `burst + rate × window` allows, in any window.
fn is_within(log: &[Ticks], count: u64, per: Duration, burst: u64) -> bool {
    let per = per.as_nanos();
    log.iter().enumerate().all(|(first, &start)| {
        (first..log.len()).all(|last| {
            let units = (last - first + 1) as u128;
            units * per <= u128::from(burst) * per + log[last].since(start).as_nanos() * u128::from(count)
        })
    })
}

proptest! {
    #[test]
    fn steady_is_its_exact_twin(acts in acts(), millis in 1..2000_u64, count in 1..5_u64, burst in 1..30_u64) {
        // Of a unit's time a whole number of nanoseconds, so that the twins agree to the last.
        let per = Duration::from_millis(millis * 60);
        prop_assume!(per.as_nanos().is_multiple_of(u128::from(count)));
        assert_twins(&acts, &steady(count, per, burst))?;
    }

    #[test]
    fn a_window_is_its_exact_twin(acts in acts(), count in 1..60_u64) {
        let acts: Vec<_> = acts.into_iter().map(reported_at_once).collect();
        let window = Refill::Window { count: number(count), index: 3, left: Duration::from_secs(500) };
        assert_twins(&acts, &window)?;
    }

    #[test]
    fn the_ideal_bucket_is_followed_closely_and_never_overtaken(
        gaps in proptest::collection::vec(0..3_u64, 1..200),
        count in 1..2_000_000_u64,
        burst in 1..20_u64,
    ) {
        let clerk = clerk();
        let refill = steady(count, SECOND, burst);
        let gap = 1_000_000_000 / count / 2 + 1;
        let mut now = seconds(5);
        let mut log = Vec::new();
        // The ideal, and the same a thousandth and a nanosecond slower.
        let (mut level, mut slower, mut floor) = (0_u128, 0_u128, 0);
        for by in gaps {
            now = Ticks(now.0 + by * gap);
            let back = u128::from(by * gap * count);
            level = level.saturating_sub(back);
            slower = slower.saturating_sub(back - back / 500);
            if slower + 1_000_000_000 <= u128::from(burst) * 1_000_000_000 {
                slower += 1_000_000_000;
                floor += 1;
            }
            if clerk.draw(KEY, &refill, ONE, now) == Drawn::Granted(1) {
                level += 1_000_000_000;
                prop_assert!(level <= u128::from(burst) * 1_000_000_000, "more than the ideal bucket held");
                log.push(now);
            }
        }
        prop_assert!(is_within(&log, count, SECOND, burst));
        prop_assert!(log.len() + 1 >= floor, "{} admitted, a slower bucket {floor}", log.len());
    }
}

/// A window does not count what is outstanding apart, so that the twins agree only where nothing is.
fn reported_at_once(act: Act) -> Act {
    match act {
        Act::Draw(ask) => Act::Draw(Ask { at_once: u64::MAX, spent: 0, ..ask }),
        Act::Settle(..) => Act::Settle(0, 0),
        Act::Charge(_) | Act::Undo(_) | Act::Pass(_) => act,
    }
}
