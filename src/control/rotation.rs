//! Files that the configuration refers to, looked at now and then: certificates and secrets are renewed without
//! anybody sending a signal.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use super::aside;
use super::life::{Control, Reload};

/// Files are looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A file that was written so shortly before it was first looked at may have been read before that; in seconds.
const FRESH: i64 = 60;

/// What tells one state of a file from another; `None` when there is no such file, or it may not be looked at. A
/// symbolic link is followed, so that one that is turned to another file is seen too.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

/// Looks at the files of the configuration in force for as long as the process lives, and has the same configuration
/// text compiled again when they changed.
pub async fn watch(control: Rc<Control>) {
    let mut watch = Watch::default();
    loop {
        control.net.sleep(LOOK_EVERY).await;
        let snapshot = control.shared.deployment.load().snapshot.clone();
        let files = snapshot.files.clone();
        if files.is_empty() {
            continue;
        }
        let seen = files.clone();
        // A file system that does not answer holds up only this.
        let Some(stamps) = aside::run(control.aside, move || stamps(&seen)).await else { continue };
        let now = i64::try_from(control.net.wall()).unwrap_or(i64::MAX);
        let is_trust = |file: &PathBuf| snapshot.trust.iter().any(|(path, _)| path == file);
        if let Some(what) = watch.see(&files, &files.iter().map(is_trust).collect::<Vec<_>>(), stamps, now) {
            control.reload(what).await;
        }
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |file: &PathBuf| {
        let found = std::fs::metadata(file).ok()?;
        Some((found.dev(), found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
    };
    files.iter().map(stamp).collect()
}

/// What was seen of the files so far.
#[derive(Default)]
struct Watch {
    files: Box<[PathBuf]>,
    /// As they were when they were read, as far as is known.
    settled: Vec<Stamp>,
    /// As they were at the last look.
    last: Vec<Stamp>,
}

impl Watch {
    /// Takes one look in: what to read anew. A change counts once it has been the same for two looks in a row, of all
    /// files together: whoever replaces a certificate and its key has then probably done both. A file that says whom to
    /// trust (`is_trust`) waits for no other.
    fn see(&mut self, files: &[PathBuf], is_trust: &[bool], stamps: Vec<Stamp>, now: i64) -> Option<Reload> {
        if *self.files != *files {
            self.files = files.into();
            // One that was written just now may have been so after it was read: it counts as changed.
            let is_old = |stamp: &&Stamp| stamp.is_none_or(|(.., mtime, _)| mtime < now - FRESH);
            self.settled = stamps.iter().map(|stamp| *Some(stamp).filter(is_old).unwrap_or(&None)).collect();
            self.last = stamps;
            return None;
        }
        let last = std::mem::replace(&mut self.last, stamps);
        if last == self.last {
            let is_new = self.settled != self.last;
            self.settled.clone_from(&self.last);
            return is_new.then_some(Reload::SameText);
        }
        let mut found = None;
        for (index, stamp) in self.last.iter().enumerate() {
            if is_trust[index] && last[index] == *stamp && self.settled[index] != *stamp {
                self.settled[index] = *stamp;
                found = Some(Reload::Trust);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(mtime: i64) -> Stamp {
        Some((1, 2, 3, mtime, 0))
    }

    #[test]
    fn a_change_counts_once_it_has_stood_for_two_looks() {
        let files: Box<[PathBuf]> = ["/a".into(), "/b".into()].into();
        let mut watch = Watch::default();
        let looks = [
            (at(10), at(10), false),
            (at(10), at(10), false),
            // The certificate, then its key, each seen on its own.
            (at(500), at(10), false),
            (at(500), at(501), false),
            (at(500), at(501), true),
            (at(500), at(501), false),
            // Gone, and back as it was.
            (None, at(501), false),
            (at(500), at(501), false),
            (at(500), at(501), false),
            // Gone for good.
            (None, at(501), false),
            (None, at(501), true),
            (None, at(501), false),
        ];
        for (step, (a, b, expected)) in looks.into_iter().enumerate() {
            let expected = expected.then_some(Reload::SameText);
            assert_eq!(watch.see(&files, &[false, false], vec![a, b], 1_000), expected, "{step}");
        }
    }

    #[test]
    fn a_file_that_says_whom_to_trust_waits_for_no_other_to_stand_still() {
        let files: Box<[PathBuf]> = ["/restless".into(), "/revoked".into()].into();
        let mut watch = Watch::default();
        let looks = [
            (1, 10, None),
            (2, 10, None),
            (3, 500, None),
            (4, 500, Some(Reload::Trust)),
            (5, 500, None),
            (5, 500, Some(Reload::SameText)),
            (5, 500, None),
        ];
        for (step, (restless, revoked, expected)) in looks.into_iter().enumerate() {
            let seen = watch.see(&files, &[false, true], vec![at(restless), at(revoked)], 1_000);
            assert_eq!(seen, expected, "{step}");
        }
    }

    #[test]
    fn a_file_that_was_written_while_it_was_first_read_is_read_again() {
        let files: Box<[PathBuf]> = ["/a".into()].into();
        let mut watch = Watch::default();
        let mut see = |files: &[PathBuf], stamp, now| watch.see(files, &[false], vec![stamp], now).is_some();
        assert!(!see(&files, at(990), 1_000));
        assert!(see(&files, at(990), 1_005));
        assert!(!see(&files, at(990), 1_010));
        let others: Box<[PathBuf]> = ["/b".into()].into();
        assert!(!see(&others, at(10), 1_015));
        assert!(!see(&others, at(10), 1_020));
    }

    #[test]
    fn a_link_that_is_turned_and_a_file_that_is_replaced_are_seen() {
        let directory = std::env::temp_dir().join(format!("ringgate-rotation-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (link, one, two) = (directory.join("link"), directory.join("one"), directory.join("two"));
        for file in [&one, &two] {
            std::fs::write(file, "same length").unwrap();
        }
        std::os::unix::fs::symlink(&one, &link).unwrap();
        let files = [link.clone()];
        let first = stamps(&files);
        assert!(first[0].is_some());
        assert_eq!(stamps(&files), first);
        std::fs::remove_file(&link).unwrap();
        assert_eq!(stamps(&files), [None]);
        std::os::unix::fs::symlink(&two, &link).unwrap();
        assert_ne!(stamps(&files), first);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
