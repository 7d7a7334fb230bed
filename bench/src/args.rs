//! Command-line options: `--name value`, `--name=value` and `--flag`, nothing more.

use std::str::FromStr;

/// The words after the command, taken out one option at a time.
pub struct Args {
    words: Vec<String>,
}

impl Args {
    /// Takes the words that follow the command's name.
    pub fn new(words: impl Iterator<Item = String>) -> Self {
        Self { words: words.collect() }
    }

    /// Whether `--name` is given; removes it.
    pub fn flag(&mut self, name: &str) -> bool {
        let before = self.words.len();
        self.words.retain(|word| word != name);
        self.words.len() < before
    }

    /// The value of `--name`, the last one given; removes all of them.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, String> {
        let mut found = None;
        while let Some(at) = self.words.iter().position(|word| is_option(word, name)) {
            let word = self.words.remove(at);
            found = Some(match word.split_once('=') {
                Some((_, value)) => value.to_string(),
                None if at < self.words.len() => self.words.remove(at),
                None => return Err(format!("{name} needs a value")),
            });
        }
        Ok(found)
    }

    /// The value of `--name` read as a `T`, or `default`.
    pub fn value<T: FromStr>(&mut self, name: &str, default: T) -> Result<T, String> {
        match self.text(name)? {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| format!("{name}: cannot read `{text}`")),
        }
    }

    /// The comma-separated values of `--name`, or `default`, which is written the same way.
    pub fn list<T: FromStr>(&mut self, name: &str, default: &str) -> Result<Vec<T>, String> {
        let text = self.text(name)?.unwrap_or_else(|| default.to_string());
        text.split(',')
            .filter(|word| !word.is_empty())
            .map(|word| word.parse().map_err(|_| format!("{name}: cannot read `{word}`")))
            .collect()
    }

    /// Fails when words are left that no option took.
    pub fn finish(self) -> Result<(), String> {
        match self.words.first() {
            None => Ok(()),
            Some(word) => Err(format!("unknown option `{word}` (try --help)")),
        }
    }
}

fn is_option(word: &str, name: &str) -> bool {
    word.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Args;

    fn args(line: &str) -> Args {
        Args::new(line.split_whitespace().map(str::to_string))
    }

    #[test]
    fn options_come_in_both_spellings_and_any_order() {
        let mut given = args("--rate=5000 --sse --sizes 250,4096");
        assert_eq!(given.list::<usize>("--sizes", "1").unwrap(), [250, 4096]);
        assert_eq!(given.value("--rate", 1u32).unwrap(), 5000);
        assert!(given.flag("--sse"));
        assert_eq!(given.value("--seconds", 4.0f64).unwrap(), 4.0);
        given.finish().unwrap();
    }

    #[test]
    fn an_option_does_not_take_a_longer_ones_value() {
        let mut given = args("--sse-writes 3");
        assert!(!given.flag("--sse"));
        assert_eq!(given.text("--sse").unwrap(), None);
        assert_eq!(given.value("--sse-writes", 1u8).unwrap(), 3);
    }

    #[test]
    fn unknown_words_unreadable_and_missing_values_are_refused() {
        assert!(args("--typo").finish().is_err());
        assert!(args("--rate x").value("--rate", 1u32).is_err());
        assert!(args("--rate").value("--rate", 1u32).is_err());
    }
}
