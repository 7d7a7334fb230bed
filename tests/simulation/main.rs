//! The data plane over a simulated network: the same connection code as in the product, with clients and
//! servers in memory, virtual time, and faults from a seed.
//!
//! A failing seed is printed; `RINGGATE_SEED=123 cargo test --test simulation NAME` replays it, and
//! `RINGGATE_SEED_EFFORT=50` runs fifty times as many.
#![allow(clippy::unwrap_used)]

mod accounts;
mod call;
mod change;
mod charges;
mod client;
mod identity;
mod leaving;
mod ledger;
mod lies;
mod model;
mod seeds;
mod server;
mod slowness;
mod speech;
mod world;
