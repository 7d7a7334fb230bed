//! A whole document at once: for answers of which something must be known at their end.
//!
//! simd-json parses it, to a flat tape: no value is allocated for itself, and no depth of nesting uses the stack. It reads some
//! documents otherwise than the scanner beside it (a lone surrogate becomes another character), so nothing of a request is
//! judged by it. What a server says about its own call may be: a server that writes what can be read in two ways could
//! as well say either.

use simd_json::{Node, StaticNode, Tape};

/// A document that was parsed.
pub struct Document<'a>(Tape<'a>);

impl<'a> Document<'a> {
    /// Parses `text` where it stands: strings are unescaped in it. `None` if it is no JSON.
    pub fn parse(text: &'a mut [u8]) -> Option<Self> {
        simd_json::to_tape(text).ok().map(Self)
    }

    /// All of it.
    pub fn root(&self) -> Value<'_> {
        Value(&self.0.0)
    }
}

/// A value of a [`Document`]: its node and those of everything in it.
#[derive(Clone, Copy)]
pub struct Value<'a>(&'a [Node<'a>]);

impl<'a> Value<'a> {
    /// The member of an object with this name. Of several the last, as most readers have it.
    pub fn get(self, name: &str) -> Option<Self> {
        let (Node::Object { len, .. }, mut rest) = self.0.split_first()? else { return None };
        let mut found = None;
        for _ in 0..*len {
            let (Node::String(key), behind) = rest.split_first()? else { return None };
            let value;
            (value, rest) = Self::first_of(behind)?;
            if *key == name {
                found = Some(value);
            }
        }
        found
    }

    /// The element of an array at this index, from 0.
    fn element(self, index: usize) -> Option<Self> {
        let (Node::Array { len, .. }, mut rest) = self.0.split_first()? else { return None };
        if index >= *len {
            return None;
        }
        for _ in 0..index {
            rest = Self::first_of(rest)?.1;
        }
        Self::first_of(rest).map(|(value, _)| value)
    }

    /// What a JSON pointer (RFC 6901) leads to from here.
    pub fn pointer(self, pointer: &str) -> Option<Self> {
        if pointer.is_empty() {
            return Some(self);
        }
        pointer.strip_prefix('/')?.split('/').try_fold(self, |value, part| match value.0.first()? {
            Node::Array { .. } => {
                // An index has no sign and no zero in front.
                let plain = part == "0" || !part.starts_with(['0', '+']);
                value.element(part.parse().ok().filter(|_| plain)?)
            }
            _ => value.get(&part.replace("~1", "/").replace("~0", "~")),
        })
    }

    /// The text of a string.
    pub fn as_str(self) -> Option<&'a str> {
        match self.0.first()? {
            Node::String(text) => Some(text),
            _ => None,
        }
    }

    /// `true` or `false`.
    pub fn as_bool(self) -> Option<bool> {
        match self.0.first()? {
            Node::Static(StaticNode::Bool(value)) => Some(*value),
            _ => None,
        }
    }

    /// A whole number from 0 to 2⁶⁴ − 1 that is written without fraction and exponent.
    pub fn as_u64(self) -> Option<u64> {
        match self.0.first()? {
            Node::Static(StaticNode::U64(number)) => Some(*number),
            Node::Static(StaticNode::I64(number)) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// Any number that is written with a fraction or an exponent, or is too large for 64 bits.
    pub fn as_f64(self) -> Option<f64> {
        match self.0.first()? {
            Node::Static(StaticNode::F64(number)) => Some(*number),
            _ => None,
        }
    }

    /// Whether it is an array.
    pub fn is_array(self) -> bool {
        matches!(self.0.first(), Some(Node::Array { .. }))
    }

    /// The value that `nodes` begin with, and what is behind it.
    fn first_of(nodes: &'a [Node<'a>]) -> Option<(Self, &'a [Node<'a>])> {
        let inside = match nodes.first()? {
            Node::Object { count, .. } | Node::Array { count, .. } => *count,
            Node::String(_) | Node::Static(_) => 0,
        };
        let (value, rest) = nodes.split_at_checked(inside.checked_add(1)?)?;
        Some((Self(value), rest))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use serde_json::Value as Json;

    use super::*;

    /// Compares all that can be reached.
    fn same(value: Value<'_>, expected: &Json) {
        match expected {
            Json::Object(members) => {
                assert!(value.get("no such name").is_none() && value.as_str().is_none());
                for (name, expected) in members {
                    same(value.get(name).unwrap(), expected);
                    let escaped = name.replace('~', "~0").replace('/', "~1");
                    same(value.pointer(&format!("/{escaped}")).unwrap(), expected);
                }
            }
            Json::Array(items) => {
                assert!(value.is_array() && value.get("0").is_none());
                for (index, expected) in items.iter().enumerate() {
                    same(value.pointer(&format!("/{index}")).unwrap(), expected);
                }
                assert!(value.pointer(&format!("/{}", items.len())).is_none());
            }
            Json::String(text) => assert_eq!(value.as_str(), Some(&**text)),
            Json::Bool(flag) => assert_eq!(value.as_bool(), Some(*flag)),
            Json::Number(number) => {
                assert_eq!(value.as_u64(), number.as_u64());
                if number.is_f64() {
                    let (got, expected) = (value.as_f64().unwrap(), number.as_f64().unwrap());
                    assert!((got - expected).abs() <= expected.abs() * 1e-15, "{got} {expected}");
                }
            }
            Json::Null => assert!(value.as_bool().is_none() && !value.is_array()),
        }
    }

    fn json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<u64>().prop_map(Json::from),
            (-1e15..1e15).prop_map(Json::from),
            "\\PC{0,12}|[a/~0\"\\\\\n]{0,6}".prop_map(Json::from),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
                prop::collection::btree_map("[a-c/~é]{0,3}", inner, 0..6)
                    .prop_map(|members| Json::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_is_where_serde_json_has_it(json in json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&json) } else { serde_json::to_string(&json) };
            let mut text = text.unwrap().into_bytes();
            same(Document::parse(&mut text).unwrap().root(), &json);
        }

        #[test]
        fn what_serde_json_refuses_for_its_grammar_is_refused(text in "[\\[\\]{}:,\"\\\\a0-9.eE+ nultrfs-]{0,40}") {
            let expected = serde_json::from_str::<Json>(&text);
            let mut bytes = text.clone().into_bytes();
            let got = Document::parse(&mut bytes);
            prop_assert!(got.is_none() || expected.is_ok(), "{}", text);
        }

        #[test]
        fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(document) = Document::parse(&mut bytes) {
                let _ = document.root().pointer("/0/a");
            }
        }
    }

    #[test]
    fn of_equal_names_the_last_counts() {
        let mut text = br#"{"a":1,"b":[{"a":5}],"a":2}"#.to_vec();
        let document = Document::parse(&mut text).unwrap();
        assert_eq!(document.root().get("a").unwrap().as_u64(), Some(2));
    }

    #[test]
    fn an_index_has_one_spelling() {
        let mut text = b"[7,8]".to_vec();
        let document = Document::parse(&mut text).unwrap();
        assert_eq!(document.root().pointer("/1").unwrap().as_u64(), Some(8));
        for bad in ["/01", "/+1", "/-1", "/2", "/", "1", "/99999999999999999999"] {
            assert!(document.root().pointer(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn no_depth_uses_the_stack() {
        let depth = 400_000;
        let mut text = format!("{}{}", "[".repeat(depth), "]".repeat(depth)).into_bytes();
        let small = std::thread::Builder::new().stack_size(256 << 10);
        let parsed =
            small.spawn(move || Document::parse(&mut text).map(|document| document.root().is_array()));
        assert_eq!(parsed.unwrap().join().unwrap(), Some(true));
    }

    #[test]
    fn a_number_of_any_length_is_no_fault() {
        let mut text = br#"{"a":123456789012345678901234567890,"b":3}"#.to_vec();
        let document = Document::parse(&mut text).unwrap();
        assert!(document.root().get("a").unwrap().as_f64().is_some_and(|number| number > 1e29));
        assert_eq!(document.root().get("b").unwrap().as_u64(), Some(3));
    }
}
