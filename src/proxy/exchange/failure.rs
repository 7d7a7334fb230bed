//! Why there is no answer to pass on, and what the client is told of it.

use std::borrow::Cow;

use super::Exchange;
use crate::base::Buf;
use crate::policy::adaptive::Shed;
use crate::policy::rate_limit::{self, DenyAs};
use crate::proxy::client::Client;
use crate::proxy::connection::{Next, send};
use crate::proxy::head;
use crate::proxy::reply::Reply;
use crate::proxy::upstream::DialError;
use crate::shared::Stage;
use crate::telemetry::{Cause, Outcome};

/// Why there is no answer to pass on.
pub enum Failure {
    /// No connection.
    Dial(DialError),
    /// The connection ended before the answer began.
    Closed,
    /// A time bound passed.
    Timeout,
    /// The server took no byte of the request for too long.
    Stalled,
    /// The answer is not HTTP as it should be.
    Malformed(&'static str),
    /// The answer is an error of this status with a page that is not passed on.
    Page(u16),
    /// The client is gone, and that cancels the exchange.
    ClientGone,
    /// The client has cancelled the call, and the server did not answer it in `timeouts.abandoned`, or it was not sent yet.
    Cancelled,
    /// The process stops.
    Stopped,
    /// The server is busy, and nothing was sent to it.
    Shed(Shed),
    /// There is no room to gather the answer: `limits.bodies_bytes_max`.
    NoRoom,
}

impl From<&'static str> for Failure {
    fn from(what: &'static str) -> Self {
        Self::Malformed(what)
    }
}

