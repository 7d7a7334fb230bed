//! The event loop of a thread: io_uring with the best flags the kernel takes, or epoll.

use std::future::Future;
use std::io;

use monoio::time::TimeDriver;
use monoio::{IoUringDriver, LegacyDriver, Runtime, RuntimeBuilder};

use crate::config::snapshot::Driver;

/// Submission queue entries. A turn of the loop with more operations submits in between.
const ENTRIES: u32 = 2048;

/// An event loop for the thread that made it.
pub enum EventLoop {
    /// io_uring, with the flags it was made with.
    Uring(Runtime<TimeDriver<IoUringDriver>>, &'static str),
    /// epoll.
    Epoll(Runtime<TimeDriver<LegacyDriver>>),
}

/// Makes this thread's event loop. Says why io_uring is not used where it was to be.
///
/// # Errors
/// When `driver` cannot be had.
pub fn event_loop(driver: Driver) -> Result<(EventLoop, Option<io::Error>), io::Error> {
    match driver {
        Driver::Epoll => Ok((EventLoop::Epoll(epoll()?), None)),
        Driver::IoUring => Ok((uring()?, None)),
        Driver::Auto => match uring() {
            Ok(uring) => Ok((uring, None)),
            Err(error) => Ok((EventLoop::Epoll(epoll()?), Some(error))),
        },
    }
}

impl EventLoop {
    /// What it is, for the log.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Uring(_, flags) => flags,
            Self::Epoll(_) => "epoll",
        }
    }

    /// Runs `main` to its end.
    pub fn block_on<F: Future>(self, main: F) -> F::Output {
        match self {
            Self::Uring(mut runtime, _) => runtime.block_on(main),
            Self::Epoll(mut runtime) => runtime.block_on(main),
        }
    }
}

fn epoll() -> io::Result<Runtime<TimeDriver<LegacyDriver>>> {
    RuntimeBuilder::<LegacyDriver>::new().with_entries(ENTRIES).enable_timer().build()
}

/// SINGLE_ISSUER with DEFER_TASKRUN (Linux 6.1) completes operations only when the loop asks, in batches;
/// COOP_TASKRUN (5.19) at least interrupts nothing. docs/decisions/0001-runtime.md has the measurement.
fn uring() -> io::Result<EventLoop> {
    let mut last = None;
    for (label, set) in FLAGS {
        let mut builder = io_uring::IoUring::builder();
        set(&mut builder);
        let made = RuntimeBuilder::<IoUringDriver>::new()
            .uring_builder(builder)
            .with_entries(ENTRIES)
            .enable_timer()
            .build();
        match made {
            Ok(runtime) => return Ok(EventLoop::Uring(runtime, label)),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::Unsupported.into()))
}

type SetFlags = fn(&mut io_uring::Builder);

const FLAGS: [(&str, SetFlags); 3] = [
    ("io_uring (single issuer, deferred task run)", |builder| {
        builder.setup_single_issuer().setup_defer_taskrun();
    }),
    ("io_uring (cooperative task run)", |builder| {
        builder.setup_coop_taskrun();
    }),
    ("io_uring (no flags: an old kernel)", |_| {}),
];
