//! Values that expressions look at. Each is made once and shared by all expressions that look at it.

use std::collections::HashMap;
use std::ops::Add;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use cel::Value;
use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
};
use cel::common::value::Val;
use serde_json::{Number, Value as Json};

#[cfg(doc)]
use super::Failure;
use super::{NODES_MAX, Part};

/// A value for a variable. Cloning one is cheap.
#[derive(Clone)]
pub struct Data {
    value: Arc<dyn Val>,
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
    fn new(value: impl Val + 'static, size: Size) -> Self {
        Self { value: Arc::new(value), size }
    }

    /// Text.
    pub fn text(text: &str) -> Self {
        Self::new(CelString::from(text.to_owned()), Size::of_text(text))
    }

    /// A list of texts.
    pub fn texts(texts: &[Box<str>]) -> Self {
        let values = texts.iter().map(|text| boxed(CelString::from(text.to_string()))).collect::<Vec<_>>();
        Self::new(CelList::from(values), Size::of_texts(texts.iter().map(|text| &**text)))
    }

    /// A map of texts.
    pub fn map<'a>(entries: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        let entries: Vec<(&str, String)> = entries.into_iter().collect();
        let size = Size::of_texts(entries.iter().map(|(_, text)| text.as_str()));
        let entry = |(key, text): (&str, String)| (key_of(key), boxed(CelString::from(text)));
        let map: HashMap<CelMapKey<'_>, Box<dyn Val>> = entries.into_iter().map(entry).collect();
        Self::new(CelMap::from(map), size)
    }

    /// A moment, in seconds since 1970 (UTC); past the year 9999 the end of that year.
    pub fn moment(seconds: u64) -> Self {
        let since = Duration::from_secs(seconds.min(SECONDS_MAX));
        let moment = after_1970(since).map_or(Value::Null, Value::Timestamp);
        let value = Box::<dyn Val>::try_from(moment).unwrap_or_else(|_| boxed(CelNull));
        Self { value: value.into(), size: Size::ONE }
    }

    /// A whole JSON document: see [`Data::part`].
    pub fn json(json: &Json) -> Self {
        Self::part(json, &Part::WHOLE)
    }

    /// The part of a JSON document that expressions read. Copying stops where the part is larger than any expression
    /// may look at: then whatever is asked about it is [`Failure::TooLarge`].
    pub fn part(json: &Json, part: &Part) -> Self {
        let mut size = Size::default();
        match copy(json, part, &mut size) {
            Some(value) => Self { value: value.into(), size },
            None => Self::new(CelNull, Size { nodes: usize::MAX, ..size }),
        }
    }

    /// How much there is to look at.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Whether both are one document that was copied once.
    #[cfg(test)]
    pub fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.value, &other.value)
    }

    pub(super) fn value(&self) -> &dyn Val {
        &*self.value
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

fn key_of(key: &str) -> CelMapKey<'static> {
    CelMapKey::String(CelString::from(key.to_owned()))
}

fn boxed(value: impl Val + 'static) -> Box<dyn Val> {
    Box::new(value)
}

/// Copies the part of a document, and adds what there is of it to `size`. `None` where that is more than any
/// expression may look at.
fn copy(json: &Json, part: &Part, size: &mut Size) -> Option<Box<dyn Val>> {
    let own = match json {
        Json::String(text) => Size::of_text(text),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => Size::ONE,
    };
    grow(size, own)?;
    Some(match json {
        Json::Null => boxed(CelNull),
        Json::Bool(value) => boxed(CelBool::from(*value)),
        Json::Number(number) => number_of(number),
        Json::String(text) => boxed(CelString::from(text.clone())),
        Json::Array(list) if part.is_whole() => {
            let elements = list.iter().map(|value| copy(value, part, size)).collect::<Option<Vec<_>>>()?;
            boxed(CelList::from(elements))
        }
        // Looking up a name in a list fails, whatever its elements.
        Json::Array(_) => boxed(CelList::from(Vec::<Box<dyn Val>>::new())),
        Json::Object(map) => {
            let mut entries: HashMap<CelMapKey<'_>, Box<dyn Val>> = HashMap::new();
            let mut entry = |key: &str, value: &Json, part: &Part| {
                // The value counts as one, so a key does only as far as it is long.
                grow(size, Size { nodes: key.len() / NODE_BYTES, values: 0, longest: key.len() })?;
                entries.insert(key_of(key), copy(value, part, size)?);
                Some(())
            };
            if part.is_whole() {
                map.iter().try_for_each(|(key, value)| entry(key, value, part))?;
            } else {
                let mut found = part.below().filter_map(|(key, part)| Some((key, map.get(key)?, part)));
                found.try_for_each(|(key, value, part)| entry(key, value, part))?;
            }
            boxed(CelMap::from(entries))
        }
    })
}

fn grow(size: &mut Size, by: Size) -> Option<()> {
    *size = size.plus(by);
    (size.nodes <= NODES_MAX[0]).then_some(())
}

fn number_of(number: &Number) -> Box<dyn Val> {
    match (number.as_i64(), number.as_u64()) {
        (Some(number), _) => boxed(CelInt::from(number)),
        (None, Some(number)) => boxed(CelUInt::from(number)),
        (None, None) => boxed(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
    }
}
