//! The upstream's request: a new head, put in the place of the client's own, right before the body.

use std::rc::Rc;

use super::{Forward, Verdict};
use crate::base::{Buf, Ticks};
use crate::config::snapshot::Route;
use crate::proxy::head;
use crate::proxy::worker::{Live, Worker};
use crate::telemetry::Kind;
use crate::wire::http1::{HeaderId, Method, RequestHead};
use crate::wire::mcp::HeaderFacts;

/// Composes the upstream's head in the worker's scratch.
#[allow(clippy::too_many_arguments)]
pub(super) fn compose(
    worker: &Worker,
    live: &Rc<Live>,
    head: &RequestHead<'_>,
    body_len: usize,
    route: &Route<'_>,
    verdict: &Verdict,
    facts: &HeaderFacts<'_>,
    now: Ticks,
) -> Forward {
    let server = route.server;
    let bound = facts.session_id.and_then(head::split_session).map(|(endpoint, _)| endpoint);
    let (endpoint, bound) = match bound {
        Some(endpoint) if server.endpoints.len() > 1 && endpoint < server.endpoints.len() => (endpoint, true),
        _ => (live.choose(server, now), false),
    };
    let mut out = worker.scratch.borrow_mut();
    out.clear();
    let target = head::Target { message_path: route.rest, query: head.query };
    let front_len = head::write_front(&mut out, head.method, &server.endpoints[endpoint], &target);
    let body = (head.method == Method::Post).then_some(body_len);
    head::write_request_fields(&mut out, head, server, verdict.mirror, body);
    Forward {
        live: live.clone(),
        server: server.id,
        endpoint,
        bound: bound || route.rest.is_some(),
        request_len: out.len() + body_len,
        front_len,
        kind: verdict.kind,
        method: head.method,
        version: head.version,
        cancel_on_close: verdict.modern || verdict.kind == Kind::Stream,
        safe: verdict.safe,
        close: !head.keep_alive,
        id: verdict.id.clone().map(|id| id.start + out.len()..id.end + out.len()),
        origin: head.get(HeaderId::Origin).map(Box::from),
        started: now,
        filter: None,
    }
}

/// Puts the head in the worker's scratch in the place of the client's own, right before the body.
pub(super) fn put_in_place(worker: &Worker, inbox: &mut Buf, head_len: usize) {
    let head = worker.scratch.borrow();
    inbox.consume(head_len);
    if inbox.prepend(&head) {
        return;
    }
    let mut larger = worker.take_buf(head.len() + inbox.len());
    let fits = larger.append(&head) && larger.append(inbox.filled());
    debug_assert!(fits, "the buffer was asked for by this length");
    worker.give_buf(std::mem::replace(inbox, larger));
}
