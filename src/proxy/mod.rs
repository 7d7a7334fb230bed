//! The data plane: one worker a core, from the accepted socket to the settled exchange.
//!
//! The walk of a request: [`listener`] accepts, [`connection`] reads and loops, [`admit`] decides (plain
//! functions: no await, no clock, no lock), [`exchange`] sends upstream and settles, [`relay`] passes the
//! answer on. [`tick`](worker::Worker::tick) does what is due in between.
#![forbid(unsafe_code)]

pub mod admit;
mod bodies;
pub mod caller;
pub mod cancel;
pub mod client;
pub mod closing;
pub mod connection;
mod drain;
pub mod errands;
pub mod exchange;
mod head;
pub mod hot;
pub mod listener;
pub mod purse;
mod refused;
mod relay;
mod renew;
mod reply;
mod sources;
mod tap;
pub mod throttle;
mod trust;
mod upstream;
mod watch;
pub mod worker;

pub use worker::Worker;
