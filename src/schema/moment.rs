//! Moments, hours and offsets as people write them.

use super::finding::Problem;
use super::units::shorten;

/// Seconds since 1970 (UTC) of an RFC 3339 time such as `2026-01-05T09:00:00Z` or `2026-01-05T09:00:00+02:00`. The
/// date may stand alone. Fractions of a second are dropped.
///
/// # Errors
/// If it is none, or not from 1970 to 9999.
pub fn moment(text: &str) -> Result<u64, Problem> {
    parse(text).ok_or_else(|| {
        let fix = "write it as RFC 3339 does, such as `2026-01-05T09:00:00Z`, from 1970 on";
        Problem::new(format!("`{}` is not a time", shorten(text)), fix)
    })
}

fn parse(text: &str) -> Option<u64> {
    let (date, rest) = text.split_at_checked(10)?;
    let [year, month, day] = fields(date, '-', [4, 2, 2])?;
    let days = days_since_1970(year, month, day)?;
    let (seconds, offset) =
        if rest.is_empty() { (0, 0) } else { time_of_day(rest.strip_prefix(['T', 't', ' '])?)? };
    u64::try_from(days * 86_400 + seconds - offset).ok()
}

/// Seconds since midnight, and those to take off to come to UTC.
fn time_of_day(text: &str) -> Option<(i64, i64)> {
    let (time, rest) = text.split_at_checked(8)?;
    let [hour, minute, second] = fields(time, ':', [2, 2, 2])?;
    // A leap second counts as the one before it.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|char: char| char.is_ascii_digit());
            if zone.len() == fraction.len() {
                return None;
            }
            zone
        }
        None => rest,
    };
    let offset = if matches!(zone, "Z" | "z") { 0 } else { offset_of(zone)? };
    Some((hour * 3600 + minute * 60 + second.min(59), offset))
}

/// Days from 1970-01-01 of a date of the Gregorian calendar.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = usize::try_from(month - 1).ok().filter(|&before| before < 12)?;
    if year < 1970 || day < 1 || day > lengths[before] {
        return None;
    }
    let years = year - 1;
    let leap_days = |years: i64| years / 4 - years / 100 + years / 400;
    let whole_years = (year - 1970) * 365 + leap_days(years) - leap_days(1969);
    Some(whole_years + lengths[..before].iter().sum::<i64>() + day - 1)
}

/// Numbers of exactly so many digits with a mark between them.
fn fields<const N: usize>(text: &str, mark: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(mark);
    let mut numbers = [0; N];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts
            .next()
            .filter(|part| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Seconds since midnight of `HH:MM`, `24:00` included.
///
/// # Errors
/// If it is none.
pub fn hour(text: &str) -> Result<u32, Problem> {
    let fix = "write hours and minutes with two digits each, such as `\"08:00\"`, up to `\"24:00\"`";
    let seconds = fields(text, ':', [2, 2]).map(|[hour, minute]| (hour * 3600 + minute * 60, minute));
    let seconds = seconds.filter(|&(seconds, minute)| minute < 60 && seconds <= 86_400);
    let seconds = seconds.and_then(|(seconds, _)| u32::try_from(seconds).ok());
    seconds.ok_or_else(|| Problem::new(format!("`{}` is not an hour", shorten(text)), fix))
}

/// Seconds of `+HH:MM` or `-HH:MM`.
///
/// # Errors
/// If it is none, or more than 14 hours.
pub fn offset(text: &str) -> Result<i32, Problem> {
    let fix = "write the distance of local time from UTC, such as `\"+02:00\"` or `\"-05:30\"`";
    let seconds = offset_of(text).and_then(|seconds| i32::try_from(seconds).ok());
    seconds.ok_or_else(|| Problem::new(format!("`{}` is not an offset", shorten(text)), fix))
}

fn offset_of(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let [hours, minutes] = fields(digits, ':', [2, 2])?;
    let seconds = hours * 3600 + minutes * 60;
    (minutes < 60 && seconds <= 14 * 3600).then_some(sign * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_counted_from_1970() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01", 0),
            ("2026-01-05T00:00:00Z", 1_767_571_200),
            ("2026-01-05T02:00:00+02:00", 1_767_571_200),
            ("2026-01-04t19:00:00.999-05:00", 1_767_571_200),
            ("2000-03-01T00:00:00Z", 951_868_800),
            ("2024-02-29T23:59:60Z", 1_709_251_199),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            assert_eq!(moment(text), Ok(expected), "{text}");
        }
        for bad in [
            "",
            "now",
            "1969-12-31T23:59:59Z",
            "2026-02-29",
            "2026-13-01",
            "2026-00-01",
            "2026-01-32",
            "2026-1-05",
            "2026-01-05T24:00:00Z",
            "2026-01-05T09:00Z",
            "2026-01-05T09:00:00",
            "2026-01-05T09:00:00.Z",
            "2026-01-05T09:00:00+15:00",
            "1970-01-01T00:00:00+01:00",
            "2026-01-05X09:00:00Z",
            "ääääääääää",
        ] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hours_and_offsets_have_bounds() {
        assert_eq!((hour("00:00"), hour("08:30"), hour("24:00")), (Ok(0), Ok(30_600), Ok(86_400)));
        assert_eq!(
            (offset("+02:00"), offset("-05:30"), offset("+14:00")),
            (Ok(7_200), Ok(-19_800), Ok(50_400))
        );
        for bad in ["8:00", "24:01", "12:60", "12", "-1:00", ""] {
            assert!(hour(bad).is_err(), "{bad}");
        }
        for bad in ["02:00", "+2:00", "+14:01", "+02:60", "", "Z", "ä"] {
            assert!(offset(bad).is_err(), "{bad}");
        }
    }
}
