//! What was charged by an estimate is put right when the tokens have been counted.
//!
//! The estimate is charged at once, when the exchange ends. So nothing waits for the count and nothing is lost if it never
//! comes; until it comes, the limits stand where the estimate has put them.

use std::time::Duration;

use super::facts::Now;
use super::leases::Leases;
use super::limit::{Charge, Unit};
use super::settle::{Outcome, charge};
use super::ticket::{Item, NO_PRICE, State, Ticket};
use super::{Ledger, Limits, Refill};

/// What an exchange was charged by an estimate of its tokens.
#[derive(Clone, Debug)]
pub struct Bill {
    items: Vec<Item>,
    price: u16,
    time: Duration,
    tokens: u64,
    charged: Now,
}

impl Default for Bill {
    fn default() -> Self {
        Self { items: Vec::new(), price: NO_PRICE, time: Duration::ZERO, tokens: 0, charged: Now::default() }
    }
}

impl Bill {
    /// Whether nothing was charged by the number of tokens.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The estimate.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Forgets it.
    pub fn clear(&mut self) {
        self.items.clear();
    }
}

impl Limits {
    /// Writes down what [`Limits::settle`] is going to charge by the number of tokens, as this moment has it.
    pub fn write_bill(
        &self,
        leases: &mut Leases,
        ticket: &Ticket,
        outcome: &Outcome,
        now: Now,
        bill: &mut Bill,
    ) {
        let counts = |item: &&Item| {
            let Some((limit, _)) = self.window(item) else { return false };
            let by_tokens = match limit.unit {
                Unit::Tokens => true,
                Unit::Cost => self.price_has_tokens(ticket.price),
                Unit::Requests | Unit::Calls | Unit::Bytes | Unit::InFlight => false,
            };
            by_tokens && item.state == State::Later && (limit.charge == Charge::Always || outcome.success)
        };
        bill.items.clear();
        bill.items.extend(ticket.items(0).filter(counts));
        (bill.price, bill.time, bill.tokens) = (ticket.price, outcome.time, outcome.tokens);
        bill.charged = Now { wall: leases.advance(now), ..now };
    }

    /// Charges what the tokens are more than was estimated, or gives back what they are less, and empties the bill. What was
    /// charged to a window of the calendar that is over stays as it is. How many buckets could not be charged, as there
    /// was no room for their keys.
    pub fn correct<L: Ledger + ?Sized>(
        &self,
        leases: &mut Leases,
        ledger: &L,
        bill: &mut Bill,
        tokens: u64,
        now: Now,
    ) -> u32 {
        let wall = leases.advance(now);
        let price = self.prices.get(usize::from(bill.price));
        let mut lost = 0;
        for item in &bill.items {
            let Some((limit, window)) = self.window(item) else { continue };
            let units = |tokens: u64| match limit.unit {
                Unit::Cost => price.map_or(0, |price| price.of(tokens, bill.time)),
                _ => tokens,
            };
            let (was, is) = (units(bill.tokens), units(tokens));
            let refill = window.fill.refill(wall);
            if index(&refill) != index(&window.fill.refill(bill.charged.wall)) {
                continue;
            }
            if is > was {
                lost += u32::from(!charge(leases, ledger, item, window, is - was, now));
            } else if is < was {
                ledger.undo(item.key, &refill, was - is, bill.charged.ticks, now.ticks);
            }
        }
        bill.clear();
        lost
    }
}

/// Which window of the calendar it is.
fn index(refill: &Refill) -> Option<u32> {
    match refill {
        Refill::Window { index, .. } => Some(*index),
        Refill::Steady { .. } | Refill::Held { .. } => None,
    }
}
