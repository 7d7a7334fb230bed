//! What `ringgate check` prints: for people, for programs, and as annotations of a GitHub workflow.

use std::io::{self, Write};

use serde_json::json;

use crate::schema::finding::Findings;

/// How the report of a check is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A line each, for people.
    #[default]
    Text,
    /// One JSON object.
    Json,
    /// Workflow commands of GitHub Actions, which mark the lines in a pull request.
    Github,
}

/// The result of a check.
pub(super) struct Report {
    /// Mistakes and failed tests, with their places.
    pub findings: Findings,
    /// Mistakes without a place in the text.
    pub faults: Vec<String>,
    /// What a good file is warned of.
    pub warnings: Vec<String>,
    /// Name and path of each server of a good file.
    pub servers: Vec<(String, String)>,
    /// The last line, for people.
    pub summary: String,
}

impl Report {
    /// Whether the file is good, whatever there is to warn of.
    pub(super) fn is_good(&self) -> bool {
        self.findings.is_empty() && self.faults.is_empty()
    }

    /// Writes it; `file` is the file as the operator named it.
    pub(super) fn write(&self, file: &str, format: Format, out: &mut dyn Write) -> io::Result<()> {
        match format {
            Format::Text => self.text(file, out),
            Format::Json => writeln!(out, "{:#}", self.json(file)),
            Format::Github => self.github(file, out),
        }
    }

    fn text(&self, file: &str, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{}", self.findings)?;
        for fault in &self.faults {
            writeln!(out, "{file}: {fault}")?;
        }
        for warning in &self.warnings {
            writeln!(out, "{file}: warning: {warning}")?;
        }
        if self.faults.is_empty() { writeln!(out, "{file}: {}", self.summary) } else { Ok(()) }
    }

    fn json(&self, file: &str) -> serde_json::Value {
        let placed = self.findings.iter().map(|finding| {
            let spot = finding.place.spot;
            json!({
                "level": "error",
                "line": spot.line,
                "column": spot.column,
                "path": finding.place.path,
                "message": finding.problem.what,
                "fix": finding.problem.fix,
            })
        });
        let plain = |level: &str, text: &String| json!({"level": level, "message": text});
        let others = self.faults.iter().map(|text| plain("error", text));
        let warnings = self.warnings.iter().map(|text| plain("warning", text));
        json!({
            "file": file,
            "good": self.is_good(),
            "findings": placed.chain(others).chain(warnings).collect::<Vec<_>>(),
            "servers": self
                .servers
                .iter()
                .map(|(name, path)| json!({"name": name, "path": path}))
                .collect::<Vec<_>>(),
            "summary": self.summary,
        })
    }

    fn github(&self, file: &str, out: &mut dyn Write) -> io::Result<()> {
        let name = property(file);
        for finding in self.findings.iter() {
            let (spot, problem) = (finding.place.spot, &finding.problem);
            let path = &finding.place.path;
            // Of the whole file there is no path.
            let colon = if path.is_empty() { "" } else { ": " };
            let text = format!("{path}{colon}{} ({})", problem.what, problem.fix);
            let (line, column) = (spot.line.max(1), spot.column.max(1));
            writeln!(out, "::error file={name},line={line},col={column}::{}", message(&text))?;
        }
        for fault in &self.faults {
            writeln!(out, "::error file={name}::{}", message(fault))?;
        }
        for warning in &self.warnings {
            writeln!(out, "::warning file={name}::{}", message(warning))?;
        }
        writeln!(out, "{file}: {}", self.summary)
    }
}

/// A text behind `::`: what would end the line is escaped.
fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A value before `::`, which also ends at a comma or a colon.
fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::schema::finding::{Place, Spot};

    fn written(report: &Report, format: Format) -> String {
        let mut out = Vec::new();
        report.write("a,b.yaml", format, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn report() -> Report {
        let mut findings = Findings::of("a,b.yaml");
        let place = Place::default().key("servers", Spot { line: 3, column: 7 });
        findings.add(&place, "is 50% wrong\nhere", "mend it");
        findings.add(&Place::default(), "cannot be read", "name another");
        let (faults, warnings) = (vec!["no key".to_owned()], vec!["old".to_owned()]);
        Report { findings, faults, warnings, servers: Vec::new(), summary: "1 mistake".to_owned() }
    }

    #[test]
    fn programs_get_each_finding_with_its_place() {
        let json: serde_json::Value = serde_json::from_str(&written(&report(), Format::Json)).unwrap();
        assert_eq!((json["good"].as_bool(), json["file"].as_str()), (Some(false), Some("a,b.yaml")));
        let findings = json["findings"].as_array().unwrap();
        assert_eq!(findings.len(), 4);
        assert_eq!(findings[0]["line"], 3);
        assert_eq!(findings[0]["path"], "servers");
        assert_eq!(findings[3]["level"], "warning");
    }

    #[test]
    fn annotations_are_one_line_each_and_nothing_ends_them_early() {
        let text = written(&report(), Format::Github);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "::error file=a%2Cb.yaml,line=3,col=7::servers: is 50%25 wrong%0Ahere (mend it)",
                "::error file=a%2Cb.yaml,line=1,col=1::cannot be read (name another)",
                "::error file=a%2Cb.yaml::no key",
                "::warning file=a%2Cb.yaml::old",
                "a,b.yaml: 1 mistake",
            ]
        );
    }
}
