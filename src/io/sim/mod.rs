//! A network, a clock and an executor in memory, driven by a seed.
//!
//! The code that runs on [`uring`](super::uring) runs here unchanged. Time is virtual: it jumps to the next
//! alarm when no task can go on, so hours pass in milliseconds. All chance comes from the seed and nothing
//! else is consulted, so a seed replays its run event by event; [`Sim::trace_hash`] tells whether it did. A
//! test that panics prints its seed and the last events.
//!
//! Connections behave as sockets do: see [`Hangup`](super::Hangup) for cutting them, and note that dropping
//! an end with bytes unread resets the connection, as TCP does.
#![forbid(unsafe_code)]

mod executor;
mod faults;
mod link;
mod listener;
mod pipe;
mod prng;
mod remote;
#[cfg(test)]
mod tests;
mod trace;

use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::{Address, Conn, LocalFuture, Net, Peer};
use crate::base::Ticks;
use executor::Executor;
pub use faults::Faults;
use link::End;
use listener::Backlog;
pub use listener::Listener;
pub use prng::Prng;
pub use remote::Remote;
use trace::What;

/// The time of day when a world begins, in seconds since 1970.
pub const WALL_AT_START: u64 = 1_800_000_000;

/// One simulated world. Dropping it drops all its tasks.
pub struct Sim {
    seed: u64,
    world: Rc<World>,
}

/// What tasks hold of a world.
struct World {
    executor: Rc<Executor>,
    listeners: RefCell<Vec<(Address, Weak<Backlog>)>>,
    ends: RefCell<Vec<Weak<End>>>,
    open: Rc<Cell<usize>>,
}

impl Sim {
    /// A world at time zero with nothing in it.
    pub fn new(seed: u64, faults: Faults) -> Self {
        let executor = Rc::new(Executor::new(seed, faults));
        let world =
            World { executor, listeners: RefCell::default(), ends: RefCell::default(), open: Rc::default() };
        Self { seed, world: Rc::new(world) }
    }

    /// The seed, to print with a failure.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Chance from the same seed, for what a test decides itself.
    pub fn prng(&self) -> &Prng {
        &self.world.executor.prng
    }

    /// Changes the faults. Connections that exist keep the buffers and the doom they have drawn.
    pub fn set_faults(&self, faults: Faults) {
        self.world.executor.faults.set(faults);
    }

    /// The world as the code under test sees it.
    pub fn net(&self) -> Rc<dyn Net> {
        Rc::new(SimNet(self.world.clone()))
    }

    /// The virtual time.
    pub fn now(&self) -> Ticks {
        self.world.executor.now()
    }

    /// Starts a task, whose result can be taken once it has ended.
    pub fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Task<T> {
        let result = Rc::new(Cell::new(None));
        let task = Task(result.clone());
        self.world.executor.spawn(Box::pin(async move { result.set(Some(future.await)) }));
        task
    }

    /// Runs `future` as a task until it ends. `None` if it has not ended when `most` has passed, or never can.
    pub fn block_on<T: 'static>(
        &self,
        future: impl Future<Output = T> + 'static,
        most: Duration,
    ) -> Option<T> {
        let task = self.spawn(future);
        self.run_until(|| task.is_done(), most);
        task.take()
    }

    /// Runs until `met`, which is asked after each step. `false` if it is still not met when `most` has passed,
    /// or when nothing is left that could change it.
    pub fn run_until(&self, mut met: impl FnMut() -> bool, most: Duration) -> bool {
        let executor = &self.world.executor;
        let latest = executor.now() + most;
        loop {
            if met() {
                return true;
            }
            if !executor.step() && !executor.advance(latest) {
                return false;
            }
        }
    }

    /// Runs until nothing is left to happen: no task can go on and no alarm is set. `false` if `most` passed first.
    pub fn run_until_idle(&self, most: Duration) -> bool {
        self.run_until(|| false, most);
        self.world.executor.is_idle()
    }

    /// Runs for exactly `duration`.
    pub fn run_for(&self, duration: Duration) {
        let end = self.now() + duration;
        self.run_until(|| false, duration);
        self.world.executor.set_now(end);
    }

    /// Listens on `address`, for [`Net::dial`] and [`Sim::connect`] to reach.
    ///
    /// # Errors
    /// `AddrInUse` when another listener has the address.
    pub fn listen(&self, address: &Address) -> io::Result<Listener> {
        if self.world.backlog_at(address).is_some() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let backlog = Rc::new(Backlog::default());
        let mut listeners = self.world.listeners.borrow_mut();
        listeners.retain(|(_, backlog)| backlog.strong_count() > 0);
        listeners.push((address.clone(), Rc::downgrade(&backlog)));
        drop(listeners);
        Ok(Listener(backlog))
    }

    /// Connects to a listener at once, past the faults of dialling.
    ///
    /// # Errors
    /// As [`Net::dial`].
    pub fn connect(&self, address: &Address) -> io::Result<Conn> {
        self.world.connect(address)
    }

    /// Two ends of a connection: the client's, and the server's as a listener would have accepted it.
    pub fn connect_pair(&self) -> (Conn, Conn) {
        let there = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
        self.world.link(Peer::Tcp(there), self.world.fresh_peer())
    }

    /// Resets the connection that `conn` is an end of. `false` if it is none of this simulation's.
    pub fn reset(&self, conn: &Conn) -> bool {
        self.world.end_of(conn).map(|end| end.reset()).is_some()
    }

    /// Holds back what `conn` sends from now on, for `duration` or for ever. `false` if it is none of
    /// this simulation's.
    pub fn stall(&self, conn: &Conn, duration: Option<Duration>) -> bool {
        self.world.end_of(conn).map(|end| end.stall(duration)).is_some()
    }

    /// `conn` with the verbs of a scripted peer.
    pub fn remote(&self, conn: Conn) -> Remote {
        Remote::new(conn, self.world.clone())
    }

    /// How many ends of connections are open.
    pub fn open_connections(&self) -> usize {
        self.world.open.get()
    }

    /// How many tasks have not ended.
    pub fn tasks(&self) -> usize {
        self.world.executor.task_count()
    }

    /// A number for all that has happened, and when, in order.
    pub fn trace_hash(&self) -> u64 {
        self.world.executor.trace.hash()
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}simulation seed {}", self.world.executor.trace, self.seed);
        }
        self.world.executor.clear();
    }
}

