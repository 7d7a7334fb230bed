//! A slot's 128 bits: whose bucket it is, and all of the bucket's state.
//!
//! From the top: 41 bits of tag, 3 of state, 20 of `side`, 64 of `main`. What side and main mean is the business of
//! the bucket's kind; of all zeros they mean a full bucket.

use super::{held, steady, window};
use crate::base::Ticks;
use crate::base::ledger::Refill;

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub u128);

/// The state of a bucket, as its kind reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Body {
    pub main: u64,
    /// 20 bits.
    pub side: u32,
}

/// A bucket's kind. Buckets of different kinds are different buckets, even with the same key: a limit that changes
/// its kind begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Steady = 1,
    Window = 2,
    Held = 3,
}

/// The largest `side`.
pub(super) const SIDE_MAX: u32 = (1 << SIDE_BITS) - 1;

const TAG_BITS: u32 = 41;
const STATE_BITS: u32 = 3;
const SIDE_BITS: u32 = 20;
const MAIN_BITS: u32 = 64;
const _: () = assert!(TAG_BITS + STATE_BITS + SIDE_BITS + MAIN_BITS == 128, "the fields fill the word");

/// Set in the state while the slot is claimed and the bucket does not exist yet.
const CLAIM: u128 = 4;

impl Kind {
    pub(super) fn of(refill: &Refill) -> Self {
        match refill {
            Refill::Steady { .. } => Self::Steady,
            Refill::Window { .. } => Self::Window,
            Refill::Held { .. } => Self::Held,
        }
    }
}

impl Word {
    /// Never used. A slot that was used once never looks so again, so that a search may end here.
    pub(super) const UNUSED: Self = Self(0);
    /// Used once and given back.
    pub(super) const VACANT: Self = Self(1);

    /// Tag and state of the buckets of `key`, as [`Self::is_of`] and the makers want it: `tag` gives its low bits.
    pub(super) fn owner(tag: u64, kind: Kind) -> u64 {
        (tag << (STATE_BITS + SIDE_BITS)) | ((kind as u64) << SIDE_BITS)
    }

    pub(super) fn bucket(owner: u64, body: Body) -> Self {
        Self((u128::from(owner | u64::from(body.side)) << MAIN_BITS) | u128::from(body.main))
    }

    /// A claim that no other claim equals, as long as no two have the same `number`.
    pub(super) fn claim(owner: u64, number: u64) -> Self {
        Self((u128::from(owner) << MAIN_BITS) | (CLAIM << (MAIN_BITS + SIDE_BITS)) | u128::from(number))
    }

    /// Whether it is a bucket of `owner`, or a claim for one.
    #[inline]
    pub(super) fn is_of(self, owner: u64) -> bool {
        const IGNORED: u64 = (1 << SIDE_BITS) - 1 | 1 << (SIDE_BITS + 2);
        ((self.0 >> MAIN_BITS) as u64 ^ owner) & !IGNORED == 0
    }

    #[inline]
    pub(super) fn is_claim(self) -> bool {
        self.0 >> (MAIN_BITS + SIDE_BITS) & CLAIM != 0
    }

    #[inline]
    pub(super) fn body(self) -> Body {
        Body { main: self.0 as u64, side: (self.0 >> MAIN_BITS) as u32 & SIDE_MAX }
    }

    /// Whether nothing is lost if another bucket takes the slot.
    pub(super) fn is_free(self, now: Ticks) -> bool {
        match (self.0 >> (MAIN_BITS + SIDE_BITS)) & 7 {
            0 => true,
            1 => steady::is_full(self.body(), now),
            2 => window::is_over(self.body(), now),
            3 => held::is_full(self.body()),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_again() {
        let owner = Word::owner(u64::MAX, Kind::Window);
        let body = Body { main: 0x0123_4567_89AB_CDEF, side: SIDE_MAX };
        let word = Word::bucket(owner, body);
        assert_eq!((word.body(), word.is_claim(), word.is_of(owner)), (body, false, true));
        let claim = Word::claim(owner, 7);
        assert_eq!((claim.is_claim(), claim.is_of(owner), claim.is_free(Ticks::NEVER)), (true, true, false));
    }

    #[test]
    fn tag_and_kind_tell_buckets_apart() {
        let word = Word::bucket(Word::owner(5, Kind::Steady), Body { main: u64::MAX, side: SIDE_MAX });
        assert!(word.is_of(Word::owner(5, Kind::Steady)));
        assert!(!word.is_of(Word::owner(5, Kind::Window)));
        assert!(!word.is_of(Word::owner(4, Kind::Steady)));
        assert!(!word.is_of(Word::owner(5 | 1 << 40, Kind::Steady)));
        assert!(word.is_of(Word::owner(5 | 1 << 41, Kind::Steady)), "bits beyond the tag do not count");
    }

    #[test]
    fn nobody_owns_what_is_unused_or_vacant() {
        for kind in [Kind::Steady, Kind::Window, Kind::Held] {
            assert!(!Word::UNUSED.is_of(Word::owner(0, kind)));
            assert!(!Word::VACANT.is_of(Word::owner(0, kind)));
        }
        assert!(Word::UNUSED.is_free(Ticks(0)) && Word::VACANT.is_free(Ticks(0)));
    }
}
