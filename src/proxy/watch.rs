//! Deadlines without timers: each connection keeps its deadline in a cell, and the worker's tick cuts
//! those that passed. Cutting a socket ends whatever is pending on it, so nothing is ever cancelled.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::base::Ticks;
use crate::io::{Direction, Hangup};

/// The deadline of one connection, and the means to enforce it.
pub struct Watch {
    deadline: Cell<Ticks>,
    fired: Cell<bool>,
    idle: Cell<bool>,
    endless: Cell<bool>,
    deaf: Cell<bool>,
    hangup: Rc<dyn Hangup>,
    direction: Cell<Direction>,
}

impl Watch {
    /// Cuts `direction` of the connection unless this is called again before `deadline` passes.
    #[inline]
    pub fn until(&self, deadline: Ticks, direction: Direction) {
        self.deadline.set(deadline);
        self.direction.set(direction);
    }

    /// No deadline.
    #[inline]
    pub fn rest(&self) {
        self.deadline.set(Ticks::NEVER);
    }

    /// Marks the connection as having nothing under way: a drain may close it at once.
    #[inline]
    pub fn set_idle(&self, idle: bool) {
        self.idle.set(idle);
    }

    /// Marks the connection as carrying a stream without an end of its own.
    #[inline]
    pub fn set_endless(&self, endless: bool) {
        self.endless.set(endless);
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

    /// Whether reads, and only they, were cut from this side. Their end says nothing about the peer then.
    pub fn is_deaf(&self) -> bool {
        self.deaf.get()
    }

    fn cut(&self, direction: Direction) {
        self.deaf.set(direction == Direction::Read);
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
            idle: Cell::new(false),
            endless: Cell::new(false),
            deaf: Cell::new(false),
            hangup,
            direction: Cell::new(Direction::Both),
        });
        let mut slots = self.slots.borrow_mut();
        let index = self.free.borrow_mut().pop().unwrap_or_else(|| {
            slots.push(None);
            slots.len() - 1
        });
        slots[index] = Some(watch.clone());
        Guard { watch, watches: self.clone(), index }
    }

    /// Cuts every connection whose deadline passed.
    pub fn sweep(&self, now: Ticks) {
        self.each(|watch| {
            if watch.deadline.get() <= now {
                watch.fire();
            }
        });
    }

    /// Cuts every connection that has nothing under way.
    pub fn cut_idle(&self) {
        self.each(|watch| {
            if watch.idle.get() {
                watch.cut(Direction::Read);
            }
        });
    }

    /// Cuts every stream without an end of its own: who may have it is to be asked again.
    pub fn cut_endless(&self) {
        self.each(|watch| {
            if watch.endless.get() {
                watch.fire();
            }
        });
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
mod tests {
    use super::*;

    #[derive(Default)]
    struct Cuts(Cell<Option<Direction>>);
    impl Hangup for Cuts {
        fn hang_up(&self, direction: Direction) {
            self.0.set(Some(direction));
        }
    }

    #[test]
    fn a_deadline_cuts_once_and_only_when_it_passed() {
        let (watches, cuts) = (Rc::new(Watches::default()), Rc::new(Cuts::default()));
        let guard = watches.watch(cuts.clone());
        watches.sweep(Ticks(1_000));
        guard.until(Ticks(10), Direction::Read);
        watches.sweep(Ticks(9));
        assert_eq!((cuts.0.get(), guard.fired()), (None, false));
        watches.sweep(Ticks(10));
        assert_eq!((cuts.0.take(), guard.fired()), (Some(Direction::Read), true));
        watches.sweep(Ticks(11));
        assert_eq!(cuts.0.get(), None);
    }

    #[test]
    fn a_dropped_guard_leaves_nothing_and_its_place_is_used_again() {
        let (watches, cuts) = (Rc::new(Watches::default()), Rc::new(Cuts::default()));
        drop(watches.watch(cuts.clone()));
        assert_eq!(watches.count(), 0);
        let _guard = watches.watch(cuts.clone());
        assert_eq!((watches.count(), watches.slots.borrow().len()), (1, 1));
        watches.cut_idle();
        assert_eq!(cuts.0.get(), None, "not marked idle");
    }
}
