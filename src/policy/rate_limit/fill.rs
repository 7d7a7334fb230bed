//! How a bucket fills, and which window of the calendar a moment is in.

use std::num::NonZeroU64;
use std::time::Duration;

use super::Refill;

/// How the buckets of a limit fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Evenly.
    Steady {
        /// Units.
        count: NonZeroU64,
        /// In this time.
        per: Duration,
        /// The most that is ever there.
        burst: NonZeroU64,
    },
    /// All at once at the beginning of each period.
    Calendar {
        /// Units of a period.
        count: NonZeroU64,
        /// The period.
        period: Period,
        /// Seconds from the beginning of a day (UTC) to the moment when periods begin; less than 0: on the day before.
        begins: i32,
    },
    /// When they are given back.
    Held {
        /// The most that are out.
        count: NonZeroU64,
    },
}

/// Longer than the longest period.
const SPAN_MAX: Duration = Duration::from_secs(60 * 24 * 60 * 60);

/// A period of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week, which begins on Monday.
    Week,
    /// A month.
    Month,
}

impl Fill {
    /// The most that can be there at once.
    pub fn capacity(&self) -> u64 {
        match self {
            Self::Steady { burst, .. } => burst.get(),
            Self::Calendar { count, .. } | Self::Held { count } => count.get(),
        }
    }

    /// How long a bucket is in use for one unit that was taken of it.
    pub fn unit_time(&self) -> Duration {
        match *self {
            Self::Steady { count, per, .. } => {
                let nanos = per.as_nanos() / u128::from(count.get());
                Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX).max(1))
            }
            Self::Calendar { .. } | Self::Held { .. } => self.span(),
        }
    }

    /// How long a bucket is in use at the most, once nothing more is taken of it.
    pub fn span(&self) -> Duration {
        match *self {
            Self::Steady { count, per, burst } => {
                let nanos = per.as_nanos().saturating_mul(burst.get().into()) / u128::from(count.get());
                Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).min(SPAN_MAX)
            }
            Self::Calendar { period, .. } => period.usual(),
            Self::Held { .. } => Duration::ZERO,
        }
    }

    /// As the ledger wants it, at this moment (seconds since 1970, UTC).
    #[inline]
    pub fn refill(&self, wall: u64) -> Refill {
        match *self {
            Self::Steady { count, per, burst } => Refill::Steady { count, per, burst },
            Self::Held { count } => Refill::Held { count },
            Self::Calendar { count, period, begins } => {
                let (index, left) = period.at(wall, begins);
                Refill::Window { count, index, left: Duration::from_secs(left) }
            }
        }
    }

    /// The time in which [`Fill::capacity`] or, if steady, the count comes; `None` for what is held.
    pub fn window(&self) -> Option<Duration> {
        match self {
            Self::Steady { per, .. } => Some(*per),
            Self::Calendar { period, .. } => Some(period.usual()),
            Self::Held { .. } => None,
        }
    }

    /// How long it takes from `available` units to one; zero if one is there.
    pub fn wait(&self, available: i64, wall: u64) -> Duration {
        if available > 0 {
            return Duration::ZERO;
        }
        match *self {
            Self::Steady { count, per, .. } => {
                let missing = 1 + u128::from(available.unsigned_abs());
                let nanos = missing.saturating_mul(per.as_nanos()).div_ceil(u128::from(count.get()));
                Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            }
            Self::Calendar { period, begins, .. } => Duration::from_secs(period.at(wall, begins).1),
            Self::Held { .. } => HELD_WAIT,
        }
    }
}

/// What a caller is told to wait for something that others hold: nobody knows how long they will.
pub const HELD_WAIT: Duration = Duration::from_secs(1);

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;
/// 1970-01-01 was a Thursday: days since the Monday before.
const THURSDAY: i64 = 3;

