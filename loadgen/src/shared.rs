//! What the workers and the conductor share: the timeline, and counters each worker owns.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// The moments of a run, in nanoseconds of the run's clock; `u64::MAX` while unknown.
///
/// The conductor writes them a little ahead of time and the workers look at them on every turn of
/// their loop, so all change phase at the same moment without waiting for each other.
#[derive(Debug)]
pub struct Timeline {
    start: AtomicU64,
    measure: AtomicU64,
    end: AtomicU64,
    drain: AtomicU64,
    cut: AtomicBool,
    stop: AtomicBool,
}

/// The timeline as seen at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moments {
    /// Load begins.
    pub start_ns: u64,
    /// Measuring begins.
    pub measure_ns: u64,
    /// Measuring ends; nothing new is sent.
    pub end_ns: u64,
    /// Answers are no longer waited for.
    pub drain_ns: u64,
    /// Measuring ended before its time: what is under way then is given up, and no fault of the target.
    pub cut: bool,
    /// Leave at once.
    pub stop: bool,
}

impl Timeline {
    /// A timeline on which nothing is known yet.
    pub fn new() -> Self {
        let unknown = || AtomicU64::new(u64::MAX);
        Self {
            start: unknown(),
            measure: unknown(),
            end: unknown(),
            drain: unknown(),
            cut: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        }
    }

    /// Sets all moments; the start last, since workers act on it.
    pub fn set(&self, start_ns: u64, measure_ns: u64, end_ns: u64, drain_ns: u64) {
        self.measure.store(measure_ns, Relaxed);
        self.end.store(end_ns, Relaxed);
        self.drain.store(drain_ns, Relaxed);
        self.start.store(start_ns, std::sync::atomic::Ordering::Release);
    }

    /// Ends measuring earlier than planned.
    pub fn cut(&self, end_ns: u64, drain_ns: u64) {
        self.cut.store(true, Relaxed);
        self.drain.store(drain_ns, Relaxed);
        self.end.store(end_ns, Relaxed);
    }

    /// Tells the workers to leave at once.
    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    /// The timeline now.
    pub fn moments(&self) -> Moments {
        let start_ns = self.start.load(std::sync::atomic::Ordering::Acquire);
        Moments {
            start_ns,
            measure_ns: self.measure.load(Relaxed),
            end_ns: self.end.load(Relaxed),
            drain_ns: self.drain.load(Relaxed),
            cut: self.cut.load(Relaxed),
            stop: self.stop.load(Relaxed),
        }
    }
}

impl Default for Timeline {
    fn default() -> Self {
        Self::new()
    }
}

/// One worker's counters, written by it alone and read by the conductor. A cache line of their own
/// each, so that counting costs a plain store.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Counters {
    /// Right answers to counted requests.
    pub answered: Counter,
    /// Counted requests that a limit refused.
    pub refused: Counter,
    /// Faults of every kind.
    pub faults: Counter,
    /// Faults while connecting.
    pub connect_faults: Counter,
    /// Events and messages other than answers, received on streams.
    pub events: Counter,
    /// Connections that have done their set-up and live.
    pub ready: Counter,
    /// Held connections that were lost, which are not opened again.
    pub lost: Counter,
    /// Connections opened again after the peer closed them between two requests.
    pub reconnects: Counter,
    /// When the worker had nothing left to do, in nanoseconds of the run's clock; 0 before that.
    pub finished_ns: Counter,
}

/// A number with one writer.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `amount`. Only the owning worker may call this.
    #[inline]
    pub fn add(&self, amount: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(amount), Relaxed);
    }

    /// Takes one away. Only the owning worker may call this.
    #[inline]
    pub fn take_one(&self) {
        self.0.store(self.0.load(Relaxed).saturating_sub(1), Relaxed);
    }

    /// The number now.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