impl Exchange<'_> {
    /// Tells the client that there is no answer, and why.
    pub async fn fail(&mut self, client: &mut Client, failure: &Failure) -> Next {
        // Whatever the server has failed at: it was cut.
        let is_cut = self.worker.stage() == Stage::Stopping
            && !matches!(
                failure,
                Failure::Shed(_) | Failure::ClientGone | Failure::Cancelled | Failure::Page(_)
            );
        let failure = if is_cut { &Failure::Stopped } else { failure };
        match failure {
            Failure::Shed(_)
            | Failure::ClientGone
            | Failure::Cancelled
            | Failure::NoRoom
            | Failure::Stopped => {}
            Failure::Page(status) => self.note_answer(*status < 500),
            _ => self.note_answer(false),
        }
        let (outcome, cause, status, message): (_, _, _, Cow<'static, str>) = match failure {
            _ if self.abandoned => {
                self.record.outcome = Outcome::ClientGone;
                return Next::Drop;
            }
            Failure::ClientGone => {
                self.record.outcome = Outcome::ClientGone;
                return Next::Drop;
            }
            Failure::Cancelled => return self.end_cancelled(client).await,
            Failure::Dial(error) => dial_failure(error),
            Failure::Shed(_) => {
                (Outcome::Refused, Cause::ServerBusy, 503, "the server is busy with other calls".into())
            }
            Failure::Stopped => (Outcome::Stopped, Cause::Overload, 503, self.why_stopped().into()),
            Failure::NoRoom => (
                Outcome::Refused,
                Cause::Overload,
                503,
                "the gateway holds as many bytes of bodies as it may: ask again".into(),
            ),
            Failure::Closed => (
                Outcome::UpstreamFailed,
                Cause::Closed,
                502,
                "the server closed the connection without an answer".into(),
            ),
            Failure::Timeout => {
                (Outcome::UpstreamTimeout, Cause::NoAnswer, 504, "the server did not answer in time".into())
            }
            Failure::Stalled => (
                Outcome::UpstreamTimeout,
                Cause::NotTaken,
                504,
                "the server did not take the request in time".into(),
            ),
            Failure::Malformed(what) => (
                Outcome::UpstreamFailed,
                Cause::BadAnswer,
                502,
                format!("the server's answer cannot be passed on: {what}").into(),
            ),
            Failure::Page(status) => (
                Outcome::Answered,
                Cause::BadAnswer,
                *status,
                "the server answered with this status, and a page that is not passed on".into(),
            ),
        };
        self.record.outcome = if self.worker.stage() == Stage::Stopping { Outcome::Stopped } else { outcome };
        self.record.status = status;
        self.record.cause = Some(cause);
        self.say(failure, cause, status, &message);
        let close = self.forward.close || self.worker.is_leaving();
        let origin = self.forward.origin.as_deref();
        let id = self.forward.id.clone().and_then(|id| client.inbox.filled().get(id));
        let buf = match failure {
            Failure::Shed(shed) => {
                let (status, buf) = self.shed(*shed, &message, id, close);
                self.record.status = status;
                buf
            }
            _ => {
                let reply = Reply::status(cause, status, &message).with_id(id);
                // Of what was sent, nobody knows whether the server has done it.
                let may_retry = status == 503
                    && !((is_cut || matches!(failure, Failure::NoRoom) && !self.forward.safe)
                        && self.record.attempts > 0);
                let headers = if may_retry { "retry-after: 1\r\n" } else { "" };
                Reply { close, origin, headers, ..reply }.render(self.worker, false)
            }
        };
        let length = buf.len() as u64;
        if !send(self.worker, client, buf, self.worker.net.now()).await {
            return Next::Drop;
        }
        self.record.bytes_down = length;
        client.finish_request(self.worker, self.forward.request_len);
        if close { Next::Close } else { Next::Keep }
    }

    /// What the client of a call is told that the end of the process has ended.
    fn why_stopped(&self) -> &'static str {
        match self.record.attempts {
            0 => "the gateway stops, and nothing was sent to the server: try again",
            _ => "the gateway stops, and the server has not answered yet",
        }
    }

    /// Ends a call that its client has cancelled: no answer is due to it (MCP 2025-11-25, cancellation), and HTTP wants one.
    async fn end_cancelled(&mut self, client: &mut Client) -> Next {
        let close = self.forward.close || self.worker.is_leaving();
        self.record.outcome = Outcome::Cancelled;
        self.record.status = 200;
        let buf = head::no_events(self.worker, self.forward.origin.as_deref(), close);
        let length = buf.len() as u64;
        if !send(self.worker, client, buf, self.worker.net.now()).await {
            return Next::Drop;
        }
        self.record.bytes_down = length;
        client.finish_request(self.worker, self.forward.request_len);
        if close { Next::Close } else { Next::Keep }
    }

    /// Says why there is no answer. A server that is down brings this about with each request.
    fn say(&self, failure: &Failure, cause: Cause, status: u16, message: &str) {
        // What is wrong with a page has been said.
        if matches!(failure, Failure::Page(_)) {
            return;
        }
        let id = Some(self.forward.server.0);
        let Some(kept_back) = self.worker.restraints.may_speak(cause.label(), id, self.worker.recently())
        else {
            return;
        };
        let (server, cause, attempts) = (&self.server().name, cause.label(), self.record.attempts);
        // The system's words go to the log only: they may name addresses that are none of the client's business.
        let error = match failure {
            Failure::Dial(DialError::Io(error)) => error.to_string(),
            _ => String::new(),
        };
        tracing::warn!(%server, cause, status, reason = message, error, attempts, kept_back, "no answer from the server");
    }

    /// What a call is told that got no place: its status, and the whole answer.
    fn shed(&self, shed: Shed, message: &str, id: Option<&[u8]>, close: bool) -> (u16, Buf) {
        let origin = self.forward.origin.as_deref();
        let wait = rate_limit::seconds(shed.retry_after());
        let headers = format!("retry-after: {wait}\r\n");
        let shed_as = self.server().shed_as;
        if let (true, DenyAs::Result | DenyAs::Text, Some(id)) = (self.forward.is_call, shed_as, id) {
            let why = format!("The tool was not called: {message}. Try again in {wait} s.");
            let mut body = Vec::with_capacity(256);
            rate_limit::write_told(&why, id, self.forward.modern, shed_as == DenyAs::Result, &mut body);
            return (200, head::whole(self.worker, 200, headers.as_bytes(), &body, origin, close));
        }
        let data = format!("{{\"reason\":\"{}\",\"retryAfter\":{wait}}}", shed.reason.label());
        let reply = Reply::status(Cause::ServerBusy, 503, message).with_id(id).with_headers(&headers);
        (503, Reply { close, origin, data: Some(data.as_bytes()), ..reply }.render(self.worker, false))
    }
}

fn dial_failure(error: &DialError) -> (Outcome, Cause, u16, Cow<'static, str>) {
    match error {
        DialError::Full => (
            Outcome::Unreachable,
            Cause::PoolFull,
            503,
            "all connections to the server are busy: try again, or raise limits.upstream_connections_max"
                .into(),
        ),
        DialError::Unresolved => {
            (Outcome::Unreachable, Cause::Unresolved, 502, "the name of the server does not resolve".into())
        }
        DialError::Timeout => (
            Outcome::Unreachable,
            Cause::DialTimeout,
            504,
            "the server did not accept a connection in time".into(),
        ),
        DialError::Io(_) => {
            (Outcome::Unreachable, Cause::DialFailed, 502, "no connection to the server".into())
        }
    }
}
