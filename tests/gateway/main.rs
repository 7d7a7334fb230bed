//! The gateway as a process: a real binary, real sockets, a scripted upstream.
#![allow(clippy::unwrap_used)]

mod browsers;
mod harness;
mod http_abuse;
mod http_answers;
mod http_messages;
mod limits;
mod probe;
mod smoke;
mod vectors;
