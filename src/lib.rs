//! ringgate: an MCP gateway that runs one shared-nothing worker per core.
//!
//! The floors, bottom first: [`base`], then [`wire`], [`schema`], [`shared`] and [`io`], then [`policy`],
//! [`telemetry`] and [`config`], then [`proxy`] (data plane) and [`control`] (control plane), and
//! [`server`] on top. `tests/tidy.rs` checks who may use whom; `docs/architecture.md` says why.

pub mod base;
pub mod config;
pub mod control;
pub mod io;
pub mod link;
pub mod policy;
pub mod proxy;
pub mod schema;
pub mod server;
pub mod shared;
pub mod telemetry;
pub mod wire;
