//! What a principal may do: one list of rules, allow and deny. A request that any deny rule matches is denied; else
//! one that any allow rule matches is allowed; else it is denied. The rule that decides is the first that does.
//!
//! Three kinds of operations, which differ in the rules that count for them:
//!
//! * Uses of a tool, a prompt or a resource: rules all of whose conditions are met.
//! * The protocol itself ([`subject`] lists its methods): initialize, ping, lists, notifications, tasks, streams. They
//!   are allowed to whoever some allow rule of that server could ever allow anything: its conditions on the principal
//!   and the server are met, whatever the others. Of deny rules those count that name no tools, prompts, resources or
//!   arguments.
//! * Methods that MCP does not define: rules all of whose conditions are met, and none of them about things.
//!
//! Where rules tell tools or prompts apart, one whose name some server would read otherwise is denied ([`name`]), and so is
//! a method that no revision of MCP would have. Where rules tell resources apart, a resource is named in the canonical spelling of its URI ([`canonical`]); any other
//! is denied, as readers disagree about which resource it is.
//!
//! A rule in report mode never changes the verdict. It is named in [`Decision::reported`] if it would, were it alone
//! enforced: a deny rule for what passes, an allow rule for what no deny rule stops and yet does not pass.
//!
//! What takes time is done once for a principal ([`Rules::grants`]) or once for a principal and a name (the memo in
//! [`Grants`]); only rules with conditions on single requests are looked at each time.

use std::net::IpAddr;

use super::expr::{ParsedMessage, Parts};
use super::principal::Principal;
use super::steps::Steps;

pub use explain::Why;
pub use grants::{Grants, Held};
pub use path::Path;
pub use pattern::Pattern;
pub use rule::{Block, Effect, Rule};
pub use schedule::{DAY, Schedule};
pub use showing::{Lists, NAME_BYTES_MAX, Showing};
pub use value::{Elements, Wanted};

mod asked;
pub mod canonical;
mod decide;
mod explain;
mod grants;
mod index;
mod memo;
pub mod name;
mod path;
mod pattern;
mod rule;
mod schedule;
mod showing;
mod subject;
mod value;

use asked::Asked;
pub use asked::VARIABLES;
use index::{Index, Kind};

/// The compiled rules. Two are equal if they were compiled from the same rules and servers.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Box<[Rule]>,
    /// The names of the servers, for expressions.
    servers: Box<[Box<str>]>,
    /// The names that rules name exactly: things, and for each rule at most one kind of names of principals.
    index: Index,
    /// Rules that are not found by a name of a principal.
    common: Box<[u32]>,
    /// Whether any rule has conditions on methods.
    by_method: bool,
    /// Whether any rule can tell resources apart.
    by_resource: bool,
    /// Whether any rule can tell tools or prompts apart.
    by_name: bool,
    /// What the expressions of all rules read.
    parts: Parts,
    /// Whether lists show what only a scope is missing for.
    show_scoped: bool,
}

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
    /// The value of a header, by its lower-case name; not of one that is there more than once, as readers disagree
    /// about which line counts.
    pub header: &'a Lookup<'a>,
    /// What was parsed of this message, and what its request may spend on expressions.
    pub parsed: &'a ParsedMessage,
}

/// Finds the value of a header.
pub type Lookup<'a> = dyn Fn(&str) -> Result<Option<&'a [u8]>, Repeated> + 'a;

/// A header is there more than once, or by a name that only some servers read as its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;

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

/// The method that names resources by their template.
const COMPLETION: &str = "completion/complete";

/// Rules of one configuration.
pub const RULES_MAX: usize = 10_000;

impl Rules {
    /// Compiles rules, in their order. `servers` are the names of the servers, by index.
    pub fn new(rules: Vec<Rule>, servers: Vec<Box<str>>) -> Self {
        let mut index = Index::default();
        let mut common = Vec::new();
        for (rule, at) in rules.iter().zip(0_u32..) {
            for (kind, patterns) in
                [(Kind::Tool, &rule.tools), (Kind::Prompt, &rule.prompts), (Kind::Resource, &rule.resources)]
            {
                patterns.iter().filter_map(Pattern::literal).for_each(|name| index.add(kind, name, at));
            }
            match selective(rule) {
                Some((kind, patterns)) => {
                    patterns.iter().filter_map(Pattern::literal).for_each(|name| index.add(kind, name, at));
                }
                None => common.push(at),
            }
        }
        let by_method = rules.iter().any(|rule| !rule.methods.is_empty());
        let by_resource = rules.iter().any(Rule::tells_resources_apart);
        let by_name = rules.iter().any(Rule::tells_names_apart);
        let parts = Parts::of(rules.iter().filter_map(|rule| rule.when.as_ref()));
        let (rules, servers, common) = (rules.into(), servers.into(), common.into());
        Self { rules, servers, index, common, by_method, by_resource, by_name, parts, show_scoped: false }
    }

    /// Has lists show what a caller could use if it had a further scope, so that it can find out that there is
    /// something to ask for. It may then use the protocol around that too, without which there are no lists; the use
    /// itself still needs the scope.
    #[must_use]
    pub fn showing_what_lacks_a_scope(self, show: bool) -> Self {
        Self { show_scoped: show, ..self }
    }

