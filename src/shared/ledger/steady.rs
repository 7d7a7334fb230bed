//! A bucket that fills evenly, kept as the moment at which it will be full again.
//!
//! `main` is that moment in sixteenths of a nanosecond, `side` the units outstanding. Everything that is taken moves
//! the moment on by the unit's time. Before any units stop being outstanding the moment is moved up to now plus
//! their time, as if all of them were spent just now: that is what makes the bucket refill only up to what they
//! leave. `docs/ledger.md` has the proof that no window admits more than burst + rate × window.

use std::num::NonZeroU64;
use std::time::Duration;

use super::word::{Body, SIDE_MAX};
use crate::base::Ticks;
use crate::base::ledger::{Ask, Drawn, Level};

/// A unit's time as a fraction, never less than count and period say.
///
/// From 64 ns on it is a whole number of sixteenths, so that sums are exact and a burst is what it says; the rate is
/// less than a thousandth below the one asked for (three millionths at 50,000/s). Below, sums are rounded as a whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    time: u64,
    units: u64,
    burst: u64,
}

impl Rate {
    #[inline]
    pub(super) fn new(count: NonZeroU64, per: Duration, burst: NonZeroU64) -> Self {
        let per = u64::try_from(per.as_nanos()).unwrap_or(u64::MAX).clamp(1, u64::MAX >> 4) << 4;
        let whole = per.div_ceil(count.get());
        let (time, units) = if whole >= 64 << 4 { (whole, 1) } else { (per, count.get()) };
        Self { time, units, burst: burst.get() }
    }

    /// The time of `n` units, rounded up.
    #[inline]
    fn cost(&self, n: u64) -> u64 {
        match n.checked_mul(self.time) {
            Some(product) if self.units == 1 => product,
            Some(product) => product.div_ceil(self.units),
            None => narrow((u128::from(n) * u128::from(self.time)).div_ceil(u128::from(self.units))),
        }
    }

    /// The time of `n` units, rounded down.
    #[inline]
    fn cost_at_most(&self, n: u64) -> u64 {
        match n.checked_mul(self.time) {
            Some(product) if self.units == 1 => product,
            Some(product) => product / self.units,
            None => narrow(u128::from(n) * u128::from(self.time) / u128::from(self.units)),
        }
    }

    /// As many of `n` units as take at most `space`, and their time.
    #[cold]
    fn fitting(&self, n: u64, space: u64) -> (u64, u64) {
        let units = u128::from(space) * u128::from(self.units) / u128::from(self.time);
        let units = n.min(narrow(units));
        (units, self.cost(units))
    }

    /// The units that fill in `time`, rounded up.
    #[inline]
    fn units_in(&self, time: u64) -> u64 {
        match time.checked_mul(self.units) {
            Some(product) => product.div_ceil(self.time),
            None => narrow((u128::from(time) * u128::from(self.units)).div_ceil(u128::from(self.time))),
        }
    }
}

#[inline]
pub(super) fn draw(body: Body, rate: &Rate, ask: &Ask, now: Ticks) -> (Option<Body>, Drawn) {
    let clock = clock(now);
    let mut next = lifted(body, rate, clock);
    next.side -= narrow_side(ask.spent).min(next.side);
    let taken = rate.units_in(next.main - clock);
    let room = u64::from(SIDE_MAX - next.side).saturating_add(ask.at_once);
    let units = rate.burst.saturating_sub(taken).min(ask.most).min(room);
    let reported = (next.side != body.side).then_some(next);
    let space = HORIZON.saturating_sub(next.main - clock);
    let (units, cost) = match rate.cost(units) {
        cost if cost <= space => (units, cost),
        _ => rate.fitting(units, space),
    };
    if units < ask.least {
        return (reported, Drawn::Refused { wait: wait(next, rate, ask, clock) });
    }
    if units == 0 {
        return (reported, Drawn::Granted(0));
    }
    next.main += cost;
    next.side += narrow_side(units.saturating_sub(ask.at_once));
    (Some(next), Drawn::Granted(units))
}

