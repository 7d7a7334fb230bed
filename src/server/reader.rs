//! Where the configuration comes from: a file, or the command line.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::{cli, log};
use crate::base::Secret;
use crate::config::check;
use crate::config::snapshot::Snapshot;
use crate::config::world::System;
use crate::control::life::Source;
use crate::control::trust::{Trusted, Works};
use crate::schema::world::{TrustFile, TrustKind, World};

/// Reads the configuration, and remembers its text and the files that it refers to: a file that somebody is editing is
/// not taken over when only a secret was renewed, and a revocation does not wait for a file that is bad.
pub struct Reader {
    source: cli::Source,
    in_force: RefCell<Texts>,
    /// Read last.
    newest: RefCell<Texts>,
}

/// The configuration's text, and the content of each file that it refers to.
#[derive(Clone, Default)]
struct Texts {
    text: Option<Vec<u8>>,
    files: BTreeMap<PathBuf, Secret>,
}

impl Reader {
    /// The first configuration, and the reader for the later ones.
    ///
    /// # Errors
    /// The findings.
    pub fn begin(source: cli::Source) -> Result<(Snapshot, Self), String> {
        let reader = Self { source, in_force: RefCell::default(), newest: RefCell::default() };
        let snapshot = reader.read(1)?;
        reader.in_force.replace(reader.newest.take());
        Ok((snapshot, reader))
    }

    /// Compiles the configuration from `known`; what is missing there is read, and put there.
    fn compile(&self, known: Texts, generation: u64) -> Result<Snapshot, String> {
        let (snapshot, texts) = match &self.source {
            cli::Source::File(file, over) => {
                let world = Remembering { file, texts: RefCell::new(known) };
                (check::load_in(file, generation, &world, over), world.texts.into_inner())
            }
            cli::Source::Flags(flags) => {
                let snapshot = Snapshot::from_flags(flags);
                (snapshot.map(|snapshot| Snapshot { generation, ..snapshot }), known)
            }
        };
        self.newest.replace(texts);
        snapshot.map_err(|findings| findings.to_string())
    }
}

impl Source for Reader {
    fn read(&self, generation: u64) -> Result<Snapshot, String> {
        self.compile(Texts::default(), generation)
    }

    fn read_references(&self, generation: u64) -> Result<Snapshot, String> {
        let text = self.in_force.borrow().text.clone();
        self.compile(Texts { text, files: BTreeMap::new() }, generation)
    }

    fn read_trust(&self, trust: &[TrustFile], generation: u64, works: &Works<'_>) -> Trusted {
        let in_force = self.in_force.borrow().clone();
        let (mut changed, mut waiting) = (BTreeMap::new(), Vec::new());
        for (path, kind) in trust {
            let is_list = *kind == TrustKind::Revoked;
            let read = if is_list { System.read_list(path) } else { System.read(path) };
            match read {
                Ok(bytes) if in_force.files.get(path).is_some_and(|old| old.reveal() == bytes) => {}
                Ok(bytes) => drop(changed.insert(path, (*kind, Secret::new(bytes)))),
                Err(error) => waiting.push((*kind, format!("{}: {error}", path.display()))),
            }
        }
        let with = |files: &[(&PathBuf, &Secret)]| {
            let mut texts = in_force.clone();
            texts.files.extend(files.iter().map(|(path, bytes)| ((*path).clone(), (*bytes).clone())));
            let snapshot = self.compile(texts, generation)?;
            works(&snapshot).map(|()| snapshot)
        };
        let all: Vec<_> = changed.iter().map(|(path, (_, bytes))| (*path, bytes)).collect();
        if all.is_empty() {
            return Trusted { snapshot: None, waiting };
        }
        if let Ok(snapshot) = with(&all) {
            return Trusted { snapshot: Some(snapshot), waiting };
        }
        // One of them is bad: each is tried with those that are good.
        let mut good = Vec::new();
        for (path, (kind, bytes)) in &changed {
            good.push((*path, bytes));
            if let Err(findings) = with(&good) {
                good.pop();
                waiting.push((*kind, findings.trim_end().to_owned()));
            }
        }
        let snapshot = if good.is_empty() { None } else { with(&good).ok() };
        Trusted { snapshot, waiting }
    }

    fn follow(&self, snapshot: &Snapshot) {
        log::follow(snapshot.log);
    }

    fn accepted(&self) {
        self.in_force.replace(self.newest.take());
    }
}

/// The process's own world, but for what is remembered of it.
struct Remembering<'r> {
    file: &'r Path,
    texts: RefCell<Texts>,
}

impl World for Remembering<'_> {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        System.variable(name)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.remembered(path, |path| System.read(path))
    }

    fn read_list(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.remembered(path, |path| System.read_list(path))
    }
}

