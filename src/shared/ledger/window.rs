//! A bucket that is full at the beginning of each window of the calendar.
//!
//! `side` is the low bits of the window's number. `main` has the units used (or drawn) in its upper 40 bits, and in its
//! lower 24 the end of the window in steps of 69 s, rounded up: the slot is free from then on. Units that are
//! outstanding are not counted apart: with the end of the window they are void, so nothing waits for their report.

use std::num::NonZeroU64;
use std::time::Duration;

use super::word::{Body, SIDE_MAX};
use crate::base::Ticks;
use crate::base::ledger::{Ask, Drawn, Level, WINDOW_COUNT_MAX};

/// A window, as a core sees it at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    count: u64,
    index: u32,
    left: Duration,
    end: u64,
    now: u64,
}

impl Window {
    pub(super) fn new(count: NonZeroU64, index: u32, left: Duration, now: Ticks) -> Self {
        let end = ((now + left).0 >> STEP_BITS).saturating_add(1).min(END_MAX);
        let count = count.get().min(WINDOW_COUNT_MAX);
        Self { count, index: index & SIDE_MAX, left, end, now: now.0 >> STEP_BITS }
    }

    /// What was used of this window; `None` if `body` is of a later one.
    fn used(&self, body: Body) -> Option<u64> {
        let used = body.main >> END_BITS;
        let ahead = self.index.wrapping_sub(body.side) & SIDE_MAX;
        match ahead {
            0 => Some(used),
            // It was never used, or it is over, whatever the numbers say after so many windows.
            _ if body.main == 0 || body.main & END_MAX < self.now => Some(0),
            _ if ahead <= SIDE_MAX / 2 => Some(0),
            _ => None,
        }
    }

    /// The state in which `used` units of this window are used. The end is the latest that any core saw.
    fn body(&self, before: Body, used: u64) -> Body {
        let known = if before.side == self.index { before.main & END_MAX } else { 0 };
        Body { main: used.min(WINDOW_COUNT_MAX) << END_BITS | self.end.max(known), side: self.index }
    }
}

pub(super) fn draw(body: Body, window: &Window, ask: &Ask) -> (Option<Body>, Drawn) {
    let wait = if ask.least <= window.count { window.left } else { Duration::MAX };
    let Some(used) = window.used(body) else {
        return (None, Drawn::Refused { wait });
    };
    let units = window.count.saturating_sub(used).min(ask.most);
    if units < ask.least {
        return (None, Drawn::Refused { wait });
    }
    let next = (units > 0).then(|| window.body(body, used + units));
    (next, Drawn::Granted(units))
}

/// Takes `units` back, in their own window only.
pub(super) fn give_back(body: Body, window: &Window, units: u64) -> Option<Body> {
    let used = body.main >> END_BITS;
    let same = body.side == window.index && units > 0 && used > 0;
    same.then(|| window.body(body, used.saturating_sub(units)))
}

pub(super) fn charge(body: Body, window: &Window, units: u64) -> Option<Body> {
    let used = window.used(body)?;
    (units > 0).then(|| window.body(body, used.saturating_add(units)))
}

pub(super) fn level(body: Body, window: &Window) -> Level {
    // Nothing is to be had of a window that is over.
    let used = window.used(body).unwrap_or(window.count);
    Level { available: window.count as i64 - used as i64, outstanding: 0 }
}

/// Units used of the window with this number, as far as the bucket is of it.
pub(super) fn used_in(body: Body, index: u32) -> u64 {
    if body.side == index & SIDE_MAX { body.main >> END_BITS } else { 0 }
}

/// Whether the window has ended for every core.
pub(super) fn is_over(body: Body, now: Ticks) -> bool {
    body.main & END_MAX < now.0 >> STEP_BITS
}

const END_BITS: u32 = 24;
/// After 36 years the end of a window is not known any more, and its slot stays taken.
const END_MAX: u64 = (1 << END_BITS) - 1;
/// 2³⁶ ns, 69 s.
const STEP_BITS: u32 = 36;
