//! Connections to the servers: a pool per endpoint, owned by one worker.
//!
//! A pooled connection keeps a read armed: the one that will bring its next answer. If the server closes
//! it in the meantime that read ends, so a dead connection is found without a system call.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::cancel::Calls;
use super::watch::{Endless, Guard};
use super::worker::Worker;
use crate::base::Ticks;
use crate::base::buffer::CLASSES;
use crate::config::snapshot::{Address as Configured, Endpoint, Limits, Timeouts};
use crate::io::tls::TlsClient;
use crate::io::{Address, Conn, Reader, Writer, tls};

/// Bytes that the standing read of an upstream connection takes at once, after a large answer. After a small one,
/// and at first, it takes the smallest buffer: pooled connections are many, and most answers fit.
const READ_BYTES_LARGE: usize = 16 << 10;

/// After a failed dial an endpoint is passed over for this long, if there is another.
const PASSED_OVER: Duration = Duration::from_secs(2);

/// One connection to an endpoint, out of the pool or in it.
pub struct UpstreamConn {
    /// What comes from the server.
    pub reader: Reader,
    /// What goes to it.
    pub writer: Writer,
    /// Its deadline.
    pub watch: Guard,
    /// Whether it has served an exchange before: it may die between two of them.
    pub reused: bool,
    idle_until: Ticks,
    /// From here on it is not pooled any more.
    old_at: Ticks,
    // Dropped last, so that the count of open connections is right.
    _open: OpenGuard,
}

impl Drop for UpstreamConn {
    fn drop(&mut self) {
        // The pending read would keep the socket open until its cancellation is done; the server is to see
        // the end at once (MCP 2026-07-28: a client that leaves cancels).
        self.watch.fire();
    }
}

/// Why no connection could be had.
#[derive(Debug)]
pub enum DialError {
    /// The endpoint has its maximum of connections.
    Full,
    /// Its name does not resolve.
    Unresolved,
    /// It took longer than the bound.
    Timeout,
    /// The system's or the TLS library's word.
    Io(io::Error),
}

/// The connections of one worker to one endpoint.
pub struct Pool {
    /// The endpoint.
    pub endpoint: Endpoint,
    tls: Option<TlsClient>,
    addresses: RefCell<Box<[std::net::SocketAddr]>>,
    next_address: Cell<usize>,
    idle: RefCell<Vec<UpstreamConn>>,
    open: Rc<Cell<usize>>,
    retired: Cell<bool>,
    passed_over_until: Cell<Ticks>,
}

