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

    /// What stands there.
    pub fn find<'j>(&self, document: &'j Json) -> Option<&'j Json> {
        self.steps.iter().try_fold(document, |value, step| match value {
            Json::Object(map) => map.get(&**step),
            Json::Array(list) => index(step).and_then(|index| list.get(index)),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => None,
        })
    }
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
