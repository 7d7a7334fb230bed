//! The file of what was used: a header, and records of one length, each with a keyed checksum.
//!
//! A later record of a key takes the place of an earlier one. A file may end within a record, since a host may stop
//! while one is written; a bad record anywhere else is damage, and the file is refused.

use crate::base::ledger::BucketKey;
use crate::policy::rate_limit::Secret;

/// Bytes of the header, and of a record.
pub const LEN: usize = 48;
const MAGIC: &[u8; 16] = b"ringgate usage\r\n";
const VERSION: u32 = 1;
/// What a checksum covers of a header or a record.
const COVERED: usize = LEN - 8;

/// What was used of one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whose bucket: a keyed hash of the limit and of the values of its key.
    pub key: BucketKey,
    /// So much counts as used.
    pub charged: Charged,
    /// Second since 1970 (UTC) from which the record says nothing any more.
    pub until: u64,
}

/// What counts as used, ahead of what was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charged {
    /// Units of the window of the calendar with this number.
    Window {
        /// Its number.
        index: u32,
        /// Units.
        used: u64,
    },
    /// The bucket is full at this nanosecond since 1970 (UTC).
    Steady {
        /// That moment.
        full: u64,
    },
}

/// A file as it was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Contents {
    /// The number that its records are sealed with.
    pub number: u64,
    /// Its records, in order.
    pub records: Vec<Record>,
    /// It ends within a record.
    pub torn: bool,
}

/// The header of a file with this number, which no other file of the secret should have.
pub fn header(secret: &Secret, number: u64) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    bytes[..16].copy_from_slice(MAGIC);
    bytes[16..20].copy_from_slice(&VERSION.to_le_bytes());
    bytes[24..32].copy_from_slice(&number.to_le_bytes());
    seal(secret, &mut bytes, 0);
    bytes
}

/// A record, for the file with this number.
pub fn encode(secret: &Secret, number: u64, record: &Record) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    bytes[..16].copy_from_slice(&record.key.0.to_le_bytes());
    let (kind, index, value) = match record.charged {
        Charged::Window { index, used } => (1_u32, index, used),
        Charged::Steady { full } => (2, 0, full),
    };
    bytes[16..20].copy_from_slice(&kind.to_le_bytes());
    bytes[20..24].copy_from_slice(&index.to_le_bytes());
    bytes[24..32].copy_from_slice(&value.to_le_bytes());
    bytes[32..40].copy_from_slice(&record.until.to_le_bytes());
    seal(secret, &mut bytes, number);
    bytes
}

/// Reads a file.
///
/// # Errors
/// Why it is not believed, in words for the operator.
pub fn decode(secret: &Secret, bytes: &[u8]) -> Result<Contents, String> {
    let Some((head, rest)) = bytes.split_at_checked(LEN) else {
        return Err(format!("has {} bytes, and is not a file of ringgate's limits", bytes.len()));
    };
    if head[..16] != *MAGIC {
        return Err("is not a file of ringgate's limits".to_owned());
    }
    let version = word32(head, 16);
    if version != VERSION {
        return Err(format!("has version {version}, and this ringgate reads version {VERSION}"));
    }
    if !is_sealed(secret, head, 0) {
        return Err("belongs to another `limits.key`, or its beginning is damaged".to_owned());
    }
    let number = word64(head, 24);
    let (whole, tail) = rest.as_chunks::<LEN>();
    let good = |bytes: &[u8; LEN]| if is_sealed(secret, bytes, number) { record(bytes) } else { None };
    let records: Vec<Record> = whole.iter().map_while(good).collect();
    // What a host had not written when it stopped is at the end; nothing whole comes behind it.
    if let Some(later) = whole[records.len()..].iter().position(|bytes| good(bytes).is_some()) {
        let at = LEN * (1 + records.len());
        return Err(format!("is damaged at byte {at}, {later} records before its last whole one"));
    }
    let torn = records.len() < whole.len() || !tail.is_empty();
    Ok(Contents { number, records, torn })
}

