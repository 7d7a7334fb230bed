//! The configuration, in two forms and one door between them.
//!
//! What the operator wrote ([`file`]) is checked as a whole, so that one run names every mistake with
//! its line ([`check`]), and compiled to what the gateway runs ([`snapshot`]): ids, indices and tables
//! in which a wrong value cannot be written down. Each option is declared once, in [`file`]; decoding,
//! the JSON Schema and the reference in `docs/configuration.md` ([`schema`]) come from that one
//! declaration.
#![forbid(unsafe_code)]

mod any;
pub mod check;
pub mod compile;
pub mod file;
pub mod question;
pub mod rate;
pub mod schema;
pub mod snapshot;
pub mod text;
pub mod url;
pub mod world;

pub use crate::base::Secret;
pub use crate::schema::finding::Findings;
pub use check::load;
pub use snapshot::{Endpoint, Limits, Listener, Route, Server, ServerId, Snapshot, Timeouts, restart_needed};
