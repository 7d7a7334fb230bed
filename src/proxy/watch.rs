//! Deadlines without timers: each connection keeps its deadline in a cell, and the worker's tick cuts
//! those that passed. Cutting a socket ends whatever is pending on it, so nothing is ever cancelled.
//!
//! A stream without an end of its own is not cut at once: it is asked to end, which it does where an event ends.

use std::cell::{Cell, RefCell};
use std::num::NonZeroU64;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::cancel::Calls;
use super::drain::Drain;
use super::worker::TICK;
use crate::base::Ticks;
use crate::io::{Direction, Hangup};

/// A stream that was asked to end, and has sent a part of an event, has this long to send the rest of it.
const GRACE: Duration = Duration::from_secs(2);

/// A connection that has brought no request yet may bring its first for so long while the process drains.
pub const FIRST_REQUEST: Duration = Duration::from_secs(2);

/// How often it is looked whether a peer takes what is sent, within the time that it may take nothing.
const LOOKS: u32 = 4;

/// Whether a connection carries a stream without an end of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Endless {
    /// It does not.
    #[default]
    No,
    /// It does, and no answer waits for it: a GET stream, or `subscriptions/listen`.
    Aside,
    /// It does, and the answers of calls come on it: the stream of the HTTP+SSE transport.
    Answers,
}

/// Whether a connection waits for a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Idle {
    /// A request is on its way or served.
    #[default]
    No,
    /// It waits for its first. Whoever opens a connection mostly has a request to send.
    First,
    /// It waits for another.
    Next,
}

/// Whether a stream was asked to end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    No,
    /// It does not know yet.
    Now,
    Known,
}

/// The deadline of one connection, and the means to enforce it.
pub struct Watch {
    deadline: Cell<Ticks>,
    fired: Cell<bool>,
    idle: Cell<Idle>,
    endless: Cell<Endless>,
    asked: Cell<Asked>,
    /// When the drain ends the stream.
    ends: Cell<Ticks>,
    /// Whoever waits for the stream.
    task: Cell<Option<Waker>>,
    deaf: Cell<bool>,
    unframed: Cell<bool>,
    hangup: Rc<dyn Hangup>,
    direction: Cell<Direction>,
    /// How long the peer may take no byte, while a send is bounded by that; else zero.
    patience: Cell<Duration>,
    /// What the peer had taken when that was last looked at, if it was.
    taken: Cell<Option<i64>>,
    /// The legacy calls that wait for an answer, see [`super::cancel`].
    calls: RefCell<Calls>,
    /// They were not sent yet: a cancel wakes whoever waits, and so does the end of the process.
    unsent: Cell<bool>,
    /// It leads to a server.
    to_server: Cell<bool>,
    cancelled: Cell<bool>,
    /// Since when the peer has taken no byte, as far as is known.
    stalled_since: Cell<Ticks>,
    /// The send is cut here, whatever the peer takes.
    taken_by: Cell<Ticks>,
}

impl Watch {
    /// Cuts `direction` of the connection unless this is called again before `deadline` passes.
    #[inline]
    pub fn until(&self, deadline: Ticks, direction: Direction) {
        self.deadline.set(deadline);
        self.direction.set(direction);
        self.patience.set(Duration::ZERO);
    }

    /// Cuts the connection once the peer has taken no byte of what is sent to it for so long. One that takes some,
    /// however slowly, is left alone. A send that is done within a tick costs nothing.
    #[inline]
    pub fn while_taken(&self, now: Ticks, patience: Duration) {
        self.while_taken_by(now, patience, Ticks::NEVER);
    }

    /// The same, and cuts it at `end` in any case.
    #[inline]
    pub fn while_taken_by(&self, now: Ticks, patience: Duration, end: Ticks) {
        self.until(now + patience.min(TICK), Direction::Both);
        self.patience.set(patience);
        self.taken.set(None);
        self.stalled_since.set(now);
        self.taken_by.set(end);
    }

    /// Looks at what the peer has taken. `false` if that is nothing for too long.
    fn is_taking(&self, now: Ticks) -> bool {
        let (patience, taken) = (self.patience.get(), self.hangup.taken());
        // The first look only says from where to count.
        if taken.is_some() && (self.taken.get().is_none() || taken > self.taken.get()) {
            self.taken.set(taken);
            self.stalled_since.set(now);
        }
        let end = (self.stalled_since.get() + patience).min(self.taken_by.get());
        self.deadline.set(end.min(now + patience / LOOKS));
        now < end
    }

