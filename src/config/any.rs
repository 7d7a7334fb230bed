//! Values of any kind: YAML as the JSON that it stands for.

use serde_json::{Map, Number, Value as Json, json};

use crate::policy::authz::{Pattern, Wanted};
use crate::schema::finding::{Findings, Place};
use crate::schema::rule::Rule;
use crate::schema::units::shorten;
use crate::schema::yaml::{Node, Plain, Value, plain_kind};

/// A map of any values, as JSON.
pub struct AnyMap;

impl Rule for AnyMap {
    type Out = Json;

    fn read(&self, node: &Node, place: &Place, findings: &mut Findings) -> Option<Json> {
        if matches!(node.value, Value::Map(_)) {
            return json_of(node, place, findings);
        }
        findings.add(place, "is not a map", "write `name: value` lines below it");
        None
    }

    fn wanted(&self) -> String {
        "a map of any values".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "object"})
    }
}

/// A value to compare with, or a list of them.
pub struct WantedValues;

/// Values that one claim or argument may be compared with.
const VALUES_MAX: usize = 1024;

impl Rule for WantedValues {
    type Out = Vec<Wanted>;

    fn read(&self, node: &Node, place: &Place, findings: &mut Findings) -> Option<Vec<Wanted>> {
        let Value::List(nodes) = &node.value else {
            return wanted_of(node, place, findings).map(|one| vec![one]);
        };
        if nodes.is_empty() || nodes.len() > VALUES_MAX {
            findings.add(
                place,
                format!("has {} elements", nodes.len()),
                format!("give from 1 to {VALUES_MAX}"),
            );
            return None;
        }
        let each = nodes.iter().enumerate();
        each.map(|(index, node)| wanted_of(node, &place.index(index, node.spot), findings)).collect()
    }

    fn wanted(&self) -> String {
        "a value (of text: a pattern with `*`), or a list of them".to_owned()
    }

    fn schema(&self) -> Json {
        json!(true)
    }
}

fn wanted_of(node: &Node, place: &Place, findings: &mut Findings) -> Option<Wanted> {
    match json_of(node, place, findings)? {
        Json::String(text) => match Pattern::parse(&text) {
            Ok(pattern) => Some(Wanted::Text(pattern)),
            Err(_) => {
                findings.add(place, format!("`{}` has a lone backslash", shorten(&text)), BACKSLASH);
                None
            }
        },
        json => Some(Wanted::Json(json)),
    }
}

/// How to write what a backslash is for in patterns.
pub const BACKSLASH: &str = "write `\\*` for an asterisk and `\\\\` for a backslash";

/// What the YAML stands for (core schema, YAML 1.2 section 10.3.2).
pub fn json_of(node: &Node, place: &Place, findings: &mut Findings) -> Option<Json> {
    match &node.value {
        Value::Text { text, quoted: true } => Some(Json::String(text.clone())),
        Value::Text { text, quoted: false } => match plain_kind(text) {
            Plain::Null => Some(Json::Null),
            Plain::Bool => Some(Json::Bool(text.eq_ignore_ascii_case("true"))),
            Plain::Text => Some(Json::String(text.clone())),
            Plain::Number => {
                let number = number_of(text).map(Json::Number);
                if number.is_none() {
                    let what = format!("`{}` is no number that JSON has", shorten(text));
                    findings.add(place, what, "write it in digits, or in quotes if this is meant as text");
                }
                number
            }
        },
        Value::List(nodes) => {
            let each = nodes.iter().enumerate();
            let each = each.map(|(index, node)| json_of(node, &place.index(index, node.spot), findings));
            each.collect::<Option<Vec<_>>>().map(Json::Array)
        }
        Value::Map(entries) => {
            let each = entries.iter().map(|entry| {
                let value = json_of(&entry.node, &place.key(&entry.key, entry.node.spot), findings)?;
                Some((entry.key.clone(), value))
            });
            each.collect::<Option<Map<_, _>>>().map(Json::Object)
        }
    }
}

fn number_of(text: &str) -> Option<Number> {
    let plain = text.strip_prefix('+').unwrap_or(text);
    let whole = plain.parse::<i64>().map(Number::from).or_else(|_| plain.parse::<u64>().map(Number::from));
    whole.ok().or_else(|| plain.parse::<f64>().ok().and_then(Number::from_f64))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::schema::yaml;

    fn read(text: &str) -> Result<Json, String> {
        let mut findings = Findings::default();
        let node = yaml::parse(text, &mut findings).unwrap();
        AnyMap.read(&node, &Place::default(), &mut findings).ok_or_else(|| findings.to_string())
    }

    #[test]
    fn yaml_becomes_the_json_it_stands_for() {
        let text = "a: 1\nb: -1.5\nc: '1'\nd: [true, null, x, {e: ~}]\nf: 18446744073709551615\ng: 1e3\n";
        let expected = json!({"a": 1, "b": -1.5, "c": "1", "d": [true, null, "x", {"e": null}],
            "f": 18_446_744_073_709_551_615_u64, "g": 1000.0});
        assert_eq!(read(text), Ok(expected));
        assert!(read("[1]").unwrap_err().contains("is not a map"));
        for bad in ["a: .inf", "a: 0x1F", "a: .nan"] {
            assert!(read(bad).unwrap_err().contains("no number that JSON has"), "{bad}");
        }
    }
}
