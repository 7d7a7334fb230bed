//! Times of the week at which a rule counts.

/// Days and hours, at a fixed distance from UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Which days, Monday first. A night that began on such a day belongs to it to its end.
    pub days: [bool; 7],
    /// The first second of the day that counts.
    pub from: u32,
    /// The first second that does not count any more; before `from`: on the day after.
    pub to: u32,
    /// Seconds that local time is ahead of UTC.
    pub offset: i32,
}

/// Seconds of a day.
pub const DAY: u32 = 86_400;

impl Schedule {
    /// Whether the moment, in seconds since 1970 (UTC), is one of these times.
    pub fn contains(&self, now: u64) -> bool {
        let local = i64::try_from(now).unwrap_or(i64::MAX).saturating_add(i64::from(self.offset));
        let (day, second) = (local.div_euclid(i64::from(DAY)), local.rem_euclid(i64::from(DAY)));
        let (from, to) = (i64::from(self.from), i64::from(self.to));
        if from < to {
            return self.on(day) && (from..to).contains(&second);
        }
        (self.on(day) && second >= from) || (self.on(day - 1) && second < to)
    }

    /// Whether a day, counted from 1970-01-01, is one of these days. That one was a Thursday.
    fn on(&self, day: i64) -> bool {
        usize::try_from((day + 3).rem_euclid(7)).is_ok_and(|weekday| self.days[weekday])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-05 00:00 UTC, a Monday.
    const MONDAY: u64 = 1_767_571_200;
    const HOUR: u64 = 3_600;

    fn schedule(days: &[usize], from: u32, to: u32, offset: i32) -> Schedule {
        let mut all = [false; 7];
        days.iter().for_each(|&day| all[day] = true);
        Schedule { days: all, from: from * 3_600, to: to * 3_600, offset: offset * 3_600 }
    }

    #[test]
    fn office_hours_end_at_their_last_second() {
        let office = schedule(&[0, 1, 2, 3, 4], 8, 18, 0);
        for (at, expected) in [
            (MONDAY + 8 * HOUR - 1, false),
            (MONDAY + 8 * HOUR, true),
            (MONDAY + 18 * HOUR - 1, true),
            (MONDAY + 18 * HOUR, false),
            (MONDAY + 5 * 24 * HOUR + 9 * HOUR, false),
            (MONDAY - HOUR, false),
        ] {
            assert_eq!(office.contains(at), expected, "{at}");
        }
        let all_day = schedule(&[0], 0, 24, 0);
        assert!(all_day.contains(MONDAY) && all_day.contains(MONDAY + 24 * HOUR - 1));
        assert!(!all_day.contains(MONDAY + 24 * HOUR) && !all_day.contains(MONDAY - 1));
    }

    #[test]
    fn a_night_belongs_to_the_day_it_began_on() {
        let friday_night = schedule(&[4], 22, 6, 0);
        let friday = MONDAY + 4 * 24 * HOUR;
        assert!(friday_night.contains(friday + 23 * HOUR));
        assert!(friday_night.contains(friday + 29 * HOUR));
        assert!(!friday_night.contains(friday + 30 * HOUR));
        assert!(!friday_night.contains(friday + 5 * HOUR), "that was Thursday's night");
        assert!(!friday_night.contains(friday + 47 * HOUR));
    }

    #[test]
    fn the_offset_moves_the_day() {
        let there = schedule(&[0], 0, 1, 2);
        assert!(there.contains(MONDAY - 2 * HOUR) && !there.contains(MONDAY));
        let west = schedule(&[0], 0, 1, -5);
        assert!(west.contains(MONDAY + 5 * HOUR) && !west.contains(MONDAY));
        let all = schedule(&[0, 1, 2, 3, 4, 5, 6], 0, 24, 14);
        assert!(all.contains(u64::MAX) && all.contains(0), "no moment overflows");
    }
}
