//! A rule, and its conditions on the principal, the place and the thing.

use std::net::IpAddr;

use super::path::Path;
use super::pattern::{Pattern, Template};
use super::schedule::Schedule;
use super::value::{Elements, Wanted, fits};
use super::{Operation, Target};
use crate::policy::expr::{Expression, HEADERS};
use crate::policy::steps::Steps;
use crate::policy::{Principal, Proof};

/// What a rule does to the requests that it matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    /// They pass, unless a rule denies them.
    Allow,
    /// They do not.
    #[default]
    Deny,
}

/// One rule. It matches what meets all of its conditions; an empty one is no condition.
#[derive(Debug, Default, PartialEq)]
pub struct Rule {
    /// Its name, if it has one.
    pub name: Option<Box<str>>,
    /// The line of the configuration where it begins; 0: of no file.
    pub line: u32,
    /// What it does.
    pub effect: Effect,
    /// It is only reported what it would do.
    pub report: bool,
    /// Servers, by index: any of them.
    pub servers: Box<[u16]>,
    /// Methods: any of them.
    pub methods: Box<[Pattern]>,
    /// Names of tools. With `prompts` and `resources`: any of all three.
    pub tools: Box<[Pattern]>,
    /// Names of prompts.
    pub prompts: Box<[Pattern]>,
    /// URIs of resources.
    pub resources: Box<[Pattern]>,
    /// Roles: the caller has any of them.
    pub roles: Box<[Pattern]>,
    /// Scopes: the caller has all of them.
    pub scopes: Box<[Box<str>]>,
    /// Agents: any of them.
    pub agents: Box<[Pattern]>,
    /// Users: any of them.
    pub users: Box<[Pattern]>,
    /// Tenants: any of them.
    pub tenants: Box<[Pattern]>,
    /// How the caller was proven: any of them.
    pub proofs: Box<[Proof]>,
    /// Who vouches for the caller, as [`Principal::issuer`] says: any of them.
    pub issuers: Box<[Box<str>]>,
    /// Claims: each is there, with any of the values.
    pub claims: Box<[(Path, Box<[Wanted]>)]>,
    /// Where the request comes from: any of them.
    pub sources: Box<[Block]>,
    /// When.
    pub time: Option<Schedule>,
    /// Arguments: each is there, with any of the values.
    pub arguments: Box<[(Path, Box<[Wanted]>)]>,
    /// Whatever else.
    pub when: Option<Expression>,
}

/// A block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its first address.
    pub first: IpAddr,
    /// How many leading bits count: at most 32 or 128.
    pub prefix_bits: u8,
}

impl Block {
    /// Whether `address` is in it. An IPv4-mapped IPv6 address counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let shifted = |bits: u128, width: u8| {
            let shift = u32::from(width.saturating_sub(self.prefix_bits));
            bits.checked_shr(shift).unwrap_or(0)
        };
        match (self.first.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let (ours, theirs) = (u128::from(ours.to_bits()), u128::from(theirs.to_bits()));
                shifted(ours, 32) == shifted(theirs, 32)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                shifted(ours.to_bits(), 128) == shifted(theirs.to_bits(), 128)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// How far a principal meets the conditions on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meets {
    /// In all.
    All,
    /// In all but the scopes.
    AllButScopes,
    /// Not.
    Not,
}

