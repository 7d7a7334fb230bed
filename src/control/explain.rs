//! `GET /explain`: what the gateway would say to a request that nobody sent, and what is left of the limits that it would
//! touch. Nothing is taken, nothing is sent, and nothing of the question is logged.

use serde_json::{Map, Value as Json, json};

use super::life::Control;
use super::limits::amount;
use crate::base::ledger::Ledger;
use crate::config::check::expectations;
use crate::config::question::{Question, Thing, Words, Wrong};
use crate::config::snapshot::Snapshot;
use crate::policy::authz::{Rule, Verdict};
use crate::policy::rate_limit::{Line, Now, Secret};

/// The answer to the question of this query, by the configuration in force.
///
/// # Errors
/// Why the query is no question, as JSON.
pub fn page(control: &Control, query: &str) -> Result<String, String> {
    let shared = &control.shared;
    let deployment = shared.deployment.load();
    let now = Now { ticks: control.net.now(), wall: control.net.wall() };
    let asked = Words::from_query(query).and_then(|words| words.question(&deployment.snapshot, now.wall));
    match asked {
        Ok(question) => {
            // A clerk that only looks; it never claims a place for a key.
            let clerk = shared.book.clerk(0);
            let answer = answer(&question, &deployment.snapshot, &shared.limit_secret, &clerk, now);
            Ok(format!("{answer:#}\n"))
        }
        Err(wrong) => Err(format!("{:#}\n", refusal(&wrong))),
    }
}

fn refusal(wrong: &Wrong) -> Json {
    json!({"error": wrong.to_string(), "word": (!wrong.word.is_empty()).then_some(wrong.word)})
}

fn answer(question: &Question, snapshot: &Snapshot, secret: &Secret, ledger: &impl Ledger, now: Now) -> Json {
    let decision = question.decide(snapshot);
    let (verdict, scopes) = match &decision.verdict {
        Verdict::Allow => ("allow", None),
        Verdict::Deny => ("deny", None),
        Verdict::NeedsScope(scopes) => ("needs_scope", Some(&**scopes)),
    };
    let rules = snapshot.access.rules.as_ref().map_or(&[][..], |rules| rules.list());
    let named = |at: Option<u32>| at.and_then(|at| Some(rule(at, rules.get(at as usize)?)));
    let limits = match &snapshot.rate_limits {
        Some(limits) => question.limits(limits, secret, ledger, now),
        None => Vec::new(),
    };
    json!({
        "generation": snapshot.generation,
        "verdict": verdict,
        "scopes": scopes,
        "because": expectations::decider(&decision, snapshot),
        "rule": named(decision.rule),
        "reported": named(decision.reported),
        "listed": (question.thing != Thing::Nothing).then(|| question.is_shown(snapshot)),
        "limits": limits.iter().map(limit).collect::<Vec<_>>(),
    })
}

fn rule(at: u32, rule: &Rule) -> Json {
    json!({"index": at, "name": rule.name, "line": rule.line})
}

