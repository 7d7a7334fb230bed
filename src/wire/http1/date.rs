//! The `Date` field (RFC 9110 section 6.6.1).

/// Bytes of a line that [`line`] writes.
pub const LINE_BYTES: usize = 37;

/// Seconds since 1970 at the end of the year 9999: the form has four digits for the year.
const LAST: u64 = 253_402_300_799;

/// The header line of a time in seconds since 1970 (UTC), with its CR LF: `date: Sun, 06 Nov 1994 08:49:37 GMT`.
pub fn line(seconds: u64) -> [u8; LINE_BYTES] {
    let seconds = seconds.min(LAST);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let mut line = *b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
    // The first of January 1970 was a Thursday.
    line[6..9].copy_from_slice(&WEEKDAYS[(days % 7) as usize]);
    line[14..17].copy_from_slice(&MONTHS[month as usize - 1]);
    for (at, number) in [
        (11, day),
        (18, year / 100),
        (20, year % 100),
        (23, second / 3_600),
        (26, second / 60 % 60),
        (29, second % 60),
    ] {
        line[at] = b'0' + (number / 10) as u8;
        line[at + 1] = b'0' + (number % 10) as u8;
    }
    line
}

/// Year, month and day of a day since 1970 in the Gregorian calendar, counted in years that begin with March, so that
/// the day that is only in some of them comes last.
fn civil(days: u64) -> (u64, u64, u64) {
    /// From the first of March of the year 0 to the first of January 1970.
    const BEFORE_1970: u64 = 719_468;
    const PER_400_YEARS: u64 = 146_097;
    let days = days + BEFORE_1970;
    let (era, of_era) = (days / PER_400_YEARS, days % PER_400_YEARS);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

const WEEKDAYS: [[u8; 3]; 7] = [*b"Thu", *b"Fri", *b"Sat", *b"Sun", *b"Mon", *b"Tue", *b"Wed"];
const MONTHS: [[u8; 3]; 12] = [
    *b"Jan", *b"Feb", *b"Mar", *b"Apr", *b"May", *b"Jun", *b"Jul", *b"Aug", *b"Sep", *b"Oct", *b"Nov",
    *b"Dec",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_standard_has_them() {
        for (seconds, expected) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (1_796_083_199, "Mon, 30 Nov 2026 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (LAST, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(line(seconds), *format!("date: {expected}\r\n").as_bytes(), "{seconds}");
        }
    }

    #[test]
    fn each_day_follows_the_one_before() {
        let mut before = civil(0);
        for days in 1..200_000 {
            let (year, month, day) = civil(days);
            let of = |years: u64| before.0.is_multiple_of(years);
            let leap = of(4) && (!of(100) || of(400));
            let length = match before.1 {
                2 if leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            let next = match before {
                (year, 12, 31) => (year + 1, 1, 1),
                (year, month, day) if day == length => (year, month + 1, 1),
                (year, month, day) => (year, month, day + 1),
            };
            assert_eq!((year, month, day), next);
            before = next;
        }
    }
}
