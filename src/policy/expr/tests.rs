#![allow(clippy::unwrap_used)]

use serde_json::{Value as Json, json};

use super::*;

const VARIABLES: &[&str] = &["tool", "roles", "body", "arguments", "claims", "now", HEADERS];

fn compile(text: &str) -> Result<Expression, Fault> {
    Expression::compile(text, VARIABLES)
}

fn eval_with(text: &str, body: &Json) -> Result<bool, Failure> {
    compile(text).unwrap_or_else(|fault| panic!("{text}: {fault:?}")).eval(&Budget::default(), |name| {
        Ok(match name {
            "tool" => Data::text("run_sql_query"),
            "roles" => Data::texts(&["admin".into(), "dev".into()]),
            "claims" => Data::json(&json!({"department": "hr", "level": 3})),
            "now" => Data::moment(1_767_571_200),
            HEADERS => Data::map([("x-team", "blue".to_owned())]),
            "arguments" => Data::json(body.pointer("/params/arguments").unwrap_or(&Json::Null)),
            _ => Data::json(body),
        })
    })
}

fn eval(text: &str) -> Option<bool> {
    let body = json!({"method": "tools/call", "params": {"name": "run_sql_query", "arguments":
        {"query": "select 1", "limit": 10, "ratio": 1.0, "ids": [1, 2, 3], "deep": {"list": [{"a": 1}, {"a": 2}]}}}});
    eval_with(text, &body).ok()
}

