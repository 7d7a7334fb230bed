//! The rules that a principal can ever meet.

use std::cell::RefCell;

use super::Rules;
use super::index::Kind;
use super::memo::Memo;
use super::pattern::Pattern;
use super::rule::{Effect, Meets, Rule};
use crate::policy::Principal;

/// The rules that a principal can ever meet, found once for all of its requests, and verdicts worked out from them.
/// Good for the rules it was made from and for no others. Belongs to one worker.
#[derive(Debug, Default)]
pub struct Grants {
    /// Rules that name all their things exactly, ascending: found by the thing.
    pub(super) exact: Box<[Held]>,
    /// Rules about all things or with a pattern, ascending: looked at for each thing.
    pub(super) open: Box<[Held]>,
    /// Rules of `open`, and the parts of all their patterns for things: what looking at them takes.
    pub(super) open_patterns: usize,
    /// Which kinds of things some of these rules have patterns for.
    pub(super) patterns: [bool; 3],
    /// Verdicts that were given.
    pub(super) memo: RefCell<Memo>,
}

impl Grants {
    /// What the verdicts depend on: principals with the same can share one.
    pub fn held(&self) -> (&[Held], &[Held]) {
        (&self.exact, &self.open)
    }
}

/// A rule that the principal meets, perhaps but for scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Held(u32);

impl Held {
    fn new(rule: u32, lacks_scopes: bool) -> Self {
        Self((rule << 1) | u32::from(lacks_scopes))
    }

    /// The rule's index.
    pub fn rule(self) -> u32 {
        self.0 >> 1
    }

    /// Whether the principal lacks scopes that the rule names.
    pub fn lacks_scopes(self) -> bool {
        self.0 & 1 == 1
    }
}

/// The rules whose conditions on the principal this one meets. Looks only at rules that name its agent, user, roles
/// or tenant, and at those that name none of these exactly.
pub fn find(rules: &Rules, principal: &Principal) -> Grants {
    let mut candidates = rules.common.to_vec();
    let mut add = |kind, name: &str| candidates.extend_from_slice(rules.index.rules_of(kind, name));
    for (kind, name) in
        [(Kind::Agent, &principal.agent), (Kind::User, &principal.user), (Kind::Tenant, &principal.tenant)]
    {
        name.iter().for_each(|name| add(kind, name));
    }
    principal.roles.iter().for_each(|role| add(Kind::Role, role));
    candidates.sort_unstable();
    candidates.dedup();

    let (mut exact, mut open, mut patterns) = (Vec::new(), Vec::new(), [false; 3]);
    for index in candidates {
        let Some(rule) = rules.rules.get(index as usize) else { continue };
        let held = match (rule.meets(principal), rule.effect) {
            (Meets::All, _) => Held::new(index, false),
            // A challenge can name the scopes that are missing from a rule that allows.
            (Meets::AllButScopes, Effect::Allow) if !rule.report => Held::new(index, true),
            (Meets::AllButScopes | Meets::Not, _) => continue,
        };
        let wild = wildcards(rule);
        let list = if wild.contains(&true) || !rule.names_things() { &mut open } else { &mut exact };
        list.push(held);
        patterns = std::array::from_fn(|kind| patterns[kind] || wild[kind]);
    }
    let steps = |held: &Held| rules.rules.get(held.rule() as usize).map_or(0, |rule| rule.steps());
    let open_patterns = open.iter().map(steps).sum();
    Grants { exact: exact.into(), open: open.into(), open_patterns, patterns, memo: RefCell::default() }
}

fn wildcards(rule: &Rule) -> [bool; 3] {
    let wild = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.literal().is_none());
    [wild(&rule.tools), wild(&rule.prompts), wild(&rule.resources)]
}
