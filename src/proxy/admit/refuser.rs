//! Makes refusals, and the few other answers that the gateway gives itself.

use super::{Refusal, Unread};
use crate::base::Buf;
use crate::config::snapshot::ServerId;
use crate::proxy::head;
use crate::proxy::reply::Reply;
use crate::proxy::worker::Worker;
use crate::telemetry::{Cause, Kind};
use crate::wire::http1::RequestHead;
use crate::wire::mcp::McpFault;

/// Makes refusals: knows what every answer to this request has in common.
pub struct Refuser<'b> {
    /// The worker.
    pub worker: &'b Worker,
    /// The page that asked, if one did and may.
    pub origin: Option<&'b [u8]>,
    /// Bytes of the inbox that the answer is to.
    pub request_len: usize,
    /// What follows them of the request, if it can be thrown away.
    pub unread: Option<Unread>,
    /// The connection ends after the answer.
    pub close: bool,
    /// The answer has no body.
    pub head_only: bool,
    /// The server, if the path led to one.
    pub server: Option<ServerId>,
    /// What was asked.
    pub kind: Kind,
}

impl<'b> Refuser<'b> {
    /// For a request of which nothing is known yet.
    pub fn new(worker: &'b Worker) -> Self {
        Self {
            worker,
            origin: None,
            request_len: 0,
            unread: None,
            close: true,
            head_only: false,
            server: None,
            kind: Kind::Unknown,
        }
    }

    /// A refusal.
    pub fn refuse(&self, reply: Reply<'_>) -> Refusal {
        let close = self.close || reply.close;
        Refusal {
            buf: Reply { close, origin: self.origin, ..reply }.render(self.worker, self.head_only),
            cause: Some(reply.cause),
            status: reply.status,
            close,
            request_len: self.request_len,
            unread: self.unread,
            server: self.server,
            kind: self.kind,
        }
    }

    /// What a browser asks before it lets a page call (Fetch, CORS preflight). The origin was checked.
    pub fn preflight(&self, head: &RequestHead<'_>) -> Refusal {
        self.answer(None, 204, head::preflight(self.worker, head, self.close))
    }

    /// What a load balancer asks to see that the gateway serves: 204, or 503 once it is going to stop.
    pub fn probe(&self) -> Refusal {
        if self.worker.is_leaving() {
            return self.refuse(Reply::status(Cause::Overload, 503, "the gateway is going to stop"));
        }
        self.answer(None, 204, head::probe(self.worker, self.close))
    }

    /// A document of the gateway's own: JSON that everybody may read.
    pub fn document(&self, document: &str) -> Refusal {
        self.answer(None, 200, head::document(self.worker, document, self.origin, self.close, self.head_only))
    }

    /// A refusal of this status with further header lines and a body in JSON.
    pub fn whole(&self, cause: Cause, status: u16, fields: &[u8], body: &[u8]) -> Refusal {
        self.answer(
            Some(cause),
            status,
            head::whole(self.worker, status, fields, body, self.origin, self.close),
        )
    }

    fn answer(&self, cause: Option<Cause>, status: u16, buf: Buf) -> Refusal {
        Refusal {
            buf,
            cause,
            status,
            close: self.close,
            request_len: self.request_len,
            unread: self.unread,
            server: self.server,
            kind: self.kind,
        }
    }

    /// The refusal of a message.
    pub fn fault(&self, fault: &McpFault<'_>) -> Refusal {
        let cause = match fault.status {
            405 => Cause::Method,
            406 | 415 => Cause::MediaType,
            _ => Cause::BadMessage,
        };
        self.refuse(Reply {
            cause,
            status: fault.status,
            code: fault.code,
            message: fault.message,
            data: fault.data.as_deref(),
            id: fault.id,
            headers: if fault.status == 405 { "allow: POST\r\n" } else { "" },
            origin: None,
            close: false,
        })
    }
}
