//! Who may use whom. Tests may look wherever they like.

use super::house::{House, fault, floor};
use super::tokens::{Token, group_end};

/// A floor, and the floors below it that it may use.
const FLOORS: [(&str, &[&str]); 12] = [
    ("base", &[]),
    ("wire", &["base"]),
    ("schema", &["base"]),
    ("shared", &["base"]),
    ("io", &["base"]),
    ("policy", &["base", "wire", "schema"]),
    ("telemetry", &["base", "wire"]),
    ("config", &["base", "wire", "schema", "policy", "telemetry"]),
    ("link", LOWER),
    ("proxy", UP_TO_LINK),
    ("control", UP_TO_LINK),
    ("server", ALL),
];

const LOWER: &[&str] = &["base", "wire", "schema", "shared", "io", "policy", "telemetry", "config"];
const UP_TO_LINK: &[&str] =
    &["base", "wire", "schema", "shared", "io", "policy", "telemetry", "config", "link"];
const ALL: &[&str] =
    &["base", "wire", "schema", "shared", "io", "policy", "telemetry", "config", "link", "proxy", "control"];

/// Uses of a floor that is not below the user's.
pub fn floors(house: &House) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, tokens) in house.product() {
        let own = floor(path);
        if matches!(own, "lib" | "main" | "bin") {
            continue;
        }
        let Some((_, below)) = FLOORS.iter().find(|(name, _)| *name == own) else {
            faults.push(format!("{path}: `{own}` is no floor; tests/tidy/layers.rs lists them"));
            continue;
        };
        for (used, line) in used(path, &tokens) {
            if used != own && !below.contains(&used) {
                let text = format!("`{own}` may not use `{used}`, only {}", list(below));
                faults.push(fault(path, line, text));
            }
        }
    }
    faults
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "the standard library".to_owned() } else { names.join(", ") }
}

/// First names of all paths that start at the crate's root: `crate::a`, `crate::{a, b::c}`, and
/// `super::super::a` where that many steps lead up to the root.
fn used<'a>(path: &str, tokens: &[Token<'a>]) -> Vec<(&'a str, usize)> {
    let mut found = Vec::new();
    // How deep the module is in which a token stands: the file's own depth and that of inline modules.
    let depth = path.trim_end_matches(".rs").trim_end_matches("/mod").split('/').count() - 1;
    let mut inline_ends: Vec<usize> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        inline_ends.retain(|&end| at < end);
        if tokens[at].text == "mod" && tokens.get(at + 2).is_some_and(|token| token.text == "{") {
            inline_ends.push(group_end(tokens, at + 2));
        }
        let steps = tokens[at..].chunks(2).take_while(|pair| is(pair, "super")).count();
        let start = match steps {
            0 if is(&tokens[at..], "crate") => at + 2,
            0 => {
                at += 1;
                continue;
            }
            _ => at + 2 * steps,
        };
        if steps == 0 || steps == depth + inline_ends.len() {
            found.extend(first_names(tokens, start));
        }
        at = start;
    }
    found
}

/// Whether `word::` begins here.
fn is(tokens: &[Token<'_>], word: &str) -> bool {
    matches!(tokens, [first, colons, ..] if first.text == word && colons.text == "::")
}

/// The name here, or the first name of each path of the group here.
fn first_names<'a>(tokens: &[Token<'a>], at: usize) -> Vec<(&'a str, usize)> {
    let Some(first) = tokens.get(at) else { return Vec::new() };
    if first.text != "{" {
        return vec![(first.text, first.line)];
    }
    let end = group_end(tokens, at) - 1;
    let mut names = Vec::new();
    let (mut expect, mut at) = (true, at + 1);
    while at < end {
        match tokens[at].text {
            "{" => {
                at = group_end(tokens, at);
                continue;
            }
            "," => expect = true,
            name if expect => {
                names.push((name, tokens[at].line));
                expect = false;
            }
            _ => {}
        }
        at += 1;
    }
    names
}

#[test]
fn a_use_of_a_floor_above_is_found() {
    let planted = [
        ("src/wire/sse.rs", "use crate::proxy::Worker;", "src/wire/sse.rs:1: `wire` may not use `proxy`"),
        (
            "src/base/x.rs",
            "fn f() { crate::wire::g() }",
            "`base` may not use `wire`, only the standard library",
        ),
        (
            "src/policy/mod.rs",
            "use crate::{base::Ticks, shared::{slot, ledger}};",
            "`policy` may not use `shared`",
        ),
        ("src/policy/route.rs", "use super::super::config::Snapshot;", "`policy` may not use `config`"),
        (
            "src/proxy/mod.rs",
            "\nmod a { use super::super::control::x; }",
            "src/proxy/mod.rs:2: `proxy` may not",
        ),
        ("src/control/mod.rs", "use crate::proxy;", "`control` may not use `proxy`"),
        ("src/link/mod.rs", "use crate::control::Life;", "`link` may not use `control`"),
        ("src/telemetry/mod.rs", "pub use crate::policy as p;", "`telemetry` may not use `policy`"),
        ("src/attic/mod.rs", "", "`attic` is no floor"),
    ];
    for (path, text, expected) in planted {
        let faults = floors(&House::of(&[(path, text)]));
        assert!(faults.len() == 1 && faults[0].contains(expected), "{path}: {faults:?}");
    }
}

#[test]
fn what_is_allowed_is_let_pass() {
    let fine = [
        ("src/server/mod.rs", "use crate::{base, control, proxy};"),
        ("src/proxy/relay.rs", "use crate::config::Snapshot; use super::connection; use crate::proxy::tick;"),
        ("src/wire/sse.rs", "//! See crate::proxy.\n#[cfg(test)] mod tests { use crate::proxy::Worker; }"),
        ("src/policy/authn/jwt.rs", "use super::super::route; use super::Outcome;"),
        ("src/lib.rs", "pub use crate::server::run;"),
    ];
    for (path, text) in fine {
        assert_eq!(floors(&House::of(&[(path, text)])), [""; 0], "{path}");
    }
}
