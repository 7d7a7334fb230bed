//! The configuration, in two forms and one door between them.
//!
//! What the operator wrote ([`file`]) is checked as a whole, so that one run names every mistake with
//! its line ([`check`]), and compiled to what the gateway runs ([`snapshot`]): ids, indices and tables
//! in which a wrong value cannot be written down. Each option is declared once, in [`file`]; decoding,
//! the JSON Schema and the reference in `docs/configuration.md` come from that one declaration.
#![forbid(unsafe_code)]

pub mod secret;
pub mod snapshot;

pub use secret::Secret;
pub use snapshot::{Endpoint, Limits, Listener, Route, Server, ServerId, Snapshot, Timeouts};
