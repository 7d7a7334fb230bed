//! Server-sent events without I/O (WHATWG HTML, section 9.2 "Server-sent events").
//!
//! - [`Scanner`] finds where events end, whatever the reads look like, without looking into them.
//! - [`EndpointWatch`] finds an event type that only one transport may use, in streams that are not read otherwise.
//! - [`Event`] is a view of one whole event.
//! - [`write_event`] and [`write_endpoint`] make events, [`write_with_data`] changes what one says,
//!   [`KEEP_ALIVE`] is a comment.
#![forbid(unsafe_code)]

mod event;
mod replace;
mod scanner;
mod watch;
mod write;

#[cfg(test)]
mod tests;

pub use event::{Event, without_bom};
pub use replace::write_with_data;
pub use scanner::{EventTooLarge, Scanner};
pub use watch::EndpointWatch;
pub use write::{LineBreak, NewEvent, write_endpoint, write_event};

/// A comment that keeps an idle stream alive (MCP 2026-07-28, transports). May be put between events only.
pub const KEEP_ALIVE: &[u8] = b":\r\n";
