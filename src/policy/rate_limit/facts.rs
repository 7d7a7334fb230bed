//! What is known of a request when it is judged.

use std::net::IpAddr;

use super::Limits;
use super::key::CallerKeys;
use crate::base::Ticks;
use crate::policy::Principal;
use crate::policy::authz::{Lookup, Repeated, Target};
use crate::policy::expr::{Data, Document, Expression, Failure, HEADERS, ParsedMessage, Reader};

/// The variables of expressions in limits.
pub use crate::policy::authz::VARIABLES;

/// The present moment, on both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The one that never goes back: for rates.
    pub ticks: Ticks,
    /// Seconds since 1970 (UTC): for quotas of the calendar.
    pub wall: u64,
}

/// In place of a method: the end of a session (DELETE).
pub const END: &str = "(delete)";
/// In place of a method: the stream of a session (GET).
pub const STREAM: &str = "(stream)";

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// A JSON-RPC request: it gets an answer.
    Request,
    /// A notification, or an answer to the server.
    OneWay,
    /// None: GET and DELETE.
    None,
}

/// A message, and who sends it. Of a batch, each message is one.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// What it is.
    pub message: Message,
    /// The JSON-RPC method; for what has none: `(response)`, [`STREAM`], [`END`].
    pub method: &'a str,
    /// What it is about.
    pub target: Target<'a>,
    /// It is the first of its HTTP request, or the only one: `requests` are counted with it.
    pub is_first: bool,
    /// Index of the server.
    pub server: u16,
    /// Who calls.
    pub principal: &'a Principal,
    /// What [`Limits::caller`] made of it.
    pub keys: &'a CallerKeys,
    /// The client's address; `None` on a Unix socket.
    pub source: Option<IpAddr>,
    /// The message, checked to be valid JSON; empty if there is none.
    pub body: &'a [u8],
    /// `params.arguments` of it, as it stands there.
    pub arguments: Option<&'a [u8]>,
    /// The value of a header, by its lower-case name, as rules of access see it.
    pub header: &'a Lookup<'a>,
    /// What was parsed of this message, and what its request may spend on expressions.
    pub parsed: &'a ParsedMessage,
}

impl<'a> Facts<'a> {
    /// The tool that is called.
    #[inline]
    pub fn tool(&self) -> Option<&'a str> {
        match self.target {
            Target::Tool(name) => Some(name),
            Target::Prompt(_) | Target::Resource(_) | Target::Protocol => None,
        }
    }

    /// Whether it ends a session.
    #[inline]
    pub fn is_end(&self) -> bool {
        self.message == Message::None && self.method == END
    }

    /// Whether it is a call of a tool.
    #[inline]
    pub fn is_call(&self) -> bool {
        self.message == Message::Request && self.tool().is_some()
    }
}

/// Facts, and how expressions see them. The body is parsed at most once, and only if an expression asks.
pub struct Asked<'a, 'f> {
    /// The facts.
    pub facts: &'a Facts<'f>,
    limits: &'a Limits,
    wall: u64,
}

impl<'a, 'f> Asked<'a, 'f> {
    /// Of these facts.
    #[inline]
    pub fn new(limits: &'a Limits, facts: &'a Facts<'f>, wall: u64) -> Self {
        Self { facts, limits, wall }
    }

    /// The name of the server.
    #[inline]
    pub fn server(&self) -> &str {
        self.limits.servers.get(usize::from(self.facts.server)).map_or("", |name| name)
    }

    /// Whether the expression holds. One that has no answer does: it would be a way around the limit otherwise.
    pub fn holds(&self, expression: &Expression) -> bool {
        let budget = self.facts.parsed.budget();
        expression.eval(budget, |variable| self.value(variable, expression)).unwrap_or(true)
    }

    /// The value of the expression.
    pub fn text(&self, expression: &Expression) -> Option<String> {
        let budget = self.facts.parsed.budget();
        expression.text_of(budget, |variable| self.value(variable, expression)).ok()
    }

    /// A document as the expressions of limits see it.
    fn document(&self, document: Document) -> Result<Data, Failure> {
        let (facts, reader) = (self.facts, Reader::Limits(&self.limits.parts));
        facts.parsed.data(reader, document, || match document {
            Document::Body => facts.parsed.body(facts.body),
            Document::Arguments => facts.parsed.arguments(facts.arguments, facts.body, reader),
            Document::Claims => Some(&facts.principal.claims),
        })
    }

    /// The value of a variable. What a request has not is an empty text.
    fn value(&self, variable: &'static str, of: &Expression) -> Result<Data, Failure> {
        let (facts, principal) = (self.facts, self.facts.principal);
        let optional = |text: &Option<Box<str>>| Data::text(text.as_deref().unwrap_or(""));
        Ok(match (variable, facts.target) {
            ("method", _) => Data::text(facts.method),
            ("tool", Target::Tool(name))
            | ("prompt", Target::Prompt(name))
            | ("resource", Target::Resource(name)) => Data::text(name),
            ("tool" | "prompt" | "resource", _) => Data::text(""),
            ("server", _) => Data::text(self.server()),
            ("agent", _) => optional(&principal.agent),
            ("user", _) => optional(&principal.user),
            ("tenant", _) => optional(&principal.tenant),
            ("roles", _) => Data::texts(&principal.roles),
            ("scopes", _) => Data::texts(&principal.scopes),
            ("claims", _) => self.document(Document::Claims)?,
            ("source", _) => {
                let shown = facts.source.map(|address| address.to_canonical().to_string());
                Data::text(&shown.unwrap_or_default())
            }
            ("now", _) => Data::moment(self.wall),
            ("arguments", _) => self.document(Document::Arguments)?,
            ("body", _) => self.document(Document::Body)?,
            (HEADERS, _) => {
                let mut lines = Vec::with_capacity(of.headers().len());
                for name in of.headers() {
                    let found = (facts.header)(name)
                        .map_err(|Repeated| Failure::NoData("a header is there twice"))?;
                    if let Some(bytes) = found {
                        let text = String::from_utf8(bytes.to_vec());
                        lines.push((
                            &**name,
                            text.map_err(|_| Failure::NoData("a header is not UTF-8 text"))?,
                        ));
                    }
                }
                Data::map(lines)
            }
            _ => return Err(Failure::NoData("there is no such variable")),
        })
    }
}
