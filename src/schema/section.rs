//! Sections: maps whose options are known. `section!` declares one; from the declaration come the
//! struct as written, its reader, its schema and its reference.

use serde_json::Value as Json;

use super::finding::{Findings, Place, closest};
use super::rule::Rule;
use super::yaml::{self, Entry};

/// A map whose options are known.
pub trait Section: Sized {
    /// What the section is for, and its options in order.
    fn nested() -> Nested;
    /// Reads the section from its entries. Notes every mistake; what was wrong reads as its default,
    /// or as absent, so that the rest can still be checked.
    fn read(entries: &[Entry], place: &Place, findings: &mut Findings) -> Self;

    /// The options, in order.
    fn options() -> Vec<OptionInfo> {
        Self::nested().options
    }
}

/// The description of a section.
pub struct Nested {
    /// What stands behind its name in a path: `[]` for the elements of a list.
    pub suffix: &'static str,
    /// What it is for.
    pub doc: String,
    /// Its options.
    pub options: Vec<OptionInfo>,
}

/// The description of an option.
pub struct OptionInfo {
    /// Its key.
    pub name: &'static str,
    /// What it does.
    pub doc: String,
    /// Its values in words.
    pub wanted: String,
    /// Its values as JSON Schema.
    pub schema: Json,
    /// Whether it must be given.
    pub presence: Presence,
    /// Its own options.
    pub nested: Option<Nested>,
}

/// Whether an option must be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It must.
    Required,
    /// It need not, and its absence means something.
    Optional,
    /// It need not, and then it is this YAML text.
    Default(&'static str),
}

/// Describes one option.
pub fn describe<R: Rule>(name: &'static str, doc: &[&str], rule: &R, presence: Presence) -> OptionInfo {
    let (wanted, schema, nested) = (rule.wanted(), rule.schema(), rule.nested());
    OptionInfo { name, doc: join(doc), wanted, schema, presence, nested }
}

