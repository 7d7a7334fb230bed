//! The message of a request: JSON-RPC, era, headers against body, and whether the caller may send it.

use std::ops::Range;

use super::permit::{self, Ask};
use super::refuser::Refuser;
use super::{Refusal, params};
use crate::base::Buf;
use crate::config::snapshot::{Limits, Route};
use crate::policy::adaptive::ToolKey;
use crate::proxy::reply::Reply;
use crate::telemetry::{Cause, Kind};
use crate::wire::http1::{HeaderId, Method, RequestHead};
use crate::wire::json::Padded;
use crate::wire::jsonrpc::{self, Envelope, Field, JsonLimits, Message};
use crate::wire::mcp::{self, Era, HeaderFacts, McpFault, MethodId, Mirror, PostRules};

/// A whole request, and where it goes.
pub struct Request<'a, 'b> {
    /// Its head.
    pub head: &'a RequestHead<'b>,
    /// Bytes of its body, which follows the head in the inbox.
    pub body_len: usize,
    /// Where it goes.
    pub route: &'a Route<'a>,
    /// What the headers say.
    pub facts: &'a HeaderFacts<'b>,
    /// The bounds of sizes.
    pub limits: &'a Limits,
}

/// What was found about a message that passed.
pub struct Verdict {
    /// What it was.
    pub kind: Kind,
    /// The answer may hold a list of what the server offers.
    pub lists: bool,
    /// What the mirrored headers are worth.
    pub mirror: Mirror,
    /// It is of revision 2026-07-28 or later.
    pub modern: bool,
    /// Its answer is a stream without an end in sight.
    pub endless: bool,
    /// It may be sent twice.
    pub safe: bool,
    /// Stands for the tool that is called, or the method.
    pub tool: ToolKey,
    /// It is no tool's work: what begins a session, keeps it, or lists what there is.
    pub beside: bool,
    /// It is the call of a tool, and nothing else, and its result may be the answer.
    pub is_call: bool,
    /// The raw id, as offsets into the body.
    pub id: Option<Range<usize>>,
}

/// A message, and the body that it was found in.
pub type Read<'i> = (Message<'i>, Padded<'i>);

/// Reads the message of a request into `read`, since a message is large, and each copy of it shows. GET and DELETE have
/// no body.
pub fn read<'i>(
    read: &mut Option<Read<'i>>,
    inbox: &'i Buf,
    request: &Request<'_, '_>,
    refuser: &Refuser<'_>,
) -> Result<(), Refusal> {
    if matches!(request.head.method, Method::Get | Method::Delete) {
        return Ok(());
    }
    let start = request.head.head_len;
    let (all, length) = inbox.padded(start..start + request.body_len);
    let Some(body) = Padded::new(all, length) else {
        return Err(refuser.refuse(Reply::status(Cause::Internal, 500, "internal error")));
    };
    match jsonrpc::extract_envelope(body, &json_limits(request.limits)) {
        Ok(message) => *read = Some((message, body)),
        Err(fault) => return Err(refuser.fault(&McpFault::from(fault))),
    }
    Ok(())
}

/// The bounds of JSON in a request.
pub fn json_limits(limits: &Limits) -> JsonLimits {
    JsonLimits {
        depth_max: u32::try_from(limits.json_depth_max).unwrap_or(u32::MAX),
        batch_max: u32::try_from(limits.batch_max).unwrap_or(u32::MAX),
        ..JsonLimits::default()
    }
}

/// What the request says, and that it may.
pub fn judge(
    read: Option<&Read<'_>>,
    request: &Request<'_, '_>,
    ask: Option<&Ask<'_, '_>>,
    refuser: &mut Refuser<'_>,
) -> Result<Verdict, Refusal> {
    let Some((message, body)) = read else {
        return match request.head.method {
            // A resumed stream may bring the answer to an earlier request for a list.
            Method::Get => bodiless(Kind::Stream, "(stream)", true, ask, refuser),
            _ => bodiless(Kind::Delete, "(delete)", false, ask, refuser),
        };
    };
    let body = *body;
    refuser.kind = kind_of(message);
    if calls_unseen(message, body, request.limits, request.route.rest.is_some()) {
        let what = "a request without an id: nobody would see its answer";
        return Err(refuser.refuse(Reply { code: -32600, ..Reply::status(Cause::BadMessage, 400, what) }));
    }
    let verdict = if request.route.rest.is_some() {
        // HTTP+SSE of 2024-11-05 knows neither the version header nor mirrored ones.
        Verdict {
            kind: refuser.kind,
            lists: permit::lists(message, method_of(message), false),
            mirror: Mirror::Unverified,
            modern: false,
            endless: false,
            safe: false,
            tool: tool_of(message),
            beside: is_beside(message),
            // Its answer would not be looked for in what the POST brings back.
            is_call: false,
            id: id_range(message),
        }
    } else {
        let post = mcp::check_post(request.facts, message, &PostRules::default())
            .map_err(|fault| refuser.fault(&fault))?;
        check_params(message, request, refuser)?;
        Verdict {
            kind: refuser.kind,
            lists: permit::lists(message, post.method, matches!(post.era, Era::Modern(_))),
            mirror: post.mirror,
            modern: matches!(post.era, Era::Modern(_)),
            endless: post.method.is_some_and(|method| method.endless),
            safe: post.method.is_some_and(|method| method.safe) || is_idempotent_tool(message, request.route),
            tool: tool_of(message),
            beside: is_beside(message),
            is_call: is_call(message),
            id: id_range(message),
        }
    };
    if let Some(ask) = ask {
        let ask = Ask { modern: verdict.modern, ..*ask };
        permit::check_message(&ask, message, body, request.limits, refuser)?;
    }
    Ok(verdict)
}

