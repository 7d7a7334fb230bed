//! `ringgate doctor`: what this host offers a gateway, what that costs, how to mend it.
//!
//! Three steps that know nothing of each other: [`facts`] reads the host (files under a root, so that
//! a test may hand it a directory, and a few io_uring set-up calls), [`judge`] turns facts into
//! findings without touching anything, and [`report`] prints them. A fact that cannot be read is
//! `None`, which a rule must treat as "unknown", never as "fine".

pub mod facts;
pub mod judge;
pub mod report;
pub mod ring;
pub mod tries;

mod numbers;
mod read;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub use facts::{Facts, Plan};
pub use judge::judge;
pub use report::{Finding, Level};

/// What to examine and how to print it.
#[derive(Clone, Debug)]
pub struct Options {
    /// The workers that the gateway is meant to run; findings are measured against it.
    pub plan: Plan,
    /// Whether levels are coloured with terminal escapes.
    pub colour: bool,
    /// Where `/proc` and `/sys` are found: `/`, or a directory that holds copies of both.
    pub root: PathBuf,
}

impl Options {
    /// The running host, coloured only if standard output is a terminal and `NO_COLOR` is unset or empty.
    pub fn for_stdout(plan: Plan) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { plan, colour: std::io::stdout().is_terminal() && !plain, root: PathBuf::from("/") }
    }
}

/// Examines the host and prints the findings, with those of the [`tries`] behind. Fails if a finding does, or if `out` cannot
/// be written.
pub fn run(out: &mut dyn Write, options: &Options, tries: Vec<Finding>) -> ExitCode {
    match examine(out, options, tries) {
        Ok(Level::Ok | Level::Note | Level::Warn) => ExitCode::SUCCESS,
        Ok(Level::Fail) | Err(_) => ExitCode::FAILURE,
    }
}

/// Why workers cannot use io_uring here, what that costs and how to mend it; `None` if they can. Also
/// finds a ring that can be set up but not entered, with which a runtime would wait forever.
pub fn why_no_ring() -> Option<Finding> {
    let facts = read::facts(Path::new("/"), ring::probe());
    judge::ring_refusal(&facts)
}

/// The worst level among the findings, once they are printed.
fn examine(out: &mut dyn Write, options: &Options, tries: Vec<Finding>) -> io::Result<Level> {
    let facts = read::facts(&options.root, ring::probe());
    let mut findings = judge(&facts, &options.plan);
    findings.extend(tries);
    report::print(out, &findings, options.colour)?;
    out.flush()?;
    Ok(findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_running_host_gets_a_report() {
        let mut out = Vec::new();
        examine(&mut out, &Options { colour: false, ..Options::for_stdout(Plan::Auto) }, Vec::new()).unwrap();
        let text = String::from_utf8(out).unwrap();
        for topic in ["kernel", "io_uring", "open files", "locked memory", "CPUs", "container"] {
            assert!(text.contains(&format!("  {topic} ")), "{topic} is missing in:\n{text}");
        }
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn an_output_that_cannot_be_written_fails() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let options = Options { plan: Plan::Auto, colour: false, root: PathBuf::from("/") };
        assert!(examine(&mut Closed, &options, Vec::new()).is_err());
    }

    #[test]
    fn a_plan_that_cannot_be_pinned_is_the_worst_level() {
        let options = Options { plan: Plan::Cpus(vec![8191]), colour: true, root: PathBuf::from("/") };
        let mut out = Vec::new();
        assert_eq!(examine(&mut out, &options, Vec::new()).unwrap(), Level::Fail);
        assert!(String::from_utf8(out).unwrap().contains("planned but barred: 8191"));
    }
}
