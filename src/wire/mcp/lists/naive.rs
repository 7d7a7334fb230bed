//! The same answers, found the slow way: what property tests and fuzzing compare the cutter with.
//!
//! Builds a tree of the whole document by `serde_json`, repeated keys included, and shares only types with the
//! cutter.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Edits, Judge, Kind, ListFault, Search, TTL_MS_MAX, find_cuts, find_cuts_portable};
use crate::base::PAD;
use crate::wire::json::{DEPTH_CAP, Padded, validate};

const LISTS: [(&str, Kind, &str); 4] = [
    ("tools", Kind::Tool, "name"),
    ("prompts", Kind::Prompt, "name"),
    ("resources", Kind::Resource, "uri"),
    ("resourceTemplates", Kind::ResourceTemplate, "uriTemplate"),
];

/// A document as it stands: objects keep the order of their keys, and keys that come twice.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    Null,
    Scalar(String),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

/// Filters `body`, followed by `behind`, and checks the answer against everything we can compare with. The changed
/// body, if it was not refused.
///
/// # Panics
/// If anything does not agree.
pub fn check(body: &[u8], behind: &[u8], keep: &dyn Fn(Kind, &str) -> bool) -> Result<Vec<u8>, ListFault> {
    let out = filter(body, behind, keep);
    let text = String::from_utf8_lossy(body);
    let all = [body, &[0; PAD]].concat();
    let valid = validate(Padded::new(&all, body.len()).unwrap(), DEPTH_CAP).is_ok();
    let tree = serde_json::from_slice::<Tree>(body).ok();
    match &out {
        Err(ListFault::Json(_)) => assert!(!valid, "{text}"),
        Err(_) => assert!(tree.is_none_or(|tree| is_odd(&tree) || body.contains(&b'\\')), "{text}"),
        Ok(out) => {
            assert!(valid, "{text}");
            assert_eq!(
                filter(out, behind, keep).as_ref(),
                Ok(out),
                "what was filtered stays as it is: {text}"
            );
            if let Some(tree) = tree {
                assert!(!is_odd(&tree), "{text}");
                let got = serde_json::from_slice::<Tree>(out).unwrap();
                assert_eq!(got, filtered(&tree, keep), "{text}");
                if got == tree {
                    assert_eq!(out, body, "nothing to change, nothing changed: {text}");
                }
            }
        }
    }
    out
}

/// `body` through the cutter in both forms, which must agree.
fn filter(body: &[u8], behind: &[u8], keep: &dyn Fn(Kind, &str) -> bool) -> Result<Vec<u8>, ListFault> {
    let behind = if behind.is_empty() { b"\0" } else { behind };
    let all: Vec<u8> = body.iter().copied().chain(behind.iter().copied().cycle().take(PAD)).collect();
    let padded = Padded::new(&all, body.len()).unwrap();
    let (mut edits, mut portable) = (Edits::default(), Edits::default());
    let found = find_cuts(padded, &mut |kind, name| keep(kind, name), &mut edits);
    let twin = find_cuts_portable(padded, &mut |kind, name| keep(kind, name), &mut portable);
    assert_eq!((found, &edits), (twin, &portable));
    let mut resting = Edits::default();
    assert_eq!((found, &edits), (with_rests(padded, keep, &mut resting), &resting));
    let mut out = Vec::new();
    found.map(|()| edits.apply(body, &mut out))?;
    assert_eq!(out.len(), edits.length(body));
    assert_eq!(edits.is_empty(), out == body);
    Ok(out)
}

/// The cutter, which rests after each item.
fn with_rests(
    body: Padded<'_>,
    keep: &dyn Fn(Kind, &str) -> bool,
    edits: &mut Edits,
) -> Result<(), ListFault> {
    struct Tired<'k>(&'k dyn Fn(Kind, &str) -> bool);
    impl Judge for Tired<'_> {
        fn keeps(&mut self, kind: Kind, name: &str) -> Result<bool, ListFault> {
            Ok((self.0)(kind, name))
        }

        fn ttl_ms_max(&self) -> u64 {
            TTL_MS_MAX
        }

        fn is_tired(&self, _: usize) -> bool {
            true
        }
    }
    let mut search = Search::default();
    while !search.go_on(body, &mut Tired(keep), edits)? {}
    Ok(())
}

