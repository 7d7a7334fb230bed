//! Steps 3 to 9 of the walk: is this a request, may it pass, and where does it go. Plain functions over
//! the bytes in the client's inbox: no await, no clock, no lock.
//!
//! The order of checks: HTTP framing, path, host and origin, method, size, media types, then the body
//! (JSON-RPC, era, headers against body). What passes is turned into the upstream's request in place:
//! the body stays where it was received and the new head is put right before it.

use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;

use super::caller::Caller;
use super::client::Client;
use super::reply::Reply;
use super::worker::{Live, Worker};
use crate::base::{Buf, Ticks};
use crate::config::snapshot::{Limits, Route, ServerId, Snapshot, Transport};
use crate::link::Errand;
use crate::policy::adaptive::ToolKey;
use crate::policy::expr::{Budget, ParsedMessage};
use crate::policy::listing::Keep;
use crate::policy::rate_limit::{Ticket, Transcript};
use crate::telemetry::{Cause, Kind};
use crate::wire::http1::chunked::{ChunkError, InPlace};
use crate::wire::http1::{
    BodyFraming, HeadLimits, HeaderId, Method, Parsed, RequestHead, Version, parse_request_head,
};
use crate::wire::mcp::{self, HeaderFacts, McpHeader};

mod browser;
mod charge;
mod compose;
mod identify;
mod message;
mod params;
mod permit;
mod refuser;
mod shown;
mod unread;

pub use identify::Brought;
use identify::Stop;
pub use message::json_limits;
use permit::Ask;
pub use permit::whole;
use refuser::Refuser;
pub use unread::{UNREAD_BYTES_MAX, Unread};

/// What is to be done with the bytes in the inbox.
pub enum Admission {
    /// Not a whole request yet: read on.
    More {
        /// Bytes of the whole request, if known; else 0.
        total: usize,
        /// The head is complete.
        in_body: bool,
        /// The client waits for a 100 before it sends the body.
        send_continue: bool,
    },
    /// Have control run this first, and ask again with what it brings.
    Wait(Errand),
    /// Send it to the server. The inbox starts with the upstream's request now.
    Forward(Forward),
    /// Answer it here.
    Refuse(Refusal),
}

/// A request that passed.
pub struct Forward {
    /// The deployment that admitted it, which also settles it.
    pub live: Rc<Live>,
    /// Its server.
    pub server: ServerId,
    /// Index among the server's endpoints.
    pub endpoint: usize,
    /// Only this endpoint will do: the session lives there.
    pub bound: bool,
    /// Bytes at the start of the inbox to send.
    pub request_len: usize,
    /// Of these, the request line, `Host` and the lines behind it: what another endpoint wants otherwise.
    pub front_len: usize,
    /// Behind these, the line with the token that was had for the server; 0 where there is none.
    pub token_len: usize,
    /// What it is.
    pub kind: Kind,
    /// Its HTTP method.
    pub method: Method,
    /// The client's HTTP version.
    pub version: Version,
    /// A client that goes away cancels it.
    pub cancel_on_close: bool,
    /// It may be sent again after a failure that leaves open whether the server has seen it.
    pub safe: bool,
    /// The connection ends after the answer.
    pub close: bool,
    /// Where its raw id stands in the inbox.
    pub id: Option<Range<usize>>,
    /// The page that asked, if one did.
    pub origin: Option<Box<[u8]>>,
    /// Who calls, where that is asked.
    pub caller: Option<Rc<Caller>>,
    /// What was taken of the limits for it.
    pub ticket: Option<Box<Ticket>>,
    /// Tokens of its arguments, where they are counted.
    pub tokens: u64,
    /// Its arguments, where a tokenizer is to count them.
    pub transcript: Option<Box<Transcript>>,
    /// Stands for the tool that is called, or the method.
    pub tool: ToolKey,
    /// It is no tool's work, see [`message::Verdict::beside`].
    pub beside: bool,
    /// It is the call of a tool that the gateway can answer with a result.
    pub is_call: bool,
    /// It is of revision 2026-07-28 or later.
    pub modern: bool,
    /// Bytes of its body.
    pub body_len: usize,
    /// What of lists the caller may see, where the answer may hold one.
    pub filter: Option<Box<dyn Keep>>,
    /// The answer is a stream without an end of its own.
    pub endless: bool,
    /// A stream is ended here at the latest.
    pub ends: Ticks,
    /// When the request was whole.
    pub started: Ticks,
}

