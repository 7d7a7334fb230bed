//! The keys of limits that one worker sees the most: who is refused, and by what.
//!
//! A small table that forgets the least of them (Space-Saving: a newcomer takes the place and the weight of the one that
//! has the least). Refusals and reports are all noted; of the messages that pass, one in [`SAMPLE`].

use std::cell::{Cell, RefCell};
use std::time::Duration;

use crate::base::Ticks;
use crate::base::ledger::BucketKey;
use crate::policy::rate_limit::{Facts, Limits, Now, Secret, Touched};
use crate::telemetry::HotKey;

/// Keys that a worker knows.
const KEYS_MAX: usize = 256;
/// Of so many messages that pass, one is noted, and counts as all of them.
const SAMPLE: u32 = 64;
/// What was not noticed for so long is told to nobody, and gives way first.
const FORGET: Duration = Duration::from_secs(15 * 60);

/// What is noted of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A limit refused it.
    Refused,
    /// A limit would have refused it, but it only reports.
    Reported,
    /// It passed, and stands for so many that did.
    Passed(u32),
}

/// The table of one worker.
#[derive(Default)]
pub struct Hot {
    keys: RefCell<Table>,
    passed: Cell<u32>,
}

#[derive(Default)]
struct Table {
    /// Buckets, apart from what is known of them, since they are what is looked through.
    buckets: Vec<BucketKey>,
    entries: Vec<Entry>,
}

struct Entry {
    key: HotKey,
    /// What it takes to take its place.
    weight: u64,
}

impl Hot {
    /// Notes a message that passed all limits: one in [`SAMPLE`], without cost for the others.
    #[inline]
    pub fn passed(&self, limits: &Limits, secret: &Secret, facts: &Facts<'_>, now: Now) {
        let passed = self.passed.get() + 1;
        if passed < SAMPLE {
            self.passed.set(passed);
            return;
        }
        self.passed.set(0);
        self.note(limits, secret, facts, now, None, Fate::Passed(SAMPLE));
    }

    /// Notes what became of a message at one limit, or at all that concern it.
    pub fn note(
        &self,
        limits: &Limits,
        secret: &Secret,
        facts: &Facts<'_>,
        now: Now,
        only: Option<u16>,
        fate: Fate,
    ) {
        let mut table = self.keys.borrow_mut();
        limits.touch(secret, facts, now.wall, only, |touched| table.note(&touched, fate, now.ticks));
    }

    /// The key of a bucket in words, `part=value` each, if it is among those that are known.
    pub fn words(&self, bucket: BucketKey) -> Option<String> {
        let table = self.keys.borrow();
        let at = table.buckets.iter().position(|&known| known == bucket)?;
        Some(show(&table.entries[at].key.key))
    }

    /// A copy of what is known.
    pub fn report(&self, now: Ticks) -> Vec<HotKey> {
        let table = self.keys.borrow();
        let fresh = table.entries.iter().filter(|entry| !is_old(entry, now));
        fresh.map(|entry| entry.key.clone()).collect()
    }
}

fn is_old(entry: &Entry, now: Ticks) -> bool {
    now.since(entry.key.last) > FORGET
}

impl Table {
    fn note(&mut self, touched: &Touched<'_, '_>, fate: Fate, now: Ticks) {
        let at = self.place(touched, now);
        let Some(Entry { key, weight }) = self.entries.get_mut(at) else { return };
        let (count, more) = match fate {
            Fate::Refused => (&mut key.refused, 1),
            Fate::Reported => (&mut key.reported, 1),
            Fate::Passed(count) => (&mut key.seen, u64::from(count)),
        };
        *count += more;
        *weight += more;
        key.last = now;
    }

    /// Where the bucket stands, which is made room for if it is new.
    fn place(&mut self, touched: &Touched<'_, '_>, now: Ticks) -> usize {
        if let Some(at) = self.buckets.iter().position(|&bucket| bucket == touched.bucket) {
            return at;
        }
        let mut entry = Entry { key: new(touched, now), weight: 0 };
        if self.entries.len() < KEYS_MAX {
            self.buckets.push(touched.bucket);
            self.entries.push(entry);
            return self.entries.len() - 1;
        }
        let weight = |entry: &Entry| if is_old(entry, now) { 0 } else { entry.weight };
        let least = self.entries.iter().enumerate().min_by_key(|(_, entry)| weight(entry));
        let at = least.map_or(0, |(at, _)| at);
        entry.weight = weight(&self.entries[at]);
        self.buckets[at] = touched.bucket;
        self.entries[at] = entry;
        at
    }
}

/// A key in words, as the log has it: values come from callers.
pub fn show(key: &[(String, String)]) -> String {
    let parts: Vec<String> =
        key.iter().map(|(part, value)| format!("{part}={}", value.escape_debug())).collect();
    if parts.is_empty() { "(all)".to_owned() } else { parts.join(" ") }
}

fn new(touched: &Touched<'_, '_>, now: Ticks) -> HotKey {
    HotKey {
        limit: touched.limit.name.clone(),
        window: touched.window,
        bucket: touched.bucket,
        key: touched.words(),
        refused: 0,
        reported: 0,
        seen: 0,
        last: now,
    }
}

#[cfg(test)]
mod tests;
