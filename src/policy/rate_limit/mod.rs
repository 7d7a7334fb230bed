//! How often, how much and at what cost: limits per key, exact across cores.
//!
//! A [`Limit`] says what is counted, for whom apart, and how much there is of it. [`Limits`] are all of a
//! configuration. A message is charged before it is sent ([`Limits::charge`]): of every limit that concerns it a unit is
//! taken, or of none. What is known only afterwards is charged when the exchange ends ([`Limits::settle`]). What one
//! core may spend without asking the others stands in its [`Leases`].

pub use crate::base::ledger::{Ask, BucketKey, Drawn, Ledger, Level, Refill};

pub use alerts::{Alert, MARKS_MAX, Marks};
pub use answer::{Answer, STATUS_DENIED, STATUS_NO_ROOM, seconds, show, write_failure, write_told};
pub use charge::{Denial, Verdict, Why};
pub use correct::Bill;
pub use estimate::Estimator;
pub use explain::{Line, Touched, VALUE_BYTES_MAX};
pub use facts::{END, Facts, Message, Now, STREAM, VARIABLES};
pub use fill::{Fill, Period};
pub use key::{CallerKeys, KeyPart};
pub use leases::Leases;
pub use limit::{Charge, DenyAs, Limit, Mode, Override, Price, Unit, Who, Window};
pub use settle::{Outcome, Settled};
pub use sip::{Secret, hash};
pub use ticket::{Ticket, Wants};
pub use transcript::Transcript;
pub use usage::reported_tokens;

mod alerts;
mod answer;
mod charge;
mod correct;
mod estimate;
mod explain;
mod facts;
mod fill;
mod fold;
mod index;
mod key;
mod leases;
mod limit;
pub mod o200k;
mod settle;
mod sip;
mod table;
mod ticket;
mod transcript;
mod usage;

use super::expr::{Expression, Parts};
use index::Index;
use sip::Sip;

/// The limits of a configuration. Two are equal if they were compiled from the same text.
#[derive(Debug)]
pub struct Limits {
    limits: Box<[Limit]>,
    prices: Box<[Price]>,
    /// The names of the servers, by index.
    servers: Box<[Box<str>]>,
    index: Index,
    /// How tokens are counted.
    pub tokens: Tokens,
    /// What the expressions of all limits read.
    parts: Parts,
    /// Answers tell what is left.
    pub headers: bool,
    /// Keys that the ledger has room for.
    pub keys_max: usize,
}

/// How tokens are counted: by [`Estimator`], over arguments and result, unless one of these knows better.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// The server says it, at this JSON pointer in its result.
    pub reported: Option<Box<str>>,
    /// [`o200k`] counts afterwards, of up to so many bytes of an exchange.
    pub o200k: Option<usize>,
}

/// Limits of one configuration.
pub const LIMITS_MAX: usize = 1_024;
/// Rates of one limit, or of one override.
pub const WINDOWS_MAX: usize = 8;
/// Overrides of one limit.
pub const OVERRIDES_MAX: usize = 64;
/// Keys that the ledger has room for, when the configuration does not say.
pub const KEYS_MAX_DEFAULT: usize = 1_000_000;

impl Limits {
    /// Compiles limits, in their order. `servers` are the names of the servers, by index. Of more than
    /// [`LIMITS_MAX`] limits, [`OVERRIDES_MAX`] overrides or [`WINDOWS_MAX`] windows the rest is dropped, so whoever
    /// compiles a configuration refuses them before.
    pub fn new(limits: Vec<Limit>, prices: Vec<Price>, servers: Vec<Box<str>>) -> Self {
        let mut limits = limits;
        limits.truncate(LIMITS_MAX);
        for limit in &mut limits {
            fold::fold(limit, &servers);
            identify(limit);
        }
        let index = Index::new(&limits, servers.len());
        let parts = Parts::of(limits.iter().flat_map(Limit::expressions));
        Self {
            parts,
            limits: limits.into(),
            prices: prices.into(),
            servers: servers.into(),
            index,
            tokens: Tokens::default(),
            headers: true,
            keys_max: KEYS_MAX_DEFAULT,
        }
    }