    /// No deadline.
    #[inline]
    pub fn rest(&self) {
        self.deadline.set(Ticks::NEVER);
        self.patience.set(Duration::ZERO);
    }

    /// Says whether the connection has nothing under way, so that a drain may close it.
    #[inline]
    pub fn set_idle(&self, idle: Idle) {
        self.idle.set(idle);
    }

    /// Says whether the connection carries a stream without an end of its own.
    pub fn set_endless(&self, endless: Endless) {
        if self.endless.replace(endless) != endless {
            self.asked.set(Asked::No);
            self.ends.set(Ticks::NEVER);
            self.task.take();
        }
    }

    /// Says which legacy calls' answer comes on the connection: one to the server.
    #[inline]
    pub fn set_calls(&self, calls: Calls) {
        *self.calls.borrow_mut() = calls;
        self.unsent.set(false);
        if self.cancelled.replace(false) {
            self.ends.set(Ticks::NEVER);
        }
    }

    /// Says which legacy calls of a client have not been sent yet: a connection from a client. [`Watch::set_calls`] with none
    /// is to follow.
    pub fn set_unsent(&self, calls: Calls) {
        self.set_calls(calls);
        self.unsent.set(true);
    }

    /// Ready when the calls that have not been sent were cancelled.
    pub fn poll_cancelled(&self, cx: &Context<'_>) -> Poll<()> {
        if self.cancelled.get() {
            return Poll::Ready(());
        }
        self.task.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    fn note_cancel(&self, cancelled: &[NonZeroU64], ends: Ticks) {
        if !self.calls.borrow_mut().strike(cancelled) {
            return;
        }
        self.cancelled.set(true);
        match self.unsent.get() {
            true => self.wake(),
            false => self.ends.set(ends),
        }
    }

    fn wake(&self) {
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }

    /// Says that the connection leads to a server.
    pub fn set_to_server(&self) {
        self.to_server.set(true);
    }

    /// The drain is over. What waits for a server is cut from it, and can tell its client so; what waits to be sent is woken.
    fn stop(&self) {
        if self.to_server.get() {
            self.fire();
        } else if self.unsent.get() {
            self.wake();
        } else if self.idle.get() != Idle::No {
            self.cut(Direction::Read);
        }
    }

    /// Whether its calls were cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.get()
    }

    /// Asks the stream to end at this time, unless its time is set already.
    pub fn end_at(&self, at: Ticks) {
        if self.ends.get() == Ticks::NEVER {
            self.ends.set(at);
        }
    }

    /// Ready, once, when the stream was asked to end. Only streams without an end of their own are asked.
    #[inline]
    pub fn poll_asked(&self, cx: &Context<'_>) -> Poll<()> {
        if self.endless.get() == Endless::No {
            return Poll::Pending;
        }
        if self.asked.get() == Asked::Now {
            self.asked.set(Asked::Known);
            return Poll::Ready(());
        }
        self.task.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    /// Whether the stream was asked to end. Its deadline is that of the rest of its event then: leave it alone.
    pub fn is_asked(&self) -> bool {
        self.asked.get() != Asked::No
    }

    /// Asks a stream to end where its event ends.
    fn ask(&self, now: Ticks) {
        if self.is_asked() {
            return;
        }
        self.asked.set(Asked::Now);
        self.ends.set(Ticks::NEVER);
        self.until(now + GRACE, Direction::Both);
        self.wake();
    }

    /// What is due when the deadline has passed.
    fn pass(&self, now: Ticks) {
        if !self.patience.get().is_zero() && self.is_taking(now) {
            return;
        }
        match self.endless.get() {
            Endless::Aside | Endless::Answers if !self.is_asked() => self.ask(now),
            _ => self.fire(),
        }
    }

    /// Whether a deadline passed and the connection was cut.
    pub fn fired(&self) -> bool {
        self.fired.get()
    }

    /// Cuts the connection now, as if its deadline had passed.
    pub fn fire(&self) {
        self.fired.set(true);
        self.rest();
        self.cut(self.direction.get());
    }

    /// Says that only the end of the connection ends what is sent on it. A cut must then not look like an end.
    pub fn set_unframed(&self, unframed: bool) {
        self.unframed.set(unframed);
    }

    /// Cuts the connection within an answer, so that its client does not take what it has for whole.
    pub fn break_off(&self) {
        self.cut(Direction::Both);
    }

    /// Whether reads, and only they, were cut from this side. Their end says nothing about the peer then.
    pub fn is_deaf(&self) -> bool {
        self.deaf.get()
    }

    fn cut(&self, direction: Direction) {
        self.deaf.set(direction == Direction::Read);
        if self.unframed.get() && direction == Direction::Both {
            return self.hangup.break_off();
        }
        self.hangup.hang_up(direction);
    }
}

/// All deadlines of a worker.
#[derive(Default)]
pub struct Watches {
    slots: RefCell<Vec<Option<Rc<Watch>>>>,
    free: RefCell<Vec<usize>>,
}

impl Watches {
    /// Starts to watch a connection, which has no deadline yet.
    pub fn watch(self: &Rc<Self>, hangup: Rc<dyn Hangup>) -> Guard {
        let watch = Rc::new(Watch {
            deadline: Cell::new(Ticks::NEVER),
            fired: Cell::new(false),
            idle: Cell::default(),
            endless: Cell::default(),
            asked: Cell::new(Asked::No),
            ends: Cell::new(Ticks::NEVER),
            task: Cell::default(),
            deaf: Cell::new(false),
            unframed: Cell::new(false),
            hangup,
            direction: Cell::new(Direction::Both),
            patience: Cell::default(),
            taken: Cell::default(),
            calls: RefCell::default(),
            unsent: Cell::new(false),
            to_server: Cell::new(false),
            cancelled: Cell::new(false),
            stalled_since: Cell::default(),
            taken_by: Cell::new(Ticks::NEVER),
        });
        let mut slots = self.slots.borrow_mut();
        let index = self.free.borrow_mut().pop().unwrap_or_else(|| {
            slots.push(None);
            slots.len() - 1
        });
        slots[index] = Some(watch.clone());
        Guard { watch, watches: self.clone(), index }
    }

