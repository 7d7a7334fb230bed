//! Values that expressions look at.

use std::collections::HashMap;
use std::ops::Add;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use cel::Value;
use cel::objects::{Key, Map};
use serde_json::Value as Json;

/// A value for a variable. Cloning one is cheap.
#[derive(Clone)]
pub struct Data {
    value: Value,
    nodes: usize,
}

impl Data {
    /// Text.
    pub fn text(text: &str) -> Self {
        Self { value: Value::String(Arc::new(text.to_owned())), nodes: 1 }
    }

    /// A list of texts.
    pub fn texts(texts: &[Box<str>]) -> Self {
        let value = texts.iter().map(|text| Value::String(Arc::new(text.to_string()))).collect();
        Self { value: Value::List(Arc::new(value)), nodes: texts.len() + 1 }
    }

    /// A map of texts.
    pub fn map<'a>(entries: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        let map: HashMap<Key, Value> =
            entries.into_iter().map(|(key, text)| (key_of(key), Value::String(Arc::new(text)))).collect();
        Self { nodes: map.len() + 1, value: Value::Map(Map { map: Arc::new(map) }) }
    }

    /// A moment, in seconds since 1970 (UTC); past the year 9999 the end of that year.
    pub fn moment(seconds: u64) -> Self {
        let since = Duration::from_secs(seconds.min(SECONDS_MAX));
        Self { value: after_1970(since).map_or(Value::Null, Value::Timestamp), nodes: 1 }
    }

    /// A JSON document.
    pub fn json(json: &Json) -> Self {
        let mut nodes = 0;
        Self { value: value_of(json, &mut nodes), nodes }
    }

    /// How many JSON values there are in it; a long text counts as several.
    pub fn nodes(&self) -> usize {
        self.nodes
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

fn value_of(json: &Json, nodes: &mut usize) -> Value {
    *nodes += 1;
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(number)) => Value::UInt(number),
            (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => {
            *nodes += text.len() / NODE_BYTES;
            Value::String(Arc::new(text.clone()))
        }
        Json::Array(list) => Value::List(Arc::new(list.iter().map(|value| value_of(value, nodes)).collect())),
        Json::Object(map) => {
            let map = map.iter().map(|(key, value)| (key_of(key), value_of(value, nodes))).collect();
            Value::Map(Map { map: Arc::new(map) })
        }
    }
}
