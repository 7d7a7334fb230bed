//! The account that all cores share: what each key has used of each limit, in 16 bytes.
//!
//! A bucket is one word of 128 bits, so that each draw, report, charge or refund is one compare-and-swap. `docs/ledger.md`
//! says what that bounds, and why.
//!
//! The interleavings of threads are gone through by loom, over the same code with small groups:
//! `RUSTFLAGS="--cfg loom" cargo test --lib shared::ledger`.

mod cell;
mod held;
#[cfg(all(test, loom))]
mod loom_tests;
mod notes;
mod steady;
mod table;
#[cfg(all(test, not(loom)))]
mod tests;
mod window;
mod word;

use std::cell::Cell;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use self::notes::{Note, Notes};

use self::notes::Noted;
use self::steady::Rate;
use self::table::Table;
use self::window::Window;
use self::word::{Body, Kind};
use super::gauge::Gauge;
use crate::base::Ticks;
use crate::base::ledger::{Ask, BucketKey, Drawn, Ledger, Level, Refill};

/// All buckets. Each core works on it through a [`Clerk`] of its own.
pub struct Book {
    /// Keys that there is room for.
    keys: usize,
    table: Table,
    clerks: AtomicU64,
    /// One per core.
    turned_away: Box<[Gauge]>,
    /// Where what outlasts the process is noted, if it is kept.
    notes: Option<Notes>,
}

/// What was used of a bucket, so that another process can go on from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Of the window with this number.
    Window {
        /// Its number.
        index: u32,
        /// Units.
        used: u64,
    },
    /// The bucket is full then, with what is outstanding spent.
    Steady {
        /// That moment.
        full: Ticks,
    },
}

/// A core's access to the [`Book`].
pub struct Clerk {
    book: Arc<Book>,
    core: usize,
    /// The number of its next claim; no other clerk has the same.
    claim: Cell<u64>,
    noted: Noted,
}

impl Book {
    /// An account with room for `keys` buckets that are not full, for `cores` to work on: 32 bytes of address space
    /// a key, of which memory is what was touched.
    ///
    /// A bucket that is full takes no room. At exactly `keys` live ones, about one in a million finds none; there
    /// is room for up to twice as many, with fewer and fewer who find it.
    pub fn new(keys: usize, cores: usize) -> Arc<Self> {
        Self::with(keys, cores, None)
    }

    /// The same, with notes of what is to outlast the process.
    pub fn kept(keys: usize, cores: usize) -> Arc<Self> {
        Self::with(keys, cores, Some(Notes::new(cores)))
    }

    fn with(keys: usize, cores: usize, notes: Option<Notes>) -> Arc<Self> {
        Arc::new(Self {
            keys,
            table: Table::new(keys),
            clerks: AtomicU64::new(0),
            turned_away: (0..cores.max(1)).map(|_| Gauge::default()).collect(),
            notes,
        })
    }

    /// Keys that there is room for: those of the start, whatever a reload says.
    pub fn keys(&self) -> usize {
        self.keys
    }

    /// A clerk for `core`, counted from 0. Any number of them may be made.
    pub fn clerk(self: &Arc<Self>, core: usize) -> Clerk {
        let clerk = self.clerks.fetch_add(1, Ordering::Relaxed);
        Clerk {
            book: self.clone(),
            core: core % self.turned_away.len(),
            claim: Cell::new(clerk << CLAIM_BITS),
            noted: Noted::default(),
        }
    }

    /// The notes of what is to outlast the process, if it is kept.
    pub fn notes(&self) -> Option<&Notes> {
        self.notes.as_ref()
    }

    /// What was used of a bucket that was noted; `None` if that is nothing, or of another window than the note's.
    pub fn usage(&self, note: &Note, now: Ticks) -> Option<Usage> {
        let look = |body| (None, body);
        let body = self.table.apply(note.key, Kind::of(&note.refill), now, || 0, look)?;
        match note.refill {
            Refill::Window { index, .. } => {
                let used = window::used_in(body, index);
                (used > 0).then_some(Usage::Window { index, used })
            }
            Refill::Steady { count, per, burst } => {
                let full = steady::full_at(body, &Rate::new(count, per, burst), now);
                (full > now).then_some(Usage::Steady { full })
            }
            Refill::Held { .. } => None,
        }
    }

    /// How often there was no room for a key.
    pub fn turned_away(&self) -> usize {
        self.turned_away.iter().map(Gauge::count).sum()
    }

    /// How many buckets take room now. Looks at all of them: milliseconds for a million.
    pub fn live(&self, now: Ticks) -> usize {
        self.table.live(now)
    }

    /// Bytes of address space that the account takes.
    pub fn bytes(&self) -> usize {
        self.table.bytes()
    }
}

