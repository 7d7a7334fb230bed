use super::super::house::House;
use super::*;

/// Checks that a rule finds one fault in `text` at `path`, on a line, with these words.
#[track_caller]
fn caught(rule: fn(&House) -> Vec<String>, path: &str, text: &str, words: &str) {
    let faults = rule(&planted(path, text));
    assert!(faults.len() == 1 && faults[0].contains(words), "{path} {text:?}: {faults:?}");
}

#[track_caller]
fn passed(rule: fn(&House) -> Vec<String>, path: &str, text: &str) {
    assert_eq!(rule(&planted(path, text)), [""; 0], "{path} {text:?}");
}

fn planted(path: &str, text: &str) -> House {
    House::of(&[(path, text)])
}

#[test]
fn a_crate_outside_its_room_is_found() {
    caught(
        crates,
        "src/proxy/mod.rs",
        "\nuse monoio::net::TcpStream;",
        "src/proxy/mod.rs:2: `monoio` belongs to io",
    );
    caught(crates, "src/proxy/mod.rs", "fn f() { ::io_uring::IoUring::new(8) }", "`io_uring`");
    caught(crates, "src/config/x.rs", "use rustls;", "`rustls` belongs to io");
    caught(crates, "src/policy/x.rs", "use {std::rc, arc_swap};", "`arc_swap` belongs to shared");
    caught(
        crates,
        "src/config/x.rs",
        "type A = Vec<httparse::Header<'static>>;",
        "`httparse` belongs to wire",
    );
    caught(crates, "src/io/x.rs", "use tokio::net;", "no room");
    caught(crates, "loadgen/src/main.rs", "use ringgate::wire;", "shares no code");
}

#[test]
fn a_crate_in_its_room_or_another_word_passes() {
    passed(crates, "src/io/uring.rs", "use monoio::net::TcpStream; use rustls::ServerConnection;");
    passed(crates, "src/config/tls.rs", "use rustls_pki_types::CertificateDer;");
    passed(crates, "src/server/mod.rs", "use crate::io::monoio; let rustls = 1; f(rustls); a.tokio;");
    passed(crates, "src/wire/json/mod.rs", "#[cfg(test)] mod tests { use simd_json::OwnedValue; }");
    passed(crates, "src/policy/mod.rs", "// use monoio::x\nconst A: &str = \"tokio::spawn\";");
    passed(crates, "bench/src/main.rs", "use ringgate::wire;");
}

#[test]
fn atomics_locks_and_clocks_outside_their_rooms_are_found() {
    caught(paths, "src/proxy/mod.rs", "use std::sync::atomic::Ordering;", "two cores meet only");
    caught(paths, "src/telemetry/x.rs", "struct A(AtomicU64);", "two cores meet only");
    caught(paths, "src/proxy/mod.rs", "use std::sync::Mutex;", "never waits");
    caught(paths, "src/policy/x.rs", "use std::sync::{Arc, RwLock};", "never waits");
    caught(paths, "src/policy/x.rs", "let a = std::time::Instant::now();", "now: Ticks");
    caught(paths, "src/base/x.rs", "SystemTime::now()", "now: Ticks");
    caught(paths, "src/proxy/x.rs", "use std::{fs, io};", "never blocks");
    caught(paths, "src/proxy/x.rs", "std::thread::sleep(a);", "never blocks");
    caught(paths, "src/control/x.rs", "thread::spawn(f);", "starts all threads");
    caught(paths, "src/config/x.rs", "std::process::exit(1);", "ExitCode");
}

#[test]
fn atomics_locks_and_clocks_in_their_rooms_pass() {
    passed(paths, "src/shared/ledger.rs", "use std::sync::atomic::AtomicU64; use std::sync::Mutex;");
    passed(paths, "src/io/clock.rs", "Instant::now()");
    passed(paths, "src/config/file.rs", "std::fs::read(path)");
    passed(paths, "src/policy/x.rs", "#[cfg(test)] mod tests { fn f() { Instant::now(); } }");
    passed(paths, "src/policy/x.rs", "fn f(now: Ticks) -> Instant { clock.now() } struct AtomicWrites;");
}

#[test]
fn unsafe_outside_its_rooms_is_found() {
    let text = "\nfn f() { unsafe { g() } }";
    caught(unsafe_code, "src/proxy/relay.rs", text, "src/proxy/relay.rs:2:");
    caught(unsafe_code, "src/main.rs", text, "belongs to wire");
    caught(unsafe_code, "loadgen/src/main.rs", text, "belongs to wire");
    caught(unsafe_code, "src/policy/x.rs", "#[cfg(test)] mod tests { unsafe fn f() {} }", "belongs to wire");
    passed(unsafe_code, "src/wire/json/scan.rs", text);
    passed(unsafe_code, "loadgen/src/sys.rs", text);
    passed(unsafe_code, "bench/src/sys/perf.rs", text);
    passed(unsafe_code, "src/proxy/mod.rs", "#![forbid(unsafe_code)] // unsafe\nconst A: &str = \"unsafe\";");
}

#[test]
fn a_floor_that_does_not_forbid_unsafe_is_found() {
    caught(forbids, "src/policy/mod.rs", "//! Text.\npub mod route;", "src/policy/mod.rs:1:");
    caught(forbids, "src/main.rs", "fn main() {}", "needs");
    caught(forbids, "src/proxy.rs", "mod relay;", "needs");
    passed(forbids, "src/policy/mod.rs", "//! Text.\n#![forbid(unsafe_code)]\npub mod route;");
    passed(forbids, "src/policy/mod.rs", "//! Only a placeholder.");
    passed(forbids, "src/wire/mod.rs", "pub mod json;");
    passed(forbids, "src/policy/authn/mod.rs", "pub mod jwt;");
}

#[test]
fn a_banned_macro_is_found() {
    caught(macros, "loadgen/src/main.rs", "fn f() { todo!() }", "write it");
    caught(macros, "tests/gateway/main.rs", "fn f() { unimplemented!(\"x\") }", "write it");
    caught(macros, "src/io/mod.rs", "dbg!(a);", "use tracing");
    caught(macros, "src/proxy/mod.rs", "println!(\"x\");", "use tracing");
    caught(macros, "tests/gateway/x.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}", "tests/gateway/x.rs:2:");
    passed(macros, "src/server/mod.rs", "println!(\"x\"); // todo!()");
    passed(macros, "src/policy/x.rs", "fn ignore() {} let todo = ignore; a != b");
}
