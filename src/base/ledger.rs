//! What a core asks of the account that all cores share.
//!
//! A core takes a lease of units and spends it without asking anybody. Units that were drawn and not yet reported as
//! spent are *outstanding*: they may be spent at any moment, so the bucket refills only up to what they leave of it.
//! Over any window all cores together admit at most burst + rate × window.

mod lease;
#[cfg(test)]
mod plain;

use std::num::NonZeroU64;
use std::time::Duration;

use super::Ticks;

pub use lease::{Last, lease, rest};
#[cfg(test)]
pub use plain::PlainLedger;

/// So many units of a bucket can be outstanding; a draw beyond that is cut, or refused if that cuts what it needs.
pub const OUTSTANDING_MAX: u64 = (1 << 20) - 1;
/// A window of the calendar counts so far; a larger count is taken for this one.
pub const WINDOW_COUNT_MAX: u64 = (1 << 40) - 1;

/// Stands for one bucket: a keyed hash of the limit and of the values of its key. Two keys that share a hash share a
/// bucket, which admits less, never more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BucketKey(pub u128);

/// How a bucket fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refill {
    /// `count` units in each `per`, evenly, up to `burst`.
    Steady {
        /// Units.
        count: NonZeroU64,
        /// In this time.
        per: Duration,
        /// The most that is ever there.
        burst: NonZeroU64,
    },
    /// All `count` units at the beginning of each window of the calendar; what is left of the old is lost, leases
    /// included: whoever holds one drops it when the index moves on. What is reported, refunded or charged with the
    /// index of a window that is over changes nothing.
    Window {
        /// Units of a window, at most [`WINDOW_COUNT_MAX`].
        count: NonZeroU64,
        /// The number of the present window; in a report, of the window in which the units were drawn. It never
        /// goes back for a key: a draw with an older one is refused.
        index: u32,
        /// Until the next one begins.
        left: Duration,
    },
    /// When they are given back, by a report of either kind: at most `count` are out. Charges and refunds mean
    /// nothing here.
    Held {
        /// Units.
        count: NonZeroU64,
    },
}

/// A bucket that takes longer than this to fill is worth keeping when the process ends.
pub const LONG: Duration = Duration::from_secs(5 * 60);

impl Refill {
    /// Whether what was used of the bucket is to outlast the process: that of a window of the calendar, and of a bucket
    /// that takes longer than [`LONG`] to fill.
    pub fn outlasts(&self) -> bool {
        match *self {
            Self::Window { .. } => true,
            Self::Held { .. } => false,
            Self::Steady { count, per, burst } => {
                let fills = per.as_nanos().saturating_mul(u128::from(burst.get()));
                fills > LONG.as_nanos() * u128::from(count.get())
            }
        }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Fewer are of no use. 0 only reports.
    pub least: u64,
    /// More are not wanted.
    pub most: u64,
    /// Of what was drawn before and is outstanding, so many were spent since the last report.
    pub spent: u64,
    /// Of what is granted, so many (or all, if that is fewer) are spent by whoever asks, now: they never become
    /// outstanding and must not be reported. Only [`Ledger::undo`] brings them back. Nothing is spent of what is
    /// [`Refill::Held`]: there this is ignored.
    pub at_once: u64,
}

/// What was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawn {
    /// So many units, from `least` to `most`: but for those that are spent at once they are outstanding now.
    Granted(u64),
    /// None. What was reported as spent is booked.
    Refused {
        /// Until `least` are there, if nobody else takes any and all that is outstanding is spent. [`Duration::MAX`]
        /// if that never comes, zero if there is no telling ([`Refill::Held`]).
        wait: Duration,
    },
    /// There is no room for another key.
    NoRoom,
}

/// What a bucket holds, for people to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Units that could be drawn now; less than 0 is debt.
    pub available: i64,
    /// Units that are outstanding.
    pub outstanding: u64,
}

/// The account. Every call is one atomic step on one bucket; none waits.
///
/// What makes it exact: a unit is spent between the `now` of its draw and the `now` of its report, both of the clock of
/// the core that spends it, and a core's clock never goes back.
pub trait Ledger {
    /// Reports what was spent, and draws more.
    fn draw(&self, key: BucketKey, refill: &Refill, ask: Ask, now: Ticks) -> Drawn;

    /// Reports what was spent of a lease and gives back what was not. `refill` is the one it was drawn with.
    fn settle(&self, key: BucketKey, refill: &Refill, spent: u64, unspent: u64, now: Ticks);

    /// Takes units that were used already, whether they are there or not: the bucket may go into debt, and refuses
    /// until that is repaid. `false` if there is no room for another key, and nothing was charged.
    fn charge(&self, key: BucketKey, refill: &Refill, units: u64, now: Ticks) -> bool;

    /// Brings back units that were spent at once or charged at `drawn`, since they were not used after all. A steady
    /// bucket gets back what has not come back by itself since: all of it at the same `now`, less later.
    fn undo(&self, key: BucketKey, refill: &Refill, units: u64, drawn: Ticks, now: Ticks);

    /// What the bucket holds. A bucket that is not there is full.
    fn level(&self, key: BucketKey, refill: &Refill, now: Ticks) -> Level;
}
