//! What a caller is shown of the lists of one answer. What does not depend on the item is found out once.

use std::cell::RefCell;
use std::net::IpAddr;

use super::asked::Asked;
use super::decide::{Tally, each, settled, steps_of};
use super::grants::{Grants, Held};
use super::memo::Outcome;
use super::pattern::Template;
use super::rule::{Effect, Rule};
use super::subject::{Subject, use_of};
use super::{Operation, Rules, Target, canonical};
use crate::policy::Principal;
use crate::policy::expr::{Budget, ParsedMessage};
use crate::policy::steps::Steps;

/// What was found out for the lists of one answer.
#[derive(Default)]
pub struct Showing {
    /// What the expressions look at.
    pub(super) parsed: ParsedMessage,
    /// The method that `met` is about.
    method: RefCell<&'static str>,
    /// Whether rules, by their index, could be met whatever the item.
    met: RefCell<Vec<Option<bool>>>,
}

/// The lists of one answer: who gets them, and what judging their items may take.
#[derive(Clone, Copy)]
pub struct Lists<'a> {
    /// Who gets them.
    pub principal: &'a Principal,
    /// The client's address; `None` on a Unix socket.
    pub source: Option<IpAddr>,
    /// Seconds since 1970 (UTC), the same for all items.
    pub now: u64,
    /// What was found out so far, of the same rules, principal, source and time.
    pub showing: &'a Showing,
    /// Steps that are left. If they are over, the answer means nothing.
    pub steps: &'a Steps,
}

/// Bytes of a name, URI or template that is shown. A longer one would be dear to judge, and nobody types it.
pub const NAME_BYTES_MAX: usize = 16 << 10;

/// Steps that running an expression takes, whatever it says.
const EXPRESSION_STEPS: usize = 1_000;
/// Steps that one of the steps of an expression takes: see [`Budget`].
const STEPS_OF_EXPRESSION_STEP: usize = 500;

/// See [`Rules::shows`].
pub fn shows(rules: &Rules, grants: &Grants, lists: &Lists<'_>, operation: &Operation<'_>) -> bool {
    let method = use_of(operation.target);
    let operation = &Operation { method: method.unwrap_or(operation.method), ..*operation };
    let name = match operation.target {
        Target::Tool(name) | Target::Prompt(name) | Target::Resource(name) => name,
        Target::Protocol => "",
    };
    lists.steps.take(name.len() / 8);
    if name.len() > NAME_BYTES_MAX {
        return false;
    }
    lists.showing.begin(method.unwrap_or_default());
    let asked = Asked::of_list(rules, operation, lists);
    let mut tally = Tally::default();
    let mut look = |held: Held, rule: &Rule| {
        let bare = matches!(operation.target, Target::Protocol) && rule.effect == Effect::Allow;
        if tally.matters(rule, held) && (bare || could_meet(lists, &asked, held, rule)) {
            tally.note(rule, held);
        }
    };
    match operation.target {
        Target::Resource(uri) if uri.contains('{') => {
            if rules.by_resource && canonical::template_fault(uri).is_some() {
                return false;
            }
            each_of_template(rules, grants, lists, operation, uri, look);
        }
        _ => {
            if rules.fault(operation).is_some() {
                return false;
            }
            let subject = Subject::of(operation);
            let settled = settled(rules, grants, operation, subject, lists.steps);
            if settled.outcome != Outcome::Conditional {
                return is_shown(rules, settled.outcome);
            }
            lists.steps.take(steps_of(rules, grants, subject));
            each(rules, grants, subject, operation, &mut look);
        }
    }
    is_shown(rules, tally.settled().outcome)
}

/// Calls `look` for each rule that counts for some URI that can come of a template: an allow rule if it is about one of
/// them, a deny rule if it is about the template itself.
fn each_of_template(
    rules: &Rules,
    grants: &Grants,
    lists: &Lists<'_>,
    operation: &Operation<'_>,
    uri: &str,
    mut look: impl FnMut(Held, &Rule),
) {
    let template = Template::new(uri);
    for held in grants.exact.iter().chain(&grants.open) {
        let Some(rule) = rules.rules.get(held.rule() as usize) else { continue };
        lists.steps.take(rule.steps() * (1 + uri.len() / 32));
        if lists.steps.is_over() {
            return;
        }
        let counts = rule.is_for(operation.server) && rule.is_for_method(operation.method);
        let about = |rule: &Rule| match rule.effect {
            Effect::Allow => rule.could_be_about(uri, &template, lists.steps),
            Effect::Deny => rule.is_about(operation.target),
        };
        if counts && about(rule) {
            look(*held, rule);
        }
    }
}

/// Whether some use of the item could meet the rule's conditions on the request.
fn could_meet(lists: &Lists<'_>, asked: &Asked<'_, '_>, held: Held, rule: &Rule) -> bool {
    if !rule.is_conditional() {
        return true;
    }
    if lists.steps.is_over() {
        return false;
    }
    if rule.names_item() {
        return measured(lists, asked, rule);
    }
    let at = held.rule() as usize;
    if let Some(Some(known)) = lists.showing.met.borrow().get(at) {
        return *known;
    }
    let found = measured(lists, asked, rule);
    let mut met = lists.showing.met.borrow_mut();
    if met.len() <= at {
        met.resize(at + 1, None);
    }
    met[at] = Some(found);
    found
}

