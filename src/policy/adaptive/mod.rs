//! How many calls a server can take, learnt from how long it takes for them; who waits, and who is shed first.
//!
//! A [`Limiter`] stands before one server on one core. It admits calls up to a limit that it moves itself: calls that
//! take longer than they would on the unloaded server shrink it, calls that do not let it grow where it is needed. What
//! "longer" means is known for each tool, from its own [`baseline`], so a tool that takes three seconds at any load does
//! not look like overload. Calls beyond the limit wait in a short [`queue`], the more important first.
//!
//! The algorithm and why it is this one: `docs/decisions/0009-adaptive-concurrency.md`. Pure: `now` comes in, verdicts
//! go out, and `proxy::throttle` wakes whoever waits.

use std::time::Duration;

pub mod baseline;
pub mod class;
pub mod limit;
pub mod limiter;
pub mod numbers;
pub mod queue;

pub use class::{Class, Priorities, Priority};
pub use limiter::{Admit, Limiter, Permit};
pub use numbers::Numbers;
pub use queue::WaiterId;

/// How the calls to one server are limited, for all cores together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The limit is never below. At least 1.
    pub min: u32,
    /// The limit is never above. At least `min`.
    pub max: u32,
    /// Where the limit starts, before anything was measured. Brought between `min` and `max`.
    pub start: u32,
    /// Each tool has a limit of its own too, with the same bounds.
    pub per_tool: bool,
    /// Calls that may wait on one core. 0: none waits.
    pub queue: u32,
    /// How long one may wait.
    pub queue_time: Duration,
    /// How long a call may take, in percent of what it takes on the unloaded server, before the limit shrinks. More
    /// than 100.
    pub percent: u16,
}

/// The part of one core in what is configured for all. What does not divide goes to the first cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The core's number, from 0.
    pub index: usize,
    /// How many cores there are. At least 1.
    pub cores: usize,
}

impl Share {
    /// All of it: for one core.
    pub const WHOLE: Self = Self { index: 0, cores: 1 };

    /// This core's part of `whole`: at least 1, so that no core refuses everything. The parts of all cores add up to
    /// `whole`, or to the number of cores where that is more.
    pub fn of(self, whole: u32) -> u32 {
        let cores = u32::try_from(self.cores.max(1)).unwrap_or(u32::MAX);
        let index = u32::try_from(self.index).unwrap_or(u32::MAX);
        (whole / cores + u32::from(index < whole % cores)).max(1)
    }
}

/// Stands for a tool, or for another kind of call whose times belong together: a hash of its name. Calls that share it
/// share a baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ToolKey(pub u64);

/// What became of a call, as far as it tells of the server's load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It answered: any status below 500, a JSON-RPC error too.
    Answered,
    /// It did not: a status of 500 or above, no connection, a connection that broke, a time bound that passed.
    Failed,
}

/// One measured call. A call that the client gave up has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// From the request sent to the first byte of the answer, or to the failure. Waiting in the queue is not in it.
    pub latency: Duration,
    /// What became of it.
    pub outcome: Outcome,
}

/// Why a call was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// There is no queue, and no place.
    Busy,
    /// The queue is full of calls that are no less important.
    QueueFull,
    /// It waited as long as it may.
    Deadline,
    /// It waited, and a call that comes first needed its place in the queue.
    Displaced,
}

impl Reason {
    /// All of them, in order of their numbers.
    pub const ALL: [Self; 4] = [Self::Busy, Self::QueueFull, Self::Deadline, Self::Displaced];

    /// The name in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::QueueFull => "queue_full",
            Self::Deadline => "deadline",
            Self::Displaced => "displaced",
        }
    }
}

/// A call that was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shed {
    /// Why.
    pub reason: Reason,
    /// Who was refused.
    pub class: Class,
}

impl Shed {
    /// When to try again (`Retry-After`): the less important, the later, so that those who matter come back first.
    pub fn retry_after(self) -> Duration {
        Duration::from_secs(match self.class {
            Class::Critical => 1,
            Class::Normal => 2,
            Class::Low => 5,
        })
    }
}

#[cfg(test)]
mod tests;
