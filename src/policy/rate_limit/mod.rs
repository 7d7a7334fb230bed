//! How often, how much and at what cost: limits per key, exact across cores.

pub use crate::base::ledger::{Ask, BucketKey, Drawn, Ledger, Level, Refill};
