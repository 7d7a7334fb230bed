//! Whose fetch runs next.
//!
//! Anybody can make the gateway ask an issuer: a token that was made up costs a fetch as a real one does. So no kind of
//! fetch takes the turns of another, a host that is slow takes only its share, and of those that wait, that one is next
//! for whose source the fewest run: one client with a thousand tokens delays another by one fetch and not by a thousand.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use crate::control::counters::Kind;
use crate::link::Source;

/// Fetches of one kind that run at once.
const RUNNING_MAX: usize = 16;
/// Of these, to one host: a slow issuer leaves room for the others.
const RUNNING_PER_HOST_MAX: usize = 8;
/// Fetches of one kind that wait for their turn.
const WAITING_MAX: usize = 1024;
/// Of these, for one source.
const WAITING_PER_SOURCE_MAX: usize = 128;

/// What a turn is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What is fetched.
    pub kind: Kind,
    /// The host and port that it is fetched from.
    pub host: Box<str>,
    /// For whom. `None`: for the gateway itself, or for clients that cannot be told apart.
    pub source: Option<Source>,
}

/// Turns at fetching.
#[derive(Default)]
pub struct Turns {
    running: RefCell<Vec<Claim>>,
    waiting: RefCell<VecDeque<Rc<Waiting>>>,
}

struct Waiting {
    claim: Claim,
    granted: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// A turn. Dropping it lets the next one in.
pub struct Turn<'t> {
    turns: &'t Turns,
    mine: Rc<Waiting>,
}

impl Turns {
    /// Asks for a turn; `None` when too many of its kind wait, or too many for its source. It counts once
    /// [`Turn::granted`] has ended.
    pub fn ask(&self, claim: Claim) -> Option<Turn<'_>> {
        let waits_for_same =
            |other: &Rc<Waiting>| other.claim.kind == claim.kind && other.claim.source == claim.source;
        let waiting = self.waiting.borrow();
        let alike = waiting.iter().filter(|other| other.claim.kind == claim.kind).count();
        let is_full = alike >= WAITING_MAX
            || claim.source.is_some()
                && waiting.iter().filter(|other| waits_for_same(other)).count() >= WAITING_PER_SOURCE_MAX;
        drop(waiting);
        if is_full {
            return None;
        }
        let mine = Rc::new(Waiting { claim, granted: Cell::new(false), waker: RefCell::new(None) });
        self.waiting.borrow_mut().push_back(mine.clone());
        self.grant();
        Some(Turn { turns: self, mine })
    }

    fn grant(&self) {
        let (mut running, mut waiting) = (self.running.borrow_mut(), self.waiting.borrow_mut());
        while let Some(next) = next(&running, &waiting).and_then(|at| waiting.remove(at)) {
            running.push(next.claim.clone());
            next.granted.set(true);
            if let Some(waker) = next.waker.take() {
                waker.wake();
            }
        }
    }
}

/// Which of those that wait is next: of those for whom there is room, the first of those whose source has the fewest
/// running.
fn next(running: &[Claim], waiting: &VecDeque<Rc<Waiting>>) -> Option<usize> {
    let count = |is: &dyn Fn(&Claim) -> bool| running.iter().filter(|claim| is(claim)).count();
    let has_room = |claim: &Claim| {
        count(&|other| other.kind == claim.kind) < RUNNING_MAX
            && count(&|other| other.kind == claim.kind && other.host == claim.host) < RUNNING_PER_HOST_MAX
    };
    let for_same = |claim: &Claim| count(&|other| other.kind == claim.kind && other.source == claim.source);
    let open = waiting.iter().enumerate().filter(|(_, waiting)| has_room(&waiting.claim));
    open.min_by_key(|(_, waiting)| for_same(&waiting.claim)).map(|(at, _)| at)
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
            if let Some(at) = running.iter().position(|claim| *claim == self.mine.claim) {
                running.swap_remove(at);
            }
        } else {
            self.turns.waiting.borrow_mut().retain(|other| !Rc::ptr_eq(other, &self.mine));
        }
        self.turns.grant();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::IpAddr;

    use super::*;

    fn claim(kind: Kind, host: &str, source: Option<u8>) -> Claim {
        let source = source.map(|last| Source::of(IpAddr::from([10, 0, 0, last])));
        Claim { kind, host: host.into(), source }
    }

    fn asked(host: &str) -> Claim {
        claim(Kind::Introspection, host, None)
    }

    fn granted(list: &[Turn<'_>]) -> usize {
        list.iter().filter(|turn| turn.mine.granted.get()).count()
    }

    #[test]
    fn a_host_that_has_its_share_lets_others_pass_and_gives_its_place_back() {
        let turns = Turns::default();
        let mut slow: Vec<_> =
            (0..RUNNING_PER_HOST_MAX + 2).map(|_| turns.ask(asked("slow")).unwrap()).collect();
        assert_eq!(granted(&slow), RUNNING_PER_HOST_MAX);
        let other = turns.ask(asked("other")).unwrap();
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
            (0..RUNNING_MAX + WAITING_MAX).map(|n| turns.ask(asked(&n.to_string())).unwrap()).collect();
        assert_eq!(granted(&all), RUNNING_MAX);
        assert!(turns.ask(asked("one more")).is_none());
        drop(all);
        assert!(turns.ask(asked("one more")).unwrap().mine.granted.get());
    }

    #[test]
    fn no_kind_of_fetch_takes_the_turns_of_another() {
        let turns = Turns::default();
        let flood: Vec<_> =
            (0..RUNNING_MAX + WAITING_MAX).map(|n| turns.ask(asked(&n.to_string())).unwrap()).collect();
        assert!(turns.ask(asked("0")).is_none());
        for kind in [Kind::Keys, Kind::ClientCredentials, Kind::TokenExchange] {
            // Of the same host, as issuers have it.
            let turn = turns.ask(claim(kind, "0", None)).unwrap();
            assert!(turn.mine.granted.get(), "{kind:?}");
        }
        drop(flood);
    }

    #[test]
    fn who_asks_for_a_thousand_delays_another_by_one() {
        let turns = Turns::default();
        let of = |source| claim(Kind::Introspection, "idp", Some(source));
        let mut flood = VecDeque::new();
        for _ in 0..RUNNING_PER_HOST_MAX + WAITING_PER_SOURCE_MAX {
            flood.push_back(turns.ask(of(1)).unwrap());
        }
        assert!(turns.ask(of(1)).is_none(), "no source waits with more");
        let legitimate = turns.ask(of(2)).unwrap();
        assert!(!legitimate.mine.granted.get());
        drop(flood.pop_front());
        assert!(legitimate.mine.granted.get(), "the next turn is its");
        drop(flood.pop_front());
        let third = turns.ask(of(2)).unwrap();
        assert!(!third.mine.granted.get());
        drop(flood);
        assert!(third.mine.granted.get());
    }
}
