//! Values that expressions look at.

use std::collections::HashMap;
use std::ops::Add;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use cel::Value;
use cel::objects::{Key, Map};
use serde_json::Value as Json;

#[cfg(doc)]
use super::Failure;
use super::NODES_MAX;

/// A value for a variable. Cloning one is cheap.
#[derive(Clone)]
pub struct Data {
    value: Value,
    size: Size,
}

/// How much there is to look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// JSON values; a long text counts as several.
    pub nodes: usize,
    /// JSON values; a long text counts as one. Macros have no more turns than that.
    pub values: usize,
    /// Bytes of the longest text, keys included.
    pub longest: usize,
}

impl Size {
    /// A value that is no text.
    const ONE: Self = Self { nodes: 1, values: 1, longest: 0 };

    /// A map or a list of so many texts.
    fn of_texts<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        texts.fold(Self::ONE, |all, text| all.plus(Self::of_text(text)))
    }

    fn of_text(text: &str) -> Self {
        Self { nodes: 1 + text.len() / NODE_BYTES, values: 1, longest: text.len() }
    }

    /// That of both.
    pub fn plus(self, other: Self) -> Self {
        Self {
            nodes: self.nodes.saturating_add(other.nodes),
            values: self.values.saturating_add(other.values),
            longest: self.longest.max(other.longest),
        }
    }
}

impl Data {
    /// Text.
    pub fn text(text: &str) -> Self {
        Self { value: Value::String(Arc::new(text.to_owned())), size: Size::of_text(text) }
    }

    /// A list of texts.
    pub fn texts(texts: &[Box<str>]) -> Self {
        let value = texts.iter().map(|text| Value::String(Arc::new(text.to_string()))).collect();
        let size = Size::of_texts(texts.iter().map(|text| &**text));
        Self { value: Value::List(Arc::new(value)), size }
    }

    /// A map of texts.
    pub fn map<'a>(entries: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        let entries: Vec<(&str, String)> = entries.into_iter().collect();
        let size = Size::of_texts(entries.iter().map(|(_, text)| text.as_str()));
        let map: HashMap<Key, Value> =
            entries.into_iter().map(|(key, text)| (key_of(key), Value::String(Arc::new(text)))).collect();
        Self { value: Value::Map(Map { map: Arc::new(map) }), size }
    }

    /// A moment, in seconds since 1970 (UTC); past the year 9999 the end of that year.
    pub fn moment(seconds: u64) -> Self {
        let since = Duration::from_secs(seconds.min(SECONDS_MAX));
        Self { value: after_1970(since).map_or(Value::Null, Value::Timestamp), size: Size::ONE }
    }

    /// A JSON document. It is counted before it is copied, and not copied if it is larger than any expression may
    /// look at: then whatever is asked about it is [`Failure::TooLarge`].
    pub fn json(json: &Json) -> Self {
        let mut size = Size::default();
        if !count(json, &mut size) {
            return Self { value: Value::Null, size: Size { nodes: usize::MAX, ..size } };
        }
        Self { value: value_of(json), size }
    }

    /// How much there is to look at.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Whether both are one document that was copied once.
    #[cfg(test)]
    pub fn is_shared_with(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Value::Map(own), Value::Map(other)) => Arc::ptr_eq(&own.map, &other.map),
            _ => false,
        }
    }

    pub(super) fn into_value(self) -> Value {
        self.value
    }
}

/// Bytes of a text that count as another value.
const NODE_BYTES: usize = 1024;

/// 9999-12-31 23:59:59 UTC, the last moment that CEL has.
const SECONDS_MAX: u64 = 253_402_300_799;

/// A moment of the type that the library wants, whatever that is called.
fn after_1970<T: FromStr + Add<Duration, Output = T>>(since: Duration) -> Option<T> {
    "1970-01-01T00:00:00Z".parse::<T>().ok().map(|start| start + since)
}

fn key_of(key: &str) -> Key {
    Key::String(Arc::new(key.to_owned()))
}

/// Adds what there is in a document; whether it is within what any expression may look at. Stops where it is not.
fn count(json: &Json, size: &mut Size) -> bool {
    let own = match json {
        Json::String(text) => Size::of_text(text),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => Size::ONE,
    };
    *size = size.plus(own);
    if size.nodes > NODES_MAX[0] {
        return false;
    }
    match json {
        Json::Array(list) => list.iter().all(|value| count(value, size)),
        Json::Object(map) => map.iter().all(|(key, value)| {
            // The value counts as one, so a key does only as far as it is long.
            let key = Size { nodes: key.len() / NODE_BYTES, values: 0, longest: key.len() };
            *size = size.plus(key);
            count(value, size)
        }),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => true,
    }
}

fn value_of(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(number)) => Value::UInt(number),
            (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(Arc::new(text.clone())),
        Json::Array(list) => Value::List(Arc::new(list.iter().map(value_of).collect())),
        Json::Object(map) => {
            let map = map.iter().map(|(key, value)| (key_of(key), value_of(value))).collect();
            Value::Map(Map { map: Arc::new(map) })
        }
    }
}
