//! What one core holds of the buckets that it uses: units it may spend without asking anybody.
//!
//! Every unit here is outstanding in the ledger until [`Leases::tick`] or the next draw reports it. The table is
//! bounded: what was not used for a moment goes back and is forgotten, and so does the one that was used the longest
//! time ago when there is no room for another.

use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use super::alerts::{Alert, Alerts};
use super::facts::Now;
use super::fill::{Fill, HELD_WAIT};
use super::sip::Secret;
use super::table::Table;
use super::{Ask, BucketKey, Drawn, Ledger, Refill};
use crate::base::Ticks;
use crate::base::ledger::{Last, lease, rest};

/// The leases of one core.
pub struct Leases {
    pub(super) secret: Secret,
    cores: NonZeroUsize,
    table: Table<Lease>,
    /// The latest second seen: a wall clock that is set back does not give a quota back.
    wall: u64,
    pub(super) alerts: Alerts,
    /// Keys of its own choice that a caller may have in use.
    keys_share: NonZeroU64,
}

/// What a core holds of one bucket.
#[derive(Clone, Copy, Debug)]
struct Lease {
    fill: Fill,
    /// The window that the units are of; 0 where there are none.
    index: u32,
    /// Units drawn and neither spent nor given back.
    remaining: u64,
    /// Units spent and not reported.
    spent: u64,
    /// Units of the last draw, and when it was.
    drawn: u64,
    drawn_at: Ticks,
    /// Until then the bucket is left alone: it was found empty, or full enough.
    rests_until: Ticks,
    /// When one unit will be there, if the bucket was found empty.
    fills_at: Ticks,
}

/// What became of a wish for one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is there.
    Unit,
    /// There is none; one will be after this time.
    Dry(Duration),
    /// The ledger has no room for the key.
    NoRoom,
}

/// A bucket that was not used for this long is given back.
const IDLE: Duration = Duration::from_millis(250);
/// The longest that a core believes in an empty bucket without asking again: units may come back to it.
const REST_MAX: Duration = Duration::from_millis(1);
/// How long a core believes that a bucket that is charged afterwards is not empty.
const BELIEF: Duration = Duration::from_millis(2);
/// Idle leases that one tick gives back at most.
const RETURNS_MAX: usize = 4_096;

/// So many callers would have to work together to use up all keys by choosing them,
const KEYS_SHARES: usize = 64;
/// unless there are so few that each gets this many.
const KEYS_SHARE_MIN: NonZeroU64 = NonZeroU64::new(256).unwrap();

impl Leases {
    /// Of one of so many cores; at most `buckets_max` buckets are known here at a time. The secret is the same on all
    /// cores, or one key would be several.
    pub fn new(secret: Secret, cores: NonZeroUsize, buckets_max: NonZeroUsize) -> Self {
        let alerts = Alerts::new();
        Self { secret, cores, table: Table::new(buckets_max), wall: 0, alerts, keys_share: KEYS_SHARE_MIN }
    }

    /// The same before a ledger that has room for so many keys.
    #[must_use]
    pub fn with_keys(self, keys_max: usize) -> Self {
        let share = u64::try_from(keys_max / KEYS_SHARES).ok().and_then(NonZeroU64::new);
        Self { keys_share: share.unwrap_or(NonZeroU64::MIN).max(KEYS_SHARE_MIN), ..self }
    }

    /// Keys of its own choice that a caller may have in use at a time, for each window of a limit.
    pub(super) fn keys_share(&self) -> NonZeroU64 {
        self.keys_share
    }

    /// What hashes are keyed with.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Buckets that the core holds something of, or knows something about.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Alerts since the last time this was asked, and how many more there were than are kept.
    pub fn take_alerts(&mut self, each: impl FnMut(Alert)) -> u64 {
        self.alerts.take(each)
    }

    /// Reports what was spent since the last tick and gives back what is not used any more. Call it every 10 to
    /// 100 ms while there are any; until then spent units refill nothing.
    pub fn tick<L: Ledger + ?Sized>(&mut self, ledger: &L, now: Now) {
        self.advance(now);
        self.table.fresh(|key, lease| {
            if lease.spent > 0 {
                let refill = lease.refill();
                ledger.settle(BucketKey(key), &refill, std::mem::take(&mut lease.spent), 0, now.ticks);
            }
        });
        self.table.expire(now.ticks, IDLE, RETURNS_MAX, |key, lease| lease.end(key, ledger, now.ticks));
    }

    /// Gives everything back: the core stops.
    pub fn give_back<L: Ledger + ?Sized>(&mut self, ledger: &L, now: Ticks) {
        self.table.clear(|key, lease| lease.end(key, ledger, now));
    }

