//! Budgets that run out: which marks an operator is told of, and that one mark is told once.

use std::collections::HashMap;
use std::time::Duration;

use super::limit::Window;
use super::{BucketKey, Fill};
use crate::base::Ticks;

/// The percentages of a bucket at whose use the operator is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks([u8; MARKS_MAX]);

/// Marks of one limit.
pub const MARKS_MAX: usize = 4;

impl Marks {
    /// 80 % and 100 %.
    pub const USUAL: Self = Self([80, 100, 0, 0]);

    /// These, each from 1 to 100. More than [`MARKS_MAX`] are left out.
    pub fn of(percents: impl IntoIterator<Item = u8>) -> Self {
        let mut marks = Self::default();
        for (place, percent) in marks.0.iter_mut().zip(percents) {
            *place = percent.min(100);
        }
        marks
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// The percentages.
    pub fn percents(self) -> impl Iterator<Item = u8> {
        self.each().map(|(percent, _)| percent)
    }

    fn each(self) -> impl Iterator<Item = (u8, u8)> {
        self.0.into_iter().zip(0_u8..).filter(|(percent, _)| *percent > 0)
    }
}

/// A budget that is used up so far, for the operator. Whoever was charged when it was noted has used the last of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Index of the limit.
    pub limit: u16,
    /// The bucket.
    pub key: BucketKey,
    /// How much of it is used, in percent.
    pub percent: u8,
}

/// The alerts of one core.
#[derive(Debug)]
pub struct Alerts {
    waiting: Vec<Alert>,
    lost: u64,
    /// Buckets that come back evenly, and what was told of them.
    told: HashMap<u128, Told>,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    /// A bit for each mark.
    marks: u8,
    /// When the bucket is full again if nobody uses it.
    full: Ticks,
}

/// Alerts that wait to be taken.
const WAITING_MAX: usize = 64;
/// Buckets of which is known what was told.
const TOLD_MAX: usize = 1_024;
/// Smaller buckets give no alerts: their refusals are seen as they are.
const CAPACITY_LEAST: u64 = 10;
/// A mark is told again once this part of the bucket more than at the mark was there. Use that hovers at a mark is told
/// once.
const REARMED_BY: u64 = 10;

impl Alerts {
    /// None yet.
    pub fn new() -> Self {
        Self { waiting: Vec::with_capacity(WAITING_MAX), lost: 0, told: HashMap::new() }
    }

    /// Hands out what was noted, and says how many there were beyond what is kept.
    pub fn take(&mut self, each: impl FnMut(Alert)) -> u64 {
        self.waiting.drain(..).for_each(each);
        std::mem::take(&mut self.lost)
    }

    /// Notes each mark of the window that lies between what was there `before` and what is there `after`.
    pub fn note(&mut self, limit: u16, key: BucketKey, window: &Window, before: i64, after: i64, now: Ticks) {
        let capacity = window.fill.capacity();
        if capacity < CAPACITY_LEAST {
            return;
        }
        self.rearm(key, window, capacity, before, now);
        for (percent, place) in window.alerts.each() {
            let mark = mark(capacity, percent);
            if before > mark && after <= mark && self.is_news(key, window, place, after, now) {
                self.push(Alert { limit, key, percent });
            }
        }
    }

    /// Forgets that marks were told of a bucket that has recovered from them.
    fn rearm(&mut self, key: BucketKey, window: &Window, capacity: u64, before: i64, now: Ticks) {
        if self.told.is_empty() {
            return;
        }
        let Some(told) = self.told.get_mut(&key.0) else { return };
        let margin = signed(capacity / REARMED_BY);
        for (percent, place) in window.alerts.each() {
            if told.full <= now || before > mark(capacity, percent).saturating_add(margin) {
                told.marks &= !(1 << place);
            }
        }
    }

    /// Whether the mark was not told of before. A quota of the calendar passes each mark once by itself.
    fn is_news(&mut self, key: BucketKey, window: &Window, place: u8, after: i64, now: Ticks) -> bool {
        let Fill::Steady { count, per, burst } = window.fill else { return true };
        if self.told.len() >= TOLD_MAX && !self.told.contains_key(&key.0) {
            self.told.retain(|_, told| told.full > now);
            if self.told.len() >= TOLD_MAX {
                // Whether it was told is not known: better once too seldom than each time.
                self.lost += 1;
                return false;
            }
        }
        let missing = u128::from(signed(burst.get()).saturating_sub(after).unsigned_abs());
        let nanos = missing.saturating_mul(per.as_nanos()) / u128::from(count.get());
        let full = now + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let told = self.told.entry(key.0).or_insert(Told { marks: 0, full });
        told.full = told.full.max(full);
        let is_news = told.marks & 1 << place == 0;
        told.marks |= 1 << place;
        is_news
    }

    fn push(&mut self, alert: Alert) {
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push(alert);
        } else {
            self.lost += 1;
        }
    }
}

/// What is left of a bucket of which so much is used.
fn mark(capacity: u64, percent: u8) -> i64 {
    let left = u128::from(capacity) * u128::from(100_u8.saturating_sub(percent)) / 100;
    i64::try_from(left).unwrap_or(i64::MAX)
}

fn signed(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}
