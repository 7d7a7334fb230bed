//! A request that breaks a rule of MCP, and what to answer.

use super::Revision;
use crate::wire::json::write_string;
use crate::wire::jsonrpc::{Fault, write_error};

/// A request that breaks a rule of MCP, and what to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpFault<'a> {
    /// HTTP status.
    pub status: u16,
    /// JSON-RPC error code.
    pub code: i64,
    /// A sentence for the client.
    pub message: &'static str,
    /// `error.data`, as JSON.
    pub data: Option<Vec<u8>>,
    /// The `id` to echo.
    pub id: Option<&'a [u8]>,
}

/// How much of a version that we do not know is repeated to who asked for it, in characters.
const REQUESTED_MAX: usize = 64;

impl<'a> McpFault<'a> {
    pub(super) fn new(status: u16, code: i64, message: &'static str) -> Self {
        Self { status, code, message, data: None, id: None }
    }

    pub(super) fn unsupported_version(requested: &[u8], supported: &[Revision]) -> Self {
        let mut data = b"{\"supported\":[".to_vec();
        for (index, revision) in supported.iter().enumerate() {
            if index > 0 {
                data.push(b',');
            }
            write_string(&mut data, revision.as_str());
        }
        data.extend_from_slice(b"],\"requested\":");
        let requested: String = String::from_utf8_lossy(requested).chars().take(REQUESTED_MAX).collect();
        write_string(&mut data, &requested);
        data.push(b'}');
        Self { data: Some(data), ..Self::new(400, -32022, "Unsupported protocol version") }
    }

    /// The same fault with an `id` to echo.
    pub(super) fn echoing<'b>(self, id: Option<&'b [u8]>) -> McpFault<'b> {
        let Self { status, code, message, data, .. } = self;
        McpFault { status, code, message, data, id }
    }

    /// Appends the JSON-RPC error response.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_error(out, self.id, self.code, self.message, self.data.as_deref());
    }
}

impl<'a> From<Fault<'a>> for McpFault<'a> {
    fn from(fault: Fault<'a>) -> Self {
        Self { id: fault.id, ..Self::new(400, fault.code(), fault.message()) }
    }
}