/// An answer of the gateway itself, ready to be sent.
pub struct Refusal {
    /// The whole answer.
    pub buf: Buf,
    /// Cause of it, unless it is no refusal.
    pub cause: Option<Cause>,
    /// Its status.
    pub status: u16,
    /// The connection ends after it.
    pub close: bool,
    /// Bytes of the inbox that it answers.
    pub request_len: usize,
    /// And what follows them of the same request, to be thrown away if the connection goes on.
    pub unread: Option<Unread>,
    /// The server, if the path led to one.
    pub server: Option<ServerId>,
    /// What it was.
    pub kind: Kind,
}

/// A chunked body on its way to being whole.
pub struct ChunkedBody {
    unwrapper: InPlace,
    /// Bytes of payload that follow the head in the inbox.
    payload: usize,
    whole: bool,
}

/// Judges what is in the client's inbox, which is not empty.
pub fn admit(worker: &Worker, live: &Rc<Live>, client: &mut Client, now: Ticks) -> Admission {
    match judge(worker, live, client, now) {
        Ok(Judged::Admission(admission)) => admission,
        Ok(Judged::Chunked { head_len, bodiless }) => {
            match unwrap_chunks(worker, live, client, head_len, bodiless) {
                Ok(true) => admit(worker, live, client, now),
                Ok(false) => Admission::More { total: 0, in_body: true, send_continue: false },
                Err(refusal) => Admission::Refuse(refusal),
            }
        }
        Err(refusal) => Admission::Refuse(refusal),
    }
}

enum Judged {
    Admission(Admission),
    /// The head passed; the chunks behind it are to be unwrapped first.
    Chunked {
        head_len: usize,
        /// They may hold no byte.
        bodiless: bool,
    },
}

