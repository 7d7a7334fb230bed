//! Which file is which module, and whether anything leads to it.

use std::collections::{BTreeMap, BTreeSet};

use super::house::House;
use super::tokens::{Token, group_end, is_test_attribute, tokens};

/// Source files that no crate compiles.
pub fn unreachable(house: &House) -> Vec<String> {
    let reached = reached(house);
    let dead = |path: &&String| {
        SOURCES.iter().any(|folder| path.starts_with(folder))
            && path.ends_with(".rs")
            && !reached.contains_key(path.as_str())
    };
    house
        .files
        .keys()
        .filter(dead)
        .map(|path| format!("{path}: no `mod` leads to this file; declare it or delete it"))
        .collect()
}

/// Files that only a test build compiles.
pub fn test_files(house: &House) -> BTreeSet<String> {
    reached(house).into_iter().filter_map(|(path, for_tests)| for_tests.then_some(path)).collect()
}

/// Every file that a crate's root leads to, and whether only through `#[cfg(test)]`.
fn reached(house: &House) -> BTreeMap<String, bool> {
    let mut reached = BTreeMap::new();
    let roots = house.files.keys().filter(|path| is_root(path));
    let mut open: Vec<(String, bool)> = roots.map(|path| (path.clone(), false)).collect();
    while let Some((path, for_tests)) = open.pop() {
        let Some(text) = house.files.get(&path) else { continue };
        if reached.get(&path).is_some_and(|&before: &bool| before <= for_tests) {
            continue;
        }
        open.extend(children(house, &path, text, for_tests));
        reached.insert(path, for_tests);
    }
    reached
}

fn is_root(path: &str) -> bool {
    SOURCES.iter().any(|folder| {
        path.strip_prefix(folder)
            .is_some_and(|rest| matches!(rest, "lib.rs" | "main.rs") || rest.starts_with("bin/"))
    })
}

/// The files that `mod name;` in this file may mean: those of them that exist.
fn children(house: &House, path: &str, text: &str, for_tests: bool) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for declared in declared(&tokens(text), Vec::new(), for_tests) {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let stem = path.trim_end_matches(".rs");
        let own = if is_root(path) || path.ends_with("/mod.rs") { folder } else { stem };
        let base = [&[own], declared.within.as_slice()].concat().join("/");
        let candidates = match declared.path {
            Some(file) => vec![format!("{folder}/{file}")],
            None => vec![format!("{base}/{}.rs", declared.name), format!("{base}/{}/mod.rs", declared.name)],
        };
        let existing = candidates.into_iter().filter(|candidate| house.files.contains_key(candidate));
        found.extend(existing.map(|file| (file, declared.for_tests)));
    }
    found
}

/// One `mod name;`.
struct Declared<'a> {
    name: &'a str,
    /// Names of the inline modules around it.
    within: Vec<&'a str>,
    /// From `#[path = "…"]`.
    path: Option<&'a str>,
    for_tests: bool,
}

fn declared<'a>(tokens: &[Token<'a>], within: Vec<&'a str>, for_tests: bool) -> Vec<Declared<'a>> {
    let mut found = Vec::new();
    let (mut path, mut tests) = (None, for_tests);
    let mut at = 0;
    while at < tokens.len() {
        let texts: Vec<&str> = tokens[at..].iter().take(4).map(|token| token.text).collect();
        match texts.as_slice() {
            ["#", "[", ..] => {
                tests |= is_test_attribute(&tokens[at..]);
                if let [_, _, "path", "="] = texts.as_slice() {
                    path = tokens.get(at + 4).map(|token| token.text.trim_matches('"'));
                }
                at = group_end(tokens, at + 1);
                continue;
            }
            ["mod", name, ";", ..] => {
                found.push(Declared { name, within: within.clone(), path, for_tests: tests });
            }
            ["mod", name, "{", ..] => {
                let end = group_end(tokens, at + 2);
                let inner = [within.as_slice(), &[*name]].concat();
                found.extend(declared(&tokens[at + 3..end], inner, tests));
                at = end;
                (path, tests) = (None, for_tests);
                continue;
            }
            [";" | "{" | "}", ..] => (path, tests) = (None, for_tests),
            _ => {}
        }
        at += 1;
    }
    found
}

const SOURCES: [&str; 3] = ["src/", "loadgen/src/", "bench/src/"];

#[test]
fn a_file_without_a_mod_is_found() {
    let house = House::of(&[
        ("src/lib.rs", "pub mod a;\npub mod b { pub mod c; }\n#[path = \"other.rs\"]\nmod d;"),
        ("src/a/mod.rs", "mod x;"),
        ("src/a/x.rs", "mod y;"),
        ("src/a/x/y.rs", ""),
        ("src/b/c.rs", ""),
        ("src/other.rs", ""),
        ("src/a/z.rs", "// nobody asks for me"),
        ("loadgen/src/main.rs", "mod e;"),
        ("loadgen/src/e.rs", ""),
    ]);
    let faults = unreachable(&house);
    assert!(faults.len() == 1 && faults[0].starts_with("src/a/z.rs:"), "{faults:?}");
}

#[test]
fn files_of_tests_are_known() {
    let house = House::of(&[
        ("src/lib.rs", "mod a;"),
        ("src/a.rs", "mod shared;\n#[cfg(test)]\nmod tests;"),
        ("src/a/shared.rs", ""),
        ("src/a/tests.rs", "mod more;"),
        ("src/a/tests/more.rs", ""),
    ]);
    let expected = ["src/a/tests.rs", "src/a/tests/more.rs"].map(str::to_owned);
    assert_eq!(test_files(&house), BTreeSet::from(expected));
}
