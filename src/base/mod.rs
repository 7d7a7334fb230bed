//! Words everyone uses: time, buffers, secrets, restraint of log lines, seams of streams, the words of the ledger. `std` only.
#![forbid(unsafe_code)]

pub mod buffer;
pub mod ledger;
pub mod restraint;
pub mod seam;
pub mod secret;
pub mod ticks;

pub use buffer::{Buf, BufPool, PAD};
pub use restraint::Restraint;
pub use seam::Seam;
pub use secret::Secret;
pub use ticks::Ticks;
