//! The gateway as a process: a real binary, real sockets, a scripted upstream.
#![allow(clippy::unwrap_used)]

mod abandoned;
mod bodies;
mod browsers;
mod endings;
mod faults;
mod harness;
mod hot;
mod http_abuse;
mod http_answers;
mod http_habits;
mod http_messages;
mod identity;
mod keeping;
mod life;
mod limits;
mod older;
mod outcomes;
mod passing;
mod probe;
mod process;
mod rates;
mod rates_load;
mod refusals;
mod scenes;
mod smoke;
mod sockets;
mod sources;
mod state;
mod streams;
mod temp_dir;
mod tls;
mod tokens;
mod vectors;
