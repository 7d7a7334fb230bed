//! The keys of limits that are used the most: what a worker knows of them, and those of all workers together.

use crate::base::Ticks;
use crate::base::ledger::BucketKey;

/// What is known of one key of a limit, in one of its windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HotKey {
    /// The limit, by name.
    pub limit: Box<str>,
    /// Stands for the window of the limit, as in the configuration that was in force.
    pub window: u128,
    /// Its bucket.
    pub bucket: BucketKey,
    /// The parts of the key and their values, for people. None is a credential.
    pub key: Box<[(String, String)]>,
    /// Messages that it refused.
    pub refused: u64,
    /// Messages that it would have refused in report mode.
    pub reported: u64,
    /// Messages that it let pass: an estimate, from one in so many.
    pub seen: u64,
    /// When it was last noticed.
    pub last: Ticks,
}

/// Adds what another worker knows. Both lists are short.
pub fn merge(all: &mut Vec<HotKey>, more: Vec<HotKey>) {
    for one in more {
        match all.iter_mut().find(|known| known.bucket == one.bucket) {
            Some(known) => {
                known.refused += one.refused;
                known.reported += one.reported;
                known.seen += one.seen;
                known.last = known.last.max(one.last);
            }
            None => all.push(one),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(bucket: u128, refused: u64, last: u64) -> HotKey {
        HotKey {
            limit: "l".into(),
            window: 1,
            bucket: BucketKey(bucket),
            key: Box::default(),
            refused,
            reported: 1,
            seen: 64,
            last: Ticks(last),
        }
    }

    #[test]
    fn one_bucket_of_two_workers_is_one_key() {
        let mut all = vec![key(1, 5, 10), key(2, 1, 1)];
        merge(&mut all, vec![key(3, 9, 2), key(1, 2, 8)]);
        let short: Vec<_> = all.iter().map(|key| (key.bucket.0, key.refused, key.seen, key.last.0)).collect();
        assert_eq!(short, [(1, 7, 128, 10), (2, 1, 64, 1), (3, 9, 64, 2)]);
        assert_eq!(all[0].reported, 2);
    }
}
