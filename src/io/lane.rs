//! A lane: one direction of a connection as a standing coroutine.
//!
//! An I/O operation must be able to outlive the code that started it: a read stays armed on the client
//! while the upstream works, and an idle upstream connection keeps the read that will bring its next
//! answer. A future that borrows a socket cannot be stored beside that socket, and boxing one per
//! operation would allocate on every request. A lane is boxed once per connection: it takes a request
//! through a cell, runs the operation, and leaves the result in the other cell.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

struct Cells<Q, A> {
    asked: Cell<Option<Q>>,
    answered: Cell<Option<A>>,
}

/// The inner end of a lane: what the coroutine talks to.
pub struct Port<Q, A>(Rc<Cells<Q, A>>);

impl<Q, A> Port<Q, A> {
    /// The next thing to do. Pending until the owner starts one.
    pub async fn next(&mut self) -> Q {
        // No waker is kept: the owner polls the lane right after it has asked.
        poll_fn(|_| self.0.asked.take().map_or(Poll::Pending, Poll::Ready)).await
    }

    /// Leaves the result for the owner.
    pub fn answer(&mut self, answer: A) {
        self.0.answered.set(Some(answer));
    }
}

/// The outer end of a lane: at most one operation at a time.
pub struct Lane<Q, A> {
    cells: Rc<Cells<Q, A>>,
    busy: bool,
    coroutine: Pin<Box<dyn Future<Output = ()>>>,
}

impl<Q: 'static, A: 'static> Lane<Q, A> {
    /// A lane run by `body`, which loops over [`Port::next`] and [`Port::answer`] and never ends.
    pub fn new<F: Future<Output = ()> + 'static>(body: impl FnOnce(Port<Q, A>) -> F) -> Self {
        let cells = Rc::new(Cells { asked: Cell::new(None), answered: Cell::new(None) });
        let coroutine = Box::pin(body(Port(cells.clone())));
        Self { cells, busy: false, coroutine }
    }

    /// Whether an operation was started and its result not yet taken.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// Starts an operation. It makes progress only when polled.
    ///
    /// # Panics
    /// If one is under way.
    pub fn start(&mut self, request: Q) {
        assert!(!self.busy, "a lane carries one operation at a time");
        self.busy = true;
        self.cells.asked.set(Some(request));
    }

    /// The result of the operation under way.
    ///
    /// # Panics
    /// If none is under way, or the coroutine has ended: both are mistakes of this program.
    #[inline]
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<A> {
        assert!(self.busy, "polled a lane without an operation");
        let ended = self.coroutine.as_mut().poll(cx).is_ready();
        match self.cells.answered.take() {
            Some(answer) => {
                self.busy = false;
                Poll::Ready(answer)
            }
            None => {
                assert!(!ended, "a lane's coroutine ended");
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    fn doubler() -> Lane<u32, u32> {
        Lane::new(|mut port: Port<u32, u32>| async move {
            loop {
                let n = port.next().await;
                port.answer(n * 2);
            }
        })
    }

    #[test]
    fn carries_one_operation_after_the_other() {
        let mut cx = Context::from_waker(Waker::noop());
        let mut lane = doubler();
        for n in 1..4 {
            lane.start(n);
            assert!(lane.is_busy());
            assert_eq!(lane.poll(&mut cx), Poll::Ready(n * 2));
            assert!(!lane.is_busy());
        }
    }

    #[test]
    #[should_panic(expected = "one operation at a time")]
    fn refuses_a_second_operation() {
        let mut lane = doubler();
        lane.start(1);
        lane.start(2);
    }
}
