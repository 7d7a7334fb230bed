//! When streams without an end of their own end while the process drains: early enough that it ends in order, and
//! spread out, so that their clients do not all come back to the next gateway in one moment.

use std::time::Duration;

use super::watch::Endless;
use crate::base::Ticks;

/// Streams end no further apart than this, so that a few do not take long.
const STEP: Duration = Duration::from_millis(100);

/// At the deadline of the drain, what still runs has this long to tell its clients so. Control waits for a second.
pub const LAST_WORDS: Duration = Duration::from_millis(500);

/// The drain as one worker sees it.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    began: Ticks,
    bound: Duration,
}

impl Drain {
    /// A drain that began at this time, and may take as long as `timeouts.drain` says.
    pub fn new(began: Ticks, bound: Duration) -> Self {
        Self { began, bound }
    }

    /// When the stream with this index, of `count` of its kind, is asked to end: in the first half of the drain, or,
    /// where calls still wait for their answers on it, in the second. A tenth is left for what is under way then.
    pub fn end_of(&self, kind: Endless, index: usize, count: usize) -> Ticks {
        let (from, window) = match kind {
            Endless::No => return Ticks::NEVER,
            Endless::Aside => (Duration::ZERO, self.bound / 2),
            Endless::Answers => (self.bound / 2, self.bound * 2 / 5),
        };
        let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
        let index = u32::try_from(index).unwrap_or(u32::MAX).min(count);
        self.began + from + (window / count).min(STEP) * index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN: Ticks = Ticks(5_000_000_000);

    fn after(kind: Endless, index: usize, count: usize) -> Duration {
        Drain::new(BEGAN, Duration::from_secs(30)).end_of(kind, index, count).since(BEGAN)
    }

    #[test]
    fn a_few_end_soon_and_many_are_spread_over_half_of_the_drain() {
        assert_eq!(after(Endless::Aside, 0, 1), Duration::ZERO);
        assert_eq!(after(Endless::Aside, 9, 10), Duration::from_millis(900));
        assert_eq!(after(Endless::Aside, 500, 1_000), Duration::from_millis(7_500));
        assert!(after(Endless::Aside, 99_999, 100_000) <= Duration::from_secs(15));
        assert!(after(Endless::Aside, 50_000, 100_000) > Duration::from_secs(7));
    }

    #[test]
    fn those_that_carry_answers_end_late_and_before_the_deadline() {
        assert_eq!(after(Endless::Answers, 0, 1), Duration::from_secs(15));
        assert!(after(Endless::Answers, 9_999, 10_000) <= Duration::from_secs(27));
        assert_eq!(Drain::new(BEGAN, Duration::ZERO).end_of(Endless::Answers, 7, 9), BEGAN);
    }
}
