//! Answers that the gateway gives itself: a status and a JSON-RPC error.

use super::head::{begin, write_cors};
use super::worker::Worker;
use crate::base::Buf;
use crate::telemetry::Cause;
use crate::wire::http1::write as http;
use crate::wire::jsonrpc;

/// An answer of the gateway itself.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// Cause in metrics and the log.
    pub cause: Cause,
    /// HTTP status.
    pub status: u16,
    /// JSON-RPC error code: from the protocol's reserved range where MCP names one, else the status itself,
    /// which lies outside that range (MCP 2026-07-28, basic, error codes).
    pub code: i64,
    /// What is wrong and how to fix it.
    pub message: &'a str,
    /// `error.data`, as JSON.
    pub data: Option<&'a [u8]>,
    /// The raw id of the request, if it was read.
    pub id: Option<&'a [u8]>,
    /// Further header lines, each ended by CR LF.
    pub headers: &'a str,
    /// The page that asked, if one did and may: it can read why it was refused.
    pub origin: Option<&'a [u8]>,
    /// Whether the connection ends after it.
    pub close: bool,
}

impl<'a> Reply<'a> {
    /// A refusal whose code is its status.
    pub fn status(cause: Cause, status: u16, message: &'a str) -> Self {
        Self {
            cause,
            status,
            code: i64::from(status),
            message,
            data: None,
            id: None,
            headers: "",
            origin: None,
            close: false,
        }
    }

    /// The same, and the connection ends after it.
    pub fn closing(self) -> Self {
        Self { close: true, ..self }
    }

    /// The same, echoing a request's id.
    pub fn with_id(self, id: Option<&'a [u8]>) -> Self {
        Self { id, ..self }
    }

    /// The same with further header lines.
    pub fn with_headers(self, headers: &'a str) -> Self {
        Self { headers, ..self }
    }

    /// The whole message in a buffer. A `head_only` answer (to HEAD) has no body.
    pub fn render(&self, worker: &Worker, head_only: bool) -> Buf {
        let mut body = Vec::with_capacity(256);
        jsonrpc::write_error(&mut body, self.id, self.code, self.message, self.data);
        let mut scratch = worker.scratch.borrow_mut();
        scratch.clear();
        begin(worker, &mut scratch, self.status);
        scratch.extend_from_slice(b"content-type: application/json\r\n");
        http::push_content_length(&mut scratch, body.len() as u64);
        scratch.extend_from_slice(self.headers.as_bytes());
        if let Some(origin) = self.origin {
            write_cors(&mut scratch, origin);
        }
        if self.close {
            scratch.extend_from_slice(b"connection: close\r\n");
        }
        scratch.extend_from_slice(b"\r\n");
        if !head_only {
            scratch.extend_from_slice(&body);
        }
        let mut buf = worker.take_buf(scratch.len());
        // The buffer was asked for by this length.
        let fits = buf.append(&scratch);
        debug_assert!(fits);
        buf
    }
}
