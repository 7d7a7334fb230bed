//! Pure decisions: facts and `now` in, a verdict out. No I/O, no clock, no lock, and nothing of a worker.
#![forbid(unsafe_code)]

pub mod adaptive;
pub mod authn;
pub mod authz;
pub mod expr;
pub mod listing;
pub mod principal;
pub mod propagate;
pub mod rate_limit;
pub mod session;
pub mod steps;

pub use principal::{Principal, Proof};
