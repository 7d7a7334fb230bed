//! What is known about the traffic: one record per exchange, counters and histograms per worker.
//!
//! A worker only adds plain numbers of its own; whoever wants to read asks the worker for a copy.
#![forbid(unsafe_code)]

pub mod cause;
pub mod hot;
pub mod prometheus;
pub mod record;
pub mod stats;

pub use cause::Cause;
pub use hot::HotKey;
pub use record::{ExchangeRecord, Kind, Outcome};
pub use stats::{Adaptive, Counted, ServerStats, TokenStats, WorkerStats};