fn judge(worker: &Worker, live: &Rc<Live>, client: &mut Client, now: Ticks) -> Result<Judged, Refusal> {
    let limits = &live.deployment.snapshot.limits;
    let parsed = parse_request_head(client.inbox.filled(), &head_limits(limits), &mut client.scan);
    let mut refuser = Refuser::new(worker);
    let head = match parsed {
        Ok(Parsed::Complete(head)) => head,
        Ok(Parsed::Partial) => {
            return Ok(Judged::Admission(Admission::More { total: 0, in_body: false, send_continue: false }));
        }
        Err(error) => {
            return Err(
                refuser.refuse(Reply::status(Cause::BadHttp, error.status(), error.message()).closing())
            );
        }
    };
    refuser.head_only = head.method == Method::Head;
    let last = !head.keep_alive || worker.is_leaving() || client.watch.is_deaf();
    // Of a body that was begun to be unwrapped, the rest cannot be told.
    let waits = head.expect_continue && !client.continued;
    refuser.unread = Unread::of(&head, waits).filter(|_| client.chunked.is_none());
    refuser.close = last || (head.framing != BodyFraming::None && refuser.unread.is_none());
    refuser.request_len = head.head_len;
    let route = check_target(live, &head, &mut refuser)?;
    if !client.trust.holds(live, worker.wall()) {
        return Err(identify::untrusted(worker, &mut refuser, &route.server.protection));
    }
    client.brought.keep_only(&live.deployment.snapshot);
    let certificate = client.trust.certificate();
    let caller = if head.method == Method::Options {
        // A preflight shows no credential (Fetch, CORS protocol), and nothing else is served here by OPTIONS.
        None
    } else {
        match identify::identify(
            worker,
            live,
            &head,
            certificate,
            &mut client.brought,
            route.server,
            &refuser,
        ) {
            Ok(caller) => caller,
            Err(Stop::Wait(errand)) => return Ok(Judged::Admission(Admission::Wait(errand))),
            Err(Stop::Refuse(refusal)) => return Err(refusal),
        }
    };
    if let Some(caller) = &caller {
        permit::check_scopes(caller, route.server, &refuser)?;
    }
    let facts = header_facts(&head);
    check_method(&head, &facts, &route, &refuser)?;
    let body_len = match body_len(&head, client, limits.body_bytes_max, &refuser)? {
        BodyLen::Known(length) => length,
        BodyLen::Unwrap => {
            client.brought.bind(live, caller.as_ref());
            if head.expect_continue && !client.continued {
                return Ok(Judged::Admission(Admission::More {
                    total: 0,
                    in_body: true,
                    send_continue: true,
                }));
            }
            return Ok(Judged::Chunked { head_len: head.head_len, bodiless: head.method != Method::Post });
        }
    };
    let total = head.head_len + body_len;
    if client.inbox.len() < total {
        client.brought.bind(live, caller.as_ref());
        let send_continue = head.expect_continue && !client.continued;
        return Ok(Judged::Admission(Admission::More { total, in_body: true, send_continue }));
    }
    refuser.request_len = total;
    refuser.unread = None;
    refuser.close = last;
    let source = permit::source(client.peer);
    let parsed = ParsedMessage::new(Budget::new(limits.expression_steps_max));
    let ask = caller.as_deref().map(|caller| Ask {
        worker,
        live,
        caller,
        server: route.server,
        head: &head,
        source,
        modern: false,
        parsed: &parsed,
        aside: route.rest.is_some(),
    });
    let request = message::Request { head: &head, body_len, route: &route, facts: &facts, limits };
    let mut read = None;
    message::read(&mut read, &client.inbox, &request, &refuser)?;
    refuser.id = message::id(read.as_ref());
    let verdict = message::judge(read.as_ref(), &request, ask.as_ref(), &mut refuser)?;
    let shown = match shown::to_server(worker, live, caller.as_deref(), &mut client.brought, route.server) {
        Ok(shown) => shown,
        Err(shown::Stop::Wait(errand)) => {
            client.brought.bind(live, caller.as_ref());
            return Ok(Judged::Admission(Admission::Wait(errand)));
        }
        Err(shown::Stop::Refuse(reply)) => return Err(refuser.refuse(reply)),
        Err(shown::Stop::RefusedGrant) => {
            return Err(identify::refused_grant(worker, &refuser, route.server));
        }
        Err(shown::Stop::Expired) => return Err(identify::expired(&refuser, &route.server.protection)),
    };
    let mut forward = compose::compose(worker, live, &request, &verdict, caller.as_deref(), &shown, now)
        .map_err(|reply| refuser.refuse(reply))?;
    forward.close = last;
    if verdict.endless {
        forward.ends = forward.ends.min(client.trust.end(worker, now));
    }
    if let Some(ask) = &ask {
        let taken = charge::charge(ask, &request, &verdict, read.as_ref(), now, &refuser)?;
        (forward.ticket, forward.tokens, forward.transcript) = (taken.ticket, taken.tokens, taken.transcript);
    }
    if let Some(caller) = caller.as_ref().filter(|_| verdict.lists) {
        forward.filter = permit::keeper(worker, live, caller, route.server, source);
    }
    forward.caller = caller;
    let head_len = head.head_len;
    client.note_request(now, total);
    compose::put_in_place(worker, &mut client.inbox, head_len);
    Ok(Judged::Admission(Admission::Forward(forward)))
}

fn head_limits(limits: &Limits) -> HeadLimits {
    HeadLimits {
        head_bytes: limits.head_bytes_max,
        target_bytes: limits.uri_bytes_max,
        headers: limits.headers_max,
    }
}