/// The arguments that headers repeat.
fn check_params(
    message: &Message<'_>,
    request: &Request<'_, '_>,
    refuser: &Refuser<'_>,
) -> Result<(), Refusal> {
    let Message::Single(envelope) = message else { return Ok(()) };
    if !request.head.fields.present().contains(HeaderId::McpParam)
        || params::agree(request.head, envelope.arguments())
    {
        return Ok(());
    }
    let what = "an Mcp-Param header and the arguments disagree";
    let reply = Reply::status(Cause::BadMessage, 400, what).with_id(envelope.id());
    Err(refuser.refuse(Reply { code: HEADER_MISMATCH, ..reply }))
}

/// MCP 2026-07-28: a header and the body disagree.
const HEADER_MISMATCH: i64 = -32020;

fn bodiless(
    kind: Kind,
    method: &str,
    lists: bool,
    ask: Option<&Ask<'_, '_>>,
    refuser: &Refuser<'_>,
) -> Result<Verdict, Refusal> {
    if let Some(ask) = ask {
        permit::check_bodiless(ask, method, refuser)?;
    }
    let endless = kind == Kind::Stream;
    Ok(Verdict {
        kind,
        lists,
        mirror: Mirror::Unverified,
        modern: false,
        endless,
        safe: true,
        tool: ToolKey(0),
        beside: false,
        is_call: false,
        id: None,
    })
}

/// Whether a message of a batch is a request by its method and a notification by its want of an id: a lenient server
/// would run it. Single ones are judged with the era.
fn calls_unseen(message: &Message<'_>, body: Padded<'_>, limits: &Limits, aside: bool) -> bool {
    let is_unseen = |envelope: &Envelope<'_>| {
        let known = envelope.method().and_then(mcp::find_method);
        let asks = known.is_some_and(|known| !known.is_notification());
        asks && envelope.kind() == jsonrpc::Kind::Notification
    };
    if let Message::Single(envelope) = message {
        // Elsewhere the rules of MCP for a POST see to it.
        return aside && is_unseen(envelope);
    }
    let mut unseen = false;
    let visited = jsonrpc::for_each_envelope(body, &json_limits(limits), |envelope| {
        unseen |= is_unseen(&envelope);
    });
    unseen || visited.is_err()
}

/// What takes its own time at the server: a tool, or a method. Of the names as they are written: who writes one
/// differently is measured apart.
fn tool_of(message: &Message<'_>) -> ToolKey {
    let Message::Single(envelope) = message else { return ToolKey(0) };
    let name = envelope.text(Field::Name).or_else(|| envelope.method());
    let fold = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    ToolKey(name.map_or(0, |name| name.raw().iter().fold(0xcbf2_9ce4_8422_2325, fold)))
}

fn is_beside(message: &Message<'_>) -> bool {
    let Message::Single(envelope) = message else { return false };
    envelope.method().and_then(mcp::find_method).is_some_and(|known| {
        matches!(
            known.id,
            MethodId::Initialize
                | MethodId::ServerDiscover
                | MethodId::Ping
                | MethodId::ToolsList
                | MethodId::PromptsList
                | MethodId::ResourcesList
                | MethodId::ResourcesTemplatesList
        )
    })
}

fn is_call(message: &Message<'_>) -> bool {
    let Message::Single(envelope) = message else { return false };
    envelope.kind() == jsonrpc::Kind::Request && envelope.method().is_some_and(|name| name.eq(b"tools/call"))
}

fn kind_of(message: &Message<'_>) -> Kind {
    let asks = match message {
        Message::Single(envelope) => envelope.kind() == jsonrpc::Kind::Request,
        Message::Batch(facts) => facts.requests > 0,
    };
    if asks { Kind::Request } else { Kind::Message }
}

fn method_of(message: &Message<'_>) -> Option<&'static mcp::Method> {
    let Message::Single(envelope) = message else { return None };
    envelope.method().and_then(mcp::find_method)
}

/// The raw id of a request that is not part of a batch.
pub fn id<'i>(read: Option<&Read<'i>>) -> Option<&'i [u8]> {
    match read {
        Some((Message::Single(envelope), _)) => envelope.id(),
        _ => None,
    }
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
