//! Whether the caller may: each message of a request against the rules, and the answers to those that may not.

use std::net::IpAddr;
use std::rc::Rc;

use super::Refusal;
use super::identify::{has_scopes, needs_scope};
use super::refuser::Refuser;
use crate::config::snapshot::{Access, DeniedAs, Limits, Server};
use crate::io::Peer;
use crate::policy::authz::{
    Decision, Facts, Lists, Operation, Path, Repeated, Rules, Showing, Target, Verdict,
};
use crate::policy::expr::ParsedMessage;
use crate::policy::listing::{Bounds, Keep, Kind as Listed, Steps};
use crate::policy::rate_limit;
use crate::proxy::caller::Caller;
use crate::proxy::reply::Reply;
use crate::proxy::worker::{Live, Worker};
use crate::telemetry::Cause;
use crate::wire::http1::allow::reads_as;
use crate::wire::http1::{Header, HeaderId, RequestHead};
use crate::wire::json::{Padded, Text};
use crate::wire::jsonrpc::{self, Envelope, Kind, Message};
use crate::wire::mcp::{Method, MethodId, Object, method};

mod log;

use log::{DENIED, REPORTED};

/// JSON-RPC: the parameters are not good; also what MCP gives an unknown tool or prompt.
const INVALID_PARAMS: i64 = -32602;
/// JSON-RPC: no such method.
const METHOD_NOT_FOUND: i64 = -32601;
/// MCP up to 2025-11-25: no such resource.
const RESOURCE_NOT_FOUND: i64 = -32002;

/// Where a listener names the resources that it wants to hear of (MCP 2026-07-28).
const SUBSCRIPTIONS: &str = "params.notifications.resourceSubscriptions";

/// What is asked of whom, by whom: everything that the rules are given besides the message.
#[derive(Clone, Copy)]
pub struct Ask<'a, 'b> {
    /// The worker.
    pub worker: &'a Worker,
    /// The deployment.
    pub live: &'a Live,
    /// Who calls.
    pub caller: &'a Caller,
    /// The server.
    pub server: &'a Server,
    /// The head of the request.
    pub head: &'a RequestHead<'b>,
    /// The address it came from.
    pub source: Option<IpAddr>,
    /// The request is of revision 2026-07-28 or later.
    pub modern: bool,
    /// What was parsed of the message, and what the request may spend on expressions.
    pub parsed: &'a ParsedMessage,
    /// Its answer comes on a stream of its own (HTTP+SSE of 2024-11-05): in the body of this one no client looks.
    pub aside: bool,
}

/// The address that a client's requests come from.
pub fn source(peer: Peer) -> Option<IpAddr> {
    match peer {
        Peer::Tcp(address) => Some(address.ip().to_canonical()),
        Peer::Unix => None,
    }
}

/// The scopes that every request to the server needs.
pub fn check_scopes(caller: &Caller, server: &Server, refuser: &Refuser<'_>) -> Result<(), Refusal> {
    if has_scopes(caller, &server.protection) {
        return Ok(());
    }
    Err(needs_scope(refuser, &server.protection, "", None))
}

/// A request without a body: the stream of a GET, the end of a session.
pub fn check_bodiless(ask: &Ask<'_, '_>, method: &str, refuser: &Refuser<'_>) -> Result<(), Refusal> {
    let Some(rules) = &ask.access().rules else { return Ok(()) };
    let operation = Operation { server: ask.server.id.0, method, target: Target::Protocol };
    let decision = ask.decide(rules, &operation, &[], None);
    ask.judge(&decision, &operation, None, refuser)
}

/// A posted message, or each of a batch.
pub fn check_message(
    ask: &Ask<'_, '_>,
    message: &Message<'_>,
    body: Padded<'_>,
    limits: &Limits,
    refuser: &Refuser<'_>,
) -> Result<(), Refusal> {
    let Some(rules) = &ask.access().rules else { return Ok(()) };
    match message {
        Message::Single(envelope) => ask.check_one(rules, envelope, refuser),
        Message::Batch(_) => {
            let mut refused = None;
            let visited = jsonrpc::for_each_envelope(body, &super::json_limits(limits), |envelope| {
                if refused.is_none() {
                    let parsed = ask.parsed.next();
                    refused = Ask { parsed: &parsed, ..*ask }.check_one(rules, &envelope, refuser).err();
                    ask.parsed.spend_as(&parsed);
                }
            });
            if visited.is_err() || refused.is_some() {
                // One answer cannot be mixed with those of the server, so the batch passes as a whole or not at all.
                let message = "a message of this batch may not pass: send its messages one by one";
                return Err(refuser.refuse(Reply::status(Cause::Denied, 403, message)));
            }
            Ok(())
        }
    }
}

