//! Session ids that serve only the principal they were given to.
//!
//! A legacy session is the server's: its id names state that belongs to one caller (MCP 2025-11-25, security best
//! practices, session hijacking: bind the id to the user). The id that a client sees is therefore the server's own
//! with a tag in front, made with a key that only the gateway has; it is checked on every request.

use ring::hmac;

use crate::base::secret::same;

/// Characters of a tag: 128 bits in base64url.
const TAG_CHARS: usize = 22;
/// Ends the tag. No character of base64url, and none that a query needs to escape.
const MARK: u8 = b'.';
/// Bytes that a configured key must have at least.
pub const KEY_BYTES_MIN: usize = 32;

/// The key that binds ids to principals. Hosts behind one load balancer share it.
#[derive(Clone)]
pub struct SessionKey(hmac::Key);

impl SessionKey {
    /// The key made of these bytes, of which there should be [`KEY_BYTES_MIN`] that nobody can guess.
    pub fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// A key of this process alone: sessions end with it. `None` if the system has no randomness to give.
    pub fn random() -> Option<Self> {
        let mut bytes = [0; KEY_BYTES_MIN];
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes).ok()?;
        Some(Self::new(&bytes))
    }

    /// Appends the id that the client gets: `own` of the server at `path`, bound to the principal with this identity.
    pub fn bind(&self, identity: &[u8], path: &str, own: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.tag(identity, path, own));
        out.push(MARK);
        out.extend_from_slice(own);
    }

    /// The server's own id of `bound`, if it was bound to this principal for the server at `path`.
    pub fn open<'b>(&self, identity: &[u8], path: &str, bound: &'b [u8]) -> Option<&'b [u8]> {
        let (tag, rest) = bound.split_at_checked(TAG_CHARS)?;
        let own = rest.strip_prefix(&[MARK])?;
        same(tag, &self.tag(identity, path, own)).then_some(own)
    }

    /// Appends to `target`, which ends with `query` if there is one, a parameter that binds the target `path?query` to
    /// the principal with this identity and to the server at `server`: the sessions of the HTTP+SSE transport (MCP
    /// 2024-11-05), whose id stands in the URI for messages.
    pub fn seal_target(
        &self,
        identity: &[u8],
        server: &str,
        path: &str,
        query: Option<&str>,
        target: &mut Vec<u8>,
    ) {
        let own = target_of(path, query.map(str::as_bytes));
        target.push(if query.is_some() { b'&' } else { b'?' });
        target.extend_from_slice(PARAMETER);
        target.extend_from_slice(&self.tag(identity, server, &own));
    }

    /// The server's own query of a target that was sealed for this principal. `None` if it was not; `Some(None)` where
    /// the server's own target has no query.
    pub fn open_target<'q>(
        &self,
        identity: &[u8],
        server: &str,
        path: &str,
        query: Option<&'q [u8]>,
    ) -> Option<Option<&'q [u8]>> {
        let query = query?;
        let (rest, tag) = query.split_at_checked(query.len().checked_sub(TAG_CHARS)?)?;
        let own = rest.strip_suffix(PARAMETER)?;
        let own = if own.is_empty() { None } else { Some(own.strip_suffix(b"&")?) };
        same(tag, &self.tag(identity, server, &target_of(path, own))).then_some(own)
    }

    fn tag(&self, identity: &[u8], path: &str, own: &[u8]) -> [u8; TAG_CHARS] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [identity, path.as_bytes(), own] {
            // The length in front keeps one part from being read as the end of another.
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let digest = context.sign();
        let mut tag = [0; TAG_CHARS];
        for (at, character) in tag.iter_mut().enumerate() {
            *character = ALPHABET[usize::from(six_bits(digest.as_ref(), at * 6))];
        }
        tag
    }
}

/// The parameter of a target that holds its tag.
const PARAMETER: &[u8] = b"~tag=";