    /// The present second: never less than one that was seen before.
    pub(super) fn advance(&mut self, now: Now) -> u64 {
        self.wall = self.wall.max(now.wall);
        self.wall
    }

    /// Takes a unit that is spent by being taken.
    #[inline]
    pub(super) fn take<L: Ledger + ?Sized>(
        &mut self,
        ledger: &L,
        key: BucketKey,
        fill: &Fill,
        now: Ticks,
    ) -> (Taken, u32) {
        let (wall, cores) = (self.wall, self.cores);
        let lease = Self::lease(&mut self.table, ledger, key, fill, wall, now);
        if lease.remaining > 0 {
            lease.remaining -= 1;
            lease.spent += 1;
            return (Taken::Unit, lease.index);
        }
        let taken = lease.draw(
            ledger,
            key,
            wall,
            now,
            |refill, last| Ask { least: 1, most: self::lease(refill, cores, last), spent: 0, at_once: 1 },
            cores,
        );
        (taken, lease.index)
    }

    /// Whether there is a unit at all, of a bucket that is charged afterwards. One unit is kept here as a deposit, so
    /// that there is room for the bucket when it is charged.
    pub(super) fn check<L: Ledger + ?Sized>(
        &mut self,
        ledger: &L,
        key: BucketKey,
        fill: &Fill,
        now: Ticks,
    ) -> (Taken, u32) {
        let (wall, cores) = (self.wall, self.cores);
        let lease = Self::lease(&mut self.table, ledger, key, fill, wall, now);
        if lease.remaining == 0 {
            let ask = Ask { least: 1, most: 1, spent: 0, at_once: 0 };
            let taken = lease.draw(ledger, key, wall, now, |_, _| ask, cores);
            if taken == Taken::Unit {
                lease.rests_until = now + BELIEF;
            }
            return (taken, lease.index);
        }
        if now >= lease.rests_until {
            let available = ledger.level(key, &fill.refill(wall), now).available;
            (lease.rests_until, lease.fills_at) = (now + BELIEF, now);
            if available < 0 {
                lease.rests_until = now + REST_MAX;
                lease.fills_at = now + fill.wait(available, wall);
            }
        }
        let wait = lease.fills_at.since(now);
        let taken = if wait.is_zero() { Taken::Unit } else { Taken::Dry(wait) };
        (taken, lease.index)
    }

    /// Takes a unit that is held until [`Leases::release`].
    pub(super) fn hold<L: Ledger + ?Sized>(ledger: &L, key: BucketKey, fill: &Fill, now: Ticks) -> Taken {
        let ask = Ask { least: 1, most: 1, spent: 0, at_once: 0 };
        match ledger.draw(key, &fill.refill(0), ask, now) {
            Drawn::Granted(_) => Taken::Unit,
            Drawn::Refused { .. } => Taken::Dry(HELD_WAIT),
            Drawn::NoRoom => Taken::NoRoom,
        }
    }

    /// Gives back a unit that was held.
    pub(super) fn release<L: Ledger + ?Sized>(ledger: &L, key: BucketKey, fill: &Fill, now: Ticks) {
        ledger.settle(key, &fill.refill(0), 0, 1, now);
    }

    /// Gives back a unit that [`Leases::take`] gave at `drawn`, in the window `index`.
    pub(super) fn undo<L: Ledger + ?Sized>(
        &mut self,
        ledger: &L,
        key: BucketKey,
        fill: &Fill,
        index: u32,
        drawn: Ticks,
        now: Ticks,
    ) {
        if let Some(lease) = self.table.peek(key.0)
            && lease.index == index
            && lease.spent > 0
        {
            // Not reported yet, so the ledger need not know.
            lease.spent -= 1;
            lease.remaining += 1;
            return;
        }
        ledger.undo(key, &of_window(fill, index), 1, drawn, now);
        if let Some(lease) = self.table.peek(key.0) {
            lease.rests_until = now;
        }
    }

    /// Charges what was used of a bucket that [`Leases::check`] has found. `false` if there was no room for it.
    pub(super) fn charge<L: Ledger + ?Sized>(
        &mut self,
        ledger: &L,
        key: BucketKey,
        fill: &Fill,
        units: u64,
        now: Ticks,
    ) -> bool {
        if let Some(lease) = self.table.peek(key.0) {
            lease.rests_until = now;
        }
        ledger.charge(key, &fill.refill(self.wall), units, now)
    }

