//! YAML text to a tree in which every value knows its line and column.
//!
//! Of YAML only what a configuration needs: one document of maps with text keys, lists and scalars.
//! Anchors, aliases, tags and further documents are findings: what is written at a place is what is
//! meant there. Duplicate keys are findings too, since readers disagree about which one counts.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::finding::{Findings, Place, Spot};

/// A value as written. Has no `Debug`: the text of a secret may be in it.
pub struct Node {
    /// Where it starts.
    pub spot: Spot,
    /// What it is.
    pub value: Value,
}

/// The three things YAML is made of.
pub enum Value {
    /// A scalar. What it means is up to the option it is given to.
    Text {
        /// Without its quotes.
        text: String,
        /// Whether it was quoted or a block.
        quoted: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the text.
    Map(Vec<Entry>),
}

/// A key and its value.
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key starts.
    pub spot: Spot,
    /// The value.
    pub node: Node,
}

impl Node {
    /// Says that all of this stands at `spot`: for text that is no part of the file.
    pub fn move_to(&mut self, spot: Spot) {
        self.spot = spot;
        match &mut self.value {
            Value::Text { .. } => {}
            Value::List(nodes) => nodes.iter_mut().for_each(|node| node.move_to(spot)),
            Value::Map(entries) => {
                for entry in entries {
                    entry.spot = spot;
                    entry.node.move_to(spot);
                }
            }
        }
    }
}

/// What a plain (unquoted) scalar is to a YAML 1.2 reader (core schema, section 10.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// Text.
    Text,
}

/// See [`Plain`].
pub fn plain_kind(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Plain::Null,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Plain::Bool,
        _ => {
            let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
            let digits = |prefix: &str, radix| {
                text.strip_prefix(prefix)
                    .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|char| char.is_digit(radix)))
            };
            let decimal = unsigned.starts_with(|char: char| char.is_ascii_digit() || char == '.')
                && unsigned.parse::<f64>().is_ok();
            let named =
                matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN");
            if decimal || named || digits("0o", 8) || digits("0x", 16) { Plain::Number } else { Plain::Text }
        }
    }
}

/// Bytes of a configuration file.
pub const TEXT_BYTES_MAX: usize = 1 << 20;
/// Nesting of a configuration file; what is known nests less than half as deep.
const DEPTH_MAX: usize = 16;
/// Keys of one map.
const MAP_KEYS_MAX: usize = 256;

/// The tree of `text`. `None` if there is none, and then there are findings. An empty document is an
/// empty map.
pub fn parse(text: &str, findings: &mut Findings) -> Option<Node> {
    let mut builder = Builder { open: Vec::new(), root: None, findings };
    if text.len() > TEXT_BYTES_MAX {
        let what = format!("the file has {} bytes and may have {TEXT_BYTES_MAX}", text.len());
        builder.findings.add(&Place::default(), what, "split the configuration over several gateways");
        return None;
    }
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let place = Place { spot: spot_of_marker(error.marker()), path: builder.path() };
                let fix = if error.info().starts_with("tabs") { TABS_FIX } else { SYNTAX_FIX };
                builder.findings.add(&place, format!("is not YAML: {}", error.info()), fix);
                return None;
            }
        };
        builder.take(event, span)?;
    }
    Some(builder.root.unwrap_or(Node { spot: Spot { line: 1, column: 1 }, value: Value::Map(Vec::new()) }))
}

const TABS_FIX: &str = "indent with blanks instead of tabs; nothing after this line was checked";
const SYNTAX_FIX: &str = "check the indentation, and put a value that has `: ` or ` #` in it or begins with one of \
     `[ { * & ! % @` in quotes; nothing after this line was checked";

/// A list or map whose end was not seen yet.
enum Open {
    List(Spot, Vec<Node>),
    Map(Spot, Vec<Entry>, Option<(String, Spot)>),
}

struct Builder<'a> {
    open: Vec<Open>,
    root: Option<Node>,
    findings: &'a mut Findings,
}

