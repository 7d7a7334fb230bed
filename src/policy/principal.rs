//! Who calls: the result of authentication, and what authorization, limits and audit go by.

use serde_json::Value as Json;

use crate::base::restraint::cut;

/// How a principal was proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proof {
    /// It showed no credential, where the configuration permits that.
    Anonymous,
    /// A JWT that one of the issuers signed.
    Jwt,
    /// An API key.
    ApiKey,
    /// The client certificate of its TLS connection.
    Certificate,
    /// A token that an issuer vouched for when asked (RFC 7662).
    Introspection,
}

impl Proof {
    /// The name in rules, metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Jwt => "jwt",
            Self::ApiKey => "api_key",
            Self::Certificate => "certificate",
            Self::Introspection => "introspection",
        }
    }
}

/// A caller whose credential was verified, or who needs none.
#[derive(Clone, Debug, PartialEq)]
pub struct Principal {
    /// How it was proven.
    pub proof: Proof,
    /// Who vouches: the issuer of a token; a fixed word for the other proofs.
    pub issuer: Box<str>,
    /// The workload: the agent that calls.
    pub agent: Option<Box<str>>,
    /// On whose behalf it calls, if on anybody's.
    pub user: Option<Box<str>>,
    /// The organisation that both belong to.
    pub tenant: Option<Box<str>>,
    /// Its roles, sorted, none twice.
    pub roles: Box<[Box<str>]>,
    /// What the token was issued for (RFC 6749 section 3.3), sorted, none twice.
    pub scopes: Box<[Box<str>]>,
    /// All verified claims: an object, empty if the proof has none.
    pub claims: Json,
    /// What a revocation names: the `jti` of a token, the id of an API key, the serial number of a certificate.
    pub credential: Option<Box<str>>,
    /// When the proof ends, in seconds since 1970 (UTC). Nothing that was derived from it may live longer.
    pub expires: Option<u64>,
}

impl Principal {
    /// The caller that shows nothing.
    pub fn anonymous(roles: impl IntoIterator<Item = Box<str>>) -> Self {
        Self {
            proof: Proof::Anonymous,
            issuer: "anonymous".into(),
            agent: None,
            user: None,
            tenant: None,
            roles: sorted(roles),
            scopes: Box::default(),
            claims: Json::Object(serde_json::Map::new()),
            credential: None,
            expires: None,
        }
    }

    /// Agent, user and tenant in words, for the log: values come from tokens.
    pub fn show(&self) -> String {
        let parts = [("agent", &self.agent), ("user", &self.user), ("tenant", &self.tenant)];
        let named = parts.into_iter().filter_map(|(part, value)| Some((part, value.as_deref()?)));
        let words: Vec<String> =
            named.map(|(part, value)| format!("{part}={}", cut(value, 128).escape_debug())).collect();
        if words.is_empty() { "(nobody)".to_owned() } else { words.join(" ") }
    }

    /// Who this is, in bytes of which no two principals have the same: what sessions and tokens are bound to. Another
    /// credential of the same principal (a renewed token, a rotated key) gives the same bytes.
    pub fn identity(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(96);
        bytes.extend_from_slice(self.proof.label().as_bytes());
        let parts = [Some(&self.issuer), self.agent.as_ref(), self.user.as_ref(), self.tenant.as_ref()];
        for part in parts {
            match part {
                // The length in front keeps `a` + `bc` apart from `ab` + `c`.
                Some(text) => {
                    bytes.push(1);
                    bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
                    bytes.extend_from_slice(text.as_bytes());
                }
                None => bytes.push(0),
            }
        }
        bytes
    }

    /// About how many bytes of memory it takes.
    pub fn bytes(&self) -> usize {
        let named = [&self.agent, &self.user, &self.tenant, &self.credential];
        let texts = named.into_iter().flatten().chain(&self.roles).chain(&self.scopes);
        let texts: usize = texts.map(|text| size_of_val(text) + text.len()).sum();
        size_of::<Self>() + self.issuer.len() + texts + bytes_below(&self.claims)
    }

    /// Whether it has this role.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.binary_search_by(|own| (**own).cmp(role)).is_ok()
    }

    /// Whether its token has this scope.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.binary_search_by(|own| (**own).cmp(scope)).is_ok()
    }
}

/// About how many bytes hang on a value.
fn bytes_below(value: &Json) -> usize {
    let whole = |value: &Json| size_of::<Json>() + bytes_below(value);
    match value {
        Json::Null | Json::Bool(_) | Json::Number(_) => 0,
        Json::String(text) => text.len(),
        Json::Array(list) => list.iter().map(whole).sum(),
        // Nodes of a map have room for more than is in them.
        Json::Object(map) => {
            map.iter().map(|(key, value)| 2 * (size_of::<String>() + whole(value)) + key.len()).sum()
        }
    }
}

/// These names sorted, none twice: the form of [`Principal::roles`] and [`Principal::scopes`].
pub fn sorted(names: impl IntoIterator<Item = Box<str>>) -> Box<[Box<str>]> {
    let mut names: Vec<Box<str>> = names.into_iter().collect();
    names.sort_unstable();
    names.dedup();
    names.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_principals_have_the_same_identity() {
        let with = |agent: Option<&str>, user: Option<&str>, tenant: Option<&str>| {
            let mut principal = Principal::anonymous([]);
            principal.agent = agent.map(Into::into);
            principal.user = user.map(Into::into);
            principal.tenant = tenant.map(Into::into);
            principal.identity()
        };
        let all = [
            with(None, None, None),
            with(Some(""), None, None),
            with(None, Some(""), None),
            with(Some("ab"), Some("c"), None),
            with(Some("a"), Some("bc"), None),
            with(Some("abc"), None, None),
            with(None, Some("abc"), None),
            with(Some("ab"), None, Some("c")),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all.iter().skip(at + 1).all(|other| other != one), "{at}");
        }
        let mut renewed = Principal::anonymous([]);
        renewed.expires = Some(7);
        renewed.credential = Some("another".into());
        assert_eq!(renewed.identity(), all[0], "a renewed credential is the same caller");
    }

    #[test]
    fn roles_and_scopes_are_found_whatever_their_order() {
        let principal = Principal::anonymous(["b", "a", "b"].map(Into::into));
        assert_eq!(principal.roles.len(), 2);
        assert!(principal.has_role("a") && principal.has_role("b") && !principal.has_role("c"));
        assert!(!principal.has_scope("a"));
    }
}
