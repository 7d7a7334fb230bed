//! Heads that go on: whatever a peer writes, only fields of the list reach the other side, each as it came, and a naive
//! reader of the bytes finds no other.

use crate::wire::http1::allow::{TO_CLIENTS, TO_SERVERS};
use crate::wire::http1::{
    AllowList, HeadLimits, HeadScan, HeaderSet, Method, Parsed, parse_request_head, parse_response_head,
};

/// What always goes to a server, but for `mcp-*`.
const SERVERS: [&str; 10] = [
    "accept",
    "accept-language",
    "baggage",
    "cache-control",
    "content-type",
    "last-event-id",
    "traceparent",
    "tracestate",
    "user-agent",
    "x-request-id",
];

/// What always goes to a client, but for `mcp-*`.
const CLIENTS: [&str; 13] = [
    "allow",
    "baggage",
    "cache-control",
    "content-encoding",
    "content-type",
    "date",
    "etag",
    "retry-after",
    "traceparent",
    "tracestate",
    "vary",
    "x-accel-buffering",
    "x-request-id",
];

/// What the operator adds.
const MORE: [&str; 2] = ["x-team", "server"];

pub fn check(data: &[u8]) {
    let limits = HeadLimits { head_bytes: 2_000, target_bytes: 200, headers: 24 };
    let none = HeaderSet::NONE;
    if let Ok(Parsed::Complete(head)) = parse_request_head(data, &limits, &mut HeadScan::new()) {
        let mut out = Vec::new();
        let list = AllowList::new(TO_SERVERS, MORE);
        list.except(none).copy(&mut out, &head.fields, |out, field| write(out, field.name, field.value));
        assert_same(&data[..head.head_len], &out, &SERVERS);
    }
    if let Ok(Parsed::Complete(head)) = parse_response_head(data, Method::Post, &limits, &mut HeadScan::new()) {
        let mut out = Vec::new();
        let list = AllowList::new(TO_CLIENTS, MORE);
        list.except(none).copy(&mut out, &head.fields, |out, field| write(out, field.name, field.value));
        assert_same(&data[..head.head_len], &out, &CLIENTS);
    }
}

fn write(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend([name, b": ", value, b"\r\n"].concat());
}

/// The lines of a head that go on, as somebody would pick them who reads it line by line.
fn assert_same(head: &[u8], out: &[u8], list: &[&str]) {
    let latin = |bytes: &[u8]| -> String { bytes.iter().map(|&byte| char::from(byte)).collect() };
    let text = latin(head);
    let text = text.strip_prefix("\r\n").unwrap_or(&text);
    let fields: Vec<(String, &str)> = text
        .split("\r\n")
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim_matches([' ', '\t'])))
        .collect();
    let named: Vec<String> = fields
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("connection"))
        .flat_map(|(_, value)| value.split(',').map(|option| option.trim_matches([' ', '\t']).to_ascii_lowercase()))
        .filter(|option| !matches!(&**option, "close" | "keep-alive"))
        .collect();
    let goes_on = |name: &str| {
        let name = name.to_ascii_lowercase();
        let is_protocol = name.strip_prefix("mcp-").is_some_and(|rest| {
            // Only the name of an argument may have an underscore in it.
            !rest.is_empty()
                && (!rest.contains('_') || rest.strip_prefix("param-").is_some_and(|name| !name.is_empty()))
        });
        (list.contains(&&*name) || MORE.contains(&&*name) || is_protocol) && !named.contains(&name)
    };
    let wanted: String = fields
        .iter()
        .filter(|(name, _)| goes_on(name))
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    assert_eq!(latin(out), wanted, "of {text:?}");
}
