//! Rates, amounts and times of the day, from text.

use std::time::Duration;

use crate::policy::rate_limit::Period;
use crate::schema::finding::Problem;
use crate::schema::units::shorten;

/// A rate as written: `60/min`, `25/10s`, `100_000 tokens/day`, `2.50/day`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rate {
    /// So much in this time.
    Of {
        /// How much, in millionths.
        micros: u64,
        /// The word for what, if there is one.
        unit: Option<String>,
        /// In this time.
        per: Per,
    },
    /// Without end.
    Unlimited,
}

/// The time of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Per {
    /// Its length; of a month, the usual one.
    pub time: Duration,
    /// The period of the calendar, if it is just one.
    pub period: Option<Period>,
}

/// How a rate is written.
pub const WANTED: &str = "a rate such as `60/min`, `25/10s` or `100_000 tokens/day`, or `unlimited`";

/// The most units of a rate, a burst or a quota. Of money, that is the most millionths.
pub const UNITS_MAX: u64 = 1_000_000_000_000;
/// Millionths of one.
pub const MICROS: u64 = 1_000_000;

const UNITS: [(&[&str], u64, Option<Period>); 7] = [
    (&["ms"], 1, None),
    (&["s", "sec", "second", "seconds"], 1_000, None),
    (&["m", "min", "minute", "minutes"], 60_000, None),
    (&["h", "hour", "hours"], 3_600_000, Some(Period::Hour)),
    (&["d", "day", "days"], 86_400_000, Some(Period::Day)),
    (&["week", "weeks"], 604_800_000, Some(Period::Week)),
    (&["month", "months"], 2_592_000_000, Some(Period::Month)),
];

/// A rate.
pub fn rate(text: &str) -> Result<Rate, Problem> {
    if text == "unlimited" {
        return Ok(Rate::Unlimited);
    }
    let wrong = |what: &str| Problem::new(format!("`{}` {what}", shorten(text)), format!("write {WANTED}"));
    let (amount, time) = text.split_once('/').ok_or_else(|| wrong("has no `/`"))?;
    let (number, unit) = match amount.trim().split_once(' ') {
        Some((number, unit)) => (number, Some(unit.trim().to_owned())),
        None => (amount.trim(), None),
    };
    let micros = decimal(number).ok_or_else(|| wrong("does not begin with a number"))?;
    if micros == 0 {
        return Err(Problem::new(
            format!("`{}` permits nothing", shorten(text)),
            "write at least 1; what nobody may do is for `access` to say",
        ));
    }
    let per = per(time.trim()).ok_or_else(|| wrong("has a time that is not understood"))?;
    if !(TIME_MIN..=TIME_MAX).contains(&per.time) {
        return Err(wrong("has a time that is not from 100ms to 31 days"));
    }
    Ok(Rate::Of { micros, unit, per })
}

const TIME_MIN: Duration = Duration::from_millis(100);
const TIME_MAX: Duration = Duration::from_secs(31 * 86_400);

fn per(text: &str) -> Option<Per> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, name) = text.split_at(digits);
    let number: u64 = if number.is_empty() { 1 } else { number.parse().ok()? };
    let (_, millis, period) = UNITS.iter().find(|(names, ..)| names.contains(&name.trim()))?;
    let time = Duration::from_millis(number.checked_mul(*millis)?);
    Some(Per { time, period: period.filter(|_| number == 1) })
}

/// A number with at most six places behind its point, in millionths. Underscores may stand between digits.
pub fn decimal(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
            && text.starts_with(|char: char| char.is_ascii_digit())
            && text.ends_with(|char: char| char.is_ascii_digit())
    };
    if !is_number(whole) || !is_number(fraction) || fraction.contains('_') || fraction.len() > 6 {
        return None;
    }
    let whole: u64 = whole.replace('_', "").parse().ok()?;
    let fraction: u64 = format!("{fraction:0<6}").parse().ok()?;
    whole.checked_mul(MICROS)?.checked_add(fraction)
}

/// An amount: of money, or of units.
pub fn amount(text: &str) -> Result<u64, Problem> {
    let fix = "write a number such as `0.002` or `100_000`, with at most six places behind the point";
    decimal(text).ok_or_else(|| Problem::new(format!("`{}` is not an amount", shorten(text)), fix))
}

/// A time of the day with its offset from UTC, `00:00+02:00` or `06:30Z`: seconds from the beginning of a UTC day.
pub fn resets_at(text: &str) -> Result<i32, Problem> {
    let seconds = || {
        let number = |text: &str, max: i32| {
            let is_two = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<i32>().ok().filter(|number| is_two && *number <= max)
        };
        let clock = |text: &str, hours_max: i32| {
            let (hours, minutes) = text.split_once(':')?;
            Some(number(hours, hours_max)? * 3_600 + number(minutes, 59)? * 60)
        };
        let (time, offset) = text.split_at_checked(5)?;
        let offset = match offset.split_at_checked(1)? {
            ("Z", "") => 0,
            ("+", offset) => clock(offset, 14)?,
            ("-", offset) => -clock(offset, 14)?,
            _ => return None,
        };
        Some(clock(time, 23)? - offset)
    };
    let fix = "write the time and its offset from UTC in quotes, such as `\"00:00+02:00\"` or `\"06:30Z\"`";
    seconds().ok_or_else(|| Problem::new(format!("`{}` is not a time of the day", shorten(text)), fix))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rates_are_read() {
        for (text, micros, unit, millis, period) in [
            ("60/min", 60_000_000, None, 60_000, None),
            ("25/10s", 25_000_000, None, 10_000, None),
            ("1000/h", 1_000_000_000, None, 3_600_000, Some(Period::Hour)),
            ("100_000 tokens/day", 100_000_000_000, Some("tokens"), 86_400_000, Some(Period::Day)),
            ("2.50 / month", 2_500_000, None, 2_592_000_000, Some(Period::Month)),
            ("1/2 days", 1_000_000, None, 172_800_000, None),
            ("5/100ms", 5_000_000, None, 100, None),
        ] {
            let unit = unit.map(str::to_owned);
            let per = Per { time: Duration::from_millis(millis), period };
            assert_eq!(rate(text), Ok(Rate::Of { micros, unit, per }), "{text}");
        }
        assert_eq!(rate("unlimited"), Ok(Rate::Unlimited));
        for text in [
            "",
            "60",
            "/min",
            "60/",
            "x/min",
            "60/fortnight",
            "0/min",
            "0.0/s",
            "-1/s",
            "1/0s",
            "1/99ms",
            "1/32days",
            "1_/s",
            "1.0000001/s",
            "99999999999999999999/s",
            "1/99999999999999999999s",
        ] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_of_the_day_are_read() {
        for (text, seconds) in
            [("00:00Z", 0), ("00:00+02:00", -7_200), ("06:30Z", 23_400), ("23:59-14:00", 136_740)]
        {
            assert_eq!(resets_at(text), Ok(seconds), "{text}");
        }
        for text in
            ["", "0:00Z", "24:00Z", "00:60Z", "00:00", "00:00+2:00", "00:00+15:00", "00:00Z ", "é:00Z"]
        {
            assert!(resets_at(text).is_err(), "{text}");
        }
    }
}
