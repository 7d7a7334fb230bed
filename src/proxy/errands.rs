//! What an exchange waits for that control does: keys, introspection, tokens. The exchange is parked, the worker
//! goes on with others, and the same pure question is asked again with the answer.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::client::Client;
use super::worker::{Live, Worker};
use crate::io::Peer;
use crate::io::conn::ReadResult;
use crate::link::{Answer, Errand, Order, Source};

/// Exchanges of one worker that may be parked. One past it is told to come again.
const PARKED_MAX: usize = 1024;
/// Of these, those of one source, so that nobody shuts out the others by showing what must be asked about. Clients whose
/// addresses are not known (through a Unix socket) are not told apart; behind a balancer, the PROXY protocol tells.
const PARKED_PER_SOURCE_MAX: usize = 64;
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
    source: Option<Source>,
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

    /// No answer will come: the process stops.
    pub fn give_up(&self) {
        for parked in self.parked.borrow_mut().values_mut() {
            parked.answer = Some(Answer::Failed);
            if let Some(waker) = parked.waker.take() {
                waker.wake();
            }
        }
    }

    /// Exchanges that are parked now.
    pub fn parked(&self) -> usize {
        self.parked.borrow().len()
    }

    /// Whether another exchange of this source may be parked.
    fn has_room(&self, source: Option<Source>) -> bool {
        let parked = self.parked.borrow();
        let of_same = || parked.values().filter(|other| other.source == source).count();
        parked.len() < PARKED_MAX && (source.is_none() || of_same() < PARKED_PER_SOURCE_MAX)
    }

    /// Parks an exchange under a number of its own; `None` where there is no room.
    fn park(&self, source: Option<Source>) -> Option<Place<'_>> {
        if !self.has_room(source) {
            return None;
        }
        let number = self.last.get() + 1;
        self.last.set(number);
        self.parked.borrow_mut().insert(number, Parked { source, ..Parked::default() });
        Some(Place { errands: self, number })
    }
}

/// What ended a wait.
enum Woken {
    /// The answer, or that there is none.
    Answer(Answer),
    /// The client sent more, or left.
    Client(ReadResult),
}

/// Has control run an errand of this client, and waits for what comes of it. `None` when the client has left meanwhile:
/// its place is free then, and nobody is to be told anything.
pub async fn run(
    worker: &Rc<Worker>,
    live: &Rc<Live>,
    errand: Errand,
    client: &mut Client,
) -> Option<Answer> {
    let errands = &worker.errands;
    worker.stats.borrow_mut().errands += 1;
    let source = match client.peer {
        Peer::Tcp(address) => Some(Source::of(address.ip())),
        Peer::Unix => None,
    };
    let answer = match order(worker, live, errand, source) {
        Some(place) => {
            let mut patience = worker.net.sleep(PATIENCE);
            loop {
                client.watch_while_parked(worker);
                let woken = poll_fn(|cx| {
                    if let Some(parked) = errands.parked.borrow_mut().get_mut(&place.number) {
                        if let Some(answer) = parked.answer.take() {
                            return Poll::Ready(Woken::Answer(answer));
                        }
                        parked.waker = Some(cx.waker().clone());
                    }
                    if client.reader.is_armed()
                        && let Poll::Ready(read) = client.reader.poll_read(cx)
                    {
                        return Poll::Ready(Woken::Client(read));
                    }
                    patience.as_mut().poll(cx).map(|()| Woken::Answer(Answer::Failed))
                });
                match woken.await {
                    Woken::Answer(answer) => break answer,
                    Woken::Client(read) => {
                        if !client.take_in(worker, read) {
                            worker.stats.borrow_mut().errands_failed += 1;
                            return None;
                        }
                    }
                }
            }
        }
        None => Answer::Failed,
    };
    if matches!(answer, Answer::Failed) {
        worker.stats.borrow_mut().errands_failed += 1;
    }
    Some(answer)
}

/// Parks the exchange and tells control; `None` where there is no room for either.
fn order<'w>(worker: &'w Worker, live: &Live, errand: Errand, source: Option<Source>) -> Option<Place<'w>> {
    let place = worker.errands.park(source)?;
    let deployment = Arc::clone(&live.deployment);
    let order = Order { deployment, errand, source, worker: worker.index, number: place.number };
    worker.shared.orders.post(order).ok()?;
    worker.shared.orders_bell.ring();
    Some(place)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::IpAddr;

    use super::*;

    fn source(address: &str) -> Option<Source> {
        Some(Source::of(address.parse::<IpAddr>().unwrap()))
    }

    #[test]
    fn a_source_that_has_its_share_of_places_leaves_the_others_theirs() {
        let errands = Errands::default();
        let (one, other) = (source("192.0.2.1"), source("192.0.2.2"));
        let mut held: Vec<_> = (0..PARKED_PER_SOURCE_MAX).map(|_| errands.park(one).unwrap()).collect();
        assert!(errands.park(one).is_none());
        assert!(errands.park(source("::ffff:192.0.2.1")).is_none(), "the same, written otherwise");
        assert!(errands.park(other).is_some());
        held.pop();
        assert!(errands.park(one).is_some(), "a place that was given back");
        drop(held);
        assert_eq!(errands.parked(), 0);
    }

    #[test]
    fn a_client_has_a_whole_network_of_ipv6() {
        let errands = Errands::default();
        let of = |number: usize| source(&format!("2001:db8:0:1::{number:x}"));
        let _held: Vec<_> =
            (0..PARKED_PER_SOURCE_MAX).map(|number| errands.park(of(number)).unwrap()).collect();
        assert!(errands.park(of(PARKED_PER_SOURCE_MAX)).is_none());
        assert!(errands.park(source("2001:db8:0:2::1")).is_some());
    }

    #[test]
    fn there_are_so_many_places_in_all() {
        let errands = Errands::default();
        let _held: Vec<_> = (0..PARKED_MAX).map(|_| errands.park(None).unwrap()).collect();
        assert!(errands.park(None).is_none());
        assert!(errands.park(source("192.0.2.1")).is_none());
    }
}