impl Clerk {
    /// The account this works on.
    pub fn book(&self) -> &Arc<Book> {
        &self.book
    }

    /// Books what another process has used of a bucket, which nobody uses yet. `false` if there is no room for it.
    pub fn restore(&self, key: BucketKey, usage: Usage, left: Duration, now: Ticks) -> bool {
        let number = || self.claim.replace(self.claim.get().wrapping_add(1));
        let table = &self.book.table;
        let booked = match usage {
            Usage::Window { index, used } => {
                let window = Window::new(NonZeroU64::MAX, index, left, now);
                table.apply(key, Kind::Window, now, number, |body| (window::charge(body, &window, used), ()))
            }
            Usage::Steady { full } => {
                table.apply(key, Kind::Steady, now, number, |body| (steady::filled_at(body, full), ()))
            }
        };
        booked.is_some()
    }

    #[inline]
    fn apply<T>(
        &self,
        key: BucketKey,
        refill: &Refill,
        now: Ticks,
        mut act: impl FnMut(Body) -> (Option<Body>, T),
    ) -> Option<T> {
        let number = || self.claim.replace(self.claim.get().wrapping_add(1));
        let mut changed = None;
        let done = self.book.table.apply(key, Kind::of(refill), now, number, |body| {
            let (next, answer) = act(body);
            changed = next;
            (next, answer)
        });
        if let (Some(notes), Some(body)) = (&self.book.notes, changed) {
            self.noted.note(notes, self.core, key, refill, body, now);
        }
        if done.is_none() {
            self.book.turned_away[self.core].up();
        }
        done
    }
}

impl Ledger for Clerk {
    #[inline]
    fn draw(&self, key: BucketKey, refill: &Refill, ask: Ask, now: Ticks) -> Drawn {
        let drawn = match *refill {
            Refill::Steady { count, per, burst } => {
                let rate = Rate::new(count, per, burst);
                self.apply(key, refill, now, |body| steady::draw(body, &rate, &ask, now))
            }
            Refill::Window { count, index, left } => {
                let window = Window::new(count, index, left, now);
                self.apply(key, refill, now, |body| window::draw(body, &window, &ask))
            }
            Refill::Held { count } => self.apply(key, refill, now, |body| held::draw(body, count, &ask)),
        };
        drawn.unwrap_or(Drawn::NoRoom)
    }

    fn settle(&self, key: BucketKey, refill: &Refill, spent: u64, unspent: u64, now: Ticks) {
        self.apply(key, refill, now, |body| {
            let next = match *refill {
                Refill::Steady { count, per, burst } => {
                    steady::settle(body, &Rate::new(count, per, burst), spent, unspent, now)
                }
                Refill::Window { count, index, left } => {
                    window::give_back(body, &Window::new(count, index, left, now), unspent)
                }
                Refill::Held { .. } => held::settle(body, spent, unspent),
            };
            (next, ())
        });
    }

    fn charge(&self, key: BucketKey, refill: &Refill, units: u64, now: Ticks) -> bool {
        let charged = self.apply(key, refill, now, |body| {
            let next = match *refill {
                Refill::Steady { count, per, burst } => {
                    steady::charge(body, &Rate::new(count, per, burst), units, now)
                }
                Refill::Window { count, index, left } => {
                    window::charge(body, &Window::new(count, index, left, now), units)
                }
                Refill::Held { .. } => None,
            };
            (next, ())
        });
        charged.is_some()
    }

    fn undo(&self, key: BucketKey, refill: &Refill, units: u64, drawn: Ticks, now: Ticks) {
        self.apply(key, refill, now, |body| {
            let next = match *refill {
                Refill::Steady { count, per, burst } => {
                    steady::undo(body, &Rate::new(count, per, burst), units, drawn, now)
                }
                Refill::Window { count, index, left } => {
                    window::give_back(body, &Window::new(count, index, left, now), units)
                }
                Refill::Held { .. } => None,
            };
            (next, ())
        });
    }

    fn level(&self, key: BucketKey, refill: &Refill, now: Ticks) -> Level {
        let level = self.apply(key, refill, now, |body| {
            let level = match *refill {
                Refill::Steady { count, per, burst } => {
                    steady::level(body, &Rate::new(count, per, burst), now)
                }
                Refill::Window { count, index, left } => {
                    window::level(body, &Window::new(count, index, left, now))
                }
                Refill::Held { count } => held::level(body, count),
            };
            (None, level)
        });
        // A look never needs room.
        level.unwrap_or(Level { available: 0, outstanding: 0 })
    }
}

/// A clerk makes as many claims before it would meet the numbers of the next: 2⁴⁰, a new key each microsecond for
/// twelve days.
const CLAIM_BITS: u32 = 40;
