//! Sans-IO codecs: bytes to views and back. Peer input is judged here first, and never panics.

mod glance;
pub mod http1;
pub mod json;
pub mod jsonrpc;
pub mod mcp;
pub mod proxy_protocol;
pub mod reference;
pub mod sse;
