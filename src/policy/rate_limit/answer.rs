//! What a caller is told: the fields of the IETF draft on rate limits (draft-ietf-httpapi-ratelimit-headers),
//! `Retry-After` (RFC 9110 section 10.2.3), and the messages of a refusal.

use std::fmt::Write as _;
use std::time::Duration;

use super::charge::{Denial, Why};
use super::facts::{Facts, Now};
use super::leases::Leases;
use super::limit::{DenyAs, Limit, Unit, Window};
use super::ticket::Ticket;
use super::{Fill, Ledger, Limits};

/// Too Many Requests (RFC 6585 section 4).
pub const STATUS_DENIED: u16 = 429;
/// Service Unavailable: the gateway has no room to count the caller.
pub const STATUS_NO_ROOM: u16 = 503;

/// The form of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A status, and a JSON-RPC error if there is an id.
    Error(u16),
    /// 200 with a tool's result: [`Limits::write_result`].
    Result,
}

impl Limits {
    /// How the message is refused.
    pub fn answer(&self, denial: &Denial, facts: &Facts<'_>) -> Answer {
        let deny_as = self.limits.get(usize::from(denial.limit)).map(|limit| limit.deny_as);
        match (denial.why, deny_as) {
            (Why::Spent | Why::Busy, Some(DenyAs::Result | DenyAs::Text)) if facts.is_call() => {
                Answer::Result
            }
            (Why::Spent | Why::Busy, _) => Answer::Error(STATUS_DENIED),
            (Why::NoRoom, _) => Answer::Error(STATUS_NO_ROOM),
        }
    }

    /// The header lines of a refusal: `Retry-After`, and the fields of the limit that refuses, if the configuration
    /// wants them.
    pub fn write_refusal_fields(&self, denial: &Denial, out: &mut Vec<u8>) {
        let wait = seconds(denial.wait);
        line(out, format_args!("retry-after: {wait}\r\n"));
        let Some((limit, window)) = self.refused(denial).filter(|_| self.headers) else { return };
        out.extend_from_slice(b"ratelimit-policy: ");
        write_policy(limit, denial.window, window, out);
        out.extend_from_slice(b"\r\nratelimit: ");
        write_name(limit, denial.window, window, out);
        line(out, format_args!(";r=0;t={wait}\r\n"));
    }

    /// The header lines of an answer to an exchange that passed: what is left of the limits that it concerns. Nothing if
    /// there are none or the configuration does not want it. Ask before the ticket is settled.
    pub fn write_fields<L: Ledger + ?Sized>(
        &self,
        leases: &mut Leases,
        ledger: &L,
        ticket: &Ticket,
        now: Now,
        out: &mut Vec<u8>,
    ) {
        if !self.headers || ticket.is_empty() {
            return;
        }
        let wall = leases.advance(now);
        for (at, item) in ticket.items(0).enumerate() {
            let Some((limit, window)) = self.window(item) else { continue };
            out.extend_from_slice(if at == 0 { b"ratelimit-policy: " } else { b", " });
            write_policy(limit, item.window, window, out);
        }
        for (at, item) in ticket.items(0).enumerate() {
            let Some((limit, window)) = self.window(item) else { continue };
            out.extend_from_slice(if at == 0 { b"\r\nratelimit: " } else { b", " });
            write_name(limit, item.window, window, out);
            let left = leases.available(ledger, item.key, &window.fill, now.ticks).max(0);
            line(out, format_args!(";r={left}"));
            if let Some(time) = resets_in(&window.fill, left, wall) {
                line(out, format_args!(";t={time}"));
            }
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Why, in words for people and models.
    pub fn message(&self, denial: &Denial) -> String {
        let Some((limit, window)) = self.refused(denial) else { return String::new() };
        let name = &limit.name;
        let mut text = match (denial.why, &window.fill) {
            (Why::NoRoom, _) => {
                return format!(
                    "The gateway has no room to count this caller for the limit {name}; try later."
                );
            }
            (Why::Busy, fill) => {
                format!("Limit {name}: {} requests are under way, and no more may be.", fill.capacity())
            }
            (Why::Spent, fill) => format!("Limit {name} is used up: {}.", show(limit.unit, fill)),
        };
        if let Some(advice) = &limit.advice {
            text.push(' ');
            text.push_str(advice);
        }
        let _ = write!(text, " Try again in {} s.", seconds(denial.wait));
        text
    }

    /// A JSON-RPC error (code 429, or 503 without room) that names the limit; `id` is raw JSON.
    pub fn write_error(&self, denial: &Denial, id: &[u8], out: &mut Vec<u8>) {
        let code = if denial.why == Why::NoRoom { STATUS_NO_ROOM } else { STATUS_DENIED };
        write_open(id, out);
        line(out, format_args!("\"error\":{{\"code\":{code},\"message\":"));
        write_json(&self.message(denial), out);
        out.extend_from_slice(b",\"data\":");
        self.write_data(denial, out);
        out.extend_from_slice(b"}}");
    }

    /// What stands in `error.data`: the limit's name and the seconds to wait.
    pub fn write_data(&self, denial: &Denial, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"limit\":");
        write_json(self.limits.get(usize::from(denial.limit)).map_or("", |limit| &limit.name), out);
        line(
            out,
            format_args!(",\"reason\":\"{}\",\"retryAfter\":{}}}", denial.why.label(), seconds(denial.wait)),
        );
    }

    /// As [`write_told`], with the words of [`Limits::message`].
    pub fn write_result(&self, denial: &Denial, id: &[u8], modern: bool, out: &mut Vec<u8>) {
        let limit = self.limits.get(usize::from(denial.limit));
        let is_error = limit.is_none_or(|limit| limit.deny_as != DenyAs::Text);
        write_told(&self.message(denial), id, modern, is_error, out);
    }

    fn refused(&self, denial: &Denial) -> Option<(&Limit, &Window)> {
        let limit = self.limits.get(usize::from(denial.limit))?;
        Some((limit, limit.windows_of(denial.plan).get(usize::from(denial.window))?))
    }
}

/// [`write_told`] as an error.
pub fn write_failure(why: &str, id: &[u8], modern: bool, out: &mut Vec<u8>) {
    write_told(why, id, modern, true, out);
}

/// The result of a tool that was not called, and why, for the model to read. `id` is raw JSON. `modern`: of revision
/// 2026-07-28 or later, where a result says that it is complete.
pub fn write_told(why: &str, id: &[u8], modern: bool, is_error: bool, out: &mut Vec<u8>) {
    write_open(id, out);
    out.extend_from_slice(b"\"result\":{");
    if modern {
        out.extend_from_slice(b"\"resultType\":\"complete\",");
    }
    out.extend_from_slice(b"\"content\":[{\"type\":\"text\",\"text\":");
    write_json(why, out);
    out.extend_from_slice(if is_error { &b"}],\"isError\":true}}"[..] } else { b"}]}}" });
}

fn write_open(id: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id);
    out.push(b',');
}