/// A condition on the principal that is not met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack<'a> {
    /// None of the roles.
    Role,
    /// Not one of the agents.
    Agent,
    /// Not one of the users.
    User,
    /// Not of one of the tenants.
    Tenant,
    /// Proven otherwise.
    Proof,
    /// Another issuer vouches.
    Issuer,
    /// This claim is not there or not as wanted.
    Claim(&'a Path),
    /// This scope is missing.
    Scope(&'a str),
}

impl Rule {
    /// Whether the principal meets the conditions on it.
    pub fn meets(&self, principal: &Principal) -> Meets {
        match self.lack(principal) {
            None => Meets::All,
            Some(Lack::Scope(_)) => Meets::AllButScopes,
            Some(_) => Meets::Not,
        }
    }

    /// The first condition that the principal does not meet; scopes come last.
    pub fn lack(&self, principal: &Principal) -> Option<Lack<'_>> {
        let one = |patterns: &[Pattern], name: &Option<Box<str>>| {
            let is = |name: &str| patterns.iter().any(|pattern| pattern.matches(name));
            patterns.is_empty() || name.as_deref().is_some_and(is)
        };
        let has_role = |pattern: &Pattern| match pattern.literal() {
            Some(role) => principal.has_role(role),
            None => principal.roles.iter().any(|role| pattern.matches(role)),
        };
        if !self.roles.is_empty() && !self.roles.iter().any(has_role) {
            return Some(Lack::Role);
        }
        if !one(&self.agents, &principal.agent) {
            return Some(Lack::Agent);
        }
        if !one(&self.users, &principal.user) {
            return Some(Lack::User);
        }
        if !one(&self.tenants, &principal.tenant) {
            return Some(Lack::Tenant);
        }
        if !self.proofs.is_empty() && !self.proofs.contains(&principal.proof) {
            return Some(Lack::Proof);
        }
        if !self.issuers.is_empty() && !self.issuers.contains(&principal.issuer) {
            return Some(Lack::Issuer);
        }
        let is_claimed = |(path, wanted): &&(Path, Box<[Wanted]>)| {
            path.find(&principal.claims).is_some_and(|value| fits(wanted, value, Elements::Any))
        };
        if let Some((path, _)) = self.claims.iter().find(|claim| !is_claimed(claim)) {
            return Some(Lack::Claim(path));
        }
        self.scopes.iter().find(|scope| !principal.has_scope(scope)).map(|scope| Lack::Scope(scope))
    }

    /// Whether it counts for this server.
    pub fn is_for(&self, server: u16) -> bool {
        self.servers.is_empty() || self.servers.contains(&server)
    }

    /// Whether it counts for this method.
    pub fn is_for_method(&self, method: &str) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|pattern| pattern.matches(method))
    }

    /// Whether it is about what the request is about. A rule about tools, prompts or resources is about nothing else.
    pub fn is_about(&self, target: Target<'_>) -> bool {
        let any = |patterns: &[Pattern], name: &str| patterns.iter().any(|pattern| pattern.matches(name));
        match target {
            _ if !self.names_things() => true,
            Target::Tool(name) => any(&self.tools, name),
            Target::Prompt(name) => any(&self.prompts, name),
            Target::Resource(uri) => any(&self.resources, uri),
            Target::Protocol => false,
        }
    }

    /// Whether a read of some URI that can come of a template could be what it is about.
    pub fn could_be_about(&self, uri: &str, template: &Template<'_>, steps: &Steps) -> bool {
        self.is_about(Target::Resource(uri))
            || self.resources.iter().any(|pattern| !steps.is_over() && pattern.meets(template, steps))
    }

    /// Steps that [`Rule::is_about`] takes at most, with a name of a few dozen bytes.
    pub fn steps(&self) -> usize {
        let patterns = self.tools.iter().chain(&self.prompts).chain(&self.resources);
        1 + patterns.map(Pattern::steps).sum::<usize>()
    }

    /// Whether its expression looks at the name of what is asked for.
    pub fn names_item(&self) -> bool {
        let names = ["tool", "prompt", "resource"];
        self.when.as_ref().is_some_and(|when| names.iter().any(|name| when.uses(name)))
    }

    /// Whether it can treat one resource otherwise than another.
    pub fn tells_resources_apart(&self) -> bool {
        let looks = |when: &Expression| ["resource", "body", HEADERS].iter().any(|name| when.uses(name));
        let is_all = |pattern: &Pattern| pattern.is_all();
        let names_some = !self.resources.is_empty() && !self.resources.iter().any(is_all);
        names_some || self.when.as_ref().is_some_and(looks)
    }

    /// Whether it can treat one tool or prompt otherwise than another.
    pub fn tells_names_apart(&self) -> bool {
        let looks =
            |when: &Expression| ["tool", "prompt", "body", HEADERS].iter().any(|name| when.uses(name));
        let some = |patterns: &[Pattern]| !patterns.is_empty() && !patterns.iter().any(Pattern::is_all);
        some(&self.tools) || some(&self.prompts) || self.when.as_ref().is_some_and(looks)
    }

    /// Whether it is only about certain tools, prompts or resources.
    pub fn names_things(&self) -> bool {
        !(self.tools.is_empty() && self.prompts.is_empty() && self.resources.is_empty())
    }

    /// Whether it has conditions that only a single request meets or does not meet.
    pub fn is_conditional(&self) -> bool {
        !self.sources.is_empty() || self.time.is_some() || !self.arguments.is_empty() || self.when.is_some()
    }

    /// Whether its expression looks at the request itself, and so says nothing before there is one.
    pub fn looks_at_request(&self) -> bool {
        self.when
            .as_ref()
            .is_some_and(|when| ["arguments", "body", HEADERS].iter().any(|name| when.uses(name)))
    }

    /// How it counts for an operation of the protocol itself. One that allows anything on a server allows what every
    /// use begins with; one that denies certain things or arguments has nothing to say about that.
    pub fn is_for_protocol(&self, operation: &Operation<'_>) -> bool {
        self.is_for(operation.server)
            && match self.effect {
                Effect::Allow => true,
                Effect::Deny => {
                    !self.names_things() && self.arguments.is_empty() && self.is_for_method(operation.method)
                }
            }
    }
}
