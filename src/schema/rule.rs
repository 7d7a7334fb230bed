//! Rules: what may be written as the value of an option. One rule reads the value, describes it to
//! people, and describes it to editors as JSON Schema, so the three cannot disagree.

use std::marker::PhantomData;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::finding::{At, Findings, Place, Problem};
use super::section::{Nested, Section};
use super::units;
use super::yaml::{Node, Plain, Value, plain_kind};

/// What may be written as the value of an option.
pub trait Rule {
    /// What a value becomes.
    type Out;
    /// Reads `node`, which stands at `place`. `None` after noting why not.
    fn read(&self, node: &Node, place: &Place, findings: &mut Findings) -> Option<Self::Out>;
    /// The values in words, as in "wanted: ...".
    fn wanted(&self) -> String;
    /// The values as JSON Schema.
    fn schema(&self) -> Json;
    /// The options inside, if values are sections.
    fn nested(&self) -> Option<Nested> {
        None
    }
}

/// The text of a scalar, or a finding. `numbers`: whether an unquoted number will do as text.
fn scalar<'n>(
    node: &'n Node,
    place: &Place,
    findings: &mut Findings,
    wanted: &str,
    numbers: bool,
) -> Option<&'n str> {
    let fix = format!("write {wanted}");
    let (what, fix) = match &node.value {
        Value::List(_) => ("is a list", format!("{fix}; text that begins with [ must be in quotes")),
        Value::Map(_) => ("has options below it", fix),
        Value::Text { text, quoted: true } => return Some(text),
        Value::Text { text, quoted: false } => match plain_kind(text) {
            Plain::Null => ("has no value", format!("{fix}, or remove the key")),
            Plain::Bool => ("is true or false", format!("{fix}; in quotes if this is meant as text")),
            Plain::Number if !numbers => {
                ("is a number", format!("{fix}; in quotes if this is meant as text"))
            }
            Plain::Number | Plain::Text => return Some(text),
        },
    };
    findings.add(place, what, fix);
    None
}

/// Text that `parse` makes something of. `pattern` describes it to editors and may be wider.
pub struct Text<T> {
    pub(crate) wanted: &'static str,
    pub(crate) pattern: Option<&'static str>,
    pub(crate) parse: fn(&str) -> Result<T, Problem>,
}

impl<T> Rule for Text<T> {
    type Out = T;

    fn read(&self, node: &Node, place: &Place, findings: &mut Findings) -> Option<T> {
        let text = scalar(node, place, findings, self.wanted, false)?;
        (self.parse)(text).map_err(|problem| findings.note(place, problem)).ok()
    }

    fn wanted(&self) -> String {
        self.wanted.to_owned()
    }

    fn schema(&self) -> Json {
        match self.pattern {
            Some(pattern) => json!({"type": "string", "pattern": pattern}),
            None => json!({"type": "string", "minLength": 1}),
        }
    }
}

/// Like [`Text`], where a plain number is text of its own kind (`workers: 4`).
pub struct NumberOr<T> {
    pub(crate) text: Text<T>,
    pub(crate) minimum: u64,
    pub(crate) maximum: u64,
}

impl<T> Rule for NumberOr<T> {
    type Out = T;

    fn read(&self, node: &Node, place: &Place, findings: &mut Findings) -> Option<T> {
        let text = scalar(node, place, findings, self.text.wanted, true)?;
        (self.text.parse)(text).map_err(|problem| findings.note(place, problem)).ok()
    }

    fn wanted(&self) -> String {
        self.text.wanted()
    }

    fn schema(&self) -> Json {
        let number = json!({"type": "integer", "minimum": self.minimum, "maximum": self.maximum});
        json!({"anyOf": [number, self.text.schema()]})
    }
}

/// A whole number without a unit.
pub struct Count {
    pub(crate) min: usize,
    pub(crate) max: usize,
}

impl Rule for Count {
    type Out = usize;

    fn read(&self, node: &Node, place: &Place, findings: &mut Findings) -> Option<usize> {
        let text = scalar(node, place, findings, &self.wanted(), true)?;
        let plain = matches!(node.value, Value::Text { quoted: false, .. });
        let count = plain.then(|| units::count(text)).flatten();
        bounded(count, self.min, self.max, text, &self.wanted(), place, findings)
    }

    fn wanted(&self) -> String {
        format!("a whole number from {} to {}", self.min, self.max)
    }

    fn schema(&self) -> Json {
        json!({"type": "integer", "minimum": self.min, "maximum": self.max})
    }
}

