//! What limits promise.
#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::net::IpAddr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::base::Ticks;
use crate::base::ledger::PlainLedger;
use crate::policy::Principal;
use crate::policy::authz::{Pattern, Repeated, Target};
use crate::policy::expr::ParsedMessage;

mod answers;
mod budgets;
mod corrections;
mod keys;
mod promises;
mod rates;

pub fn number(number: u64) -> NonZeroU64 {
    NonZeroU64::new(number).unwrap()
}

/// A limit of calls with one bucket for all.
pub fn calls(name: &str, count: u64, seconds: u64, burst: u64) -> Limit {
    let window = Window::steady(number(count), Duration::from_secs(seconds), number(burst));
    limit(name, Unit::Calls, vec![window])
}

/// A limit without conditions.
pub fn limit(name: &str, unit: Unit, windows: Vec<Window>) -> Limit {
    Limit::new(name, unit, Vec::new(), windows)
}

fn quota(name: &str, unit: Unit, count: u64, period: Period, begins: i32) -> Limit {
    limit(name, unit, vec![Window::new(Fill::Calendar { count: number(count), period, begins })])
}

fn names(names: &[&str]) -> Box<[Pattern]> {
    names.iter().map(|name| Pattern::parse(name).unwrap()).collect()
}

/// 2026-01-05, a Monday, at noon (UTC).
const NOON: u64 = 1_767_614_400;

/// One core, its ledger and its clock.
struct Gate {
    limits: Limits,
    leases: Leases,
    ledger: PlainLedger,
    now: Now,
    principal: Principal,
    server: u16,
    source: Option<IpAddr>,
    arguments: &'static str,
    header: Option<(&'static str, &'static str)>,
    alerts: RefCell<Vec<u8>>,
}

impl Gate {
    fn new(limits: Vec<Limit>) -> Self {
        Self::with(limits, Vec::new(), PlainLedger::default())
    }

    fn with(limits: Vec<Limit>, prices: Vec<Price>, ledger: PlainLedger) -> Self {
        let one = NonZeroUsize::MIN;
        Self {
            limits: Limits::new(limits, prices, vec!["one".into(), "two".into()]),
            leases: Leases::new(Secret::new([7; 16]), one, NonZeroUsize::new(1_000).unwrap()),
            ledger,
            now: Now { ticks: Ticks(1_000_000_000), wall: NOON },
            principal: agent("a"),
            server: 0,
            source: Some([10, 0, 0, 1].into()),
            arguments: "{}",
            header: None,
            alerts: RefCell::default(),
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now.ticks = self.now.ticks + time;
        self.now.wall += time.as_secs();
    }

    fn tick(&mut self) {
        self.leases.tick(&self.ledger, self.now);
    }

    fn facts<T>(&self, method: &str, target: Target<'_>, act: impl FnOnce(&Facts<'_>) -> T) -> T {
        let message = match method {
            "(stream)" | "(delete)" => Message::None,
            notification if notification.starts_with("notifications/") => Message::OneWay,
            _ => Message::Request,
        };
        let mut params = json!({});
        if let Target::Tool(name) | Target::Prompt(name) = target {
            params["name"] = name.into();
            params["arguments"] = serde_json::from_str(self.arguments).unwrap();
        }
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let keys = self.limits.caller(self.leases.secret(), &self.principal);
        act(&Facts {
            message,
            method,
            target,
            is_first: true,
            server: self.server,
            principal: &self.principal,
            keys: &keys,
            source: self.source,
            body: body.as_bytes(),
            arguments: matches!(target, Target::Tool(_)).then_some(self.arguments.as_bytes()),
            header: &|name| {
                let value = self.header.filter(|(known, _)| *known == name).map(|(_, value)| value);
                if value == Some("(twice)") { Err(Repeated) } else { Ok(value.map(str::as_bytes)) }
            },
            parsed: &ParsedMessage::default(),
        })
    }

    fn send(&mut self, method: &str, target: Target<'_>) -> (Verdict, Ticket) {
        let mut ticket = Ticket::new();
        let one = Leases::new(*self.leases.secret(), NonZeroUsize::MIN, NonZeroUsize::MIN);
        let mut leases = std::mem::replace(&mut self.leases, one);
        let (limits, ledger, now) = (&self.limits, &self.ledger, self.now);
        let verdict =
            self.facts(method, target, |facts| limits.charge(&mut leases, ledger, facts, now, &mut ticket));
        self.leases = leases;
        (verdict, ticket)
    }

    fn call(&mut self, tool: &str) -> (Verdict, Ticket) {
        self.send("tools/call", Target::Tool(tool))
    }

    fn end(&mut self, mut ticket: Ticket, outcome: Outcome) -> Settled {
        let settled = self.limits.settle(&mut self.leases, &self.ledger, &mut ticket, &outcome, self.now);
        let mut alerts = self.alerts.borrow_mut();
        assert_eq!(self.leases.take_alerts(|alert| alerts.push(alert.percent)), 0);
        assert!(ticket.is_empty());
        settled
    }

    /// Whether a call passes, which ends well at once.
    fn passes(&mut self, tool: &str) -> bool {
        let (verdict, ticket) = self.call(tool);
        self.end(ticket, GOOD);
        matches!(verdict, Verdict::Allow { .. })
    }

    /// How many calls pass of this many.
    fn passed(&mut self, tool: &str, calls: u32) -> u32 {
        (0..calls).map(|_| u32::from(self.passes(tool))).sum()
    }

    fn wait(&mut self, tool: &str) -> Duration {
        match self.call(tool).0 {
            Verdict::Deny(denial) => denial.wait,
            Verdict::Allow { .. } => Duration::ZERO,
        }
    }
}

const GOOD: Outcome =
    Outcome { success: true, unfinished: false, bytes: 0, tokens: 0, reported: false, time: Duration::ZERO };
const BAD: Outcome = Outcome { success: false, ..GOOD };

fn agent(name: &str) -> Principal {
    Principal { agent: Some(name.into()), ..Principal::anonymous([]) }
}

fn second(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
