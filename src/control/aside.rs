//! Work that blocks, on threads that live only for it; and how much of it there may be at once.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Poll, Waker};

use crate::io::bell::bell;
use crate::shared::Mailbox;

mod turns;

pub use turns::{Claim, Turn, Turns};

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
    fn a_gate_lets_one_in() {
        let gate = Gate::default();
        let pass = gate.enter().unwrap();
        assert!(gate.enter().is_none());
        drop(pass);
        assert!(gate.enter().is_some());
    }
}