    /// The limits, in their order: a [`Denial`] and an [`Alert`] name one by its index here.
    pub fn list(&self) -> &[Limit] {
        &self.limits
    }

    /// Whether there are none, so that nothing need be asked.
    pub fn is_empty(&self) -> bool {
        self.limits.is_empty()
    }

    /// Whether any limit is of use beyond the life of the process: of the calendar, of a long window, or one that can go
    /// into debt.
    pub fn outlast(&self) -> bool {
        self.limits.iter().any(|limit| {
            let windows = limit.windows.iter().chain(limit.overrides.iter().flat_map(|other| &other.windows));
            limit.unit.is_late()
                || windows.map(|window| window.fill.refill(0)).any(|refill| refill.outlasts())
        })
    }

    /// Whether any limit counts what only the answer tells: see [`Ticket::wants`] for a single exchange.
    pub fn wants_answers(&self) -> bool {
        self.limits.iter().any(|limit| limit.unit.is_late() || limit.charge == Charge::OnSuccess)
    }

    /// Whether any limit counts calls, of which one round that asks for more input is none.
    pub fn counts_calls(&self) -> bool {
        self.limits.iter().any(|limit| limit.unit == Unit::Calls)
    }

    /// Whether anything is to be counted by the tokenizer.
    pub fn wants_tokenizer(&self) -> bool {
        let by_price = self.prices.iter().any(|price| price.per_1k_tokens > 0);
        let counts = |limit: &Limit| limit.unit == Unit::Tokens || (limit.unit == Unit::Cost && by_price);
        self.tokens.o200k.is_some() && self.limits.iter().any(counts)
    }
}

impl PartialEq for Limits {
    fn eq(&self, other: &Self) -> bool {
        self.limits == other.limits
            && self.prices == other.prices
            && self.servers == other.servers
            && self.tokens == other.tokens
            && (self.headers, self.keys_max) == (other.headers, other.keys_max)
    }
}

impl Limit {
    /// Its expressions: its condition, and those of its key.
    fn expressions(&self) -> impl Iterator<Item = &Expression> {
        let of_key = self.key.iter().filter_map(|part| match part {
            KeyPart::Cel(expression) => Some(expression),
            _ => None,
        });
        self.when.iter().chain(of_key)
    }

    /// Whether it is about the ends of sessions by their name, and refuses them.
    fn names_ends(&self) -> bool {
        self.methods.iter().any(|method| method.literal() == Some(END))
    }

    /// The windows of a plan: 0 is the limit's own, n that of override n - 1.
    #[inline]
    fn windows_of(&self, plan: u8) -> &[Window] {
        match plan.checked_sub(1) {
            None => &self.windows,
            Some(at) => self.overrides.get(usize::from(at)).map_or(&[], |other| &other.windows),
        }
    }
}

/// Gives each window what tells its buckets from those of all others: the limit's name and unit, whose plan it is of,
/// and how long it is, so that a change of the numbers leaves the buckets as they are.
fn identify(limit: &mut Limit) {
    limit.keys_are_chosen = limit.key.iter().any(KeyPart::is_chosen);
    let Limit { name, unit, windows, overrides, .. } = limit;
    let plans = std::iter::once(windows).chain(overrides.iter_mut().map(|other| &mut other.windows));
    for (plan, windows) in plans.enumerate() {
        for window in windows.iter_mut() {
            let mut sip = Sip::new(&Secret::default());
            sip.bytes(name.as_bytes());
            sip.bytes(unit.label().as_bytes());
            sip.word(plan as u64);
            match window.fill {
                Fill::Steady { per, .. } => sip.hash(per.as_nanos()),
                Fill::Calendar { period, begins, .. } => {
                    sip.bytes(period.label().as_bytes());
                    sip.word(u64::from(begins.unsigned_abs()) << 1 | u64::from(begins < 0));
                }
                Fill::Held { .. } => sip.word(0),
            }
            window.identity = sip.finish();
        }
    }
}

#[cfg(test)]
mod tests;
