//! Who calls, remembered: the credentials that one worker has verified, and those that were refused a moment ago.
//!
//! What is remembered belongs to one configuration and one set of keys: with either it is forgotten as a whole, so
//! nothing outlives a revocation, a rotation or an issuer that was removed. No entry outlives its credential.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::rc::{Rc, Weak};

use crate::base::Secret;
use crate::base::secret::same;
use crate::config::snapshot::{ServerId, Snapshot};
use crate::policy::Principal;
use crate::policy::adaptive::Class;
use crate::policy::authn::Refused;
use crate::policy::authz::Grants;
use crate::policy::rate_limit::{CallerKeys, Secret as KeySecret};

mod refusals;

use refusals::Refusals;

/// Credentials that are remembered in each of two generations. The older is dropped when the younger is full.
const GENERATION: usize = 8192;
/// A credential is verified again after so many seconds, whatever its own end.
const REMEMBERED: u64 = 300;
/// A token that its issuer was asked about in vain is refused without asking for so many seconds. Short, because an issuer
/// may know of a new token a moment late.
pub const REFUSED_REMEMBERED: u64 = 5;
/// So many bytes at the end of a credential choose its place: the end of a JWT is its signature, which differs
/// wherever anything does. All of it is compared.
const HASHED_BYTES: usize = 32;

/// A principal as one worker knows it, with all that was derived from it.
pub struct Caller {
    /// Who it is.
    pub principal: Rc<Principal>,
    /// [`Principal::identity`].
    pub identity: Box<[u8]>,
    /// What of it counts for limits; `None` where there are none.
    pub keys: Option<CallerKeys>,
    /// Whether its calls go first where a server is busy.
    pub class: Class,
    /// The rules that it can meet; `None` where there are no rules.
    pub grants: Option<Rc<Grants>>,
    /// What is exchanged for a token for the server, where one is: what it showed, or what that was traded for.
    pub subject: Option<Secret>,
    /// The token that the server is shown on its behalf.
    pub token: RefCell<Option<Granted>>,
    /// The assertion that tells the server who it is, as a header line, and when another is made.
    pub assertion: RefCell<Option<Granted>>,
}

/// Something that is shown to a server for a time.
#[derive(Clone)]
pub struct Granted {
    /// The header line, with its end.
    pub line: Secret,
    /// When it was had, in the same seconds.
    pub since: u64,
    /// Not shown any more from here on, in seconds since 1970 (UTC).
    pub until: u64,
}

impl Granted {
    /// What is held, if it is still good.
    pub fn of(held: &RefCell<Option<Self>>, now: u64) -> Option<Self> {
        held.borrow().as_ref().filter(|granted| granted.until > now).cloned()
    }
}

/// Where a credential was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// As a bearer token.
    Bearer,
    /// As an API key in a header of its own.
    ApiKey,
    /// As the certificate of the connection.
    Certificate,
}

/// For tables whose keys are hashes already.
type Hashed = BuildHasherDefault<AsItIs>;