/// Path, host and origin.
fn check_target<'l, 'b: 'l>(
    live: &'l Live,
    head: &RequestHead<'b>,
    refuser: &mut Refuser<'b>,
) -> Result<Route<'l>, Refusal> {
    let snapshot = &live.deployment.snapshot;
    if !head.host.is_none_or(|host| snapshot.hosts.allows(host)) {
        let message = "this Host is not served: add it to hosts, or use a name the gateway is known by";
        return Err(refuser.refuse(Reply::status(Cause::UnknownHost, 403, message)));
    }
    if let Some(origin) = head.get(HeaderId::Origin) {
        if !snapshot.origins.allows(origin, head.host) {
            let message = match origin {
                b"null" => {
                    "a page without an origin of its own (a sandboxed frame, a file) may not call the gateway: serve it from one that origins can list"
                }
                _ => "pages of this Origin may not call the gateway: add it to origins",
            };
            return Err(refuser.refuse(Reply::status(Cause::ForeignOrigin, 403, message)));
        }
        refuser.origin = Some(origin);
    }
    if head.path.starts_with(identify::METADATA_PATH)
        && let Some(document) = identify::metadata(snapshot, head, refuser)
    {
        return Err(document);
    }
    if let Some(message) = browser::refusal(head) {
        return Err(refuser.refuse(Reply::status(Cause::ForeignOrigin, 403, message)));
    }
    if head.method == Method::Options && refuser.origin.is_none() && matches!(head.path, b"*" | b"/") {
        return Err(refuser.probe());
    }
    let Some(route) = snapshot.route(head.path) else {
        let message = match nearby(snapshot, head.path) {
            Some(near) => Cow::Owned(format!("no MCP server at this path: did you mean {near}?")),
            None => Cow::Borrowed("no MCP server at this path"),
        };
        return Err(refuser.refuse(Reply::status(Cause::NoServer, 404, &message)));
    };
    refuser.server = Some(route.server.id);
    Ok(route)
}

/// The path of a server that somebody may have meant by `path`, who wrote a final slash or left one out, or named a
/// server without its `/mcp`.
#[cold]
fn nearby(snapshot: &Snapshot, path: &[u8]) -> Option<String> {
    let path = std::str::from_utf8(path).ok()?;
    let bare = path.trim_end_matches('/');
    let candidates = [bare.to_owned(), format!("{bare}/"), format!("{bare}/mcp")];
    let is_served = |path: &String| snapshot.route(path.as_bytes()).is_some_and(|route| route.rest.is_none());
    candidates.into_iter().find(is_served)
}

/// What the headers say, for the rules of MCP.
fn header_facts<'b>(head: &RequestHead<'b>) -> HeaderFacts<'b> {
    let mut facts = HeaderFacts::default();
    for field in head.headers() {
        let known = match field.id {
            HeaderId::Accept => McpHeader::Accept,
            HeaderId::ContentEncoding => McpHeader::ContentEncoding,
            HeaderId::ContentType => McpHeader::ContentType,
            HeaderId::LastEventId => McpHeader::LastEventId,
            HeaderId::McpMethod => McpHeader::Method,
            HeaderId::McpName => McpHeader::Name,
            HeaderId::McpProtocolVersion => McpHeader::ProtocolVersion,
            HeaderId::McpSessionId => McpHeader::SessionId,
            _ => continue,
        };
        facts.note_known(known, field.value);
    }
    facts
}

