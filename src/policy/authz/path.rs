//! Where a value stands in a JSON document: `a.b.c`, or a JSON pointer such as `/a.b/c` (RFC 6901).

use std::fmt;

use serde_json::Value as Json;

/// A path into a document, from its top.
#[derive(Clone, PartialEq, Eq)]
pub struct Path {
    steps: Box<[Box<str>]>,
    text: Box<str>,
}

/// Steps of a path. Deeper than a body may nest.
const STEPS_MAX: usize = 64;

impl Path {
    /// Reads a path: a JSON pointer if it begins with `/`, else keys with dots between them. A step into a list is
    /// the index of the element, from 0.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let steps: Vec<Box<str>> = match text.strip_prefix('/') {
            Some(pointer) => pointer
                .split('/')
                .map(unescape)
                .collect::<Option<_>>()
                .ok_or("has a `~` that is not `~0` or `~1`")?,
            None => text.split('.').map(Into::into).collect(),
        };
        if text.is_empty() || (!text.starts_with('/') && steps.iter().any(|step| step.is_empty())) {
            return Err("has an empty step");
        }
        if steps.len() > STEPS_MAX {
            return Err("has more than 64 steps");
        }
        Ok(Self { steps: steps.into(), text: text.into() })
    }

    /// What stands there, if it is the same for readers that mind upper and lower case in keys and for those that do
    /// not. Looks at every key of the objects on the way.
    ///
    /// # Errors
    /// [`Unclear`] if a key on the way is there in another case, with or without the one that the path names.
    pub fn find_clear<'j>(&self, document: &'j Json) -> Result<Option<&'j Json>, Unclear> {
        let mut value = document;
        for step in &self.steps {
            if let Json::Object(map) = value
                && map.keys().any(|key| differs_in_case(key, step))
            {
                return Err(Unclear);
            }
            let Some(inner) = below(value, step) else { return Ok(None) };
            value = inner;
        }
        Ok(Some(value))
    }

    /// What stands there.
    pub fn find<'j>(&self, document: &'j Json) -> Option<&'j Json> {
        self.steps.iter().try_fold(document, |value, step| below(value, step))
    }
}

/// What stands one step down.
fn below<'j>(value: &'j Json, step: &str) -> Option<&'j Json> {
    match value {
        Json::Object(map) => map.get(step),
        Json::Array(list) => index(step).and_then(|index| list.get(index)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => None,
    }
}

/// Two keys on the way differ only in case: some readers take one, some the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unclear;

/// Whether two keys are different and yet the same to a reader that does not mind case, as that of Go does not: it
/// also takes the sign for Kelvin for a `k` and a long s for an `s`.
fn differs_in_case(one: &str, other: &str) -> bool {
    if one.is_ascii() && other.is_ascii() {
        return one.eq_ignore_ascii_case(other) && one != other;
    }
    let folded = |text: &str| {
        text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect::<String>()
    };
    // A letter and its other case have up to three bytes each.
    one.len() <= 3 * other.len()
        && other.len() <= 3 * one.len()
        && one != other
        && folded(one) == folded(other)
}

/// An index as RFC 6901 section 4 writes it: no sign, no leading zero.
fn index(step: &str) -> Option<usize> {
    let plain = step.bytes().all(|byte| byte.is_ascii_digit()) && (step == "0" || !step.starts_with('0'));
    plain.then(|| step.parse().ok()).flatten()
}

fn unescape(step: &str) -> Option<Box<str>> {
    let mut plain = String::with_capacity(step.len());
    let mut chars = step.chars();
    while let Some(char) = chars.next() {
        plain.push(match char {
            '~' => match chars.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            other => other,
        });
    }
    Some(plain.into())
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_key_in_another_case_leaves_open_what_is_there() {
        let path = Path::parse("a.path").unwrap();
        let found = |document: Json| path.find_clear(&document).map(|value| value.cloned());
        for (document, expected) in [
            (json!({"a": {"path": 1, "Paths": 2}, "b": 3}), Ok(Some(json!(1)))),
            (json!({"a": {}}), Ok(None)),
            (json!({"a": 1}), Ok(None)),
            (json!({"a": {"path": 1, "Path": 2}}), Err(Unclear)),
            (json!({"a": {"PATH": 2}}), Err(Unclear)),
            (json!({"a": {"path": 1}, "A": {"path": 2}}), Err(Unclear)),
            (json!({"A": 1}), Err(Unclear)),
        ] {
            assert_eq!(found(document.clone()), expected, "{document}");
        }
        for (one, other, expected) in [
            ("k", "\u{212a}", true),
            ("s", "\u{17f}", true),
            ("Ä", "ä", true),
            ("σ", "ς", true),
            ("ä", "ä", false),
            ("a", "ä", false),
            ("a", "a\u{301}", false),
        ] {
            assert_eq!(differs_in_case(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn both_spellings_lead_to_the_value() {
        let document = serde_json::json!({"a": {"b": [10, {"c": 1}]}, "x.y": 2, "p/q": {"~": 3}, "": 4});
        for (path, expected) in [
            ("a.b.0", Some(10)),
            ("a.b.1.c", Some(1)),
            ("/a/b/1/c", Some(1)),
            ("/x.y", Some(2)),
            ("/p~1q/~0", Some(3)),
            ("/", Some(4)),
            ("x.y", None),
            ("a.b.00", None),
            ("a.b.+1", None),
            ("a.b.2", None),
            ("a.b.0.c", None),
        ] {
            let found = Path::parse(path).unwrap().find(&document).and_then(Json::as_i64);
            assert_eq!(found, expected, "{path}");
        }
        for bad in ["", "a..b", ".a", "a.", "/a~2", "/a~"] {
            assert!(Path::parse(bad).is_err(), "{bad}");
        }
        assert!(Path::parse(&["a"; STEPS_MAX].join(".")).is_ok());
        assert!(Path::parse(&["a"; STEPS_MAX + 1].join(".")).is_err());
    }
}
