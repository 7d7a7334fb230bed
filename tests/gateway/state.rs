//! What outlasts the process: keys and usage in the state directory. And what the command line and a reload change.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use ringgate::control::usage::{Charged, Journal};
use ringgate::policy::rate_limit::Secret;
use serde_json::json;

use super::harness::{Gateway, TempDir, Upstream, free_port, post, spawn};
use super::scenes::{modern_call, wait_until};

/// Where a gateway keeps its state when nobody says.
fn usual(gateway: &Gateway) -> PathBuf {
    gateway.dir.0.join(format!("state/ringgate/127.0.0.1_{}", gateway.address.port()))
}

fn quota(rate: &str) -> String {
    format!(
        "rate_limits:\n  limits:\n  - {{name: quota, deny_as: error, unit: calls, rate: {rate}, window: calendar}}\n"
    )
}

/// How many of so many calls pass.
fn passing(gateway: &Gateway, calls: usize) -> usize {
    let mut client = gateway.connect();
    (0..calls).filter(|_| client.ask(&modern_call(1)).status() == 200).count()
}

/// What the file says of a gateway with one limit and one bucket.
fn charged(gateway: &Gateway) -> u64 {
    let directory = usual(gateway);
    let secret = std::fs::read(directory.join("limits.key")).unwrap().try_into().unwrap();
    let read = Journal::read(&directory.join("limits.ledger"), &Secret::new(secret)).unwrap().unwrap();
    match read.records.last().map(|record| record.charged) {
        Some(Charged::Window { used, .. }) => used,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_quota_goes_on_to_the_unit_after_a_restart() {
    let upstream = Upstream::echo();
    let mut gateway = Gateway::before(upstream.address, &quota("10/month"));
    assert_eq!(passing(&gateway, 7), 7);
    gateway.signal("TERM");
    assert_eq!(gateway.wait(), Some(0), "{}", gateway.log());
    assert_eq!(charged(&gateway), 7);
    gateway.restart();
    assert_eq!(passing(&gateway, 5), 3, "seven of ten were used");
    gateway.signal("TERM");
    assert_eq!(gateway.wait(), Some(0));
    gateway.restart();
    assert_eq!(passing(&gateway, 2), 0);
    let mode = |name: &str| usual(&gateway).join(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(""), mode("limits.key"), mode("limits.ledger"), mode("lock")),
        (0o700, 0o600, 0o600, 0o600)
    );
}

#[test]
fn a_crash_gives_nothing_back() {
    let upstream = Upstream::echo();
    let mut gateway = Gateway::before(upstream.address, &quota("100/month"));
    let mut used = 0;
    for _ in 0..3 {
        used += passing(&gateway, 5);
        wait_until("what was used is written", || charged(&gateway) >= used as u64);
        // Killed, as by a crash.
        gateway.restart();
    }
    assert_eq!(used, 15);
    let left = passing(&gateway, 100);
    assert!((50..=85).contains(&left), "of 100, 15 were used before: {left} more");
}

#[test]
fn a_file_that_is_not_believed_stops_the_start_and_is_named() {
    let upstream = Upstream::echo();
    let mut gateway = Gateway::before(upstream.address, &quota("10/month"));
    assert_eq!(passing(&gateway, 3), 3);
    gateway.signal("TERM");
    assert_eq!(gateway.wait(), Some(0));
    let file = usual(&gateway).join("limits.ledger");
    let good = std::fs::read(&file).unwrap();
    let mut damaged = good.clone();
    damaged[30] ^= 1;
    for (bytes, words) in
        [(damaged, "its beginning is damaged"), (b"something else".repeat(9), "is not a file of")]
    {
        std::fs::write(&file, bytes).unwrap();
        let child = spawn(&["serve", "--config", gateway.config.to_str().unwrap()], &gateway.dir.0);
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(
            text.contains(words) && text.contains("limits.ledger") && text.contains("move it away"),
            "{text}"
        );
    }
    // A host that stopped while the last record was written.
    std::fs::write(&file, &good[..good.len() - 5]).unwrap();
    gateway.restart();
    wait_until("the log says so", || gateway.log().contains("were not written to their end"));
}

#[test]
fn one_directory_is_for_one_gateway() {
    let upstream = Upstream::echo();
    let gateway = Gateway::before(upstream.address, &format!("state: DIR/own\n{}", quota("10/month")));
    assert!(gateway.dir.0.join("own/limits.key").exists() && !gateway.dir.0.join("state").exists());
    let text = std::fs::read_to_string(&gateway.config).unwrap();
    let (one, other) = (gateway.address.port().to_string(), free_port().to_string());
    let admin = (gateway.admin.port().to_string(), free_port().to_string());
    let second = gateway.dir.file("second.yaml", &text.replace(&one, &other).replace(&admin.0, &admin.1));
    let output =
        spawn(&["serve", "--config", second.to_str().unwrap()], &gateway.dir.0).wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("own is used by another gateway"), "{text}");
}