    /// Whether a bucket takes room already, here or in the ledger.
    pub(super) fn has<L: Ledger + ?Sized>(
        &mut self,
        ledger: &L,
        key: BucketKey,
        fill: &Fill,
        now: Ticks,
    ) -> bool {
        // A full bucket vanishes.
        let level = || ledger.level(key, &fill.refill(self.wall), now).available;
        let full = i64::try_from(fill.capacity()).unwrap_or(i64::MAX);
        self.table.peek(key.0).is_some() || level() < full
    }

    /// What a bucket holds as this core sees it: with what the core itself holds of it.
    pub(super) fn available<L: Ledger + ?Sized>(
        &mut self,
        ledger: &L,
        key: BucketKey,
        fill: &Fill,
        now: Ticks,
    ) -> i64 {
        let refill = fill.refill(self.wall);
        let own = self.table.peek(key.0).map_or(0, |lease| {
            if lease.index == index_of(&refill) {
                i64::try_from(lease.remaining).unwrap_or(i64::MAX)
            } else {
                0
            }
        });
        ledger.level(key, &refill, now).available.saturating_add(own)
    }

    /// The lease on the bucket, of the present window.
    #[inline]
    fn lease<'t, L: Ledger + ?Sized>(
        table: &'t mut Table<Lease>,
        ledger: &L,
        key: BucketKey,
        fill: &Fill,
        wall: u64,
        now: Ticks,
    ) -> &'t mut Lease {
        let lease =
            table.touch(key.0, now, || Lease::new(fill, wall, now), |key, lease| lease.end(key, ledger, now));
        if lease.fill != *fill {
            // A reload: what was drawn with the old numbers goes back by them.
            lease.end(key.0, ledger, now);
            *lease = Lease::new(fill, wall, now);
        } else if let Fill::Calendar { .. } = fill {
            let index = index_of(&fill.refill(wall));
            if lease.index != index {
                // What is left of a window that is over is lost.
                *lease = Lease::new(fill, wall, now);
            }
        }
        lease
    }
}

impl Lease {
    fn new(fill: &Fill, wall: u64, now: Ticks) -> Self {
        Self {
            fill: *fill,
            index: index_of(&fill.refill(wall)),
            remaining: 0,
            spent: 0,
            drawn: 0,
            drawn_at: now,
            rests_until: Ticks::default(),
            fills_at: Ticks::default(),
        }
    }

    /// Asks the ledger, unless it is known to have nothing.
    fn draw<L: Ledger + ?Sized>(
        &mut self,
        ledger: &L,
        key: BucketKey,
        wall: u64,
        now: Ticks,
        ask: impl FnOnce(&Refill, Option<Last>) -> Ask,
        cores: NonZeroUsize,
    ) -> Taken {
        if now < self.rests_until {
            return Taken::Dry(self.fills_at.since(now).max(Duration::from_nanos(1)));
        }
        let refill = self.fill.refill(wall);
        let last = (self.drawn > 0).then(|| Last { units: self.drawn, lasted: now.since(self.drawn_at) });
        let ask = Ask { spent: std::mem::take(&mut self.spent), ..ask(&refill, last) };
        match ledger.draw(key, &refill, ask, now) {
            Drawn::Granted(units) => {
                (self.drawn, self.drawn_at) = (units, now);
                self.remaining = units.saturating_sub(ask.at_once);
                self.fills_at = now;
                Taken::Unit
            }
            Drawn::Refused { wait } => {
                self.rests_until = now + rest(&refill, cores, wait).min(REST_MAX);
                self.fills_at = now + wait;
                Taken::Dry(wait)
            }
            Drawn::NoRoom => Taken::NoRoom,
        }
    }

    /// Gives everything back.
    fn end<L: Ledger + ?Sized>(&mut self, key: u128, ledger: &L, now: Ticks) {
        if self.spent > 0 || self.remaining > 0 {
            ledger.settle(BucketKey(key), &self.refill(), self.spent, self.remaining, now);
            (self.spent, self.remaining) = (0, 0);
        }
    }

    /// As the units were drawn.
    fn refill(&self) -> Refill {
        of_window(&self.fill, self.index)
    }
}

/// The refill of one window of the calendar, now or in the past.
fn of_window(fill: &Fill, index: u32) -> Refill {
    match fill.refill(0) {
        Refill::Window { count, .. } => Refill::Window { count, index, left: Duration::ZERO },
        other @ (Refill::Steady { .. } | Refill::Held { .. }) => other,
    }
}

fn index_of(refill: &Refill) -> u32 {
    match refill {
        Refill::Window { index, .. } => *index,
        Refill::Steady { .. } | Refill::Held { .. } => 0,
    }
}
