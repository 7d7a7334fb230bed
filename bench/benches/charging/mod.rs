//! A call and the limits that concern it, for the benches of limits and of the ledger.

use std::net::IpAddr;

use ringgate::policy::Principal;
use ringgate::policy::authz::Target;
use ringgate::policy::expr::ParsedMessage;
use ringgate::policy::rate_limit::{
    CallerKeys, Facts, KeyPart, Leases, Ledger, Limit, Limits, Message, Now, Outcome, Settled, Ticket, Unit,
    Verdict, Window,
};

/// A limit on every call.
pub fn limit(name: &str, unit: Unit, key: Vec<KeyPart>, window: Window) -> Limit {
    Limit::new(name, unit, key, vec![window])
}

/// A call of `tool` is charged, and settled as a success.
pub fn charge_and_settle<L: Ledger>(
    limits: &Limits,
    leases: &mut Leases,
    ledger: &L,
    caller: (&Principal, &CallerKeys),
    source: IpAddr,
    now: Now,
) -> (Verdict, Settled) {
    let facts = Facts {
        message: Message::Request,
        method: "tools/call",
        target: Target::Tool("run_sql_query"),
        is_first: true,
        server: 0,
        principal: caller.0,
        keys: caller.1,
        source: Some(source),
        body: b"",
        arguments: None,
        header: &|_| Ok(None),
        parsed: &ParsedMessage::default(),
    };
    let mut ticket = Ticket::new();
    let verdict = limits.charge(leases, ledger, &facts, now, &mut ticket);
    let outcome = Outcome { success: true, tokens: 9, ..Outcome::default() };
    (verdict, limits.settle(leases, ledger, &mut ticket, &outcome, now))
}