/// Takes a hash for its own.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        debug_assert!(false, "only hashes are hashed here");
        self.0 = bytes.iter().fold(self.0, |hash, &byte| hash.rotate_left(8) ^ u64::from(byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// One remembered credential.
struct Entry {
    place: Place,
    server: ServerId,
    credential: Secret,
    caller: Rc<Caller>,
    until: u64,
    /// Bytes of credential and principal.
    bytes: usize,
}

impl Entry {
    fn is(&self, place: Place, server: ServerId, credential: &[u8]) -> bool {
        self.place == place && self.server == server && same(self.credential.reveal(), credential)
    }

    /// About how many bytes of memory it takes, with what was derived from it.
    fn weight(&self) -> usize {
        let granted = |held: &RefCell<Option<Granted>>| {
            held.borrow().as_ref().map_or(0, |granted| granted.line.reveal().len())
        };
        let subject = self.caller.subject.as_ref().map_or(0, |subject| subject.reveal().len());
        self.bytes + subject + granted(&self.caller.token) + granted(&self.caller.assertion)
    }
}

/// A map takes up to this many bytes for an entry besides what hangs on it: it is at least 7/16 full.
const ENTRY_BYTES: usize = (size_of::<(u64, Entry)>() + 1) * 16 / 7 + size_of::<Caller>();

/// Entries that become old together, and what they weigh.
#[derive(Default)]
struct Generation {
    entries: HashMap<u64, Entry, Hashed>,
    bytes: usize,
}

/// The credentials that one worker remembers.
pub struct Callers {
    young: RefCell<Generation>,
    old: RefCell<Generation>,
    /// Bytes of each generation.
    bytes_max: usize,
    refusals: Refusals,
    /// Keyed, so that nobody chooses credentials that fall on one place.
    hasher: RandomState,
    /// One for each server: what it is shown of a caller is for it alone.
    anonymous: RefCell<HashMap<u16, Rc<Caller>>>,
    /// Principals that meet the same rules share what was found out about these.
    grants: RefCell<HashMap<u64, Vec<Weak<Grants>>>>,
    server_tokens: RefCell<HashMap<u16, Granted>>,
    hits: Cell<u64>,
}

impl Callers {
    /// A memory of nobody, for so many bytes of credentials and what they say.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            young: RefCell::default(),
            old: RefCell::default(),
            bytes_max: bytes_max / 2,
            refusals: Refusals::default(),
            hasher: RandomState::new(),
            anonymous: RefCell::default(),
            grants: RefCell::default(),
            server_tokens: RefCell::default(),
            hits: Cell::default(),
        }
    }

    /// Who shows this credential to this server, if that is known.
    pub fn find(&self, place: Place, server: ServerId, credential: &[u8], now: u64) -> Option<Rc<Caller>> {
        let key = self.key(place, server, credential);
        if let Some(entry) = self.young.borrow().entries.get(&key) {
            let found = entry.until > now && entry.is(place, server, credential);
            return found.then(|| {
                self.hits.set(self.hits.get() + 1);
                entry.caller.clone()
            });
        }
        let old = self.old.borrow_mut().entries.remove(&key)?;
        let found = (old.until > now && old.is(place, server, credential)).then(|| old.caller.clone());
        self.keep(key, old);
        found
    }

    /// Remembers who shows this credential to this server.
    pub fn remember(&self, place: Place, server: ServerId, credential: &[u8], caller: Rc<Caller>, now: u64) {
        let end = caller.principal.expires.unwrap_or(u64::MAX);
        let entry = Entry {
            place,
            server,
            credential: Secret::new(credential),
            bytes: ENTRY_BYTES + credential.len() + caller.identity.len() + caller.principal.bytes(),
            caller,
            until: end.min(now + REMEMBERED),
        };
        if entry.until > now {
            self.keep(self.key(place, server, credential), entry);
        }
    }

    /// Why this credential is refused at this server, if that was found out a moment ago.
    pub fn find_refused(
        &self,
        place: Place,
        server: ServerId,
        credential: &[u8],
        now: u64,
    ) -> Option<Refused> {
        if self.refusals.is_empty() {
            return None;
        }
        self.refusals.find(self.whole_key(place, server, credential), now)
    }

    /// Remembers, until then, why this credential is refused at this server. For refusals that no retry would change
    /// and that cost a question; see [`REFUSED_REMEMBERED`].
    pub fn remember_refused(
        &self,
        place: Place,
        server: ServerId,
        credential: &[u8],
        refused: Refused,
        until: u64,
    ) {
        self.refusals.keep(self.whole_key(place, server, credential), refused, until);
    }

    /// The hash of all of a credential: what is refused is not compared, for it is not kept.
    fn whole_key(&self, place: Place, server: ServerId, credential: &[u8]) -> u64 {
        self.hasher.hash_one((place, server, credential))
    }

    fn keep(&self, key: u64, entry: Entry) {
        let bytes = entry.weight();
        if bytes > self.bytes_max {
            return;
        }
        let mut young = self.young.borrow_mut();
        let is_full = young.entries.len() >= GENERATION && !young.entries.contains_key(&key);
        if is_full || young.bytes + bytes > self.bytes_max {
            *self.old.borrow_mut() = std::mem::take(&mut *young);
        }
        young.bytes += bytes;
        if let Some(before) = young.entries.insert(key, entry) {
            young.bytes = young.bytes.saturating_sub(before.weight());
        }
    }

    /// Notes that so many bytes more are kept with a caller that is remembered.
    pub fn note_kept(&self, bytes: usize) {
        self.young.borrow_mut().bytes += bytes;
    }

    fn key(&self, place: Place, server: ServerId, credential: &[u8]) -> u64 {
        let end = &credential[credential.len().saturating_sub(HASHED_BYTES)..];
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u64((credential.len() as u64) << 24 | u64::from(server.0) << 8 | place as u64);
        hasher.write(end);
        hasher.finish()
    }

    /// A caller made of a principal that was just verified.
    pub fn caller(
        &self,
        snapshot: &Snapshot,
        secret: &KeySecret,
        principal: Principal,
        subject: Option<Secret>,
    ) -> Rc<Caller> {
        let grants = snapshot.access.rules.as_ref().map(|rules| self.shared(rules.grants(&principal)));
        let keys = snapshot.rate_limits.as_ref().map(|limits| limits.caller(secret, &principal));
        Rc::new(Caller {
            keys,
            class: snapshot.priorities.class_of(&principal),
            identity: principal.identity().into(),
            principal: Rc::new(principal),
            grants,
            subject,
            token: RefCell::default(),
            assertion: RefCell::default(),
        })
    }

    /// The caller that shows nothing.
    pub fn anonymous(&self, snapshot: &Snapshot, secret: &KeySecret, server: ServerId) -> Rc<Caller> {
        if let Some(caller) = self.anonymous.borrow().get(&server.0) {
            return caller.clone();
        }
        let roles = snapshot.authn.as_ref().map(|authn| authn.anonymous_roles.to_vec()).unwrap_or_default();
        let caller = self.caller(snapshot, secret, Principal::anonymous(roles), None);
        self.anonymous.borrow_mut().insert(server.0, caller.clone());
        caller
    }

    fn shared(&self, grants: Grants) -> Rc<Grants> {
        let mut known = self.grants.borrow_mut();
        if known.len() > GENERATION {
            known.retain(|_, alike| alike.iter().any(|grants| grants.strong_count() > 0));
        }
        let alike = known.entry(self.hasher.hash_one(grants.held())).or_default();
        alike.retain(|grants| grants.strong_count() > 0);
        if let Some(same) = alike.iter().filter_map(Weak::upgrade).find(|same| same.held() == grants.held()) {
            return same;
        }
        let grants = Rc::new(grants);
        alike.push(Rc::downgrade(&grants));
        grants
    }

    /// The token that a server is shown for all callers, if there is a good one.
    pub fn server_token(&self, server: ServerId, now: u64) -> Option<Granted> {
        self.server_tokens.borrow().get(&server.0).filter(|granted| granted.until > now).cloned()
    }

    /// Keeps such a token.
    pub fn keep_server_token(&self, server: ServerId, granted: Granted) {
        self.server_tokens.borrow_mut().insert(server.0, granted);
    }

    /// Forgets such a token.
    pub fn forget_server_token(&self, server: ServerId) {
        self.server_tokens.borrow_mut().remove(&server.0);
    }

    /// Credentials that were known already, since the last time this was asked.
    pub fn take_hits(&self) -> u64 {
        self.hits.take()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::policy::authn::refused::{EXPIRED, INACTIVE};

    fn caller(expires: Option<u64>) -> Rc<Caller> {
        let mut principal = Principal::anonymous([]);
        principal.expires = expires;
        Rc::new(Caller {
            identity: principal.identity().into(),
            principal: Rc::new(principal),
            keys: None,
            class: Class::Normal,
            grants: None,
            subject: None,
            token: RefCell::default(),
            assertion: RefCell::default(),
        })
    }

    #[test]
    fn a_credential_is_known_only_as_it_was_verified() {
        let callers = Callers::new(64 << 20);
        let (token, server) = (b"header.claims.signature".as_slice(), ServerId(3));
        callers.remember(Place::Bearer, server, token, caller(Some(2_000)), 1_000);
        assert!(callers.find(Place::Bearer, server, token, 1_000).is_some());
        assert!(callers.find(Place::Bearer, ServerId(4), token, 1_000).is_none(), "for another server");
        assert!(callers.find(Place::ApiKey, server, token, 1_000).is_none(), "shown elsewhere");
        assert!(callers.find(Place::Bearer, server, b"header.claimz.signature", 1_000).is_none());
        assert!(callers.find(Place::Bearer, server, &token[1..], 1_000).is_none());
    }

    #[test]
    fn only_the_whole_credential_counts_where_its_end_is_that_of_another() {
        let callers = Callers::new(64 << 20);
        let one = [vec![b'a'; 100], vec![b'z'; HASHED_BYTES]].concat();
        let other = [vec![b'b'; 100], vec![b'z'; HASHED_BYTES]].concat();
        callers.remember(Place::Bearer, ServerId(0), &one, caller(None), 1_000);
        assert!(callers.find(Place::Bearer, ServerId(0), &other, 1_000).is_none());
        assert!(callers.find(Place::Bearer, ServerId(0), &one, 1_000).is_some());
    }

    #[test]
    fn nothing_is_known_past_the_end_of_the_credential_or_of_memory() {
        let callers = Callers::new(64 << 20);
        let server = ServerId(0);
        callers.remember(Place::Bearer, server, b"soon over", caller(Some(1_010)), 1_000);
        callers.remember(Place::Bearer, server, b"lasting", caller(None), 1_000);
        callers.remember(Place::Bearer, server, b"over", caller(Some(1_000)), 1_000);
        assert!(callers.find(Place::Bearer, server, b"over", 1_000).is_none());
        assert!(callers.find(Place::Bearer, server, b"soon over", 1_009).is_some());
        assert!(callers.find(Place::Bearer, server, b"soon over", 1_010).is_none());
        assert!(callers.find(Place::Bearer, server, b"lasting", 1_000 + REMEMBERED - 1).is_some());
        assert!(callers.find(Place::Bearer, server, b"lasting", 1_000 + REMEMBERED).is_none());
    }

    #[test]
    fn the_number_of_remembered_credentials_is_bounded_and_those_in_use_stay() {
        let callers = Callers::new(64 << 20);
        let server = ServerId(0);
        callers.remember(Place::Bearer, server, b"busy", caller(None), 1_000);
        for number in 0..3 * GENERATION {
            let token = format!("token {number}");
            callers.remember(Place::Bearer, server, token.as_bytes(), caller(None), 1_000);
            assert!(callers.find(Place::Bearer, server, b"busy", 1_000).is_some(), "after {number}");
        }
        assert!(callers.young.borrow().entries.len() + callers.old.borrow().entries.len() <= 2 * GENERATION);
        assert!(callers.find(Place::Bearer, server, b"token 0", 1_000).is_none());
    }

    #[test]
    fn the_bytes_of_remembered_credentials_are_bounded_and_those_in_use_stay() {
        let (bytes_max, server) = (1 << 20, ServerId(0));
        let callers = Callers::new(bytes_max);
        let held = || {
            let weigh =
                |generation: &Generation| generation.entries.values().map(Entry::weight).sum::<usize>();
            let (young, old) = (callers.young.borrow(), callers.old.borrow());
            assert!(weigh(&young) <= young.bytes, "what is counted is what is there, or more");
            weigh(&young) + weigh(&old)
        };
        let token = |number: usize| format!("{number:>016384}").into_bytes();
        callers.remember(Place::Bearer, server, b"busy", caller(None), 1_000);
        for number in 0..200 {
            let caller = caller(None);
            callers.remember(Place::Bearer, server, &token(number), caller.clone(), 1_000);
            assert!(callers.find(Place::Bearer, server, &token(number), 1_000).is_some());
            // An exchanged token is kept with its caller.
            let granted = Granted { line: Secret::new(vec![b'x'; 4 << 10]), since: 1_000, until: 2_000 };
            callers.note_kept(granted.line.reveal().len());
            *caller.token.borrow_mut() = Some(granted);
            assert!(callers.find(Place::Bearer, server, b"busy", 1_000).is_some(), "after {number}");
            // Either generation may be over by the token that came last.
            assert!(held() <= bytes_max + 2 * (4 << 10), "{} after {number}", held());
        }
        assert!(held() > bytes_max / 4, "the memory is used");
        assert!(callers.find(Place::Bearer, server, &token(0), 1_000).is_none());
        // What alone is more than may be kept is verified each time.
        let mut large = Principal::anonymous([]);
        large.claims = serde_json::Value::from(vec![0; bytes_max / size_of::<serde_json::Value>()]);
        let large = Rc::new(Caller { principal: Rc::new(large), ..Rc::into_inner(caller(None)).unwrap() });
        callers.remember(Place::Bearer, server, b"large", large, 1_000);
        assert!(callers.find(Place::Bearer, server, b"large", 1_000).is_none());
        assert!(callers.find(Place::Bearer, server, b"busy", 1_000).is_some());
    }

    #[test]
    fn a_refusal_is_remembered_for_what_was_shown_and_where_and_only_for_a_moment() {
        let callers = Callers::new(64 << 20);
        let (server, until) = (ServerId(0), 1_000 + REFUSED_REMEMBERED);
        let one = [vec![b'a'; 100], vec![b'z'; HASHED_BYTES]].concat();
        let other = [vec![b'b'; 100], vec![b'z'; HASHED_BYTES]].concat();
        let find = |place, server, token: &[u8], now| callers.find_refused(place, server, token, now);
        assert_eq!(find(Place::Bearer, server, &one, 1_000), None);
        callers.remember_refused(Place::Bearer, server, &one, INACTIVE, until);
        assert_eq!(find(Place::Bearer, server, &one, 1_000), Some(INACTIVE));
        assert_eq!(find(Place::Bearer, server, &one, until - 1), Some(INACTIVE));
        assert_eq!(find(Place::Bearer, server, &one, until), None, "over");
        assert_eq!(find(Place::Bearer, ServerId(1), &one, 1_000), None, "at another server");
        assert_eq!(find(Place::ApiKey, server, &one, 1_000), None, "shown elsewhere");
        assert_eq!(find(Place::Bearer, server, &other, 1_000), None, "only the end is the same");
        callers.remember_refused(Place::Bearer, server, &one, EXPIRED, until + 1);
        assert_eq!(find(Place::Bearer, server, &one, until), Some(EXPIRED), "the newer counts");
    }

    #[test]
    fn the_number_of_remembered_refusals_is_bounded_and_the_newest_stay() {
        let callers = Callers::new(64 << 20);
        let server = ServerId(0);
        let token = |number: usize| format!("token {number}").into_bytes();
        for number in 0..3 * refusals::GENERATION {
            callers.remember_refused(Place::Bearer, server, &token(number), INACTIVE, 2_000);
            assert!(callers.refusals.len() <= 2 * refusals::GENERATION);
        }
        let known =
            |number: usize| callers.find_refused(Place::Bearer, server, &token(number), 1_000).is_some();
        assert!(known(3 * refusals::GENERATION - 1) && known(2 * refusals::GENERATION));
        assert!(!known(0));
    }
}
