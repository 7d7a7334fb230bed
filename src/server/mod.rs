//! The front door: the command line, threads, listeners, the life of the process.
#![forbid(unsafe_code)]

pub mod bind;
pub mod demo;
pub mod run;
pub mod runtime;

pub use run::{Failure, serve};