#[inline]
pub(super) fn settle(body: Body, rate: &Rate, spent: u64, unspent: u64, now: Ticks) -> Option<Body> {
    let mut next = lifted(body, rate, clock(now));
    next.side -= narrow_side(spent).min(next.side);
    let back = narrow_side(unspent).min(next.side);
    next.side -= back;
    // What is still outstanding keeps its time: the moment was moved up for it too.
    next.main -= rate.cost_at_most(u64::from(back)).min(next.main);
    (next.side != body.side).then_some(next)
}

#[inline]
pub(super) fn charge(body: Body, rate: &Rate, units: u64, now: Ticks) -> Option<Body> {
    let mut next = lifted(body, rate, clock(now));
    next.main = next.main.saturating_add(rate.cost(units));
    (units > 0).then_some(next)
}

/// Without these units the bucket might have been full for a part of the time since `drawn`, and refilled less. So
/// that time is not given back.
#[inline]
pub(super) fn undo(body: Body, rate: &Rate, units: u64, drawn: Ticks, now: Ticks) -> Option<Body> {
    let now = clock(now);
    let before = lifted(body, rate, now);
    let floor = now.saturating_add(rate.cost(u64::from(before.side)));
    let back = rate.cost_at_most(units).saturating_sub(now.saturating_sub(clock(drawn)));
    let main = before.main.saturating_sub(back).max(floor);
    (main < before.main).then_some(Body { main, ..before })
}

pub(super) fn level(body: Body, rate: &Rate, now: Ticks) -> Level {
    let clock = clock(now);
    let taken = rate.units_in(lifted(body, rate, clock).main - clock);
    let available = i128::from(rate.burst) - i128::from(taken);
    let available = available.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
    Level { available, outstanding: u64::from(body.side) }
}

/// When it will be full, if all that is outstanding is spent at `now`.
pub(super) fn full_at(body: Body, rate: &Rate, now: Ticks) -> Ticks {
    Ticks(lifted(body, rate, clock(now)).main.div_ceil(16))
}

/// The state in which it is not full before `full`.
pub(super) fn filled_at(body: Body, full: Ticks) -> Option<Body> {
    let main = clock(full).max(body.main);
    (main > body.main).then_some(Body { main, ..body })
}

/// Whether it has been full for so long that no core's clock can say otherwise.
pub(super) fn is_full(body: Body, now: Ticks) -> bool {
    body.side == 0 && body.main.saturating_add(GRACE) <= clock(now)
}

/// The state in which all that is outstanding is spent at `clock`.
#[inline]
fn lifted(body: Body, rate: &Rate, clock: u64) -> Body {
    let spent_now = clock.saturating_add(rate.cost(u64::from(body.side)));
    Body { main: body.main.max(spent_now), side: body.side }
}

#[cold]
fn wait(body: Body, rate: &Rate, ask: &Ask, clock: u64) -> Duration {
    let room = u64::from(SIDE_MAX).saturating_add(ask.at_once);
    let needed = rate.cost(ask.least);
    if ask.least > rate.burst || ask.least > room || needed > HORIZON {
        return Duration::MAX;
    }
    let allowed = rate.cost_at_most(rate.burst - ask.least).min(HORIZON - needed);
    let target = clock.saturating_add(allowed);
    Duration::from_nanos(body.main.saturating_sub(target).div_ceil(16))
}

/// Sixteenths of a nanosecond. It stops after 18 years, so that there is always room for as much debt.
#[inline]
fn clock(now: Ticks) -> u64 {
    now.0.min(u64::MAX >> 5) << 4
}

#[inline]
fn narrow(wide: u128) -> u64 {
    u64::try_from(wide).unwrap_or(u64::MAX)
}

#[inline]
fn narrow_side(units: u64) -> u32 {
    units.min(u64::from(SIDE_MAX)) as u32
}

/// Nine years: nothing is granted that would fill later than so. A sum that were cut would admit for ever; so a burst
/// that takes longer to fill is in fact this long. With a clock of at most 18 years no sum of grants is ever cut.
const HORIZON: u64 = 1 << 62;
/// One second: far more than the clocks of cores differ by.
const GRACE: u64 = 1_000_000_000 << 4;
