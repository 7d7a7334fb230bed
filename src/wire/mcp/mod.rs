//! MCP over HTTP: revisions, methods, and whether headers and body say the same.
//!
//! Everything here is a pure function of a request's headers and its scanned body.

mod headers;
mod method;
mod origin;
mod post;
mod revision;

pub use headers::{Accept, HeaderFacts, Mirror};
pub use method::{METHODS, Method, MethodId, MirrorField, method};
pub use origin::{OriginRules, check_origin};
pub use post::{
    Era, GetFacts, McpFault, PostFacts, PostRules, check_delete, check_get, check_media, check_post,
    judge_post,
};
pub use revision::Revision;
