//! Where two pieces of a stream meet: what is cut in two there is seen all the same.

/// The last `N` bytes of a stream that comes in pieces, one less than the longest thing that is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Seam<const N: usize> {
    kept: [u8; N],
    len: u8,
}

/// The most that a seam may keep.
const N_MAX: usize = 32;

impl<const N: usize> Seam<N> {
    /// At the start of a stream, as if `before` had come; of it no more than `N` bytes count.
    pub fn new(before: &[u8]) -> Self {
        const { assert!(N <= N_MAX) };
        let mut seam = Self { kept: [0; N], len: 0 };
        seam.keep(before);
        seam
    }

    /// Shows `see` the next bytes, and before that what stands across the seam. Whether it has found something in either.
    pub fn show(&mut self, bytes: &[u8], mut see: impl FnMut(&[u8]) -> bool) -> bool {
        if bytes.is_empty() {
            return false;
        }
        let mut found = false;
        if self.len > 0 {
            let mut window = [0; 2 * N_MAX];
            let (kept, ahead) = (usize::from(self.len), bytes.len().min(N));
            window[..kept].copy_from_slice(self.end());
            window[kept..kept + ahead].copy_from_slice(&bytes[..ahead]);
            found = see(&window[..kept + ahead]);
        }
        found |= see(bytes);
        self.keep(bytes);
        found
    }

    /// The last bytes that came, at most `N`.
    pub fn end(&self) -> &[u8] {
        &self.kept[..usize::from(self.len)]
    }

    fn keep(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last_chunk() {
            (self.kept, self.len) = (*last, N as u8);
            return;
        }
        let stays = usize::from(self.len).min(N - bytes.len());
        let from = usize::from(self.len) - stays;
        self.kept.copy_within(from..from + stays, 0);
        self.kept[stays..stays + bytes.len()].copy_from_slice(bytes);
        self.len = (stays + bytes.len()) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for_is_found_wherever_it_is_cut() {
        let (text, word) = (b"..needle..need", b"needle");
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let mut seam: Seam<5> = Seam::new(b"");
                let mut found = false;
                for part in [&text[..first], &text[first..second], &text[second..]] {
                    found |= seam.show(part, |bytes| bytes.windows(word.len()).any(|bytes| bytes == word));
                }
                assert!(found, "cut at {first} and {second}");
                assert_eq!(seam.end(), b".need");
            }
        }
    }

    #[test]
    fn what_came_before_counts_and_nothing_is_made_up() {
        let mut seam: Seam<4> = Seam::new(b"\n");
        assert_eq!(seam.end(), b"\n");
        assert!(!seam.show(b"", |_| true), "nothing came");
        assert!(seam.show(b"a", |bytes| bytes == b"\na"));
        assert!(!seam.show(b"bc", |bytes| bytes.contains(&0)), "no bytes but those that came");
        assert_eq!(seam.end(), b"\nabc");
    }
}