impl<'a> Ask<'a, '_> {
    fn access(&self) -> &Access {
        &self.live.deployment.snapshot.access
    }

    fn check_one(
        &self,
        rules: &Rules,
        envelope: &Envelope<'_>,
        refuser: &Refuser<'_>,
    ) -> Result<(), Refusal> {
        let id = envelope.id();
        let (mut first, mut second) = (String::new(), String::new());
        let Some(name) = envelope.method() else {
            let operation =
                Operation { server: self.server.id.0, method: "(response)", target: Target::Protocol };
            let decision = self.decide(rules, &operation, whole(envelope), None);
            return self.judge(&decision, &operation, None, refuser);
        };
        let name = plain(name, &mut first);
        let known = method(name.as_bytes());
        let malformed = |what: &str| {
            refuser.refuse(Reply {
                code: INVALID_PARAMS,
                ..Reply::status(Cause::BadMessage, 400, what).with_id(id)
            })
        };
        let target = match target_of(envelope, known, &mut second) {
            Ok(target) => target,
            Err(what) => return Err(malformed(what)),
        };
        let operation = Operation { server: self.server.id.0, method: name, target };
        let decision = self.decide(rules, &operation, whole(envelope), envelope.arguments());
        self.judge(&decision, &operation, id.filter(|_| envelope.kind() == Kind::Request), refuser)?;
        if known.is_some_and(|known| known.id == MethodId::SubscriptionsListen) {
            return self.check_listen(rules, envelope, refuser, malformed);
        }
        Ok(())
    }

    /// What a listener subscribes to is in its parameters: every resource must be one that it may use.
    fn check_listen(
        &self,
        rules: &Rules,
        envelope: &Envelope<'_>,
        refuser: &Refuser<'_>,
        malformed: impl Fn(&str) -> Refusal,
    ) -> Result<(), Refusal> {
        // What is checked is what every server reads: no key twice, and none in another case.
        let Some(message) = self.parsed.body(whole(envelope)) else {
            return Err(malformed("the message cannot be read in one way only"));
        };
        let found = Path::parse(SUBSCRIPTIONS).map(|path| path.find_clear(message));
        let Ok(Ok(uris)) = found else {
            return Err(malformed("params.notifications.resourceSubscriptions is spelt in another case"));
        };
        let Some(uris) = uris else { return Ok(()) };
        let Some(uris) = uris.as_array() else {
            return Err(malformed("params.notifications.resourceSubscriptions is not a list"));
        };
        for uri in uris {
            let Some(uri) = uri.as_str() else {
                return Err(malformed(
                    "params.notifications.resourceSubscriptions has an element that is no string",
                ));
            };
            let method = "resources/subscribe";
            let operation = Operation { server: self.server.id.0, method, target: Target::Resource(uri) };
            let decision = self.decide(rules, &operation, whole(envelope), None);
            self.judge(&decision, &operation, envelope.id(), refuser)?;
        }
        Ok(())
    }

    fn decide(
        &self,
        rules: &Rules,
        operation: &Operation<'_>,
        body: &[u8],
        arguments: Option<&[u8]>,
    ) -> Decision {
        let header = |name: &str| self.header(name);
        let (source, now, parsed) = (self.source, self.worker.wall(), self.parsed);
        let facts = Facts { source, now, body, arguments, header: &header, parsed };
        let Some(grants) = &self.caller.grants else {
            return Decision { verdict: Verdict::Deny, rule: None, reported: None };
        };
        rules.authorize(grants, &self.caller.principal, operation, &facts)
    }

    /// The value of a header that rules and limits may look at. What `Connection` names does not reach the server, and counts as
    /// not there. A name with `_` for `-` is the same header to some servers and another to others.
    pub(super) fn header(&self, name: &str) -> Result<Option<&'a [u8]>, Repeated> {
        let reaches_it = |field: &Header<'_>| {
            reads_as(field.name, name.as_bytes())
                && !is_credential(field.id)
                && !self.head.is_named_by_connection(field.name)
        };
        let mut lines = self.head.headers().filter(reaches_it);
        let Some(first) = lines.next() else { return Ok(None) };
        let is_it = first.name.eq_ignore_ascii_case(name.as_bytes());
        if lines.next().is_some() || !is_it { Err(Repeated) } else { Ok(Some(first.value)) }
    }

    fn judge(
        &self,
        decision: &Decision,
        operation: &Operation<'_>,
        id: Option<&[u8]>,
        refuser: &Refuser<'_>,
    ) -> Result<(), Refusal> {
        if let Some(rule) = decision.reported {
            self.worker.stats.borrow_mut().reported += 1;
            self.log(rule, operation, &REPORTED, "a rule in report mode would decide otherwise");
        }
        match &decision.verdict {
            Verdict::Allow => Ok(()),
            Verdict::NeedsScope(scope) => {
                self.worker.stats.borrow_mut().denied += 1;
                Err(needs_scope(refuser, &self.server.protection, scope, id))
            }
            Verdict::Deny => {
                self.worker.stats.borrow_mut().denied += 1;
                self.log(decision.rule.unwrap_or(u32::MAX), operation, &DENIED, "denied");
                Err(self.denial(operation, id, refuser))
            }
        }
    }

    /// What a denied caller is told: what a server says of something that it does not have, unless the
    /// configuration prefers 403.
    fn denial(&self, operation: &Operation<'_>, id: Option<&[u8]>, refuser: &Refuser<'_>) -> Refusal {
        let answer = |status, code, message: &str, data: Option<&[u8]>| {
            // The status is all that such a client sees; with 200 it would wait for an answer on its stream.
            let status = if self.aside && status == 200 { 400 } else { status };
            refuser.refuse(Reply { code, data, ..Reply::status(Cause::Denied, status, message).with_id(id) })
        };
        let denied_as = self.access().denied_as;
        let Some(raw_id) = id.filter(|_| denied_as != DeniedAs::Forbidden) else {
            return answer(403, 403, "you may not do this here", None);
        };
        let unknown = |what: &str, name: &str| format!("Unknown {what}: {name}");
        match operation.target {
            // On the stream of HTTP+SSE the result would be looked for, and not here.
            Target::Tool(name) if denied_as != DeniedAs::Unknown && !self.aside => {
                let mut body = Vec::with_capacity(128);
                let is_error = denied_as == DeniedAs::Result;
                rate_limit::write_told(&unknown("tool", name), raw_id, self.modern, is_error, &mut body);
                refuser.whole(Cause::Denied, 200, b"", &body)
            }
            Target::Tool(name) => answer(200, INVALID_PARAMS, &unknown("tool", name), None),
            Target::Prompt(name) => answer(200, INVALID_PARAMS, &unknown("prompt", name), None),
            Target::Resource(uri) => {
                let code = if self.modern { INVALID_PARAMS } else { RESOURCE_NOT_FOUND };
                let data = serde_json::json!({ "uri": uri }).to_string();
                answer(200, code, "Resource not found", Some(data.as_bytes()))
            }
            Target::Protocol if method(operation.method.as_bytes()).is_none() => {
                answer(if self.modern { 404 } else { 200 }, METHOD_NOT_FOUND, "Method not found", None)
            }
            Target::Protocol => answer(403, 403, "you may not use this server", None),
        }
    }
}

