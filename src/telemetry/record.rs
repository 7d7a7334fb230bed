//! The record of one exchange: what `settle` is given, and what audit and tracing will hang on.

use std::time::Duration;

use super::Cause;
use crate::base::Ticks;

/// How an exchange ended. Each exchange ends in exactly one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// The server's answer was passed on to its end.
    Answered,
    /// The gateway itself answered, because the request was refused before anything was sent upstream.
    Refused,
    /// No connection to the server could be had.
    Unreachable,
    /// The server broke the connection or HTTP before its answer began.
    UpstreamFailed,
    /// The server's answer broke off after it had begun.
    UpstreamCut,
    /// The server let a time bound pass.
    UpstreamTimeout,
    /// The client went away before the end of the answer.
    ClientGone,
    /// The client cancelled the call, and the server did not answer it in `timeouts.abandoned`.
    Cancelled,
    /// The process stopped before the end of the answer.
    Stopped,
    /// A stream without an end of its own was ended with the credential that had opened it.
    Expired,
    /// The answer was passed on, and is the result of a tool that failed: `isError` (MCP 2025-11-25, tools).
    ToolFailed,
    /// The answer was passed on, says that it is JSON, and cannot be.
    Unreadable,
}

impl Outcome {
    /// All of them, in order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::Answered,
        Self::Refused,
        Self::Unreachable,
        Self::UpstreamFailed,
        Self::UpstreamCut,
        Self::UpstreamTimeout,
        Self::ClientGone,
        Self::Cancelled,
        Self::Stopped,
        Self::Expired,
        Self::ToolFailed,
        Self::Unreadable,
    ];

    /// The name in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::UpstreamFailed => "upstream_failed",
            Self::UpstreamCut => "upstream_cut",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::ClientGone => "client_gone",
            Self::Cancelled => "cancelled",
            Self::Stopped => "stopped",
            Self::Expired => "expired",
            Self::ToolFailed => "tool_failed",
            Self::Unreadable => "unreadable",
        }
    }
}

/// What kind of exchange it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A JSON-RPC request, or a batch with one in it.
    Request,
    /// A notification or the answer to a server's request: 202 is expected.
    Message,
    /// A GET stream.
    Stream,
    /// The end of a session by DELETE.
    Delete,
    /// Nothing that was understood.
    Unknown,
}

impl Kind {
    /// All of them, in order of their numbers.
    pub const ALL: [Self; 5] = [Self::Request, Self::Message, Self::Stream, Self::Delete, Self::Unknown];

    /// The name in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Message => "message",
            Self::Stream => "stream",
            Self::Delete => "delete",
            Self::Unknown => "unknown",
        }
    }
}

/// One exchange, from the last byte of the request to the last byte of the answer.
#[derive(Clone, Debug)]
pub struct ExchangeRecord {
    /// When the request was whole.
    pub started: Ticks,
    /// When it ended.
    pub ended: Ticks,
    /// Index of the server, if the path led to one.
    pub server: Option<u16>,
    /// What it was.
    pub kind: Kind,
    /// How it ended.
    pub outcome: Outcome,
    /// Cause of an answer of the gateway's own, where there is one.
    pub cause: Option<Cause>,
    /// The status sent to the client; 0 if none was.
    pub status: u16,
    /// Bytes of the request that went upstream, head included.
    pub bytes_up: u64,
    /// Bytes that went to the client, head included.
    pub bytes_down: u64,
    /// From the request sent upstream to the head of the answer.
    pub first_byte: Option<Duration>,
    /// How often the request was sent upstream.
    pub attempts: u8,
}
