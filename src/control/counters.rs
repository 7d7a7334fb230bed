//! What control counts of its fetches, and how often it speaks of those that fail.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::Ticks;

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

/// Log lines that callers can bring about are written once in this time.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// Keeps what callers can bring about from filling the log.
#[derive(Default)]
pub struct Restraint {
    spoke: Cell<Option<Ticks>>,
    kept_back: Cell<u64>,
}

impl Restraint {
    /// Whether to write a line now, and how many were kept back since the last one.
    pub fn may_speak(&self, now: Ticks) -> Option<u64> {
        if self.spoke.get().is_some_and(|spoke| now < spoke + LINE_EVERY) {
            self.kept_back.set(self.kept_back.get() + 1);
            return None;
        }
        self.spoke.set(Some(now));
        Some(self.kept_back.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_failures_is_one_line_a_second_with_a_count() {
        let restraint = Restraint::default();
        let at = |millis: u64| restraint.may_speak(Ticks(millis * 1_000_000));
        assert_eq!(
            [at(0), at(1), at(999), at(1_000), at(1_500), at(5_000)],
            [Some(0), None, None, Some(2), None, Some(1)]
        );
    }

    #[test]
    fn fetches_are_counted_by_kind_and_result() {
        let counters = Counters::default();
        for result in ["ok", "timeout", "ok"] {
            counters.count(Kind::Keys, result);
        }
        assert_eq!(counters.all(), [("keys", "ok", 2), ("keys", "timeout", 1)]);
    }
}