/// The message itself: of a batch, only its own part.
pub fn whole<'b>(envelope: &Envelope<'b>) -> &'b [u8] {
    envelope.parts().whole().of(envelope.body())
}

/// Headers that hold credentials: rules never see them.
fn is_credential(id: HeaderId) -> bool {
    matches!(
        id,
        HeaderId::Authorization | HeaderId::ProxyAuthorization | HeaderId::XApiKey | HeaderId::Cookie
    )
}

/// A text as it is meant, in `scratch` if it is not written so.
pub fn plain<'t>(text: Text<'t>, scratch: &'t mut String) -> &'t str {
    if let Some(plain) = text.plain() {
        return plain;
    }
    let mut bytes = Vec::new();
    text.decode(&mut bytes);
    *scratch = String::from_utf8(bytes).unwrap_or_default();
    scratch
}

/// What a message is about. A message that names nothing where it must is refused: the server could read it otherwise.
pub fn target_of<'t>(
    envelope: &Envelope<'t>,
    known: Option<&'static Method>,
    scratch: &'t mut String,
) -> Result<Target<'t>, &'static str> {
    let Some(known) = known else { return Ok(Target::Protocol) };
    match (known.id, known.object) {
        (MethodId::CompletionComplete, _) => match (envelope.ref_name(), envelope.ref_uri()) {
            (Some(name), None) => Ok(Target::Prompt(plain(name, scratch))),
            (None, Some(uri)) => Ok(Target::Resource(plain(uri, scratch))),
            _ => Err("params.ref names neither one prompt nor one resource"),
        },
        (MethodId::ToolsCall, _) => {
            let name = envelope.name().ok_or("params.name is missing")?;
            Ok(Target::Tool(plain(name, scratch)))
        }
        (MethodId::PromptsGet, _) => {
            let name = envelope.name().ok_or("params.name is missing")?;
            Ok(Target::Prompt(plain(name, scratch)))
        }
        (MethodId::ResourcesRead | MethodId::ResourcesSubscribe | MethodId::ResourcesUnsubscribe, _) => {
            let uri = envelope.uri().ok_or("params.uri is missing")?;
            Ok(Target::Resource(plain(uri, scratch)))
        }
        (_, Object::None | Object::TaskId | Object::Name | Object::Uri | Object::Ref) => Ok(Target::Protocol),
    }
}

