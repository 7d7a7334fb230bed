//! A number that one thread mostly writes and others read: how many connections a worker has.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// A count on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Gauge(AtomicUsize);

impl Gauge {
    /// Adds one. Also the way to reserve a place on another worker before handing it a connection.
    pub fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes one away.
    pub fn down(&self) {
        let before = self.0.fetch_sub(1, Ordering::Relaxed);
        debug_assert!(before > 0, "a gauge went below zero");
    }

    /// The count just now.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A yes or no of one thread that another looks at. What was written before it is set is seen by whoever sees it set.
#[derive(Debug, Default)]
pub struct Flag(AtomicBool);

impl Flag {
    /// No.
    pub const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Sets it.
    pub fn set(&self, value: bool) {
        self.0.store(value, Ordering::Release);
    }

    /// What it is now.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A sum that one thread adds to and others read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds so many.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// The sum just now.
    pub fn sum(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The index of the lowest of `counts`; `home` wins a tie, since staying costs nothing.
pub fn least(home: usize, counts: impl Iterator<Item = usize>) -> usize {
    let mut best: Option<(usize, usize)> = None;
    for (index, count) in counts.enumerate() {
        let better = match best {
            None => true,
            Some((_, lowest)) => count < lowest || (count == lowest && index == home),
        };
        if better {
            best = Some((index, count));
        }
    }
    best.map_or(home, |(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_loaded_wins_and_home_wins_a_tie() {
        assert_eq!(least(1, [3, 2, 1].into_iter()), 2);
        assert_eq!(least(1, [2, 2, 2].into_iter()), 1);
        assert_eq!(least(0, [5, 2, 2].into_iter()), 1);
        assert_eq!(least(7, std::iter::empty()), 7);
    }

    #[test]
    fn counts_up_and_down() {
        let gauge = Gauge::default();
        gauge.up();
        gauge.up();
        gauge.down();
        assert_eq!(gauge.count(), 1);
    }
}
