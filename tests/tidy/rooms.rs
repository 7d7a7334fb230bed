//! What may stand only in certain rooms: crates, atomics, locks, clocks, `unsafe`, macros.

use super::house::{House, fault, floor};
use super::tokens::Token;

/// Crates of which the gateway has a say where they are used, and the floors that may.
const CRATES: [(&[&str], &[&str]); 13] = [
    (&["ureq"], &["control"]),
    (&["cel"], &["policy"]),
    (&["bpe_openai"], &["policy"]),
    (&["x509_parser"], &["policy"]),
    // `server` has a module of that name, and rustls calls its provider so.
    (&["ring"], &["policy", "server", "io"]),
    (&["monoio", "io_uring"], &["io", "server"]),
    (&["core_affinity"], &["server"]),
    (&["rustls", "webpki"], &["io"]),
    (&["rustls_pki_types"], &["io", "config"]),
    (
        &[
            "arc_swap",
            "crossbeam",
            "crossbeam_queue",
            "crossbeam_utils",
            "crossbeam_channel",
            "portable_atomic",
            "loom",
        ],
        &["shared"],
    ),
    (&["httparse", "simd_json"], &["wire"]),
    (&["socket2"], &["io", "server"]),
    (&["tokio", "async_std", "smol", "futures", "parking_lot"], &[]),
];

/// Crates used outside their room.
pub fn crates(house: &House) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, tokens) in house.product() {
        for (names, rooms) in CRATES {
            if rooms.contains(&floor(path)) {
                continue;
            }
            for at in
                (0..tokens.len()).filter(|&at| names.contains(&tokens[at].text) && is_crate(&tokens, at))
            {
                let text = format!("`{}` belongs to {}", tokens[at].text, places(rooms));
                faults.push(fault(path, tokens[at].line, text));
            }
        }
    }
    let borrowed = |(path, tokens): (&str, Vec<Token<'_>>)| {
        let at = (0..tokens.len()).find(|&at| tokens[at].text == "ringgate" && is_crate(&tokens, at))?;
        Some(fault(path, tokens[at].line, "the load generator judges the gateway and shares no code with it"))
    };
    faults.extend(house.rust("loadgen/").filter_map(borrowed));
    faults
}

/// Whether the word is a path's first name and something follows it, or it is imported as a whole.
fn is_crate(tokens: &[Token<'_>], at: usize) -> bool {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    let before = if at == 0 { "" } else { text(at - 1) };
    // `::monoio` starts at a root too, `a::monoio` does not.
    let first = match before {
        "::" => at < 2 || !text(at - 2).starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '>'),
        "." => false,
        _ => true,
    };
    let whole = matches!(before, "use" | "crate")
        || (matches!(before, "{" | ",") && matches!(text(at + 1), "," | "}"));
    first && (text(at + 1) == "::" || (whole && is_imported(tokens, at)))
}

/// Whether a `use` or `extern crate` stands at the head of this statement.
fn is_imported(tokens: &[Token<'_>], at: usize) -> bool {
    let head =
        tokens[..at].iter().rposition(|token| matches!(token.text, ";" | "}")).map_or(0, |end| end + 1);
    let statement: Vec<&str> = tokens[head..at].iter().map(|token| token.text).collect();
    statement.contains(&"use") || statement.ends_with(&["extern", "crate"])
}

/// Paths that may stand only on some floors, and why. A last name that ends in `*` is a prefix.
struct Path {
    names: &'static [&'static str],
    rooms: &'static [&'static str],
    why: &'static str,
}

const PATHS: [Path; 16] = [
    Path { names: &["sync", "atomic"], rooms: &["shared"], why: ATOMICS },
    Path { names: &["Mutex"], rooms: &["shared", "control"], why: LOCKS },
    Path { names: &["RwLock"], rooms: &["shared", "control"], why: LOCKS },
    Path { names: &["Condvar"], rooms: &["shared", "control"], why: LOCKS },
    Path { names: &["mpsc"], rooms: &["shared", "control", "server"], why: LOCKS },
    Path { names: &["Instant", "now"], rooms: CLOCKS, why: CLOCK },
    Path { names: &["SystemTime", "now"], rooms: CLOCKS, why: CLOCK },
    Path { names: &["UNIX_EPOCH", "."], rooms: CLOCKS, why: CLOCK },
    Path { names: &["thread", "sleep"], rooms: &["control", "server"], why: BLOCKS },
    Path { names: &["thread", "spawn"], rooms: &["server"], why: THREADS },
    Path { names: &["thread", "Builder"], rooms: &["server"], why: THREADS },
    Path { names: &["std", "fs"], rooms: FILES, why: BLOCKS },
    Path { names: &["fs", "File"], rooms: FILES, why: BLOCKS },
    Path { names: &["ToSocketAddrs"], rooms: &["control", "server"], why: BLOCKS },
    Path { names: &["Command", "new"], rooms: &["control", "server"], why: BLOCKS },
    Path {
        names: &["process", "exit"],
        rooms: &["main", "server", "control"],
        why: "return an ExitCode; only a second signal ends at once",
    },
];

