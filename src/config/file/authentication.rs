//! `authentication`: who is believed to be whom.

use super::{Text, list};
use crate::config::finding::At;
use crate::config::rule::List;
use crate::config::section::section;
use crate::config::text;

section! {
    /// Who may call at all. With this section, every request must show a credential that one of these accepts; without
    /// it, everybody is served.
    AuthenticationSection {
        /// Roles of callers without a credential, on servers with `anonymous: true`.
        anonymous_roles: Vec<At<String>> = NAMES, default "[]";
    }
}

const NAMES: List<Text<String>> =
    list(Text { wanted: "a name", pattern: None, parse: text::tool_name }, 0, 256);
