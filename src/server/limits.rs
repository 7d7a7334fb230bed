//! `ringgate limits`: what the limits of a running gateway do, as its admin listener tells.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value as Json;

use crate::config::check;

/// What to ask, and whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The address of the admin listener.
    pub admin: Option<String>,
    /// The configuration that names it.
    pub config: Option<PathBuf>,
    /// Print what the gateway says as it is.
    pub json: bool,
    /// Every key that is known by name.
    pub all: bool,
}

/// Where the admin listener is if nothing else is said.
const ADMIN_DEFAULT: &str = "127.0.0.1:8079";
/// Each step of asking may take so long; workers that are stuck are waited for by the gateway itself.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than this is no page of the gateway.
const PAGE_BYTES_MAX: u64 = 64 << 20;

/// Asks and prints.
///
/// # Errors
/// What went wrong, and what to do, in words.
pub fn run(options: &Options, out: &mut dyn Write) -> Result<(), String> {
    let address = address(options)?;
    let text = get(address, if options.all { "/limits?all=1" } else { "/limits" })?;
    let text = if options.json { text } else { table(&read(address, &text)?) };
    out.write_all(text.as_bytes()).map_err(|error| error.to_string())
}

/// What the gateway whose admin listener has this address answers to this path and query.
///
/// # Errors
/// As [`run`].
pub fn ask(admin: &str, target: &str) -> Result<Json, String> {
    let options = Options { admin: Some(admin.to_owned()), ..Options::default() };
    let address = address(&options)?;
    read(address, &get(address, target)?)
}

fn read(address: SocketAddr, text: &str) -> Result<Json, String> {
    serde_json::from_str(text)
        .map_err(|error| format!("what answers at {address} is no ringgate of this version: {error}"))
}

fn address(options: &Options) -> Result<SocketAddr, String> {
    if let (None, Some(file)) = (&options.admin, &options.config) {
        let snapshot = check::load(file, 1).map_err(|findings| findings.to_string())?;
        return snapshot
            .admin
            .address
            .ok_or_else(|| format!("{} has no admin listener: `admin.address`", file.display()));
    }
    let text = options.admin.as_deref().unwrap_or(ADMIN_DEFAULT);
    text.parse().map_err(|_| format!("--admin {text}: write an address and a port, such as {ADMIN_DEFAULT}"))
}

/// The body of a page of the admin listener: `target` is its path, and a query.
fn get(address: SocketAddr, target: &str) -> Result<String, String> {
    let failed = |error: &io::Error| {
        format!(
            "no gateway answers at {address} ({error}). Is it running (`systemctl status ringgate`), and is its \
             `admin.address` this one? Say another with --admin ADDRESS or --config FILE."
        )
    };
    let ask = || -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        write!(stream, "GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.take(PAGE_BYTES_MAX).read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().map_err(|error| failed(&error))?;
    let answer = String::from_utf8_lossy(&answer);
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        return Err(failed(&io::ErrorKind::UnexpectedEof.into()));
    };
    match head.split(' ').nth(1) {
        Some("200") => Ok(body.to_owned()),
        Some(status) => {
            let path = target.split_once('?').map_or(target, |(path, _)| path);
            let json = serde_json::from_str::<Json>(body).unwrap_or_default();
            let why = json["error"].as_str().unwrap_or_else(|| body.trim());
            Err(format!("the gateway at {address} answers {status} to {path}: {}", clean(why)))
        }
        None => Err(failed(&io::ErrorKind::InvalidData.into())),
    }
}

