//! One value that is replaced as a whole: the configuration in force.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

/// Holds the newest `T`. Writers replace it, readers notice by a counter that fits in their own cache.
pub struct Slot<T> {
    value: ArcSwap<T>,
    version: AtomicU64,
}

impl<T> Slot<T> {
    /// A slot that holds `value` as version 1.
    pub fn new(value: Arc<T>) -> Self {
        Self { value: ArcSwap::new(value), version: AtomicU64::new(1) }
    }

    /// Replaces the value.
    pub fn store(&self, value: Arc<T>) {
        self.value.store(value);
        // After the value, so that whoever sees the version finds that value or a newer one.
        self.version.fetch_add(1, Ordering::Release);
    }

    /// The value in force.
    pub fn load(&self) -> Arc<T> {
        self.value.load_full()
    }

    /// The value in force and its version, if that is not `seen`.
    pub fn newer_than(&self, seen: u64) -> Option<(Arc<T>, u64)> {
        let version = self.version.load(Ordering::Acquire);
        (version != seen).then(|| (self.load(), version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_each_new_value_once() {
        let slot = Slot::new(Arc::new(1));
        let (first, seen) = slot.newer_than(0).expect("the first value");
        assert_eq!(*first, 1);
        assert!(slot.newer_than(seen).is_none());
        slot.store(Arc::new(2));
        let (second, seen) = slot.newer_than(seen).expect("the second value");
        assert_eq!(*second, 2);
        assert!(slot.newer_than(seen).is_none());
    }
}
