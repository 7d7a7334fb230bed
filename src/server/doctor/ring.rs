//! Asks the kernel for rings, one set of flags at a time.

use std::io;

use io_uring::{Builder, IoUring, Probe, cqueue, opcode, squeue};

use super::facts::{Attempt, RingProbe};

type RingBuilder = Builder<squeue::Entry, cqueue::Entry>;

/// Tries every set of flags that a worker may ask for. Each ring is small and is closed at once.
pub fn probe() -> RingProbe {
    let attempt = |flags: fn(&mut RingBuilder) -> &mut RingBuilder| -> Attempt {
        flags(&mut IoUring::builder()).build(ENTRIES).map(drop).map_err(error_number)
    };
    let plain = IoUring::<squeue::Entry, cqueue::Entry>::builder().build(ENTRIES);
    let (enter, register, operations_missing) = match &plain {
        Ok(ring) => use_ring(ring),
        Err(_) => (Ok(()), Ok(()), Vec::new()),
    };
    RingProbe {
        plain: plain.map(drop).map_err(error_number),
        coop_taskrun: attempt(RingBuilder::setup_coop_taskrun),
        single_issuer: attempt(RingBuilder::setup_single_issuer),
        defer_taskrun: attempt(|builder| builder.setup_single_issuer().setup_defer_taskrun()),
        enter,
        register,
        operations_missing,
    }
}

/// The two other system calls, and the operations that the kernel knows.
fn use_ring(ring: &IoUring) -> (Attempt, Attempt, Vec<&'static str>) {
    // With nothing queued this is one `io_uring_enter` that submits nothing and does not wait.
    let enter = ring.submit().map(drop).map_err(error_number);
    let mut known = Probe::new();
    let register = ring.submitter().register_probe(&mut known).map_err(error_number);
    let missing = match register {
        Ok(()) => {
            NEEDED.iter().filter(|(code, _)| !known.is_supported(*code)).map(|(_, name)| *name).collect()
        }
        Err(_) => Vec::new(),
    };
    (enter, register, missing)
}

fn error_number(error: io::Error) -> i32 {
    error.raw_os_error().unwrap_or(0)
}

/// Enough for a ring that is never used.
const ENTRIES: u32 = 4;

/// What a worker submits.
const NEEDED: [(u8, &str); 8] = [
    (opcode::Accept::CODE, "ACCEPT"),
    (opcode::Connect::CODE, "CONNECT"),
    (opcode::Recv::CODE, "RECV"),
    (opcode::Send::CODE, "SEND"),
    (opcode::PollAdd::CODE, "POLL_ADD"),
    (opcode::Timeout::CODE, "TIMEOUT"),
    (opcode::AsyncCancel::CODE, "ASYNC_CANCEL"),
    (opcode::Close::CODE, "CLOSE"),
];
