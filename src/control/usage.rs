//! What was used of limits, kept across restarts and crashes: a thread beside the workers reads the buckets that they
//! note, and writes what counts as used *ahead* of what was used, so that what a crash takes is charged and not given.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::base::Ticks;
use crate::base::ledger::{BucketKey, Refill};
use crate::policy::rate_limit::Secret;
use crate::shared::Flag;
use crate::shared::ledger::{Book, Note, Usage};

mod codec;
mod journal;
#[cfg(test)]
mod tests;

pub use codec::{Charged, Contents, Record};
pub use journal::Journal;

/// Notes are read this often while there are any.
const EVERY: Duration = Duration::from_millis(20);
/// What was written is on the disk after at most this time.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// After a failure the file is tried again so often.
const AGAIN: Duration = Duration::from_secs(1);
/// A bucket is charged ahead by this part of it at least.
const AHEAD: u64 = 64;

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The process's.
    pub ticks: Ticks,
    /// Nanoseconds since 1970 (UTC).
    pub wall: u64,
}

impl Now {
    /// This moment, in a process whose time counts from `start`.
    pub fn of(start: Instant) -> Self {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { ticks: Ticks(nanos(start.elapsed())), wall: nanos(wall) }
    }
}

/// What is known of one bucket.
#[derive(Clone, Copy, Debug)]
struct Kept {
    /// As it was used last; `None` of one that was not used since the start.
    refill: Option<Refill>,
    /// What was used when that was last looked at.
    used: Charged,
    /// What the file says.
    charged: Charged,
    /// The most that was used from one look to the next.
    step: u64,
    until: u64,
}

/// What is known of all buckets, and what of it must be written. No file is touched here.
pub struct Keeper {
    kept: HashMap<u128, Kept>,
    most: usize,
    turned_away: u64,
}

/// What one look at a bucket has found.
struct Look {
    used: Charged,
    /// The value of a bucket of which nothing is used.
    unused: u64,
    /// The value of one of which all is used.
    all: u64,
    until: u64,
}

impl Keeper {
    /// Of at most so many buckets.
    pub fn new(most: usize) -> Self {
        Self { kept: HashMap::new(), most, turned_away: 0 }
    }

    /// Takes over a file, and books what it says. Gives how many buckets that were.
    pub fn restore(&mut self, contents: &Contents, book: &Arc<Book>, now: Now) -> usize {
        for record in &contents.records {
            let charged = record.charged;
            let kept = Kept { refill: None, used: charged, charged, step: 0, until: record.until };
            self.kept.insert(record.key.0, kept);
        }
        self.forget_what_is_over(now);
        let clerk = book.clerk(0);
        for (key, kept) in &self.kept {
            let left = Duration::from_secs(kept.until.saturating_sub(now.wall / SECOND));
            let usage = match kept.charged {
                Charged::Window { index, used } => Usage::Window { index, used },
                Charged::Steady { full } => {
                    Usage::Steady { full: now.ticks + Duration::from_nanos(full.saturating_sub(now.wall)) }
                }
            };
            if !clerk.restore(BucketKey(*key), usage, left, now.ticks) {
                self.turned_away += 1;
            }
        }
        self.kept.len()
    }

    /// Looks at the buckets that were noted. Gives what must be written so that the file is ahead of them.
    pub fn read(&mut self, notes: &[Note], book: &Book, now: Now) -> Vec<Record> {
        notes.iter().filter_map(|note| self.one(note, book, now)).collect()
    }

