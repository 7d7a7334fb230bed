//! One direction of a connection in memory.

use std::collections::VecDeque;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use super::executor::{Alarm, Executor};
use super::link::Users;
use crate::base::{Buf, Ticks};

/// What will befall a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doom {
    Reset,
    HalfClose,
    /// For so long; for ever if `None`.
    Stall(Option<Duration>),
}

/// Bytes on their way, in order.
#[derive(Default)]
pub(super) struct Pipe {
    segments: VecDeque<Segment>,
    /// Bytes in `segments`.
    held: usize,
    room: usize,
    /// When the end of the stream arrives, once the writer has shut it.
    end_at: Option<Ticks>,
    /// Nothing arrives before what was sent before it, nor before a stall is over.
    not_before: Ticks,
    /// The reader wants no more.
    reading_shut: bool,
    /// The reader's end is closed.
    abandoned: bool,
    carried: usize,
    doom: Option<(usize, Doom)>,
    users: Users,
    /// Wakes the reader when the next segment arrives.
    arrival: Option<Alarm>,
}

struct Segment {
    arrives_at: Ticks,
    bytes: Vec<u8>,
    taken: usize,
}

impl Pipe {
    pub(super) fn new(executor: &Executor) -> Self {
        let (least, most) = executor.faults.get().buffer_bytes;
        let room = least + executor.prng.below((most.max(least) - least + 1) as u64) as usize;
        Self { room: room.max(1), doom: draw_doom(executor), ..Self::default() }
    }

    /// Moves what has arrived into `buf`, or a part of it where the faults say so.
    pub(super) fn take(&mut self, executor: &Executor, buf: &mut Buf) -> usize {
        let (now, faults) = (executor.now(), executor.faults.get());
        self.arrival = None;
        let arrived: usize =
            self.segments.iter().take_while(|s| s.arrives_at <= now).map(|s| s.bytes.len() - s.taken).sum();
        let mut wanted = arrived.min(buf.free());
        if wanted > 1 && executor.prng.chance(faults.split_per_mille) {
            wanted = executor.prng.up_to(faults.split_bytes_max.min(wanted));
        }
        let mut left = wanted;
        while left > 0 {
            let Some(segment) = self.segments.front_mut() else { break };
            let part = &segment.bytes[segment.taken..];
            let part = &part[..part.len().min(left)];
            let fits = buf.append(part);
            debug_assert!(fits, "no more is wanted than is free");
            left -= part.len();
            segment.taken += part.len();
            if segment.taken == segment.bytes.len() {
                self.segments.pop_front();
            }
        }
        self.held -= wanted;
        if wanted > 0 {
            self.users.wake_writer();
        }
        wanted
    }

    /// Whether a read that found nothing is at the end.
    pub(super) fn has_ended(&self, now: Ticks) -> bool {
        self.reading_shut || (self.segments.is_empty() && self.end_at.is_some_and(|at| at <= now))
    }

    /// Wakes `waker` when there is more to read.
    pub(super) fn await_arrival(&mut self, executor: &Rc<Executor>, waker: &Waker) {
        self.users.reader = Some(waker.clone());
        let next = self.segments.front().map(|segment| segment.arrives_at).or(self.end_at);
        self.arrival = next.filter(|&at| at != Ticks::NEVER).map(|at| Alarm::set(executor, at, waker));
    }

    /// Whether the writer may write no more.
    pub(super) fn is_shut(&self) -> bool {
        self.end_at.is_some()
    }

    /// Whether what is written now would be answered with a reset: the other end, which sends on `back`, is
    /// closed or shut both ways.
    pub(super) fn is_refused(&self, back: &Self) -> bool {
        self.abandoned || (self.reading_shut && back.is_shut())
    }

    /// What befalls this direction now, once.
    pub(super) fn due_doom(&mut self) -> Option<Doom> {
        self.doom.take_if(|(after, _)| *after <= self.carried).map(|(_, doom)| doom)
    }

    /// Takes as many of `bytes` as there is room for. If there is none, `waker` is woken when there is.
    pub(super) fn put(&mut self, executor: &Executor, bytes: &[u8], waker: &Waker) -> usize {
        let until_doom = self.doom.map_or(usize::MAX, |(after, _)| after.saturating_sub(self.carried));
        let count = bytes.len().min(self.room - self.held).min(until_doom);
        if count == 0 {
            self.users.writer = Some(waker.clone());
            return 0;
        }
        let arrives_at = self.arrival_of_next(executor);
        self.segments.push_back(Segment { arrives_at, bytes: bytes[..count].to_vec(), taken: 0 });
        self.held += count;
        self.carried += count;
        self.users.wake_reader();
        count
    }

    fn arrival_of_next(&mut self, executor: &Executor) -> Ticks {
        let faults = executor.faults.get();
        let mut at = executor.now() + faults.latency;
        if executor.prng.chance(faults.delay_per_mille) {
            let most = u64::try_from(faults.delay_max.as_nanos()).unwrap_or(u64::MAX);
            at = at + Duration::from_nanos(executor.prng.below(most));
        }
        self.not_before = self.not_before.max(at);
        self.not_before
    }

    /// Ends the stream after what was written.
    pub(super) fn shut(&mut self, executor: &Executor) {
        if self.end_at.is_none() {
            self.end_at = Some(self.arrival_of_next(executor));
            self.users.wake_reader();
            self.users.wake_writer();
        }
    }

    /// Bytes that the reader has taken, or that were lost.
    pub(super) fn taken(&self) -> i64 {
        i64::try_from(self.carried - self.held).unwrap_or(i64::MAX)
    }

    /// Nothing that is written from now on arrives before `until`.
    pub(super) fn stall(&mut self, until: Ticks) {
        self.not_before = self.not_before.max(until);
    }

    /// Reads that find nothing are at the end from now on.
    pub(super) fn shut_reading(&mut self) {
        self.reading_shut = true;
        self.users.wake_reader();
        self.users.wake_writer();
    }

    /// Loses what has not arrived, and wakes both users to be told so.
    pub(super) fn lose(&mut self, now: Ticks) {
        self.segments.retain(|segment| segment.arrives_at <= now);
        self.held = self.segments.iter().map(|segment| segment.bytes.len() - segment.taken).sum();
        self.users.wake_reader();
        self.users.wake_writer();
    }

    /// The reader's end is closed. Returns whether it has left bytes unread.
    pub(super) fn abandon(&mut self) -> bool {
        self.abandoned = true;
        self.arrival = None;
        self.users.reader = None;
        self.users.wake_writer();
        let unread = self.held > 0;
        self.segments.clear();
        self.held = 0;
        unread
    }
}

fn draw_doom(executor: &Executor) -> Option<(usize, Doom)> {
    let (faults, prng) = (executor.faults.get(), &executor.prng);
    // Each connection has two directions, each of which draws; half the chance each.
    let doom = if prng.chance(faults.reset_per_mille.div_ceil(2)) {
        Doom::Reset
    } else if prng.chance(faults.half_close_per_mille) {
        Doom::HalfClose
    } else if prng.chance(faults.stall_per_mille) {
        // One stall in four lasts for ever, and all do if no longest is given.
        let most = faults.stall_max.filter(|_| !prng.chance(250));
        let nanos = most.map(|most| prng.below(u64::try_from(most.as_nanos()).unwrap_or(u64::MAX)));
        Doom::Stall(nanos.map(Duration::from_nanos))
    } else {
        return None;
    };
    Some((prng.below(faults.doom_bytes_max as u64 + 1) as usize, doom))
}
