//! What a configuration refers to outside of itself: environment variables and files.

use std::io::{self, Read};
use std::path::Path;

/// Answers references. A trait, so that checks can be tested without touching the environment.
pub trait World {
    /// The value of an environment variable, if it is set.
    fn variable(&self, name: &str) -> Option<Vec<u8>>;
    /// The content of a file.
    ///
    /// # Errors
    /// Those of opening and reading; and [`io::ErrorKind::FileTooLarge`] past [`FILE_BYTES_MAX`].
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
}

/// Bytes of a file that a configuration may refer to. A bundle of all public authorities has a quarter.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// The process's own environment and file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl World for System {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        use std::os::unix::ffi::OsStringExt;
        std::env::var_os(name).map(OsStringExt::into_vec)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    }
}

#[cfg(test)]
pub(super) mod fake {
    use super::*;

    /// A world of these variables and files.
    #[derive(Default)]
    pub(crate) struct Fake {
        pub(crate) variables: Vec<(&'static str, Vec<u8>)>,
        pub(crate) files: Vec<(&'static str, Vec<u8>)>,
    }

    impl World for Fake {
        fn variable(&self, name: &str) -> Option<Vec<u8>> {
            self.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
        }

        fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
            let file = self.files.iter().find(|(known, _)| Path::new(known) == path);
            file.map(|(_, bytes)| bytes.clone()).ok_or_else(|| io::ErrorKind::NotFound.into())
        }
    }
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
        assert_eq!(System.variable("RINGGATE_TEST_NEVER_SET"), None);
        assert!(System.variable("PATH").is_some());
    }
}
