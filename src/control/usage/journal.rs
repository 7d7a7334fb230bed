//! The file on the disk: appended to while the gateway runs, written anew when it has grown, and at the end.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::codec::{self, Contents, LEN, Record};
use crate::policy::rate_limit::Secret;

/// A file larger than this is not read: more keys than any ledger has room for.
const BYTES_MAX: u64 = 16 << 30;

/// The file, open to be appended to.
pub struct Journal {
    path: PathBuf,
    secret: Secret,
    file: File,
    number: u64,
    bytes: u64,
    /// Something was written that may not be on the disk yet.
    unsynced: bool,
}

impl Journal {
    /// Reads the file at `path`; nothing if there is none.
    ///
    /// # Errors
    /// Why it is not believed, in words for the operator.
    pub fn read(path: &Path, secret: &Secret) -> Result<Option<Contents>, String> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("cannot be read: {error}")),
        };
        let mut bytes = Vec::new();
        file.take(BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| format!("cannot be read: {error}"))?;
        if bytes.len() as u64 > BYTES_MAX {
            return Err(format!("has more than {BYTES_MAX} bytes"));
        }
        codec::decode(secret, &bytes).map(Some)
    }

    /// A new file with these records, in the place of the one at `path` if there is one: that stays whole until the new
    /// one is on the disk. `number` is another than before.
    ///
    /// # Errors
    /// The system's.
    pub fn create(
        path: &Path,
        secret: Secret,
        number: u64,
        records: impl Iterator<Item = Record>,
    ) -> io::Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let fresh = PathBuf::from(name);
        let mut bytes = codec::header(&secret, number).to_vec();
        records.for_each(|record| bytes.extend(codec::encode(&secret, number, &record)));
        // One that was left behind by a host that stopped.
        let _ = std::fs::remove_file(&fresh);
        let mut file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)?;
        if let Some(directory) = path.parent() {
            File::open(directory)?.sync_all()?;
        }
        Ok(Self { path: path.to_owned(), secret, file, number, bytes: bytes.len() as u64, unsynced: false })
    }

    /// Writes records behind the others. They outlast the process from now on, and the host after [`Journal::sync`].
    ///
    /// # Errors
    /// The system's. What came of it is unknown then: make the file anew.
    pub fn append(&mut self, records: &[Record]) -> io::Result<()> {
        let bytes: Vec<u8> =
            records.iter().flat_map(|record| codec::encode(&self.secret, self.number, record)).collect();
        self.file.write_all(&bytes)?;
        self.bytes += bytes.len() as u64;
        self.unsynced = true;
        Ok(())
    }

    /// Waits until all is on the disk.
    ///
    /// # Errors
    /// The system's.
    pub fn sync(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.unsynced) {
            self.file.sync_data()?;
        }
        Ok(())
    }

    /// Writes the file anew.
    ///
    /// # Errors
    /// The system's. The old file is still there then.
    pub fn rewrite(&mut self, records: impl Iterator<Item = Record>) -> io::Result<()> {
        *self = Self::create(&self.path, self.secret, self.number.wrapping_add(1), records)?;
        Ok(())
    }

    /// Whether all that was written is on the disk.
    pub fn is_synced(&self) -> bool {
        !self.unsynced
    }

    /// Whether the file has grown so far beyond so many records that it is worth writing anew.
    pub fn is_long(&self, records: usize) -> bool {
        self.bytes > (1 << 20).max(2 * (LEN * (records + 1)) as u64)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt;

    use super::super::codec::Charged;
    use super::*;
    use crate::base::ledger::BucketKey;

    fn record(key: u128, used: u64) -> Record {
        Record { key: BucketKey(key), charged: Charged::Window { index: 1, used }, until: 5 }
    }

    #[test]
    fn a_file_is_appended_to_written_anew_and_read() {
        let directory = std::env::temp_dir().join(format!("ringgate-journal-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (path, secret) = (directory.join("limits.ledger"), Secret::new([1; 16]));
        assert_eq!(Journal::read(&path, &secret).unwrap(), None);
        let mut journal = Journal::create(&path, secret, 1, [record(1, 2)].into_iter()).unwrap();
        journal.append(&[record(1, 3), record(2, 4)]).unwrap();
        journal.sync().unwrap();
        let read = || Journal::read(&path, &secret).unwrap().unwrap();
        assert_eq!(read().records, [record(1, 2), record(1, 3), record(2, 4)]);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        journal.rewrite([record(9, 9)].into_iter()).unwrap();
        journal.append(&[record(2, 5)]).unwrap();
        assert_eq!((read().number, read().records), (2, vec![record(9, 9), record(2, 5)]));
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_file_is_long_when_most_of_it_is_old() {
        let directory = std::env::temp_dir().join(format!("ringgate-journal-long-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("limits.ledger");
        let mut journal = Journal::create(&path, Secret::new([1; 16]), 1, std::iter::empty()).unwrap();
        let many = vec![record(1, 1); 22_000];
        assert!(!journal.is_long(0));
        journal.append(&many).unwrap();
        assert!(journal.is_long(1) && !journal.is_long(20_000));
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
