//! What the planes say to each other: the deployment that control publishes, and messages to workers.
//!
//! `proxy` and `control` do not know each other. They share these types, through `shared`.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::Snapshot;
use crate::io::Accepted;
use crate::io::bell::Bell;
use crate::io::tls::{TlsClient, TlsServer};
use crate::shared::{Gauge, Mailbox, Slot, StageCell};
use crate::telemetry::WorkerStats;

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
}

/// A message to one worker.
pub enum Message {
    /// Serve this connection, which came in at the listener with this index. Its place is counted already.
    Connection(Accepted, usize),
    /// Send a copy of your counters there, then ring.
    Report(Arc<Mailbox<WorkerStats>>, Arc<Bell>),
}

/// What other threads know of a worker.
pub struct WorkerHandle {
    /// Messages to it.
    pub mailbox: Mailbox<Message>,
    /// Wakes it.
    pub bell: Bell,
    /// Its open client connections, those on their way to it included.
    pub connections: Gauge,
}

/// What all threads of the process share.
pub struct Shared {
    /// The deployment in force.
    pub deployment: Slot<Deployment>,
    /// Where the process is in its life.
    pub stage: StageCell,
    /// The workers, by index.
    pub workers: Box<[WorkerHandle]>,
}
