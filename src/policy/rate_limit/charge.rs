//! Taking what a message uses: all of it, or nothing.

use std::time::Duration;

use super::facts::{Asked, Facts, Now};
use super::fill::Fill;
use super::index::{rest_fits, uses};
use super::key::{KeyPart, NOT_CONCERNED, Values};
use super::leases::{Leases, Taken};
use super::limit::{Limit, Mode, Unit, Window};
use super::ticket::{Item, NO_PRICE, State, Ticket, Wants};
use super::{BucketKey, Ledger, Limits};

/// Whether a message may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Allow {
        /// A limit in report mode that would have refused it.
        reported: Option<u16>,
    },
    /// It may not; nothing was taken for it.
    Deny(Denial),
}

/// A refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Index of the limit that has to be waited for the longest.
    pub limit: u16,
    /// Which of its windows, and of which plan: for [`Limits::write_refusal_fields`].
    pub(super) plan: u8,
    pub(super) window: u8,
    /// After this time it may have a chance, if nobody else takes what comes until then.
    pub wait: Duration,
    /// Why.
    pub why: Why,
}

/// Why a message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// No unit is left.
    Spent,
    /// As many are under way as may be.
    Busy,
    /// `rate_limits.keys_max` keys are in use, so that nothing could be counted.
    NoRoom,
}

impl Why {
    /// Its name in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Spent => "spent",
            Self::Busy => "busy",
            Self::NoRoom => "no_room",
        }
    }
}

/// Of a key that is charged afterwards it is not known how much of its bucket a call uses up, and so how long it is in use: a
/// sixteenth of the longest that can be is assumed.
const ASSUMED_PART: u32 = 16;
/// Units of shares that are taken back where a message is refused. Nobody has more limits on keys that callers choose.
const SHARES_NOTED: usize = 4;

/// What a caller is told to wait when there is no room for its key.
const NO_ROOM_WAIT: Duration = Duration::from_secs(1);

impl Limits {
    /// Takes what a message uses of every limit that concerns it, and notes it in the exchange's ticket. If a limit
    /// refuses, nothing of this message stays taken; what the ticket had before stays.
    pub fn charge<L: Ledger + ?Sized>(
        &self,
        leases: &mut Leases,
        ledger: &L,
        facts: &Facts<'_>,
        now: Now,
        ticket: &mut Ticket,
    ) -> Verdict {
        let (candidates, compare) = self.index.find(facts);
        if candidates.is_empty() {
            return Verdict::Allow { reported: None };
        }
        let wall = leases.advance(now);
        let asked = Asked::new(self, facts, wall);
        let ends = facts.is_end();
        let mut charging = Charging {
            leases,
            ledger,
            now,
            ticket,
            denial: None,
            reported: None,
            ends,
            shares: [None; SHARES_NOTED],
        };
        let before = charging.ticket.len();
        for &at in candidates {
            let Some(limit) = self.limits.get(usize::from(at)) else { continue };
            let plan = facts.keys.plan(at);
            if plan != NOT_CONCERNED && concerns(limit, &asked, compare) {
                charging.take(limit, at, plan, &asked);
                if limit.unit == Unit::Cost {
                    charging.ticket.price = self.price_of(facts);
                    charging.ticket.wants.tokens |= self.price_has_tokens(charging.ticket.price);
                }
            }
        }
        match charging.denial {
            None => Verdict::Allow { reported: charging.reported },
            Some(denial) => {
                charging.give_back(self, before);
                Verdict::Deny(denial)
            }
        }
    }

    /// Takes everything of a ticket back: the exchange was not sent.
    pub fn refund<L: Ledger + ?Sized>(&self, leases: &mut Leases, ledger: &L, ticket: &mut Ticket, now: Now) {
        leases.advance(now);
        let shares = [None; SHARES_NOTED];
        Charging { leases, ledger, now, ticket, denial: None, reported: None, ends: false, shares }
            .give_back(self, 0);
        (ticket.price, ticket.wants) = (NO_PRICE, Wants::default());
    }
}

/// Whether the limit is about the message, as far as the index has not said.
#[inline]
pub(super) fn concerns(limit: &Limit, asked: &Asked<'_, '_>, compare: bool) -> bool {
    uses(limit.unit, asked.facts)
        && (!compare || rest_fits(limit, asked.facts))
        && limit.when.as_ref().is_none_or(|when| asked.holds(when))
}

struct Charging<'a, L: ?Sized> {
    leases: &'a mut Leases,
    ledger: &'a L,
    now: Now,
    ticket: &'a mut Ticket,
    denial: Option<Denial>,
    reported: Option<u16>,
    /// The message ends a session.
    ends: bool,
    /// What was taken of the caller's shares of keys for this message.
    shares: [Option<Share>; SHARES_NOTED],
}

/// A unit of a share.
#[derive(Clone, Copy)]
struct Share {
    bucket: BucketKey,
    fill: Fill,
    index: u32,
}

