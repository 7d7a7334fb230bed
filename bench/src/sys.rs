//! The few system calls that std does not offer, each behind a safe function.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// A level-triggered epoll set whose events carry a number chosen by the caller.
pub struct Epoll {
    set: OwnedFd,
    ready: Vec<libc::epoll_event>,
}

/// What a descriptor in an [`Epoll`] set is ready for.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// The number given to [`Epoll::add`].
    pub token: u64,
    /// There is something to read, or an end or error to learn of by reading.
    pub readable: bool,
    /// There is room to write again.
    pub writable: bool,
}

impl Epoll {
    /// An empty set that reports at most `batch` descriptors per wait.
    pub fn new(batch: usize) -> io::Result<Self> {
        // SAFETY: no pointer is passed; the returned descriptor is checked below.
        let set = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if set < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `set` was just returned by the kernel and nothing else owns it.
        let set = unsafe { OwnedFd::from_raw_fd(set) };
        Ok(Self { set, ready: vec![libc::epoll_event { events: 0, u64: 0 }; batch] })
    }

    /// Watches `what` for reading. Closing the descriptor removes it.
    pub fn add(&self, what: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, what, libc::EPOLLIN | libc::EPOLLRDHUP, token)
    }

    /// As [`Self::add`] for a listener that several sets watch: one connection wakes one of them.
    pub fn add_shared(&self, what: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, what, libc::EPOLLIN | libc::EPOLLEXCLUSIVE, token)
    }

    /// Watches `what` for writing only (`true`: its answers wait for room) or reading only.
    pub fn await_room(&self, what: BorrowedFd<'_>, token: u64, waits: bool) -> io::Result<()> {
        let events = if waits { libc::EPOLLOUT } else { libc::EPOLLIN | libc::EPOLLRDHUP };
        self.control(libc::EPOLL_CTL_MOD, what, events, token)
    }

    fn control(&self, operation: i32, what: BorrowedFd<'_>, events: i32, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: events as u32, u64: token };
        // SAFETY: both descriptors are open (owned and borrowed), and `event` outlives the call.
        check(unsafe { libc::epoll_ctl(self.set.as_raw_fd(), operation, what.as_raw_fd(), &mut event) })
    }

    /// Waits up to `timeout_ms` (-1: for ever) and returns how many descriptors are ready.
    pub fn wait(&mut self, timeout_ms: i32) -> io::Result<usize> {
        let room = i32::try_from(self.ready.len()).unwrap_or(i32::MAX);
        // SAFETY: the kernel writes at most `room` events, which is the vector's length.
        let count =
            unsafe { libc::epoll_wait(self.set.as_raw_fd(), self.ready.as_mut_ptr(), room, timeout_ms) };
        if count >= 0 {
            return Ok(count as usize);
        }
        match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            error => Err(error),
        }
    }

    /// The descriptor at `index` of the last [`Self::wait`], which must be below its answer.
    pub fn ready(&self, index: usize) -> Ready {
        let event = self.ready[index];
        let events = event.events as i32;
        let over = libc::EPOLLHUP | libc::EPOLLERR;
        Ready {
            token: event.u64,
            readable: events & (libc::EPOLLIN | libc::EPOLLRDHUP | over) != 0,
            writable: events & (libc::EPOLLOUT | over) != 0,
        }
    }
}

/// Sets the accept queue of a listening socket: std asks for too few to take 5,000 at once.
pub fn set_backlog(listener: BorrowedFd<'_>, length: i32) -> io::Result<()> {
    // SAFETY: the descriptor is open for the borrow; listen(2) on a listening socket changes its queue.
    check(unsafe { libc::listen(listener.as_raw_fd(), length) })
}

/// Keeps the calling thread, and what it spawns from now on, on one core.
pub fn pin_to_core(core: usize) -> io::Result<()> {
    let cores = core_set(core)?;
    // SAFETY: `cores` is a live cpu_set_t of the size passed; 0 means the calling thread.
    check(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &cores) })
}

fn core_set(core: usize) -> io::Result<libc::cpu_set_t> {
    if core >= libc::CPU_SETSIZE as usize {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: cpu_set_t is a plain bit array, for which all zeroes is the empty set.
    let mut cores: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `core` is below CPU_SETSIZE, so the bit lies inside the set.
    unsafe { libc::CPU_SET(core, &mut cores) };
    Ok(cores)
}

/// Lets `command` start in a session of its own (so that all its processes can be found and
/// weighed together), pinned to `core` if there is one, and end when the thread that starts it ends.
pub fn own_session(command: &mut Command, core: Option<usize>) -> io::Result<()> {
    let cores = core.map(core_set).transpose()?;
    // SAFETY: between fork and exec only setsid, prctl and sched_setaffinity are called, plain
    // system calls that touch no lock or heap, and `cores` was copied into the closure.
    unsafe {
        command.pre_exec(move || {
            check(libc::setsid())?;
            check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM))?;
            match &cores {
                Some(cores) => check(libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), cores)),
                None => Ok(()),
            }
        });
    }
    Ok(())
}

/// Raises the soft limit of open files to the hard limit and returns it.
pub fn raise_open_files() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a live rlimit that the kernel fills.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return 0;
    }
    let wanted = libc::rlimit { rlim_cur: limit.rlim_max, rlim_max: limit.rlim_max };
    // SAFETY: `wanted` is a live rlimit; raising the soft to the hard limit needs no privilege.
    match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &wanted) } {
        0 => wanted.rlim_cur,
        _ => limit.rlim_cur,
    }
}

/// Puts one thread under the round-robin real-time policy at `priority`, or back to the normal
/// policy at 0. Children inherit it.
pub fn set_realtime(thread: i32, priority: i32) -> io::Result<()> {
    let policy = if priority > 0 { libc::SCHED_RR } else { libc::SCHED_OTHER };
    let parameter = libc::sched_param { sched_priority: priority };
    // SAFETY: `parameter` is a live sched_param; a thread id that is gone is answered with ESRCH.
    check(unsafe { libc::sched_setscheduler(thread, policy, &parameter) })
}

/// Asks a process to end (SIGTERM), or ends it (SIGKILL).
pub fn end_process(process: u32, at_once: bool) -> io::Result<()> {
    let signal = if at_once { libc::SIGKILL } else { libc::SIGTERM };
    let process = i32::try_from(process).map_err(io::Error::other)?;
    // SAFETY: kill(2) takes no pointer; the id is one positive process, never a group.
    check(unsafe { libc::kill(process, signal) })
}

/// Whether this process runs as root.
pub fn is_root() -> bool {
    // SAFETY: geteuid takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

fn check(answer: i32) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
