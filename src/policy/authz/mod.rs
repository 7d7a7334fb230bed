//! What a principal may do: one list of rules, allow and deny. A request that any deny rule matches is denied; else
//! one that any allow rule matches is allowed; else it is denied.

use std::net::IpAddr;

use super::principal::Principal;

/// The compiled rules.
#[derive(Debug, Default, PartialEq)]
pub struct Rules {}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// `tools/call`: the tool's name.
    Tool(&'a str),
    /// `prompts/get`, `completion/complete` of a prompt: the prompt's name.
    Prompt(&'a str),
    /// `resources/read`, `subscribe`, `unsubscribe`, `completion/complete` of a template: the URI.
    Resource(&'a str),
    /// Everything else.
    Protocol,
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub struct Operation<'a> {
    /// Index of the server.
    pub server: u16,
    /// The JSON-RPC method; for what has none: `(response)`, `(stream)` of a GET, `(delete)`.
    pub method: &'a str,
    /// What it is about.
    pub target: Target<'a>,
}

/// What else a rule may look at.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The client's address; `None` on a Unix socket.
    pub source: Option<IpAddr>,
    /// Seconds since 1970 (UTC).
    pub now: u64,
    /// The body of the request: one JSON-RPC message, checked to be valid JSON. Empty for GET and DELETE.
    pub body: &'a [u8],
    /// `params.arguments` of it, as it stands there.
    pub arguments: Option<&'a [u8]>,
    /// The first value of a header, by its lower-case name.
    pub header: &'a dyn Fn(&str) -> Option<&'a [u8]>,
}

/// The rules that a principal can ever meet, found once for all of its requests.
#[derive(Debug, Default)]
pub struct Grants {}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What happens.
    pub verdict: Verdict,
    /// The rule that decided, by its index in the configuration; `None` for the default.
    pub rule: Option<u32>,
    /// A rule in report mode that would have decided otherwise.
    pub reported: Option<u32>,
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Allow,
    /// It does not.
    Deny,
    /// It would pass with a token that has these scopes too: all that the operation needs, separated by spaces.
    NeedsScope(Box<str>),
}

impl Rules {
    /// The name of a rule.
    pub fn name(&self, rule: u32) -> Option<&str> {
        let _ = rule;
        None
    }

    /// The scopes named in allow rules that can apply to this server, sorted, without `offline_access`.
    pub fn scopes_of(&self, server: u16) -> Vec<Box<str>> {
        let _ = server;
        Vec::new()
    }

    /// The rules whose conditions on the principal this one meets.
    pub fn grants(&self, principal: &Principal) -> Grants {
        let _ = principal;
        Grants {}
    }

    /// Whether the operation may go on.
    pub fn authorize(
        &self,
        grants: &Grants,
        principal: &Principal,
        operation: &Operation<'_>,
        facts: &Facts<'_>,
    ) -> Decision {
        let _ = (grants, principal, operation, facts);
        Decision { verdict: Verdict::Deny, rule: None, reported: None }
    }

    /// Whether a list shows the target: whether a use of it could be allowed, as far as that can be told without the
    /// request itself. Conditions on arguments, body and headers count as met in allow rules and as unmet in deny rules.
    pub fn shows(
        &self,
        grants: &Grants,
        principal: &Principal,
        operation: &Operation<'_>,
        source: Option<IpAddr>,
        now: u64,
    ) -> bool {
        let _ = (grants, principal, operation, source, now);
        false
    }
}