/// The page for people.
fn table(page: &Json) -> String {
    let mut text = String::new();
    let number = |json: &Json| json.as_i64().unwrap_or(0);
    let limits = page["limits"].as_array().map_or(&[][..], |limits| limits);
    if limits.is_empty() {
        text.push_str("The configuration in force has no limits.\n");
    }
    for limit in limits {
        let rates: Vec<&str> =
            limit["rates"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        let rates = if rates.is_empty() { "no end".to_owned() } else { rates.join(", ") };
        let mode = if limit["mode"] == "report" { ", only reports" } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{}: {rates}{mode}; refused {}, reported {}",
            shown(&limit["name"]),
            number(&limit["refused"]),
            number(&limit["reported"])
        );
        let rows = limit["hottest"].as_array().map_or(&[][..], |rows| rows);
        if !rows.is_empty() {
            let _ = writeln!(
                text,
                "  {:>9} {:>9} {:>9} {:>10} {:>11} {:>6}  key",
                "refused", "reported", "passed~", "available", "outstanding", "ago"
            );
        }
        for row in rows {
            let rate = if row["override"].is_null() {
                String::new()
            } else {
                format!("  (override: {})", shown(&row["rate"]))
            };
            let _ = writeln!(
                text,
                "  {:>9} {:>9} {:>9} {:>10} {:>11} {:>5}s  {}{rate}",
                number(&row["refused"]),
                number(&row["reported"]),
                number(&row["passed_about"]),
                amount(&row["available"]),
                amount(&row["outstanding"]),
                number(&row["seconds_ago"]),
                key(&row["key"]),
            );
        }
    }
    if let Some(live) = page["keys_live"].as_u64() {
        let named =
            limits.iter().filter_map(|limit| limit["hottest"].as_array()).map(Vec::len).sum::<usize>();
        let _ = writeln!(text, "{live} keys take room just now; {named} are shown by name.");
    }
    if number(&page["turned_away"]) > 0 {
        let _ = writeln!(
            text,
            "No room for another key {} times: raise rate_limits.keys_max.",
            number(&page["turned_away"])
        );
    }
    if page["workers_answered"] != page["workers"] {
        let _ = writeln!(
            text,
            "Only {} of {} workers answered: what the others counted is missing.",
            number(&page["workers_answered"]),
            number(&page["workers"])
        );
    }
    text
}

/// A number of a page as people read it: money has places behind its point.
pub fn amount(value: &Json) -> String {
    match (value.as_i64(), value.as_f64()) {
        (Some(whole), _) => whole.to_string(),
        (None, Some(number)) => format!("{number:.6}").trim_end_matches('0').trim_end_matches('.').to_owned(),
        (None, None) => "?".to_owned(),
    }
}

/// The parts of a key, as a page of the gateway has them.
pub fn key(parts: &Json) -> String {
    let parts: Vec<String> = parts
        .as_object()
        .into_iter()
        .flatten()
        .map(|(part, value)| format!("{}={}", clean(part), shown(value)))
        .collect();
    if parts.is_empty() { "(all)".to_owned() } else { parts.join(" ") }
}

/// A text of a page of the gateway.
pub fn shown(value: &Json) -> String {
    clean(value.as_str().unwrap_or("?"))
}

/// Without what would move the cursor of a terminal: names come from callers.
fn clean(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_is_shown_line_by_line_and_no_name_moves_the_cursor() {
        let row = json!({"key": {"agent": "bot\u{1b}[2J", "tool": "query"}, "rate": "9 calls in 1m", "override": 0,
            "available": -3, "outstanding": 0, "refused": 41, "reported": 0, "passed_about": 128, "seconds_ago": 2});
        let limit = json!({"name": "sql", "mode": "report", "rates": ["10 calls in 1m", "60 calls in 1h"],
            "refused": 41, "reported": 7, "hottest": [row]});
        let page = json!({"limits": [limit], "turned_away": 5, "workers": 2, "workers_answered": 1});
        let text = table(&page);
        for part in [
            "sql: 10 calls in 1m, 60 calls in 1h, only reports; refused 41, reported 7\n",
            "agent=bot\u{fffd}[2J tool=query  (override: 9 calls in 1m)\n",
            "No room for another key 5 times",
            "Only 1 of 2 workers answered",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let numbers: Vec<&str> =
            text.lines().find(|line| line.contains("bot")).unwrap().split_whitespace().take(6).collect();
        assert_eq!(numbers, ["41", "0", "128", "-3", "0", "2s"]);
        assert!(table(&json!({"limits": []})).contains("no limits"));
    }

    #[test]
    fn money_is_shown_in_its_own_unit() {
        for (value, shown) in [
            (json!(12.5), "12.5"),
            (json!(-0.25), "-0.25"),
            (json!(3.0), "3"),
            (json!(7), "7"),
            (json!(null), "?"),
        ] {
            assert_eq!(amount(&value), shown);
        }
    }

    #[test]
    fn who_does_not_answer_is_named_with_a_way_out() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let ask = |admin: &str| {
            let options = Options { admin: Some(admin.to_owned()), ..Options::default() };
            run(&options, &mut Vec::new()).unwrap_err()
        };
        let text = ask(&port.to_string());
        assert!(text.contains(&port.to_string()) && text.contains("--admin ADDRESS"), "{text}");
        assert!(ask("here").contains("write an address and a port"));
    }
}
