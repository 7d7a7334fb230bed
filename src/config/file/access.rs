//! `access` and `tests`: what a caller may do, and what the operator expects of it.

use crate::config::rule::Choice;
use crate::config::section::section;

section! {
    /// What callers may do. Once there is one rule, everything is denied that no rule allows.
    AccessSection {
        /// How a call looks that is denied: `unknown` as if the tool did not exist, `forbidden` with 403.
        denied_as: DeniedAs = Choice(&[("unknown", DeniedAs::Unknown), ("forbidden", DeniedAs::Forbidden)]), default "unknown";
    }
}

/// How a denied call looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeniedAs {
    /// As if what it names did not exist.
    Unknown,
    /// 403.
    Forbidden,
}
