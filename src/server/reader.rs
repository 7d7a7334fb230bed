//! Where the configuration comes from: a file, or the command line.

use std::cell::RefCell;
use std::io;
use std::path::Path;

use super::{cli, log};
use crate::config::check;
use crate::config::snapshot::Snapshot;
use crate::config::world::{System, World};
use crate::control::life::Source;

/// Reads the configuration, and remembers its text, so that a file that somebody is editing is not taken over when
/// only a secret was renewed.
pub struct Reader {
    source: cli::Source,
    /// In force.
    text: RefCell<Vec<u8>>,
    /// Read last.
    newest: RefCell<Vec<u8>>,
}

impl Reader {
    /// The first configuration, and the reader for the later ones.
    ///
    /// # Errors
    /// The findings.
    pub fn begin(source: cli::Source) -> Result<(Snapshot, Self), String> {
        let reader = Self { source, text: RefCell::default(), newest: RefCell::default() };
        let snapshot = reader.read(1)?;
        reader.text.replace(reader.newest.take());
        Ok((snapshot, reader))
    }

    /// Compiles the configuration; its text is the remembered one if there is one, else it is read and put there.
    fn compile(&self, text: &RefCell<Option<Vec<u8>>>, generation: u64) -> Result<Snapshot, String> {
        let snapshot = match &self.source {
            cli::Source::File(file, over) => {
                check::load_in(file, generation, &Remembering { file, text }, over)
            }
            cli::Source::Flags(flags) => {
                Snapshot::from_flags(flags).map(|snapshot| Snapshot { generation, ..snapshot })
            }
        };
        snapshot.map_err(|findings| findings.to_string())
    }
}

impl Source for Reader {
    fn read(&self, generation: u64) -> Result<Snapshot, String> {
        let text = RefCell::new(None);
        let snapshot = self.compile(&text, generation)?;
        self.newest.replace(text.take().unwrap_or_default());
        Ok(snapshot)
    }

    fn read_references(&self, generation: u64) -> Result<Snapshot, String> {
        self.compile(&RefCell::new(Some(self.text.borrow().clone())), generation)
    }

    fn accepted(&self, snapshot: &Snapshot) {
        self.text.replace(self.newest.take());
        log::follow(snapshot.log);
    }
}

/// The process's own world, but for one file whose text is remembered.
struct Remembering<'r> {
    file: &'r Path,
    text: &'r RefCell<Option<Vec<u8>>>,
}

impl World for Remembering<'_> {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        System.variable(name)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path != self.file {
            return System.read(path);
        }
        let known = self.text.borrow().clone();
        match known {
            Some(text) => Ok(text),
            None => {
                let text = System.read(path)?;
                self.text.replace(Some(text.clone()));
                Ok(text)
            }
        }
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
        reader.accepted(&reader.read(4).unwrap());
        assert_eq!(&*reader.read_references(6).unwrap().servers[0].name, "two");
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
