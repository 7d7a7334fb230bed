//! Those vectors of our protocol test plan that a pure function can decide, by their number there.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::base::PAD;
use crate::wire::json::Padded;
use crate::wire::jsonrpc::{JsonLimits, Message};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const BOTH: (&str, &str) = ("Accept", "application/json, text/event-stream");
const E: (&str, &str) = ("MCP-Protocol-Version", "2026-07-28");
const D: (&str, &str) = ("MCP-Protocol-Version", "2025-11-25");
const B: (&str, &str) = ("MCP-Protocol-Version", "2025-03-26");
const CALL: (&str, &str) = ("Mcp-Method", "tools/call");
const LIST: (&str, &str) = ("Mcp-Method", "tools/list");

const MODERN: Verdict = Ok(Era::Modern(Revision::V2026_07_28));
const LEGACY: Verdict = Ok(Era::Legacy(None));

/// The era, or status, code and the id that is echoed.
type Verdict = Result<Era, (u16, i64, &'static str)>;

struct Vector {
    number: u32,
    headers: &'static [(&'static str, &'static str)],
    body: String,
    expected: Verdict,
}

fn vector(
    number: u32,
    headers: &'static [(&'static str, &'static str)],
    body: impl Into<String>,
    expected: Verdict,
) -> Vector {
    Vector { number, headers, body: body.into(), expected }
}

fn facts_of<'a>(headers: &[(&'a str, &'a str)]) -> HeaderFacts<'a> {
    let mut facts = HeaderFacts::default();
    for (name, value) in headers {
        facts.note(name.as_bytes(), value.as_bytes());
    }
    facts
}

/// Posts `body` with the media types that `headers` do not name themselves.
fn judge(headers: &[(&str, &str)], body: &[u8]) -> Result<PostFacts, (u16, i64, String, String)> {
    let mut facts = facts_of(headers);
    for (name, value) in [JSON, BOTH] {
        if !headers.iter().any(|(given, _)| *given == name) {
            facts.note(name.as_bytes(), value.as_bytes());
        }
    }
    let all: Vec<u8> = body.iter().copied().chain([b'}'; PAD]).collect();
    let padded = Padded::new(&all, body.len()).unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    judge_post(&facts, padded, &JsonLimits::default(), &PostRules::default()).map(|(_, facts)| facts).map_err(
        |fault| {
            let id = fault.id.map(text).unwrap_or_default();
            (fault.status, fault.code, id, fault.data.as_deref().map(text).unwrap_or_default())
        },
    )
}

fn request_with(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#)
}

/// A modern request: `params` and a good `_meta` behind it.
fn modern(method: &str, params: &str) -> String {
    let comma = if params.is_empty() { "" } else { "," };
    request_with(method, &format!("{params}{comma}{}", meta("2026-07-28")))
}

fn meta(version: &str) -> String {
    format!(
        r#""_meta":{{"io.modelcontextprotocol/protocolVersion":"{version}","io.modelcontextprotocol/clientCapabilities":{{}}}}"#
    )
}

fn echo() -> String {
    modern("tools/call", r#""name":"a_echo""#)
}

const REFUSED: fn(i64) -> Verdict = |code| Err((400, code, "1"));
const SILENT: fn(i64) -> Verdict = |code| Err((400, code, ""));

fn mirrored_headers() -> Vec<Vector> {
    const NAME: (&str, &str) = ("Mcp-Name", "a_echo");
    let mismatch = REFUSED(-32020);
    let tasks = || modern("tasks/get", r#""taskId":"t1""#);
    vec![
        vector(1, &[E, ("Mcp-Method", "server/discover")], modern("server/discover", ""), MODERN),
        vector(3, &[E, CALL, NAME], echo(), MODERN),
        vector(4, &[E, CALL, ("Mcp-Name", "other")], echo(), mismatch),
        vector(5, &[E, CALL], echo(), mismatch),
        vector(6, &[E], modern("tools/list", ""), mismatch),
        vector(7, &[E, ("Mcp-Method", "TOOLS/LIST")], modern("tools/list", ""), mismatch),
        vector(8, &[E, ("mcp-method", "tools/list")], modern("tools/list", ""), MODERN),
        vector(8, &[E, ("MCP-METHOD", "tools/list")], modern("tools/list", ""), MODERN),
        vector(9, &[E, CALL, ("Mcp-Name", "  a_echo ")], echo(), MODERN),
        vector(10, &[E, CALL, ("Mcp-Name", "=?base64?YV9lY2hv?=")], echo(), MODERN),
        vector(11, &[E, CALL, ("Mcp-Name", "=?base64?YV9lY2h?=")], echo(), mismatch),
        vector(11, &[E, CALL, ("Mcp-Name", "=?base64?YV9lY2h!?=")], echo(), mismatch),
        vector(12, &[E, CALL, ("Mcp-Name", "=?BASE64?YV9lY2hv?=")], echo(), mismatch),
        vector(20, &[E, LIST, ("Mcp-Session-Id", "x")], modern("tools/list", ""), MODERN),
        vector(43, &[E, LIST, LIST], modern("tools/list", ""), mismatch),
        vector(43, &[E, ("Mcp-Method", "tools/list, tools/list")], modern("tools/list", ""), mismatch),
        vector(74, &[E, ("Mcp-Method", "tasks/get"), ("Mcp-Name", "t1")], tasks(), MODERN),
        vector(74, &[E, ("Mcp-Method", "tasks/get"), ("Mcp-Name", "t2")], tasks(), mismatch),
        // A name with escapes means what it means, and the header must say so.
        vector(10, &[E, CALL, NAME], modern("tools\\/call", r#""name":"a\u005fecho""#), MODERN),
        vector(5, &[E, CALL, NAME], modern("tools/call", ""), mismatch),
        vector(
            82,
            &[D, ("Mcp-Name", "cheap")],
            request_with("tools/call", r#""name":"costly""#),
            Ok(Era::Legacy(Some(Revision::V2025_11_25))),
        ),
    ]
}

fn versions_and_methods() -> Vec<Vector> {
    const OLD: (&str, &str) = ("MCP-Protocol-Version", "1900-01-01");
    let list = |meta: &str| request_with("tools/list", meta);
    let not_found: Verdict = Err((404, -32601, "1"));
    let mut vectors = vec![
        vector(13, &[E, LIST], list(&meta("v999")), REFUSED(-32020)),
        vector(14, &[OLD, LIST], list(&meta("1900-01-01")), REFUSED(-32022)),
        vector(13, &[OLD, LIST], list(&meta("2026-07-28")), REFUSED(-32020)),
        vector(13, &[D], list(&meta("2026-07-28")), REFUSED(-32020)),
        vector(15, &[LIST], modern("tools/list", ""), REFUSED(-32020)),
        vector(15, &[], request_with("server/discover", ""), REFUSED(-32020)),
        vector(16, &[E, LIST], list(""), REFUSED(-32602)),
        vector(
            17,
            &[E, LIST],
            list(r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#),
            REFUSED(-32602),
        ),
        vector(17, &[E, LIST], modern("tools/list", "").replace("{}", "[]"), REFUSED(-32602)),
        // In pass-through the upstream answers methods that we do not know.
        vector(18, &[E, ("Mcp-Method", "foo/bar")], modern("foo/bar", ""), MODERN),
        vector(47, &[E, ("Mcp-Method", "notifications/x")], modern("notifications/x", ""), not_found),
        vector(55, &[("MCP-Protocol-Version", "1999-01-01")], list(""), REFUSED(-32022)),
        vector(56, &[("Mcp-Session-Id", "s")], list(""), LEGACY),
        vector(52, &[], list(""), LEGACY),
        vector(57, &[], request_with("initialize", r#""protocolVersion":"2099-01-01""#), LEGACY),
        vector(
            57,
            &[],
            request_with("initialize", r#""protocolVersion":"2025-06-18""#),
            Ok(Era::Legacy(Some(Revision::V2025_06_18))),
        ),
    ];
    let removed: [(&'static [(&str, &str)], &str); 4] = [
        (&[E, ("Mcp-Method", "initialize")], "initialize"),
        (&[E, ("Mcp-Method", "ping")], "ping"),
        (&[E, ("Mcp-Method", "logging/setLevel")], "logging/setLevel"),
        (&[E, ("Mcp-Method", "resources/subscribe")], "resources/subscribe"),
    ];
    vectors.extend(removed.map(|(headers, method)| vector(19, headers, modern(method, ""), not_found)));
    vectors
}

fn media_types() -> Vec<Vector> {
    let list = || modern("tools/list", "");
    vec![
        vector(23, &[E, LIST, ("Accept", "application/json")], list(), Err((406, -32600, ""))),
        vector(
            23,
            &[E, LIST, ("Accept", "application/json, text/event-stream;q=0")],
            list(),
            Err((406, -32600, "")),
        ),
        vector(24, &[E, LIST, ("Content-Type", "text/plain")], list(), Err((415, -32600, ""))),
        vector(24, &[E, LIST, ("Content-Encoding", "gzip")], list(), Err((415, -32600, ""))),
        vector(25, &[E, LIST, ("Content-Type", "Application/JSON; charset=utf-8")], list(), MODERN),
    ]
}

fn shapes() -> Vec<Vector> {
    let ping = |id: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
    let both = || format!("[{},{}]", ping("1"), ping("2"));
    let initialize = format!("[{}]", request_with("initialize", ""));
    let named = |members: &str| modern("tools/call", members);
    const SAFE: &[(&str, &str)] = &[E, CALL, ("Mcp-Name", "safe")];
    const C: (&str, &str) = ("MCP-Protocol-Version", "2025-06-18");
    vec![
        vector(28, &[C], both(), SILENT(-32600)),
        vector(28, &[D], both(), SILENT(-32600)),
        vector(28, &[E, LIST], both(), SILENT(-32600)),
        vector(28, &[B], format!("[{}]", modern("tools/list", "")), SILENT(-32600)),
        vector(29, &[B], both(), Ok(Era::Legacy(Some(Revision::V2025_03_26)))),
        vector(29, &[], both(), LEGACY),
        vector(
            29,
            &[B],
            format!(r#"[{},{{"jsonrpc":"2.0","id":1,"result":{{}}}}]"#, ping("1")),
            SILENT(-32600),
        ),
        vector(30, &[B], initialize, SILENT(-32600)),
        vector(31, &[E, LIST], r#"{"jsonrpc":"2.0","id":1,"#, SILENT(-32700)),
        vector(33, &[], ping("null"), SILENT(-32600)),
        vector(34, &[], ping("true"), SILENT(-32600)),
        vector(34, &[], ping("{}"), SILENT(-32600)),
        vector(34, &[], ping("1.5"), SILENT(-32600)),
        vector(35, &[D], ping("\"1\""), Ok(Era::Legacy(Some(Revision::V2025_11_25)))),
        vector(37, &[], ping("1").replace("2.0", "1.0"), REFUSED(-32600)),
        vector(37, &[], r#"{"id":1,"method":"ping"}"#, REFUSED(-32600)),
        vector(38, SAFE, named(r#""name":"safe","name":"danger""#), REFUSED(-32600)),
        vector(39, SAFE, named(r#""name":"safe","na\u006de":"danger""#), REFUSED(-32600)),
        vector(40, SAFE, named(r#""name":"safe","Name":"danger""#), REFUSED(-32600)),
        vector(44, &[], format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)), SILENT(-32700)),
        vector(45, &[E], r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#, MODERN),
        vector(
            46,
            &[D, ("Mcp-Session-Id", "s")],
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            Ok(Era::Legacy(Some(Revision::V2025_11_25))),
        ),
        vector(
            45,
            &[E, CALL, ("Mcp-Name", "x")],
            r#"{"jsonrpc":"2.0","method":"tools/call"}"#,
            SILENT(-32600),
        ),
        vector(48, &[E], r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, REFUSED(-32600)),
        vector(
            49,
            &[D],
            r#"{"jsonrpc":"2.0","id":"gw7","result":{}}"#,
            Ok(Era::Legacy(Some(Revision::V2025_11_25))),
        ),
    ]
}

#[test]
fn posted_messages_are_judged_as_the_vectors_say() {
    for vector in [mirrored_headers(), versions_and_methods(), media_types(), shapes()].into_iter().flatten()
    {
        let got = judge(vector.headers, vector.body.as_bytes());
        let got = got.map(|facts| facts.era).map_err(|(status, code, id, _)| (status, code, id));
        let expected = vector.expected.map_err(|(status, code, id)| (status, code, id.to_string()));
        assert_eq!(got, expected, "vector {}: {:?} {}", vector.number, vector.headers, vector.body);
    }
}

#[test]
fn vector_14_names_what_is_supported_and_what_was_asked_for() {
    let headers = [("MCP-Protocol-Version", "1900-01-01"), LIST];
    let body = request_with("tools/list", &meta("1900-01-01"));
    let (_, _, _, data) = judge(&headers, body.as_bytes()).unwrap_err();
    let data: serde_json::Value = serde_json::from_str(&data).unwrap();
    assert_eq!(data["requested"], "1900-01-01");
    // Revisions with a handshake are no way out for a request that describes itself.
    assert_eq!(data["supported"], serde_json::json!(["2026-07-28"]));
}

#[test]
fn a_version_that_is_not_served_here_is_refused_in_either_era() {
    let all: Vec<u8> = modern("tools/list", "").into_bytes();
    let padded: Vec<u8> = all.iter().copied().chain([0; PAD]).collect();
    let body = Padded::new(&padded, all.len()).unwrap();
    let legacy_only = PostRules { supported: &[Revision::V2025_11_25], known_methods_only: false };
    let headers = facts_of(&[JSON, BOTH, E, LIST]);
    let fault = judge_post(&headers, body, &JsonLimits::default(), &legacy_only).unwrap_err();
    assert_eq!((fault.status, fault.code), (400, -32022));
}

#[test]
fn vector_18_is_refused_where_every_method_must_be_routed() {
    let text = modern("foo/bar", "");
    let all: Vec<u8> = text.bytes().chain([0; PAD]).collect();
    let body = Padded::new(&all, text.len()).unwrap();
    let rules = PostRules { known_methods_only: true, ..PostRules::default() };
    let headers = facts_of(&[JSON, BOTH, E, ("Mcp-Method", "foo/bar")]);
    let fault = judge_post(&headers, body, &JsonLimits::default(), &rules).unwrap_err();
    assert_eq!((fault.status, fault.code, fault.id), (404, -32601, Some(&b"1"[..])));
}

#[test]
fn vectors_24_and_32_need_no_table() {
    let body = modern("tools/list", "");
    let all: Vec<u8> = body.bytes().chain([0; PAD]).collect();
    let padded = Padded::new(&all, body.len()).unwrap();
    let untyped = facts_of(&[BOTH, E, LIST]);
    let fault = judge_post(&untyped, padded, &JsonLimits::default(), &PostRules::default()).unwrap_err();
    assert_eq!(fault.status, 415);

    let broken = [b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"", &b"\xff"[..], b"\"}"].concat();
    assert_eq!(judge(&[E], &broken).unwrap_err(), (400, -32700, String::new(), String::new()));
}

#[test]
fn vector_36_keeps_an_id_to_the_last_digit() {
    let body = br#"{"jsonrpc":"2.0","id":9007199254740993,"method":"x"}"#;
    let all: Vec<u8> = body.iter().copied().chain([b'0'; PAD]).collect();
    let padded = Padded::new(&all, body.len()).unwrap();
    let headers = facts_of(&[JSON, BOTH]);
    let (message, _) = judge_post(&headers, padded, &JsonLimits::default(), &PostRules::default()).unwrap();
    let Message::Single(envelope) = message else { panic!("not a batch") };
    assert_eq!(envelope.id(), Some(&b"9007199254740993"[..]));
}

#[test]
fn vectors_21_22_and_53_get_and_delete_belong_to_legacy_sessions() {
    let stream = ("Accept", "text/event-stream");
    let status = |verdict: Result<GetFacts, McpFault<'static>>| verdict.map_err(|fault| fault.status);
    assert_eq!(status(check_get(&facts_of(&[E, stream]))), Err(405));
    assert_eq!(status(check_delete(&facts_of(&[E]))), Err(405));
    let session = ("Mcp-Session-Id", "s");
    let legacy = GetFacts { revision: Some(Revision::V2025_11_25) };
    assert_eq!(status(check_get(&facts_of(&[D, stream, session]))), Ok(legacy));
    assert_eq!(status(check_get(&facts_of(&[stream, session]))), Ok(GetFacts { revision: None }));
    assert_eq!(status(check_get(&facts_of(&[D, ("Accept", "application/json"), session]))), Err(406));
    assert_eq!(status(check_get(&facts_of(&[D, session]))), Ok(legacy));
    assert_eq!(status(check_get(&facts_of(&[D, D, stream]))), Err(400));
    assert_eq!(status(check_delete(&facts_of(&[("MCP-Protocol-Version", "1999-01-01")]))), Err(400));
    assert_eq!(status(check_delete(&facts_of(&[D]))), Ok(legacy));
}

#[test]
fn mirrored_headers_are_trusted_only_where_they_were_compared() {
    let mirror = |headers: &[(&str, &str)], body: &str| judge(headers, body.as_bytes()).unwrap().mirror;
    let named = [E, CALL, ("Mcp-Name", "a_echo")];
    assert_eq!(mirror(&named, &echo()), Mirror::Verified);
    assert_eq!(mirror(&[E, LIST], &modern("tools/list", "")), Mirror::Verified);
    assert_eq!(mirror(&[E, LIST, ("Mcp-Name", "x")], &modern("tools/list", "")), Mirror::Unverified);
    assert_eq!(mirror(&[D, CALL], &request_with("tools/call", "")), Mirror::Unverified);
    assert_eq!(mirror(&[D], &request_with("tools/call", "")), Mirror::Absent);
    assert_eq!(mirror(&[B, LIST], &format!("[{}]", request_with("ping", ""))), Mirror::Unverified);
}