/// The lines of a doc comment as one paragraph.
pub fn join(doc: &[&str]) -> String {
    doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// Notes the keys that are no options, with what was probably meant.
pub fn refuse_unknown(entries: &[Entry], options: &[&'static str], place: &Place, findings: &mut Findings) {
    for entry in entries.iter().filter(|entry| !options.contains(&entry.key.as_str())) {
        if findings.is_full() {
            findings.add(place, "has a key that is not an option", "remove it");
            continue;
        }
        // `{address:127.0.0.1:80}` is one long key to YAML.
        let glued = entry.key.split_once(':').filter(|(name, _)| options.contains(name));
        let fix =
            match (closest(&entry.key, options.iter().copied()), homes_of(&entry.key, findings).as_slice()) {
                _ if glued.is_some() => "put a blank after the colon".to_owned(),
                (Some(near), _) => format!("did you mean `{near}`?"),
                (None, [home, ..]) => format!("`{}` is an option of {home}", entry.key),
                (None, []) => format!("known here: {}", options.join(", ")),
            };
        findings.add(&place.key(&entry.key, entry.spot), "is not an option", fix);
    }
}

/// The sections that have an option of this name.
fn homes_of(key: &str, findings: &Findings) -> Vec<String> {
    fn walk(nested: &Nested, path: &str, key: &str, homes: &mut Vec<String>) {
        for option in &nested.options {
            if option.name == key {
                homes.push(if path.is_empty() { "the top level".to_owned() } else { format!("`{path}`") });
            }
            if let Some(inner) = &option.nested {
                let dot = if path.is_empty() { "" } else { "." };
                walk(inner, &format!("{path}{dot}{}{}", option.name, inner.suffix), key, homes);
            }
        }
    }
    let mut homes = Vec::new();
    if let Some(whole) = findings.whole() {
        walk(&whole, "", key, &mut homes);
    }
    homes
}

/// The value of `key`, if it is given and right.
pub fn given<R: Rule>(
    rule: &R,
    key: &str,
    entries: &[Entry],
    place: &Place,
    findings: &mut Findings,
) -> Option<super::finding::At<R::Out>> {
    let entry = entries.iter().find(|entry| entry.key == key)?;
    let place = place.key(key, entry.node.spot);
    rule.read(&entry.node, &place, findings).map(|value| super::finding::At { value, place })
}

/// What `rule` makes of a default, which is YAML text that the tests have read before. `place` is
/// where the default counts.
pub fn default_of<R: Rule>(rule: &R, text: &str, place: &Place) -> R::Out {
    let mut findings = Findings::default();
    let value = yaml::parse(text, &mut findings).and_then(|mut node| {
        node.move_to(place.spot);
        rule.read(&node, place, &mut findings)
    });
    value.filter(|_| findings.is_empty()).expect("a default keeps its own rule")
}

/// The key of the option that a field is for: a key that is a word of Rust is a raw name there.
pub fn key(field: &'static str) -> &'static str {
    field.strip_prefix("r#").unwrap_or(field)
}

/// Declares a section. Each option is `name: Type = rule, presence;` where presence is `required`,
/// `optional`, or `default "yaml text"`. An option with a default becomes an [`At`](super::finding::At)
/// of its type, any other an `Option` of that, which is `None` also when a value was given but wrong:
/// then there is a finding.
macro_rules! section {
    ($(#[doc = $doc:literal])* $section:ident {
        $( $(#[doc = $line:literal])* $name:ident : $type:ty = $rule:expr, $presence:ident $($default:literal)? ; )*
    }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug)]
        pub struct $section {
            /// Where the section stands.
            pub place: $crate::schema::finding::Place,
            $( $(#[doc = $line])* pub $name: section!(@type $presence $type), )*
        }

        impl $crate::schema::section::Section for $section {
            fn nested() -> $crate::schema::section::Nested {
                use $crate::schema::section::{Nested, describe, join};
                Nested {
                    suffix: "",
                    doc: join(&[$($doc),*]),
                    options: vec![$(
                        describe($crate::schema::section::key(stringify!($name)), &[$($line),*], &$rule, section!(@presence $presence $($default)?)),
                    )*],
                }
            }

            fn read(
                entries: &[$crate::schema::yaml::Entry],
                place: &$crate::schema::finding::Place,
                findings: &mut $crate::schema::finding::Findings,
            ) -> Self {
                $crate::schema::section::refuse_unknown(entries, &[$($crate::schema::section::key(stringify!($name))),*], place, findings);
                Self {
                    place: place.clone(),
                    $( $name: section!(@read $presence $name, $rule, entries, place, findings $(, $default)?), )*
                }
            }
        }
    };
    (@type default $type:ty) => { $crate::schema::finding::At<$type> };
    (@type $presence:ident $type:ty) => { Option<$crate::schema::finding::At<$type>> };
    (@presence default $text:literal) => { $crate::schema::section::Presence::Default($text) };
    (@presence optional) => { $crate::schema::section::Presence::Optional };
    (@presence required) => { $crate::schema::section::Presence::Required };
    (@read default $name:ident, $rule:expr, $entries:ident, $place:ident, $findings:ident, $text:literal) => {
        $crate::schema::section::given(&$rule, $crate::schema::section::key(stringify!($name)), $entries, $place, $findings).unwrap_or_else(|| {
            let place = $place.key($crate::schema::section::key(stringify!($name)), $place.spot);
            let value = $crate::schema::section::default_of(&$rule, $text, &place);
            $crate::schema::finding::At { value, place }
        })
    };
    (@read optional $name:ident, $rule:expr, $entries:ident, $place:ident, $findings:ident) => {
        $crate::schema::section::given(&$rule, $crate::schema::section::key(stringify!($name)), $entries, $place, $findings)
    };
    (@read required $name:ident, $rule:expr, $entries:ident, $place:ident, $findings:ident) => {{
        if !$entries.iter().any(|entry| entry.key == $crate::schema::section::key(stringify!($name))) {
            let place = $place.key($crate::schema::section::key(stringify!($name)), $place.spot);
            let wanted = $crate::schema::rule::Rule::wanted(&$rule);
            $findings.add(&place, "is missing", format!("add `{}: ...`: {wanted}", $crate::schema::section::key(stringify!($name))));
        }
        $crate::schema::section::given(&$rule, $crate::schema::section::key(stringify!($name)), $entries, $place, $findings)
    }};
}
pub(crate) use section;
