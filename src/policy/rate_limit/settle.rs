//! The end of an exchange: what it has used is charged, what it held is given back.

use std::time::Duration;

use super::facts::{Facts, Now};
use super::leases::Leases;
use super::limit::{Charge, Limit, Unit, Window};
use super::ticket::{Item, NO_PRICE, State, Ticket, Wants};
use super::{Ledger, Limits};

/// What became of an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The server gave a result that is no error: neither a JSON-RPC error nor a tool's `isError`.
    pub success: bool,
    /// The result is not the last word (`resultType: input_required`): the client will send the call once more, with
    /// what was asked for, and that one counts.
    pub unfinished: bool,
    /// Bytes of the request's and the answer's bodies.
    pub bytes: u64,
    /// Tokens of arguments and result.
    pub tokens: u64,
    /// The server said how many tokens.
    pub reported: bool,
    /// From admission to the end.
    pub time: Duration,
}

/// What was booked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// What the call cost, in millionths.
    pub cost: u64,
    /// Buckets that could not be charged, as there was no room for their keys.
    pub lost: u32,
}

impl Limits {
    /// Charges what the exchange used, gives back what it held, and empties its ticket.
    pub fn settle<L: Ledger + ?Sized>(
        &self,
        leases: &mut Leases,
        ledger: &L,
        ticket: &mut Ticket,
        outcome: &Outcome,
        now: Now,
    ) -> Settled {
        leases.advance(now);
        let price = self.prices.get(usize::from(ticket.price));
        let cost = price.map_or(0, |price| price.of(outcome.tokens, outcome.time));
        let mut settled = Settled { cost, lost: 0 };
        for item in ticket.items(0) {
            let Some((limit, window)) = self.window(item) else { continue };
            match item.state {
                State::Held => Leases::release(ledger, item.key, &window.fill, now.ticks),
                State::Spent if is_free(limit, outcome) => {
                    leases.undo(ledger, item.key, &window.fill, item.index, item.drawn, now.ticks);
                }
                State::Later if limit.charge == Charge::OnSuccess && !outcome.success => {}
                State::Later => {
                    let units = match limit.unit {
                        Unit::Tokens => outcome.tokens,
                        Unit::Bytes => outcome.bytes,
                        Unit::Cost => cost,
                        Unit::Requests | Unit::Calls | Unit::InFlight => 0,
                    };
                    let booked = units == 0 || charge(leases, ledger, item, window, units, now);
                    settled.lost += u32::from(!booked);
                }
                State::Spent | State::Nothing => {}
            }
        }
        ticket.truncate(0);
        (ticket.price, ticket.wants) = (NO_PRICE, Wants::default());
        settled
    }

    /// The price of a call: the first that fits.
    pub(super) fn price_of(&self, facts: &Facts<'_>) -> u16 {
        let name = facts.tool().unwrap_or("");
        let fits = |price: &super::Price| {
            (price.servers.is_empty() || price.servers.contains(&facts.server))
                && (price.tools.is_empty() || price.tools.iter().any(|tool| tool.matches(name)))
        };
        let at = self.prices.iter().position(fits);
        at.and_then(|at| u16::try_from(at).ok()).unwrap_or(NO_PRICE)
    }

    pub(super) fn price_has_tokens(&self, price: u16) -> bool {
        self.prices.get(usize::from(price)).is_some_and(|price| price.per_1k_tokens > 0)
    }

    /// The limit and the window that an item is of.
    #[inline]
    pub(super) fn window(&self, item: &Item) -> Option<(&Limit, &Window)> {
        let limit = self.limits.get(usize::from(item.limit))?;
        Some((limit, limit.windows_of(item.plan).get(usize::from(item.window))?))
    }
}

/// Whether a unit that was taken beforehand is given back.
fn is_free(limit: &Limit, outcome: &Outcome) -> bool {
    match limit.unit {
        Unit::Calls => outcome.unfinished || (limit.charge == Charge::OnSuccess && !outcome.success),
        Unit::Requests | Unit::Tokens | Unit::Bytes | Unit::Cost | Unit::InFlight => {
            limit.charge == Charge::OnSuccess && !outcome.success && !outcome.unfinished
        }
    }
}

/// Charges a bucket, and notes what marks that passes. `false` if there was no room for it.
pub(super) fn charge<L: Ledger + ?Sized>(
    leases: &mut Leases,
    ledger: &L,
    item: &Item,
    window: &Window,
    units: u64,
    now: Now,
) -> bool {
    if !leases.charge(ledger, item.key, &window.fill, units, now.ticks) {
        return false;
    }
    if !window.alerts.is_empty() {
        let after = leases.available(ledger, item.key, &window.fill, now.ticks);
        let before = after.saturating_add(i64::try_from(units).unwrap_or(i64::MAX));
        leases.alerts.note(item.limit, item.key, window, before, after, now.ticks);
    }
    true
}
