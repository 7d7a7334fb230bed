//! What an exchange took, so that it can be given back or charged at its end.

use super::BucketKey;
use super::limit::Unit;
use crate::base::Ticks;

/// What an exchange took. It must come to [`super::Limits::settle`] whatever becomes of the exchange: what is held
/// would be held for ever.
#[derive(Clone, Debug, Default)]
#[must_use = "settle it"]
pub struct Ticket {
    /// The first ones; most exchanges have no more.
    inline: [Item; INLINE],
    len: u8,
    more: Vec<Item>,
    /// Index of the price of the call; [`NO_PRICE`].
    pub(super) price: u16,
    /// The units that are known only at the end and are wanted for this exchange.
    pub(super) wants: Wants,
    /// When it took the first.
    pub(super) since: Ticks,
}

/// What an exchange's end must tell, as some limit counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// [`super::Outcome::bytes`].
    pub bytes: bool,
    /// [`super::Outcome::tokens`].
    pub tokens: bool,
}

/// One bucket that an exchange concerns.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    pub(super) key: BucketKey,
    /// When a unit was taken.
    pub(super) drawn: Ticks,
    pub(super) limit: u16,
    pub(super) plan: u8,
    pub(super) window: u8,
    /// The window of the calendar.
    pub(super) index: u32,
    pub(super) state: State,
}

/// What was taken of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    Nothing,
    /// A unit, which is spent.
    Spent,
    /// A unit, which is held until the end.
    Held,
    /// What will be known at the end.
    Later,
}

/// Items without memory of their own.
const INLINE: usize = 8;
/// There is no price.
pub(super) const NO_PRICE: u16 = u16::MAX;

impl Default for Item {
    fn default() -> Self {
        Self {
            key: BucketKey(0),
            drawn: Ticks::default(),
            limit: 0,
            plan: 0,
            window: 0,
            index: 0,
            state: State::Nothing,
        }
    }
}

impl Ticket {
    /// Whether a unit of this bucket was taken for this limit.
    pub(super) fn has(&self, limit: u16, key: BucketKey) -> bool {
        self.items(0).any(|item| item.limit == limit && item.key == key)
    }

    /// Nothing taken.
    pub fn new() -> Self {
        Self { price: NO_PRICE, ..Self::default() }
    }

    /// Whether nothing was taken, so that there is nothing to settle.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What its end must tell.
    pub fn wants(&self) -> Wants {
        self.wants
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.len) + self.more.len()
    }

    #[inline]
    pub(super) fn push(&mut self, item: Item, unit: Unit) {
        if self.is_empty() {
            self.since = item.drawn;
        }
        match self.inline.get_mut(usize::from(self.len)) {
            Some(place) => {
                *place = item;
                self.len += 1;
            }
            None => self.more.push(item),
        }
        match unit {
            Unit::Bytes => self.wants.bytes = true,
            Unit::Tokens => self.wants.tokens = true,
            Unit::Requests | Unit::Calls | Unit::Cost | Unit::InFlight => {}
        }
    }

    /// The items from this one on.
    #[inline]
    pub(super) fn items(&self, from: usize) -> impl Iterator<Item = &Item> {
        self.inline.iter().take(usize::from(self.len)).chain(&self.more).skip(from)
    }

    /// Forgets the items from this one on.
    pub(super) fn truncate(&mut self, len: usize) {
        self.more.truncate(len.saturating_sub(INLINE));
        self.len = self.len.min(u8::try_from(len).unwrap_or(u8::MAX));
    }
}
