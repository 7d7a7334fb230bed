//! Why a rule does not match, for people.

use std::fmt;

use super::asked::Unmet;
use super::rule::{Effect, Lack, Rule};
use super::subject::Subject;
use super::{Asked, Facts, Operation, Rules, Target};
use crate::policy::Principal;

/// The first condition of a rule that is not met, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why(String);

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// See [`Rules::why_not`].
pub fn why_not(
    rules: &Rules,
    rule: &Rule,
    principal: &Principal,
    operation: &Operation<'_>,
    facts: &Facts<'_>,
) -> Option<Why> {
    let why = |text: String| Some(Why(text));
    if let Some(fault) = rules.fault(operation) {
        return why(match operation.target {
            Target::Resource(_) => format!("says nothing of a URI that is not canonical: {fault}"),
            _ => format!("says nothing of a name that servers could read in several ways: {fault}"),
        });
    }
    if !rule.is_for(operation.server) {
        return why("is for other servers".to_owned());
    }
    let is_protocol = matches!(Subject::of(operation), Subject::Protocol(_));
    if is_protocol && rule.effect == Effect::Deny && (rule.names_things() || !rule.arguments.is_empty()) {
        return why("is about things, and this is not about one".to_owned());
    }
    let asks_all = !is_protocol || rule.effect == Effect::Deny;
    if asks_all && !rule.is_for_method(operation.method) {
        return why(format!("is for other methods than `{}`", operation.method));
    }
    if asks_all && !rule.is_about(operation.target) {
        return why(match operation.target {
            Target::Tool(name) => format!("names no tool `{name}`"),
            Target::Prompt(name) => format!("names no prompt `{name}`"),
            Target::Resource(uri) => format!("names no resource `{uri}`"),
            Target::Protocol => "is about things, and this is not about one".to_owned(),
        });
    }
    if let Some(lack) = rule.lack(principal) {
        return why(lacking(rule, lack));
    }
    if !asks_all {
        return None;
    }
    let asked = Asked::about(rules, principal, operation, facts);
    let unmet = asked.unmet(rule)?;
    // What cannot be told is met for a rule that denies.
    if unmet.is_unclear() && rule.effect == Effect::Deny {
        return None;
    }
    why(unmet_in_words(&unmet))
}

fn lacking(rule: &Rule, lack: Lack<'_>) -> String {
    match lack {
        Lack::Role => format!("the caller has none of the roles {}", list(&rule.roles)),
        Lack::Agent => format!("the agent is none of {}", list(&rule.agents)),
        Lack::User => format!("the user is none of {}", list(&rule.users)),
        Lack::Tenant => format!("the tenant is none of {}", list(&rule.tenants)),
        Lack::Proof => "the caller is proven in another way".to_owned(),
        Lack::Issuer => format!("the issuer is none of {}", list(&rule.issuers)),
        Lack::Claim(path) => format!("the claim `{path}` is not there or has another value"),
        Lack::Scope(scope) => format!("the caller lacks the scope `{scope}`"),
    }
}

fn unmet_in_words(unmet: &Unmet<'_>) -> String {
    match unmet {
        Unmet::Source => "the request comes from another network".to_owned(),
        Unmet::Time => "it is another time".to_owned(),
        Unmet::Argument(path) => format!("the argument `{path}` is not there or has another value"),
        Unmet::Unreadable => "the arguments cannot be read in one way only".to_owned(),
        Unmet::Case(path) => format!("the argument `{path}` is there in another case"),
        Unmet::Winding(path) => format!("the argument `{path}` is a path with a segment `.` or `..`"),
        Unmet::When => "`when` is false".to_owned(),
        Unmet::Failed(failure) => format!("`when` has no answer: {failure}"),
    }
}

/// Names shown before "and N more".
const SHOWN_MAX: usize = 5;

fn list<T: fmt::Display>(names: &[T]) -> String {
    let shown: Vec<String> = names.iter().take(SHOWN_MAX).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(SHOWN_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}
