//! The control plane: one thread, and threads beside it for what blocks. Reload, addresses, keys, tokens, signals,
//! drain, admin.
#![forbid(unsafe_code)]

pub mod admin;
pub mod aside;
pub mod counters;
mod counting;
pub mod deploy;
pub mod errands;
mod explain;
pub mod fetch;
pub mod keys;
pub mod life;
mod limits;
mod report;
mod rotation;
#[cfg(test)]
mod scene;
pub mod tokens;
pub mod trust;
pub mod usage;

pub use deploy::deploy;
pub use life::{Control, Ending};
