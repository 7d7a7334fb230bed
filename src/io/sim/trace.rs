//! What happened, as one number to compare runs by, and as a tail to read after a failure.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;

use crate::base::Ticks;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A task was started.
    Spawn,
    /// A task was polled.
    Poll,
    /// A task ended.
    End,
    /// A connection was made; `amount` is its number.
    Connect,
    /// A dial was refused.
    Refuse,
    /// A dial began that will not end.
    Hang,
    /// An end sent `amount` bytes.
    Write,
    /// An end received `amount` bytes; 0 is the end of the stream.
    Read,
    /// A direction was shut.
    Shut,
    /// A connection was reset.
    Reset,
    /// A direction stalled.
    Stall,
    /// An end was closed.
    Close,
}

/// One event: `who` is the number of a task or of a connection's end.
#[derive(Clone, Copy, Debug)]
struct Event {
    at: Ticks,
    what: What,
    who: u64,
    amount: u64,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, what, who, amount } = self;
        write!(f, "{:>14} ns {what:?} {who} {amount}", at.0)
    }
}

/// How many events the tail keeps.
const TAIL: usize = 40;

/// The record of a run. Counts and times, never contents: ciphertext differs from run to run.
#[derive(Debug)]
pub struct Trace {
    hash: Cell<u64>,
    tail: RefCell<VecDeque<Event>>,
}

impl Trace {
    pub(super) fn new() -> Self {
        Self { hash: Cell::new(0xCBF2_9CE4_8422_2325), tail: RefCell::new(VecDeque::with_capacity(TAIL)) }
    }

    pub(super) fn note(&self, at: Ticks, what: What, who: u64, amount: u64) {
        let mut hash = self.hash.get();
        for word in [at.0, what as u64, who, amount] {
            // FNV-1a, a word at a time.
            hash = (hash ^ word).wrapping_mul(0x0100_0000_01B3);
            hash ^= hash >> 32;
        }
        self.hash.set(hash);
        let mut tail = self.tail.borrow_mut();
        if tail.len() == TAIL {
            tail.pop_front();
        }
        tail.push_back(Event { at, what, who, amount });
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash.get()
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tail.borrow().iter().try_for_each(|event| writeln!(f, "{event}"))
    }
}
