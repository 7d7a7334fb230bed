//! The world that a configuration is read in: this process's environment and file system.

use std::io::{self, Read};
use std::path::Path;

use crate::schema::world::{FILE_BYTES_MAX, LIST_BYTES_MAX, World};

/// The process's own environment and file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl World for System {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        use std::os::unix::ffi::OsStringExt;
        std::env::var_os(name).map(OsStringExt::into_vec)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        read(path, FILE_BYTES_MAX)
    }

    fn read_list(&self, path: &Path) -> io::Result<Vec<u8>> {
        read(path, LIST_BYTES_MAX)
    }

    fn is_open(&self, path: &Path) -> bool {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0)
    }
}

fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_and_what_does_not_end_are_errors() {
        let error = |path: &str| System.read(Path::new(path)).map_err(|error| error.kind()).err();
        assert_eq!(error("/nonexistent/file"), Some(io::ErrorKind::NotFound));
        assert_eq!(error("/dev/zero"), Some(io::ErrorKind::FileTooLarge));
        assert!(error("/").is_some(), "a directory");
        let list = System.read_list(Path::new("/dev/zero")).map_err(|error| error.kind());
        assert_eq!(list.err(), Some(io::ErrorKind::FileTooLarge));
        assert_eq!(System.variable("RINGGATE_TEST_NEVER_SET"), None);
        assert!(System.variable("PATH").is_some());
    }
}
