#![allow(clippy::unwrap_used)]

use std::path::Path;

use regex_automata::meta::Regex;

use super::*;
use crate::schema::finding::Findings;
use crate::schema::section::{Nested, Presence};
use crate::schema::yaml;

/// Whether `value` fits `schema`, or the first reason why not. Knows exactly the words that the schema
/// uses, and panics at any other, so that no rule of the schema goes untested.
fn fits(schema: &Json, value: &Json, at: &str) -> Result<(), String> {
    // Any value will do.
    if *schema == true {
        return Ok(());
    }
    for (word, rule) in schema.as_object().unwrap() {
        let number = |json: &Json| json.as_i64().unwrap();
        let good = match word.as_str() {
            "$schema" | "$id" | "title" | "description" | "default" => true,
            "type" => match rule.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "integer" => value.is_i64(),
                "number" => value.is_number(),
                other => panic!("type {other}"),
            },
            "enum" => rule.as_array().unwrap().contains(value),
            "minimum" => value.as_i64().is_none_or(|value| value >= number(rule)),
            "maximum" => value.as_i64().is_none_or(|value| value <= number(rule)),
            "minLength" => value.as_str().is_none_or(|text| text.chars().count() as i64 >= number(rule)),
            "pattern" => {
                value.as_str().is_none_or(|text| Regex::new(rule.as_str().unwrap()).unwrap().is_match(text))
            }
            "oneOf" => {
                rule.as_array().unwrap().iter().filter(|schema| fits(schema, value, at).is_ok()).count() == 1
            }
            "anyOf" => rule.as_array().unwrap().iter().any(|schema| fits(schema, value, at).is_ok()),
            "minItems" => value.as_array().is_none_or(|items| items.len() as i64 >= number(rule)),
            "maxItems" => value.as_array().is_none_or(|items| items.len() as i64 <= number(rule)),
            "maxProperties" => value.as_object().is_none_or(|map| map.len() as i64 <= number(rule)),
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    fits(rule, item, &format!("{at}[{index}]"))?;
                }
                true
            }
            "required" => {
                rule.as_array().unwrap().iter().all(|key| value.get(key.as_str().unwrap()).is_some())
            }
            "properties" => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    if let Some(schema) = rule.get(key) {
                        fits(schema, value, &format!("{at}.{key}"))?;
                    }
                }
                true
            }
            "additionalProperties" => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    if schema["properties"].get(key).is_some() {
                        continue;
                    }
                    if rule == false {
                        return Err(format!("{at}.{key} is not known"));
                    }
                    fits(rule, value, &format!("{at}.{key}"))?;
                }
                true
            }
            other => panic!("the schema uses `{other}`, which this test does not know"),
        };
        if !good {
            return Err(format!("{at}: {word} {rule}"));
        }
    }
    Ok(())
}

fn verdict(text: &str) -> Result<(), String> {
    let node = yaml::parse(text, &mut Findings::default()).unwrap();
    fits(&json_schema(), &yaml::to_json(&node), "")
}

#[test]
fn the_examples_fit_the_schema() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples");
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(verdict(&std::fs::read_to_string(&path).unwrap()), Ok(()), "{}", path.display());
    }
}

#[test]
fn what_the_checker_refuses_by_shape_the_schema_refuses_too() {
    for (lines, part) in [
        ("listners: []", ".listners is not known"),
        ("limits: {zzz: 1}", ".limits.zzz is not known"),
        ("limits: {headers_max: 7}", ".limits.headers_max: minimum"),
        ("limits: {headers_max: '64'}", ".limits.headers_max: type"),
        ("limits: {body_bytes_max: 4MB}", ".limits.body_bytes_max: anyOf"),
        ("timeouts: {head: 5}", ".timeouts.head: type"),
        ("timeouts: {head: off}", ".timeouts.head: pattern"),
        ("timeouts: {call: never}", ".timeouts.call: anyOf"),
        ("workers: 0", ".workers: anyOf"),
        ("driver: iouring", ".driver: enum"),
        ("admin: {allow_remote: 'true'}", ".admin.allow_remote: type"),
        ("origins: []", ".origins: minItems"),
        ("listeners: [{mode: 0660, address: 'unix:/a'}]", ".listeners[0].mode: type"),
        ("listeners: [{}]", ".listeners[0]: required"),
    ] {
        let found = verdict(&format!("servers: [{{name: a, url: 'http://a'}}]\n{lines}\n"));
        assert!(found.as_ref().is_err_and(|reason| reason.contains(part)), "{lines}: {found:?}");
    }
    for line in ["servers: [{name: a}]", "servers: [{name: a, url: 'http://a', endpoints: ['http://b']}]"] {
        assert!(verdict(line).is_err_and(|reason| reason.contains("oneOf")), "{line}");
    }
    assert!(verdict("workers: 1").is_err_and(|reason| reason.contains("required")));
    assert!(verdict("servers: [{name: a, url: 'http://a', tls: {insecure: true}}]").is_err());
    assert!(verdict("servers: [{name: a, url: 'http://a', headers: {a: 5}}]").is_err());
}

/// Reading each default by its own rule must leave no findings (`default_of` panics otherwise).
#[test]
fn every_default_keeps_its_own_rule_and_fits_its_own_schema() {
    fn walk(section: &Nested, count: &mut usize) {
        for option in &section.options {
            if let Presence::Default(text) = option.presence {
                let value = yaml::to_json(&yaml::parse(text, &mut Findings::default()).unwrap());
                // A required option of an empty section is asked for by name, not here.
                assert_eq!(fits(&option.schema, &value, option.name), Ok(()), "{}", option.name);
                *count += 1;
            }
            if let Some(inner) = &option.nested {
                walk(inner, count);
            }
        }
    }
    let mut count = 0;
    walk(&File::nested(), &mut count);
    assert!(count > 30, "{count} defaults");
    let empty = crate::schema::finding::Place::default();
    let file = File::read(&[], &empty, &mut Findings::default());
    assert_eq!(file.limits.value.headers_max.value, 64);
}

#[test]
fn every_option_is_explained() {
    fn walk(section: &Nested) {
        assert!(section.doc.len() > 20, "{}", section.doc);
        for option in &section.options {
            assert!(option.doc.len() > 10 && !option.wanted.is_empty(), "`{}` has no text", option.name);
            option.nested.iter().for_each(walk);
        }
    }
    walk(&File::nested());
}

#[test]
fn the_committed_reference_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == markdown(),
        "out of date; run: cargo run -- schema --markdown > docs/configuration.md"
    );
}

#[test]
fn the_patterns_hold_for_editors_too() {
    // Editors use ECMAScript's regular expressions: no look-behind, no named groups, no inline flags.
    let text = json_schema().to_string();
    for construct in ["(?<", "(?i", "(?P", "\\\\A", "\\\\z", "[[:"] {
        assert!(!text.contains(construct), "{construct}");
    }
}
