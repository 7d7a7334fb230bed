//! Steps 3 to 9 of the walk: is this a request, may it pass, and where does it go. Plain functions over
//! the bytes in the client's inbox: no await, no clock, no lock.
//!
//! The order of checks: HTTP framing, path, host and origin, method, size, media types, then the body
//! (JSON-RPC, era, headers against body). What passes is turned into the upstream's request in place:
//! the body stays where it was received and the new head is put right before it.

use std::ops::Range;
use std::rc::Rc;

use super::client::Client;
use super::head;
use super::reply::Reply;
use super::worker::{Live, Worker};
use crate::base::{Buf, Ticks};
use crate::config::snapshot::{Limits, Route, ServerId, Transport};
use crate::policy::listing::Keep;
use crate::telemetry::Kind;
use crate::wire::http1::chunked::{ChunkError, InPlace};
use crate::wire::http1::{
    BodyFraming, HeadLimits, HeaderId, Method, Parsed, RequestHead, Version, parse_request_head,
};
use crate::wire::json::Padded;
use crate::wire::jsonrpc::{self, Field, JsonLimits, Message};
use crate::wire::mcp::{self, Era, HeaderFacts, McpFault, McpHeader, Mirror, PostRules};

mod compose;

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
    /// Of these, the request line and `Host`: what another endpoint wants otherwise.
    pub front_len: usize,
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
    /// When the request was whole.
    pub started: Ticks,
    /// What the lists in the answer show, if not all of it.
    pub filter: Option<Box<dyn Keep>>,
}

/// An answer of the gateway itself, ready to be sent.
pub struct Refusal {
    /// The whole answer.
    pub buf: Buf,
    /// Its status.
    pub status: u16,
    /// The connection ends after it.
    pub close: bool,
    /// Bytes of the inbox that it answers.
    pub request_len: usize,
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
        Ok(Judged::Chunked { head_len }) => match unwrap_chunks(worker, live, client, head_len) {
            Ok(true) => admit(worker, live, client, now),
            Ok(false) => Admission::More { total: 0, in_body: true, send_continue: false },
            Err(refusal) => Admission::Refuse(refusal),
        },
        Err(refusal) => Admission::Refuse(refusal),
    }
}

enum Judged {
    Admission(Admission),
    /// The head passed; the chunks behind it are to be unwrapped first.
    Chunked {
        head_len: usize,
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
        Err(error) => return Err(refuser.refuse(Reply::status(error.status(), error.message()).closing())),
    };
    refuser.head_only = head.method == Method::Head;
    let last = !head.keep_alive || worker.is_draining() || client.watch.is_deaf();
    refuser.close = last || head.framing != BodyFraming::None;
    refuser.request_len = head.head_len;
    let route = check_target(live, &head, &mut refuser)?;
    let facts = header_facts(&head);
    check_method(&head, &facts, &route, &refuser)?;
    let body_len = match body_len(&head, client, limits.body_bytes_max, &refuser)? {
        BodyLen::Known(length) => length,
        BodyLen::Unwrap => {
            if head.expect_continue && !client.continued {
                return Ok(Judged::Admission(Admission::More {
                    total: 0,
                    in_body: true,
                    send_continue: true,
                }));
            }
            return Ok(Judged::Chunked { head_len: head.head_len });
        }
    };
    let total = head.head_len + body_len;
    if client.inbox.len() < total {
        let send_continue = head.expect_continue && !client.continued;
        return Ok(Judged::Admission(Admission::More { total, in_body: true, send_continue }));
    }
    refuser.request_len = total;
    refuser.close = last;
    let verdict = judge_message(&client.inbox, &head, body_len, &facts, &route, limits, &mut refuser)?;
    let mut forward = compose::compose(worker, live, &head, body_len, &route, &verdict, &facts, now);
    forward.close = last;
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

fn json_limits(limits: &Limits) -> JsonLimits {
    JsonLimits {
        depth_max: u32::try_from(limits.json_depth_max).unwrap_or(u32::MAX),
        batch_max: u32::try_from(limits.batch_max).unwrap_or(u32::MAX),
        ..JsonLimits::default()
    }
}

/// Makes refusals: knows what every answer to this request has in common.
struct Refuser<'b> {
    worker: &'b Worker,
    origin: Option<&'b [u8]>,
    request_len: usize,
    close: bool,
    head_only: bool,
    server: Option<ServerId>,
    kind: Kind,
}

impl<'b> Refuser<'b> {
    fn new(worker: &'b Worker) -> Self {
        Self {
            worker,
            origin: None,
            request_len: 0,
            close: true,
            head_only: false,
            server: None,
            kind: Kind::Unknown,
        }
    }

    fn refuse(&self, reply: Reply<'_>) -> Refusal {
        let close = self.close || reply.close;
        Refusal {
            buf: Reply { close, origin: self.origin, ..reply }.render(self.worker, self.head_only),
            status: reply.status,
            close,
            request_len: self.request_len,
            server: self.server,
            kind: self.kind,
        }
    }

    /// What a browser asks before it lets a page call (Fetch, CORS preflight). The origin was checked.
    fn preflight(&self, head: &RequestHead<'_>) -> Refusal {
        let buf = head::preflight(self.worker, head, self.close);
        Refusal {
            buf,
            status: 204,
            close: self.close,
            request_len: self.request_len,
            server: self.server,
            kind: self.kind,
        }
    }

