//! Measurements kept under bench/record/<host>/<date>.csv, so that a claim can be checked later.

use super::peer::Peer;
use super::sample::Sample;
use crate::host;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Appends the samples to today's record below `root` and returns its path.
///
/// `notes` are lines about how it was measured; they and the machine's description stand as
/// comments before the samples.
pub fn append(
    root: &Path,
    samples: &[Sample],
    versions: &[(Peer, String)],
    notes: &[String],
) -> Result<PathBuf, String> {
    let versions = versions.iter().map(|(peer, version)| format!("{}: {version}", peer.name()));
    let notes: Vec<String> = notes.iter().cloned().chain(versions).collect();
    append_rows(root, "", &rows(samples), &notes)
}

/// Appends rows, headings first, to today's record of this kind: `<date>.csv` without a kind, else `<kind>-<date>.csv`.
pub fn append_rows(root: &Path, kind: &str, rows: &str, notes: &[String]) -> Result<PathBuf, String> {
    let (date, time) = host::date_and_time();
    let directory = root.join(host::slug());
    let dash = if kind.is_empty() { "" } else { "-" };
    let path = directory.join(format!("{kind}{dash}{date}.csv"));
    let fail = |error: std::io::Error| format!("cannot record to {}: {error}", path.display());
    fs::create_dir_all(&directory).map_err(fail)?;
    let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(fail)?;
    let mut text = format!("# measured {date} {time} UTC\n");
    for note in notes {
        let _ = writeln!(text, "# {note}");
    }
    text.push_str(rows);
    file.write_all(text.as_bytes()).map_err(fail)?;
    Ok(path)
}

fn rows(samples: &[Sample]) -> String {
    let mut text = String::from(HEADINGS);
    for s in samples {
        let answers = if s.case.sse { "sse" } else { "json" };
        let _ = writeln!(
            text,
            "{answers},{},{},{},{:.3},{:.0},{:.3},{:.3},{:.3},{},{:.1},{:.1},{:.3},{:.1},{}",
            s.case.body_bytes,
            s.round,
            s.peer.name(),
            s.cpu_us,
            s.rps,
            s.busy,
            s.mock_us,
            s.load_us,
            s.rate,
            s.p50_us,
            s.p99_us,
            s.rate_cpu_us,
            s.rss_mib,
            s.errors
        );
    }
    text
}

/// Where records live: beside this crate's manifest if cargo says where that is, else below `bench/` here.
pub fn default_root() -> PathBuf {
    match std::env::var_os("CARGO_MANIFEST_DIR") {
        Some(directory) => Path::new(&directory).join("record"),
        None => Path::new("bench").join("record"),
    }
}

const HEADINGS: &str = "answers,body_bytes,round,peer,cpu_us,rps,busy,mock_us,load_us,rate,p50_us,\
    p99_us,rate_cpu_us,rss_mib,errors\n";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{HEADINGS, append, rows};
    use crate::compare::peer::Peer;
    use crate::compare::sample::tests::{CASE, sample};

    #[test]
    fn every_row_has_a_value_for_each_heading() {
        let text = rows(&[sample(CASE, 0, Peer::Nginx, 20.0)]);
        let columns = |line: &str| line.split(',').count();
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().all(|line| columns(line) == columns(HEADINGS)));
    }

    #[test]
    fn a_second_run_of_a_day_is_added_to_the_first() {
        let root = std::env::temp_dir().join(format!("ringgate-bench-record-{}", std::process::id()));
        let samples = [sample(CASE, 0, Peer::Nginx, 20.0)];
        for _ in 0..2 {
            append(&root, &samples, &[(Peer::Nginx, "1.22".into())], &["rounds: 1".into()]).unwrap();
        }
        let path = append(&root, &[], &[], &[]).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text.matches(",nginx,").count(), 2);
        assert_eq!(text.matches("# nginx: 1.22").count(), 2);
        std::fs::remove_dir_all(root).unwrap();
    }
}
