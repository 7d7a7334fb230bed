//! Listeners in memory.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Poll, Waker};

use crate::io::{Close, Conn};

/// A listener in memory. Once dropped, dials are refused and whoever was not accepted is cut.
pub struct Listener(pub(super) Rc<Backlog>);

#[derive(Default)]
pub(super) struct Backlog {
    waiting: RefCell<VecDeque<Conn>>,
    waker: Cell<Option<Waker>>,
    refuses: Cell<bool>,
    shut: Cell<bool>,
}

impl Backlog {
    pub(super) fn push(&self, conn: Conn) {
        self.waiting.borrow_mut().push_back(conn);
        self.wake();
    }

    pub(super) fn refuses(&self) -> bool {
        self.refuses.get()
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Listener {
    /// The next connection.
    ///
    /// # Errors
    /// `InvalidInput` once the listener was shut.
    pub async fn accept(&self) -> io::Result<Conn> {
        poll_fn(|cx| {
            if self.0.shut.get() {
                return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
            }
            let next = self.try_accept();
            if next.is_none() {
                self.0.waker.set(Some(cx.waker().clone()));
            }
            next.map_or(Poll::Pending, |conn| Poll::Ready(Ok(conn)))
        })
        .await
    }

    /// The next connection, if one waits.
    pub fn try_accept(&self) -> Option<Conn> {
        self.0.waiting.borrow_mut().pop_front()
    }
}

impl Close for Listener {
    /// Dials are refused.
    fn turn_away(&self) -> bool {
        self.0.refuses.set(true);
        true
    }

    fn backlog(&self) -> usize {
        self.0.waiting.borrow().len()
    }

    /// Dials are refused, and whoever waits is reset.
    fn shut(&self) {
        self.0.refuses.set(true);
        self.0.shut.set(true);
        let waiting = self.0.waiting.take();
        drop(waiting);
        self.0.wake();
    }
}