    fn fault(&self, fault: &McpFault<'_>) -> Refusal {
        self.refuse(Reply {
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

/// Path, host and origin.
fn check_target<'l, 'b>(
    live: &'l Live,
    head: &RequestHead<'b>,
    refuser: &mut Refuser<'b>,
) -> Result<Route<'l>, Refusal> {
    let snapshot = &live.deployment.snapshot;
    if !head.host.is_none_or(|host| snapshot.hosts.allows(host)) {
        let message = "this Host is not served: add it to hosts, or use a name the gateway is known by";
        return Err(refuser.refuse(Reply::status(403, message)));
    }
    if let Some(origin) = head.get(HeaderId::Origin) {
        if !snapshot.origins.allows(origin, head.host) {
            let message = "pages of this Origin may not call the gateway: add it to origins";
            return Err(refuser.refuse(Reply::status(403, message)));
        }
        refuser.origin = Some(origin);
    }
    let Some(route) = snapshot.route(head.path) else {
        return Err(refuser.refuse(Reply::status(404, "no MCP server at this path")));
    };
    refuser.server = Some(route.server.id);
    Ok(route)
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
        Method::Get | Method::Delete if head.framing != BodyFraming::None => {
            Err(refuser.refuse(Reply::status(400, "GET and DELETE take no body").closing()))
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
            Err(refuser.refuse(Reply::status(405, "this method is not offered here").with_headers(allow)))
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

fn too_large() -> Reply<'static> {
    Reply::status(413, "the body is larger than limits.body_bytes_max").closing()
}

/// Unwraps what has come of a chunked body. `true` when it is whole: then head and payload stand together
/// in the inbox, and what follows is the next request.
fn unwrap_chunks(
    worker: &Worker,
    live: &Live,
    client: &mut Client,
    head_len: usize,
) -> Result<bool, Refusal> {
    let body_bytes_max = live.deployment.snapshot.limits.body_bytes_max;
    let body = client.chunked.get_or_insert_with(|| ChunkedBody {
        unwrapper: InPlace::new(body_bytes_max),
        payload: 0,
        whole: false,
    });
    let unwrapped = body.unwrapper.unwrap(&mut client.inbox.filled_mut()[head_len..]).map_err(|error| {
        let reply = match error {
            ChunkError::TooLarge => too_large(),
            other => Reply::status(other.status(), other.message()).closing(),
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

/// What was found about a message that passed.
struct Verdict {
    kind: Kind,
    mirror: Mirror,
    modern: bool,
    safe: bool,
    /// The raw id, as offsets into the body.
    id: Option<Range<usize>>,
}

/// The body of a POST: JSON-RPC, era, headers against body. GET and DELETE have none.
fn judge_message(
    inbox: &Buf,
    head: &RequestHead<'_>,
    body_len: usize,
    facts: &HeaderFacts<'_>,
    route: &Route<'_>,
    limits: &Limits,
    refuser: &mut Refuser<'_>,
) -> Result<Verdict, Refusal> {
    let bodiless = |kind| Verdict { kind, mirror: Mirror::Unverified, modern: false, safe: true, id: None };
    match head.method {
        Method::Get => return Ok(bodiless(Kind::Stream)),
        Method::Delete => return Ok(bodiless(Kind::Delete)),
        _ => {}
    }
    let (all, length) = inbox.padded(head.head_len..head.head_len + body_len);
    let body =
        Padded::new(all, length).ok_or_else(|| refuser.refuse(Reply::status(500, "internal error")))?;
    let message = jsonrpc::extract_envelope(body, &json_limits(limits))
        .map_err(|fault| refuser.fault(&McpFault::from(fault)))?;
    refuser.kind = kind_of(&message);
    if route.rest.is_some() {
        // HTTP+SSE of 2024-11-05 knows neither the version header nor mirrored ones.
        let id = id_range(&message);
        return Ok(Verdict {
            kind: refuser.kind,
            mirror: Mirror::Unverified,
            modern: false,
            safe: false,
            id,
        });
    }
    let post =
        mcp::check_post(facts, &message, &PostRules::default()).map_err(|fault| refuser.fault(&fault))?;
    Ok(Verdict {
        kind: refuser.kind,
        mirror: post.mirror,
        modern: matches!(post.era, Era::Modern(_)),
        safe: post.method.is_some_and(|method| method.safe) || is_idempotent_tool(&message, route),
        id: id_range(&message),
    })
}

fn kind_of(message: &Message<'_>) -> Kind {
    let asks = match message {
        Message::Single(envelope) => envelope.kind() == jsonrpc::Kind::Request,
        Message::Batch(facts) => facts.requests > 0,
    };
    if asks { Kind::Request } else { Kind::Message }
}

fn id_range(message: &Message<'_>) -> Option<Range<usize>> {
    let Message::Single(envelope) = message else { return None };
    let span = envelope.parts().span(Field::Id)?;
    Some(span.start as usize..span.end as usize)
}

fn is_idempotent_tool(message: &Message<'_>, route: &Route<'_>) -> bool {
    let tools = &route.server.idempotent_tools;
    let Message::Single(envelope) = message else { return false };
    !tools.is_empty()
        && envelope.text(Field::Method).is_some_and(|method| method.eq(b"tools/call"))
        && envelope.text(Field::Name).is_some_and(|name| tools.iter().any(|tool| name.eq(tool.as_bytes())))
}
