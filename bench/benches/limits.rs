//! What limits cost a call, without the ledger and with it: `cargo bench -p bench --bench limits`.
//!
//! `call` has a ledger that gives whatever is asked for, so that what is measured is looking up which limits concern a call,
//! hashing their keys, and spending what the core holds.

#![allow(missing_docs, clippy::expect_used)]

mod charging;

use std::cell::Cell;
use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use charging::{charge_and_settle, limit};
use divan::Bencher;
use divan::counter::BytesCount;
use ringgate::base::Ticks;
use ringgate::policy::Principal;
use ringgate::policy::rate_limit::{
    Ask, BucketKey, Drawn, Estimator, KeyPart, Leases, Ledger, Level, Limit, Limits, Now, Refill, Secret,
    Unit, Window,
};
use ringgate::shared::ledger::Book;

fn main() {
    divan::main();
}

struct Endless {
    draws: Cell<u64>,
}

impl Ledger for Endless {
    fn draw(&self, _: BucketKey, _: &Refill, ask: Ask, _: Ticks) -> Drawn {
        self.draws.set(self.draws.get() + 1);
        Drawn::Granted(ask.most)
    }

    fn settle(&self, _: BucketKey, _: &Refill, _: u64, _: u64, _: Ticks) {}

    fn charge(&self, _: BucketKey, _: &Refill, _: u64, _: Ticks) -> bool {
        true
    }

    fn undo(&self, _: BucketKey, _: &Refill, _: u64, _: Ticks, _: Ticks) {}

    fn level(&self, _: BucketKey, _: &Refill, _: Ticks) -> Level {
        Level { available: 1, outstanding: 0 }
    }
}

/// A call that concerns `limits` limits of different keys, of `callers` callers in turn.
#[divan::bench(args = [(0, 1), (1, 1), (5, 1), (5, 10_000)], sample_count = 100, sample_size = 2000)]
fn call(bencher: Bencher<'_, '_>, (count, callers): (usize, usize)) {
    turn(bencher, count, callers, &Endless { draws: Cell::new(0) });
}

/// The same with the ledger that all cores share.
#[divan::bench(args = [(0, 1), (1, 1), (5, 1), (5, 10_000)], sample_count = 100, sample_size = 2000)]
fn call_with_ledger(bencher: Bencher<'_, '_>, (count, callers): (usize, usize)) {
    turn(bencher, count, callers, &Book::new(1_000_000, 1).clerk(0));
}

fn turn(bencher: Bencher<'_, '_>, count: usize, callers: usize, ledger: &impl Ledger) {
    let rate = NonZeroU64::new(1_000_000).expect("not 0");
    let limit = |name, unit, key| limit(name, unit, key, Window::steady(rate, Duration::from_secs(1), rate));
    let five = vec![
        limit("agent", Unit::Calls, vec![KeyPart::Agent]),
        limit("tool", Unit::Calls, vec![KeyPart::Agent, KeyPart::Tool]),
        limit("tenant", Unit::Calls, vec![KeyPart::Tenant, KeyPart::Server]),
        limit("source", Unit::Requests, vec![KeyPart::Source { v4_bits: 24, v6_bits: 64 }]),
        limit("tokens", Unit::Tokens, vec![KeyPart::User]),
    ];
    let limits: Vec<Limit> = five.into_iter().take(count).collect();
    let limits = Limits::new(limits, Vec::new(), vec!["one".into()]);
    let room = NonZeroUsize::new(100_000).expect("not 0");
    let mut leases = Leases::new(Secret::new([7; 16]), NonZeroUsize::MIN, room);
    let callers: Vec<_> = (0..callers)
        .map(|number| {
            let mut principal = Principal::anonymous([]);
            principal.agent = Some(format!("agent {number}").into());
            principal.user = Some(format!("user {number}").into());
            let keys = limits.caller(leases.secret(), &principal);
            (principal, keys)
        })
        .collect();
    let mut turn = 0;
    let mut now = Now { ticks: Ticks(1), wall: 1_767_614_400 };
    bencher.bench_local(|| {
        let (principal, keys) = &callers[turn];
        turn = (turn + 1) % callers.len();
        now.ticks = now.ticks + Duration::from_micros(10);
        let source = [10, 1, 2, 3].into();
        charge_and_settle(&limits, &mut leases, ledger, (principal, keys), source, now)
    });
}

#[divan::bench(sample_count = 100)]
fn estimate_tokens(bencher: Bencher<'_, '_>) {
    let text =
        r#"{"name": "run_sql_query", "rows": [1, 20, 300], "note": "The quick brown fox"}"#.repeat(800);
    bencher.counter(BytesCount::new(text.len())).bench_local(|| {
        let mut estimator = Estimator::default();
        estimator.feed(text.as_bytes());
        estimator.tokens()
    });
}
