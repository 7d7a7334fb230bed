//! Log lines about requests that were refused and servers that failed: short, and few whatever peers do.

use std::cell::RefCell;
use std::collections::HashMap;

use super::admit::Refusal;
use super::client::Client;
use super::worker::Worker;
use crate::base::restraint::cut;
use crate::base::{Restraint, Ticks};
use crate::config::snapshot::ServerId;
use crate::telemetry::Cause;

/// Characters of a peer's word that are logged.
const LOGGED_CHARS_MAX: usize = 200;

/// Restraint of each line by its word and the server it is about, so that one server's trouble hides no other's.
/// Bounded: words are the program's, servers the configuration's.
#[derive(Default)]
pub struct Restraints(RefCell<HashMap<(&'static str, Option<u16>), Restraint>>);

impl Restraints {
    /// `Some` if this line may be written, with the number of its kind that were kept back.
    pub fn may_speak(&self, word: &'static str, server: Option<u16>, now: Ticks) -> Option<u64> {
        self.0.borrow_mut().entry((word, server)).or_default().may_speak(now)
    }
}

/// Says why a request was refused. Credentials, rules and limits have lines of their own, with more in them.
pub fn say(worker: &Worker, client: &Client, refusal: &Refusal) {
    let Some(cause) = refusal.cause else { return };
    if matches!(cause, Cause::Credential | Cause::Denied | Cause::Limited) {
        return;
    }
    let server = refusal.server.map(|id| id.0);
    let Some(kept_back) = worker.restraints.may_speak(cause.label(), server, worker.recently()) else {
        return;
    };
    let (request, said) = (detail(cause, client.inbox.filled()), message(refusal.buf.filled()));
    let (cause, status, source) = (cause.label(), refusal.status, client.peer);
    let server = name(worker, refusal.server);
    tracing::info!(cause, status, server, %source, request, said, kept_back, "refused a request");
}

/// Name of a server of the deployment in force; nothing for none.
fn name(worker: &Worker, server: Option<ServerId>) -> String {
    let live = worker.live();
    let servers = &live.deployment.snapshot.servers;
    server
        .and_then(|id| servers.get(usize::from(id.0)))
        .map_or_else(String::new, |server| server.name.to_string())
}

/// The part of the request that the cause is about. Queries are left out: they may hold secrets.
fn detail(cause: Cause, request: &[u8]) -> String {
    let mut lines = request.split(|&byte| byte == b'\n').take(256);
    let line = lines.next().unwrap_or_default();
    let field = |mut lines: std::iter::Take<_>, name: &str| -> Vec<u8> {
        lines
            .by_ref()
            .find_map(|line: &[u8]| {
                let (own, value) = line.split_at_checked(name.len())?;
                let value = value.strip_prefix(b":")?;
                own.eq_ignore_ascii_case(name.as_bytes()).then(|| value.trim_ascii().to_vec())
            })
            .unwrap_or_default()
    };
    let shown = match cause {
        Cause::UnknownHost => field(lines, "host"),
        Cause::ForeignOrigin => field(lines, "origin"),
        Cause::MediaType => {
            [field(lines.clone(), "content-type"), field(lines, "accept")].join(&b"; accept "[..])
        }
        Cause::NoServer | Cause::Method => {
            line.split(|&byte| byte == b'?').next().unwrap_or_default().trim_ascii().to_vec()
        }
        _ => return String::new(),
    };
    escaped(&String::from_utf8_lossy(&shown))
}

/// What the client was told, out of the answer's body.
fn message(answer: &[u8]) -> String {
    let at = memchr::memmem::find(answer, b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
    let body = serde_json::from_slice::<serde_json::Value>(&answer[at..]).unwrap_or_default();
    escaped(body["error"]["message"].as_str().unwrap_or_default())
}

fn escaped(text: &str) -> String {
    cut(text, LOGGED_CHARS_MAX).escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] =
        b"GET /wheather/mcp?key=secret HTTP/1.1\r\nHOST: gate\r\norigin:  https://page\r\nContent-Type: text/html\r\n\r\n";

    #[test]
    fn a_line_shows_the_part_that_it_is_about_and_no_query() {
        for (cause, shown) in [
            (Cause::NoServer, "GET /wheather/mcp"),
            (Cause::UnknownHost, "gate"),
            (Cause::ForeignOrigin, "https://page"),
            (Cause::MediaType, "text/html; accept "),
            (Cause::BadMessage, ""),
        ] {
            assert_eq!(detail(cause, REQUEST), shown, "{cause:?}");
        }
        assert_eq!(detail(Cause::NoServer, b"GET /a\x1b[2J"), "GET /a\\u{1b}[2J");
        assert_eq!(detail(Cause::UnknownHost, b""), "");
    }

    #[test]
    fn a_line_says_what_the_client_was_told() {
        let answer = b"HTTP/1.1 404 Not Found\r\n\r\n{\"jsonrpc\":\"2.0\",\"error\":{\"code\":404,\"message\":\"no\"}}";
        assert_eq!(message(answer), "no");
        for nothing in [&b""[..], b"HTTP/1.1 404 Not Found\r\n\r\n", b"x\r\n\r\n{\"error\":1}"] {
            assert_eq!(message(nothing), "");
        }
    }

    #[test]
    fn one_servers_trouble_hides_no_others() {
        let restraints = Restraints::default();
        let ask = |word, server| restraints.may_speak(word, server, Ticks(5));
        assert_eq!(
            [
                ask("closed", Some(1)),
                ask("closed", Some(1)),
                ask("closed", Some(2)),
                ask("unresolved", Some(1))
            ],
            [Some(0), None, Some(0), Some(0)]
        );
    }
}
