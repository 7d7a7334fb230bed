//! What a configuration refers to outside of itself: environment variables and files.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// Answers references. A trait, so that checks can be tested without touching the environment.
pub trait World {
    /// The value of an environment variable, if it is set.
    fn variable(&self, name: &str) -> Option<Vec<u8>>;
    /// The content of a file.
    ///
    /// # Errors
    /// Those of opening and reading; and [`io::ErrorKind::FileTooLarge`] past [`FILE_BYTES_MAX`].
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// The content of a file that is a list, which may be longer: up to [`LIST_BYTES_MAX`].
    ///
    /// # Errors
    /// As [`World::read`].
    fn read_list(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.read(path)
    }
    /// Notes that the file says whom to trust.
    fn note_trust(&self, _path: &Path, _kind: TrustKind) {}
    /// Notes that the file holds a secret.
    fn note_secret(&self, _path: &Path) {}
    /// Whether every user of the host may read the file.
    fn is_open(&self, _path: &Path) -> bool {
        false
    }
}

/// What a file says of whom to trust. Taking over such a file can take trust away, so it waits for no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TrustKind {
    /// `authentication.revoked`.
    Revoked,
    /// `listeners[].tls.client_ca`.
    ClientCa,
    /// `authentication.issuers[].jwks`.
    Keys,
    /// `authentication.api_keys_file`.
    ApiKeys,
    /// `outbound.ca`, `servers[].tls.ca`.
    Ca,
}

impl TrustKind {
    /// Each of them.
    pub const ALL: [Self; 5] = [Self::Revoked, Self::ClientCa, Self::Keys, Self::ApiKeys, Self::Ca];

    /// The name of the option, for logs and metrics.
    pub fn option(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::ClientCa => "client_ca",
            Self::Keys => "jwks",
            Self::ApiKeys => "api_keys_file",
            Self::Ca => "ca",
        }
    }
}

/// A file that says whom to trust.
pub type TrustFile = (PathBuf, TrustKind);

/// Bytes of a file that a configuration may refer to. A bundle of all public authorities has a quarter.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// Bytes of the list of revoked credentials: room for 100,000 of them with ids of 80 characters.
pub const LIST_BYTES_MAX: u64 = 8 << 20;

/// Another world, and which files of it were asked for.
pub struct Recording<'w> {
    world: &'w dyn World,
    files: RefCell<BTreeSet<PathBuf>>,
    trust: RefCell<BTreeSet<TrustFile>>,
    secrets: RefCell<BTreeSet<PathBuf>>,
}

impl<'w> Recording<'w> {
    /// Nothing was asked of `world` yet.
    pub fn of(world: &'w dyn World) -> Self {
        Self { world, files: RefCell::default(), trust: RefCell::default(), secrets: RefCell::default() }
    }

    /// The files that hold secrets and that every user of the host may read, in order.
    pub fn open_secrets(&self) -> Box<[PathBuf]> {
        self.secrets.borrow().iter().filter(|path| self.world.is_open(path)).cloned().collect()
    }

    /// The files that say whom to trust, in order, each once for each kind.
    pub fn trust(&self) -> Box<[TrustFile]> {
        self.trust.borrow().iter().cloned().collect()
    }

    /// The files, in order, each once. Those that could not be read are among them.
    pub fn files(self) -> Box<[PathBuf]> {
        self.files.into_inner().into_iter().collect()
    }
}

impl World for Recording<'_> {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        self.world.variable(name)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.borrow_mut().insert(path.to_owned());
        self.world.read(path)
    }

    fn read_list(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.borrow_mut().insert(path.to_owned());
        self.world.read_list(path)
    }

    fn note_secret(&self, path: &Path) {
        self.secrets.borrow_mut().insert(path.to_owned());
    }

    fn note_trust(&self, path: &Path, kind: TrustKind) {
        self.trust.borrow_mut().insert((path.to_owned(), kind));
    }
}

#[cfg(test)]
pub(crate) mod fake {
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
