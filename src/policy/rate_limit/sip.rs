//! SipHash-1-3 with 128 bits of output, over 64-bit words. Whoever does not know the key cannot make two values meet.

/// The key: of one process, and the same on all its cores.
#[derive(Clone, Copy, Default)]
pub struct Secret {
    low: u64,
    high: u64,
}

impl Secret {
    /// Of this process alone. `None` if the system has no randomness to give.
    pub fn random() -> Option<Self> {
        let mut bytes = [0; 16];
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes).ok()?;
        Some(Self::new(bytes))
    }

    /// A keyed hash of bytes: who does not know the key can neither make nor check one.
    pub fn seal(&self, parts: &[&[u8]]) -> u64 {
        let mut sip = Sip::new(self);
        parts.iter().for_each(|part| sip.bytes(part));
        low(sip.finish())
    }

    /// From 16 bytes that nobody can guess.
    pub fn new(bytes: [u8; 16]) -> Self {
        let all = u128::from_le_bytes(bytes);
        Self { low: low(all), high: high(all) }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Keyed hash of these parts, each with its length.
pub fn hash(secret: &Secret, parts: &[&[u8]]) -> u64 {
    let mut sip = Sip::new(secret);
    parts.iter().for_each(|part| sip.bytes(part));
    low(sip.finish())
}

/// What was hashed so far.
#[derive(Clone, Copy)]
pub struct Sip {
    v: [u64; 4],
}

impl Sip {
    /// Nothing yet.
    #[inline]
    pub fn new(secret: &Secret) -> Self {
        let Secret { low, high } = *secret;
        // The constants of SipHash; the last bits of the second say that 128 bits are wanted.
        Self {
            v: [
                low ^ 0x736f_6d65_7073_6575,
                high ^ 0x646f_7261_6e64_6f6d ^ 0xee,
                low ^ 0x6c79_6765_6e65_7261,
                high ^ 0x7465_6462_7974_6573,
            ],
        }
    }

    /// One word more.
    #[inline]
    pub fn word(&mut self, word: u64) {
        self.v[3] ^= word;
        self.round();
        self.v[0] ^= word;
    }

    /// A hash more.
    #[inline]
    pub fn hash(&mut self, hash: u128) {
        self.word(low(hash));
        self.word(high(hash));
    }

    /// Bytes more, with their number in front, so that no two sequences of texts are the same words.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(last));
        }
    }

    /// The hash of all.
    #[inline]
    pub fn finish(mut self) -> u128 {
        self.v[2] ^= 0xee;
        let first = self.three_rounds();
        self.v[1] ^= 0xdd;
        let second = self.three_rounds();
        u128::from(first) | u128::from(second) << 64
    }

    #[inline]
    fn three_rounds(&mut self) -> u64 {
        self.round();
        self.round();
        self.round();
        self.v[0] ^ self.v[1] ^ self.v[2] ^ self.v[3]
    }

    #[inline]
    fn round(&mut self) {
        let [a, b, c, d] = &mut self.v;
        *a = a.wrapping_add(*b);
        *c = c.wrapping_add(*d);
        *b = b.rotate_left(13) ^ *a;
        *d = d.rotate_left(16) ^ *c;
        *a = a.rotate_left(32);
        *c = c.wrapping_add(*b);
        *a = a.wrapping_add(*d);
        *b = b.rotate_left(17) ^ *c;
        *d = d.rotate_left(21) ^ *a;
        *c = c.rotate_left(32);
    }
}

fn low(all: u128) -> u64 {
    u64::try_from(all & u128::from(u64::MAX)).unwrap_or(0)
}

fn high(all: u128) -> u64 {
    low(all >> 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn of(secret: &Secret, parts: &[&[u8]]) -> u128 {
        let mut sip = Sip::new(secret);
        parts.iter().for_each(|part| sip.bytes(part));
        sip.finish()
    }

    #[test]
    fn parts_are_kept_apart_and_keys_matter() {
        let secret = Secret::new(*b"0123456789abcdef");
        let all: [&[&[u8]]; 8] = [
            &[],
            &[b""],
            &[b"", b""],
            &[b"ab", b"c"],
            &[b"a", b"bc"],
            &[b"abc"],
            &[b"abc\0"],
            &[b"abcdefgh", b"i"],
        ];
        let hashes: HashSet<u128> = all.iter().map(|parts| of(&secret, parts)).collect();
        assert_eq!(hashes.len(), all.len());
        let other = Secret::new(*b"0123456789abcdeg");
        assert!(all.iter().all(|parts| of(&other, parts) != of(&secret, parts)));
        assert_eq!(format!("{secret:?}"), "***");
    }

    #[test]
    fn each_bit_of_the_input_changes_about_half_of_the_output() {
        let secret = Secret::new([7; 16]);
        let base = of(&secret, &[&[0; 24]]);
        for bit in 0..24 * 8 {
            let mut bytes = [0_u8; 24];
            bytes[bit / 8] = 1 << (bit % 8);
            let changed = (of(&secret, &[&bytes]) ^ base).count_ones();
            assert!((32..=96).contains(&changed), "{bit}: {changed}");
        }
    }
}
