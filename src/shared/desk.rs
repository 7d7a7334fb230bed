//! A bounded queue of work for one thread that does nothing else, and sleeps while there is none.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Thread};

use super::Mailbox;

/// Work for one thread, from any. Nobody waits here but the thread that does the work.
pub struct Desk<T> {
    work: Mailbox<(T, usize)>,
    /// What waits weighs so much.
    weight: AtomicUsize,
    weight_max: usize,
    clerk: OnceLock<Thread>,
}

impl<T> Desk<T> {
    /// Takes at most `places` pieces of work at a time, that weigh at most `weight_max` together.
    pub fn new(places: usize, weight_max: usize) -> Self {
        Self { work: Mailbox::new(places), weight: AtomicUsize::new(0), weight_max, clerk: OnceLock::new() }
    }

    /// Makes this thread the one that works here. `false` if another is already.
    pub fn sit_down(&self) -> bool {
        self.clerk.set(thread::current()).is_ok()
    }

    /// Whether somebody works here.
    pub fn is_staffed(&self) -> bool {
        self.clerk.get().is_some()
    }

    /// Leaves work here. Costs a system call only if the thread sleeps.
    ///
    /// # Errors
    /// The work itself, when nobody works here or too much waits.
    pub fn post(&self, work: T, weight: usize) -> Result<(), T> {
        let Some(clerk) = self.clerk.get() else { return Err(work) };
        let before = self.weight.fetch_add(weight, Ordering::Relaxed);
        if before.saturating_add(weight) > self.weight_max {
            self.weight.fetch_sub(weight, Ordering::Relaxed);
            return Err(work);
        }
        match self.work.post((work, weight)) {
            Ok(()) => {
                // Once for each piece, and remembered if the thread is awake: so it misses none.
                clerk.unpark();
                Ok(())
            }
            Err((work, weight)) => {
                self.weight.fetch_sub(weight, Ordering::Relaxed);
                Err(work)
            }
        }
    }

    /// The oldest work, if there is any.
    pub fn take(&self) -> Option<T> {
        let (work, weight) = self.work.take()?;
        self.weight.fetch_sub(weight, Ordering::Relaxed);
        Some(work)
    }

    /// The oldest work; sleeps until there is some. Only for the thread that sat down.
    pub fn next(&self) -> T {
        loop {
            match self.take() {
                Some(work) => return work,
                None => thread::park(),
            }
        }
    }

    /// What waits weighs so much, just now.
    pub fn weight(&self) -> usize {
        self.weight.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn takes_no_work_before_somebody_sits_there_and_no_more_than_fits() {
        let desk = Desk::new(3, 100);
        assert_eq!((desk.post('a', 1), desk.is_staffed()), (Err('a'), false));
        assert!(desk.sit_down() && !desk.sit_down());
        assert_eq!((desk.post('a', 60), desk.post('b', 41), desk.post('c', 40)), (Ok(()), Err('b'), Ok(())));
        assert_eq!((desk.post('d', 0), desk.post('e', 0)), (Ok(()), Err('e')), "three places");
        assert_eq!(desk.weight(), 100);
        assert_eq!((desk.take(), desk.weight()), (Some('a'), 40));
        assert_eq!((desk.post('f', 61), desk.post('g', 60)), (Err('f'), Ok(())));
        let rest: String = std::iter::from_fn(|| desk.take()).collect();
        assert_eq!((rest.as_str(), desk.weight()), ("cdg", 0));
    }

    #[test]
    fn a_thread_that_sleeps_misses_nothing() {
        const ROUNDS: usize = 2_000;
        let desk = Desk::new(4, usize::MAX);
        thread::scope(|scope| {
            let sum = scope.spawn(|| {
                assert!(desk.sit_down());
                (0..2 * ROUNDS).map(|_| desk.next()).sum::<usize>()
            });
            while !desk.is_staffed() {
                thread::yield_now();
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    for mut work in 0..ROUNDS {
                        while let Err(back) = desk.post(work, 1) {
                            work = back;
                            thread::yield_now();
                        }
                    }
                });
            }
            assert_eq!(sum.join().unwrap(), ROUNDS * (ROUNDS - 1));
        });
    }
}
