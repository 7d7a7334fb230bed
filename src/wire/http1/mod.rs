//! HTTP/1.1 (RFC 9110 and RFC 9112) without I/O: heads, chunked bodies, and writing both.
//!
//! Everything here looks at bytes and gives a verdict. What is ambiguous is refused, because the peer on
//! the other side of the gateway may read it differently.
#![forbid(unsafe_code)]

pub mod allow;
pub mod chunked;
pub mod date;
pub mod error;
pub mod fields;
mod framing;
pub mod header;
mod plain;
pub mod request;
pub mod response;
mod scan;
mod target;
pub mod write;

pub use allow::AllowList;
pub use error::HeadError;
pub use fields::{Fields, Header, Tokens, media_type, media_type_is, tokens};
pub use header::{HeaderId, HeaderSet};
pub use request::{BodyFraming, Method, RequestHead, parse_request_head};
pub use response::{ResponseFraming, ResponseHead, parse_response_head};
pub use scan::{HEAD_BYTES_MAX, HEADERS_MAX, HeadLimits, HeadScan};

/// The outcome of looking at the start of a message that is not wrong so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed<T> {
    /// All of it is there.
    Complete(T),
    /// More bytes are needed. Ask again with the same bytes and what came after them.
    Partial,
}

impl<T> Parsed<T> {
    /// What was parsed, if it was complete.
    pub fn complete(self) -> Option<T> {
        match self {
            Self::Complete(value) => Some(value),
            Self::Partial => None,
        }
    }

    /// The same outcome with `f` applied to what was parsed.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Parsed<U> {
        match self {
            Self::Complete(value) => Parsed::Complete(f(value)),
            Self::Partial => Parsed::Partial,
        }
    }
}

/// The protocol version of a message. All others are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0: no chunked bodies, and the gateway never keeps such a connection.
    Http10,
    /// HTTP/1.1.
    Http11,
}
