//! The gateway as a process: a real binary, real sockets, a scripted upstream.
#![allow(clippy::unwrap_used)]

mod faults;
mod harness;
mod life;
mod scenes;
mod smoke;
mod sockets;
mod streams;
mod tls;
