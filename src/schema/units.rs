//! Sizes, durations and counts, from text and to text.

use std::time::Duration;

const SIZES: [(&str, usize); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const TIMES: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// A whole number in decimal digits.
pub fn count(text: &str) -> Option<usize> {
    digits(text)?.parse().ok()
}

/// A number of bytes.
pub fn size(text: &str) -> Option<usize> {
    for (unit, bytes) in SIZES {
        if let Some(number) = text.strip_suffix(unit) {
            return count(number)?.checked_mul(bytes);
        }
    }
    count(text)
}

/// A length of time. The unit is not optional.
pub fn duration(text: &str) -> Option<Duration> {
    // `ms` stands first: `5ms` ends with `s` too.
    for (unit, millis) in TIMES {
        if let Some(number) = text.strip_suffix(unit) {
            return Some(Duration::from_millis(digits(number)?.parse::<u64>().ok()?.checked_mul(millis)?));
        }
    }
    None
}

fn digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}

/// The shortest spelling of a size.
pub fn show_size(bytes: usize) -> String {
    let whole = SIZES.iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    whole.map_or_else(|| "0".to_owned(), |(name, unit)| format!("{}{name}", bytes / unit))
}

/// The shortest spelling of a duration.
pub fn show_duration(time: Duration) -> String {
    let millis = time.as_millis();
    let whole = TIMES
        .iter()
        .rev()
        .find(|(_, unit)| millis >= u128::from(*unit) && millis.is_multiple_of(u128::from(*unit)));
    whole.map_or_else(|| "0s".to_owned(), |(name, unit)| format!("{}{name}", millis / u128::from(*unit)))
}

/// A hint for spellings that other programs take. Of digits alone it is that of a duration: a count or a size needs no unit.
pub fn hint(text: &str) -> &'static str {
    if text.contains('_') || text.contains(',') {
        "; only digits, without separators"
    } else if text.contains(' ') {
        "; without a space before the unit"
    } else if text.contains('.') {
        "; no fractions, use a smaller unit"
    } else if text.ends_with(|char: char| char.is_ascii_alphabetic()) {
        "; units are B, KiB, MiB, GiB for sizes and ms, s, m, h for durations"
    } else if (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
        "; with its unit, ms, s, m or h, as in `30s`"
    } else {
        ""
    }
}

/// `text`, cut to what fits a line.
pub fn shorten(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    let shown: String = text.chars().take(CHARS_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(CHARS_MAX).is_some() { format!("{shown}...") } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_are_read_and_shown() {
        for (text, bytes) in
            [("0", 0), ("17", 17), ("17B", 17), ("16KiB", 16 << 10), ("4MiB", 4 << 20), ("1GiB", 1 << 30)]
        {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in [
            "",
            "KiB",
            "4MB",
            "4k",
            "-1",
            "+1",
            "1.5MiB",
            "4 MiB",
            "99999999999999999999",
            "18446744073709551615KiB",
        ] {
            assert_eq!(size(text), None, "{text}");
        }
        for (text, millis) in [("250ms", 250), ("5s", 5_000), ("2m", 120_000), ("1h", 3_600_000)] {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
            assert_eq!(show_duration(Duration::from_millis(millis)), text);
        }
        for text in ["5", "s", "5sec", "-5s", "1m30s", "1.5s", "18446744073709551615h"] {
            assert_eq!(duration(text), None, "{text}");
        }
        assert_eq!(show_size(1536), "1536B");
        assert_eq!(show_size(4 << 20), "4MiB");
    }

    #[test]
    fn long_and_odd_text_is_shown_short_and_escaped() {
        assert_eq!(shorten("a\nb"), "a\\nb");
        assert_eq!(shorten(&"x".repeat(61)), format!("{}...", "x".repeat(60)));
    }
}
