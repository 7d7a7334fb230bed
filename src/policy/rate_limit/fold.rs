//! The parts of a limit's expression that are plain comparisons become conditions that are looked up.

use super::index::CALL;
use super::limit::Limit;
use crate::policy::authz::Pattern;
use crate::policy::expr::Equality;

/// Moves what can be looked up from the expression of a limit to its lists. If that is all, the expression goes.
pub fn fold(limit: &mut Limit, servers: &[Box<str>]) {
    let Some(when) = &limit.when else { return };
    let (equalities, whole) = when.equalities();
    let is_call = |one: &Equality| {
        matches!(one.path.as_str(), "method" | "body.method") && one.texts.iter().all(|text| **text == *CALL)
    };
    let calls = equalities.iter().any(is_call) || (limit.methods.len() == 1 && fits_call(&limit.methods[0]));
    // Every equality must hold, so each list may be narrowed once; a second one for it stays in the expression.
    let folded: Vec<bool> = equalities.iter().map(|one| narrow(limit, one, calls, servers)).collect();
    if whole && folded.iter().all(|done| *done) {
        limit.when = None;
    }
}

fn fits_call(pattern: &Pattern) -> bool {
    pattern.literal() == Some(CALL)
}

/// Narrows a list that has no conditions yet; whether that says all that the equality does.
fn narrow(limit: &mut Limit, one: &Equality, calls: bool, servers: &[Box<str>]) -> bool {
    let patterns = || one.texts.iter().map(|text| Pattern::exact(text)).collect::<Box<[Pattern]>>();
    match one.path.as_str() {
        "method" | "body.method" if limit.methods.is_empty() => {
            limit.methods = patterns();
            true
        }
        // `body.params.name` names a prompt as well, unless the method is known.
        // Only a call has a tool; what is none has the empty text.
        "tool" if limit.tools.is_empty() && one.texts.iter().all(|text| !text.is_empty()) => {
            limit.tools = patterns();
            true
        }
        "body.params.name" if calls && limit.tools.is_empty() => {
            limit.tools = patterns();
            true
        }
        "agent" if limit.who.agents.is_empty() => {
            limit.who.agents = patterns();
            true
        }
        "user" if limit.who.users.is_empty() => {
            limit.who.users = patterns();
            true
        }
        "tenant" if limit.who.tenants.is_empty() => {
            limit.who.tenants = patterns();
            true
        }
        "server" if limit.servers.is_empty() => {
            let found: Vec<u16> =
                (0..).zip(servers).filter(|(_, name)| one.texts.contains(name)).map(|(at, _)| at).collect();
            // A server that there is not would leave the list empty, which means all.
            let is_known = !found.is_empty();
            if is_known {
                limit.servers = found.into();
            }
            is_known
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::tests::calls;
    use super::super::{Limits, VARIABLES};
    use crate::policy::expr::Expression;

    fn folded(when: &str) -> (String, String, Vec<u16>, bool) {
        let mut limit = calls("x", 1, 1, 1);
        limit.when = Some(Expression::compile(when, VARIABLES).unwrap());
        let limits = Limits::new(vec![limit], Vec::new(), vec!["one".into(), "two".into()]);
        let limit = &limits.list()[0];
        let join = |patterns: &[crate::policy::authz::Pattern]| {
            patterns.iter().map(ToString::to_string).collect::<Vec<_>>().join("|")
        };
        (join(&limit.methods), join(&limit.tools), limit.servers.to_vec(), limit.when.is_none())
    }

    #[test]
    fn comparisons_become_lookups_and_the_rest_is_interpreted() {
        for (when, methods, tools, servers, gone) in [
            (
                r#"body.method == "tools/call" && body.params.name == "run_sql_query""#,
                "tools/call",
                "run_sql_query",
                &[][..],
                true,
            ),
            ("method == 'tools/call' && tool in ['a', 'b']", "tools/call", "a|b", &[], true),
            ("server == 'two'", "", "", &[1], true),
            ("server == 'three'", "", "", &[], false),
            ("body.params.name == 'a'", "", "", &[], false),
            ("method == 'tools/call' && tool == 'a' && tool == 'b'", "tools/call", "a", &[], false),
            ("method == 'tools/call' && arguments.n > 1", "tools/call", "", &[], false),
            ("tool == 'a*'", "", "a\\*", &[], true),
            ("tool == ''", "", "", &[], false),
        ] {
            let expected = (methods.into(), tools.into(), servers.to_vec(), gone);
            assert_eq!(folded(when), expected, "{when}");
        }
    }
}