    fn one(&mut self, note: &Note, book: &Book, now: Now) -> Option<Record> {
        let look = look(note, book, now)?;
        if !self.kept.contains_key(&note.key.0) && self.kept.len() >= self.most {
            self.turned_away += 1;
            return None;
        }
        let fresh = Kept {
            refill: None,
            used: look.used.with(look.unused),
            charged: look.used.with(0),
            step: 0,
            until: 0,
        };
        let kept = self.kept.entry(note.key.0).or_insert(fresh);
        if !kept.used.is_of_the_same(look.used) {
            *kept = fresh;
        }
        let (used, before) = (look.used.value(), kept.used.value().max(look.unused));
        if before == look.unused {
            // Nothing was used any more when this began.
            kept.step = 0;
        }
        kept.step = kept.step.max(used.saturating_sub(before));
        (kept.refill, kept.used) = (Some(note.refill), look.used);
        kept.until = kept.until.max(look.until);
        // Where all is used no more is charged ahead than what may be on its way.
        let most = look.all.max(used.saturating_add(kept.step));
        if kept.charged.value() >= used.saturating_add(kept.step) {
            return None;
        }
        let part = look.all.saturating_sub(look.unused).div_ceil(AHEAD);
        let ahead = kept.step.saturating_add(kept.step / 2).max(part);
        kept.charged = look.used.with(used.saturating_add(ahead).min(most));
        if let Charged::Steady { full } = kept.charged {
            kept.until = full / SECOND + 1;
        }
        Some(kept.record(note.key))
    }

    /// What is not over, as the file has it.
    pub fn records(&mut self, now: Now) -> impl Iterator<Item = Record> {
        self.forget_what_is_over(now);
        self.kept.iter().map(|(key, kept)| kept.record(BucketKey(*key)))
    }

    /// What was used to the unit, once nothing is used any more.
    pub fn last_records(&mut self, book: &Book, now: Now) -> impl Iterator<Item = Record> {
        self.forget_what_is_over(now);
        self.kept
            .iter_mut()
            .map(move |(key, kept)| {
                let key = BucketKey(*key);
                if let Some(refill) = kept.refill {
                    // A bucket that is full again, or of a later window, has nothing used.
                    let found = look(&Note { key, refill }, book, now).map(|look| look.used);
                    kept.charged = found.unwrap_or_else(|| kept.used.with(0));
                }
                kept.record(key)
            })
            .filter(|record| record.charged.value() > 0)
    }

    fn forget_what_is_over(&mut self, now: Now) {
        let second = now.wall / SECOND;
        self.kept.retain(|_, kept| kept.until > second);
    }
}

impl Kept {
    fn record(&self, key: BucketKey) -> Record {
        Record { key, charged: self.charged, until: self.until }
    }
}

impl Charged {
    fn value(self) -> u64 {
        match self {
            Self::Window { used, .. } => used,
            Self::Steady { full } => full,
        }
    }

    fn with(self, value: u64) -> Self {
        match self {
            Self::Window { index, .. } => Self::Window { index, used: value },
            Self::Steady { .. } => Self::Steady { full: value },
        }
    }

    /// Whether both are of one window, or of none.
    fn is_of_the_same(self, other: Self) -> bool {
        self.with(0) == other.with(0)
    }
}

/// What is used of a bucket; `None` if that is nothing.
fn look(note: &Note, book: &Book, now: Now) -> Option<Look> {
    match (book.usage(note, now.ticks)?, note.refill) {
        (Usage::Window { index, used }, Refill::Window { count, left, .. }) => Some(Look {
            used: Charged::Window { index, used },
            unused: 0,
            all: count.get(),
            until: now.wall / SECOND + left.as_secs() + 1,
        }),
        (Usage::Steady { full }, Refill::Steady { count, per, burst }) => {
            let at = |after: Duration| {
                now.wall.saturating_add(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX))
            };
            let fills = per.as_nanos().saturating_mul(u128::from(burst.get())) / u128::from(count.get());
            let fills = Duration::from_nanos(u64::try_from(fills).unwrap_or(u64::MAX));
            let full = at(full.since(now.ticks));
            Some(Look {
                used: Charged::Steady { full },
                unused: now.wall,
                all: at(fills),
                until: full / SECOND + 1,
            })
        }
        _ => None,
    }
}

const SECOND: u64 = 1_000_000_000;

/// What the thread does, to its end.
pub type Life = Box<dyn FnOnce() + Send>;

