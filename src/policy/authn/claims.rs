//! From claims to a principal: which claim says what is configuration, since every issuer has its own habits.

use serde_json::{Map, Value as Json};

use super::refused::{MALFORMED_CLAIMS, NO_SUBJECT, Refused};
use crate::policy::principal::{Principal, Proof, sorted};

/// Roles of a principal.
pub const ROLES_MAX: usize = 256;
/// Scopes of a principal.
pub const SCOPES_MAX: usize = 256;
/// Bytes of a name: of an agent, a user, a tenant, a role, a scope, a credential.
pub const NAME_BYTES_MAX: usize = 1 << 10;

/// Claims: an object.
pub type Claims = Map<String, Json>;

/// Where a claim is found: names, from the outermost object inwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(Box<[Box<str>]>);

impl ClaimPath {
    /// Reads `name`, `outer.inner`, a JSON Pointer (RFC 6901) for names with dots and slashes in them, as in
    /// `/https:~1~1example.com~1roles`, or a URL, which is one name.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<String> = if let Some(pointer) = text.strip_prefix('/') {
            pointer.split('/').map(unescaped).collect::<Option<_>>()?
        } else if text.contains("://") {
            vec![text.to_owned()]
        } else {
            text.split('.').map(str::to_owned).collect()
        };
        let good =
            parts.len() <= PARTS_MAX && text.len() <= NAME_BYTES_MAX && !parts.iter().any(String::is_empty);
        good.then(|| Self(parts.into_iter().map(Into::into).collect()))
    }

    /// The claim, if it is there and not null.
    pub fn find<'c>(&self, claims: &'c Claims) -> Option<&'c Json> {
        let (first, rest) = self.0.split_first()?;
        let mut value = claims.get(&**first)?;
        for name in rest {
            value = value.as_object()?.get(&**name)?;
        }
        (!value.is_null()).then_some(value)
    }
}

/// Names in a [`ClaimPath`].
const PARTS_MAX: usize = 8;

/// A name of a JSON Pointer without its escapes.
fn unescaped(name: &str) -> Option<String> {
    let mut pieces = name.split('~');
    let mut plain = pieces.next()?.to_owned();
    for piece in pieces {
        let (tilde, rest) = piece.split_at_checked(1)?;
        plain.push(match tilde {
            "0" => '~',
            "1" => '/',
            _ => return None,
        });
        plain.push_str(rest);
    }
    Some(plain)
}

/// Which claims say who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The agent: the first of these that is there.
    pub agent: Box<[ClaimPath]>,
    /// The user: the first of these that is there, unless it only repeats the agent.
    pub user: Box<[ClaimPath]>,
    /// The tenant: the first of these that is there.
    pub tenant: Box<[ClaimPath]>,
    /// Roles: those of all of these together.
    pub roles: Box<[ClaimPath]>,
    /// Objects of which each name is a role.
    pub role_keys: Box<[ClaimPath]>,
    /// Scopes: those of all of these together.
    pub scopes: Box<[ClaimPath]>,
    /// Put before each role, so that no other issuer can give the same one.
    pub roles_prefix: Box<str>,
    /// What the issuer calls a role, and what it is called here; sorted. If there are any, what is not in here gives no
    /// role.
    pub role_map: Box<[(Box<str>, Box<str>)]>,
}

impl Default for Mapping {
    fn default() -> Self {
        let paths = |texts: &[&str]| texts.iter().filter_map(|text| ClaimPath::parse(text)).collect();
        Self {
            agent: paths(&AGENT),
            user: paths(&USER),
            tenant: paths(&TENANT),
            roles: paths(&ROLES),
            role_keys: Box::default(),
            scopes: paths(&SCOPES),
            roles_prefix: "".into(),
            role_map: Box::default(),
        }
    }
}

/// The usual claims of each kind.
pub const AGENT: [&str; 5] = ["act.sub", "azp", "client_id", "cid", "appid"];
/// As [`AGENT`].
pub const USER: [&str; 1] = ["sub"];
/// As [`AGENT`].
pub const TENANT: [&str; 3] = ["tenant", "tid", "org_id"];
/// As [`AGENT`].
pub const ROLES: [&str; 3] = ["roles", "realm_access.roles", "groups"];
/// As [`AGENT`].
pub const SCOPES: [&str; 2] = ["scope", "scp"];

