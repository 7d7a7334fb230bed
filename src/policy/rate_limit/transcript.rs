//! What an exchange said, kept until its tokens are counted.

use super::correct::Bill;
use super::estimate::Estimator;
use super::o200k;

/// Texts to be counted, each for itself, up to a bound; what is more is estimated. It is used again and again.
#[derive(Debug, Default)]
pub struct Transcript {
    bytes: Vec<u8>,
    /// Where each text ends.
    ends: Vec<u32>,
    bytes_max: usize,
    /// What did not fit.
    beyond: Option<Estimator>,
    /// What was charged by estimate meanwhile.
    pub bill: Bill,
}

/// The end of a text takes as much room as four bytes of it.
const END_BYTES: usize = size_of::<u32>();
/// Of the memory of a used one, so much is kept.
const KEPT_BYTES: usize = 64 << 10;

impl Transcript {
    /// Begins anew; at most this many bytes are kept.
    pub fn begin(&mut self, bytes_max: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.ends.clear();
        self.ends.shrink_to(KEPT_BYTES / END_BYTES);
        self.bill.clear();
        (self.bytes_max, self.beyond) = (bytes_max.min(u32::MAX as usize), None);
    }

    /// The next bytes of the present text.
    pub fn feed(&mut self, bytes: &[u8]) {
        let room = match self.beyond {
            None => self.bytes_max.saturating_sub(self.weight()).min(bytes.len()),
            Some(_) => 0,
        };
        let (kept, rest) = bytes.split_at(room);
        self.bytes.extend_from_slice(kept);
        if !rest.is_empty() {
            self.beyond.get_or_insert_default().feed(rest);
        }
    }

    /// The present text is complete.
    pub fn end_text(&mut self) {
        let end = self.bytes.len();
        if self.ends.last().map_or(0, |&last| last as usize) < end {
            // It fits: a transcript is no longer than a u32 says.
            self.ends.push(u32::try_from(end).unwrap_or(u32::MAX));
        }
    }

    /// Bytes that it takes.
    pub fn weight(&self) -> usize {
        self.bytes.len() + END_BYTES * self.ends.len()
    }

    /// Whether some of it is estimated.
    pub fn is_cut(&self) -> bool {
        self.beyond.is_some()
    }

    /// Its tokens. A text that was not ended is one all the same.
    pub fn count(&self) -> u64 {
        let mut start = 0;
        let mut sum = 0;
        let last = self.bytes.len();
        for end in self.ends.iter().map(|&end| end as usize).chain([last]) {
            sum += o200k::count(self.bytes.get(start..end).unwrap_or_default());
            start = end;
        }
        sum + self.beyond.map_or(0, |beyond| beyond.tokens())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript(bytes_max: usize, texts: &[&[&str]]) -> Transcript {
        let mut transcript = Transcript::default();
        transcript.begin(bytes_max);
        for text in texts {
            text.iter().for_each(|part| transcript.feed(part.as_bytes()));
            transcript.end_text();
        }
        transcript
    }

    #[test]
    fn each_text_is_counted_for_itself_wherever_its_parts_were_cut() {
        let one = transcript(1_000, &[&["hello wor", "ld"], &[], &["hello world"], &[""]]);
        assert_eq!((one.count(), one.is_cut(), one.weight()), (4, false, 22 + 2 * 4));
        let joined = transcript(1_000, &[&["hello worldhello world"]]);
        assert_eq!(joined.count(), o200k::count(b"hello worldhello world"));
        let mut open = transcript(1_000, &[&["hello world"]]);
        open.feed(b"hello world");
        assert_eq!(open.count(), 4, "the last was not ended");
    }

    #[test]
    fn what_does_not_fit_is_estimated_and_nothing_comes_behind_it() {
        let text = "hello world and so on";
        let mut estimator = Estimator::default();
        estimator.feed(&text.as_bytes()[11..]);
        let cut = transcript(11, &[&[text]]);
        assert_eq!((cut.count(), cut.is_cut()), (2 + estimator.tokens(), true));
        assert!(!transcript(21, &[&[text]]).is_cut(), "to the last byte");
        estimator.feed(b"x");
        assert_eq!(transcript(11, &[&[text], &["x"]]).count(), 2 + estimator.tokens());
    }

    #[test]
    fn texts_without_number_and_without_length_take_no_more_than_they_may() {
        let mut many = Transcript::default();
        many.begin(1_000);
        for _ in 0..10_000 {
            many.feed(b"x");
            many.end_text();
        }
        assert!(many.weight() <= 1_000 + END_BYTES, "{}", many.weight());
        many.begin(1 << 20);
        many.feed(&vec![b' '; 2 << 20]);
        assert_eq!(many.weight(), 1 << 20);
        many.begin(10);
        assert!(many.bytes.capacity() <= KEPT_BYTES && many.count() == 0);
    }
}