#[test]
fn nothing_is_made_where_there_is_nothing_to_keep() {
    let upstream = Upstream::echo();
    let gateway = Gateway::before(upstream.address, "");
    assert_eq!(passing(&gateway, 1), 1);
    assert!(!gateway.dir.0.join("state").exists());
}

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

#[test]
fn sessions_outlast_a_restart_and_with_no_place_for_their_key_they_do_not_and_it_is_said() {
    let upstream = Upstream::new(|request, client| {
        let body = json!({"jsonrpc": "2.0", "id": 1, "result": {}}).to_string();
        let session = if request.text().contains("initialize") { "Mcp-Session-Id: s-1\r\n" } else { "" };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{session}Content-Length: {}\r\n\r\n",
            body.len()
        );
        client.send(&[head.as_bytes(), body.as_bytes()].concat());
        true
    });
    let made = Command::new(env!("CARGO_BIN_EXE_ringgate"))
        .args(["key", "new", "--agent", "a", "--id", "k"])
        .output()
        .unwrap();
    let text = String::from_utf8(made.stdout).unwrap();
    let word = |start: &str| {
        let from = text.find(start).unwrap_or_else(|| panic!("{text}"));
        text[from..].split(|c: char| c.is_whitespace() || "'\",}`".contains(c)).next().unwrap().to_owned()
    };
    let (key, hash) = (word("rgk_"), word("sha256"));
    for (state, lasts) in [("", true), ("state: off\n", false)] {
        let more = format!("{state}authentication: {{api_keys: [{{id: k, agent: a, hash: '{hash}'}}]}}\n");
        let mut gateway = Gateway::before(upstream.address, &more);
        let who = format!("Authorization: Bearer {key}\r\n");
        let answer = gateway.connect().ask(&post(INITIALIZE, &who));
        let id = answer.header("mcp-session-id").unwrap_or_else(|| panic!("{answer:?}")).to_owned();
        let ping = post(PING, &format!("{who}Mcp-Session-Id: {id}\r\n"));
        assert_eq!(gateway.connect().ask(&ping).status(), 200);
        if lasts {
            assert!(!gateway.log().contains("ends all sessions"));
        } else {
            gateway.await_log("ends all sessions");
        }
        gateway.restart();
        let status = gateway.connect().ask(&ping).status();
        assert_eq!(status == 200, lasts, "{status}");
    }
}

#[test]
fn flags_count_in_place_of_what_the_file_says() {
    let upstream = Upstream::echo();
    let dir = TempDir::new();
    let (listen, admin) = (free_port(), free_port());
    let text = format!(
        "servers: [{{name: up, url: 'http://{}/mcp'}}]\nlisteners: [{{address: '127.0.0.1:1'}}]\nadmin: {{address: '127.0.0.1:2'}}\n",
        upstream.address
    );
    let config = dir.file("ringgate.yaml", &text);
    let words = [format!("127.0.0.1:{listen}"), format!("127.0.0.1:{admin}")];
    let mut child = spawn(
        &[
            "serve",
            "-c",
            config.to_str().unwrap(),
            "--listen",
            &words[0],
            "--admin",
            &words[1],
            "--workers",
            "1",
        ],
        &dir.0,
    );
    wait_until("it listens where the flags say", || {
        words.iter().all(|address| std::net::TcpStream::connect(address).is_ok())
    });
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_reload_takes_over_level_and_format_of_the_log() {
    let upstream = Upstream::echo();
    let gateway = Gateway::before(upstream.address, "log: {level: warn}\n");
    let reload = |from: &str, to: &str, count: f64| {
        let text = std::fs::read_to_string(&gateway.config).unwrap();
        std::fs::write(&gateway.config, text.replace(from, to)).unwrap();
        gateway.signal("HUP");
        gateway.await_metric("ringgate_config_reloads_total", "", count);
    };
    reload("level: warn", "level: warn", 1.0);
    reload("level: warn", "level: info", 2.0);
    wait_until("the second reload is told", || gateway.log().contains("configuration reloaded"));
    assert_eq!(gateway.log().matches("configuration reloaded").count(), 1, "{}", gateway.log());
    reload("level: info", "format: json", 3.0);
    wait_until("lines are JSON", || gateway.log().contains("\"message\":\"configuration reloaded\""));
}
