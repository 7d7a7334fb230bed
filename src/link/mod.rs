//! What the planes say to each other: the deployment that control publishes, and messages to workers.
//!
//! `proxy` and `control` do not know each other. They share these types, through `shared`.
#![forbid(unsafe_code)]

mod counting;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use crate::base::{Restraint, Secret, Ticks};
use crate::config::{ServerId, Snapshot};
use crate::io::Accepted;
use crate::io::bell::Bell;
use crate::io::tls::{TlsClient, TlsServer};
use crate::policy::authn::KeySet;
use crate::policy::rate_limit::{self, Alert, Leases, Limits};
use crate::policy::session::SessionKey;
use crate::shared::ledger::Book;
use crate::shared::{Budget, Gauge, Mailbox, Slot, StageCell};
use crate::telemetry::{HotKey, WorkerStats};

pub use counting::{Count, Counting};

/// A snapshot with what only control can add to it: addresses (DNS blocks) and TLS set-ups (parsing keys
/// takes long). Replaced as a whole.
pub struct Deployment {
    /// The configuration.
    pub snapshot: Arc<Snapshot>,
    /// For each listener, its TLS set-up if it has one.
    pub listener_tls: Box<[Option<TlsServer>]>,
    /// For each endpoint, its TLS set-up if it has one.
    pub endpoint_tls: Box<[Option<TlsClient>]>,
    /// For each endpoint with a TCP address, what its name resolved to; empty if it did not resolve.
    pub addresses: Box<[Box<[SocketAddr]>]>,
    /// For each issuer, its keys; `None` while they were not fetched yet.
    pub keys: Box<[Option<Arc<KeySet>>]>,
}

/// A message to one worker.
pub enum Message {
    /// Serve this connection, which came in at the listener with this index. Its place is counted already.
    Connection(Accepted, usize),
    /// Send a copy of your counters there, then ring.
    Report(Arc<Mailbox<WorkerStats>>, Arc<Bell>),
    /// Send the keys of limits there that you see the most, then ring.
    HotKeys(Arc<Mailbox<Vec<HotKey>>>, Arc<Bell>),
    /// The errand with this number was run.
    Errand(u64, Answer),
    /// Legacy calls with these keys, in order, were cancelled: end them after so long.
    Cancel(Box<[NonZeroU64]>, Duration),
}

/// What a worker cannot do itself, because it waits for somebody outside: control does it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Fetch the keys of the issuer with this index, unless that was done a moment ago.
    Keys(usize),
    /// Ask the introspection endpoint about a token.
    Introspect(Secret),
    /// Trade a SAML assertion that was shown to this server for a token that says whose it is.
    Trade(ServerId, Secret),
    /// Get a token for a server: one of the gateway's own, or in exchange for the caller's.
    Token(ServerId, Option<Secret>),
    /// Get another token of the gateway's own for a server that has refused the one in this header line.
    Renew(ServerId, Secret),
}

/// Where a client comes from, as far as sharing out errands goes: its address, or the network that one client has all of
/// (an IPv6 /64).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source(IpAddr);

impl Source {
    /// That of a client with this address.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// An errand, and whom to tell.
pub struct Order {
    /// The deployment that the errand's indices are of.
    pub deployment: Arc<Deployment>,
    /// What is to be done.
    pub errand: Errand,
    /// For whom; `None` where clients cannot be told apart.
    pub source: Option<Source>,
    /// The worker that waits for it.
    pub worker: usize,
    /// Its number for this errand.
    pub number: u64,
}

/// What became of an errand.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The newest keys are in the deployment, if any were to be had: ask again under it.
    Keys,
    /// The keys were fetched a moment ago: which token asks for them again does not matter.
    KeysResting,
    /// The body of the introspection endpoint's 200.
    Introspected(Secret),
    /// A token: for a server, or for an assertion.
    Token {
        /// As it was issued.
        token: Secret,
        /// When it ends, in seconds since 1970 (UTC).
        expires: u64,
    },
    /// The issuer refuses the caller: no retry will help.
    Refused {
        /// With another token, after a new login, it may be otherwise.
        sign_in: bool,
    },
    /// Nothing came of it, now. The reason was logged.
    Failed,
}

/// What other threads know of a worker.
pub struct WorkerHandle {
    /// Messages to it.
    pub mailbox: Mailbox<Message>,
    /// Wakes it.
    pub bell: Bell,
    /// Its open client connections, those on their way to it included.
    pub connections: Gauge,
    /// Its listeners that still accept.
    pub listening: Gauge,
}

/// What all threads of the process share.
pub struct Shared {
    /// The deployment in force.
    pub deployment: Slot<Deployment>,
    /// Where the process is in its life.
    pub stage: StageCell,
    /// The workers, by index.
    pub workers: Box<[WorkerHandle]>,
    /// What binds session ids to callers where the configuration has no key for that: made at the start.
    pub session_key: SessionKey,
    /// What all workers together have used of the limits.
    pub book: Arc<Book>,
    /// What keys of limits are hashed with: made at the start, so that nobody can make two of them meet.
    pub limit_secret: rate_limit::Secret,
    /// Errands for control.
    pub orders: Mailbox<Order>,
    /// Wakes control when there is an errand.
    pub orders_bell: Bell,
    /// What is counted beside the workers.
    pub counting: Counting,
    /// Client connections of a worker that there are descriptors for.
    pub connections_room: usize,
    /// Bytes of `limits.bodies_bytes_max` that the workers have taken.
    pub bodies: Budget,
}

/// Tells the operator of budgets that run out: `count` gets the limit's name and the percentage, and `key` says whose budget
/// it is. Callers can bring these lines about, so they are restrained.
pub fn note_alerts(
    limits: &Limits,
    leases: &mut Leases,
    (restraint, now): (&Restraint, Ticks),
    mut count: impl FnMut(&str, u8),
    mut key: impl FnMut(&Alert) -> String,
) {
    leases.take_alerts(|alert| {
        let limit = limits.list().get(usize::from(alert.limit)).map_or("", |limit| &limit.name);
        count(limit, alert.percent);
        if let Some(kept_back) = restraint.may_speak(now) {
            let (key, percent) = (key(&alert), alert.percent);
            tracing::warn!(limit, key, percent, kept_back, "{percent} % of a budget are used");
        }
    });
}
