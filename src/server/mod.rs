//! The front door: the command line, threads, listeners, the life of the process.
#![forbid(unsafe_code)]

pub mod bind;
mod claims;
pub mod cli;
pub mod demo;
pub mod doctor;
pub mod explain;
pub mod key;
pub mod limits;
mod log;
mod main;
mod reader;
pub mod run;
pub mod runtime;
mod state;

pub use main::main;
pub use run::{Failure, serve};