/// A number of bytes: `16KiB`, `4MiB`, or a plain number.
pub struct Size {
    pub(crate) min: usize,
    pub(crate) max: usize,
}

impl Rule for Size {
    type Out = usize;

    fn read(&self, node: &Node, place: &Place, findings: &mut Findings) -> Option<usize> {
        let text = scalar(node, place, findings, &self.wanted(), true)?;
        bounded(units::size(text), self.min, self.max, text, &self.wanted(), place, findings)
    }

    fn wanted(&self) -> String {
        format!("a size from {} to {}", units::show_size(self.min), units::show_size(self.max))
    }

    fn schema(&self) -> Json {
        json!({"anyOf": [
            {"type": "integer", "minimum": self.min, "maximum": self.max},
            {"type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB)$"},
        ]})
    }
}

/// A length of time with its unit: `250ms`, `5s`, `2m`, `1h`.
pub struct Time {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
}

impl Rule for Time {
    type Out = Duration;

    fn read(&self, node: &Node, place: &Place, findings: &mut Findings) -> Option<Duration> {
        let text = scalar(node, place, findings, &self.wanted(), true)?;
        bounded(units::duration(text), self.min, self.max, text, &self.wanted(), place, findings)
    }

    fn wanted(&self) -> String {
        format!("a duration from {} to {}", units::show_duration(self.min), units::show_duration(self.max))
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$"})
    }
}

/// A [`Time`] that may be absent: `off`, or `0`.
pub struct TimeOrOff(pub(crate) Time);

impl Rule for TimeOrOff {
    type Out = Option<Duration>;

    fn read(&self, node: &Node, place: &Place, findings: &mut Findings) -> Option<Option<Duration>> {
        match &node.value {
            Value::Text { text, .. } if text == "off" || text == "0" => Some(None),
            _ => {
                let text = scalar(node, place, findings, &self.wanted(), true)?;
                let (min, max) = (self.0.min, self.0.max);
                bounded(units::duration(text), min, max, text, &self.wanted(), place, findings).map(Some)
            }
        }
    }

    fn wanted(&self) -> String {
        format!("{}, or `off`", self.0.wanted())
    }

    fn schema(&self) -> Json {
        json!({"anyOf": [{"enum": ["off", 0]}, self.0.schema()]})
    }
}

fn bounded<T: PartialOrd>(
    value: Option<T>,
    min: T,
    max: T,
    text: &str,
    wanted: &str,
    place: &Place,
    findings: &mut Findings,
) -> Option<T> {
    let (what, hint) = match value {
        None => (format!("`{}` is not understood", units::shorten(text)), units::hint(text)),
        Some(value) if value < min => (format!("`{text}` is too small"), ""),
        Some(value) if value > max => (format!("`{text}` is too large"), ""),
        Some(value) => return Some(value),
    };
    findings.add(place, what, format!("write {wanted}{hint}"));
    None
}

/// One of a few words.
pub struct Choice<T: 'static>(pub(crate) &'static [(&'static str, T)]);

impl<T: Copy> Rule for Choice<T> {
    type Out = T;

    fn read(&self, node: &Node, place: &Place, findings: &mut Findings) -> Option<T> {
        let text = scalar(node, place, findings, &self.wanted(), false)?;
        if let Some((_, value)) = self.0.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let near = super::finding::closest(text, self.0.iter().map(|(word, _)| *word));
        let near = near.map(|word| format!("did you mean `{word}`? ")).unwrap_or_default();
        let what = format!("`{}` is not known", units::shorten(text));
        findings.add(place, what, format!("{near}write {}", self.wanted()));
        None
    }

    fn wanted(&self) -> String {
        let words: Vec<_> = self.0.iter().map(|(word, _)| format!("`{word}`")).collect();
        match words.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => words.concat(),
        }
    }

    fn schema(&self) -> Json {
        json!({"enum": self.0.iter().map(|(word, _)| *word).collect::<Vec<_>>()})
    }
}

/// `true` or `false`.
pub struct Flag;

impl Rule for Flag {
    type Out = bool;

    fn read(&self, node: &Node, place: &Place, findings: &mut Findings) -> Option<bool> {
        match &node.value {
            Value::Text { text, quoted: false } if text == "true" => Some(true),
            Value::Text { text, quoted: false } if text == "false" => Some(false),
            _ => {
                findings.add(place, "is neither true nor false", "write `true` or `false`, without quotes");
                None
            }
        }
    }

    fn wanted(&self) -> String {
        "`true` or `false`".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "boolean"})
    }
}

