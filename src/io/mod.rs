//! Sockets, clocks and dialling behind small traits, so that the runtime can be replaced in one module.
//!
//! A connection is a [`Conn`]: a [`Reader`], a [`Writer`] and a [`Hangup`]. All three are concrete
//! types whatever is behind them: [`uring`] makes them from monoio's sockets, [`tls`] wraps another
//! `Conn`, and [`sim`] makes them from an in-memory network driven by a seed. The data plane never
//! sees which.

pub mod background;
pub mod bell;
mod closing;
pub mod conn;
pub mod lane;
pub mod notify;
pub mod process;
pub mod sim;
pub mod tls;
pub mod uring;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use crate::base::Ticks;
pub use conn::{Conn, Direction, Hangup, Peer, Reader, Writer};

/// A boxed future that stays on its thread.
pub type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Where to dial: one resolved address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// TCP, with the address already resolved (a worker never does DNS).
    Tcp(SocketAddr),
    /// A Unix stream socket by path.
    Unix(PathBuf),
}

/// What a worker needs from the world: time, tasks and connections.
pub trait Net {
    /// The monotonic clock.
    fn now(&self) -> Ticks;
    /// The time of day, in seconds since 1970 (UTC). May step back; [`Net::now`] does not.
    fn wall(&self) -> u64;
    /// Runs `task` on this thread until it ends.
    fn spawn(&self, task: LocalFuture<'static, ()>);
    /// Ends after `duration`.
    fn sleep(&self, duration: Duration) -> LocalFuture<'static, ()>;
    /// Connects. The caller bounds the time by dropping the future.
    fn dial(&self, address: &Address) -> LocalFuture<'static, io::Result<Conn>>;
}

/// A fresh connection that may still be handed to another worker.
#[derive(Debug)]
pub struct Accepted {
    /// The socket, not yet tied to a ring.
    pub socket: Socket,
    /// Who connected.
    pub peer: Peer,
}

/// A connected socket that belongs to no event loop yet, and may move between threads.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(std::net::TcpStream),
    /// Unix stream.
    Unix(std::os::unix::net::UnixStream),
}

/// A listening socket.
pub trait Listen: Close {
    /// The next connection. Ends with an error of kind `Other`/`InvalidInput` once the listener was shut.
    /// Never dropped while pending: a cancelled accept may lose a connection.
    fn accept(&self) -> LocalFuture<'_, io::Result<Accepted>>;
}

/// The end of a listening socket, in two steps, so that nobody is lost who has connected.
pub trait Close {
    /// Lets nobody connect any more who has not begun to; who has can still be accepted. `false` where the system cannot
    /// do that.
    fn turn_away(&self) -> bool;
    /// How many are connected and wait to be accepted, as far as is known.
    fn backlog(&self) -> usize;
    /// Stops accepting: a pending [`Listen::accept`] ends with an error. TCP resets who waits to be accepted.
    fn shut(&self);
}
