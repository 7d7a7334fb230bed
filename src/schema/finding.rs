//! What is wrong with a configuration, where, and how to put it right.

use std::fmt;

use super::section::Nested;

/// A position in the text, counted from 1. Zero: not in a file (a flag of the command line).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

/// Where a value stands: in the text, and in the tree as a dotted path such as `servers[1].url`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Where in the text.
    pub spot: Spot,
    /// Where in the tree; empty for the whole document.
    pub path: String,
}

impl Place {
    /// The place of the value of `key` in the map at this place.
    pub fn key(&self, key: &str, spot: Spot) -> Self {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Self { spot, path }
    }

    /// The place of an element of the list at this place.
    pub fn index(&self, index: usize, spot: Spot) -> Self {
        Self { spot, path: format!("{}[{index}]", self.path) }
    }
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub place: Place,
}

/// What is wrong with a value, before it is known where the value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub what: String,
    /// How to put it right.
    pub fix: String,
}

impl Problem {
    /// A problem. Neither text may hold a secret.
    pub fn new(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what: what.into(), fix: fix.into() }
    }
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// What, and how to put it right.
    pub problem: Problem,
}

/// All mistakes of one configuration. Never holds the value of a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// The file they are in, as the operator named it; empty for the command line.
    pub file: String,
    list: Vec<Finding>,
    /// How many were found past [`FINDINGS_MAX`].
    more: usize,
    /// All there is, for hints where a misplaced option belongs.
    whole: Option<Whole>,
}

/// The declaration of a whole file.
#[derive(Clone, Copy, Debug)]
struct Whole(fn() -> Nested);

/// It is no part of what was found.
impl PartialEq for Whole {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Whole {}

/// Mistakes that are kept. A file that has more is better begun anew.
const FINDINGS_MAX: usize = 200;

impl Findings {
    /// No mistakes yet, in this file.
    pub fn of(file: impl Into<String>) -> Self {
        Self { file: file.into(), ..Self::default() }
    }

    /// The same, of a file that is declared as this section.
    #[must_use]
    pub fn within(self, whole: fn() -> Nested) -> Self {
        Self { whole: Some(Whole(whole)), ..self }
    }

    /// The declaration of the file that the mistakes are in, if it is known.
    pub fn whole(&self) -> Option<Nested> {
        self.whole.map(|Whole(declare)| declare())
    }

    /// Notes a mistake.
    pub fn add(&mut self, place: &Place, what: impl Into<String>, fix: impl Into<String>) {
        self.note(place, Problem::new(what, fix));
    }

    /// Notes a problem that was found at `place`.
    pub fn note(&mut self, place: &Place, problem: Problem) {
        if self.is_full() {
            self.more += 1;
        } else {
            self.list.push(Finding { place: place.clone(), problem });
        }
    }

    /// Whether no more are kept, so that there is no use in explaining one well.
    pub fn is_full(&self) -> bool {
        self.list.len() == FINDINGS_MAX
    }

    /// How many there are, kept or not.
    pub fn len(&self) -> usize {
        self.list.len() + self.more
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The mistakes, in the order of the text once [`Findings::sort`] was called.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.list.iter()
    }

    /// Puts them in the order of the text, and drops the second of two equal ones.
    pub fn sort(&mut self) {
        self.list.sort_by(|a, b| (a.place.spot, &a.place.path).cmp(&(b.place.spot, &b.place.path)));
        self.list.dedup();
    }

    /// Renames the places of all mistakes: how the command line speaks of its flags.
    pub fn rename(&mut self, rename: impl Fn(&str) -> String) {
        for finding in &mut self.list {
            finding.place.path = rename(&finding.place.path);
        }
    }
}

impl fmt::Display for Findings {
    /// One line each: `FILE:LINE:COL: path: what (how to fix)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { place, problem } in &self.list {
            if !self.file.is_empty() {
                write!(f, "{}:", self.file)?;
            }
            if place.spot.line > 0 {
                write!(f, "{}:{}:", place.spot.line, place.spot.column)?;
            }
            if !self.file.is_empty() {
                f.write_str(" ")?;
            }
            if !place.path.is_empty() {
                write!(f, "{}: ", place.path)?;
            }
            writeln!(f, "{} ({})", problem.what, problem.fix)?;
        }
        if self.more > 0 {
            writeln!(f, "... and {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}

/// The candidate most like `word`, if one is like enough to be what was meant.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let similarity = |candidate: &str| strsim::jaro_winkler(&word.to_ascii_lowercase(), candidate);
    candidates
        .into_iter()
        .map(|candidate| (similarity(candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_come_in_the_order_of_the_text_and_once_each() {
        let mut findings = Findings::of("a.yaml");
        let root = Place::default();
        let late = root.key("b", Spot { line: 9, column: 2 });
        let early = root.key("a", Spot { line: 3, column: 1 }).index(0, Spot { line: 3, column: 4 });
        findings.add(&late, "is late", "come earlier");
        findings.add(&late, "is late", "come earlier");
        findings.add(&early, "is early", "wait");
        findings.sort();
        assert_eq!(
            findings.to_string(),
            "a.yaml:3:4: a[0]: is early (wait)\na.yaml:9:2: b: is late (come earlier)\n"
        );
    }

    #[test]
    fn a_flood_of_findings_is_counted_and_not_kept() {
        let mut findings = Findings::default();
        for line in 0..=u32::try_from(FINDINGS_MAX).unwrap_or(0) {
            findings.add(&Place { spot: Spot { line, column: 1 }, path: String::new() }, "is wrong", "stop");
        }
        assert_eq!((findings.len(), findings.iter().count()), (FINDINGS_MAX + 1, FINDINGS_MAX));
        assert!(findings.to_string().ends_with("... and 1 more\n"));
    }

    #[test]
    fn a_slip_of_the_finger_is_understood_and_another_word_is_not() {
        let known = ["listeners", "limits", "timeouts", "servers"];
        assert_eq!(closest("listners", known), Some("listeners"));
        assert_eq!(closest("Timeout", known), Some("timeouts"));
        assert_eq!(closest("upstream", known), None);
    }
}
