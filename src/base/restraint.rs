//! Restraint of log lines that peers can bring about: once in a second, with a count of what was kept back.

use std::cell::Cell;
use std::time::Duration;

use super::Ticks;

/// Time between two lines.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// Lets one thread write a line once in a second.
#[derive(Debug, Default)]
pub struct Restraint {
    spoke: Cell<Option<Ticks>>,
    kept_back: Cell<u64>,
}

impl Restraint {
    /// Restraint that lets the next line pass.
    pub const fn new() -> Self {
        Self { spoke: Cell::new(None), kept_back: Cell::new(0) }
    }

    /// `Some` if a line may be written, with the number of lines kept back since the last one.
    pub fn may_speak(&self, now: Ticks) -> Option<u64> {
        if self.spoke.get().is_some_and(|spoke| now < spoke + LINE_EVERY) {
            self.kept_back.set(self.kept_back.get().saturating_add(1));
            return None;
        }
        self.spoke.set(Some(now));
        Some(self.kept_back.take())
    }
}

/// The first `chars_max` characters of `text`: a peer chooses it, as long as a body may be.
pub fn cut(text: &str, chars_max: usize) -> &str {
    text.char_indices().nth(chars_max).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_lines_is_one_a_second_with_a_count() {
        let restraint = Restraint::new();
        let at = |millis: u64| restraint.may_speak(Ticks(millis * 1_000_000));
        assert_eq!(
            [at(0), at(1), at(999), at(1_000), at(1_500), at(5_000)],
            [Some(0), None, None, Some(2), None, Some(1)]
        );
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let long = "ä".repeat(201);
        assert_eq!(cut(&long, 200), &long[..400]);
        assert_eq!(cut(&long[2..], 200), &long[2..]);
        assert_eq!(cut("", 200), "");
    }
}