const LIST_FIX: &str =
    "write a list: `[...]` around it, with commas between elements, or each on a line of its own after `- `";

/// A list of values of one rule.
pub struct List<R> {
    pub(crate) item: R,
    pub(crate) min: usize,
    pub(crate) max: usize,
}

impl<R: Rule> Rule for List<R> {
    type Out = Vec<At<R::Out>>;

    fn read(&self, node: &Node, place: &Place, findings: &mut Findings) -> Option<Self::Out> {
        let Value::List(nodes) = &node.value else {
            let (what, fix) = match &node.value {
                Value::Map(_) if self.item.nested().is_some() => (
                    "is not a list but one section",
                    "begin each section with `- `, or write `[{...}, {...}]`",
                ),
                Value::Map(_) => ("is not a list but has options below it", LIST_FIX),
                _ => ("is one value", LIST_FIX),
            };
            findings.add(place, what, fix);
            return None;
        };
        if nodes.len() < self.min || nodes.len() > self.max {
            let what = format!("has {} elements", nodes.len());
            findings.add(place, what, format!("give from {} to {}", self.min, self.max));
        }
        let mut items = Vec::with_capacity(nodes.len());
        for (index, node) in nodes.iter().take(self.max).enumerate() {
            let place = place.index(index, node.spot);
            if let Some(value) = self.item.read(node, &place, findings) {
                items.push(At { value, place });
            }
        }
        Some(items)
    }

    fn wanted(&self) -> String {
        match self.item.nested() {
            Some(_) => "a list of sections".to_owned(),
            None => format!("a list; each element: {}", self.item.wanted()),
        }
    }

    fn schema(&self) -> Json {
        json!({"type": "array", "items": self.item.schema(), "minItems": self.min, "maxItems": self.max})
    }

    fn nested(&self) -> Option<Nested> {
        self.item.nested().map(|nested| Nested { suffix: "[]", ..nested })
    }
}

/// A map whose keys the operator chooses.
pub struct MapOf<R> {
    pub(crate) value: R,
    pub(crate) max: usize,
}

impl<R: Rule> Rule for MapOf<R> {
    type Out = Vec<(At<String>, R::Out)>;

    fn read(&self, node: &Node, place: &Place, findings: &mut Findings) -> Option<Self::Out> {
        let Value::Map(entries) = &node.value else {
            findings.add(place, "is not a map", "write `name: value` lines below it");
            return None;
        };
        if entries.len() > self.max {
            findings.add(
                place,
                format!("has {} entries", entries.len()),
                format!("give at most {}", self.max),
            );
        }
        let mut pairs = Vec::with_capacity(entries.len());
        for entry in entries.iter().take(self.max) {
            let value = self.value.read(&entry.node, &place.key(&entry.key, entry.node.spot), findings);
            if let Some(value) = value {
                pairs
                    .push((At { value: entry.key.clone(), place: place.key(&entry.key, entry.spot) }, value));
            }
        }
        Some(pairs)
    }

    fn wanted(&self) -> String {
        format!("a map; each value: {}", self.value.wanted())
    }

    fn schema(&self) -> Json {
        json!({"type": "object", "additionalProperties": self.value.schema(), "maxProperties": self.max})
    }
}

/// A map of the options of `S`.
pub struct Sub<S>(pub(crate) PhantomData<S>);

impl<S: Section> Rule for Sub<S> {
    type Out = S;

    fn read(&self, node: &Node, place: &Place, findings: &mut Findings) -> Option<S> {
        if let Value::Map(entries) = &node.value {
            return Some(S::read(entries, place, findings));
        }
        let known: Vec<_> = S::options().iter().map(|option| format!("`{}`", option.name)).collect();
        let known = known.join(", ");
        let (what, fix) = match &node.value {
            Value::Text { text, quoted: false } if plain_kind(text) == Plain::Null => {
                ("has no options below it", format!("give it options ({known}), or remove the key"))
            }
            Value::Text { .. } => {
                ("is not a section but one value", format!("write it as one of its options: {known}"))
            }
            Value::List(_) | Value::Map(_) => {
                ("is not a section but a list", format!("write the list under one of its options: {known}"))
            }
        };
        findings.add(place, what, fix);
        None
    }

    fn wanted(&self) -> String {
        "a section".to_owned()
    }

    fn schema(&self) -> Json {
        super::document::of_section(&S::nested())
    }

    fn nested(&self) -> Option<Nested> {
        Some(S::nested())
    }
}
