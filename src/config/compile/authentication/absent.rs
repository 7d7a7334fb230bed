//! What is written down to protect something, where nobody is asked who they are.

use crate::config::file::access::RuleSection;
use crate::config::file::{File, ServerSection};
use crate::policy::Proof;
use crate::schema::finding::{At, Findings, Place};

/// Notes options that would do nothing for want of `authentication`: whoever wrote them believes in a lock that is not
/// there.
pub fn check(file: &File, findings: &mut Findings) {
    // A section that is wrong reads as absent, and has its finding already.
    if findings.iter().any(|finding| finding.place.path.starts_with("authentication")) {
        return;
    }
    for place in file.servers.iter().flat_map(|list| &list.value).flat_map(|server| locks(&server.value)) {
        let what = "has no effect without `authentication`: everybody is served";
        findings.add(place, what, "add `authentication`, or remove it");
    }
    let rules = file.access.iter().filter_map(|access| access.value.rules.as_ref());
    for place in rules.flat_map(|list| &list.value).flat_map(|rule| conditions(&rule.value)) {
        let what = "is never met without `authentication`: nobody is asked who they are";
        findings.add(place, what, "add `authentication`, or remove it");
    }
}

/// The options of a server that say who may call it.
fn locks(server: &ServerSection) -> impl Iterator<Item = &Place> {
    let anonymous = server.anonymous.value.then_some(&server.anonymous.place);
    let scopes = (!server.scopes.value.is_empty()).then_some(&server.scopes.place);
    [anonymous, place(&server.audiences), scopes, place(&server.challenge_scopes)].into_iter().flatten()
}

/// The conditions of a rule that a caller without a credential never meets.
fn conditions(rule: &RuleSection) -> impl Iterator<Item = &Place> {
    let proofs =
        rule.proofs.as_ref().filter(|proofs| proofs.value.iter().all(|at| at.value != Proof::Anonymous));
    [
        place(&rule.roles),
        place(&rule.scopes),
        place(&rule.agents),
        place(&rule.users),
        place(&rule.tenants),
        place(&rule.claims),
        proofs.map(|proofs| &proofs.place),
    ]
    .into_iter()
    .flatten()
}

fn place<T>(option: &Option<At<T>>) -> Option<&Place> {
    option.as_ref().map(|option| &option.place)
}
