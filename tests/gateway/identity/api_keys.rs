//! API keys, as `ringgate key new` makes them.

use std::io::Read;
use std::process::Command;

use super::{PUBLIC, now};
use crate::harness::{Gateway, TempDir, Upstream, echoed, ok, post_to, spawn};
use crate::scenes::{method, wait_until};

/// A key, and the hash that is stored of it.
struct Key {
    id: &'static str,
    text: String,
    hash: String,
}

impl Key {
    /// Made by the binary itself.
    fn new(id: &'static str) -> Self {
        let dir = TempDir::new();
        let mut child = spawn(&["key", "new", "--id", id, "--agent", "bot"], &dir.0);
        let mut said = String::new();
        child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(child.wait().unwrap().success());
        let text = said.lines().find(|line| line.starts_with("rgk_")).unwrap().to_owned();
        let hash = said.split("hash: '").nth(1).unwrap().split('\'').next().unwrap().to_owned();
        assert!(!said.replacen(&text, "", 1).contains(&text), "the key is shown once");
        Self { id, text, hash }
    }

    fn entry(&self, more: &str) -> String {
        format!("    - {{id: {}, hash: '{}', agent: bot{more}}}\n", self.id, self.hash)
    }
}

fn gateway(upstream: &Upstream, entries: &str, more: &str) -> Gateway {
    let address = upstream.address;
    Gateway::with(&format!(
        "public_url: {PUBLIC}\nservers:\n  - {{name: up, url: 'http://{address}/mcp'}}\n  - {{name: other, url: 'http://{address}/mcp'}}\n\
         authentication:\n{more}  api_keys:\n{entries}"
    ))
}

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

fn status(gateway: &Gateway, server: &str, headers: &str) -> u16 {
    gateway.connect().ask(&post_to(&format!("/{server}/mcp"), PING, headers)).status()
}

fn header(key: &str) -> String {
    format!("X-Api-Key: {key}\r\n")
}

#[test]
fn a_key_is_good_in_either_header_whole_and_nowhere_else() {
    let (upstream, key, other) = (Upstream::echo(), Key::new("k1"), Key::new("k2"));
    let gateway = gateway(&upstream, &key.entry(""), "");
    for good in [header(&key.text), format!("Authorization: Bearer {}\r\n", key.text)] {
        assert_eq!(status(&gateway, "up", &good), 200);
        let seen = upstream.request();
        assert!(!format!("{seen:?}").contains(&key.text), "the key is for the gateway: {seen:?}");
    }
    let flipped = |at: usize| {
        let mut bytes = key.text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        String::from_utf8(bytes).unwrap()
    };
    let len = key.text.len();
    for bad in [
        flipped(len - 1),
        flipped(len / 2),
        flipped(4),
        key.text[..len - 1].to_owned(),
        format!("{}0", key.text),
        key.text.to_uppercase(),
        other.text.replacen("k2", "k1", 1),
        other.text.clone(),
        key.hash.clone(),
        "rgk_k1_".to_owned(),
        "rgk_".to_owned(),
        "changeme".to_owned(),
    ] {
        // Some cannot be a key by their letters alone.
        assert!(matches!(status(&gateway, "up", &header(&bad)), 400 | 401), "{bad}");
        assert_ne!(status(&gateway, "up", &format!("Authorization: Bearer {bad}\r\n")), 200, "{bad}");
    }
    assert_ne!(status(&gateway, "up", &header(&key.text).repeat(2)), 200);
    let basic = format!("Authorization: Basic {}\r\n", key.text);
    assert_ne!(status(&gateway, "up", &basic), 200);
    upstream.assert_untouched();
}

#[test]
fn a_key_ends_and_is_for_its_servers_only() {
    let (upstream, short, narrow) = (Upstream::echo(), Key::new("short"), Key::new("narrow"));
    let ends = now() + 4;
    let date = Command::new("date").args(["-u", "-d", &format!("@{ends}"), "+%Y-%m-%dT%H:%M:%SZ"]).output();
    let date = String::from_utf8(date.unwrap().stdout).unwrap();
    let entries =
        [short.entry(&format!(", expires: '{}'", date.trim())), narrow.entry(", servers: [other]")].concat();
    let gateway = gateway(&upstream, &entries, "");
    assert_eq!(status(&gateway, "up", &header(&short.text)), 200);
    assert_eq!(status(&gateway, "other", &header(&narrow.text)), 200);
    assert_eq!(status(&gateway, "up", &header(&narrow.text)), 401, "also after it was seen elsewhere");
    wait_until("the key has ended", || status(&gateway, "up", &header(&short.text)) == 401);
    assert!(now() >= ends, "not before");
}

#[test]
fn a_key_is_rotated_without_losing_a_session_and_a_revoked_one_is_refused() {
    let upstream = Upstream::new(|request, client| {
        let body = echoed(request);
        match &*method(request) {
            "initialize" => {
                let answer = ok(&body);
                let answer = String::from_utf8(answer).unwrap();
                client.send(answer.replacen("\r\n", "\r\nMcp-Session-Id: s-1\r\n", 1).as_bytes());
            }
            _ => client.send(&ok(&body)),
        }
        true
    });
    let (old, new, dir) = (Key::new("old"), Key::new("new"), TempDir::new());
    let revoked = dir.file("revoked", "");
    let entries = [old.entry(""), new.entry("")].concat();
    let gateway = gateway(&upstream, &entries, &format!("  revoked: 'file:{}'\n", revoked.display()));
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
    let answer = gateway.connect().ask(&post_to("/up/mcp", initialize, &header(&old.text)));
    let session = format!("Mcp-Session-Id: {}\r\n", answer.header("mcp-session-id").unwrap());
    let with = |key: &Key| format!("{}{session}", header(&key.text));
    assert_eq!(status(&gateway, "up", &with(&new)), 200, "the same agent, the next key");
    dir.file("revoked", "key:old\n");
    gateway.signal("HUP");
    wait_until("the old key is refused", || status(&gateway, "up", &with(&old)) == 401);
    assert_eq!(status(&gateway, "up", &with(&new)), 200);
}
