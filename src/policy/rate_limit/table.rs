//! A bounded table by hash, in the order of use: all its memory is taken as it grows, none once it is full.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::num::NonZeroUsize;
use std::time::Duration;

use crate::base::Ticks;

/// Values by keyed hashes.
pub struct Table<T> {
    places: HashMap<u128, u32, BuildHasherDefault<AsIs>>,
    entries: Vec<Entry<T>>,
    /// Entries that are not used, chained by `next`.
    free: u32,
    newest: u32,
    oldest: u32,
    max: usize,
    /// Counts the rounds of [`Table::fresh`].
    round: u32,
}

struct Entry<T> {
    key: u128,
    used: Ticks,
    /// The round in which it was used last. Those of the present one come first in the order.
    round: u32,
    newer: u32,
    older: u32,
    value: T,
}

/// No entry.
const NONE: u32 = u32::MAX;

impl<T> Table<T> {
    /// Empty, for at most so many.
    pub fn new(max: NonZeroUsize) -> Self {
        Self {
            places: HashMap::default(),
            entries: Vec::new(),
            free: NONE,
            newest: NONE,
            oldest: NONE,
            max: max.get().min(NONE as usize - 1),
            round: 0,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// The value, without using it.
    #[inline]
    pub fn peek(&mut self, key: u128) -> Option<&mut T> {
        let at = *self.places.get(&key)?;
        self.entries.get_mut(at as usize).map(|entry| &mut entry.value)
    }

    /// The value, made if it is not there; if there is no room, the one that was used the longest time ago goes.
    #[inline]
    pub fn touch(
        &mut self,
        key: u128,
        now: Ticks,
        make: impl FnOnce() -> T,
        end: impl FnOnce(u128, &mut T),
    ) -> &mut T {
        let at = match self.places.get(&key) {
            Some(at) => {
                let at = *at;
                if self.entries[at as usize].round != self.round {
                    self.unlink(at);
                    self.link(at);
                }
                at
            }
            None => self.insert(key, now, make(), end),
        };
        let entry = &mut self.entries[at as usize];
        entry.used = now;
        &mut entry.value
    }

    /// Calls `each` for all that were used since the last time, and begins another round.
    pub fn fresh(&mut self, mut each: impl FnMut(u128, &mut T)) {
        let mut at = self.newest;
        while let Some(entry) = self.entries.get_mut(at as usize) {
            if entry.round != self.round {
                break;
            }
            each(entry.key, &mut entry.value);
            at = entry.older;
        }
        self.round = self.round.wrapping_add(1);
    }

    /// Ends those that were not used for `idle`, at most `max` of them.
    pub fn expire(&mut self, now: Ticks, idle: Duration, max: usize, mut end: impl FnMut(u128, &mut T)) {
        for _ in 0..max {
            let at = self.oldest;
            let Some(entry) = self.entries.get_mut(at as usize) else { return };
            if now.since(entry.used) < idle {
                // Within one round the order is not kept, so another may be older: the next round sees to it.
                return;
            }
            end(entry.key, &mut entry.value);
            self.remove(at);
        }
    }

    /// Ends all.
    pub fn clear(&mut self, mut end: impl FnMut(u128, &mut T)) {
        while let Some(entry) = self.entries.get_mut(self.oldest as usize) {
            end(entry.key, &mut entry.value);
            self.remove(self.oldest);
        }
    }

    #[cold]
    fn insert(&mut self, key: u128, now: Ticks, value: T, end: impl FnOnce(u128, &mut T)) -> u32 {
        if self.places.len() >= self.max
            && let Some(entry) = self.entries.get_mut(self.oldest as usize)
        {
            end(entry.key, &mut entry.value);
            self.remove(self.oldest);
        }
        let entry = Entry { key, used: now, round: self.round, newer: NONE, older: NONE, value };
        let at = match self.free {
            NONE => {
                self.entries.push(entry);
                u32::try_from(self.entries.len() - 1).unwrap_or(NONE)
            }
            free => {
                self.free = self.entries[free as usize].older;
                self.entries[free as usize] = entry;
                free
            }
        };
        self.places.insert(key, at);
        self.link(at);
        at
    }

    fn remove(&mut self, at: u32) {
        self.unlink(at);
        self.places.remove(&self.entries[at as usize].key);
        self.entries[at as usize].older = self.free;
        self.free = at;
    }

    /// Makes it the newest.
    fn link(&mut self, at: u32) {
        let second = self.newest;
        let entry = &mut self.entries[at as usize];
        (entry.newer, entry.older, entry.round) = (NONE, second, self.round);
        match self.entries.get_mut(second as usize) {
            Some(second) => second.newer = at,
            None => self.oldest = at,
        }
        self.newest = at;
    }

    fn unlink(&mut self, at: u32) {
        let Entry { newer, older, .. } = self.entries[at as usize];
        match self.entries.get_mut(newer as usize) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
        match self.entries.get_mut(older as usize) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
    }
}

/// Keys are hashes that nobody can choose, so a part of one is as good as a hash of it.
#[derive(Clone, Copy, Default)]
pub struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    #[inline]
    fn write_u128(&mut self, key: u128) {
        self.0 = u64::try_from(key & u128::from(u64::MAX)).unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn table(max: usize) -> Table<u32> {
        Table::new(NonZeroUsize::new(max).unwrap())
    }

    fn put(table: &mut Table<u32>, key: u128, now: u64, ended: &mut Vec<u128>) {
        *table.touch(key, Ticks(now), || 0, |key, _| ended.push(key)) += 1;
    }

    #[test]
    fn the_one_that_was_used_the_longest_time_ago_makes_room() {
        let (mut table, mut ended) = (table(3), Vec::new());
        for (now, key) in [1_u128, 2, 3].into_iter().enumerate() {
            put(&mut table, key, now as u64, &mut ended);
            table.fresh(|_, _| {});
        }
        put(&mut table, 1, 4, &mut ended);
        put(&mut table, 4, 5, &mut ended);
        assert_eq!((&ended[..], table.len()), (&[2][..], 3));
        assert_eq!((table.peek(1).copied(), table.peek(2).copied()), (Some(2), None));
        for key in 100..200 {
            put(&mut table, key, 6, &mut ended);
        }
        assert_eq!((table.len(), table.entries.len(), ended.len()), (3, 3, 101));
    }

    #[test]
    fn a_round_sees_what_was_used_in_it_and_idle_ones_end() {
        let (mut table, mut ended) = (table(10), Vec::new());
        let round = |table: &mut Table<u32>| {
            let mut seen = Vec::new();
            table.fresh(|key, _| seen.push(key));
            seen.sort_unstable();
            seen
        };
        for key in [1, 2, 3] {
            put(&mut table, key, 0, &mut ended);
        }
        assert_eq!(round(&mut table), [1, 2, 3]);
        for _ in 0..2 {
            put(&mut table, 2, 50, &mut ended);
        }
        assert_eq!(round(&mut table), [2]);
        assert_eq!(round(&mut table), [] as [u128; 0]);
        table.expire(Ticks(60), Duration::from_nanos(20), 1, |key, _| ended.push(key));
        assert_eq!(ended, [1]);
        table.expire(Ticks(60), Duration::from_nanos(20), 9, |key, _| ended.push(key));
        assert_eq!((&ended[..], table.len()), (&[1, 3][..], 1));
        table.clear(|key, _| ended.push(key));
        assert_eq!((ended.last(), table.len()), (Some(&2), 0));
    }
}
