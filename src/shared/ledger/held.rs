//! A bucket that fills by what is given back. `main` is the number of units that are out.

use std::num::NonZeroU64;
use std::time::Duration;

use super::word::Body;
use crate::base::ledger::{Ask, Drawn, Level, OUTSTANDING_MAX};

pub(super) fn draw(body: Body, count: NonZeroU64, ask: &Ask) -> (Option<Body>, Drawn) {
    let most = count.get().min(OUTSTANDING_MAX);
    let out = body.main.saturating_sub(ask.spent);
    let units = most.saturating_sub(out).min(ask.most);
    if units < ask.least {
        let wait = if ask.least <= most { Duration::ZERO } else { Duration::MAX };
        return (changed(body, out), Drawn::Refused { wait });
    }
    (changed(body, out + units), Drawn::Granted(units))
}

pub(super) fn settle(body: Body, spent: u64, unspent: u64) -> Option<Body> {
    changed(body, body.main.saturating_sub(spent).saturating_sub(unspent))
}

pub(super) fn level(body: Body, count: NonZeroU64) -> Level {
    let most = count.get().min(OUTSTANDING_MAX);
    Level { available: most as i64 - body.main as i64, outstanding: body.main }
}

pub(super) fn is_full(body: Body) -> bool {
    body.main == 0
}

fn changed(body: Body, out: u64) -> Option<Body> {
    (out != body.main).then_some(Body { main: out, ..body })
}
