//! The state directory: keys and usage that outlast the process. Files have mode 0600, the directory 0700.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};

use super::run::Failure;
use crate::base::Secret;
use crate::config::Snapshot;
use crate::config::snapshot;
use crate::policy::rate_limit;
use crate::policy::session::{KEY_BYTES_MIN, SessionKey};

/// Locked for as long as a gateway uses the directory.
const LOCK: &str = "lock";
/// What binds session ids to callers.
const SESSIONS_KEY: &str = "sessions.key";
/// What the keys of limits are hashed with.
const LIMITS_KEY: &str = "limits.key";
const LIMITS_KEY_BYTES: usize = 16;
/// What was used of limits.
const LEDGER: &str = "limits.ledger";

/// What is kept for this configuration.
#[derive(Default)]
pub struct State {
    /// The key of sessions, if the configuration has none of its own.
    pub session_key: Option<SessionKey>,
    /// Where what was used of limits is kept, and what their keys are hashed with.
    pub limits: Option<(PathBuf, rate_limit::Secret)>,
    /// Held by the process until it ends.
    _lock: Option<File>,
}

/// Opens the directory, and makes what is not there. Nothing is made if there is nothing to keep.
///
/// # Errors
/// With the path and what to do about it, if the directory was given. A usual one that cannot be had is done without,
/// after a warning.
pub fn open(snapshot: &Snapshot) -> Result<State, Failure> {
    let Some(state) = &snapshot.state else { return Ok(State::default()) };
    let sessions = snapshot.authn.is_some() && snapshot.session_key.is_none();
    let limits = snapshot.rate_limits.as_ref().is_some_and(rate_limit::Limits::outlast);
    if !sessions && !limits {
        return Ok(State::default());
    }
    match open_in(state, sessions, limits) {
        Err(what) if !state.given => {
            tracing::warn!(
                "{what}; a restart will end sessions and forget what limits have used (set `state: DIR`, or `state: off`)"
            );
            Ok(State::default())
        }
        opened => opened,
    }
}

fn open_in(state: &snapshot::State, sessions: bool, limits: bool) -> Result<State, Failure> {
    let directory = &state.directory;
    let explain =
        |error: io::Error| format!("the state directory {} cannot be used: {error}", directory.display());
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(explain)?;
    let lock = private().create(true).truncate(false).open(directory.join(LOCK)).map_err(explain)?;
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => format!(
            "the state directory {} is used by another gateway: give each its own `state`",
            directory.display()
        ),
        TryLockError::Error(error) => explain(error),
    })?;
    let mut opened = State { _lock: Some(lock), ..State::default() };
    if sessions {
        let key = key(&directory.join(SESSIONS_KEY), KEY_BYTES_MIN, "which ends all sessions")?;
        opened.session_key = Some(SessionKey::new(key.reveal()));
    }
    if limits {
        let key = key(
            &directory.join(LIMITS_KEY),
            LIMITS_KEY_BYTES,
            "with limits.ledger, which forgets what was used",
        )?;
        let bytes = <[u8; LIMITS_KEY_BYTES]>::try_from(key.reveal()).unwrap_or_default();
        opened.limits = Some((directory.join(LEDGER), rate_limit::Secret::new(bytes)));
    }
    Ok(opened)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

/// The key in the file at `path`, made if there is none. `cost` says what it means to remove it.
fn key(path: &Path, len: usize, cost: &str) -> Result<Secret, Failure> {
    let explain = |error: io::Error| format!("{} cannot be used: {error}", path.display());
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return make(path, len).map_err(explain),
        Err(error) => return Err(explain(error)),
    };
    let mode = file.metadata().map_err(explain)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let path = path.display();
        return Err(format!(
            "{path} can be read by others (mode {mode:04o}): `chmod 600 {path}`, or remove it {cost}"
        ));
    }
    let mut bytes = Vec::new();
    // One byte more, to notice that there are too many.
    file.take(len as u64 + 1).read_to_end(&mut bytes).map_err(explain)?;
    if bytes.len() != len {
        return Err(format!("{} does not have {len} bytes: restore it, or remove it {cost}", path.display()));
    }
    Ok(Secret::new(bytes))
}

fn make(path: &Path, len: usize) -> io::Result<Secret> {
    let mut bytes = vec![0; len];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| io::Error::other("the system has no random numbers to give"))?;
    // Whole under its name, or not there.
    let fresh = path.with_extension("new");
    let _ = std::fs::remove_file(&fresh);
    let mut file = private().create_new(true).open(&fresh)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    if let Some(directory) = path.parent() {
        File::open(directory)?.sync_all()?;
    }
    Ok(Secret::new(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn directory(name: &str) -> snapshot::State {
        let directory = std::env::temp_dir().join(format!("ringgate-state-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        snapshot::State { directory: directory.join("deep/er"), given: true }
    }

    fn id(state: &State) -> Vec<u8> {
        let mut id = Vec::new();
        state.session_key.as_ref().unwrap().bind(b"a", "/", b"own", &mut id);
        id
    }

    #[test]
    fn keys_are_made_once_for_the_owner_alone_and_one_gateway_has_them() {
        let at = directory("keys");
        let first = open_in(&at, true, true).unwrap();
        let mode =
            |name: &str| std::fs::metadata(at.directory.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(
            (mode(""), mode(SESSIONS_KEY), mode(LIMITS_KEY), mode(LOCK)),
            (0o700, 0o600, 0o600, 0o600)
        );
        let words = open_in(&at, true, true).map(|_| ()).unwrap_err();
        assert!(words.contains("used by another gateway"), "{words}");
        let id_before = id(&first);
        drop(first);
        assert_eq!(id(&open_in(&at, true, false).unwrap()), id_before);
        std::fs::remove_file(at.directory.join(SESSIONS_KEY)).unwrap();
        assert_ne!(id(&open_in(&at, true, false).unwrap()), id_before);
        std::fs::remove_dir_all(&at.directory).unwrap();
    }

    #[test]
    fn a_key_that_others_may_read_or_that_is_cut_is_refused_with_words() {
        let at = directory("bad");
        drop(open_in(&at, true, true).unwrap());
        let path = at.directory.join(SESSIONS_KEY);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        let words = open_in(&at, true, false).map(|_| ()).unwrap_err();
        assert!(words.contains("mode 0640") && words.contains("chmod 600"), "{words}");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        for len in [0, 31, 33] {
            std::fs::write(&path, vec![7; len]).unwrap();
            let words = open_in(&at, true, false).map(|_| ()).unwrap_err();
            assert!(words.contains("does not have 32 bytes"), "{words}");
        }
        std::fs::remove_dir_all(&at.directory).unwrap();
    }
}
