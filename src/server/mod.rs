//! The front door: what runs once, before and after the workers do.
#![forbid(unsafe_code)]

pub mod cli;
