//! What the log says of requests that rules stop: callers bring these lines about, so they are short and few.

use std::thread::LocalKey;

use super::Ask;
use crate::base::restraint::{self, Restraint};
use crate::policy::authz::{Operation, Rule, Target};

impl Ask<'_, '_> {
    /// Says what became of an operation, unless this worker said so within the second.
    pub(super) fn log(
        &self,
        rule: u32,
        operation: &Operation<'_>,
        line: &'static LocalKey<Restraint>,
        what: &str,
    ) {
        let Some(kept_back) = line.with(|line| line.may_speak(self.worker.recently())) else { return };
        let principal = &self.caller.principal;
        let rules = self.access().rules.as_ref();
        let rule = match rules.and_then(|rules| rules.list().get(rule as usize)) {
            Some(Rule { name: Some(name), .. }) => name,
            Some(_) => "(without a name)",
            None => "(none)",
        };
        let thing = match operation.target {
            Target::Tool(name) | Target::Prompt(name) | Target::Resource(name) => name,
            Target::Protocol => "",
        };
        tracing::info!(
            server = %self.server.name,
            method = cut(operation.method),
            thing = cut(thing),
            agent = cut(principal.agent.as_deref().unwrap_or("")),
            user = cut(principal.user.as_deref().unwrap_or("")),
            rule,
            kept_back,
            "{what}"
        );
    }
}

thread_local! {
    pub static DENIED: Restraint = const { Restraint::new() };
    pub static REPORTED: Restraint = const { Restraint::new() };
}

/// Characters of a name that are logged: a caller chooses it, as long as a body may be.
const LOGGED_CHARS_MAX: usize = 200;

fn cut(name: &str) -> &str {
    restraint::cut(name, LOGGED_CHARS_MAX)
}