/// What of a target is bound. Begins as no session id of a server does, for those have no blank.
fn target_of(path: &str, query: Option<&[u8]>) -> Vec<u8> {
    let mark: &[u8] = if query.is_some() { b"?" } else { b"" };
    [b" ", path.as_bytes(), mark, query.unwrap_or_default()].concat()
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn six_bits(bytes: &[u8], bit: usize) -> u8 {
    let pair = u16::from_be_bytes([bytes[bit / 8], bytes[bit / 8 + 1]]);
    (pair >> (10 - bit % 8)) as u8 & 63
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKey(***)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn bound(key: &SessionKey, identity: &[u8], path: &str, own: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        key.bind(identity, path, own, &mut out);
        out
    }

    #[test]
    fn a_session_opens_only_for_its_principal_its_server_and_as_it_was_given() {
        let key = SessionKey::new(&[7; 32]);
        let id = bound(&key, b"alice", "/a/mcp", b"0~server.session");
        assert_eq!(id.len(), TAG_CHARS + 1 + 16);
        assert!(id.iter().all(u8::is_ascii_graphic));
        assert_eq!(key.open(b"alice", "/a/mcp", &id).unwrap(), b"0~server.session");
        assert_eq!(key.open(b"mallory", "/a/mcp", &id), None, "another principal");
        assert_eq!(key.open(b"alice", "/b/mcp", &id), None, "another server");
        assert_eq!(SessionKey::new(&[8; 32]).open(b"alice", "/a/mcp", &id), None, "another key");
        assert_eq!(key.open(b"alice", "/a/mcp", b"0~server.session"), None, "the server's own id");
        for at in 0..id.len() {
            let mut changed = id.clone();
            changed[at] ^= 1;
            assert_eq!(key.open(b"alice", "/a/mcp", &changed), None, "byte {at}");
            assert_eq!(key.open(b"alice", "/a/mcp", &id[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn an_id_of_every_character_that_mcp_permits_comes_back_as_it_was() {
        let (key, all) = (SessionKey::new(&[7; 32]), (0x21..=0x7e).collect::<Vec<u8>>());
        for own in [&all[..], b",", b".", b"1~a", b"a,b", b";=\"\\"] {
            assert_eq!(key.open(b"alice", "/a/mcp", &bound(&key, b"alice", "/a/mcp", own)).unwrap(), own);
        }
    }

    #[test]
    fn a_target_for_messages_opens_only_for_its_principal_and_as_it_was_given() {
        let key = SessionKey::new(&[7; 32]);
        for query in [Some("sessionId=7"), Some(""), None] {
            let mut target = Vec::new();
            key.seal_target(b"alice", "/a/mcp", "/messages/", query, &mut target);
            let sealed = match query {
                Some(query) => [query.as_bytes(), &target].concat(),
                None => target[1..].to_vec(),
            };
            let own = query.filter(|query| !query.is_empty()).map(str::as_bytes);
            // An empty query and none are told apart by nobody.
            let opened = key.open_target(b"alice", "/a/mcp", "/messages/", Some(&sealed));
            if query != Some("") {
                assert_eq!(opened, Some(own), "{}", String::from_utf8_lossy(&sealed));
            }
            assert_eq!(key.open_target(b"mallory", "/a/mcp", "/messages/", Some(&sealed)), None);
            assert_eq!(key.open_target(b"alice", "/b/mcp", "/messages/", Some(&sealed)), None);
            assert_eq!(key.open_target(b"alice", "/a/mcp", "/message", Some(&sealed)), None);
            for at in 0..sealed.len() {
                let mut changed = sealed.clone();
                changed[at] ^= 1;
                let opened = key.open_target(b"alice", "/a/mcp", "/messages/", Some(&changed));
                assert_eq!(opened, None, "byte {at} of {}", String::from_utf8_lossy(&sealed));
            }
        }
        assert_eq!(key.open_target(b"alice", "/a/mcp", "/messages/", None), None);
        assert_eq!(key.open_target(b"alice", "/a/mcp", "/messages/", Some(b"sessionId=7")), None);
    }

    #[test]
    fn what_belongs_to_one_part_does_not_count_as_another() {
        let key = SessionKey::new(&[7; 32]);
        assert_ne!(bound(&key, b"ab", "c", b"d")[..TAG_CHARS], bound(&key, b"a", "bc", b"d")[..TAG_CHARS]);
        assert_ne!(bound(&key, b"a", "b", b"cd")[..TAG_CHARS], bound(&key, b"a", "bc", b"d")[..TAG_CHARS]);
    }

    #[test]
    fn every_process_makes_a_key_of_its_own() {
        let (one, other) = (SessionKey::random().unwrap(), SessionKey::random().unwrap());
        let id = bound(&one, b"a", "/", b"x");
        assert!(one.open(b"a", "/", &id).is_some() && other.open(b"a", "/", &id).is_none());
        assert_eq!(format!("{one:?}"), "SessionKey(***)");
    }
}
