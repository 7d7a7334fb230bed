//! Where buckets live: one table of slots, made once.
//!
//! A key may live in 32 slots, in an order of its own: four groups of eight, each group two lines of cache. Half of
//! the slots at most are meant to be taken, so that nearly every key lives in its first group, most in its first slot.
//! A slot that was used once never looks unused again; and a key takes the first free slot of its order. So where a
//! search meets an unused slot, the key is not beyond.
//!
//! # Claiming a slot
//!
//! Two cores may meet a new key at once, and see different slots free, since others come and go. Two buckets of one
//! key would admit twice. So:
//!
//! 1. A core that finds neither a bucket nor a claim of the key writes a *claim* into the first free slot. No two
//!    claims are ever equal: each has a number.
//! 2. Whoever sees a claim looks **after that** at all other slots of the key. It removes claims in later slots; at a
//!    claim in an earlier slot, or a bucket, it begins again with that one.
//! 3. If there was nothing else, it makes the claim a bucket, whoever's claim it was, and books its own business with
//!    the same stroke. A claim that was removed meanwhile cannot become a bucket, since no other equals it.
//!
//! There are never two buckets of a key: let claim A be written before claim B, and both become buckets. Whoever made
//! B a bucket looked at A's slot after B was written, so after A was; it found no sign of the key, or removed it. From
//! then on A cannot become a bucket; so it had been one before that, and its slot had been free again, which is to say
//! that the bucket was full: a full bucket equals an absent one. Nobody waits for anybody: a core that stalls amid its
//! claim leaves one that the next finishes or removes. `loom` goes through the interleavings (`mod loom_tests`).

use std::hint::spin_loop;

use super::cell::Cell;
use super::word::{Body, Kind, Word};
use crate::base::Ticks;
use crate::base::ledger::BucketKey;

/// The slots.
pub(super) struct Table {
    groups: Box<[Group]>,
}

/// Slots that are looked at together: two lines, which CPUs like to fetch in pairs.
#[repr(align(128))]
struct Group([Cell; SLOTS]);

/// Where a key may live.
struct Place {
    owner: u64,
    first: usize,
    step: usize,
    turn: usize,
}

/// What a search found.
enum Found {
    Bucket(usize, Word),
    /// No bucket, but a claim for one; the earliest.
    Claim(usize, Word),
    /// Neither; the first slot that is free, if any is.
    Nothing(Option<(usize, Word)>),
}

impl Table {
    /// Room for `keys` at a load of a half. What is not used is not touched.
    pub(super) fn new(keys: usize) -> Self {
        let groups = keys.saturating_mul(2).div_ceil(SLOTS).max(CHOICES);
        Self { groups: allocate(groups) }
    }

