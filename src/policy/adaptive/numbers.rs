//! What a limiter counts.

use super::{Class, Reason};

/// The counters and gauges of one limiter. Those of several cores add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Gauge: how many calls are admitted at once, now.
    pub limit: u64,
    /// Gauge: calls that were admitted and have not ended.
    pub in_flight: u64,
    /// Gauge: calls that wait.
    pub queued: u64,
    /// Calls that were admitted, by [`Class`].
    pub admitted: [u64; 3],
    /// Of these, calls that waited before, by [`Class`].
    pub admitted_after_wait: [u64; 3],
    /// Calls that were not admitted, by [`Class`] and [`Reason`].
    pub shed: [[u64; 4]; 3],
    /// Calls whose client went away while they waited.
    pub gone: u64,
    /// How often the limit shrank.
    pub shrunk: u64,
    /// How often the limit grew.
    pub grown: u64,
    /// How often the limit was halved for a moment, to see how fast the server is with less to do.
    pub probes: u64,
}

impl Numbers {
    /// Calls of `class` that were not admitted for `reason`.
    pub fn shed_of(&self, class: Class, reason: Reason) -> u64 {
        self.shed[class as usize][reason as usize]
    }

    /// Adds those of another core.
    pub fn add(&mut self, other: &Self) {
        self.limit += other.limit;
        self.in_flight += other.in_flight;
        self.queued += other.queued;
        for class in 0..Class::ALL.len() {
            self.admitted[class] += other.admitted[class];
            self.admitted_after_wait[class] += other.admitted_after_wait[class];
            for reason in 0..Reason::ALL.len() {
                self.shed[class][reason] += other.shed[class][reason];
            }
        }
        self.gone += other.gone;
        self.shrunk += other.shrunk;
        self.grown += other.grown;
        self.probes += other.probes;
    }
}