fn record(bytes: &[u8; LEN]) -> Option<Record> {
    let mut key = [0; 16];
    key.copy_from_slice(&bytes[..16]);
    let value = word64(bytes, 24);
    let charged = match word32(bytes, 16) {
        1 => Charged::Window { index: word32(bytes, 20), used: value },
        2 => Charged::Steady { full: value },
        _ => return None,
    };
    Some(Record { key: BucketKey(u128::from_le_bytes(key)), charged, until: word64(bytes, 32) })
}

fn seal(secret: &Secret, bytes: &mut [u8; LEN], number: u64) {
    let sum = secret.seal(&[&number.to_le_bytes(), &bytes[..COVERED]]);
    bytes[COVERED..].copy_from_slice(&sum.to_le_bytes());
}

fn is_sealed(secret: &Secret, bytes: &[u8], number: u64) -> bool {
    word64(bytes, COVERED) == secret.seal(&[&number.to_le_bytes(), &bytes[..COVERED]])
}

fn word32(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

fn word64(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NUMBER: u64 = 7;

    fn secret() -> Secret {
        Secret::new([3; 16])
    }

    fn records() -> Vec<Record> {
        vec![
            Record {
                key: BucketKey(u128::MAX / 3),
                charged: Charged::Window { index: 20_001, used: 17 },
                until: 1_800_000_000,
            },
            Record { key: BucketKey(5), charged: Charged::Steady { full: u64::MAX }, until: 9 },
            Record { key: BucketKey(0), charged: Charged::Window { index: 0, used: u64::MAX }, until: 0 },
        ]
    }

    fn file() -> Vec<u8> {
        let mut bytes = header(&secret(), NUMBER).to_vec();
        records().iter().for_each(|record| bytes.extend(encode(&secret(), NUMBER, record)));
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        let read = decode(&secret(), &file()).unwrap();
        assert_eq!(read, Contents { number: NUMBER, records: records(), torn: false });
        let empty = decode(&secret(), &header(&secret(), 1)).unwrap();
        assert_eq!(empty, Contents { number: 1, records: Vec::new(), torn: false });
    }

    #[test]
    fn a_file_that_ends_anywhere_gives_its_whole_records_or_is_refused() {
        let bytes = file();
        for end in 0..=bytes.len() {
            let read = decode(&secret(), &bytes[..end]);
            match end.checked_sub(LEN) {
                None => assert!(read.unwrap_err().contains("is not a file"), "{end}"),
                Some(rest) => {
                    let read = read.unwrap();
                    assert_eq!(read.records, records()[..rest / LEN], "{end}");
                    assert_eq!(read.torn, rest % LEN > 0, "{end}");
                }
            }
        }
    }

    #[test]
    fn a_changed_byte_is_never_believed() {
        let bytes = file();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                let read = decode(&secret(), &changed);
                match at / LEN {
                    0 => assert!(read.is_err(), "byte {at} of the header"),
                    // The last record may have been torn; others may not.
                    3 => assert_eq!(read.unwrap().records, records()[..2], "{at}"),
                    record => {
                        let words = read.unwrap_err();
                        assert!(words.contains(&format!("damaged at byte {}", record * LEN)), "{words}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_foreign_is_refused_with_words() {
        let other = Secret::new([4; 16]);
        let of_another = [header(&secret(), 8).to_vec(), file()[LEN..].to_vec()].concat();
        let mut newer = file();
        newer[16] = 2;
        for (bytes, secret, part) in [
            (file(), other, "belongs to another `limits.key`"),
            (vec![0; 4096], secret(), "is not a file of ringgate's limits"),
            (b"#!/bin/sh\n".repeat(20), secret(), "is not a file of ringgate's limits"),
            (newer, secret(), "has version 2"),
        ] {
            let words = decode(&secret, &bytes).unwrap_err();
            assert!(words.contains(part), "{part}: {words}");
        }
        // Records of an earlier file, as a disk may have them where the end of a file was.
        assert_eq!(decode(&secret(), &of_another).unwrap().records, []);
    }
}