impl Period {
    /// Its name in rates.
    pub fn label(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// Its length; of a month, the usual one.
    pub fn usual(self) -> Duration {
        let seconds = match self {
            Self::Hour => HOUR,
            Self::Day => DAY,
            Self::Week => WEEK,
            Self::Month => 30 * DAY,
        };
        Duration::from_secs(seconds.unsigned_abs())
    }

    /// The number of the period that this moment is in, and the seconds to its end.
    pub fn at(self, wall: u64, begins: i32) -> (u32, u64) {
        let local = i64::try_from(wall).unwrap_or(i64::MAX / 2).min(SECONDS_MAX) - i64::from(begins);
        let even = |length: i64, shift: i64| {
            let at = local + shift;
            (at.div_euclid(length), length - at.rem_euclid(length))
        };
        let (index, left) = match self {
            Self::Hour => even(HOUR, 0),
            Self::Day => even(DAY, 0),
            Self::Week => even(WEEK, THURSDAY * DAY),
            Self::Month => {
                let day = local.div_euclid(DAY);
                let (year, month) = month_of(day);
                let next = if month == 12 { first_day(year + 1, 1) } else { first_day(year, month + 1) };
                (year * 12 + month - 1, next * DAY - local)
            }
        };
        // Numbers begin with 1: a moment before 1970 has none below.
        (u32::try_from(index + 1).unwrap_or(0), left.unsigned_abs())
    }
}

/// The end of the year 9999.
const SECONDS_MAX: i64 = 253_402_300_799;

/// Year and month (from 1) of a day since 1970, in the Gregorian calendar; days from civil by eras of 400 years.
fn month_of(day: i64) -> (i64, i64) {
    // Years that begin with March have the leap day at their end.
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year + era * 400 + later, month)
}

/// The first day of a month, in days since 1970.
fn first_day(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_have_their_lengths() {
        for (wall, year, month, length) in [
            (0, 1970, 1, 31),
            (951_782_400, 2000, 2, 29),   // 2000-02-29
            (4_107_456_000, 2100, 2, 28), // 2100-02-28
            (1_709_164_800, 2024, 2, 29), // 2024-02-29
            (1_735_603_200, 2024, 12, 31),
            (1_746_057_600, 2025, 5, 31), // 2025-05-01
        ] {
            let day = wall / DAY;
            assert_eq!(month_of(day), (year, month), "{wall}");
            let next = if month == 12 { first_day(year + 1, 1) } else { first_day(year, month + 1) };
            assert_eq!(next - first_day(year, month), length, "{wall}");
        }
    }

    #[test]
    fn each_day_follows_the_one_before_in_the_same_or_the_next_month() {
        let mut before = month_of(-1);
        let mut first = 0;
        for day in 0..60_000 {
            let now = month_of(day);
            if now != before {
                let expected = if before.1 == 12 { (before.0 + 1, 1) } else { (before.0, before.1 + 1) };
                assert_eq!(now, expected);
                assert_eq!(first_day(now.0, now.1), day);
                assert!(day == 0 || (28..=31).contains(&(day - first)));
                first = day;
            }
            before = now;
        }
    }

    #[test]
    fn windows_end_where_the_next_begins() {
        let zones = [0, -2 * 3_600, 5 * 3_600 + 1_800, 86_399, -86_399];
        for period in [Period::Hour, Period::Day, Period::Week, Period::Month] {
            for begins in zones {
                let mut wall = 1_709_164_800;
                for _ in 0..40 {
                    let (index, left) = period.at(wall, begins);
                    assert_eq!(period.at(wall + left - 1, begins).0, index, "{period:?} {begins}");
                    assert_eq!(period.at(wall + left, begins).0, index + 1, "{period:?} {begins}");
                    assert!(left > 0);
                    wall += left;
                }
            }
        }
        // 2024-02-29 23:30 UTC is 2024-03-01 01:30 at +02:00, where the day began at 22:00 UTC.
        let late = 1_709_164_800 + 23 * 3_600 + 1_800;
        assert_eq!(Period::Month.at(late, 0).1, 1_800);
        assert_eq!(Period::Month.at(late, -2 * 3_600).1, 31 * 86_400 - 5_400);
        assert_eq!(Period::Day.at(late, -2 * 3_600).1, 86_400 - 5_400);
        // 2026-01-05 was a Monday.
        assert_eq!(Period::Week.at(1_767_571_200, 0).1, 7 * 86_400);
    }

    #[test]
    fn far_moments_do_no_harm() {
        for period in [Period::Hour, Period::Day, Period::Week, Period::Month] {
            for wall in [0, u64::MAX] {
                for begins in [i32::MIN, 0, i32::MAX] {
                    let _ = period.at(wall, begins);
                }
            }
        }
        let (one, most) = (NonZeroU64::MIN, NonZeroU64::MAX);
        let slow = Fill::Steady { count: one, per: Duration::MAX, burst: most };
        assert_eq!(slow.wait(i64::MIN, 0), Duration::from_nanos(u64::MAX));
    }
}