impl Remembering<'_> {
    fn remembered(&self, path: &Path, read: impl Fn(&Path) -> io::Result<Vec<u8>>) -> io::Result<Vec<u8>> {
        let known = {
            let texts = self.texts.borrow();
            match path == self.file {
                true => texts.text.clone(),
                false => texts.files.get(path).map(|bytes| bytes.reveal().to_vec()),
            }
        };
        if let Some(bytes) = known {
            return Ok(bytes);
        }
        let bytes = read(path)?;
        let mut texts = self.texts.borrow_mut();
        if path == self.file {
            texts.text = Some(bytes.clone());
        } else {
            texts.files.insert(path.to_owned(), Secret::new(bytes.clone()));
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_renewed_secret_does_not_take_over_a_file_that_is_being_edited() {
        let directory = std::env::temp_dir().join(format!("ringgate-reader-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (file, token) = (directory.join("f.yaml"), directory.join("token"));
        let text = |name: &str| {
            format!("servers: [{{name: {name}, url: 'http://127.0.0.1:1', credentials: {{bearer: token}}}}]")
        };
        std::fs::write(&file, text("one")).unwrap();
        std::fs::write(&token, "first\n").unwrap();
        let (snapshot, reader) =
            Reader::begin(cli::Source::File(file.clone(), check::Flags::default())).unwrap();
        assert_eq!(*snapshot.files, *std::slice::from_ref(&token));
        assert_eq!(snapshot.servers[0].headers.reveal(), b"Authorization: Bearer first\r\n");

        std::fs::write(&file, "servers: [{na").unwrap();
        std::fs::write(&token, "second\n").unwrap();
        let again = reader.read_references(2).unwrap();
        assert_eq!((again.generation, &*again.servers[0].name), (2, "one"));
        assert_eq!(again.servers[0].headers.reveal(), b"Authorization: Bearer second\r\n");
        assert!(reader.read(3).is_err());

        // Read, but not accepted: the text in force is still the first one.
        std::fs::write(&file, text("two")).unwrap();
        assert_eq!(&*reader.read(3).unwrap().servers[0].name, "two");
        assert_eq!(&*reader.read_references(4).unwrap().servers[0].name, "one");
        assert_eq!(&*reader.read(5).unwrap().servers[0].name, "two");
        reader.accepted();
        assert_eq!(&*reader.read_references(6).unwrap().servers[0].name, "two");
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn what_says_whom_to_trust_is_taken_over_file_by_file_while_others_are_bad() {
        let directory = std::env::temp_dir().join(format!("ringgate-reader-trust-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let put = |name: &str, text: &str| std::fs::write(directory.join(name), text).unwrap();
        let key = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"KID","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
        put(
            "f.yaml",
            "public_url: http://127.0.0.1:1\nauthentication: {revoked: revoked, issuers: [{issuer: 'https://i.example', jwks: keys}]}\n\
             servers: [{name: one, url: 'http://127.0.0.1:1', credentials: {bearer: token}}]",
        );
        // As long as a list of many ids is.
        put("revoked", &format!("# {}\n", "x".repeat(2 << 20)));
        put("keys", key);
        put("token", "first");
        let (old, reader) =
            Reader::begin(cli::Source::File(directory.join("f.yaml"), check::Flags::default())).unwrap();
        let read = || reader.read_trust(&old.trust, 2, &|_| Ok(()));
        let unchanged = read();
        assert!(unchanged.snapshot.is_none() && unchanged.waiting.is_empty());
        // The text, another file, and one of those that say whom to trust: all bad.
        put("f.yaml", "servers: [{na");
        put("token", "");
        put("revoked", "jti:one\n?\n");
        put("keys", "{");
        assert!(reader.read(2).is_err() && reader.read_references(2).is_err());
        let trusted = read();
        let new = trusted.snapshot.unwrap();
        let revoked = |snapshot: &Snapshot| snapshot.authn.as_ref().unwrap().revoked.clone();
        assert_ne!(revoked(&new), revoked(&old));
        assert_eq!(revoked(&new).unreadable().count, 1);
        assert_eq!(new.authn.as_ref().unwrap().issuers, old.authn.as_ref().unwrap().issuers);
        assert_eq!(new.servers[0].headers.reveal(), b"Authorization: Bearer first\r\n");
        let [(kind, finding)] = &trusted.waiting[..] else { panic!("{:?}", trusted.waiting) };
        assert!(*kind == TrustKind::Keys && finding.contains("jwks: "), "{finding}");
        reader.accepted();
        assert!(read().snapshot.is_none(), "it is in force");
        // What does not work with the rest waits too; what is gone keeps what it said.
        put("keys", &key.replace("KID", "other"));
        let failing = reader.read_trust(&old.trust, 3, &|_| Err("no".to_owned()));
        assert!(failing.snapshot.is_none() && failing.waiting.len() == 1);
        std::fs::remove_file(directory.join("revoked")).unwrap();
        let trusted = read();
        assert_eq!(revoked(&trusted.snapshot.unwrap()), revoked(&new));
        assert_eq!(trusted.waiting[0].0, TrustKind::Revoked);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
