//! Words everyone uses: time, buffers, spans. `std` only.
#![forbid(unsafe_code)]

pub mod buffer;
pub mod ticks;

pub use buffer::{Buf, BufPool, PAD};
pub use ticks::Ticks;
