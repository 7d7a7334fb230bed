//! Expressions of any text, on documents of any text: an answer or a failure, never a panic, and soon (libFuzzer's
//! own `-timeout` says when it was not).

use crate::policy::expr::{Budget, Data, Expression, Failure, HEADERS, parse_json};

const VARIABLES: &[&str] = &["tool", "arguments", "roles", "now", HEADERS];

/// The expression, then a NUL, then the arguments in JSON.
pub fn check(data: &[u8]) {
    let at = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    let Ok(text) = std::str::from_utf8(&data[..at]) else { return };
    let arguments = parse_json(data.get(at + 1..).unwrap_or_default());
    let Ok(expression) = Expression::compile(text, VARIABLES) else { return };
    assert_eq!(expression.text(), text);
    let mut asked = Vec::new();
    let mut eval = || {
        let answer = expression.eval(&Budget::default(), |name| {
            assert!(VARIABLES.contains(&name));
            asked.push(name);
            Ok(match name {
                "tool" => Data::text("read_file"),
                "arguments" => match &arguments {
                    Some(json) => Data::json(json),
                    None => return Err(Failure::NoData("there are none")),
                },
                "roles" => Data::texts(&["a".into(), "b".into()]),
                "now" => Data::moment(1_800_000_000),
                _ => Data::map([("x-team", "blue".to_owned())]),
            })
        });
        answer.map_err(|failure| failure.to_string()).ok()
    };
    assert_eq!(eval(), eval(), "the same facts, the same answer");
    asked.sort_unstable();
    asked.dedup();
    assert!(asked.iter().all(|name| expression.uses(name)), "it looks at nothing that it does not name");
}
