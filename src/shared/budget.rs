//! Bytes that all workers share.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of one budget that are taken. Workers take them in large steps, so that they seldom meet here.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Budget(AtomicUsize);

impl Budget {
    /// Takes so many, if no more than `max` are taken then. `false`, and nothing taken, if not.
    pub fn take(&self, bytes: usize, max: usize) -> bool {
        let more = |taken: usize| taken.checked_add(bytes).filter(|&taken| taken <= max);
        // Nothing else is published with it: the order of other memory does not matter.
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Gives back what was taken.
    pub fn give(&self, bytes: usize) {
        let before = self.0.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes, "more was given back than was taken");
    }

    /// How many are taken just now.
    pub fn taken(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is() {
        let budget = Budget::default();
        assert!(budget.take(10, 10) && !budget.take(1, 10) && budget.take(1, 11));
        assert!(!budget.take(usize::MAX, usize::MAX), "no sum wraps around");
        budget.give(5);
        assert_eq!(budget.taken(), 6);
        assert!(!budget.take(1, 3), "a lower bound holds from now on");
    }

    #[test]
    fn threads_together_take_no_more_than_there_is() {
        let budget = Budget::default();
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..1000).filter(|_| budget.take(1, 2_500)).count())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap_or(0)).sum()
        });
        assert_eq!((taken, budget.taken()), (2_500, 2_500));
    }
}