/// Takes the steps that finding it out takes.
fn measured(lists: &Lists<'_>, asked: &Asked<'_, '_>, rule: &Rule) -> bool {
    lists.steps.take(1 + rule.sources.len());
    if rule.when.is_none() || rule.looks_at_request() {
        return asked.could_meet(rule, &Budget::default());
    }
    lists.steps.take(EXPRESSION_STEPS);
    let most = lists.steps.left() / STEPS_OF_EXPRESSION_STEP;
    let budget = Budget::new(most);
    let found = asked.could_meet(rule, &budget);
    if budget.is_over() {
        lists.steps.take(usize::MAX);
    }
    lists.steps.take((most - budget.left()) * STEPS_OF_EXPRESSION_STEP);
    found
}

impl Showing {
    /// Forgets what was about the items of another kind.
    fn begin(&self, method: &'static str) {
        if self.method.replace(method) != method {
            self.met.borrow_mut().clear();
        }
    }
}

fn is_shown(rules: &Rules, outcome: Outcome) -> bool {
    outcome == Outcome::Allow || (outcome == Outcome::NeedsScope && rules.show_scoped)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::policy::authz::{Pattern, VARIABLES};
    use crate::policy::expr::Expression;

    fn patterns(texts: &[&str]) -> Box<[Pattern]> {
        texts.iter().map(|text| Pattern::parse(text).unwrap()).collect()
    }

    fn rule(effect: Effect, when: &str) -> Rule {
        let when = (!when.is_empty()).then(|| Expression::compile(when, VARIABLES).unwrap());
        Rule { effect, when, ..Rule::default() }
    }

    /// How many of these are shown, and the steps that this takes.
    fn shown(rules: Vec<Rule>, targets: &[Target<'_>], steps: usize) -> (usize, usize, bool) {
        let rules = Rules::new(rules, vec!["one".into()]);
        let mut principal = Principal::anonymous([]);
        principal.claims = serde_json::json!({"team": "blue"});
        let grants = rules.grants(&principal);
        let (showing, left) = (&Showing::default(), &Steps::new(steps));
        let lists = Lists { principal: &principal, source: None, now: 0, showing, steps: left };
        let is_shown = |target: &&Target<'_>| {
            rules.shows_among(&grants, &lists, &Operation { server: 0, method: "", target: **target })
        };
        let count = targets.iter().filter(is_shown).count();
        (count, steps - left.left(), left.is_over())
    }

    #[test]
    fn what_does_not_name_the_item_is_found_out_once() {
        let names: Vec<String> = (0..1_000).map(|at| format!("t{at}")).collect();
        let tools: Vec<Target<'_>> = names.iter().map(|name| Target::Tool(name)).collect();
        let by_claim = || vec![rule(Effect::Allow, "claims.team == 'blue'")];
        let (count, steps, _) = shown(by_claim(), &tools, usize::MAX);
        assert!(count == 1_000 && steps < 10_000, "{steps}");
        let (count, steps, _) = shown(vec![rule(Effect::Allow, "tool != 't7'")], &tools, usize::MAX);
        assert!(count == 999 && steps > 1_000 * EXPRESSION_STEPS, "{steps}");
        // Of another kind it is found out anew, since the method is another.
        let by_method = vec![rule(Effect::Allow, "method == 'tools/call'")];
        let mixed = [Target::Tool("a"), Target::Prompt("a"), Target::Tool("b"), Target::Resource("x:a")];
        assert_eq!(shown(by_method, &mixed, usize::MAX).0, 2);
    }

    #[test]
    fn nothing_is_found_out_without_steps() {
        let tools = [Target::Tool("a"), Target::Tool("b")];
        let rules = || vec![rule(Effect::Allow, "tool != ''")];
        let (count, steps, over) = shown(rules(), &tools, usize::MAX);
        assert!(count == 2 && !over);
        assert!(!shown(rules(), &tools, steps).2 && shown(rules(), &tools, steps - 1).2);
    }

    #[test]
    fn templates_and_patterns_are_counted() {
        let dear = Rule { resources: patterns(&["x:a*b*c*d"; 50]), ..rule(Effect::Allow, "") };
        let uri = format!("x:a{}{{x}}d", "b".repeat(500));
        let templates = vec![Target::Resource(&uri); 3];
        let (_, steps, _) = shown(vec![dear], &templates, usize::MAX);
        assert!(steps > 3 * 500, "{steps}");
        let apart = Rule { resources: patterns(&["y:a*b*c*d"; 50]), ..rule(Effect::Allow, "") };
        let (count, steps, _) = shown(vec![apart], &templates, usize::MAX);
        assert!(count == 0 && steps < 3 * 50 * 200, "{steps}");
    }

    #[test]
    fn a_name_as_long_as_nobody_types_is_not_shown() {
        let (most, more) = ("n".repeat(NAME_BYTES_MAX), "n".repeat(NAME_BYTES_MAX + 1));
        let rules = || vec![rule(Effect::Allow, "")];
        assert_eq!(shown(rules(), &[Target::Tool(&most)], usize::MAX).0, 1);
        assert_eq!(shown(rules(), &[Target::Tool(&more)], usize::MAX).0, 0);
    }
}
