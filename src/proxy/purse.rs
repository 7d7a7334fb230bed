//! What the calls of one worker use of the limits: taken before a request is sent, settled when its exchange ends.

use std::cell::RefCell;
use std::num::NonZeroUsize;

use super::hot::Hot;
use super::worker::Worker;
use crate::base::{Restraint, Ticks};
use crate::link::{Shared, note_alerts};
use crate::policy::rate_limit::{Alert, Bill, Leases, Limits, Now, Outcome, Ticket};
use crate::shared::ledger::Clerk;
use crate::telemetry::WorkerStats;

/// Buckets of which one worker holds something at a time. What was used the longest time ago goes back first.
const BUCKETS_MAX: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();
/// Tickets that are kept for later requests.
const TICKETS_KEPT: usize = 256;

/// The leases of one worker, and its way to the ledger.
pub struct Purse {
    /// What the worker may spend alone.
    pub leases: RefCell<Leases>,
    /// Its access to what all workers share.
    pub clerk: Clerk,
    /// Who uses limits the most.
    pub hot: Hot,
    /// Restraint of lines about budgets that run out.
    pub alerts: Restraint,
    no_room: Restraint,
    /// Boxed as they travel: an exchange holds one, and what a connection's task holds is kept small.
    #[allow(clippy::vec_box)]
    tickets: RefCell<Vec<Box<Ticket>>>,
}

impl Purse {
    /// Of the worker with this index.
    pub fn new(shared: &Shared, index: usize) -> Self {
        let cores = NonZeroUsize::new(shared.workers.len()).unwrap_or(NonZeroUsize::MIN);
        Self {
            leases: RefCell::new(
                Leases::new(shared.limit_secret, cores, BUCKETS_MAX).with_keys(shared.book.keys()),
            ),
            clerk: shared.book.clerk(index),
            hot: Hot::default(),
            alerts: Restraint::new(),
            no_room: Restraint::new(),
            tickets: RefCell::default(),
        }
    }

    /// An empty ticket.
    pub fn ticket(&self) -> Box<Ticket> {
        self.tickets.borrow_mut().pop().unwrap_or_else(|| Box::new(Ticket::new()))
    }

    /// Takes a ticket back that has nothing on it any more.
    pub fn give_back(&self, ticket: Box<Ticket>) {
        debug_assert!(ticket.is_empty(), "a ticket is settled before it is given back");
        let mut tickets = self.tickets.borrow_mut();
        if tickets.len() < TICKETS_KEPT {
            tickets.push(ticket);
        }
    }

    /// Charges what an exchange used, and gives back what it held. What of it is only an estimate is written down in `bill`.
    /// `who` names the caller in the log.
    #[allow(clippy::too_many_arguments)]
    pub fn settle(
        &self,
        limits: &Limits,
        mut ticket: Box<Ticket>,
        outcome: &Outcome,
        bill: Option<&mut Bill>,
        now: Now,
        stats: &RefCell<WorkerStats>,
        who: impl Fn() -> String,
    ) {
        let mut leases = self.leases.borrow_mut();
        if let Some(bill) = bill {
            limits.write_bill(&mut leases, &ticket, outcome, now, bill);
        }
        let settled = limits.settle(&mut leases, &self.clerk, &mut ticket, outcome, now);
        if settled.lost > 0
            && let Some(kept_back) = self.no_room.may_speak(now.ticks)
        {
            tracing::warn!(
                buckets = settled.lost,
                kept_back,
                "no room in the ledger: raise rate_limits.keys_max"
            );
        }
        let count = |limit: &str, percent| stats.borrow_mut().note_budget(limit, percent, 1);
        // A key that is seldom used is named by the caller who used the last of it.
        let key = |alert: &Alert| self.hot.words(alert.key).unwrap_or_else(&who);
        note_alerts(limits, &mut leases, (&self.alerts, now.ticks), count, key);
        drop(leases);
        self.give_back(ticket);
    }

    /// Gives back what was taken for an exchange that was not sent.
    pub fn refund(&self, limits: &Limits, mut ticket: Box<Ticket>, now: Now) {
        limits.refund(&mut self.leases.borrow_mut(), &self.clerk, &mut ticket, now);
        self.give_back(ticket);
    }

    /// Reports what was spent and gives back what is not used.
    pub fn tick(&self, now: Now) {
        let mut leases = self.leases.borrow_mut();
        if !leases.is_empty() {
            leases.tick(&self.clerk, now);
        }
    }

    /// Gives everything back: the worker stops.
    pub fn close(&self, now: Ticks) {
        self.leases.borrow_mut().give_back(&self.clerk, now);
    }
}

/// The present moment of a worker, on both clocks.
pub fn now(worker: &Worker, ticks: Ticks) -> Now {
    Now { ticks, wall: worker.wall() }
}