struct OpenGuard(Rc<Cell<usize>>);

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Pool {
    /// An empty pool.
    pub fn new(endpoint: Endpoint, tls: Option<TlsClient>, addresses: Box<[std::net::SocketAddr]>) -> Self {
        Self {
            endpoint,
            tls,
            addresses: RefCell::new(addresses),
            next_address: Cell::new(0),
            idle: RefCell::new(Vec::new()),
            open: Rc::default(),
            retired: Cell::new(false),
            passed_over_until: Cell::new(Ticks(0)),
        }
    }

    /// Takes over newly resolved addresses. Open connections stay where they are.
    pub fn set_addresses(&self, addresses: Box<[std::net::SocketAddr]>) {
        *self.addresses.borrow_mut() = addresses;
    }

    /// Closes what is idle and takes nothing back: the endpoint left the configuration.
    pub fn retire(&self) {
        self.retired.set(true);
        let idle = std::mem::take(&mut *self.idle.borrow_mut());
        drop(idle);
    }

    /// Whether the last dial worked, or its failure is long ago.
    pub fn is_inviting(&self, now: Ticks) -> bool {
        self.passed_over_until.get() <= now
    }

    /// Connections open now, idle ones included.
    pub fn open(&self) -> usize {
        self.open.get()
    }

    /// An idle connection that is alive, youngest first.
    pub async fn take_idle(&self) -> Option<UpstreamConn> {
        poll_fn(|cx| {
            loop {
                // The borrow ends before the connection is dropped or polled.
                let Some(mut conn) = self.idle.borrow_mut().pop() else { return Poll::Ready(None) };
                if conn.reader.poll_read(cx).is_pending() {
                    return Poll::Ready(Some(conn));
                }
            }
        })
        .await
    }

    /// Dials a new connection and arms its read.
    ///
    /// # Errors
    /// See [`DialError`].
    pub async fn dial(
        &self,
        worker: &Worker,
        timeouts: &Timeouts,
        limits: &Limits,
    ) -> Result<UpstreamConn, DialError> {
        if self.open.get() >= limits.upstream_connections_max {
            return Err(DialError::Full);
        }
        self.open.set(self.open.get() + 1);
        let open = OpenGuard(self.open.clone());
        worker.stats.borrow_mut().dials += 1;
        let connecting = pin!(self.connect(worker));
        let dialled =
            within(worker.net.sleep(timeouts.connect), connecting).await.unwrap_or(Err(DialError::Timeout));
        let conn = match dialled {
            Ok(conn) => conn,
            Err(error) => {
                worker.stats.borrow_mut().dials_failed += 1;
                self.passed_over_until.set(worker.net.now() + PASSED_OVER);
                return Err(error);
            }
        };
        self.passed_over_until.set(Ticks(0));
        let watch = worker.watches.watch(conn.hangup.clone());
        watch.set_to_server();
        let mut reader = conn.reader;
        reader.arm(worker.take_buf(CLASSES[0]));
        Ok(UpstreamConn {
            reader,
            writer: conn.writer,
            watch,
            reused: false,
            idle_until: Ticks::NEVER,
            old_at: worker.net.now() + timeouts.upstream_max_age,
            _open: open,
        })
    }

    async fn connect(&self, worker: &Worker) -> Result<Conn, DialError> {
        let address = self.next_address().ok_or(DialError::Unresolved)?;
        let conn = worker.net.dial(&address).await.map_err(DialError::Io)?;
        match (&self.tls, &self.endpoint.tls) {
            (Some(client), Some(set_up)) => {
                let (conn, _) =
                    tls::connect(client, conn, &set_up.server_name).await.map_err(DialError::Io)?;
                Ok(conn)
            }
            _ => Ok(conn),
        }
    }

    /// The address to dial next: a name with several addresses is dialled in turn.
    fn next_address(&self) -> Option<Address> {
        match &self.endpoint.address {
            Configured::Unix(path) => Some(Address::Unix(path.clone())),
            Configured::Tcp { .. } => {
                let addresses = self.addresses.borrow();
                let turn = self.next_address.get();
                self.next_address.set(turn.wrapping_add(1));
                addresses.get(turn.checked_rem(addresses.len())?).copied().map(Address::Tcp)
            }
        }
    }

    /// Takes a connection back whose answer, of about so many bytes, is complete. It is used for the time `keep`.
    pub async fn give_back(
        &self,
        worker: &Worker,
        returned: &mut Option<UpstreamConn>,
        answer_bytes: u64,
        now: Ticks,
        keep: Duration,
        limits: &Limits,
    ) {
        // Puts the standing read on the ring; an end that has come already is seen here.
        poll_fn(|cx| {
            let Some(mut conn) = returned.take() else { return Poll::Ready(()) };
            if self.retired.get()
                || conn.old_at <= now
                || self.idle.borrow().len() >= limits.upstream_idle_max
            {
                return Poll::Ready(());
            }
            if !conn.reader.is_armed() {
                let small = answer_bytes <= CLASSES[0] as u64;
                conn.reader.arm(worker.take_buf(if small { CLASSES[0] } else { READ_BYTES_LARGE }));
            }
            if conn.reader.poll_read(cx).is_pending() {
                conn.reused = true;
                conn.watch.set_endless(Endless::No);
                conn.watch.set_calls(Calls::default());
                conn.idle_until = conn.old_at.min(now + keep);
                conn.watch.rest();
                self.idle.borrow_mut().push(conn);
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Drops idle connections that died or were idle for too long.
    pub fn prune(&self, now: Ticks) {
        let mut cx = Context::from_waker(Waker::noop());
        // Taken out while polled: dropping a connection must not find the pool borrowed.
        let mut idle = std::mem::take(&mut *self.idle.borrow_mut());
        idle.retain_mut(|conn| conn.idle_until > now && conn.reader.poll_read(&mut cx).is_pending());
        *self.idle.borrow_mut() = idle;
    }
}

/// `work`, unless `limit` ends first.
async fn within<T>(
    mut limit: crate::io::LocalFuture<'static, ()>,
    mut work: std::pin::Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        limit.as_mut().poll(cx).map(|()| None)
    })
    .await
}