fn limit(line: &Line) -> Json {
    let key: Map<String, Json> = line.words().map(|(part, value)| (part, Json::from(value))).collect();
    json!({
        "name": line.limit,
        "mode": if line.is_report { "report" } else { "enforce" },
        "rate": line.rate,
        "override": line.exception,
        "key": key,
        "passes": line.passes,
        "available": amount(line.unit, line.level.available),
        "outstanding": amount(line.unit, line.level.outstanding),
        "size": amount(line.unit, line.size),
        "next_unit_seconds": line.wait.map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::num::NonZeroU64;
    use std::path::Path;

    use super::*;
    use crate::base::Ticks;
    use crate::base::ledger::{Ask, PlainLedger};
    use crate::config::check;
    use crate::config::compile::Context;
    use crate::config::world::System;
    use crate::schema::finding::Findings;

    const FILE: &str = "\
servers: [{name: crm, url: 'http://a.example', audiences: [a]}]
authentication: {issuers: [{issuer: 'https://idp.example'}], anonymous_roles: [guest]}
access:
  rules:
  - {name: support, effect: allow, roles: [support], tools: ['get_*']}
  - {name: writers, effect: allow, scopes: [write], tools: [put]}
  - {name: trial, effect: deny, mode: report, agents: [x]}
rate_limits:
  limits:
  - {name: few, unit: calls, key: [agent, tool], rate: 10/min, overrides: [{roles: [gold], rate: 5/h}]}
  - {name: quota, unit: calls, key: [agent], roles: [gold], rate: 5/day, window: calendar}
  - {name: nights, mode: report, unit: calls, rate: 3/h, when: 'now < timestamp(\"2026-01-01T00:00:00Z\")'}
  - {name: held, unit: in_flight, key: ['header:x-team'], max: 2}
";

    /// One minute before the end of 2026-01-05.
    const NOW: Now = Now { ticks: Ticks(5_000_000_000), wall: 1_767_657_540 };

    fn snapshot() -> Snapshot {
        let context = Context { world: &System, directory: Path::new("") };
        check::check(FILE, 1, &context, Findings::of("f")).unwrap()
    }

    fn asked(query: &str, ledger: &PlainLedger) -> Json {
        let snapshot = snapshot();
        let question = Words::from_query(query).unwrap().question(&snapshot, NOW.wall).unwrap();
        answer(&question, &snapshot, &Secret::default(), ledger, NOW)
    }

    /// The bucket of this limit for this question, emptied of so many units.
    fn use_up(query: &str, limit: usize, units: u64, ledger: &PlainLedger) {
        let snapshot = snapshot();
        let question = Words::from_query(query).unwrap().question(&snapshot, NOW.wall).unwrap();
        let limits = snapshot.rate_limits.as_ref().unwrap();
        let line = &question.limits(limits, &Secret::default(), ledger, NOW)[limit];
        let own = limits.list().iter().find(|own| own.name == line.limit).unwrap();
        let windows = if line.exception.is_some() { &own.overrides[0].windows } else { &own.windows };
        assert!(ledger.charge(line.bucket, &windows[0].fill.refill(NOW.wall), units, NOW.ticks));
    }

    #[test]
    fn the_verdict_comes_with_its_rule_and_what_reports() {
        let ledger = PlainLedger::default();
        let page = asked("tool=get_x&caller=role=support&caller=agent=x", &ledger);
        assert_eq!((&page["verdict"], &page["listed"]), (&json!("allow"), &json!(true)));
        assert_eq!(page["rule"], json!({"index": 0, "name": "support", "line": 5}));
        assert_eq!(page["because"], "access.rules[0] `support` on line 5 decides");
        assert_eq!(page["reported"]["name"], "trial");
        let page = asked("tool=put&caller=agent=y", &ledger);
        assert_eq!((&page["verdict"], &page["scopes"]), (&json!("needs_scope"), &json!("write")));
        let page = asked("tool=other&caller=agent=y", &ledger);
        assert_eq!((&page["verdict"], &page["rule"]), (&json!("deny"), &Json::Null));
        assert_eq!(asked("method=ping&caller=agent=y", &ledger)["listed"], Json::Null);
    }

    #[test]
    fn each_limit_says_what_is_left_of_this_key_and_when_there_is_more() {
        let ledger = PlainLedger::default();
        let query = "tool=get_x&caller=agent=a&caller=role=support";
        use_up(query, 0, 12, &ledger);
        let page = asked(query, &ledger);
        let expected = json!({
            "name": "few", "mode": "enforce", "rate": "10 calls in 1m", "override": null,
            "key": {"agent": "a", "tool": "get_x"},
            // Two units of debt and one more, six seconds each.
            "passes": false, "available": -2, "outstanding": 0, "size": 10, "next_unit_seconds": 18,
        });
        assert_eq!(page["limits"][0], expected);
        let other = &asked("tool=get_x&caller=agent=b", &ledger)["limits"][0];
        assert_eq!((&other["available"], &other["next_unit_seconds"]), (&json!(10), &json!(0)));
        let gold = "tool=get_x&caller=agent=a&caller=role=gold";
        use_up(gold, 0, 3, &ledger);
        use_up(gold, 1, 5, &ledger);
        let page = asked(gold, &ledger);
        let [few, quota] = [0, 1].map(|at| &page["limits"][at]);
        assert_eq!((&few["override"], &few["available"], &few["size"]), (&json!(0), &json!(2), &json!(5)));
        assert_eq!((&quota["override"], &quota["available"]), (&Json::Null, &json!(0)));
        assert_eq!(quota["next_unit_seconds"], 60, "the day ends in a minute");
    }

    #[test]
    fn conditions_are_of_the_time_asked_for_and_levels_of_now() {
        let ledger = PlainLedger::default();
        let names = |query: &str| -> Vec<String> {
            let page = asked(query, &ledger);
            let lines = page["limits"].as_array().unwrap().iter();
            lines.map(|line| line["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names("tool=x&caller=agent=a"), ["few", "held"]);
        assert_eq!(names("tool=x&caller=agent=a&at=2025-12-31T00:00:00Z"), ["few", "nights", "held"]);
        let gold = "tool=x&caller=agent=a&caller=role=gold";
        use_up(gold, 1, 5, &ledger);
        let row = &asked(&format!("{gold}&at=2026-02-01T00:00:00Z"), &ledger)["limits"][1];
        assert_eq!((&row["name"], &row["available"]), (&json!("quota"), &json!(0)));
    }

    #[test]
    fn what_workers_hold_counts_as_taken_and_long_values_are_cut() {
        let ledger = PlainLedger::default();
        let query = format!("tool=x&caller=agent=a&header=x-team:{}", "t".repeat(200));
        let (snapshot, words) = (snapshot(), Words::from_query(&query).unwrap());
        let question = words.question(&snapshot, NOW.wall).unwrap();
        let limits = snapshot.rate_limits.as_ref().unwrap();
        let lines = question.limits(limits, &Secret::default(), &ledger, NOW);
        let held = lines.iter().position(|line| &*line.limit == "held").unwrap();
        let refill = crate::base::ledger::Refill::Held { count: NonZeroU64::new(2).unwrap() };
        let ask = Ask { least: 2, most: 2, spent: 0, at_once: 0 };
        ledger.draw(lines[held].bucket, &refill, ask, NOW.ticks);
        let row = &asked(&query, &ledger)["limits"][held];
        assert_eq!((&row["available"], &row["outstanding"]), (&json!(0), &json!(2)));
        assert_eq!((&row["passes"], &row["next_unit_seconds"]), (&json!(false), &Json::Null));
        assert_eq!(row["key"]["header:x-team"], format!("{}…", "t".repeat(128)));
    }
}
