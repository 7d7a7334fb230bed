//! The control plane: one thread that may block. Reload, addresses, signals, drain, admin.
#![forbid(unsafe_code)]

pub mod admin;
pub mod deploy;
pub mod errands;
pub mod life;
mod report;

pub use deploy::deploy;
pub use life::{Control, Ending};
