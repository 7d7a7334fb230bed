//! API keys: `rgk_ID_SECRET`. The id finds the entry, the entry holds a salted hash of the whole key, and the end of the
//! secret is a checksum, so that a slip of the finger is told from a wrong key without asking anybody.
//!
//! One round of SHA-256 is enough, because the secret is 256 bits of randomness and not a word that people choose:
//! there is nothing to try. The salt keeps equal keys from having equal hashes.

use std::fmt;

use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use serde_json::Value as Json;

use super::Facts;
use super::refused::{EXPIRED, MISTYPED_API_KEY, Refused, UNKNOWN_API_KEY, WRONG_AUDIENCE};
use crate::base::Secret;
use crate::policy::principal::{Principal, Proof};

/// What every key begins with. Scanners of repositories look for such words.
pub const PREFIX: &str = "rgk_";
/// Bytes of a key's id.
pub const ID_BYTES_MAX: usize = 64;
/// Random bytes of a secret.
pub const SECRET_BYTES: usize = 32;
/// Random bytes of a salt that is made here.
pub const SALT_BYTES: usize = 16;

/// Hexadecimal digits of the checksum.
const CHECK_LEN: usize = 8;

/// An API key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id: what finds it, what revokes it, and what logs call it.
    pub id: Box<str>,
    /// The hash of the key.
    pub hash: Hash,
    /// Whose it is. Several keys may be of one agent, so that one can take over from another.
    pub agent: Box<str>,
    /// On whose behalf it calls.
    pub user: Option<Box<str>>,
    /// The organisation of both.
    pub tenant: Option<Box<str>>,
    /// Roles, sorted, none twice.
    pub roles: Box<[Box<str>]>,
    /// Scopes, sorted, none twice.
    pub scopes: Box<[Box<str>]>,
    /// When it ends, in seconds since 1970 (UTC).
    pub expires: Option<u64>,
    /// The servers it is for; empty: all.
    pub servers: Box<[Box<str>]>,
}

/// A salted hash: `sha256:SALT:HASH`, both in hexadecimal.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash {
    salt: Box<[u8]>,
    sum: Secret,
}

impl Hash {
    /// The hash of this key with this salt.
    pub fn of(key: &[u8], salt: &[u8]) -> Self {
        let salted = [salt, key].concat();
        Self { salt: salt.into(), sum: Secret::new(digest(&SHA256, &salted).as_ref()) }
    }

    /// Reads `sha256:SALT:HASH` with a salt of 8 to 64 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let (salt, sum) = text.strip_prefix("sha256:")?.split_once(':')?;
        let (salt, sum) = (from_hex(salt)?, from_hex(sum)?);
        let good = (8..=64).contains(&salt.len()) && sum.len() == SHA256_OUTPUT_LEN;
        good.then(|| Self { salt: salt.into(), sum: Secret::new(sum) })
    }

    /// As [`Hash::parse`] reads it. For the operator who stores it, and nobody else.
    pub fn reveal(&self) -> String {
        format!("sha256:{}:{}", hex(&self.salt), hex(self.sum.reveal()))
    }

    fn is_of(&self, key: &[u8]) -> bool {
        Self::of(key, &self.salt).sum.is(self.sum.reveal())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// All API keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeys {
    /// By id.
    keys: Box<[ApiKey]>,
    /// What a key of an unknown id is compared with, so that the answer takes as long.
    nobodys: Hash,
}

impl ApiKeys {
    /// These keys. Of two with one id neither is found reliably, so there must not be two.
    pub fn new(mut keys: Vec<ApiKey>) -> Self {
        keys.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        Self { keys: keys.into(), nobodys: Hash::of(b"", &[0; SALT_BYTES]) }
    }

    /// Who shows `key`.
    ///
    /// # Errors
    /// If it is not whole, not known, ended, or not for this server. Which ids there are is not told: a wrong secret and
    /// an unknown id are one answer, after the same work.
    pub fn authenticate(&self, key: &[u8], facts: &Facts<'_>) -> Result<Principal, Refused> {
        let id = id_of(key).ok_or(MISTYPED_API_KEY)?;
        let found = self.keys.binary_search_by(|known| (*known.id).cmp(id)).ok();
        let entry = found.and_then(|at| self.keys.get(at));
        let is_right = entry.map_or(&self.nobodys, |entry| &entry.hash).is_of(key);
        let entry = entry.filter(|_| is_right).ok_or(UNKNOWN_API_KEY)?;
        if entry.expires.is_some_and(|end| end <= facts.now) {
            return Err(EXPIRED);
        }
        if !entry.servers.is_empty() && !entry.servers.iter().any(|server| **server == *facts.server) {
            return Err(WRONG_AUDIENCE);
        }
        Ok(Principal {
            proof: Proof::ApiKey,
            issuer: Proof::ApiKey.label().into(),
            agent: Some(entry.agent.clone()),
            user: entry.user.clone(),
            tenant: entry.tenant.clone(),
            roles: entry.roles.clone(),
            scopes: entry.scopes.clone(),
            claims: Json::Object(serde_json::Map::new()),
            credential: Some(entry.id.clone()),
            expires: entry.expires,
        })
    }
}

/// The key with this id and secret.
pub fn mint(id: &str, secret: &[u8; SECRET_BYTES]) -> String {
    let body = format!("{PREFIX}{id}_{}", hex(secret));
    let check = checksum(body.as_bytes());
    body + &check
}

/// The id of a key, if the key is whole.
fn id_of(key: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(key).ok()?;
    let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    if !is_id(id) || secret.len() != 2 * SECRET_BYTES + CHECK_LEN {
        return None;
    }
    let (body, check) = key.split_at_checked(key.len() - CHECK_LEN)?;
    (checksum(body).as_bytes() == check).then_some(id)
}

/// Whether `text` can be the id of a key: letters, digits, `-` and `.`.
pub fn is_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    (1..=ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

fn checksum(body: &[u8]) -> String {
    let sum = digest(&SHA256, body);
    hex(&sum.as_ref()[..CHECK_LEN / 2])
}

/// Bytes in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xF]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text.chars().map(|char| char.to_digit(16)).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| (high << 4 | low) as u8).collect())
}

#[cfg(test)]
mod tests;