    /// The rules, in their order.
    pub fn list(&self) -> &[Rule] {
        &self.rules
    }

    /// The name of a rule.
    pub fn name(&self, rule: u32) -> Option<&str> {
        self.rules.get(rule as usize)?.name.as_deref()
    }

    /// The rules whose conditions on the principal this one meets.
    pub fn grants(&self, principal: &Principal) -> Grants {
        grants::find(self, principal)
    }

    /// Whether the operation may go on. Nothing is allocated where the verdict depends on names alone and was given
    /// before.
    pub fn authorize(
        &self,
        grants: &Grants,
        principal: &Principal,
        operation: &Operation<'_>,
        facts: &Facts<'_>,
    ) -> Decision {
        decide::authorize(self, grants, principal, operation, facts)
    }

    /// Whether a list shows the target: whether a use of it could be allowed, as far as that can be told without the
    /// request itself. Conditions on arguments, body and headers count as met in allow rules and as unmet in deny rules.
    /// The method is that of the use (`tools/call`, `prompts/get`, `resources/read`), whatever `operation` says. Of a
    /// resource template it is enough if one of the URIs that can come of it could be allowed. What only a scope is
    /// missing for is shown where [`Rules::showing_what_lacks_a_scope`] says so.
    pub fn shows(
        &self,
        grants: &Grants,
        principal: &Principal,
        operation: &Operation<'_>,
        source: Option<IpAddr>,
        now: u64,
    ) -> bool {
        let (showing, steps) = (&Showing::default(), &Steps::default());
        self.shows_among(grants, &Lists { principal, source, now, showing, steps }, operation)
    }

    /// As [`Rules::shows`], for one item after the other of the lists of an answer. A name of more than
    /// [`NAME_BYTES_MAX`] is not shown.
    pub fn shows_among(&self, grants: &Grants, lists: &Lists<'_>, operation: &Operation<'_>) -> bool {
        showing::shows(self, grants, lists, operation)
    }

    /// The scopes that allow rules for the server name, sorted: `scopes_supported` of RFC 9728. Not `offline_access`,
    /// which is a matter between client and issuer.
    pub fn scopes_of(&self, server: u16) -> Vec<&str> {
        let counts = |rule: &&Rule| rule.effect == Effect::Allow && !rule.report && rule.is_for(server);
        let mut scopes: Vec<&str> =
            self.rules.iter().filter(counts).flat_map(|rule| &rule.scopes).map(|scope| &**scope).collect();
        scopes.retain(|scope| *scope != "offline_access");
        scopes.sort_unstable();
        scopes.dedup();
        scopes
    }

    /// Why the rule with this index does not match; `None` if it does.
    pub fn why_not(
        &self,
        index: usize,
        principal: &Principal,
        operation: &Operation<'_>,
        facts: &Facts<'_>,
    ) -> Option<Why> {
        explain::why_not(self, self.rules.get(index)?, principal, operation, facts)
    }

    /// Why rules cannot go by the name or URI that the operation is about, or by its method; `None` if they can. A name
    /// that some rule spells out is what it is.
    fn fault(&self, operation: &Operation<'_>) -> Option<&'static str> {
        match operation.target {
            Target::Tool(name) if self.by_name => {
                name::fault(name).filter(|_| self.index.find(Kind::Tool, name).is_none())
            }
            Target::Prompt(name) if self.by_name => {
                name::fault(name).filter(|_| self.index.find(Kind::Prompt, name).is_none())
            }
            Target::Protocol if name::is_odd_method(operation.method) => {
                Some("its method has a blank, or a character that cannot be seen or is not ASCII")
            }
            Target::Resource(uri) if self.by_resource && operation.method == COMPLETION => {
                canonical::template_fault(uri)
            }
            Target::Resource(uri) if self.by_resource => canonical::fault(uri),
            Target::Resource(_) | Target::Tool(_) | Target::Prompt(_) | Target::Protocol => None,
        }
    }

    fn server_name(&self, server: u16) -> &str {
        self.servers.get(usize::from(server)).map_or("", |name| name)
    }
}

impl PartialEq for Rules {
    fn eq(&self, other: &Self) -> bool {
        self.rules == other.rules && self.servers == other.servers && self.show_scoped == other.show_scoped
    }
}

/// The names by which the principals of a rule are found: of one kind, all exact. The narrowest kind first.
fn selective(rule: &Rule) -> Option<(Kind, &[Pattern])> {
    let kinds = [
        (Kind::Agent, &*rule.agents),
        (Kind::User, &*rule.users),
        (Kind::Role, &*rule.roles),
        (Kind::Tenant, &*rule.tenants),
    ];
    let exact = |patterns: &[Pattern]| patterns.iter().all(|pattern| pattern.literal().is_some());
    kinds.into_iter().find(|(_, patterns)| !patterns.is_empty() && exact(patterns))
}

#[cfg(test)]
mod property;
#[cfg(test)]
mod tests;
