#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::compile::Context;
use crate::config::world::System;
use crate::schema::finding::Findings;

const FILE: &str = "\
servers: [{name: crm, url: 'http://a.example', audiences: [a]}, {name: db, url: 'http://b.example', audiences: [b], scopes: [mcp]}]
authentication: {issuers: [{issuer: 'https://idp.example'}], anonymous_roles: [guest]}
access:
  rules:
  - {name: support, effect: allow, roles: [support], servers: [crm], tools: ['customer_*']}
  - {name: no-deletes, effect: deny, tools: ['*_delete']}
  - {name: writers, effect: allow, scopes: [write], servers: [crm], tools: [note_add], when: 'arguments.text.size() < 9'}
  - {name: trial, effect: deny, mode: report, claims: {department: hr}}
  - {name: partners, effect: allow, servers: [crm], agents: [bot], tools: [ping], issuers: ['https://idp.example']}
  - {effect: allow, servers: [db], time: {days: [mon], from: '08:00', to: '18:00'}, sources: [10.0.0.0/8]}
rate_limits:
  limits:
  - {name: per_tool, unit: calls, key: [agent, tool], servers: [crm], rate: 10/min, overrides: [{roles: [gold], rate: [5/s, 100/min]}]}
  - {name: notes, tools: [note_add], mode: report, unit: calls, rate: 3/h}
";

fn asked(line: &str) -> (u8, String) {
    let context = Context { world: &System, directory: std::path::Path::new("") };
    let snapshot = check::check(FILE, 1, &context, Findings::of("f")).unwrap();
    let (mut words, mut all, mut live) = (Words::default(), false, None::<Json>);
    for word in line.split(' ') {
        let (key, value) = word.split_once(':').unwrap_or((word, ""));
        let value = value.to_owned();
        match key {
            "server" => words.server = Some(value),
            "tool" => words.tool = Some(value),
            "method" => words.method = Some(value),
            "prompt" => words.prompt = Some(value),
            "as" => words.caller.push(value),
            "arguments" => words.arguments = Some(value),
            "source" => words.source = Some(value),
            "at" => words.at = Some(value),
            "header" => words.headers.push(value),
            "all" => all = true,
            "live" => live = serde_json::from_str(&value).ok(),
            other => panic!("{other}"),
        }
    }
    let mut out = Vec::new();
    let code = match words.question(&snapshot, 0) {
        Ok(question) => answer(&question, &snapshot, all, live.as_ref(), &mut out).unwrap(),
        Err(wrong) => {
            out.extend(flagged(&wrong).bytes());
            USAGE
        }
    };
    (code, String::from_utf8(out).unwrap())
}

#[test]
fn an_answer_names_the_verdict_its_rule_and_what_lists_do() {
    for (line, code, parts) in [
        (
            "server:crm tool:customer_get as:role=support",
            0,
            &["allow\n", "access.rules[0] `support` on line 5 decides", "lists    show it"][..],
        ),
        (
            "server:crm tool:customer_delete as:role=support",
            3,
            &["deny\n", "`no-deletes` on line 6", "hide it"],
        ),
        ("server:crm tool:customer_get as:role=other", 3, &["deny\n", "no rule matches", "hide it"]),
        (
            "server:crm tool:note_add as:agent=a arguments:{\"text\":\"x\"}",
            3,
            &["deny, needs the scopes: write", "`writers` on line 7"],
        ),
        (
            "server:crm tool:note_add as:scope=write arguments:{\"text\":\"0123456789\"}",
            3,
            &["no rule matches", "show it"],
        ),
        (
            "server:crm tool:customer_get as:role=support as:claim:department=hr",
            0,
            &["report   access.rules[3] `trial` (deny, line 8) would deny it"],
        ),
        ("server:db tool:x as:agent=a", 3, &["needs the scopes: mcp", "the server's own `scopes` decide"]),
        (
            "server:db tool:x as:scope=mcp source:10.1.1.1 at:2026-01-05T08:00:00Z",
            0,
            &["access.rules[5] on line 10"],
        ),
        ("server:db tool:x as:scope=mcp source:10.1.1.1 at:2026-01-05T18:00:00Z", 3, &["hide it"]),
        ("server:db method:ping as:scope=mcp", 0, &["access.rules[5]"]),
    ] {
        let (got, text) = asked(line);
        assert_eq!(got, code, "{line}: {text}");
        assert!(parts.iter().all(|part| text.contains(part)), "{line}: {text}");
    }
}

