//! Findings, and how they look on a terminal.

use std::io::{self, Write};

/// How bad it is. Later is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing need be done.
    Note,
    /// The gateway works, but slower or with less room than this host could give.
    Warn,
    /// The gateway will not start, or will not serve as planned.
    Fail,
}

/// One line of the report: what is, what that costs, how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was examined, a word or two.
    pub topic: &'static str,
    /// What is.
    pub what: String,
    /// What it costs; empty if nothing.
    pub cost: String,
    /// How to mend it; empty if nothing need be done.
    pub fix: String,
}

impl Finding {
    /// A finding without cost and fix.
    pub fn new(level: Level, topic: &'static str, what: impl Into<String>) -> Self {
        Self { level, topic, what: what.into(), cost: String::new(), fix: String::new() }
    }

    /// Adds what it costs.
    #[must_use]
    pub fn cost(mut self, cost: impl Into<String>) -> Self {
        self.cost = cost.into();
        self
    }

    /// Adds how to mend it.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }
}

impl Level {
    /// The word in the report.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }

    /// The terminal's colour code.
    fn colour(self) -> &'static str {
        match self {
            Self::Ok => "\x1b[32m",
            Self::Note => "\x1b[36m",
            Self::Warn => "\x1b[33m",
            Self::Fail => "\x1b[31m",
        }
    }
}

/// Prints the findings in their order, then one line that counts them.
pub fn print(out: &mut dyn Write, findings: &[Finding], colour: bool) -> io::Result<()> {
    for finding in findings {
        let (on, off) = if colour { (finding.level.colour(), "\x1b[0m") } else { ("", "") };
        writeln!(out, "{on}{:>4}{off}  {:<TOPIC$}  {}", finding.level.word(), finding.topic, finding.what)?;
        for (label, text) in [("cost", &finding.cost), ("fix", &finding.fix)] {
            if !text.is_empty() {
                writeln!(out, "{:INDENT$}{label}: {text}", "")?;
            }
        }
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (notes, warnings, failures) = (count(Level::Note), count(Level::Warn), count(Level::Fail));
    writeln!(out, "\n{} ok, {notes} to note, {warnings} to mend, {failures} in the way", count(Level::Ok))
}

/// Width of the topic column.
const TOPIC: usize = 14;
/// Where the text column begins.
const INDENT: usize = 4 + 2 + TOPIC + 2;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn printed(colour: bool) -> String {
        let findings = [
            Finding::new(Level::Ok, "kernel", "6.18.44"),
            Finding::new(Level::Warn, "io_uring", "refused").cost("a third more CPU").fix("allow it"),
        ];
        let mut out = Vec::new();
        print(&mut out, &findings, colour).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn cost_and_fix_stand_under_the_finding() {
        let expected = "  ok  kernel          6.18.44\n\
                        warn  io_uring        refused\n\
                        \x20                     cost: a third more CPU\n\
                        \x20                     fix: allow it\n\
                        \n1 ok, 0 to note, 1 to mend, 0 in the way\n";
        assert_eq!(printed(false), expected);
    }

    #[test]
    fn only_the_level_is_coloured() {
        let text = printed(true);
        assert!(text.contains("\x1b[33mwarn\x1b[0m  io_uring"));
        assert_eq!(text.matches('\x1b').count(), 4);
    }
}
