//! The upstream's request: a new head, put in the place of the client's own, right before the body.

use std::rc::Rc;
use std::time::Duration;

use super::Forward;
use super::message::{Request, Verdict};
use super::shown::Shown;
use crate::base::{Buf, Ticks};
use crate::proxy::caller::Caller;
use crate::proxy::head;
use crate::proxy::reply::Reply;
use crate::proxy::worker::{Live, Worker};
use crate::telemetry::{Cause, Kind};
use crate::wire::http1::{HeaderId, Method};

/// Composes the upstream's head in the worker's scratch.
///
/// # Errors
/// What the client is told whose session is not its own.
pub(super) fn compose(
    worker: &Worker,
    live: &Rc<Live>,
    request: &Request<'_, '_>,
    verdict: &Verdict,
    caller: Option<&Caller>,
    shown: &Shown,
    now: Ticks,
) -> Result<Forward, Reply<'static>> {
    let (head, server) = (request.head, request.route.server);
    let session = own_session(live, request, verdict, caller)?;
    let query = own_query(live, request, caller)?;
    check_resumption(live, request, session)?;
    let split = session.filter(|_| server.endpoints.len() > 1).and_then(head::split_session);
    let (endpoint, bound) = match split {
        Some((endpoint, _)) if endpoint < server.endpoints.len() => (endpoint, true),
        _ => (live.choose(server, now), false),
    };
    let mut out = worker.scratch.borrow_mut();
    out.clear();
    let target = head::Target { message_path: request.route.rest, query, version: head.version };
    let front_len = head::write_front(&mut out, head.method, &server.endpoints[endpoint], &target);
    for line in [&shown.token, &shown.assertion].into_iter().flatten() {
        out.extend_from_slice(line.reveal());
    }
    let fields = head::RequestFields {
        mirror: verdict.mirror,
        params: verdict.modern && verdict.is_call,
        body_len: (head.method == Method::Post).then_some(request.body_len),
        session: split.map_or(session, |(_, own)| Some(own)),
    };
    head::write_request_fields(&mut out, head, server, &fields);
    Ok(Forward {
        live: live.clone(),
        server: server.id,
        endpoint,
        bound: bound || request.route.rest.is_some(),
        request_len: out.len() + request.body_len,
        front_len,
        token_len: shown.token.as_ref().map_or(0, |line| line.reveal().len()),
        kind: verdict.kind,
        method: head.method,
        version: head.version,
        cancel_on_close: verdict.modern || verdict.kind == Kind::Stream,
        safe: verdict.safe,
        close: !head.keep_alive,
        id: verdict.id.clone().map(|id| id.start + out.len()..id.end + out.len()),
        origin: head.get(HeaderId::Origin).map(Box::from),
        caller: None,
        filter: None,
        ticket: None,
        transcript: None,
        tokens: 0,
        tool: verdict.tool,
        beside: verdict.beside,
        is_call: verdict.is_call,
        modern: verdict.modern,
        body_len: request.body_len,
        endless: verdict.endless,
        ends: caller.filter(|_| verdict.endless).map_or(Ticks::NEVER, |caller| end(worker, caller, now)),
        started: now,
    })
}

/// The server's own id of the session that the request names. Where callers are known, an id serves only the one that
/// it was given to; revision 2026-07-28 has no sessions, and an id that comes along there means nothing.
fn own_session<'r>(
    live: &Live,
    request: &Request<'_, 'r>,
    verdict: &Verdict,
    caller: Option<&Caller>,
) -> Result<Option<&'r [u8]>, Reply<'static>> {
    let Some(id) = request.facts.session_id else { return Ok(None) };
    match (caller, &live.session_key) {
        (Some(_), Some(_)) if verdict.modern => Ok(None),
        (Some(caller), Some(key)) => {
            let own = key.open(&caller.identity, &request.route.server.path, id);
            own.map(Some).ok_or_else(forgotten)
        }
        _ => Ok(Some(id)),
    }
}

/// The answer for a session id that nobody, or somebody else, was given. Few clients begin anew by the status 404, as they
/// should (MCP 2025-11-25, session management): some look for code -32600 with this message, others for `HTTP 404` in the
/// body. See docs/clients.md.
fn forgotten() -> Reply<'static> {
    let data = Some(&b"\"HTTP 404: there is no such session: initialize again\""[..]);
    Reply { code: -32600, data, ..Reply::status(Cause::NoSession, 404, "Session terminated") }
}

/// The query as the server is to have it. The URI for messages of the HTTP+SSE transport serves only the caller of its
/// stream, where callers are known.
fn own_query<'r>(
    live: &Live,
    request: &Request<'_, 'r>,
    caller: Option<&Caller>,
) -> Result<Option<&'r [u8]>, Reply<'static>> {
    let query = request.head.query;
    match (request.route.rest, caller, &live.session_key) {
        (Some(path), Some(caller), Some(key)) => {
            key.open_target(&caller.identity, &request.route.server.path, path, query).ok_or_else(|| {
                Reply::status(Cause::NoSession, 404, "there is no such session: open a stream first")
            })
        }
        _ => Ok(query),
    }
}

/// An event id names a stream that somebody was given: it is taken only with the session that it belongs to, which is
/// bound to its caller (MCP 2025-11-25, resumability: the id is the server's, and says nothing of who asks).
fn check_resumption(
    live: &Live,
    request: &Request<'_, '_>,
    session: Option<&[u8]>,
) -> Result<(), Reply<'static>> {
    let alone = request.facts.last_event_id.is_some() && session.is_none();
    if alone && live.session_key.is_some() && request.head.method == Method::Get {
        return Err(Reply::status(
            Cause::Resumption,
            400,
            "Last-Event-ID is taken only with the session that it belongs to",
        ));
    }
    Ok(())
}

/// When a stream without an end of its own ends: with the credential that opened it.
fn end(worker: &Worker, caller: &Caller, now: Ticks) -> Ticks {
    caller
        .principal
        .expires
        .map_or(Ticks::NEVER, |expires| now + Duration::from_secs(expires.saturating_sub(worker.wall())))
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
