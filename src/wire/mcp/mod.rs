//! MCP over HTTP: revisions, methods, and whether headers and body say the same.
//!
//! Everything here is a pure function of a request's headers and its scanned body.
#![forbid(unsafe_code)]

mod fault;
mod headers;
pub mod lists;
mod media;
mod method;
mod post;
mod revision;
mod stream;

pub use fault::McpFault;
pub use headers::{HeaderFacts, McpHeader, Mirror, mirrors_text};
pub use media::{Accept, is_json, is_utf8};
pub use method::{METHOD_COUNT, METHODS, Method, MethodId, Object, method};
pub use post::{Era, PostFacts, PostRules, check_media, check_post, find_method, judge_post};
pub use revision::Revision;
pub use stream::{GetFacts, check_delete, check_get};

#[cfg(test)]
mod vectors;
