//! `tests`: requests that the operator knows the answer to.

use crate::config::file::File;
use crate::config::file::access::{CallerSection, Expected, RequestSection, TestSection};
use crate::config::question::{Question, Thing, issuer_of};
use crate::config::snapshot::{Server, Snapshot};
use crate::policy::Principal;
use crate::policy::authz::{Decision, Rules, Verdict};
use crate::policy::principal::sorted;
use crate::schema::finding::{At, Findings, Place};

/// Judges each request of the file and notes those that are judged otherwise than expected.
pub fn run(file: &File, snapshot: &Snapshot, findings: &mut Findings) {
    for test in &file.tests.value {
        if let Some(question) = question(&test.value, snapshot, findings) {
            judge(test, &question, snapshot, findings);
        }
    }
}

fn judge(test: &At<TestSection>, question: &Question, snapshot: &Snapshot, findings: &mut Findings) {
    let At { value: section, place } = test;
    let Some(expected) = section.expect.as_ref().map(|expect| expect.value) else { return };
    let decision = question.decide(snapshot);
    let is_met = match (expected, &decision.verdict) {
        (Expected::Shown, _) => question.is_shown(snapshot),
        (Expected::Hidden, _) => !question.is_shown(snapshot),
        (Expected::Allow, verdict) => *verdict == Verdict::Allow,
        (Expected::Deny, verdict) => *verdict == Verdict::Deny,
        (Expected::NeedsScope, verdict) => matches!(verdict, Verdict::NeedsScope(_)),
    };
    let title = section.name.as_ref().map_or_else(String::new, |name| format!(" `{}`", name.value));
    if !is_met {
        let happened = happened(expected, &decision, snapshot);
        let what = format!("test{title} expects `{}`, but {happened}", expected.word());
        findings.add(
            place,
            what,
            "change the rules or the test; `ringgate explain --all` tells of each rule",
        );
    }
    let Some(wanted) = &section.rule else { return };
    let named = |rules: &Rules| {
        decision.rule.and_then(|rule| rules.list().get(rule as usize)).and_then(|rule| rule.name.clone())
    };
    if snapshot.access.rules.as_ref().and_then(named).as_deref() != Some(&wanted.value) {
        let what =
            format!("test{title} expects the rule `{}`, but {}", wanted.value, decider(&decision, snapshot));
        findings.add(&wanted.place, what, "change the rules or the test");
    }
}

fn happened(expected: Expected, decision: &Decision, snapshot: &Snapshot) -> String {
    match (expected, &decision.verdict) {
        (Expected::Shown, _) => "lists hide it".to_owned(),
        (Expected::Hidden, _) => "lists show it".to_owned(),
        (_, Verdict::Allow) => format!("it is allowed: {}", decider(decision, snapshot)),
        (_, Verdict::Deny) => format!("it is denied: {}", decider(decision, snapshot)),
        (_, Verdict::NeedsScope(scopes)) => {
            format!("it needs the scopes `{scopes}`: {}", decider(decision, snapshot))
        }
    }
}

/// What decided, in words.
pub fn decider(decision: &Decision, snapshot: &Snapshot) -> String {
    let rules = snapshot.access.rules.as_ref();
    let rule = decision.rule.and_then(|rule| rules?.list().get(rule as usize).map(|found| (rule, found)));
    match (rule, &decision.verdict) {
        (Some((index, rule)), _) => {
            let name = rule.name.as_ref().map_or_else(String::new, |name| format!(" `{name}`"));
            format!("access.rules[{index}]{name} on line {} decides", rule.line)
        }
        (None, Verdict::NeedsScope(_)) => "the server's own `scopes` decide".to_owned(),
        (None, _) if rules.is_none() => "there are no rules".to_owned(),
        (None, _) => "no rule matches".to_owned(),
    }
}

/// The request of a test. `None` after noting what is wrong with it.
fn question(test: &TestSection, snapshot: &Snapshot, findings: &mut Findings) -> Option<Question> {
    let At { value: request, place } = test.request.as_ref()?;
    let server = server(request, place, snapshot, findings)?;
    let thing = thing(request, place, findings)?;
    let method = request.method.as_ref().map(|method| method.value.clone());
    let Some(method) = method.or_else(|| thing.method().map(Into::into)) else {
        findings.add(place, "is about nothing", "add `tool`, `prompt`, `resource` or `method`");
        return None;
    };
    let headers = request.headers.value.iter();
    Some(Question {
        principal: principal(&test.r#as.value, snapshot),
        server: server.id,
        method,
        thing,
        arguments: request.arguments.as_ref().map(|arguments| arguments.value.clone()),
        source: request.source.as_ref().map(|source| source.value),
        now: request.time.value,
        headers: headers.map(|(name, value)| (name.value.to_ascii_lowercase(), value.clone())).collect(),
    })
}

fn server<'s>(
    request: &RequestSection,
    place: &Place,
    snapshot: &'s Snapshot,
    findings: &mut Findings,
) -> Option<&'s Server> {
    let fix = "write the name of one of `servers`";
    match (&request.server, &*snapshot.servers) {
        (None, [only]) => Some(only),
        (None, _) => {
            findings.add(place, "names no server, and there are several", fix);
            None
        }
        (Some(name), servers) => {
            let found = servers.iter().find(|server| *server.name == *name.value);
            if found.is_none() {
                findings.add(&name.place, format!("`{}` is not the name of a server", name.value), fix);
            }
            found
        }
    }
}

fn thing(request: &RequestSection, place: &Place, findings: &mut Findings) -> Option<Thing> {
    let name = |name: &At<String>| name.value.clone();
    match (&request.tool, &request.prompt, &request.resource) {
        (None, None, None) => Some(Thing::Nothing),
        (Some(tool), None, None) => Some(Thing::Tool(name(tool))),
        (None, Some(prompt), None) => Some(Thing::Prompt(name(prompt))),
        (None, None, Some(uri)) => Some(Thing::Resource(name(uri))),
        _ => {
            findings.add(place, "names several things", "give only one of `tool`, `prompt`, `resource`");
            None
        }
    }
}

fn principal(caller: &CallerSection, snapshot: &Snapshot) -> Principal {
    let text = |text: &Option<At<String>>| text.as_ref().map(|text| text.value.as_str().into());
    let all = |list: &At<Vec<At<String>>>| sorted(list.value.iter().map(|text| text.value.as_str().into()));
    let proof = caller.proof.value;
    Principal {
        proof,
        issuer: text(&caller.issuer).unwrap_or_else(|| issuer_of(proof, snapshot)),
        agent: text(&caller.agent),
        user: text(&caller.user),
        tenant: text(&caller.tenant),
        roles: all(&caller.roles),
        scopes: all(&caller.scopes),
        claims: caller.claims.value.clone(),
        credential: None,
        expires: None,
    }
}