/// The thread that keeps what was used.
pub struct Keeping {
    thread: thread::JoinHandle<()>,
    ends: Arc<Flag>,
}

impl Keeping {
    /// Takes over the file at `path`, books what it says, and keeps it from now on. `book` has notes. `start` is where the
    /// process's time counts from; `spawn` begins the thread.
    ///
    /// # Errors
    /// Why the file is not believed, or cannot be written, in words for the operator.
    pub fn begin(
        path: &Path,
        secret: Secret,
        book: &Arc<Book>,
        most: usize,
        start: Instant,
        spawn: impl FnOnce(Life) -> std::io::Result<thread::JoinHandle<()>>,
    ) -> Result<Self, String> {
        let mut keeper = Keeper::new(most);
        let contents = Journal::read(path, &secret)?;
        let number = contents.as_ref().map_or(0, |contents| contents.number);
        if let Some(contents) = contents {
            let keys = keeper.restore(&contents, book, Now::of(start));
            if contents.torn {
                tracing::warn!(path = %path.display(), "the last lines of what limits have used were not written to their end, and are left out");
            }
            tracing::info!(keys, "limits go on from what was used before");
        }
        let records = keeper.records(Now::of(start));
        let journal = Journal::create(path, secret, number.wrapping_add(1), records)
            .map_err(|error| format!("cannot be written: {error}"))?;
        let ends = Arc::new(Flag::new());
        let (book, stop) = (book.clone(), ends.clone());
        let thread = spawn(Box::new(move || keep(keeper, journal, &book, &stop, start)))
            .map_err(|error| format!("has no thread: {error}"))?;
        Ok(Self { thread, ends })
    }

    /// Writes what was used to the unit. Nobody uses anything any more.
    pub fn end(self) {
        self.ends.set(true);
        self.thread.thread().unpark();
        if self.thread.join().is_err() {
            tracing::error!(
                "what limits have used was not written at the end; what was written before is ahead of it"
            );
        }
    }
}

/// The life of the thread.
fn keep(mut keeper: Keeper, mut journal: Journal, book: &Book, ends: &Flag, start: Instant) {
    let Some(notes) = book.notes() else { return };
    notes.read_by(thread::current());
    let (mut synced, mut failing) = (Instant::now(), false);
    loop {
        let ending = ends.is_set();
        let taken = notes.take();
        let records = keeper.read(&taken, book, Now::of(start));
        let written = if failing || journal.is_long(keeper.kept.len()) {
            journal.rewrite(keeper.records(Now::of(start)))
        } else if records.is_empty() {
            Ok(())
        } else {
            journal.append(&records)
        };
        let due = synced.elapsed() >= SYNC_EVERY;
        let written = written.and_then(|()| if due { journal.sync() } else { Ok(()) });
        if due {
            synced = Instant::now();
        }
        report(&mut keeper, written.as_ref().err(), &mut failing);
        if ending {
            let last = journal.rewrite(keeper.last_records(book, Now::of(start)));
            report(&mut keeper, last.as_ref().err(), &mut failing);
            return;
        }
        match (failing, taken.is_empty()) {
            (true, _) => thread::sleep(AGAIN),
            (false, false) => thread::sleep(EVERY),
            (false, true) if journal.is_synced() => thread::park(),
            (false, true) => thread::park_timeout(SYNC_EVERY),
        }
    }
}

/// Says once that a failure begins or ends.
fn report(keeper: &mut Keeper, error: Option<&std::io::Error>, failing: &mut bool) {
    match (error, *failing) {
        (Some(error), false) => {
            tracing::error!(%error, "what limits have used cannot be written: a restart now would forget it");
        }
        (None, true) => tracing::info!("what limits have used is written again"),
        _ => {}
    }
    *failing = error.is_some();
    if std::mem::take(&mut keeper.turned_away) > 0 {
        tracing::warn!("no room to keep what more keys have used: raise rate_limits.keys_max");
    }
}
