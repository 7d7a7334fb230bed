//! What a core asks of the account that all cores share.
//!
//! A core takes a lease of units and spends it without asking anybody. Units that were drawn and not yet reported as
//! spent are *outstanding*: they may be spent at any moment, so the bucket refills only up to what they leave of it.
//! Over any window all cores together admit at most burst + rate × window.

use std::num::NonZeroU64;
use std::time::Duration;

use super::Ticks;

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
    /// All `count` units at the beginning of each window of the calendar; what is left of the old is lost.
    Window {
        /// Units of a window.
        count: NonZeroU64,
        /// The number of the present window. It never goes back for a key.
        index: u32,
        /// Until the next one begins.
        left: Duration,
    },
    /// When they are given back: at most `count` are out.
    Held {
        /// Units.
        count: NonZeroU64,
    },
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Fewer are of no use. 0 only reports.
    pub least: u64,
    /// More are not wanted.
    pub most: u64,
    /// Of what was drawn before, so many were spent since the last report.
    pub spent: u64,
}

/// What was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawn {
    /// So many units, from `least` to `most`: they are outstanding now.
    Granted(u64),
    /// None.
    Refused {
        /// Until `least` are there, if nobody else takes any and all that is outstanding is spent.
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
pub trait Ledger {
    /// Reports what was spent, and draws more.
    fn draw(&self, key: BucketKey, refill: &Refill, ask: Ask, now: Ticks) -> Drawn;

    /// Reports what was spent of a lease and gives back what was not.
    fn settle(&self, key: BucketKey, refill: &Refill, spent: u64, unspent: u64, now: Ticks);

    /// Takes units that were used already, whether they are there or not: the bucket may go into debt, and refuses
    /// until that is repaid. `false` if there is no room for another key, and nothing was charged.
    fn charge(&self, key: BucketKey, refill: &Refill, units: u64, now: Ticks) -> bool;

    /// What the bucket holds. A bucket that is not there is full.
    fn level(&self, key: BucketKey, refill: &Refill, now: Ticks) -> Level;
}