/// HTTP method and media types: all that can be judged before the body is read.
fn check_method(
    head: &RequestHead<'_>,
    facts: &HeaderFacts<'_>,
    route: &Route<'_>,
    refuser: &Refuser<'_>,
) -> Result<(), Refusal> {
    let message_endpoint = route.rest.is_some();
    let sse_transport = matches!(route.server.transport, Transport::Sse { .. });
    match head.method {
        Method::Post if message_endpoint => {
            // The answer is a bare 202, so what the client accepts does not matter.
            let mut facts = *facts;
            facts.note(b"accept", b"*/*");
            mcp::check_media(&facts).map_err(|fault| refuser.fault(&fault))
        }
        Method::Post if !sse_transport => mcp::check_media(facts).map_err(|fault| refuser.fault(&fault)),
        // Chunks may turn out to hold nothing: some proxies frame every request so.
        Method::Get | Method::Delete if matches!(head.framing, BodyFraming::Length(_)) => {
            Err(refuser.refuse(no_body()))
        }
        Method::Get if !message_endpoint => {
            mcp::check_get(facts).map(drop).map_err(|fault| refuser.fault(&fault))
        }
        Method::Delete if !message_endpoint && !sse_transport => {
            mcp::check_delete(facts).map(drop).map_err(|fault| refuser.fault(&fault))
        }
        Method::Options if head.get(HeaderId::Origin).is_some() => Err(refuser.preflight(head)),
        _ => {
            let allow = match (sse_transport, message_endpoint) {
                (true, true) => "allow: POST\r\n",
                (true, false) => "allow: GET\r\n",
                (false, _) => "allow: POST, GET, DELETE\r\n",
            };
            Err(refuser.refuse(
                Reply::status(Cause::Method, 405, "this method is not offered here").with_headers(allow),
            ))
        }
    }
}

enum BodyLen {
    Known(usize),
    Unwrap,
}

fn body_len(
    head: &RequestHead<'_>,
    client: &Client,
    body_bytes_max: usize,
    refuser: &Refuser<'_>,
) -> Result<BodyLen, Refusal> {
    match (head.framing, &client.chunked) {
        (BodyFraming::None, _) => Ok(BodyLen::Known(0)),
        (BodyFraming::Length(length), _) => match usize::try_from(length) {
            Ok(length) if length <= body_bytes_max => Ok(BodyLen::Known(length)),
            _ => Err(refuser.refuse(too_large())),
        },
        (BodyFraming::Chunked, Some(body)) if body.whole => Ok(BodyLen::Known(body.payload)),
        (BodyFraming::Chunked, _) => Ok(BodyLen::Unwrap),
    }
}

fn no_body() -> Reply<'static> {
    Reply::status(Cause::BadHttp, 400, "GET and DELETE take no body").closing()
}

fn too_large() -> Reply<'static> {
    Reply::status(Cause::BodySize, 413, "the body is larger than limits.body_bytes_max")
}

/// Unwraps what has come of a chunked body. `true` when it is whole: then head and payload stand together
/// in the inbox, and what follows is the next request.
fn unwrap_chunks(
    worker: &Worker,
    live: &Live,
    client: &mut Client,
    head_len: usize,
    bodiless: bool,
) -> Result<bool, Refusal> {
    let body_bytes_max = if bodiless { 0 } else { live.deployment.snapshot.limits.body_bytes_max };
    let body = client.chunked.get_or_insert_with(|| ChunkedBody {
        unwrapper: InPlace::new(body_bytes_max),
        payload: 0,
        whole: false,
    });
    let unwrapped = body.unwrapper.unwrap(&mut client.inbox.filled_mut()[head_len..]).map_err(|error| {
        let reply = match error {
            ChunkError::TooLarge if bodiless => no_body(),
            ChunkError::TooLarge => too_large(),
            other => Reply::status(Cause::BadHttp, other.status(), other.message()).closing(),
        };
        Refuser::new(worker).refuse(reply)
    })?;
    body.payload = unwrapped.payload;
    let Some(next) = unwrapped.next else {
        client.inbox.truncate(head_len + unwrapped.payload);
        return Ok(false);
    };
    body.whole = true;
    let waste = next - unwrapped.payload;
    client.inbox.filled_mut().copy_within(..head_len + unwrapped.payload, waste);
    client.inbox.consume(waste);
    Ok(true)
}
