//! Counters of control's fetches.

use std::cell::RefCell;
use std::collections::BTreeMap;

/// What is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Keys of an issuer, its metadata included.
    Keys,
    /// What an issuer knows of a token.
    Introspection,
    /// A token of the gateway's own.
    ClientCredentials,
    /// A token on behalf of a caller.
    TokenExchange,
    /// A token that says whose a SAML assertion is.
    Saml,
}

impl Kind {
    /// The word in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Introspection => "introspection",
            Self::ClientCredentials => "client_credentials",
            Self::TokenExchange => "token_exchange",
            Self::Saml => "saml",
        }
    }
}

/// Fetches by kind and result.
#[derive(Default)]
pub struct Counters(RefCell<BTreeMap<(Kind, &'static str), u64>>);

impl Counters {
    /// Counts one. `result` is one of a few words.
    pub fn count(&self, kind: Kind, result: &'static str) {
        *self.0.borrow_mut().entry((kind, result)).or_default() += 1;
    }

    /// Kind, result and how many.
    pub fn all(&self) -> Vec<(&'static str, &'static str, u64)> {
        self.0.borrow().iter().map(|(&(kind, result), &count)| (kind.label(), result, count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fetches_are_counted_by_kind_and_result() {
        let counters = Counters::default();
        for result in ["ok", "timeout", "ok"] {
            counters.count(Kind::Keys, result);
        }
        assert_eq!(counters.all(), [("keys", "ok", 2), ("keys", "timeout", 1)]);
    }
}