const CLOCKS: &[&str] = &["io", "control", "server", "main"];
const FILES: &[&str] = &["io", "config", "control", "server", "main", "telemetry"];
const ATOMICS: &str = "two cores meet only in `shared`";
const LOCKS: &str = "a worker never waits for another thread; use `shared`, or a Cell on the worker";
const CLOCK: &str = "take `now: Ticks` as an argument, so that a test may choose it";
const BLOCKS: &str = "a worker never blocks; ask control";
const THREADS: &str = "`server` starts all threads";

/// Uses of a path outside its rooms.
pub fn paths(house: &House) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, tokens) in house.product() {
        for rule in PATHS.iter().filter(|rule| !rule.rooms.contains(&floor(path))) {
            for at in (0..tokens.len()).filter(|&at| stands_at(&tokens, at, rule.names)) {
                faults.push(fault(
                    path,
                    tokens[at].line,
                    format!("`{}`: {}", rule.names.join("::"), rule.why),
                ));
            }
        }
        let is_atomic = |token: &&Token<'_>| {
            token.text.strip_prefix("Atomic").is_some_and(|rest| ATOMIC_TYPES.contains(&rest))
        };
        if floor(path) != "shared" {
            faults.extend(tokens.iter().filter(is_atomic).map(|token| fault(path, token.line, ATOMICS)));
        }
    }
    faults
}

/// Whether `a::b` stands here, or `a::{…, b, …}` begins here.
fn stands_at(tokens: &[Token<'_>], at: usize, names: &[&str]) -> bool {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    match names {
        [only] => text(at) == *only,
        [first, "."] => text(at) == *first && text(at + 1) == ".",
        [first, last] if text(at) == *first && text(at + 1) == "::" => {
            text(at + 2) == *last
                || (text(at + 2) == "{" && {
                    let end = super::tokens::group_end(tokens, at + 2);
                    tokens[at + 2..end]
                        .windows(2)
                        .any(|pair| matches!(pair[0].text, "{" | ",") && pair[1].text == *last)
                })
        }
        _ => false,
    }
}

const ATOMIC_TYPES: [&str; 12] =
    ["Bool", "Ptr", "U8", "U16", "U32", "U64", "Usize", "I8", "I16", "I32", "I64", "Isize"];

/// The keyword `unsafe` outside the rooms that may hold it.
pub fn unsafe_code(house: &House) -> Vec<String> {
    let mut faults = Vec::new();
    for folder in ["src/", "loadgen/", "bench/"] {
        for (path, tokens) in house.rust(folder).filter(|(path, _)| !may_be_unsafe(path)) {
            let found = tokens.iter().filter(|token| token.text == "unsafe");
            faults.extend(found.map(|token| {
                fault(
                    path,
                    token.line,
                    "`unsafe` belongs to wire, shared and io, and to `sys` of loadgen and bench",
                )
            }));
        }
    }
    faults
}

fn may_be_unsafe(path: &str) -> bool {
    match path.split_once('/') {
        Some(("src", _)) => UNSAFE_FLOORS.contains(&floor(path)),
        _ => path.ends_with("/sys.rs") || path.contains("/sys/"),
    }
}

/// Floors that have no unsafe code but do not forbid it. A file without code is a placeholder.
pub fn forbids(house: &House) -> Vec<String> {
    let is_head = |path: &str| {
        path == "src/main.rs"
            || (path.matches('/').count() == 1 && path != "src/lib.rs")
            || (path.matches('/').count() == 2 && path.ends_with("/mod.rs"))
    };
    house
        .rust("src/")
        .filter(|(path, tokens)| is_head(path) && !may_be_unsafe(path) && !tokens.is_empty())
        .filter(|(_, tokens)| {
            let texts: Vec<&str> = tokens.iter().map(|token| token.text).collect();
            !texts.windows(8).any(|words| words == ["#", "!", "[", "forbid", "(", "unsafe_code", ")", "]"])
        })
        .map(|(path, _)| fault(path, 1, "needs #![forbid(unsafe_code)], which holds for all modules below"))
        .collect()
}

/// Macros and attributes that no file may keep, and what to write instead.
pub fn macros(house: &House) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, tokens) in house.rust("") {
        for (at, token) in tokens.iter().enumerate() {
            let next = tokens.get(at + 1).map_or("", |token| token.text);
            let before = if at == 0 { "" } else { tokens[at - 1].text };
            let text = match (token.text, next) {
                ("todo" | "unimplemented", "!") => "write it, or return an error that says so",
                ("dbg", "!") => "use tracing",
                ("println" | "print" | "eprintln" | "eprint", "!") if is_silent(path) => "use tracing",
                ("ignore", "]" | "=") if before == "[" => "an ignored test hides a fault; fix or delete it",
                _ => continue,
            };
            faults.push(fault(path, token.line, format!("`{}{next}`: {text}", token.text)));
        }
    }
    faults
}

/// Whether a file of the gateway has no business with the terminal. The simulation prints its seed.
fn is_silent(path: &str) -> bool {
    path.starts_with("src/") && !matches!(floor(path), "main" | "server") && !path.starts_with("src/io/sim/")
}

/// Which of `floors` hold it, in words.
fn places(floors: &[&str]) -> String {
    if floors.is_empty() { "no room of this house".to_owned() } else { floors.join(" and ") }
}

const UNSAFE_FLOORS: [&str; 3] = ["wire", "shared", "io"];

#[cfg(test)]
mod tests;
