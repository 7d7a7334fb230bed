//! The only source of chance in a simulation.

use std::cell::Cell;

/// SplitMix64 (Steele, Lea, Flood 2014): one word of state, every seed is a good one.
#[derive(Debug)]
pub struct Prng(Cell<u64>);

impl Prng {
    /// The sequence that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Cell::new(seed))
    }

    /// The next word.
    pub fn word(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 if `bound` is 0.
    pub fn below(&self, bound: u64) -> u64 {
        // The high half of the product; the bias is below 2^-32 for the small bounds used here.
        ((u128::from(self.word()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `1..=most`; 1 if `most` is 0.
    pub fn up_to(&self, most: usize) -> usize {
        1 + self.below(most.max(1) as u64) as usize
    }

    /// True `per_mille` times in a thousand. A chance of nought draws nothing.
    pub fn chance(&self, per_mille: u16) -> bool {
        per_mille > 0 && self.below(1000) < u64::from(per_mille)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_and_are_reached() {
        let prng = Prng::new(7);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[prng.below(5) as usize] = true;
            assert!((1..=3).contains(&prng.up_to(3)));
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(prng.below(0), 0);
        assert_eq!(prng.up_to(0), 1);
    }

    #[test]
    fn chances_are_kept() {
        let prng = Prng::new(1);
        assert!((0..100).all(|_| prng.chance(1000)));
        assert!((0..100).all(|_| !prng.chance(0)));
        let hits = (0..10_000).filter(|_| prng.chance(250)).count();
        assert!((2_200..2_800).contains(&hits), "{hits}");
    }
}
