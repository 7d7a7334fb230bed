//! What the log says of requests that rules stop: callers bring these lines about, so they are short and few.

use std::cell::Cell;
use std::thread::LocalKey;

use super::Ask;
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
        let Some(kept_back) = line.with(|line| line.may_speak(self.worker.wall())) else { return };
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

/// Lets a worker write a line that callers can bring about once in a second.
pub struct Restraint {
    /// The second of the last line, since 1970 (UTC).
    spoke: Cell<u64>,
    kept_back: Cell<u64>,
}

impl Restraint {
    const fn new() -> Self {
        Self { spoke: Cell::new(0), kept_back: Cell::new(0) }
    }

    /// Whether a line may be written, and how many were kept back since the last one. `now`: seconds since 1970.
    fn may_speak(&self, now: u64) -> Option<u64> {
        if self.spoke.replace(now) == now {
            self.kept_back.set(self.kept_back.get().saturating_add(1));
            return None;
        }
        Some(self.kept_back.take())
    }
}

/// Characters of a name that are logged: a caller chooses it, as long as a body may be.
const LOGGED_CHARS_MAX: usize = 200;

fn cut(name: &str) -> &str {
    name.char_indices().nth(LOGGED_CHARS_MAX).map_or(name, |(end, _)| &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_speaks_once_in_a_second_and_says_what_it_kept_back() {
        let line = Restraint::new();
        let said: Vec<_> = [7, 7, 7, 8, 8, 9, 5].map(|now| line.may_speak(now)).into();
        assert_eq!(said, [Some(0), None, None, Some(2), None, Some(1), Some(0)]);
    }

    #[test]
    fn a_name_is_cut_between_characters() {
        let long = "ä".repeat(LOGGED_CHARS_MAX + 1);
        assert_eq!(cut(&long), &long[..2 * LOGGED_CHARS_MAX]);
        assert_eq!(cut(&long[2..]), &long[2..]);
        assert_eq!(cut(""), "");
    }
}
