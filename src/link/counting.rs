//! Tokens that are counted beside the workers: what they hand over, and what is known of it.

use std::sync::Arc;

use super::Deployment;
use crate::policy::rate_limit::Transcript;
use crate::shared::{Counter, Desk, Mailbox};

/// Exchanges that may wait to be counted.
const WAITING_MAX: usize = 1_024;
/// Bytes that all of them take, together.
const WAITING_BYTES_MAX: usize = 16 << 20;
/// Used transcripts that are kept to be used again.
const BLANKS_MAX: usize = 256;

/// An exchange whose tokens are to be counted.
pub struct Count {
    /// The deployment that settled it.
    pub deployment: Arc<Deployment>,
    /// What it said, and what it was charged so far.
    pub transcript: Box<Transcript>,
}

/// Where workers hand over what is to be counted. They never wait here.
pub struct Counting {
    desk: Desk<Count>,
    blanks: Mailbox<Box<Transcript>>,
    /// Exchanges that were counted.
    pub exchanges: Counter,
    /// Tokens that were counted.
    pub tokens: Counter,
}

impl Default for Counting {
    fn default() -> Self {
        Self {
            desk: Desk::new(WAITING_MAX, WAITING_BYTES_MAX),
            blanks: Mailbox::new(BLANKS_MAX),
            exchanges: Counter::default(),
            tokens: Counter::default(),
        }
    }
}

impl Counting {
    /// Makes this thread the one that counts. `false` if another does already.
    pub fn begin(&self) -> bool {
        self.desk.sit_down()
    }

    /// Whether anybody counts.
    pub fn is_ready(&self) -> bool {
        self.desk.is_staffed()
    }

    /// Bytes that wait to be counted.
    pub fn waiting_bytes(&self) -> usize {
        self.desk.weight()
    }

    /// An empty transcript that takes so many bytes; `None` while nobody counts.
    pub fn transcript(&self, bytes_max: usize) -> Option<Box<Transcript>> {
        if !self.is_ready() {
            return None;
        }
        let mut transcript = self.blanks.take().unwrap_or_default();
        transcript.begin(bytes_max);
        Some(transcript)
    }

    /// Keeps a transcript to be used again.
    pub fn put_back(&self, mut transcript: Box<Transcript>) {
        // What a large one took is given up now, and not while it waits to be used.
        transcript.begin(0);
        let _ = self.blanks.post(transcript);
    }

    /// Hands an exchange over. `false` if too much waits: then what was estimated stays.
    pub fn hand_over(&self, count: Count) -> bool {
        let weight = count.transcript.weight();
        match self.desk.post(count, weight) {
            Ok(()) => true,
            Err(count) => {
                self.put_back(count.transcript);
                false
            }
        }
    }

    /// What is to be counted next; sleeps until there is something.
    pub fn next(&self) -> Count {
        self.desk.next()
    }

    /// What is to be counted next, if there is anything.
    pub fn take(&self) -> Option<Count> {
        self.desk.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Snapshot;

    fn said(counting: &Counting, bytes: usize) -> Box<Transcript> {
        let mut transcript = counting.transcript(8 << 20).unwrap_or_default();
        transcript.feed(&vec![b'x'; bytes]);
        transcript
    }

    fn deployment() -> Arc<Deployment> {
        let servers = vec![("s".to_owned(), "http://127.0.0.1:8/mcp".to_owned())];
        let flags = crate::config::check::Flags { servers, ..Default::default() };
        Arc::new(Deployment {
            snapshot: Arc::new(Snapshot::from_flags(&flags).expect("it is complete")),
            listener_tls: Box::default(),
            endpoint_tls: Box::default(),
            addresses: Box::default(),
            keys: Box::default(),
        })
    }

    #[test]
    fn a_thread_that_does_not_keep_up_is_left_no_more_than_fits() {
        let (counting, deployment) = (Counting::default(), deployment());
        let hand_over = |counting: &Counting, bytes: usize| {
            counting.hand_over(Count { deployment: deployment.clone(), transcript: said(counting, bytes) })
        };
        assert!(!hand_over(&counting, 1) && counting.transcript(9).is_none(), "nobody counts yet");
        assert!(counting.begin() && !counting.begin());
        assert!((0..WAITING_MAX).all(|_| hand_over(&counting, 1)));
        assert!(!hand_over(&counting, 1), "so many may wait");
        while counting.take().is_some() {}
        assert!(hand_over(&counting, 8 << 20) && hand_over(&counting, 8 << 20));
        assert_eq!((hand_over(&counting, 1), counting.waiting_bytes()), (false, WAITING_BYTES_MAX));
        assert!(counting.take().is_some() && hand_over(&counting, 1));
    }

    #[test]
    fn used_transcripts_come_back_empty_and_small() {
        let counting = Counting::default();
        assert!(counting.begin());
        for _ in 0..2 * BLANKS_MAX {
            counting.put_back(said(&Counting::default(), 1 << 20));
        }
        let blank = counting.transcript(100).unwrap_or_default();
        assert_eq!((blank.weight(), blank.count()), (0, 0));
        assert_eq!(std::iter::from_fn(|| counting.blanks.take()).count(), BLANKS_MAX - 1);
    }
}
