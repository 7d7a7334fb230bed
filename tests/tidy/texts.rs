//! Rules for texts of every kind: words that have no place in the repository, lock files, links.

use super::house::{House, fault};

/// Parts of paths that exist on one machine only. In halves, so that this file passes its own rule.
const MACHINE_PATHS: [&str; 6] = [
    concat!("/wo", "rk/shared"),
    concat!("/wo", "rk/main"),
    concat!("/tm", "p/wt/"),
    concat!("/tm", "p/target-"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
];

/// Marks of unfinished work, as whole words.
const MARKS: [&str; 4] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];

/// Machine paths anywhere, and marks of unfinished work in source files and scripts.
pub fn words(house: &House) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in house.files.iter().filter(|(path, _)| !path.ends_with(".lock")) {
        for (line, text) in (1..).zip(text.lines()) {
            if let Some(machine) = MACHINE_PATHS.iter().find(|machine| text.contains(**machine)) {
                faults.push(fault(path, line, format!("`{machine}` is a path of one machine")));
            }
            let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
            if let Some(mark) = words.find(|word| MARKS.contains(word)) {
                faults.push(fault(
                    path,
                    line,
                    format!("`{mark}`: finish it, or write down what is not done in docs/"),
                ));
            }
        }
    }
    faults
}

/// Runtimes and TLS stacks that must not come in through any dependency.
pub fn lock_files(house: &House) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in house.files.iter().filter(|(path, _)| path.ends_with("Cargo.lock")) {
        for (line, text) in (1..).zip(text.lines()) {
            let name = text.strip_prefix("name = \"").and_then(|rest| rest.strip_suffix('"'));
            if let Some(name) = name.filter(|name| BANNED_PACKAGES.contains(name)) {
                faults.push(fault(
                    path,
                    line,
                    format!("`{name}` came in; `cargo tree -i {name}` says through whom"),
                ));
            }
        }
    }
    faults
}

const BANNED_PACKAGES: [&str; 6] = ["tokio", "tokio-util", "async-std", "smol", "openssl-sys", "native-tls"];

/// Links and paths in Markdown files that lead to no file of the repository.
pub fn links(house: &House) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in house.files.iter().filter(|(path, _)| path.ends_with(".md")) {
        let mut fenced = false;
        for (line, text) in (1..).zip(text.lines()) {
            if text.trim_start().starts_with("```") {
                fenced = !fenced;
            } else if !fenced {
                let dead = targets(path, text).into_iter().filter(|target| !exists(house, target));
                faults.extend(dead.map(|target| fault(path, line, format!("there is no `{target}`"))));
            }
        }
    }
    faults
}

/// What a line of Markdown points at inside the repository, as paths from its root.
fn targets(path: &str, line: &str) -> Vec<String> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let linked = line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split([')', ' ', '#']).next()?;
        let outside = target.is_empty() || target.contains("://") || target.starts_with("mailto:");
        (!outside).then(|| joined(folder, target))
    });
    let named = line.split('`').skip(1).step_by(2).filter(|code| is_repository_path(code)).map(str::to_owned);
    linked.chain(named).collect()
}

/// Whether text in backticks can only mean a file of this repository.
fn is_repository_path(code: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    ROOTS.iter().any(|root| code.starts_with(root)) && code.chars().all(plain)
}

const ROOTS: [&str; 6] = ["src/", "tests/", "docs/", "tuning/", "loadgen/", "bench/"];

/// `folder` and a relative `target`, with `..` and `.` taken away.
fn joined(folder: &str, target: &str) -> String {
    let (folder, target) = match target.strip_prefix('/') {
        Some(absolute) => ("", absolute),
        None => (folder, target),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// Whether it is a file, or a folder that holds one.
fn exists(house: &House, path: &str) -> bool {
    let path = path.trim_end_matches('/');
    let folder = format!("{path}/");
    path.is_empty()
        || house.files.contains_key(path)
        || house.files.keys().any(|file| file.starts_with(&folder))
}

#[cfg(test)]
#[track_caller]
fn caught(rule: fn(&House) -> Vec<String>, path: &str, text: &str, expected: &str) {
    let faults = rule(&House::of(&[(path, text), ("docs/here.md", ""), ("src/wire/sse.rs", "")]));
    assert!(faults.len() == 1 && faults[0].starts_with(expected), "{text:?}: {faults:?}");
}

#[test]
fn machine_paths_and_marks_are_found() {
    caught(words, "README.md", &format!("a\nsee {}x", MACHINE_PATHS[0]), "README.md:2: `/");
    caught(words, "src/a.rs", &format!("// {}: more", MARKS[0]), "src/a.rs:1: `TO");
    assert_eq!(words(&House::of(&[("a.md", "home/x, root, TODOS")])), [""; 0]);
}

#[test]
fn a_second_runtime_in_a_lock_file_is_found() {
    let text = "[[package]]\nname = \"tokio\"\nversion = \"1.0.0\"\n";
    caught(lock_files, "Cargo.lock", text, "Cargo.lock:2: `tokio` came in");
    caught(lock_files, "tests/fuzz/Cargo.lock", text, "tests/fuzz/Cargo.lock:2:");
    assert_eq!(lock_files(&House::of(&[("Cargo.lock", "name = \"tokio-console-names\"\n")])), [""; 0]);
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    caught(links, "docs/a.md", "see [it](there.md)", "docs/a.md:1: there is no `docs/there.md`");
    caught(links, "README.md", "a\n[it](docs/there.md#part)", "README.md:2:");
    caught(
        links,
        "docs/a.md",
        "see `src/wire/ess.rs` and `src/wire/sse.rs`",
        "docs/a.md:1: there is no `src/wire/ess.rs`",
    );
    let fine = "[a](here.md#x) [b](../src/wire) [c](https://example.org/x) [d](#here) `src/<floor>/mod.rs` `tests/` \
                [e](/docs/here.md)\n```\n[x](nowhere.md)\n```\n";
    let house =
        House::of(&[("docs/a.md", fine), ("docs/here.md", ""), ("src/wire/sse.rs", ""), ("tests/t.rs", "")]);
    assert_eq!(links(&house), [""; 0]);
}