/// Whole seconds, rounded up; at least one.
pub fn seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).clamp(1, SECONDS_MAX)
}

/// A hundred years: longer is as good as never.
const SECONDS_MAX: u64 = 3_153_600_000;

/// The seconds until all units are there again; `None` if nobody knows.
fn resets_in(fill: &Fill, left: i64, wall: u64) -> Option<u64> {
    let left = left.unsigned_abs().min(fill.capacity());
    match fill {
        Fill::Steady { count, per, burst } => {
            let missing = u128::from(burst.get() - left);
            let nanos = missing.saturating_mul(per.as_nanos()).div_ceil(u128::from(count.get()));
            let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
            Some(nanos.div_ceil(1_000_000_000).min(SECONDS_MAX))
        }
        Fill::Calendar { period, begins, .. } => Some(period.at(wall, *begins).1),
        Fill::Held { .. } => None,
    }
}

/// `"name";q=10;w=60`.
fn write_policy(limit: &Limit, number: u8, window: &Window, out: &mut Vec<u8>) {
    write_name(limit, number, window, out);
    let count = match window.fill {
        Fill::Steady { count, .. } | Fill::Calendar { count, .. } | Fill::Held { count } => count,
    };
    line(out, format_args!(";q={count}"));
    match limit.unit {
        Unit::Requests | Unit::Calls => {}
        Unit::Bytes => out.extend_from_slice(b";qu=\"content-bytes\""),
        Unit::InFlight => out.extend_from_slice(b";qu=\"concurrent-requests\""),
        Unit::Tokens => out.extend_from_slice(b";qu=\"tokens\""),
        Unit::Cost => out.extend_from_slice(b";qu=\"micros\""),
    }
    if let Some(time) = window.fill.window() {
        line(out, format_args!(";w={}", seconds(time)));
    }
}

/// The name of a policy: that of the limit; further windows of it have their length behind it.
fn write_name(limit: &Limit, number: u8, window: &Window, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(limit.name.as_bytes());
    if let (1.., Some(time)) = (number, window.fill.window()) {
        line(out, format_args!(".{}", length(time)));
    }
    out.push(b'"');
}

/// A rate in words.
pub fn show(unit: Unit, fill: &Fill) -> String {
    let amount = |count: u64| match unit {
        Unit::Cost => format!("a cost of {}.{:06}", count / 1_000_000, count % 1_000_000)
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned(),
        Unit::InFlight => format!("{count} requests"),
        Unit::Requests | Unit::Calls | Unit::Tokens | Unit::Bytes => format!("{count} {}", unit.label()),
    };
    match fill {
        Fill::Steady { count, per, .. } => format!("{} in {}", amount(count.get()), length(*per)),
        Fill::Calendar { count, period, .. } => format!("{} a {}", amount(count.get()), period.label()),
        Fill::Held { count } => format!("{} at once", amount(count.get())),
    }
}

/// A length of time, as configurations write it.
fn length(time: Duration) -> String {
    let millis = time.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let whole = units.into_iter().find(|(unit, _)| millis >= *unit && millis.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{millis}ms"), |(unit, name)| format!("{}{name}", millis / unit))
}

fn write_json(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for char in text.chars() {
        match char {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            control if control < ' ' => line(out, format_args!("\\u{:04x}", u32::from(control))),
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

fn line(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let _ = std::io::Write::write_fmt(out, text);
}
