//! Work that blocks, on threads that live only for it; and how much of it there may be at once.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

use crate::io::bell::bell;
use crate::shared::Mailbox;

/// Starts a thread for one piece of work that blocks, or fails for want of one.
pub type Aside = fn(Box<dyn FnOnce() + Send>) -> io::Result<()>;

/// What `work` returns, which runs on a thread of its own: whatever it waits for holds up neither signals nor health
/// checks. `None` when no thread or descriptor is to be had, or when it panicked.
pub async fn run<T: Send + 'static>(aside: Aside, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (bell, wire) = bell().ok()?;
    let mut sleeper = wire.listen().ok()?;
    let found = Arc::new(Mailbox::new(1));
    let theirs = found.clone();
    let work = move || {
        let _ = theirs.post(work());
        bell.ring();
    };
    aside(Box::new(work)).ok()?;
    // An error means that the thread is gone, and has left nothing.
    let _ = sleeper.heard().await;
    found.take()
}

/// Fetches that run at once.
const RUNNING_MAX: usize = 16;
/// Of these, to one host: a slow issuer leaves room for the others.
const RUNNING_PER_HOST_MAX: usize = 4;
/// Fetches that wait for their turn.
const WAITING_MAX: usize = 1024;

/// Turns at fetching: first come, first served, but a host that has its share lets others pass.
#[derive(Default)]
pub struct Turns {
    running: RefCell<Vec<Box<str>>>,
    waiting: RefCell<VecDeque<Rc<Waiting>>>,
}

struct Waiting {
    host: Box<str>,
    granted: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// A turn. Dropping it lets the next one in.
pub struct Turn<'t> {
    turns: &'t Turns,
    mine: Rc<Waiting>,
}

impl Turns {
    /// Asks for a turn at `host`; `None` when too many wait. It counts once [`Turn::granted`] has ended.
    pub fn ask(&self, host: &str) -> Option<Turn<'_>> {
        if self.waiting.borrow().len() >= WAITING_MAX {
            return None;
        }
        let mine =
            Rc::new(Waiting { host: host.into(), granted: Cell::new(false), waker: RefCell::new(None) });
        self.waiting.borrow_mut().push_back(mine.clone());
        self.grant();
        Some(Turn { turns: self, mine })
    }

    fn grant(&self) {
        let (mut running, mut waiting) = (self.running.borrow_mut(), self.waiting.borrow_mut());
        while running.len() < RUNNING_MAX {
            let has_room = |next: &Rc<Waiting>| {
                running.iter().filter(|host| **host == next.host).count() < RUNNING_PER_HOST_MAX
            };
            let Some(next) = waiting.iter().position(has_room).and_then(|at| waiting.remove(at)) else {
                return;
            };
            running.push(next.host.clone());
            next.granted.set(true);
            if let Some(waker) = next.waker.take() {
                waker.wake();
            }
        }
    }
}

impl Turn<'_> {
    /// Ends when it is this one's turn.
    pub async fn granted(&self) {
        poll_fn(|cx| {
            if self.mine.granted.get() {
                return Poll::Ready(());
            }
            self.mine.waker.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.mine.granted.get() {
            let mut running = self.turns.running.borrow_mut();
            if let Some(at) = running.iter().position(|host| *host == self.mine.host) {
                running.swap_remove(at);
            }
        } else {
            self.turns.waiting.borrow_mut().retain(|other| !Rc::ptr_eq(other, &self.mine));
        }
        self.turns.grant();
    }
}

/// Something that one task does at a time, and that others wait for.
#[derive(Default)]
pub struct Gate {
    busy: Cell<bool>,
    wakers: RefCell<Vec<Waker>>,
}

/// Whoever is at work. Dropping it opens the gate.
pub struct Pass<'g>(&'g Gate);

impl Gate {
    /// Begins; `None` while another is at work.
    pub fn enter(&self) -> Option<Pass<'_>> {
        (!self.busy.replace(true)).then(|| Pass(self))
    }

    /// Whether somebody is at work.
    pub fn is_busy(&self) -> bool {
        self.busy.get()
    }

    /// Ends once nobody is at work.
    pub async fn opened(&self) {
        poll_fn(|cx| {
            if !self.busy.get() {
                return Poll::Ready(());
            }
            self.wakers.borrow_mut().push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.0.busy.set(false);
        let wakers = self.0.wakers.take();
        wakers.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_host_that_has_its_share_lets_others_pass_and_gives_its_place_back() {
        let turns = Turns::default();
        let mut slow: Vec<_> = (0..6).map(|_| turns.ask("slow").unwrap()).collect();
        let granted = |list: &[Turn<'_>]| list.iter().filter(|turn| turn.mine.granted.get()).count();
        assert_eq!(granted(&slow), RUNNING_PER_HOST_MAX);
        let other = turns.ask("other").unwrap();
        assert!(other.mine.granted.get(), "it need not wait for the slow one");
        drop(slow.remove(0));
        assert_eq!(granted(&slow), RUNNING_PER_HOST_MAX, "the next one's turn");
        drop(slow.pop());
        drop(slow);
        assert_eq!(turns.running.borrow().len(), 1);
        assert!(turns.waiting.borrow().is_empty());
    }

    #[test]
    fn there_are_so_many_turns_and_so_many_wait() {
        let turns = Turns::default();
        let all: Vec<_> =
            (0..RUNNING_MAX + WAITING_MAX).map(|n| turns.ask(&n.to_string()).unwrap()).collect();
        assert_eq!(all.iter().filter(|turn| turn.mine.granted.get()).count(), RUNNING_MAX);
        assert!(turns.ask("one more").is_none());
        drop(all);
        assert!(turns.ask("one more").unwrap().mine.granted.get());
    }

    #[test]
    fn a_gate_lets_one_in() {
        let gate = Gate::default();
        let pass = gate.enter().unwrap();
        assert!(gate.enter().is_none());
        drop(pass);
        assert!(gate.enter().is_some());
    }
}
