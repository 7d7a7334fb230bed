//! No text panics, whatever it says: the release build would abort.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::json;

use super::{Budget, Data, Expression, HEADERS, Part};

const VARIABLES: &[&str] = &["tool", "arguments", "now", HEADERS];

/// Pieces that often make an expression, and sometimes a wrong one.
const PIECES: [&str; 64] = [
    "tool",
    "arguments",
    "now",
    "headers",
    "x",
    "_",
    "int",
    "1",
    "0",
    "-1",
    "9223372036854775807",
    "1u",
    "1.5",
    "1e308",
    "'a'",
    "\"b\"",
    "b'c'",
    "r'd'",
    "'''",
    "'\\n'",
    "'\\x4'",
    "'\\u00'",
    "'ä'",
    "true",
    "false",
    "null",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ".",
    ",",
    ":",
    "?",
    "+",
    "-",
    "*",
    "/",
    "%",
    "!",
    "==",
    "!=",
    "<",
    ">=",
    "&&",
    "||",
    " in ",
    ".size()",
    ".matches('a')",
    ".contains('a')",
    ".all(x, ",
    ".exists_one(x, ",
    ".map(x, ",
    ".filter(x, ",
    "has(",
    "string(",
    "duration('1h')",
    "timestamp('2026-01-01T00:00:00Z')",
    ".getHours('+01:00')",
    "`a`",
    "@",
    "\n",
];

/// Expressions that can be read, so that what they do is tried too.
fn expression() -> impl Strategy<Value = String> {
    let atoms = prop::sample::select(vec![
        "tool",
        "arguments",
        "arguments.n",
        "arguments.list",
        "arguments.missing",
        "now",
        "1",
        "0",
        "-1",
        "0u",
        "1.5",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551615u",
        "1e308",
        "'a'",
        "'ä'",
        "b'a'",
        "null",
        "true",
        "[1, 'a', null]",
        "[]",
        "{'a': 1}",
        "{1: 2u}",
        "duration('9000000h')",
        "duration('-1ns')",
        "int",
        "timestamp('0001-01-01T00:00:00Z')",
        "timestamp('9999-12-31T23:59:59Z')",
        "headers['x-a']",
    ]);
    let operators = prop::sample::select(vec![
        "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "in",
    ]);
    let calls = prop::sample::select(vec![
        "size",
        "string",
        "int",
        "uint",
        "double",
        "bool",
        "bytes",
        "type",
        "dyn",
        "duration",
        "timestamp",
        "-",
        "!",
    ]);
    let methods = prop::sample::select(vec![
        "contains",
        "startsWith",
        "endsWith",
        "getHours",
        "getDate",
        "getDayOfYear",
        "getMonth",
        "size",
    ]);
    let macros = prop::sample::select(vec!["all", "exists", "exists_one", "map", "filter"]);
    atoms.prop_map(str::to_owned).prop_recursive(4, 24, 3, move |inner| {
        prop_oneof![
            (inner.clone(), operators.clone(), inner.clone())
                .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            (calls.clone(), inner.clone()).prop_map(|(call, a)| format!("{call}({a})")),
            (inner.clone(), methods.clone(), prop::option::of(inner.clone()))
                .prop_map(|(a, method, b)| format!("{a}.{method}({})", b.unwrap_or_default())),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}[{b}]")),
            (inner.clone(), macros.clone(), inner.clone())
                .prop_map(|(a, name, b)| format!("{a}.{name}(x, {b} == x)")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
        ]
    })
}

fn run(text: &str) {
    let Ok(expression) = Expression::compile(text, VARIABLES) else { return };
    let document = json!({"n": -1, "list": [1, "a", {"b": 1.5}], "big": u64::MAX, "a": {"a": 1}});
    let answer = |part: &Part| {
        let answer = expression.eval(&Budget::default(), |name| {
            Ok(match name {
                "tool" => Data::text("ä"),
                "now" => Data::moment(u64::MAX),
                HEADERS => Data::map([]),
                _ => Data::part(&document, part),
            })
        });
        answer.ok()
    };
    let read = answer(expression.part("arguments"));
    assert_eq!(read, answer(&Part::WHOLE), "{text}: the part that it reads is all that it reads");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_pile_of_pieces_panics(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..16)) {
        run(&pieces.concat());
    }

    #[test]
    fn no_expression_panics(text in expression()) {
        run(&text);
        run(&format!("{text} == {text}"));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}") {
        run(&text);
    }
}