impl World {
    fn connect(&self, address: &Address) -> io::Result<Conn> {
        let Some(backlog) = self.backlog_at(address) else {
            return Err(match address {
                Address::Tcp(_) => io::ErrorKind::ConnectionRefused.into(),
                Address::Unix(_) => io::ErrorKind::NotFound.into(),
            });
        };
        let (near, far) = match address {
            Address::Tcp(to) => self.link(Peer::Tcp(*to), self.fresh_peer()),
            Address::Unix(_) => self.link(Peer::Unix, Peer::Unix),
        };
        backlog.push(far);
        Ok(near)
    }

    /// The listener that accepts on `address`.
    fn backlog_at(&self, address: &Address) -> Option<Rc<Backlog>> {
        let listeners = self.listeners.borrow();
        let mut there =
            listeners.iter().filter(|(at, _)| at == address).filter_map(|(_, backlog)| backlog.upgrade());
        there.find(|backlog| !backlog.refuses())
    }

    fn link(&self, near_sees: Peer, far_sees: Peer) -> (Conn, Conn) {
        let [(near, near_end), (far, far_end)] =
            link::connect(&self.executor, &self.open, [near_sees, far_sees]);
        let mut ends = self.ends.borrow_mut();
        ends.retain(|end| end.strong_count() > 0);
        ends.extend([near_end, far_end].iter().map(Rc::downgrade));
        (near, far)
    }

    fn fresh_peer(&self) -> Peer {
        let port = 1024 + (self.executor.serial() % 60_000) as u16;
        Peer::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    fn end_of(&self, conn: &Conn) -> Option<Rc<End>> {
        let ends = self.ends.borrow();
        ends.iter().find(|end| std::ptr::addr_eq(end.as_ptr(), Rc::as_ptr(&conn.hangup)))?.upgrade()
    }
}

/// A world as a [`Net`].
struct SimNet(Rc<World>);

impl Net for SimNet {
    fn now(&self) -> Ticks {
        self.0.executor.now()
    }

    fn wall(&self) -> u64 {
        WALL_AT_START + self.0.executor.now().0 / 1_000_000_000
    }

    fn spawn(&self, task: LocalFuture<'static, ()>) {
        self.0.executor.spawn(task);
    }

    fn sleep(&self, duration: Duration) -> LocalFuture<'static, ()> {
        executor::sleep(&self.0.executor, duration)
    }

    fn dial(&self, address: &Address) -> LocalFuture<'static, io::Result<Conn>> {
        let (world, address) = (self.0.clone(), address.clone());
        Box::pin(async move {
            let (executor, faults) = (&world.executor, world.executor.faults.get());
            executor::sleep(executor, faults.latency).await;
            if executor.prng.chance(faults.hang_per_mille) {
                executor.note(What::Hang, 0, 0);
                return pending().await;
            }
            if executor.prng.chance(faults.refuse_per_mille) {
                executor.note(What::Refuse, 0, 0);
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            world.connect(&address)
        })
    }
}

/// A task of [`Sim::spawn`].
pub struct Task<T>(Rc<Cell<Option<T>>>);

impl<T> Task<T> {
    /// Whether its result is there.
    pub fn is_done(&self) -> bool {
        let result = self.0.take();
        let done = result.is_some();
        self.0.set(result);
        done
    }

    /// Its result, if it has ended and the result was not taken before.
    pub fn take(&self) -> Option<T> {
        self.0.take()
    }
}
