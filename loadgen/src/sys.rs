//! The kernel's side: epoll, non-blocking sockets, clocks, cores and limits.
//!
//! Everything goes through `rustix`, whose Linux backend issues the system calls itself; a thin safe
//! layer, measured to cost nothing against raw calls, so this crate needs no `unsafe` of its own.

use std::io;
use std::io::IoSlice;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, SocketFlags, SocketType};
use rustix::process::{Resource, Rlimit};

use crate::address::Address;

/// A stream socket that never blocks. TCP sockets have Nagle's delay switched off.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl Socket {
    /// Starts a connection to `address`.
    ///
    /// The connection is usually not made yet when this returns: wait for the socket to become
    /// writable, then ask [`Socket::connect_error`].
    ///
    /// # Errors
    /// Whatever `socket(2)` or `connect(2)` says, except "in progress".
    pub fn connect(address: &Address) -> io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let family = match address {
            Address::Inet(SocketAddr::V4(_)) => AddressFamily::INET,
            Address::Inet(SocketAddr::V6(_)) => AddressFamily::INET6,
            Address::Unix(_) => AddressFamily::UNIX,
        };
        let fd = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        let outcome = match address {
            Address::Inet(inet) => {
                rustix::net::sockopt::set_tcp_nodelay(&fd, true)?;
                rustix::net::connect(&fd, inet)
            }
            Address::Unix(path) => rustix::net::connect(&fd, &unix_address(path)?),
        };
        match outcome {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(Self(fd)),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The outcome of a connection attempt, once the socket is writable.
    ///
    /// # Errors
    /// The error the attempt ended with.
    pub fn connect_error(&self) -> io::Result<()> {
        rustix::net::sockopt::socket_error(&self.0)??;
        Ok(())
    }

    /// Sends as much of `bytes` as the kernel takes now.
    ///
    /// # Errors
    /// `WouldBlock` when the send buffer is full, else the socket's error.
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(&self.0, bytes, SendFlags::NOSIGNAL)?)
    }

    /// Sends several pieces as one message, so that a head and its body leave in one segment.
    ///
    /// # Errors
    /// As [`Socket::send`].
    pub fn send_pieces(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut control = SendAncillaryBuffer::default();
        Ok(rustix::net::sendmsg(&self.0, pieces, &mut control, SendFlags::NOSIGNAL)?)
    }

    /// Receives into `buffer`; 0 means the peer has ended its side.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there, else the socket's error.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (filled, _) = rustix::net::recv(&self.0, buffer, RecvFlags::empty())?;
        Ok(filled)
    }
}

fn unix_address(path: &Path) -> io::Result<rustix::net::SocketAddrUnix> {
    Ok(rustix::net::SocketAddrUnix::new(path)?)
}

impl AsFd for Socket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What epoll said about one descriptor.
#[derive(Debug, Clone, Copy)]
pub struct Readiness {
    /// The number the descriptor was registered under.
    pub token: u64,
    /// Bytes (or an end) may be read.
    pub readable: bool,
    /// Bytes may be written, or a connection attempt has ended.
    pub writable: bool,
    /// The peer has ended or broken the connection: read until the end is seen.
    pub closed: bool,
}

/// An edge-triggered epoll instance with its event buffer.
pub struct Poller {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Poller {
    /// A poller that takes at most `batch` events per wait.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub fn new(batch: usize) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: Vec::with_capacity(batch.max(1)) })
    }

    /// Registers a descriptor once, for every kind of readiness, edge-triggered.
    ///
    /// It leaves by being closed; there is no need to ever change the registration, which keeps
    /// `epoll_ctl` out of the loop.
    ///
    /// # Errors
    /// What `epoll_ctl(2)` says.
    pub fn add(&self, source: impl AsFd, token: u64) -> io::Result<()> {
        let flags =
            epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
        Ok(epoll::add(&self.epoll, source, epoll::EventData::new_u64(token), flags)?)
    }

    /// Waits until something is ready or `timeout` has passed, and says how many events there are.
    ///
    /// The time limit is exact to the timer's nanoseconds: `epoll_pwait2`, not `epoll_wait`, whose
    /// milliseconds would make an open loop late by half of one on average.
    ///
    /// # Errors
    /// What `epoll_wait(2)` says; an interruption counts as "nothing ready".
    pub fn wait(&mut self, timeout: Duration) -> io::Result<usize> {
        let timeout = rustix::event::Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(timeout.subsec_nanos()),
        };
        self.events.clear();
        let spare = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, spare, Some(&timeout)) {
            Ok(count) => Ok(count),
            Err(Errno::INTR) => Ok(0),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Event number `index` of the last wait.
    pub fn readiness(&self, index: usize) -> Readiness {
        let event = self.events[index];
        let flags = event.flags;
        let broken = epoll::EventFlags::RDHUP | epoll::EventFlags::HUP | epoll::EventFlags::ERR;
        let closed = flags.intersects(broken);
        Readiness {
            token: event.data.u64(),
            readable: closed || flags.contains(epoll::EventFlags::IN),
            writable: flags.contains(epoll::EventFlags::OUT),
            closed,
        }
    }
}

/// A clock of nanoseconds since it was made; copies of it agree.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that starts at zero now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since the start; wraps after 584 years.
    #[inline]
    pub fn now_ns(&self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}

/// CPU time of this whole process so far, user and system, all threads, in nanoseconds.
pub fn process_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// Lets timed waits of this thread end on time; the default slack of 50 µs would make every
/// scheduled request late. Ignored where the kernel refuses.
pub fn sharpen_timers() {
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
}

/// Keeps the calling thread on one CPU. `false` when the kernel refuses (no such CPU, or not allowed).
pub fn pin_to_cpu(cpu: usize) -> bool {
    core_affinity::set_for_current(core_affinity::CoreId { id: cpu })
}

/// Raises the limit of open files as far as allowed and returns it.
pub fn raise_file_limit() -> u64 {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let _ = rustix::process::setrlimit(Resource::Nofile, raised);
    rustix::process::getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