impl Builder<'_> {
    /// Takes one event. `None` when there is no use in going on.
    fn take(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        let spot = spot_of_marker(&span.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_extras(spot, anchor, tag.is_some());
                let value = Value::Text { text: text.into_owned(), quoted: style != ScalarStyle::Plain };
                self.put(Node { spot, value })
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_extras(spot, anchor, tag.is_some());
                self.open(Open::List(spot, Vec::new()), spot)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_extras(spot, anchor, tag.is_some());
                self.open(Open::Map(spot, Vec::new(), None), spot)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop()? {
                Open::List(spot, nodes) => self.put(Node { spot, value: Value::List(nodes) }),
                Open::Map(spot, entries, _) => self.put(Node { spot, value: Value::Map(entries) }),
            },
            Event::Alias(_) => {
                let place = Place { spot, path: self.path() };
                self.findings.add(
                    &place,
                    "is a YAML alias",
                    "write the value out; put text that begins with * in quotes",
                );
                self.put(Node { spot, value: Value::Text { text: String::new(), quoted: false } })
            }
            Event::DocumentStart(_) if self.root.is_some() => {
                let place = Place { spot, path: String::new() };
                self.findings.add(
                    &place,
                    "a second YAML document begins here",
                    "keep one document; remove the `---`",
                );
                None
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Some(()),
        }
    }

    fn refuse_extras(&mut self, spot: Spot, anchor: usize, tagged: bool) {
        if anchor == 0 && !tagged {
            return;
        }
        let place = Place { spot, path: self.path() };
        if anchor != 0 {
            self.findings.add(
                &place,
                "has a YAML anchor",
                "remove the anchor and write each value where it is used",
            );
        }
        if tagged {
            self.findings.add(
                &place,
                "has a YAML tag",
                "remove the tag; put text that begins with ! in quotes",
            );
        }
    }

    fn open(&mut self, open: Open, spot: Spot) -> Option<()> {
        if self.key_is_next() {
            self.complex_key(spot);
            return None;
        }
        if self.open.len() == DEPTH_MAX {
            let place = Place { spot, path: self.path() };
            self.findings.add(
                &place,
                "is nested too deep",
                "no option nests this deep; check the indentation",
            );
            return None;
        }
        self.open.push(open);
        Some(())
    }

    fn key_is_next(&self) -> bool {
        matches!(self.open.last(), Some(Open::Map(_, _, None)))
    }

    fn complex_key(&mut self, spot: Spot) {
        let place = Place { spot, path: self.path() };
        self.findings.add(&place, "has a key that is not text", "put it in quotes if it is meant as text");
    }

    /// Puts a whole node where it belongs.
    fn put(&mut self, node: Node) -> Option<()> {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(_, nodes)) => nodes.push(node),
            Some(Open::Map(_, _, key @ None)) => match node.value {
                Value::Text { text, .. } => *key = Some((text, node.spot)),
                Value::List(_) | Value::Map(_) => self.complex_key(node.spot),
            },
            Some(Open::Map(_, entries, key)) => {
                let (key, spot) = key.take()?;
                let mut node = node;
                if matches!(&node.value, Value::Text { text, quoted: false } if text.is_empty()) {
                    // Nothing was written, so its key is the place to look at.
                    node.spot = spot;
                }
                if entries.len() == MAP_KEYS_MAX {
                    let place = Place { spot, path: self.path() };
                    self.findings.add(
                        &place,
                        format!("has more than {MAP_KEYS_MAX} keys"),
                        "check the indentation",
                    );
                    return None;
                }
                match entries.iter().find(|entry| entry.key == key) {
                    None => entries.push(Entry { key, spot, node }),
                    Some(first) => {
                        let what = format!("is given twice, first on line {}", first.spot.line);
                        let place = Place { spot, path: self.path() }.key(&key, spot);
                        self.findings.add(&place, what, "keep one of the two");
                    }
                }
            }
        }
        Some(())
    }

    /// The dotted path of what is being read.
    fn path(&self) -> String {
        let mut place = Place::default();
        for open in &self.open {
            match open {
                Open::List(_, nodes) => place = place.index(nodes.len(), Spot::default()),
                Open::Map(_, _, Some((key, _))) => place = place.key(key, Spot::default()),
                Open::Map(_, _, None) => {}
            }
        }
        place.path
    }
}

