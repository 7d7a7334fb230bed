//! One limit, compiled.

use std::num::NonZeroU64;
use std::time::Duration;

use super::alerts::Marks;
use super::fill::Fill;
use super::key::KeyPart;
use crate::policy::Principal;
use crate::policy::authz::Pattern;
use crate::policy::expr::Expression;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// HTTP requests.
    Requests,
    /// Tool calls, whatever number of HTTP requests each takes.
    Calls,
    /// Tokens of arguments and results.
    Tokens,
    /// Bytes of requests and answers.
    Bytes,
    /// Money, in millionths.
    Cost,
    /// Requests that are under way.
    InFlight,
}

impl Unit {
    /// Its name in the configuration, in metrics and in messages.
    pub fn label(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Calls => "calls",
            Self::Tokens => "tokens",
            Self::Bytes => "bytes",
            Self::Cost => "cost",
            Self::InFlight => "in_flight",
        }
    }

    /// Whether it is known only at the end how much was used.
    pub fn is_late(self) -> bool {
        matches!(self, Self::Tokens | Self::Bytes | Self::Cost)
    }
}

/// What happens when there are no more units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The request is refused.
    #[default]
    Enforce,
    /// The request passes, and it is counted that it would not have.
    Report,
}

/// What is charged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Charge {
    /// Whatever was admitted.
    #[default]
    Always,
    /// What succeeded; the units of a failure are given back.
    OnSuccess,
}

/// How a refusal looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DenyAs {
    /// 429 and a JSON-RPC error.
    #[default]
    Error,
    /// The result of a tool with `isError`, so that the model reads it. What is no tool call gets an error.
    Result,
    /// The same without `isError`, for clients that end a run, or throw, at one.
    Text,
}

/// A limit. Its conditions must all be met; an empty list is no condition.
#[derive(Debug, PartialEq)]
pub struct Limit {
    /// Its name: of no other limit.
    pub name: Box<str>,
    /// What is counted.
    pub unit: Unit,
    /// What has a bucket of its own; empty: one bucket for all.
    pub key: Box<[KeyPart]>,
    /// A caller can make as many keys as it likes: [`super::Limits::new`] sets it.
    pub keys_are_chosen: bool,
    /// How much, unless an override says otherwise. Empty: without end, so that only overrides limit.
    pub windows: Box<[Window]>,
    /// What differs for some callers: the first that fits.
    pub overrides: Box<[Override]>,
    /// What happens at the end.
    pub mode: Mode,
    /// What is charged.
    pub charge: Charge,
    /// How a refusal looks.
    pub deny_as: DenyAs,
    /// What a refusal says besides, to the model.
    pub advice: Option<Box<str>>,
    /// Servers, by index.
    pub servers: Box<[u16]>,
    /// Methods.
    pub methods: Box<[Pattern]>,
    /// Tools: the limit is about calls of these.
    pub tools: Box<[Pattern]>,
    /// Tools that it is not about.
    pub except: Box<[Pattern]>,
    /// Callers.
    pub who: Who,
    /// Whatever else.
    pub when: Option<Expression>,
}

impl Limit {
    /// A limit on whatever uses the unit: enforced, always charged, and refused by a JSON-RPC error. What is to differ is
    /// set by its fields.
    pub fn new(name: &str, unit: Unit, key: Vec<KeyPart>, windows: Vec<Window>) -> Self {
        Self {
            name: name.into(),
            unit,
            key: key.into(),
            keys_are_chosen: false,
            windows: windows.into(),
            overrides: Box::default(),
            mode: Mode::Enforce,
            charge: Charge::Always,
            deny_as: DenyAs::Error,
            advice: None,
            servers: Box::default(),
            methods: Box::default(),
            tools: Box::default(),
            except: Box::default(),
            who: Who::default(),
            when: None,
        }
    }
}

/// One rate of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// How its buckets fill.
    pub fill: Fill,
    /// Stands for the limit, the override and the window, and changes with none of the numbers, so that a bucket
    /// outlives a change of them. [`super::Limits::new`] sets it.
    pub identity: u128,
    /// Of what use the operator is told.
    pub alerts: Marks,
}

impl Window {
    /// A window of this kind. Of quotas of the calendar the operator is told at [`Marks::USUAL`].
    pub fn new(fill: Fill) -> Self {
        let alerts = if let Fill::Calendar { .. } = fill { Marks::USUAL } else { Marks::default() };
        Self { fill, identity: 0, alerts }
    }

    /// `count` in `per`, at most `burst` at once.
    pub fn steady(count: NonZeroU64, per: Duration, burst: NonZeroU64) -> Self {
        Self::new(Fill::Steady { count, per, burst })
    }
}

/// What differs for some callers.
#[derive(Debug, PartialEq)]
pub struct Override {
    /// Which.
    pub who: Who,
    /// How much they may; empty: without end.
    pub windows: Box<[Window]>,
}

/// Callers. Each list must have a name of the caller's; an empty one is no condition.
#[derive(Debug, Default, PartialEq)]
pub struct Who {
    /// Agents.
    pub agents: Box<[Pattern]>,
    /// Roles.
    pub roles: Box<[Pattern]>,
    /// Users.
    pub users: Box<[Pattern]>,
    /// Tenants.
    pub tenants: Box<[Pattern]>,
}

impl Who {
    /// Whether this is one of them.
    pub fn includes(&self, principal: &Principal) -> bool {
        let one = |patterns: &[Pattern], name: &Option<Box<str>>| {
            let name = name.as_deref().unwrap_or("");
            patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(name))
        };
        let has_role = |pattern: &Pattern| principal.roles.iter().any(|role| pattern.matches(role));
        one(&self.agents, &principal.agent)
            && one(&self.users, &principal.user)
            && one(&self.tenants, &principal.tenant)
            && (self.roles.is_empty() || self.roles.iter().any(has_role))
    }
}

/// What a use of a server costs, in millionths.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Price {
    /// Servers, by index; empty: all.
    pub servers: Box<[u16]>,
    /// Tools; empty: all.
    pub tools: Box<[Pattern]>,
    /// Each call.
    pub per_call: u64,
    /// Each second that it takes.
    pub per_second: u64,
    /// Each thousand tokens.
    pub per_1k_tokens: u64,
}

impl Price {
    /// What a call costs, rounded up.
    pub fn of(&self, tokens: u64, time: Duration) -> u64 {
        let part = |price: u64, amount: u128, unit: u128| {
            u64::try_from((u128::from(price) * amount).div_ceil(unit)).unwrap_or(u64::MAX)
        };
        self.per_call.saturating_add(part(self.per_second, time.as_millis(), 1_000)).saturating_add(part(
            self.per_1k_tokens,
            u128::from(tokens),
            1_000,
        ))
    }
}