    /// Cuts every connection whose deadline passed, or asks its stream to end.
    pub fn sweep(&self, now: Ticks) {
        self.each(|watch| {
            if watch.deadline.get().min(watch.ends.get()) <= now {
                watch.pass(now);
            }
        });
    }

    /// Bounds the calls with these keys, in order, whose client has cancelled them.
    pub fn cancel(&self, cancelled: &[NonZeroU64], ends: Ticks) {
        self.each(|watch| watch.note_cancel(cancelled, ends));
    }

    /// Cuts every connection that has nothing under way. One that has brought no request yet gets [`FIRST_REQUEST`] for it.
    pub fn cut_idle(&self, now: Ticks) {
        self.each(|watch| match watch.idle.get() {
            Idle::No => {}
            Idle::First => watch.until((now + FIRST_REQUEST).min(watch.deadline.get()), Direction::Read),
            Idle::Next => watch.cut(Direction::Read),
        });
    }

    /// Ends every stream without an end of its own: who may have it is to be asked again.
    pub fn end_endless(&self, now: Ticks) {
        self.each(|watch| {
            if watch.endless.get() != Endless::No {
                watch.ask(now);
            }
        });
    }

    /// Has every stream without an end of its own end in the course of the drain.
    pub fn drain_endless(&self, drain: &Drain) {
        for kind in [Endless::Aside, Endless::Answers] {
            let count =
                self.slots.borrow().iter().flatten().filter(|watch| watch.endless.get() == kind).count();
            let index = Cell::new(0);
            self.each(|watch| {
                if watch.endless.get() == kind {
                    watch.end_at(drain.end_of(kind, index.replace(index.get() + 1), count));
                }
            });
        }
    }

    /// Cuts what leads to servers, and what is idle: whoever waits for an answer has a last word for its client.
    pub fn stop(&self) {
        self.each(Watch::stop);
    }

    /// Cuts every connection.
    pub fn cut_all(&self) {
        self.each(|watch| {
            watch.fired.set(true);
            watch.cut(Direction::Both);
        });
    }

    /// How many connections are watched.
    pub fn count(&self) -> usize {
        self.slots.borrow().iter().flatten().count()
    }

    fn each(&self, act: impl Fn(&Watch)) {
        for watch in self.slots.borrow().iter().flatten() {
            act(watch);
        }
    }
}

/// Watches a connection until dropped.
pub struct Guard {
    watch: Rc<Watch>,
    watches: Rc<Watches>,
    index: usize,
}

impl std::ops::Deref for Guard {
    type Target = Watch;
    fn deref(&self) -> &Watch {
        &self.watch
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.watches.slots.borrow_mut()[self.index] = None;
        self.watches.free.borrow_mut().push(self.index);
    }
}

#[cfg(test)]
mod tests;
