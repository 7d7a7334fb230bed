//! Days and times (RFC 3339), as far as an operator writes them.

/// Seconds since 1970 (UTC) of `2027-01-31`, the beginning of that day, or of `2027-01-31T12:00:00Z`, also with an offset.
/// A fraction of a second is cut off. `None` if there is no such time, or it was before 1970.
pub fn parse(text: &str) -> Option<u64> {
    let (day, time) = match text.split_at_checked(10)? {
        (day, "") => (day, None),
        (day, time) => (day, Some(time)),
    };
    let [year, month, day] = numbers::<3>(day, '-', [4, 2, 2])?;
    let seconds = days(year, month, day)? * 86_400 + time.map_or(Some(0), seconds)?;
    u64::try_from(seconds).ok()
}

/// The day with this many seconds since 1970 (UTC), as in `2027-01-31`.
pub fn day_of(seconds: u64) -> String {
    let mut left = i64::try_from(seconds / 86_400).unwrap_or(i64::MAX).min(DAYS_MAX);
    let mut year = 1970;
    while left >= year_len(year) {
        left -= year_len(year);
        year += 1;
    }
    let mut month = 1;
    while left >= month_len(year, month) {
        left -= month_len(year, month);
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", left + 1)
}

/// The last day of 9999.
const DAYS_MAX: i64 = 2_932_896;

/// Days from 1970 to this one.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let exists = year >= 1970 && (1..=12).contains(&month) && (1..=month_len(year, month)).contains(&day);
    exists.then(|| {
        let years: i64 = (1970..year).map(year_len).sum();
        let months: i64 = (1..month).map(|month| month_len(year, month)).sum();
        years + months + day - 1
    })
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn year_len(year: i64) -> i64 {
    if is_leap(year) { 366 } else { 365 }
}

fn month_len(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Seconds of `T12:00:00Z` from the beginning of the day; less than 0 or more than a day where its offset says so.
fn seconds(text: &str) -> Option<i64> {
    let text = text.strip_prefix(['T', 't', ' '])?;
    let end = text.find(['Z', 'z', '+', '-'])?;
    let (clock, offset) = text.split_at(end);
    let clock = match clock.split_once('.') {
        Some((clock, fraction))
            if !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            clock
        }
        Some(_) => return None,
        None => clock,
    };
    let [hour, minute, second] = numbers::<3>(clock, ':', [2, 2, 2])?;
    // A leap second counts as the one before it.
    let at =
        (hour < 24 && minute < 60 && second <= 60).then(|| hour * 3600 + minute * 60 + second.min(59))?;
    let shift = |text: &str| {
        let [hours, minutes] = numbers::<2>(text, ':', [2, 2])?;
        (hours < 24 && minutes < 60).then_some(hours * 3600 + minutes * 60)
    };
    match offset.split_at(1) {
        ("Z" | "z", "") => Some(at),
        ("+", text) => Some(at - shift(text)?),
        ("-", text) => Some(at + shift(text)?),
        _ => None,
    }
}

/// `N` numbers of these many digits with `between` them.
fn numbers<const N: usize>(text: &str, between: char, lens: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(between);
    let mut found = [0; N];
    for (number, len) in found.iter_mut().zip(lens) {
        let digits = parts
            .next()
            .filter(|part| part.len() == len && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *number = digits.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_are_read() {
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("2000-02-29", 951_782_400),
            ("2026-11-22", 1_795_305_600),
            ("2026-11-22T12:34:56Z", 1_795_350_896),
            ("2026-11-22t12:34:56.789z", 1_795_350_896),
            ("2026-11-22T13:34:56+01:00", 1_795_350_896),
            ("2026-11-22 06:04:56-06:30", 1_795_350_896),
            ("2016-12-31T23:59:60Z", 1_483_228_799),
            ("9999-12-31", 253_402_214_400),
        ] {
            assert_eq!(parse(text), Some(seconds), "{text}");
            assert!(
                parse(&day_of(seconds)).is_some_and(|day| day <= seconds && seconds - day < 86_400),
                "{text}"
            );
        }
        assert_eq!(day_of(u64::MAX), "9999-12-31");
    }

    #[test]
    fn what_is_no_time_is_not_put_right() {
        for text in [
            "",
            "2026",
            "2026-11",
            "2026-13-01",
            "2026-02-29",
            "1900-02-29",
            "2026-00-01",
            "2026-01-00",
            "2026-1-1",
            "1969-12-31",
            "1970-01-01T00:00:00+00:01",
            "22.11.2026",
            "2026-11-22T",
            "2026-11-22T12:00:00",
            "2026-11-22T24:00:00Z",
            "2026-11-22T12:60:00Z",
            "2026-11-22T12:00Z",
            "2026-11-22T12:00:00.Z",
            "2026-11-22T12:00:00Zx",
            "2026-11-22T12:00:00+1",
            "2026-11-22T12:00:00+24:00",
            "2026-11-22x",
            "+026-11-22",
            "\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}",
            "2026-11-2\u{e4}",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
