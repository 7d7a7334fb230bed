//! Connections that can serve another exchange, and for how long.

use std::time::Duration;

use super::Facts;
use crate::proxy::exchange::Exchange;
use crate::wire::http1::ResponseFraming;

/// How long an idle upstream connection is used less than the server promises to keep it.
const KEEP_ALIVE_MARGIN: Duration = Duration::from_secs(1);

/// How long the connection may wait for another exchange; `None` if it cannot carry one.
pub fn keep_idle(exchange: &Exchange<'_>, facts: &Facts, extra: bool) -> Option<Duration> {
    // Bytes behind the end of the answer belong to nothing that was asked.
    if extra || !facts.keep_alive || facts.framing == ResponseFraming::UntilClose {
        return None;
    }
    idle_bound(exchange.timeouts().upstream_idle, facts.keep_alive_timeout)
}

/// How long a connection may be idle by our own bound and the server's `Keep-Alive` timeout; `None` for not at all.
pub fn idle_bound(own: Duration, theirs: Option<Duration>) -> Option<Duration> {
    let keep = theirs.map_or(own, |theirs| own.min(theirs.saturating_sub(KEEP_ALIVE_MARGIN)));
    (!keep.is_zero()).then_some(keep)
}