#[test]
fn expressions_have_the_values_that_they_say() {
    for (text, expected) in [
        ("body.params.name == \"run_sql_query\"", Some(true)),
        ("tool == 'run_sql_query' && 'admin' in roles", Some(true)),
        ("roles.exists(role, role.startsWith('ad'))", Some(true)),
        ("arguments.limit <= 10 && arguments.query.matches('^select ')", Some(true)),
        ("arguments.ratio == 1 && arguments.limit == 10.0", Some(true)),
        ("arguments.deep.list.all(item, item.a > 0)", Some(true)),
        ("has(arguments.missing)", Some(false)),
        ("has(arguments.missing) && arguments.missing == 1", Some(false)),
        ("arguments.missing == 1", None),
        ("arguments.limit < 'x'", None),
        ("arguments.limit", None),
        ("headers['x-team'] == 'blue' && headers.x_none == ''", None),
        ("'x-team' in headers && !('x-other' in headers)", Some(true)),
        ("claims.department == 'hr' ? claims.level >= 3 : false", Some(true)),
        ("now.getDayOfWeek() == 1 && now < timestamp('2026-01-06T00:00:00Z')", Some(true)),
        ("now + duration('1h') > now", Some(true)),
        ("type(arguments.limit) == int", Some(true)),
        ("// a comment ((((\n true", Some(true)),
    ] {
        assert_eq!(eval(text), expected, "{text}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, part) in [
        ("", "is empty"),
        ("tool ==", "is not CEL: line 1, column"),
        ("tool == 'x'\n&& (", "is not CEL: line 2"),
        ("tol == 'x'", "names `tol`, which is not known here; known: tool, roles"),
        ("tool == 'x' && tol == 'y'", "(line 1, column 16)"),
        ("tool.lowerAscii() == 'x'", "calls `lowerAscii`"),
        ("roles.exists(r, x == r)", "names `x`"),
        ("tool.matches(arguments.pattern)", "a caller must not choose it"),
        ("tool.matches('(')", "a regular expression that is wrong"),
        ("tool.matches('(a{1000}){1000}{1000}')", "a regular expression that is wrong"),
        ("headers == headers", "in another way than by name"),
        ("headers[tool] == 'x'", "in another way than by name"),
        ("headers.all(h, h == 'x')", "in another way than by name"),
        ("headers['authorization'] == 'x'", "headers with credentials are not shown"),
        ("has(headers.cookie)", "headers with credentials are not shown"),
        ("'x-api-key' in headers", "headers with credentials are not shown"),
        ("headers['X-Team'] == 'x'", "names are in lower case here"),
        ("roles.all(a, roles.all(b, roles.all(c, a == b)))", "macros more than two deep"),
        ("Message{a: 1} == 1", "message of a type"),
    ] {
        let fault = compile(text).err().unwrap_or_else(|| panic!("{text}"));
        assert!(fault.what.contains(part), "{text}: {}", fault.what);
    }
}

#[test]
fn only_what_is_named_is_asked_for() {
    let expression =
        compile("tool == 'a' || tool == 'b' || 'x-a' in headers || headers['x-a'] == 'c'").unwrap();
    let mut asked = Vec::new();
    let value = expression.eval(&Budget::default(), |name| {
        asked.push(name);
        Ok(if name == "tool" { Data::text("b") } else { Data::map([]) })
    });
    assert!(value.unwrap());
    assert_eq!((asked, expression.headers()), (vec!["tool", HEADERS], &["x-a".into()][..]));
    assert!(expression.uses("tool") && !expression.uses("body"));
}

#[test]
fn every_bound_holds_at_its_edge() {
    let spaced = |length: usize| format!("true{}", " ".repeat(length - 4));
    assert!(compile(&spaced(4096)).is_ok() && compile(&spaced(4097)).is_err());
    let brackets = |depth: usize| format!("{}true{}", "(".repeat(depth), ")".repeat(depth));
    assert!(compile(&brackets(24)).is_ok() && compile(&brackets(25)).is_err());
    assert!(compile(&format!("'{}' != ''", "(".repeat(99))).is_ok(), "brackets in a string are text");
    let operators = |count: usize| vec!["true"; count / 2 + 1].join(" || ");
    assert!(compile(&operators(400)).is_ok() && compile(&operators(402)).is_err());
    let sum = |terms: usize| format!("{} > 0", vec!["1"; terms].join(" + "));
    assert!(compile(&sum(80)).is_ok() && compile(&sum(200)).is_err());
    assert!(compile("roles.all(a, roles.exists(b, a == b))").is_ok());
}

#[test]
fn what_is_too_large_to_walk_over_has_no_answer() {
    let body = |count: usize| json!({"params": {"arguments": {"ids": vec![1; count]}}});
    let too_large = |text: &str, count| matches!(eval_with(text, &body(count)), Err(Failure::TooLarge));
    // Besides the elements there are the list and the map around it.
    for (text, nodes) in [
        ("size(arguments.ids) > 0", 65_536),
        ("arguments.ids.all(a, a == 1)", 8_192),
        ("arguments.ids.all(a, arguments.ids.all(b, a == b))", 256),
        ("arguments.ids.all(a, string(a).matches('^1$'))", 512),
    ] {
        assert!(!too_large(text, nodes - 2) && too_large(text, nodes - 1), "{text}");
    }
}

#[test]
fn many_elements_and_one_long_text_together_have_no_answer() {
    let body = |count: usize, bytes: usize| json!({"params": {"arguments": {"ids": vec!["x"; count], "text": "a".repeat(bytes)}}});
    let too_large =
        |text: &str, count, bytes| matches!(eval_with(text, &body(count, bytes)), Err(Failure::TooLarge));
    let once = "arguments.ids.all(id, !arguments.text.contains(id))";
    // Besides the elements there are the list, the text and the map around them.
    let turns = |bytes: usize| TEXT_STEPS_MAX / bytes - 3;
    for bytes in [16 << 10, 1 << 20] {
        assert!(!too_large(once, turns(bytes), bytes) && too_large(once, turns(bytes) + 1, bytes), "{bytes}");
    }
    assert!(!too_large("arguments.text.contains('b') || size(arguments.ids) > 0", 4_000, 4 << 20));
    let twice = "arguments.ids.all(a, arguments.ids.all(b, !arguments.text.contains(a + b)))";
    assert!(!too_large(twice, 100, 4_000) && too_large(twice, 100, 8_000));
    let regex = "arguments.ids.all(a, a.matches('^x$') && arguments.text != '')";
    assert!(!too_large(regex, 200, 16 << 10) && too_large(regex, 300, 16 << 10));
    let literal = format!("[{}].exists(w, arguments.text.contains(w))", vec!["'w'"; 200].join(","));
    assert!(!too_large(&literal, 1, 256 << 10) && too_large(&literal, 1, 512 << 10));
}

#[test]
fn what_no_expression_may_look_at_is_not_copied() {
    assert_eq!(
        Data::json(&json!(vec![1; 65_535])).size(),
        Size { nodes: 65_536, values: 65_536, longest: 0 }
    );
    assert_eq!(Data::json(&json!(vec![1; 65_536])).size().nodes, usize::MAX);
    let nested = json!({"a": vec!["b".repeat(1024); 2], "a long key": {}});
    assert_eq!(Data::json(&nested).size(), Size { nodes: 7, values: 5, longest: 1024 });
    assert_eq!(Data::json(&json!({"k".repeat(4096): 1})).size(), Size { nodes: 6, values: 2, longest: 4096 });
    assert_eq!(Data::text(&"t".repeat(2048)).size(), Size { nodes: 3, values: 1, longest: 2048 });
    assert!(matches!(eval_with("body == null", &json!(vec![1; 65_536])), Err(Failure::TooLarge)));
}

/// The release build aborts on a panic, so whatever an operator writes must come back as a fault or a failure. On a
/// stack as small as the smallest that a configuration may be read on.
#[test]
fn no_text_brings_the_gateway_down() {
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(200), close.repeat(200));
    let mut texts = vec![
        deep("(", ")"),
        deep("[", "]"),
        deep("{1:", "}"),
        deep("!", ""),
        deep("-", ""),
        deep("[1,2].map(x,", ")"),
        "a.".repeat(300),
        "true ? ".repeat(150),
        "true ? true : ".repeat(130) + "true",
        "'".repeat(999),
        "\"\"\"".into(),
        "r'\\'".into(),
        "b'\\xff' == b''".into(),
        "'\\ud800' == ''".into(),
        "'\\x' == ''".into(),
        "\u{0}".into(),
        "ä == ö".into(),
        "`a` == 1".into(),
        "a?.b".into(),
        "[?a]".into(),
        "{?'a': 1}".into(),
        "x[?1]".into(),
        ".tool == ''".into(),
        "tool.".into(),
        "1 == 1 == 1 == 1".into(),
        "0x == 1".into(),
    ];
    let sums = [
        "9223372036854775807 + 1",
        "-9223372036854775808 - 1",
        "-9223372036854775808 / -1",
        "1 / 0",
        "1 % 0",
        "-9223372036854775808 % -1",
        "9223372036854775807 * 2",
        "18446744073709551615u + 1u",
        "0u - 1u",
        "-(-9223372036854775808)",
        "int(1e300)",
        "int('x')",
        "uint(-1)",
        "uint(1e30)",
        "double('x')",
        "int(0.0/0.0)",
        "timestamp('x')",
        "timestamp(9223372036854775807)",
        "timestamp('9999-12-31T23:59:59Z') + duration('9000000h')",
        "timestamp('0001-01-01T00:00:00Z') - duration('9000000h')",
        "duration('9223372036854775807s')",
        "duration('9223372036s') + duration('9223372036s')",
        "duration('-9223372036s') - duration('9223372036s')",
        "duration('1e400s')",
        "duration('x')",
        "duration('99999999999999999999h')",
        "now.getHours('x/y')",
        "now.getHours('-99:99')",
        "now.getHours('+14:00')",
        "now.getHours('ä')",
        "now.getHours('-')",
        "now.getHours('1')",
        "[1][9223372036854775807]",
        "[1][-1]",
        "[1][1u]",
        "{1: 2}[1.5]",
        "'abc'[0]",
        "size(1)",
        "string(b'\\xff')",
        "bytes('ä') == b'ä'",
        "1 in 1",
        "[1, 'a', null] == [1.0, 'a', null]",
        "{'a': 1, 'a': 2}.a",
        "[[]].map(x, x[0])",
        "timestamp('2026-01-01T00:00:00Z') - timestamp('0001-01-01T00:00:00Z')",
        "duration('') == duration('0')",
        "timestamp('2026-01-01T00:00:00+99:99')",
        "duration('ä')",
        "duration('1')",
        "duration('-')",
        "duration('.s')",
        "timestamp(-99999999999999)",
        "dyn(1) == 'x'",
        "type(now)",
        "int(now)",
        "string(now)",
        "string(duration('1s'))",
    ];
    texts.extend(sums.iter().map(|sum| format!("{sum} == null")));
    texts.extend(sums.iter().map(|sum| format!("string({sum}) == ''")));
    let run = move || {
        for text in texts {
            if let Ok(expression) = compile(&text) {
                let _ = expression.eval(&Budget::default(), |name| {
                    Ok(if name == "now" { Data::moment(u64::MAX) } else { Data::json(&json!({"a": [1]})) })
                });
            }
        }
    };
    let ran = std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join();
    assert!(ran.is_ok());
}