fn spot_of_marker(marker: &saphyr_parser::Marker) -> Spot {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Spot { line: number(marker.line()), column: number(marker.col()).saturating_add(1) }
}

/// The JSON value that a YAML 1.2 reader makes of `node`: how the schema and its tests see it.
pub fn to_json(node: &Node) -> serde_json::Value {
    use serde_json::Value as Json;
    match &node.value {
        Value::List(nodes) => Json::Array(nodes.iter().map(to_json).collect()),
        Value::Map(entries) => {
            Json::Object(entries.iter().map(|entry| (entry.key.clone(), to_json(&entry.node))).collect())
        }
        Value::Text { text, quoted: true } => Json::from(text.as_str()),
        Value::Text { text, quoted: false } => match plain_kind(text) {
            Plain::Null => Json::Null,
            Plain::Bool => Json::from(text.eq_ignore_ascii_case("true")),
            Plain::Number => match text.parse::<i64>() {
                Ok(whole) => Json::from(whole),
                Err(_) => text.parse::<f64>().map_or(Json::Null, Json::from),
            },
            Plain::Text => Json::from(text.as_str()),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn findings_of(text: &str) -> String {
        let mut findings = Findings::of("f");
        let _ = parse(text, &mut findings);
        findings.to_string()
    }

    #[test]
    fn every_value_knows_its_line_and_column() {
        let mut findings = Findings::default();
        let node = parse("a:\n  - b: 1\n    c: two\n", &mut findings).unwrap();
        let Value::Map(entries) = node.value else { panic!("a map") };
        let Value::List(items) = &entries[0].node.value else { panic!("a list") };
        let Value::Map(inner) = &items[0].value else { panic!("a map") };
        assert_eq!(items[0].spot, Spot { line: 2, column: 5 });
        assert_eq!(inner[1].spot, Spot { line: 3, column: 5 });
        assert_eq!(inner[1].node.spot, Spot { line: 3, column: 8 });
    }

    #[test]
    fn what_is_not_needed_is_refused_with_its_place() {
        for (text, expected) in [
            ("a: 1\na: 2\n", "f:2:1: a: is given twice, first on line 1 (keep one of the two)\n"),
            ("a:\n  b: 1\n  b: 1\n", "f:3:3: a.b: is given twice, first on line 2 (keep one of the two)\n"),
        ] {
            assert_eq!(findings_of(text), expected, "{text}");
        }
        for (text, part) in [
            ("a: &x 1\n", "f:1:4: a: has a YAML anchor"),
            ("a: &x 1\nb: *x\n", "f:2:4: b: is a YAML alias"),
            ("a: !!int 1\n", "has a YAML tag"),
            ("a: 1\n---\nb: 1\n", "f:2:1: a second YAML document"),
            ("? [a, b]\n: 1\n", "has a key that is not text"),
            ("a: [1, 2\nb: 3\n", "is not YAML"),
            ("a:\n\t- b\n", "indent with blanks instead of tabs"),
            ("a: *\n", "is not YAML"),
            (&"[".repeat(100), "is nested too deep"),
        ] {
            let found = findings_of(text);
            assert!(found.contains(part), "{text}: {found}");
        }
    }

    #[test]
    fn an_oversized_file_is_refused_unread() {
        assert!(findings_of(&"#".repeat(TEXT_BYTES_MAX + 1)).contains("may have 1048576"));
    }

    #[test]
    fn plain_scalars_are_what_the_core_schema_says() {
        for (text, kind) in [
            ("", Plain::Null),
            ("~", Plain::Null),
            ("true", Plain::Bool),
            ("off", Plain::Text),
            ("12", Plain::Number),
            ("-1.5e3", Plain::Number),
            (".5", Plain::Number),
            ("0x1F", Plain::Number),
            (".inf", Plain::Number),
            ("inf", Plain::Text),
            ("1.2.3", Plain::Text),
            ("0-3", Plain::Text),
            ("5s", Plain::Text),
        ] {
            assert_eq!(plain_kind(text), kind, "{text}");
        }
    }
}
