//! From the rules that a principal meets to a verdict.

use super::grants::{Grants, Held};
use super::memo::{NO_RULE, Outcome, Settled};
use super::rule::{Effect, Rule};
use super::subject::{Subject, use_of};
use super::{Asked, Decision, Facts, Operation, Rules, Verdict};
use crate::policy::Principal;
use crate::policy::steps::Steps;

/// See [`Rules::authorize`].
pub fn authorize(
    rules: &Rules,
    grants: &Grants,
    principal: &Principal,
    operation: &Operation<'_>,
    facts: &Facts<'_>,
) -> Decision {
    if rules.fault(operation).is_some() {
        return Decision { verdict: Verdict::Deny, rule: None, reported: None };
    }
    let subject = Subject::of(operation);
    let memorable =
        !rules.by_method || use_of(operation.target).is_none_or(|method| method == operation.method);
    if memorable {
        let settled = settled(rules, grants, operation, subject, &Steps::default());
        if settled.outcome != Outcome::Conditional {
            return decision(rules, subject, settled);
        }
    }
    let asked = Asked::about(rules, principal, operation, facts);
    let mut tally = Tally::default();
    each(rules, grants, subject, operation, |held, rule| {
        let bare = matches!(subject, Subject::Protocol(_)) && rule.effect == Effect::Allow;
        if tally.matters(rule, held) && (bare || !rule.is_conditional() || asked.meets(rule)) {
            tally.note(rule, held);
        }
    });
    decision(rules, subject, tally.settled())
}

/// The verdict as far as it depends on names alone, from the memo if it is there.
#[inline]
pub fn settled(
    rules: &Rules,
    grants: &Grants,
    operation: &Operation<'_>,
    subject: Subject<'_>,
    steps: &Steps,
) -> Settled {
    let server = operation.server;
    let Some(number) = subject.number(&rules.index) else {
        return settle(rules, grants, operation, subject, steps);
    };
    // What no rule names exactly has the same verdict as all its kind, unless a pattern can tell it from them.
    if let Subject::Thing(kind, name) = subject {
        let is_named = (number as usize) < rules.index.len();
        if !is_named && grants.patterns.get(kind as usize).is_none_or(|patterns| *patterns) {
            if let Some(known) = grants.memo.borrow().get_name(server, kind, name) {
                return known;
            }
            let settled = settle(rules, grants, operation, subject, steps);
            grants.memo.borrow_mut().put_name(server, kind, name, settled);
            return settled;
        }
    }
    if let Some(known) = grants.memo.borrow().get(server, number) {
        return known;
    }
    let settled = settle(rules, grants, operation, subject, steps);
    grants.memo.borrow_mut().put(server, number, settled);
    settled
}

/// Works the verdict out as far as it depends on names alone.
fn settle(
    rules: &Rules,
    grants: &Grants,
    operation: &Operation<'_>,
    subject: Subject<'_>,
    steps: &Steps,
) -> Settled {
    steps.take(steps_of(rules, grants, subject));
    let mut tally = Tally::default();
    let mut conditional = false;
    each(rules, grants, subject, operation, |held, rule| {
        let bare = matches!(subject, Subject::Protocol(_)) && rule.effect == Effect::Allow;
        conditional |= !bare && rule.is_conditional();
        tally.note(rule, held);
    });
    if conditional { Settled::CONDITIONAL } else { tally.settled() }
}

/// Steps that [`each`] takes at most.
pub fn steps_of(rules: &Rules, grants: &Grants, subject: Subject<'_>) -> usize {
    match subject {
        Subject::Thing(kind, name) => {
            let named = rules.index.rules_of(kind, name).len().min(grants.exact.len());
            named * NAMED_STEPS + grants.open_patterns * (1 + name.len() / 32)
        }
        Subject::Protocol(_) => grants.exact.len() + grants.open.len(),
        Subject::Unknown => grants.open.len(),
    }
}

/// Steps that a rule takes which is found by a name.
const NAMED_STEPS: usize = 8;

