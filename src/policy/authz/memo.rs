//! Verdicts that depend on names alone, kept for a principal. Bounded: the oldest of a slot makes room.

use super::index::Kind;

/// A verdict that was worked out from names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// What it is.
    pub outcome: Outcome,
    /// The deciding rule, or [`NO_RULE`].
    pub rule: u32,
    /// The rule in report mode that would decide otherwise, or [`NO_RULE`].
    pub reported: u32,
}

/// The number of no rule.
pub const NO_RULE: u32 = u32::MAX;

/// What a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Allowed.
    Allow,
    /// Denied.
    Deny,
    /// Allowed with the scopes of `rule`.
    NeedsScope,
    /// Depends on the request.
    Conditional,
}

impl Settled {
    /// It depends on the request.
    pub const CONDITIONAL: Self = Self { outcome: Outcome::Conditional, rule: NO_RULE, reported: NO_RULE };
}

/// The verdicts.
#[derive(Debug, Default)]
pub struct Memo {
    /// By number of server and subject. The length is 0 or a power of two.
    slots: Vec<Slot>,
    used: usize,
    /// By server and name, for names that rules have only patterns for.
    names: Vec<Option<Named>>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Server and subject; `FREE` for none.
    key: u64,
    settled: Settled,
}

#[derive(Debug)]
struct Named {
    server: u16,
    kind: Kind,
    name: Box<str>,
    settled: Settled,
}

/// No server has this number.
const FREE: u64 = u64::MAX;
const FREE_SLOT: Slot = Slot { key: FREE, settled: Settled::CONDITIONAL };
/// Verdicts that a memo begins with room for.
const SLOTS_MIN: usize = 32;
/// Verdicts of numbered subjects that one memo keeps: 24 bytes each, so 384 KiB.
const SLOTS_MAX: usize = 1 << 14;
/// Verdicts of other names that one memo keeps.
const NAMES_MAX: usize = 64;
/// Bytes of a name that is kept.
const NAME_BYTES_MAX: usize = 256;

impl Memo {
    /// The verdict on a numbered subject.
    #[inline]
    pub fn get(&self, server: u16, number: u32) -> Option<Settled> {
        let key = key(server, number);
        let slot = self.slots.get(place(key, self.slots.len()))?;
        (slot.key == key).then_some(slot.settled)
    }

    /// Keeps the verdict on a numbered subject.
    pub fn put(&mut self, server: u16, number: u32, settled: Settled) {
        if self.used * 2 >= self.slots.len() && self.slots.len() < SLOTS_MAX {
            let length = (self.slots.len() * 2).max(SLOTS_MIN);
            let old = std::mem::replace(&mut self.slots, vec![FREE_SLOT; length]);
            self.used = 0;
            old.into_iter().filter(|slot| slot.key != FREE).for_each(|slot| self.seat(slot));
        }
        self.seat(Slot { key: key(server, number), settled });
    }

    fn seat(&mut self, slot: Slot) {
        let at = place(slot.key, self.slots.len());
        self.used += usize::from(self.slots[at].key == FREE);
        self.slots[at] = slot;
    }

    /// The verdict on a name.
    pub fn get_name(&self, server: u16, kind: Kind, name: &str) -> Option<Settled> {
        let named = self.names.get(name_place(name))?.as_ref()?;
        (named.server == server && named.kind == kind && *named.name == *name).then_some(named.settled)
    }

    /// Keeps the verdict on a name, unless it is very long.
    pub fn put_name(&mut self, server: u16, kind: Kind, name: &str, settled: Settled) {
        if name.len() > NAME_BYTES_MAX {
            return;
        }
        if self.names.is_empty() {
            self.names.resize_with(NAMES_MAX, || None);
        }
        self.names[name_place(name)] = Some(Named { server, kind, name: name.into(), settled });
    }
}

fn key(server: u16, number: u32) -> u64 {
    (u64::from(server) << 32) | u64::from(number)
}

/// Numbers follow each other, so the lowest bits spread them well; servers are set apart.
fn place(key: u64, length: usize) -> usize {
    let spread = key ^ (key >> 32).wrapping_mul(0x9e37_79b9);
    spread as usize & length.wrapping_sub(1)
}

/// Names that differ only in the middle share a place, which costs time and nothing else.
fn name_place(name: &str) -> usize {
    let ends = name.bytes().take(24).chain(name.bytes().rev().take(24));
    let sum = ends.fold(name.len(), |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
    (sum ^ (sum >> 7)) % NAMES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(rule: u32) -> Settled {
        Settled { outcome: Outcome::Allow, rule, reported: NO_RULE }
    }

    #[test]
    fn what_is_found_is_what_was_put_and_memory_has_a_bound() {
        let mut memo = Memo::default();
        assert_eq!(memo.get(0, 0), None);
        for number in 0..100_000 {
            memo.put(3, number, rule(number));
            assert_eq!(memo.get(3, number), Some(rule(number)));
            assert_eq!(memo.get(4, number), None);
        }
        assert_eq!(memo.slots.len(), SLOTS_MAX);
        let kept = (0..100_000).filter(|&number| memo.get(3, number).is_some()).count();
        assert_eq!(kept, SLOTS_MAX);
        assert!((0..100_000).all(|number| memo.get(3, number).is_none_or(|found| found == rule(number))));
        memo.put(0, u32::MAX, rule(1));
        memo.put(u16::MAX, u32::MAX - 1, rule(2));
        assert_eq!((memo.get(0, u32::MAX), memo.get(u16::MAX, u32::MAX - 1)), (Some(rule(1)), Some(rule(2))));
    }

    #[test]
    fn names_are_told_apart_by_all_that_they_are() {
        let mut memo = Memo::default();
        let (middle_a, middle_b) = (format!("{:a<60}", "x"), format!("{:a<29}b{:a<30}", "x", ""));
        memo.put_name(1, Kind::Tool, &middle_a, rule(1));
        assert_eq!(memo.get_name(1, Kind::Tool, &middle_a), Some(rule(1)));
        assert_eq!(memo.get_name(2, Kind::Tool, &middle_a), None);
        assert_eq!(memo.get_name(1, Kind::Prompt, &middle_a), None);
        assert_eq!(memo.get_name(1, Kind::Tool, &middle_b), None);
        let (most, more) = ("n".repeat(NAME_BYTES_MAX), "n".repeat(NAME_BYTES_MAX + 1));
        memo.put_name(1, Kind::Tool, &more, rule(2));
        memo.put_name(1, Kind::Tool, &most, rule(2));
        assert_eq!(memo.get_name(1, Kind::Tool, &most), Some(rule(2)));
        assert_eq!(memo.get_name(1, Kind::Tool, &more), None);
    }
}