/// What a caller may see in lists; `None` where there are no rules, and it may see everything.
pub fn keeper(
    worker: &Worker,
    live: &Rc<Live>,
    caller: &Rc<Caller>,
    server: &Server,
    source: Option<IpAddr>,
) -> Option<Box<dyn Keep>> {
    live.deployment.snapshot.access.rules.as_ref()?;
    let (live, caller) = (live.clone(), caller.clone());
    let (server, now, showing) = (server.id.0, worker.wall(), Showing::default());
    Some(Box::new(Keeper { live, caller, server, source, now, showing }))
}

/// What a caller may see in lists, as of the request.
struct Keeper {
    live: Rc<Live>,
    caller: Rc<Caller>,
    server: u16,
    source: Option<IpAddr>,
    /// Seconds since 1970 (UTC).
    now: u64,
    showing: Showing,
}

impl Keep for Keeper {
    fn bounds(&self) -> Bounds {
        let limits = &self.live.deployment.snapshot.limits;
        let ttl_ms = u64::try_from(limits.list_ttl_max.as_millis()).unwrap_or(u64::MAX);
        Bounds { items: limits.list_items_max, steps: limits.list_steps_max, ttl_ms }
    }

    fn keeps(&self, kind: Listed, name: &str, steps: &Steps) -> bool {
        let (method, target) = match kind {
            Listed::Tool => ("tools/call", Target::Tool(name)),
            Listed::Prompt => ("prompts/get", Target::Prompt(name)),
            Listed::Resource | Listed::ResourceTemplate => ("resources/read", Target::Resource(name)),
        };
        let operation = Operation { server: self.server, method, target };
        match (&self.live.deployment.snapshot.access.rules, &self.caller.grants) {
            (Some(rules), Some(grants)) => {
                let (principal, source, now) = (&self.caller.principal, self.source, self.now);
                let lists = Lists { principal, source, now, showing: &self.showing, steps };
                rules.shows_among(grants, &lists, &operation)
            }
            _ => false,
        }
    }
}

/// Whether the answer to this message, of this method, can hold a list, now or when its stream is resumed, or says who may
/// keep it, or names resources that changed.
pub fn lists(message: &Message<'_>, known: Option<&Method>, modern: bool) -> bool {
    use MethodId::{
        PromptsList, ResourcesList, ResourcesRead, ResourcesTemplatesList, ServerDiscover,
        SubscriptionsListen, ToolsList,
    };
    match message {
        Message::Single(_) => known.is_some_and(|known| match known.id {
            ToolsList | PromptsList | ResourcesList | ResourcesTemplatesList => true,
            ResourcesRead | ServerDiscover | SubscriptionsListen => modern,
            _ => false,
        }),
        Message::Batch(facts) => facts.requests > 0,
    }
}
