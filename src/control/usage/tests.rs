#![allow(clippy::unwrap_used)]
use std::num::NonZeroU64;

use super::*;
use crate::base::ledger::{Ask, Drawn, Ledger};
use crate::shared::ledger::Clerk;

const WALL: u64 = 1_800_000_000 * SECOND;

fn at(seconds: u64) -> Now {
    Now { ticks: Ticks(seconds * SECOND), wall: WALL + seconds * SECOND }
}

fn number(number: u64) -> NonZeroU64 {
    NonZeroU64::new(number).unwrap()
}

/// A day that ends an hour from the beginning.
fn day(count: u64, now: Now) -> Refill {
    let left = Duration::from_secs(3_600).saturating_sub(Duration::from_nanos(now.wall - WALL));
    Refill::Window { count: number(count), index: 20_833, left }
}

fn week(count: u64) -> Refill {
    Refill::Steady { count: number(count), per: Duration::from_secs(7 * 86_400), burst: number(count) }
}

fn use_units(clerk: &Clerk, key: u128, refill: &Refill, units: u64, now: Now) -> bool {
    let ask = Ask { least: units, most: units, spent: 0, at_once: units };
    matches!(clerk.draw(BucketKey(key), refill, ask, now.ticks), Drawn::Granted(_))
}

fn available(book: &Arc<Book>, key: u128, refill: &Refill, now: Now) -> i64 {
    book.clerk(0).level(BucketKey(key), refill, now.ticks).available
}

/// A process that has read what a file of these records says.
fn restarted(records: Vec<Record>, now: Now) -> (Keeper, Arc<Book>) {
    let (mut keeper, book) = (Keeper::new(100), Book::kept(1_000, 1));
    keeper.restore(&Contents { number: 1, records, torn: false }, &book, now);
    (keeper, book)
}

#[test]
fn after_a_restart_all_goes_on_to_the_unit_and_after_a_crash_a_little_behind() {
    let (mut keeper, book) = restarted(Vec::new(), at(0));
    let clerk = book.clerk(0);
    let mut file = Vec::new();
    for second in 0..50 {
        let now = at(second);
        assert!(use_units(&clerk, 1, &day(1_000, now), 3, now));
        assert!(use_units(&clerk, 2, &week(1_000), 2, now));
        file.extend(keeper.read(&book.notes().unwrap().take(), &book, now));
    }
    let now = at(50);
    let last = keeper.last_records(&book, now).collect();
    for (records, crashed) in [(file, true), (last, false)] {
        let (_, again) = restarted(records, Now { ticks: Ticks(0), wall: now.wall });
        let early = Now { ticks: Ticks(0), wall: now.wall };
        for (key, refill, used, most) in [(1, day(1_000, now), 150, 16 + 6), (2, week(1_000), 100, 16 + 4)] {
            let left = available(&again, key, &refill, early);
            let ahead = 1_000 - used - left;
            match crashed {
                true => assert!((0..=most).contains(&ahead) && ahead > 0, "{key}: {ahead}"),
                // A steady bucket is rounded by what refills in a moment.
                false => assert!((0..=1).contains(&ahead), "{key}: {ahead}"),
            }
        }
    }
}

#[test]
fn the_file_is_ahead_of_what_is_used_at_any_moment() {
    let (mut keeper, book) = restarted(Vec::new(), at(0));
    let (clerk, mut file) = (book.clerk(0), Vec::new());
    let mut used = 0;
    // Bursts of the size of the one before at most are covered before they come.
    for (round, burst) in [40, 40, 13, 40, 1, 1, 25, 40, 40, 7].into_iter().enumerate() {
        let now = at(round as u64);
        assert!(use_units(&clerk, 1, &day(1_000, now), burst, now));
        used += burst as i64;
        if round > 0 {
            let (_, crashed) = restarted(file.clone(), now);
            let left = available(&crashed, 1, &day(1_000, now), now);
            assert!(left <= 1_000 - used, "{round}: a crash gives {} back", left + used - 1_000);
        }
        file.extend(keeper.read(&book.notes().unwrap().take(), &book, now));
    }
}

#[test]
fn little_is_written_of_much_use() {
    let (mut keeper, book) = restarted(Vec::new(), at(0));
    let (clerk, mut written) = (book.clerk(0), 0);
    for round in 0..2_000 {
        let now = at(round / 10);
        assert!(use_units(&clerk, 1, &day(1_000_000, now), 5, now));
        written += keeper.read(&book.notes().unwrap().take(), &book, now).len();
    }
    assert!(written < 5, "{written}");
    assert!(book.notes().unwrap().take().is_empty() && keeper.read(&[], &book, at(300)).is_empty());
}

#[test]
fn what_is_over_is_forgotten_and_another_window_begins_anew() {
    let (mut keeper, book) = restarted(Vec::new(), at(0));
    let clerk = book.clerk(0);
    assert!(use_units(&clerk, 1, &day(10, at(0)), 10, at(0)));
    let file = keeper.read(&book.notes().unwrap().take(), &book, at(0));
    assert!(!use_units(&restarted(file.clone(), at(9)).1.clerk(0), 1, &day(10, at(9)), 1, at(9)));
    let tomorrow = Refill::Window { count: number(10), index: 20_834, left: Duration::from_secs(86_400) };
    let late = at(3_700);
    assert_eq!(restarted(file, late).0.records(late).count(), 0);
    assert!(use_units(&clerk, 1, &tomorrow, 4, late));
    let file = keeper.read(&book.notes().unwrap().take(), &book, late);
    assert_eq!(keeper.records(late).count(), 1);
    assert_eq!(
        available(&restarted(file, late).1, 1, &tomorrow, late),
        10 - 4 - 6,
        "half as much as the burst again, ahead"
    );
}

#[test]
fn short_buckets_are_not_kept_unless_they_are_deep_in_debt() {
    let (mut keeper, book) = restarted(Vec::new(), at(0));
    let clerk = book.clerk(0);
    let minute = Refill::Steady { count: number(60), per: Duration::from_secs(60), burst: number(60) };
    assert!(use_units(&clerk, 1, &minute, 60, at(0)));
    assert!(book.notes().unwrap().take().is_empty());
    assert!(clerk.charge(BucketKey(1), &minute, 6_000, at(0).ticks));
    let file = keeper.read(&book.notes().unwrap().take(), &book, at(0));
    let left = available(&restarted(file, at(1)).1, 1, &minute, at(1));
    assert!(left <= -5_999, "{left}");
}

#[test]
fn a_key_beyond_the_bound_is_not_kept_and_counted() {
    let book = Book::kept(1_000, 1);
    let (mut keeper, clerk) = (Keeper::new(3), book.clerk(0));
    for key in 1..=5 {
        assert!(use_units(&clerk, key << 64 | key, &day(10, at(0)), 1, at(0)));
    }
    assert_eq!(keeper.read(&book.notes().unwrap().take(), &book, at(0)).len(), 3);
    assert_eq!((keeper.kept.len(), keeper.turned_away), (3, 2));
}

#[test]
fn a_key_is_noted_once_between_two_readings_and_again_after() {
    let book = Book::kept(1_000, 1);
    let (clerk, notes) = (book.clerk(0), book.notes().unwrap());
    for _ in 0..100 {
        assert!(use_units(&clerk, 1, &day(1_000, at(0)), 1, at(0)));
    }
    assert_eq!(notes.take().len(), 1);
    assert_eq!(notes.take().len(), 0);
    assert!(use_units(&clerk, 1, &day(1_000, at(0)), 1, at(0)));
    assert_eq!(notes.take().len(), 1);
}
