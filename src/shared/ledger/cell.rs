//! A word of 128 bits that threads exchange atomically; under loom a stand-in that it can take apart.

#[cfg(not(loom))]
pub(super) use real::Cell;
#[cfg(loom)]
pub(super) use stand_in::Cell;

#[cfg(not(loom))]
mod real {
    use std::sync::atomic::Ordering;

    use portable_atomic::AtomicU128;

    /// All accesses are sequentially consistent: the claim of a slot leans on it, and where a compare-and-swap is
    /// an instruction of its own, the rest costs no more for it.
    #[repr(transparent)]
    pub(crate) struct Cell(AtomicU128);

    impl Cell {
        #[inline]
        pub(crate) fn load(&self) -> u128 {
            self.0.load(Ordering::SeqCst)
        }

        /// Replaces `old` by `new`, and says what was there instead if it was not `old`.
        #[inline]
        pub(crate) fn swap(&self, old: u128, new: u128) -> Result<(), u128> {
            self.0.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst).map(|_| ())
        }
    }
}

#[cfg(loom)]
mod stand_in {
    use std::sync::{LazyLock, Mutex};

    use loom::sync::atomic::{AtomicU64, Ordering};

    /// loom knows words of 64 bits. So each value of 128 bits gets a number, and threads exchange the numbers.
    /// Loads are written as changes by nothing: loom knows no sequentially consistent loads, and to a change it
    /// shows the newest value, as they would be.
    pub(crate) struct Cell(AtomicU64);

    static VALUES: LazyLock<Mutex<Vec<u128>>> = LazyLock::new(|| Mutex::new(vec![0]));

    fn number(value: u128) -> u64 {
        let mut values = VALUES.lock().expect("nobody panics with it");
        let at = values.iter().position(|&known| known == value).unwrap_or_else(|| {
            values.push(value);
            values.len() - 1
        });
        at as u64
    }

    fn value(number: u64) -> u128 {
        VALUES.lock().expect("nobody panics with it")[number as usize]
    }

    impl Cell {
        pub(crate) fn new() -> Self {
            Self(AtomicU64::new(0))
        }

        pub(crate) fn load(&self) -> u128 {
            value(self.0.fetch_add(0, Ordering::AcqRel))
        }

        pub(crate) fn swap(&self, old: u128, new: u128) -> Result<(), u128> {
            let (old, new) = (number(old), number(new));
            let swapped = self.0.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire);
            swapped.map(|_| ()).map_err(value)
        }
    }
}
