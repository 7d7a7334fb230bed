//! Who was refused a moment ago.
//!
//! Only what cost a question to an issuer is kept here, and only for so long that a client which shows the same token
//! again and again is not a flood of questions. A place is a keyed hash of the whole credential: nobody can choose two
//! that share one, and nothing of a credential is kept.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::policy::authn::Refused;

/// Refusals that are remembered in each of two generations. The older is dropped when the younger is full.
pub const GENERATION: usize = 4096;

/// Refusals by the hash of what was shown.
#[derive(Default)]
pub struct Refusals {
    young: RefCell<HashMap<u64, Entry>>,
    old: RefCell<HashMap<u64, Entry>>,
}

#[derive(Clone, Copy)]
struct Entry {
    refused: Refused,
    /// In seconds since 1970 (UTC).
    until: u64,
}

impl Refusals {
    /// Whether there are none, so that nothing need be hashed to look.
    pub fn is_empty(&self) -> bool {
        self.young.borrow().is_empty() && self.old.borrow().is_empty()
    }

    /// How many are kept.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.young.borrow().len() + self.old.borrow().len()
    }

    /// Why what has this hash is refused, if that still counts.
    pub fn find(&self, key: u64, now: u64) -> Option<Refused> {
        let young = self.young.borrow().get(&key).copied();
        let entry = young.or_else(|| self.old.borrow().get(&key).copied())?;
        (entry.until > now).then_some(entry.refused)
    }

    /// Keeps a refusal until then.
    pub fn keep(&self, key: u64, refused: Refused, until: u64) {
        let mut young = self.young.borrow_mut();
        if young.len() >= GENERATION && !young.contains_key(&key) {
            *self.old.borrow_mut() = std::mem::take(&mut *young);
        }
        young.insert(key, Entry { refused, until });
    }
}
