//! Why a connection is served at all: what TLS made sure of when it began, and whether that still holds.
//!
//! A connection outlives much: its client's certificate ends, and a reload takes an authority away. Each request is
//! therefore held against the authorities and the time of now. As long as neither has changed that is a comparison of
//! two numbers; after a change the certificate is verified anew, once.

use std::time::Duration;

use super::worker::{Live, Worker};
use crate::base::Ticks;
use crate::policy::authn::certificate;

/// What the client of a connection has proven, and by which authorities.
pub struct Trust {
    /// The index of the listener.
    listener: usize,
    /// [`Live::trust`] of the listener, as of when this was last verified.
    judged_by: u64,
    /// The last second at which the certificate is valid, since 1970 (UTC).
    ends: u64,
    /// The client's certificate and those that lead to its authority, in DER; empty where none was asked for.
    chain: Box<[Vec<u8>]>,
}

impl Trust {
    /// Of a connection that came in at this listener with this chain. `None` if the certificate cannot be read.
    pub fn new(live: &Live, listener: usize, chain: Vec<Vec<u8>>) -> Option<Self> {
        let ends = match chain.first() {
            Some(own) => certificate::ends(own)?,
            None => u64::MAX,
        };
        Some(Self { listener, judged_by: live.trust(listener), ends, chain: chain.into() })
    }

    /// Of a connection of which nothing was asked.
    pub fn none() -> Self {
        Self { listener: usize::MAX, judged_by: 0, ends: u64::MAX, chain: Box::default() }
    }

    /// The client's certificate, in DER.
    pub fn certificate(&self) -> Option<&[u8]> {
        self.chain.first().map(Vec::as_slice)
    }

    /// Whether the connection may be served at `now`, in seconds since 1970 (UTC).
    #[inline]
    pub fn holds(&mut self, live: &Live, now: u64) -> bool {
        (self.judged_by == live.trust(self.listener) && now <= self.ends) || self.holds_anew(live, now)
    }

    /// Verifies what was shown against the authorities of now.
    #[cold]
    fn holds_anew(&mut self, live: &Live, now: u64) -> bool {
        let asks = |tls: &&crate::io::tls::TlsServer| tls.asks_for_certificates();
        let tls = live.deployment.listener_tls.get(self.listener).and_then(Option::as_ref).filter(asks);
        let Some(tls) = tls else {
            // Nobody verifies certificates here any more, so none says who calls.
            (self.chain, self.ends, self.judged_by) = (Box::default(), u64::MAX, live.trust(self.listener));
            return true;
        };
        if now > self.ends || !tls.trusts(&self.chain, now) {
            return false;
        }
        self.judged_by = live.trust(self.listener);
        true
    }

    /// When a stream that begins now ends at the latest.
    pub fn end(&self, worker: &Worker, now: Ticks) -> Ticks {
        if self.ends == u64::MAX {
            return Ticks::NEVER;
        }
        now + Duration::from_secs(self.ends.saturating_sub(worker.wall()))
    }
}