/// Calls `look` for each rule that the principal meets and that counts for this server, method and thing; what is
/// left open are conditions on the single request.
pub fn each(
    rules: &Rules,
    grants: &Grants,
    subject: Subject<'_>,
    operation: &Operation<'_>,
    mut look: impl FnMut(Held, &Rule),
) {
    let mut consider = |held: &Held, counts: &dyn Fn(&Rule) -> bool| {
        if let Some(rule) = rules.rules.get(held.rule() as usize).filter(|rule| counts(rule)) {
            look(*held, rule);
        }
    };
    let for_thing = |rule: &Rule| {
        rule.is_for(operation.server)
            && rule.is_for_method(operation.method)
            && rule.is_about(operation.target)
    };
    match subject {
        Subject::Thing(kind, name) => {
            let named = rules.index.rules_of(kind, name);
            if named.len() <= grants.exact.len() {
                for rule in named {
                    if let Ok(at) = grants.exact.binary_search_by_key(rule, |held| held.rule()) {
                        consider(&grants.exact[at], &for_thing);
                    }
                }
            } else {
                let is_named = |held: &&Held| named.binary_search(&held.rule()).is_ok();
                grants.exact.iter().filter(is_named).for_each(|held| consider(held, &for_thing));
            }
            grants.open.iter().for_each(|held| consider(held, &for_thing));
        }
        Subject::Protocol(_) => {
            let all = grants.exact.iter().chain(&grants.open);
            all.for_each(|held| consider(held, &|rule| rule.is_for_protocol(operation)));
        }
        Subject::Unknown => grants.open.iter().for_each(|held| consider(held, &for_thing)),
    }
}

/// The first rule of each kind among those that match.
#[derive(Default)]
pub struct Tally {
    deny: Option<u32>,
    allow: Option<u32>,
    scoped: Option<u32>,
    would_deny: Option<u32>,
    would_allow: Option<u32>,
}

impl Tally {
    /// Where a rule of this kind is noted, and whether one is of use after all that was noted before.
    fn kind(&mut self, rule: &Rule, held: Held) -> (&mut Option<u32>, bool) {
        let (no_deny, no_allow) = (self.deny.is_none(), self.allow.is_none());
        match (rule.effect, rule.report, held.lacks_scopes()) {
            (Effect::Deny, false, _) => (&mut self.deny, true),
            (Effect::Deny, true, _) => (&mut self.would_deny, no_deny),
            (Effect::Allow, false, false) => (&mut self.allow, no_deny),
            (Effect::Allow, false, true) => (&mut self.scoped, no_deny && no_allow),
            (Effect::Allow, true, lacks) => (&mut self.would_allow, no_deny && no_allow && !lacks),
        }
    }

    /// Whether it would make a difference if the rule matched.
    pub fn matters(&mut self, rule: &Rule, held: Held) -> bool {
        let (first, useful) = self.kind(rule, held);
        useful && first.is_none_or(|first| held.rule() < first)
    }

    /// The rule matches.
    pub fn note(&mut self, rule: &Rule, held: Held) {
        let (first, useful) = self.kind(rule, held);
        if useful {
            *first = Some(first.map_or(held.rule(), |first| first.min(held.rule())));
        }
    }

    pub fn settled(&self) -> Settled {
        let number = |rule: Option<u32>| rule.unwrap_or(NO_RULE);
        let (outcome, rule, reported) = match (self.deny, self.allow, self.scoped) {
            (Some(rule), _, _) => (Outcome::Deny, Some(rule), None),
            (None, Some(rule), _) => (Outcome::Allow, Some(rule), self.would_deny),
            (None, None, Some(rule)) => (Outcome::NeedsScope, Some(rule), self.would_allow),
            (None, None, None) => (Outcome::Deny, None, self.would_allow),
        };
        Settled { outcome, rule: number(rule), reported: number(reported) }
    }
}

fn decision(rules: &Rules, subject: Subject<'_>, settled: Settled) -> Decision {
    let number = |rule: u32| (rule != NO_RULE).then_some(rule);
    let verdict = match settled.outcome {
        Outcome::Allow => Verdict::Allow,
        Outcome::Deny | Outcome::Conditional => Verdict::Deny,
        // Who is to see what a scope would give must get as far as the list.
        Outcome::NeedsScope if rules.show_scoped && matches!(subject, Subject::Protocol(_)) => Verdict::Allow,
        Outcome::NeedsScope => {
            let scopes =
                rules.rules.get(settled.rule as usize).map_or(String::new(), |rule| rule.scopes.join(" "));
            Verdict::NeedsScope(scopes.into())
        }
    };
    Decision { verdict, rule: number(settled.rule), reported: number(settled.reported) }
}
