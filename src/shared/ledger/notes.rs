//! Which buckets have changed whose use is to outlast the process. Cores leave notes; a thread beside them reads the
//! buckets and writes files, so that no core ever waits for a disk.

use std::cell::{Cell, OnceCell};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use std::thread::Thread;

use crate::base::Ticks;
use crate::base::ledger::{BucketKey, LONG, Refill};
use crate::shared::Mailbox;
use crate::shared::gauge::Counter;

use super::word::Body;

/// Notes of one core that may wait.
const WAITING_MAX: usize = 4_096;
/// Keys that a core remembers to have noted since the notes were read.
const REMEMBERED: usize = 1_024;

/// A bucket that has changed, and how it fills.
#[derive(Clone, Copy, Debug)]
pub struct Note {
    /// Whose it is.
    pub key: BucketKey,
    /// As it was used last.
    pub refill: Refill,
}

/// The notes of all cores.
pub struct Notes {
    /// Counts the readings. A key is noted once between two of them.
    epoch: AtomicU32,
    boxes: Box<[Mailbox<Note>]>,
    missed: Counter,
    reader: OnceLock<Thread>,
    awake: AtomicBool,
}

impl Notes {
    /// None yet, of so many cores.
    pub(super) fn new(cores: usize) -> Self {
        Self {
            epoch: AtomicU32::new(1),
            boxes: (0..cores.max(1)).map(|_| Mailbox::new(WAITING_MAX)).collect(),
            missed: Counter::default(),
            reader: OnceLock::new(),
            awake: AtomicBool::new(false),
        }
    }

    /// Has this thread unparked when there is something to read. Only the first one counts.
    pub fn read_by(&self, reader: Thread) {
        let _ = self.reader.set(reader);
    }

    /// Takes all notes. What a core changes after this has returned is noted anew; what it changed before can be seen in
    /// the bucket.
    pub fn take(&self) -> Vec<Note> {
        self.awake.store(false, Ordering::SeqCst);
        let mut notes = Vec::new();
        for waiting in &self.boxes {
            // Bounded, though cores go on.
            notes.extend(std::iter::from_fn(|| waiting.take()).take(WAITING_MAX));
        }
        self.epoch.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        notes
    }

    /// Notes that had no room. Their keys are noted again when they are used again.
    pub fn missed(&self) -> u64 {
        self.missed.sum()
    }

    fn post(&self, core: usize, note: Note) -> bool {
        if self.boxes[core % self.boxes.len()].post(note).is_err() {
            self.missed.add(1);
            return false;
        }
        if !self.awake.swap(true, Ordering::SeqCst)
            && let Some(reader) = self.reader.get()
        {
            reader.unpark();
        }
        true
    }
}

/// Key and count of a bucket that was noted.
type Place = Cell<(u128, u32)>;

/// What one core has noted lately.
#[derive(Default)]
pub(super) struct Noted(OnceCell<Box<[Place]>>);

impl Noted {
    /// Notes that this bucket is `body` now, unless that was noted since the last reading.
    #[inline]
    pub(super) fn note(
        &self,
        notes: &Notes,
        core: usize,
        key: BucketKey,
        refill: &Refill,
        body: Body,
        now: Ticks,
    ) {
        if !refill.outlasts() && !is_in_debt(refill, body, now) {
            return;
        }
        // The change comes before the look at the epoch, as the reader's new epoch comes before its look at the bucket.
        fence(Ordering::SeqCst);
        let epoch = notes.epoch.load(Ordering::SeqCst);
        let seen = self.0.get_or_init(|| (0..REMEMBERED).map(|_| Cell::new((0, 0))).collect());
        let place = &seen[key.0 as usize % REMEMBERED];
        if place.get() != (key.0, epoch) && notes.post(core, Note { key, refill: *refill }) {
            place.set((key.0, epoch));
        }
    }
}

/// Whether a bucket that fills soon has been charged so much that it does not.
#[inline]
fn is_in_debt(refill: &Refill, body: Body, now: Ticks) -> bool {
    matches!(refill, Refill::Steady { .. }) && Ticks(body.main >> 4).since(now) > LONG
}
