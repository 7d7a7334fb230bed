//! The ledger with plain numbers and exact fractions: what the one of atomics is compared with, and what policies are
//! tested with.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use super::{Ask, BucketKey, Drawn, Ledger, Level, Refill};
use crate::base::Ticks;

/// A ledger of one thread that has room for a number of keys.
#[derive(Debug)]
pub struct PlainLedger {
    buckets: RefCell<HashMap<BucketKey, Bucket>>,
    room: usize,
}

impl Default for PlainLedger {
    fn default() -> Self {
        Self::with_room(usize::MAX)
    }
}

/// `filled` is what was taken and has not come back: units × nanoseconds of `per` for [`Refill::Steady`], else units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bucket {
    filled: u128,
    outstanding: u64,
    index: u32,
    at: Ticks,
}

impl PlainLedger {
    /// An empty ledger for at most `room` keys.
    pub fn with_room(room: usize) -> Self {
        Self { buckets: RefCell::default(), room }
    }

    /// Runs `act` on the bucket as it is at `now`; `None` if there is no room for it. What is full is forgotten.
    fn with<T>(
        &self,
        key: BucketKey,
        refill: &Refill,
        now: Ticks,
        act: impl FnOnce(&mut Bucket) -> T,
    ) -> Option<T> {
        let mut buckets = self.buckets.borrow_mut();
        let mut bucket = buckets.get(&key).copied().unwrap_or_default();
        bucket.refill(refill, now);
        let answer = act(&mut bucket);
        let is_full = bucket.filled == 0 && bucket.outstanding == 0;
        if !is_full && !buckets.contains_key(&key) && buckets.len() >= self.room {
            return None;
        }
        if is_full && !matches!(refill, Refill::Window { .. }) {
            buckets.remove(&key);
        } else {
            buckets.insert(key, bucket);
        }
        Some(answer)
    }
}

impl Bucket {
    fn refill(&mut self, refill: &Refill, now: Ticks) {
        match *refill {
            Refill::Steady { count, .. } => {
                let drained = now.since(self.at).as_nanos() * u128::from(count.get());
                self.filled = self.filled.saturating_sub(drained);
                // What is outstanding may be spent at this moment.
                self.filled = self.filled.max(u128::from(self.outstanding) * weight(refill));
            }
            Refill::Window { index, .. } if index > self.index => *self = Self { index, ..Self::default() },
            Refill::Window { .. } | Refill::Held { .. } => {}
        }
        self.at = self.at.max(now);
    }

    fn available(&self, refill: &Refill) -> u64 {
        let most = u128::from(capacity(refill)) * weight(refill);
        (most.saturating_sub(self.filled) / weight(refill)) as u64
    }

    /// Whether reports and draws of this window still count.
    fn is_over(&self, refill: &Refill) -> bool {
        matches!(*refill, Refill::Window { index, .. } if index < self.index)
    }

    fn report(&mut self, refill: &Refill, spent: u64, unspent: u64) {
        let spent = spent.min(self.outstanding);
        self.outstanding -= spent;
        let unspent = unspent.min(self.outstanding);
        self.outstanding -= unspent;
        let back = if matches!(refill, Refill::Held { .. }) { spent + unspent } else { unspent };
        self.filled = self.filled.saturating_sub(u128::from(back) * weight(refill));
    }

    fn wait(&self, refill: &Refill, least: u64) -> Duration {
        match *refill {
            Refill::Steady { count, burst, .. } if least <= burst.get() => {
                let target = u128::from(burst.get() - least) * weight(refill);
                let nanos = self.filled.saturating_sub(target).div_ceil(u128::from(count.get()));
                Duration::from_nanos(nanos as u64)
            }
            Refill::Window { count, left, .. } if least <= count.get() => left,
            Refill::Held { count } if least <= count.get() => Duration::ZERO,
            Refill::Steady { .. } | Refill::Window { .. } | Refill::Held { .. } => Duration::MAX,
        }
    }
}

impl Ledger for PlainLedger {
    fn draw(&self, key: BucketKey, refill: &Refill, ask: Ask, now: Ticks) -> Drawn {
        let drawn = self.with(key, refill, now, |bucket| {
            if bucket.is_over(refill) {
                return Drawn::Refused { wait: bucket.wait(refill, ask.least) };
            }
            bucket.report(refill, ask.spent, 0);
            let granted = bucket.available(refill).min(ask.most);
            if granted < ask.least {
                return Drawn::Refused { wait: bucket.wait(refill, ask.least) };
            }
            bucket.filled += u128::from(granted) * weight(refill);
            let at_once = if matches!(refill, Refill::Held { .. }) { 0 } else { ask.at_once };
            bucket.outstanding += granted.saturating_sub(at_once);
            Drawn::Granted(granted)
        });
        drawn.unwrap_or(Drawn::NoRoom)
    }

    fn settle(&self, key: BucketKey, refill: &Refill, spent: u64, unspent: u64, now: Ticks) {
        self.with(key, refill, now, |bucket| {
            if !bucket.is_over(refill) {
                bucket.report(refill, spent, unspent);
            }
        });
    }

    fn charge(&self, key: BucketKey, refill: &Refill, units: u64, now: Ticks) -> bool {
        let charged = self.with(key, refill, now, |bucket| {
            if !bucket.is_over(refill) && !matches!(refill, Refill::Held { .. }) {
                bucket.filled += u128::from(units) * weight(refill);
            }
        });
        charged.is_some()
    }

    fn undo(&self, key: BucketKey, refill: &Refill, units: u64, drawn: Ticks, now: Ticks) {
        self.with(key, refill, now, |bucket| {
            if bucket.is_over(refill) {
                return;
            }
            let back = match *refill {
                Refill::Steady { count, .. } => {
                    let came_back = now.since(drawn).as_nanos() * u128::from(count.get());
                    (u128::from(units) * weight(refill)).saturating_sub(came_back)
                }
                Refill::Window { .. } => u128::from(units),
                Refill::Held { .. } => 0,
            };
            let floor = u128::from(bucket.outstanding) * weight(refill);
            bucket.filled = bucket.filled.saturating_sub(back).max(floor);
        });
    }

    fn level(&self, key: BucketKey, refill: &Refill, now: Ticks) -> Level {
        let mut bucket = self.buckets.borrow().get(&key).copied().unwrap_or_default();
        bucket.refill(refill, now);
        let taken = bucket.filled.div_ceil(weight(refill));
        let available = i128::from(capacity(refill)) - taken as i128;
        Level {
            available: available.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64,
            outstanding: bucket.outstanding,
        }
    }
}

/// The most units that are ever there.
fn capacity(refill: &Refill) -> u64 {
    match *refill {
        Refill::Steady { burst, .. } => burst.get(),
        Refill::Window { count, .. } | Refill::Held { count } => count.get(),
    }
}

/// What a unit weighs in `filled`.
fn weight(refill: &Refill) -> u128 {
    match *refill {
        Refill::Steady { per, .. } => per.as_nanos().max(1),
        Refill::Window { .. } | Refill::Held { .. } => 1,
    }
}