impl<L: Ledger + ?Sized> Charging<'_, L> {
    /// Takes what one limit wants. After a refusal the others are asked as well, to know how long to wait for all.
    #[inline]
    fn take(&mut self, limit: &Limit, at: u16, plan: u8, asked: &Asked<'_, '_>) {
        let windows = limit.windows_of(plan);
        if windows.is_empty() {
            return;
        }
        let values = Values::of(&limit.key, self.leases.secret(), asked);
        for (window, number) in windows.iter().zip(0_u8..) {
            let key = values.bucket(window.identity);
            // A batch is one request, whichever of its messages the limit is about.
            if limit.unit == Unit::Requests && !asked.facts.is_first && self.ticket.has(at, key) {
                continue;
            }
            let share = match limit.keys_are_chosen {
                true => self.share_of(key, limit.unit, window),
                false => None,
            };
            let (taken, index, state) = self.one(limit.unit, key, window);
            let item = Item { key, drawn: self.now.ticks, limit: at, plan, window: number, index, state };
            match taken {
                Taken::Unit => {
                    if state == State::Spent && !window.alerts.is_empty() {
                        self.note_use(at, key, window);
                    }
                    self.ticket.push(item, limit.unit);
                    if let Some(wait) = share.and_then(|fill| self.take_share(fill, window, asked).err()) {
                        self.refuse(limit, item, wait, Why::NoRoom);
                    }
                }
                Taken::Dry(wait) => {
                    let why = if limit.unit == Unit::InFlight { Why::Busy } else { Why::Spent };
                    self.refuse(limit, item, wait, why);
                }
                Taken::NoRoom => self.refuse(limit, item, NO_ROOM_WAIT, Why::NoRoom),
            }
        }
    }

    /// What a unit of this key costs of its caller's share, if anything: the share comes back in the time that the key is in
    /// use for it.
    fn share_of(&mut self, key: BucketKey, unit: Unit, window: &Window) -> Option<Fill> {
        let share = self.leases.keys_share();
        let steady = |per| Fill::Steady { count: share, per, burst: share };
        let is_new = |this: &mut Self| !this.leases.has(this.ledger, key, &window.fill, this.now.ticks);
        match (unit, window.fill) {
            (Unit::InFlight, _) | (_, Fill::Held { .. }) => None,
            (_, Fill::Calendar { period, begins, .. }) => {
                is_new(self).then_some(Fill::Calendar { count: share, period, begins })
            }
            (Unit::Requests | Unit::Calls, Fill::Steady { .. }) => Some(steady(window.fill.unit_time())),
            (Unit::Tokens | Unit::Bytes | Unit::Cost, Fill::Steady { .. }) => {
                is_new(self).then(|| steady(window.fill.span() / ASSUMED_PART))
            }
        }
    }

    /// Takes a unit of the caller's share of the keys that it chooses.
    ///
    /// # Errors
    /// There is none: how long to wait for one.
    #[inline]
    fn take_share(&mut self, fill: Fill, window: &Window, asked: &Asked<'_, '_>) -> Result<(), Duration> {
        // No window has this identity but by chance, once in 2^128.
        let identity = !window.identity;
        let bucket = Values::of(&[KeyPart::Caller], self.leases.secret(), asked).bucket(identity);
        let (taken, index) = self.leases.take(self.ledger, bucket, &fill, self.now.ticks);
        match taken {
            Taken::Unit => {
                if let Some(free) = self.shares.iter_mut().find(|share| share.is_none()) {
                    *free = Some(Share { bucket, fill, index });
                }
                Ok(())
            }
            Taken::Dry(wait) => Err(wait),
            Taken::NoRoom => Err(NO_ROOM_WAIT),
        }
    }

    #[inline]
    fn one(&mut self, unit: Unit, key: BucketKey, window: &Window) -> (Taken, u32, State) {
        let (ledger, now) = (self.ledger, self.now.ticks);
        match unit {
            Unit::Requests | Unit::Calls => {
                let (taken, index) = self.leases.take(ledger, key, &window.fill, now);
                (taken, index, State::Spent)
            }
            Unit::Tokens | Unit::Bytes | Unit::Cost => {
                let (taken, index) = self.leases.check(ledger, key, &window.fill, now);
                (taken, index, State::Later)
            }
            Unit::InFlight => (Leases::hold(ledger, key, &window.fill, now), 0, State::Held),
        }
    }

    #[cold]
    fn refuse(&mut self, limit: &Limit, item: Item, wait: Duration, why: Why) {
        // The end of a session frees what it holds: it counts while there is something left, and passes all the same.
        let spared = self.ends && !limit.names_ends();
        match limit.mode {
            _ if spared => {}
            Mode::Report => {
                self.reported = self.reported.or(Some(item.limit));
                if item.state == State::Later && why != Why::NoRoom {
                    // What it uses is counted all the same.
                    self.ticket.push(item, limit.unit);
                }
            }
            Mode::Enforce => {
                let denial = Denial { limit: item.limit, plan: item.plan, window: item.window, wait, why };
                if self.denial.is_none_or(|known| known.wait < wait) {
                    self.denial = Some(denial);
                }
            }
        }
    }

    /// Notes that a budget has come to its end or near it.
    fn note_use(&mut self, limit: u16, key: BucketKey, window: &Window) {
        let now = self.now.ticks;
        let available = self.leases.available(self.ledger, key, &window.fill, now);
        self.leases.alerts.note(limit, key, window, available.saturating_add(1), available, now);
    }

    fn give_back(&mut self, limits: &Limits, from: usize) {
        for item in self.ticket.items(from) {
            let Some((_, window)) = limits.window(item) else { continue };
            match item.state {
                State::Spent => {
                    let (drawn, now) = (item.drawn, self.now.ticks);
                    self.leases.undo(self.ledger, item.key, &window.fill, item.index, drawn, now);
                }
                State::Held => Leases::release(self.ledger, item.key, &window.fill, self.now.ticks),
                State::Later | State::Nothing => {}
            }
        }
        self.ticket.truncate(from);
        for Share { bucket, fill, index } in self.shares.iter_mut().filter_map(Option::take) {
            let now = self.now.ticks;
            self.leases.undo(self.ledger, bucket, &fill, index, now, now);
        }
    }
}
