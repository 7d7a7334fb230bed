//! What an exchange waits for that control does: keys, introspection, tokens. The exchange is parked, the worker
//! goes on with others, and the same pure question is asked again with the answer.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::worker::{Live, Worker};
use crate::link::{Answer, Errand, Order};

/// Exchanges of one worker that may be parked. One past it is told to come again.
const PARKED_MAX: usize = 1024;
/// How long an exchange is parked. Control's own bounds are shorter; this one is for when control is not heard of.
const PATIENCE: Duration = Duration::from_secs(15);

/// The parked exchanges of one worker.
#[derive(Default)]
pub struct Errands {
    last: Cell<u64>,
    parked: RefCell<HashMap<u64, Parked>>,
}

/// One parked exchange.
#[derive(Default)]
struct Parked {
    answer: Option<Answer>,
    waker: Option<Waker>,
}

/// Takes a parked exchange off the list, however its wait ends.
struct Place<'w> {
    errands: &'w Errands,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.errands.parked.borrow_mut().remove(&self.number);
    }
}

impl Errands {
    /// Gives the answer to whoever waits for it, if somebody still does.
    pub fn deliver(&self, number: u64, answer: Answer) {
        if let Some(parked) = self.parked.borrow_mut().get_mut(&number) {
            parked.answer = Some(answer);
            if let Some(waker) = parked.waker.take() {
                waker.wake();
            }
        }
    }

    /// Exchanges that are parked now.
    pub fn parked(&self) -> usize {
        self.parked.borrow().len()
    }
}

/// Has control run an errand, and waits for what comes of it.
pub async fn run(worker: &Rc<Worker>, live: &Rc<Live>, errand: Errand) -> Answer {
    let errands = &worker.errands;
    worker.stats.borrow_mut().errands += 1;
    let answer = match order(worker, live, errand) {
        Some(place) => {
            let mut patience = worker.net.sleep(PATIENCE);
            poll_fn(|cx| {
                if let Some(parked) = errands.parked.borrow_mut().get_mut(&place.number) {
                    if let Some(answer) = parked.answer.take() {
                        return Poll::Ready(answer);
                    }
                    parked.waker = Some(cx.waker().clone());
                }
                patience.as_mut().poll(cx).map(|()| Answer::Failed)
            })
            .await
        }
        None => Answer::Failed,
    };
    if matches!(answer, Answer::Failed) {
        worker.stats.borrow_mut().errands_failed += 1;
    }
    answer
}

/// Parks the exchange and tells control; `None` where there is no room for either.
fn order<'w>(worker: &'w Worker, live: &Live, errand: Errand) -> Option<Place<'w>> {
    let errands = &worker.errands;
    if errands.parked() >= PARKED_MAX {
        return None;
    }
    let number = errands.last.get() + 1;
    errands.last.set(number);
    errands.parked.borrow_mut().insert(number, Parked::default());
    let place = Place { errands, number };
    let order = Order { deployment: Arc::clone(&live.deployment), errand, worker: worker.index, number };
    worker.shared.orders.post(order).ok()?;
    worker.shared.orders_bell.ring();
    Some(place)
}
