//! The front door.

pub mod cli;
