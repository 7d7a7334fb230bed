//! The gateway as a process: a real binary, real sockets, a scripted upstream.
#![allow(clippy::unwrap_used)]

mod harness;
mod smoke;
