//! What a claim or an argument is compared with.

use serde_json::{Number, Value as Json};

use super::canonical::has_dot_segments;
use super::pattern::Pattern;

/// One wanted value.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// Text that matches this.
    Text(Pattern),
    /// This value; of two numbers, the values count and not how they are written.
    Json(Json),
}

/// Which elements of a list must be as wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elements {
    /// One is enough.
    Any,
    /// All of them, and at least one.
    All,
}

impl Wanted {
    /// Whether this very value is as wanted.
    pub fn is(&self, value: &Json) -> bool {
        match (self, value) {
            (Self::Text(pattern), Json::String(text)) => pattern.matches(text),
            (Self::Text(_), _) => false,
            (Self::Json(wanted), value) => same(wanted, value),
        }
    }
}

/// Whether `value` is one of these, or, if it is a list, its elements are.
pub fn fits(wanted: &[Wanted], value: &Json, elements: Elements) -> bool {
    let is = |value: &Json| wanted.iter().any(|wanted| wanted.is(value));
    is(value)
        || match (value, elements) {
            (Json::Array(list), Elements::Any) => list.iter().any(is),
            (Json::Array(list), Elements::All) => !list.is_empty() && list.iter().all(is),
            _ => false,
        }
}

/// Whether `value`, or an element of it, is a path that leads elsewhere than it looks like: one with segments `.` or
/// `..`, where a pattern of paths is wanted. A pattern that has such segments itself means what it says.
pub fn is_winding(wanted: &[Wanted], value: &Json) -> bool {
    let of_paths = |wanted: &Wanted| match wanted {
        Wanted::Text(pattern) => pattern.has_slash() && !has_dot_segments(&pattern.filled("*", "*")),
        Wanted::Json(_) => false,
    };
    let winds = |value: &Json| value.as_str().is_some_and(has_dot_segments);
    let found = match value {
        Json::Array(list) => list.iter().any(winds),
        value => winds(value),
    };
    found && wanted.iter().any(of_paths)
}

fn same(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Number(one), Json::Number(other)) => same_number(one, other),
        (Json::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Json::Object(one), Json::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, one)| other.get(key).is_some_and(|other| same(one, other)))
        }
        (one, other) => one == other,
    }
}

/// `1` and `1.0` are the same number to whoever reads them, so they are to a rule.
fn same_number(one: &Number, other: &Number) -> bool {
    let whole = |number: &Number| number.is_i64() || number.is_u64();
    // Two whole numbers are compared as such: past 2 to the 53rd their nearest floats may be equal.
    one == other || (!(whole(one) && whole(other)) && one.as_f64() == other.as_f64())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_compared_by_what_they_are() {
        let text = |text| Wanted::Text(Pattern::parse(text).unwrap());
        for (wanted, value, expected) in [
            (text("a*"), json!("ab"), true),
            (text("1"), json!(1), false),
            (Wanted::Json(json!(1)), json!(1.0), true),
            (Wanted::Json(json!(1)), json!(1e0), true),
            (Wanted::Json(json!(1)), json!("1"), false),
            (Wanted::Json(json!(9_007_199_254_740_993_u64)), json!(9_007_199_254_740_992_u64), false),
            (Wanted::Json(json!(null)), json!(null), true),
            (Wanted::Json(json!({"a": [1]})), json!({"a": [1.0]}), true),
            (Wanted::Json(json!({"a": 1})), json!({"a": 1, "b": 2}), false),
            (Wanted::Json(json!(true)), json!(false), false),
        ] {
            assert_eq!(wanted.is(&value), expected, "{wanted:?} {value}");
        }
    }

    #[test]
    fn a_path_that_winds_is_told_where_paths_are_wanted() {
        let wanted = |text: &str| [Wanted::Text(Pattern::parse(text).unwrap())];
        for (pattern, value, expected) in [
            ("/data/*", json!("/data/../etc/passwd"), true),
            ("/data/*", json!("/data/./a"), true),
            ("/data/*", json!("/data/%2e%2E/a"), true),
            ("/data/*", json!("/data/..%2fetc"), true),
            ("/data/*", json!("..\\etc"), true),
            ("/data/*", json!(["/data/a", "/data/.."]), true),
            ("/data/*", json!("/data/a..b/.hidden/c."), false),
            ("/data/*", json!(7), false),
            ("a*", json!("../x"), false),
            ("/data/../*", json!("/data/../x"), false),
        ] {
            assert_eq!(is_winding(&wanted(pattern), &value), expected, "{pattern} {value}");
        }
        assert!(!is_winding(&[Wanted::Json(json!("/a/../b"))], &json!("/a/../b")));
    }

    #[test]
    fn a_list_is_judged_by_its_elements() {
        let wanted = [Wanted::Text(Pattern::parse("/data/*").unwrap())];
        let mixed = json!(["/data/a", "/etc/passwd"]);
        assert!(fits(&wanted, &mixed, Elements::Any) && !fits(&wanted, &mixed, Elements::All));
        let good = json!(["/data/a", "/data/b"]);
        assert!(fits(&wanted, &good, Elements::Any) && fits(&wanted, &good, Elements::All));
        assert!(!fits(&wanted, &json!([]), Elements::Any) && !fits(&wanted, &json!([]), Elements::All));
    }
}