impl Mapping {
    /// The principal that verified `claims` describe.
    ///
    /// # Errors
    /// If a claim that is looked at has the wrong kind, is too long or has control characters, there are too many roles
    /// or scopes, or it is nobody.
    pub fn principal(
        &self,
        claims: Claims,
        proof: Proof,
        issuer: &str,
        expires: Option<u64>,
    ) -> Result<Principal, Refused> {
        let agent = first(&self.agent, &claims)?;
        let user = first(&self.user, &claims)?.filter(|user| !self.is_workload(user, &claims));
        if agent.is_none() && user.is_none() {
            return Err(NO_SUBJECT);
        }
        Ok(Principal {
            proof,
            issuer: issuer.into(),
            agent,
            user,
            tenant: first(&self.tenant, &claims)?,
            roles: self.roles(&claims)?,
            scopes: scopes(&self.scopes, &claims)?,
            credential: claims.get("jti").map(name).transpose()?,
            claims: Json::Object(claims),
            expires,
        })
    }

    /// Whether the subject is the workload itself, which acts for no user: it repeats a name of the client (RFC 9068
    /// section 5), as `NAME@clients` at Auth0, or is the service principal of an application at Entra ID (`idtyp`).
    fn is_workload(&self, subject: &str, claims: &Claims) -> bool {
        let repeats =
            |client: &str| subject.strip_prefix(client).is_some_and(|rest| ["", "@clients"].contains(&rest));
        let clients = self.agent.iter().filter_map(|path| path.find(claims)?.as_str());
        claims.get("idtyp").is_some_and(|kind| kind == "app") || clients.into_iter().any(repeats)
    }

    fn roles(&self, claims: &Claims) -> Result<Box<[Box<str>]>, Refused> {
        let mut roles = Vec::new();
        for value in self.roles.iter().filter_map(|path| path.find(claims)) {
            match value {
                Json::Array(items) => {
                    for item in items {
                        roles.extend(self.role(name(item)?));
                        within(&roles, ROLES_MAX)?;
                    }
                }
                one => roles.extend(self.role(name(one)?)),
            }
        }
        for value in self.role_keys.iter().filter_map(|path| path.find(claims)) {
            for theirs in value.as_object().ok_or(MALFORMED_CLAIMS)?.keys() {
                roles.extend(self.role(checked(theirs)?));
                within(&roles, ROLES_MAX)?;
            }
        }
        within(&roles, ROLES_MAX)?;
        Ok(sorted(roles))
    }

    fn role(&self, theirs: Box<str>) -> Option<Box<str>> {
        if self.role_map.is_empty() {
            let plain = self.roles_prefix.is_empty();
            return Some(if plain { theirs } else { format!("{}{theirs}", self.roles_prefix).into() });
        }
        let at = self.role_map.binary_search_by(|(known, _)| known.cmp(&theirs)).ok()?;
        self.role_map.get(at).map(|(_, ours)| ours.clone())
    }
}

/// Scopes: words in a text (RFC 6749 section 3.3), or a list of them.
fn scopes(paths: &[ClaimPath], claims: &Claims) -> Result<Box<[Box<str>]>, Refused> {
    let mut scopes: Vec<Box<str>> = Vec::new();
    let mut take = |value: &Json| {
        let words = value.as_str().ok_or(MALFORMED_CLAIMS)?;
        for word in words.split(' ').filter(|word| !word.is_empty()) {
            scopes.push(checked(word)?);
            within(&scopes, SCOPES_MAX)?;
        }
        Ok(())
    };
    for value in paths.iter().filter_map(|path| path.find(claims)) {
        match value {
            Json::Array(items) => items.iter().try_for_each(&mut take)?,
            one => take(one)?,
        }
    }
    Ok(sorted(scopes))
}

/// The first of the claims that is there.
fn first(paths: &[ClaimPath], claims: &Claims) -> Result<Option<Box<str>>, Refused> {
    paths.iter().find_map(|path| path.find(claims)).map(name).transpose()
}

fn name(value: &Json) -> Result<Box<str>, Refused> {
    checked(value.as_str().ok_or(MALFORMED_CLAIMS)?)
}

fn checked(text: &str) -> Result<Box<str>, Refused> {
    let good = !text.is_empty() && text.len() <= NAME_BYTES_MAX && !text.chars().any(char::is_control);
    good.then(|| text.into()).ok_or(MALFORMED_CLAIMS)
}

fn within<T>(list: &[T], max: usize) -> Result<(), Refused> {
    if list.len() > max { Err(MALFORMED_CLAIMS) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
