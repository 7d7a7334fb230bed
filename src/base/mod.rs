//! Words everyone uses: time, buffers, secrets. `std` only.
#![forbid(unsafe_code)]

pub mod buffer;
pub mod secret;
pub mod ticks;

pub use buffer::{Buf, BufPool, PAD};
pub use secret::Secret;
pub use ticks::Ticks;