#[test]
fn the_limits_that_a_request_would_touch_are_named_with_their_keys() {
    let limits = |line: &str| {
        let (_, text) = asked(line);
        let from = text.find("  limits").unwrap();
        text[from..].to_owned()
    };
    assert_eq!(
        limits("server:crm tool:customer_get as:agent=a as:role=support"),
        "  limits\n    per_tool: 10 calls in 1m; agent=a tool=customer_get\n"
    );
    assert_eq!(
        limits("server:crm tool:note_add as:agent=a as:role=gold"),
        "  limits\n    per_tool: 5 calls in 1s (overrides[0]); agent=a tool=note_add\n    \
         per_tool: 100 calls in 1m (overrides[0]); agent=a tool=note_add\n    \
         notes: 3 calls in 1h, only reports; one bucket for all\n"
    );
    for line in ["server:crm method:ping as:agent=a", "server:db tool:x as:agent=a"] {
        assert_eq!(limits(line), "  limits   none is about it\n", "{line}");
    }
}

#[test]
fn a_running_gateway_says_what_is_left_and_whether_it_judges_otherwise() {
    let row = r#"{"name":"per_tool","mode":"report","rate":"RATE","override":1,"key":{"agent":"a\u001b"},"available":-3,"outstanding":2,"size":10,"next_unit_seconds":18}"#;
    let full = r#"{"name":"x","mode":"enforce","rate":"R","override":null,"key":{},"available":9,"outstanding":0,"size":9,"next_unit_seconds":0}"#;
    let because = r"access.rules[0]\u0020`support`\u0020on\u0020line\u00205\u0020decides";
    let page = |verdict: &str, because: &str, rows: &str| {
        format!(r#"{{"verdict":"{verdict}","because":"{because}","limits":[{rows}]}}"#)
    };
    let said = |page: &str| asked(&format!("server:crm tool:customer_get as:role=support live:{page}")).1;
    let text = said(&page("allow", because, &format!("{row},{full}")));
    let (_, limits) = text.split_once("  limits\n").unwrap();
    assert_eq!(
        limits,
        "    per_tool: RATE (overrides[1]), only reports; agent=a\u{fffd}; -3 of 10 left now, workers hold 2, the next in \
         18 s at most\n    x: R; one bucket for all; 9 of 9 left now\n"
    );
    assert!(!text.contains("running"), "{text}");
    let text = said(&page("deny", "no", ""));
    assert!(text.contains("  running  the gateway has another configuration: deny, no\n"), "{text}");
    assert!(text.starts_with("allow\n") && text.ends_with("  limits   none is about it\n"), "{text}");
}

#[test]
fn every_rule_says_why_it_does_not_match() {
    let (_, text) =
        asked("server:crm tool:note_add as:role=dev as:scope=write arguments:{\"text\":\"0123456789\"} all");
    for part in [
        "[0] `support` (allow, line 5): does not match: names no tool `note_add`",
        "[1] `no-deletes` (deny, line 6): does not match: names no tool",
        "[2] `writers` (allow, line 7): does not match: `when` is false",
        "[3] `trial` (deny, line 8): does not match: the claim `department` is not there",
        "[4] `partners` (allow, line 9): does not match: names no tool `note_add`",
        "[5] (allow, line 10): does not match: is for other servers",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let (_, text) = asked("server:crm tool:note_add as:role=dev arguments:{\"text\":\"0\"} all");
    assert!(text.contains("would allow it, but the caller lacks the scope `write`"), "{text}");
    let (_, text) = asked("server:crm tool:customer_get as:role=support all");
    assert!(text.contains("`support` (allow, line 5): matches and decides"), "{text}");
}

#[test]
fn words_that_make_no_question_are_told_apart() {
    for (line, part) in [
        ("tool:x", "--server: say which server is meant"),
        ("server:none tool:x", "there is no server `none`"),
        ("server:crm", "say what is asked for"),
        ("server:crm tool:x prompt:y", "only one of"),
        ("server:crm tool:x as:role", "--as: `role`: write agent="),
        ("server:crm tool:x as:claim:=1", "write agent="),
        ("server:crm tool:x as:proof=hope", "write agent="),
        ("server:crm tool:x as:claim:a=1 as:claim:a.b=1", "write agent="),
        ("server:crm tool:x source:here", "--source: is not an IP address"),
        ("server:crm tool:x at:noon", "--at: `noon` is not a time"),
        ("server:crm tool:x arguments:{", "--arguments: is not JSON"),
        ("server:crm tool:x header:none", "--header: `none` is not of the form"),
    ] {
        let (code, text) = asked(line);
        assert_eq!(code, USAGE, "{line}");
        assert!(text.contains(part), "{line}: {text}");
    }
}

#[test]
fn the_only_issuer_vouches_unless_another_is_named() {
    assert_eq!(asked("server:crm tool:ping as:agent=bot").0, 0);
    assert_eq!(
        asked("server:crm tool:ping as:agent=bot as:issuer=https://idp.example as:proof=introspection").0,
        0
    );
    let (code, text) = asked("server:crm tool:ping as:agent=bot as:issuer=https://other.example all");
    assert!(code != 0 && text.contains("the issuer is none of `https://idp.example`"), "{text}");
    assert!(asked("server:crm tool:ping as:agent=bot as:proof=api_key").0 != 0);
}