/// The document without what `keep` refuses.
fn filtered(tree: &Tree, keep: &dyn Fn(Kind, &str) -> bool) -> Tree {
    if let Tree::List(elements) = tree {
        return Tree::List(elements.iter().map(|element| filtered_message(element, keep)).collect());
    }
    filtered_message(tree, keep)
}

fn filtered_message(tree: &Tree, keep: &dyn Fn(Kind, &str) -> bool) -> Tree {
    let Tree::Object(members) = tree else { return tree.clone() };
    let changed = members.iter().map(|(key, value)| match (key.as_str(), value) {
        ("result", Tree::Object(result)) => {
            let result = result.iter().map(|(key, value)| (key.clone(), filtered_field(key, value, keep)));
            (key.clone(), Tree::Object(result.collect()))
        }
        _ => (key.clone(), value.clone()),
    });
    Tree::Object(changed.collect())
}

fn filtered_field(key: &str, value: &Tree, keep: &dyn Fn(Kind, &str) -> bool) -> Tree {
    match (LISTS.iter().find(|(list, ..)| *list == key), value) {
        (Some(&(_, kind, id)), Tree::List(items)) => {
            let stays = |item: &&Tree| match item.get(id) {
                Some(Tree::Text(name)) => keep(kind, name),
                other => panic!("an item without a name was accepted: {other:?}"),
            };
            Tree::List(items.iter().filter(stays).cloned().collect())
        }
        (None, Tree::Text(_)) if key == "cacheScope" => Tree::Text("private".to_owned()),
        (None, Tree::Text(_)) if key == "ttlMs" => Tree::Scalar(TTL_MS_MAX.to_string()),
        (None, Tree::Scalar(time)) if key == "ttlMs" => match time.parse::<f64>() {
            Ok(time) if time > TTL_MS_MAX as f64 => Tree::Scalar(TTL_MS_MAX.to_string()),
            _ => value.clone(),
        },
        _ => value.clone(),
    }
}

/// Whether readers could find different lists in the document, or it holds a list that is none.
fn is_odd(tree: &Tree) -> bool {
    match tree {
        Tree::List(elements) => elements.iter().any(|e| matches!(e, Tree::List(_)) || is_odd_message(e)),
        _ => is_odd_message(tree),
    }
}

fn is_odd_message(message: &Tree) -> bool {
    const LEVEL: &[&str] = &["tools", "prompts", "resources", "resourceTemplates", "cacheScope", "ttlMs"];
    has_odd_keys(message, &["result"])
        || message.get("result").is_some_and(|result| {
            has_odd_keys(result, LEVEL)
                || LISTS.iter().any(|(list, _, id)| match result.get(list) {
                    None | Some(Tree::Null) => false,
                    Some(Tree::List(items)) => items.iter().any(|item| {
                        has_odd_keys(item, &[id]) || !matches!(item.get(id), Some(Tree::Text(_)))
                    }),
                    Some(_) => true,
                })
        })
}

/// Whether one of the keys comes twice or in another spelling. Escaped spellings do not show here.
fn has_odd_keys(tree: &Tree, keys: &[&str]) -> bool {
    let Tree::Object(members) = tree else { return false };
    let folded = |key: &str| key.replace('\u{130}', "i").to_uppercase().to_lowercase();
    let like = |key: &str| members.iter().filter(|(other, _)| folded(other) == folded(key)).count();
    let exactly = |key: &str| members.iter().filter(|(other, _)| other == key).count();
    members.iter().any(|(key, _)| key.contains('\0'))
        || keys.iter().any(|key| like(key) > 1 || like(key) != exactly(key))
}

impl Tree {
    fn get(&self, key: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.iter().find(|(other, _)| other == key).map(|(_, value)| value)
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Tree, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = from.next_element()? {
            elements.push(element);
        }
        Ok(Tree::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = from.next_entry()? {
            members.push(member);
        }
        Ok(Tree::Object(members))
    }
}