#[test]
fn expressions_are_shared_by_workers_and_told_apart_by_their_text() {
    fn shared<T: Send + Sync>() {}
    shared::<Expression>();
    assert_eq!(compile("tool == 'a'"), compile("tool == 'a'"));
    assert_ne!(compile("tool == 'a'"), compile("tool == 'b'"));
    assert_eq!(format!("{:?}", compile("tool == 'a'").unwrap()), "`tool == 'a'`");
}

#[test]
fn expressions_of_one_request_have_one_budget() {
    let arguments = json!({"ids": vec![1; 98], "text": "a".repeat(1_600)});
    // Besides the elements there are the list, the text, which counts as two, and the map around them.
    for (text, steps) in [
        ("true", 1),
        ("arguments.text != 'b'", 1),
        ("size(arguments) > 0", 1 + 102 / 16),
        ("arguments.text.matches('^a')", 16),
        ("arguments.ids.all(a, a == 1)", 100),
        ("arguments.ids.all(a, arguments.ids.all(b, a == b))", 10_000),
        ("arguments.ids.all(a, string(a).matches('^1$'))", 1_600),
    ] {
        let expression = compile(text).unwrap();
        let eval = |budget: &Budget| {
            expression.eval(budget, |name| Ok(Data::part(&arguments, expression.part(name))))
        };
        let budget = Budget::new(2 * steps);
        assert!(eval(&budget).unwrap() && eval(&budget).unwrap(), "{text}");
        assert!(matches!(eval(&budget), Err(Failure::OverBudget)), "{text}");
        assert!(matches!(eval(&Budget::new(steps - 1)), Err(Failure::OverBudget)), "{text}");
    }
}