    /// Bytes of address space.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.groups)
    }

    /// How many buckets are not full. Looks at every slot.
    pub(super) fn live(&self, now: Ticks) -> usize {
        let slots = self.groups.iter().flat_map(|group| &group.0);
        slots.filter(|slot| !Word(slot.load()).is_free(now)).count()
    }

    /// Runs `act` on the bucket of `key`, a full one if there is none, and keeps what it makes of it, if anything;
    /// it may run several times, and the last counts. `None` if there was no room.
    ///
    /// `number` gives numbers that no other core gives.
    #[inline]
    pub(super) fn apply<T>(
        &self,
        key: BucketKey,
        kind: Kind,
        now: Ticks,
        number: impl FnMut() -> u64,
        mut act: impl FnMut(Body) -> (Option<Body>, T),
    ) -> Option<T> {
        let place = self.place(key, kind);
        if let Found::Bucket(at, word) = self.search(&place, now)
            && let Some(done) = self.change(&place, at, word, &mut act)
        {
            return Some(done);
        }
        self.apply_slowly(&place, now, number, act)
    }

    #[cold]
    #[inline(never)]
    fn apply_slowly<T>(
        &self,
        place: &Place,
        now: Ticks,
        mut number: impl FnMut() -> u64,
        mut act: impl FnMut(Body) -> (Option<Body>, T),
    ) -> Option<T> {
        let mut mine = None;
        let mut done = None;
        for _ in 0..ROUNDS {
            let (at, claim) = match self.search(place, now) {
                Found::Bucket(at, word) => {
                    done = self.change(place, at, word, &mut act);
                    if done.is_some() {
                        break;
                    }
                    continue;
                }
                Found::Claim(at, claim) => (at, claim),
                Found::Nothing(free) => {
                    let (next, answer) = act(Body::default());
                    if next.is_none() {
                        done = Some(answer);
                        break;
                    }
                    let (at, word) = free?;
                    let claim = Word::claim(place.owner, number());
                    if self.slot(place, at).swap(word.0, claim.0).is_err() {
                        continue;
                    }
                    mine = Some((at, claim));
                    (at, claim)
                }
            };
            done = self.found(place, at, claim, &mut act);
            if done.is_some() {
                break;
            }
        }
        if let Some((at, claim)) = mine {
            // Fails if it became a bucket or was removed, which is as well.
            let _ = self.slot(place, at).swap(claim.0, Word::VACANT.0);
        }
        done
    }

    /// Makes a claim a bucket, as `act` wants it. `None` if it was not the only one.
    fn found<T>(
        &self,
        place: &Place,
        at: usize,
        claim: Word,
        act: &mut impl FnMut(Body) -> (Option<Body>, T),
    ) -> Option<T> {
        let (next, answer) = act(Body::default());
        let Some(next) = next else { return Some(answer) };
        for other in (0..POSITIONS).filter(|&other| other != at) {
            let word = Word(self.slot(place, other).load());
            if word == Word::UNUSED {
                break;
            }
            if !word.is_of(place.owner) {
                continue;
            }
            if !word.is_claim() || other < at {
                return None;
            }
            self.slot(place, other).swap(word.0, Word::VACANT.0).ok()?;
        }
        let bucket = Word::bucket(place.owner, next);
        self.slot(place, at).swap(claim.0, bucket.0).ok().map(|()| answer)
    }

    /// Books on a bucket. `None` if the slot is not its any more.
    #[inline]
    fn change<T>(
        &self,
        place: &Place,
        at: usize,
        mut word: Word,
        act: &mut impl FnMut(Body) -> (Option<Body>, T),
    ) -> Option<T> {
        loop {
            let (next, answer) = act(word.body());
            let Some(next) = next else { return Some(answer) };
            match self.slot(place, at).swap(word.0, Word::bucket(place.owner, next).0) {
                Ok(()) => return Some(answer),
                Err(seen) => word = Word(seen),
            }
            if !word.is_of(place.owner) || word.is_claim() {
                return None;
            }
            spin_loop();
        }
    }

    #[inline]
    fn search(&self, place: &Place, now: Ticks) -> Found {
        let mut claim = None;
        let mut free = None;
        for at in 0..POSITIONS {
            let word = Word(self.slot(place, at).load());
            if word.is_of(place.owner) {
                if !word.is_claim() {
                    return Found::Bucket(at, word);
                }
                claim = claim.or(Some((at, word)));
            } else if free.is_none() && word.is_free(now) {
                free = Some((at, word));
            }
            if word == Word::UNUSED {
                break;
            }
        }
        match claim {
            Some((at, word)) => Found::Claim(at, word),
            None => Found::Nothing(free),
        }
    }

    /// The slots are chosen by one half of the key and told apart by the other.
    #[inline]
    fn place(&self, BucketKey(key): BucketKey, kind: Kind) -> Place {
        let (high, low) = ((key >> 64) as u64, key as u64);
        let spread = (high ^ low.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let (first, rest) = share(spread, self.groups.len());
        // So that even four steps do not come round to the first.
        let (step, _) = share(rest.wrapping_mul(0xD6E8_FEB8_6659_FD93), self.groups.len() / CHOICES);
        Place { owner: Word::owner(low >> 3, kind), first, step: step + 1, turn: low as usize }
    }

    #[inline]
    fn slot(&self, place: &Place, at: usize) -> &Cell {
        let mut group = place.first + at / SLOTS * place.step;
        if group >= self.groups.len() {
            group -= self.groups.len();
        }
        &self.groups[group].0[place.turn.wrapping_add(at) % SLOTS]
    }
}

/// A number below `parts` by the upper bits of `spread`, and the bits that were not used up.
#[inline]
fn share(spread: u64, parts: usize) -> (usize, u64) {
    let product = u128::from(spread) * parts as u128;
    ((product >> 64) as usize, product as u64)
}

#[cfg(not(loom))]
fn allocate(count: usize) -> Box<[Group]> {
    use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
    let Ok(layout) = Layout::array::<Group>(count) else {
        panic!("a ledger of {count} groups is larger than memory can be");
    };
    // SAFETY: `count` is at least `CHOICES`, so the layout is not empty.
    let memory = unsafe { alloc_zeroed(layout) };
    if memory.is_null() {
        handle_alloc_error(layout);
    }
    // SAFETY: the memory has the layout of a slice of `count` groups, and its zeros are a valid `Group`: cells are
    // transparent over `AtomicU128`, which has the representation of `u128`. The box frees it with the same layout.
    unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(memory.cast::<Group>(), count)) }
}

#[cfg(loom)]
fn allocate(count: usize) -> Box<[Group]> {
    (0..count).map(|_| Group(std::array::from_fn(|_| Cell::new()))).collect()
}

/// Slots of a group.
const SLOTS: usize = if cfg!(loom) { 3 } else { 8 };
/// Groups in which a key may live.
const CHOICES: usize = if cfg!(loom) { 1 } else { 4 };
const POSITIONS: usize = SLOTS * CHOICES;
/// A new key has as many tries; each that fails has seen another core get on with the same slots.
const ROUNDS: usize = 64;
