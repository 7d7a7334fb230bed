//! The test vectors of MCP that a gateway before one server decides, or must pass on unchanged. What is
//! passed arrives byte for byte; of what is refused nothing arrives.

use serde_json::{Value, json};

use super::harness::{Client, META};
use super::probe::Probe;

mod passed;

/// What becomes of a request.
#[derive(Clone, Copy)]
enum Fate {
    /// It goes to the server, with this `Mcp-Method` and `Mcp-Name`.
    Passes(Option<&'static str>, Option<&'static str>),
    /// It is refused: status, code, the id that is echoed (`""` for none).
    Refused(u16, i64, &'static str),
}
use Fate::{Passes, Refused};

struct Vector {
    number: u32,
    lines: Vec<String>,
    body: Vec<u8>,
    fate: Fate,
}

const E: &str = "MCP-Protocol-Version: 2026-07-28";
const D: &str = "MCP-Protocol-Version: 2025-11-25";
const C: &str = "MCP-Protocol-Version: 2025-06-18";
const B: &str = "MCP-Protocol-Version: 2025-03-26";
const CALL: &str = "Mcp-Method: tools/call";
const LIST: &str = "Mcp-Method: tools/list";
const ECHO: &str = "Mcp-Name: a_echo";
const JSON: &str = "Content-Type: application/json";
const BOTH: &str = "Accept: application/json, text/event-stream";

/// Headers as in the vectors' `H` unless a line names the same header; `-Name` leaves one out.
fn vector(number: u32, lines: &[&str], body: impl Into<Vec<u8>>, fate: Fate) -> Vector {
    let name =
        |line: &str| line.split(':').next().unwrap_or_default().trim_start_matches('-').to_ascii_lowercase();
    let usual = [JSON, BOTH].into_iter().filter(|usual| !lines.iter().any(|line| name(line) == name(usual)));
    let lines = usual.chain(lines.iter().copied().filter(|line| !line.starts_with('-'))).map(str::to_owned);
    Vector { number, lines: lines.collect(), body: body.into(), fate }
}

impl Vector {
    fn bytes(&self) -> Vec<u8> {
        let lines = self.lines.join("\r\n");
        let length = self.body.len();
        let head = format!(
            "POST /up/mcp HTTP/1.1\r\nHost: localhost\r\n{lines}\r\nContent-Length: {length}\r\n\r\n"
        );
        [head.as_bytes(), &self.body].concat()
    }

    fn check(&self, probe: &Probe, client: &mut Client) {
        let shown = String::from_utf8_lossy(&self.body[..self.body.len().min(300)]);
        let what = format!("vector {}: {:?} {shown}", self.number, self.lines);
        client.send(&self.bytes());
        let answer = client.message().unwrap_or_else(|| panic!("{what}: no answer"));
        match self.fate {
            Passes(method, name) => {
                assert_eq!(answer.status(), 200, "{what}: {answer:?}");
                let seen = probe.saw(&what, &self.body);
                assert_eq!((seen.header("mcp-method"), seen.header("mcp-name")), (method, name), "{what}");
            }
            Refused(status, code, id) => {
                let body = answer.json();
                let id = if id.is_empty() { Value::Null } else { serde_json::from_str(id).unwrap() };
                let got = (answer.status(), body["error"]["code"].clone(), body["id"].clone());
                assert_eq!(got, (status, code.into(), id.clone()), "{what}: {body}");
                assert_eq!(body.get("id").is_some(), !id.is_null(), "{what}: an unknown id is left out");
                assert_eq!(answer.header("mcp-session-id"), None, "{what}");
                if answer.header("connection").is_some() {
                    *client = probe.gateway.connect();
                }
                probe.asks(&what);
            }
        }
    }
}

fn check_all(more: &str, vectors: Vec<Vector>) {
    let probe = Probe::new(more);
    let mut client = probe.gateway.connect();
    for vector in vectors {
        vector.check(&probe, &mut client);
    }
    probe.upstream.assert_untouched();
    drop(client);
    probe.gateway.assert_nothing_left();
}

fn request(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#)
}

/// A request with `params` and a good `_meta`.
fn modern(method: &str, params: &str) -> String {
    let comma = if params.is_empty() { "" } else { "," };
    request(method, &format!("{params}{comma}{META}"))
}

fn echo() -> String {
    modern("tools/call", r#""name":"a_echo""#)
}

fn list() -> String {
    modern("tools/list", "")
}

#[test]
fn vectors_4_to_12_and_43_headers_say_what_the_body_says() {
    let mismatch = Refused(400, -32020, "1");
    let named = |value: &'static str| Passes(Some("tools/call"), Some(value));
    let listed = Passes(Some("tools/list"), None);
    check_all(
        "",
        vec![
            vector(3, &[E, CALL, ECHO], echo(), named("a_echo")),
            vector(4, &[E, CALL, "Mcp-Name: other"], echo(), mismatch),
            vector(4, &[E, CALL, "Mcp-Name: A_ECHO"], echo(), mismatch),
            vector(4, &[E, CALL, "Mcp-Name: "], echo(), mismatch),
            vector(5, &[E, CALL], echo(), mismatch),
            vector(5, &[E, CALL, ECHO], modern("tools/call", ""), mismatch),
            vector(6, &[E], list(), mismatch),
            vector(7, &[E, "Mcp-Method: TOOLS/LIST"], list(), mismatch),
            vector(7, &[E, CALL, ECHO], list(), mismatch),
            vector(8, &[E, "mcp-method: tools/list"], list(), listed),
            vector(8, &[E, "MCP-METHOD: tools/list"], list(), listed),
            vector(9, &[E, CALL, "Mcp-Name:  a_echo\t "], echo(), named("a_echo")),
            vector(10, &[E, CALL, "Mcp-Name: =?base64?YV9lY2hv?="], echo(), named("=?base64?YV9lY2hv?=")),
            vector(10, &[E, CALL, ECHO], modern("tools\\/call", r#""name":"a\u005fecho""#), named("a_echo")),
            vector(11, &[E, CALL, "Mcp-Name: =?base64?YV9lY2h?="], echo(), mismatch),
            vector(11, &[E, CALL, "Mcp-Name: =?base64?YV9lY2h!?="], echo(), mismatch),
            vector(11, &[E, CALL, "Mcp-Name: =?base64?YV9lY2hv====?="], echo(), mismatch),
            vector(12, &[E, CALL, "Mcp-Name: =?BASE64?YV9lY2hv?="], echo(), mismatch),
            vector(43, &[E, LIST, LIST], list(), mismatch),
            vector(43, &[E, LIST, "MCP-METHOD: tools/call"], list(), mismatch),
            vector(43, &[E, "Mcp-Method: tools/list, tools/list"], list(), mismatch),
            vector(43, &[E, CALL, ECHO, "Mcp-Name: other"], echo(), mismatch),
            vector(43, &[E, E, LIST], list(), mismatch),
            vector(43, &[D, E, LIST], list(), mismatch),
            vector(43, &[D, "Mcp-Session-Id: a", "Mcp-Session-Id: b"], request("tools/list", ""), mismatch),
            // What a revision without mirrored headers says in them is not sent on.
            vector(
                82,
                &[D, "Mcp-Name: cheap"],
                request("tools/call", r#""name":"costly""#),
                Passes(None, None),
            ),
            vector(82, &[E, LIST, "Mcp-Name: cheap"], list(), Passes(None, None)),
            vector(72, &[E, CALL, ECHO, "Mcp-Param-Region: eu"], echo(), named("a_echo")),
        ],
    );
}

#[test]
fn vectors_13_to_22_versions_and_methods() {
    const OLD: &str = "MCP-Protocol-Version: 1900-01-01";
    let versioned = |version: &str| list().replace("2026-07-28", version);
    let missing = Refused(400, -32602, "1");
    let mismatch = Refused(400, -32020, "1");
    let unknown = Refused(404, -32601, "1");
    let version_only = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
    let mut vectors = vec![
        vector(13, &[E, LIST], versioned("v999"), mismatch),
        vector(13, &[OLD, LIST], list(), mismatch),
        vector(13, &[D, LIST], list(), mismatch),
        vector(14, &[OLD, LIST], versioned("1900-01-01"), Refused(400, -32022, "1")),
        vector(15, &[LIST], list(), mismatch),
        vector(15, &[], request("server/discover", ""), mismatch),
        vector(16, &[E, LIST], request("tools/list", ""), missing),
        vector(16, &[E, LIST], r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#, missing),
        vector(17, &[E, LIST], request("tools/list", version_only), missing),
        vector(17, &[E, LIST], list().replace("{}", "[]"), missing),
        vector(17, &[E, LIST], list().replace("{}", "null"), missing),
        // Before one server its methods are its own business.
        vector(18, &[E, "Mcp-Method: foo/bar"], modern("foo/bar", ""), Passes(Some("foo/bar"), None)),
        vector(18, &[E, "Mcp-Method: foo/bar"], modern("foo/baz", ""), mismatch),
        vector(20, &[E, LIST, "Mcp-Session-Id: x"], list(), Passes(Some("tools/list"), None)),
        vector(47, &[E, "Mcp-Method: notifications/x"], modern("notifications/x", ""), unknown),
        vector(
            55,
            &["MCP-Protocol-Version: 1999-01-01"],
            request("tools/list", ""),
            Refused(400, -32022, "1"),
        ),
        vector(55, &["MCP-Protocol-Version: "], request("tools/list", ""), Refused(400, -32022, "1")),
        vector(56, &["Mcp-Session-Id: s"], request("tools/list", ""), Passes(None, None)),
        vector(52, &[], request("tools/list", ""), Passes(None, None)),
        vector(57, &[], request("initialize", r#""protocolVersion":"2099-01-01""#), Passes(None, None)),
    ];
    for method in
        ["initialize", "ping", "logging/setLevel", "resources/subscribe", "notifications/initialized"]
    {
        vectors.push(vector(19, &[E, &format!("Mcp-Method: {method}")], modern(method, ""), unknown));
    }
    check_all("", vectors);

    // Who describes itself is told the revisions that do so; a client of the others is told all.
    let probe = Probe::new("");
    let all = json!(["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]);
    let legacy = request("tools/list", "");
    for (lines, body, supported) in
        [(&[OLD, LIST][..], versioned("1900-01-01"), json!(["2026-07-28"])), (&[OLD], legacy, all)]
    {
        let (answer, _) = probe.send("14", &vector(14, lines, body, Passes(None, None)).bytes());
        let data = json!({"supported": supported, "requested": "1900-01-01"});
        assert_eq!(answer.json()["error"]["data"], data);
    }
    for (number, method) in [(21, "GET"), (22, "DELETE")] {
        let bytes = format!(
            "{method} /up/mcp HTTP/1.1\r\nHost: localhost\r\n{E}\r\nAccept: text/event-stream\r\n\r\n"
        );
        let (answer, _) = probe.send(method, bytes.as_bytes());
        assert_eq!(
            (answer.status(), answer.header("allow")),
            (405, Some("POST")),
            "vector {number}: {answer:?}"
        );
        probe.asks(method);
    }
}

#[test]
fn vectors_23_to_25_media_types() {
    let code = |status| Refused(status, -32600, "");
    let passes = Passes(Some("tools/list"), None);
    let list_with = |number, line: &str, fate| vector(number, &[E, LIST, line], list(), fate);
    check_all(
        "",
        vec![
            list_with(23, "Accept: application/json", code(406)),
            list_with(23, "Accept: text/event-stream", code(406)),
            list_with(23, "Accept: application/json, text/event-stream;q=0", code(406)),
            list_with(23, "Accept: text/html", code(406)),
            list_with(23, "-Accept", passes),
            list_with(23, "Accept: */*", passes),
            list_with(23, "Accept: TEXT/*;q=0.1, Application/JSON", passes),
            list_with(24, "-Content-Type", code(415)),
            list_with(24, "Content-Type: text/plain", code(415)),
            list_with(24, "Content-Type: text/plain; application/json", code(415)),
            list_with(24, "Content-Type: application/jsonx", code(415)),
            list_with(24, "Content-Type: application/json; charset=utf-16", code(415)),
            list_with(24, "Content-Encoding: gzip", code(415)),
            list_with(25, "Content-Type: Application/JSON; charset=utf-8", passes),
            list_with(25, "Content-Encoding: identity", passes),
            // All policy applies to the odd spelling as well.
            vector(
                25,
                &[E, LIST, "Content-Type: Application/JSON ; charset=utf-8"],
                echo(),
                Refused(400, -32020, "1"),
            ),
        ],
    );
}

#[test]
fn vectors_28_to_48_shapes() {
    let ping = |id: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
    let both = || format!("[{},{}]", ping("1"), ping("2"));
    let passes = Passes(None, None);
    let silent = |code| Refused(400, code, "");
    let invalid = Refused(400, -32600, "1");
    let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#;
    let safe: &[&str] = &[E, CALL, "Mcp-Name: safe"];
    let named = |members: &str| modern("tools/call", members);
    let nested = |open: &str, close: &str, levels| format!("{}{}", open.repeat(levels), close.repeat(levels));
    check_all(
        "",
        vec![
            vector(28, &[C], both(), silent(-32600)),
            vector(28, &[D], both(), silent(-32600)),
            vector(28, &[E, LIST], both(), silent(-32600)),
            vector(28, &[B], format!("[{}]", list()), silent(-32600)),
            vector(29, &[B, "Mcp-Session-Id: s"], both(), passes),
            vector(29, &[], both(), passes),
            vector(
                29,
                &[B],
                format!(r#"[{},{{"jsonrpc":"2.0","id":1,"result":{{}}}}]"#, ping("1")),
                silent(-32600),
            ),
            vector(30, &[B], format!("[{},{}]", ping("1"), request("initialize", "")), silent(-32600)),
            vector(30, &[B], "[]", silent(-32600)),
            vector(30, &[B], format!("[{},1]", ping("1")), silent(-32600)),
            vector(31, &[E, LIST], r#"{"jsonrpc":"2.0","id":1,"#, silent(-32700)),
            vector(32, &[E, LIST], b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}", silent(-32700)),
            vector(33, &[], ping("null"), silent(-32600)),
            vector(34, &[], ping("true"), silent(-32600)),
            vector(34, &[], ping("{}"), silent(-32600)),
            vector(34, &[], ping("1.5"), silent(-32600)),
            vector(34, &[], ping("1e2"), silent(-32600)),
            vector(36, &[], ping("9007199254740993"), passes),
            vector(36, &[], ping("-123456789012345678901234567890"), passes),
            vector(37, &[], ping("1").replace("2.0", "1.0"), invalid),
            vector(37, &[], r#"{"id":1,"method":"ping"}"#, invalid),
            vector(38, safe, named(r#""name":"safe","name":"danger""#), invalid),
            vector(38, safe, named(r#""name":"danger","name":"safe""#), invalid),
            vector(39, safe, named(r#""name":"safe","na\u006de":"danger""#), invalid),
            vector(40, safe, named(r#""name":"safe","Name":"danger""#), invalid),
            vector(44, &[], nested("[", "]", 10_000), silent(-32700)),
            vector(45, &[E], cancelled, passes),
            vector(
                45,
                &[E, "Mcp-Method: notifications/cancelled"],
                cancelled,
                Passes(Some("notifications/cancelled"), None),
            ),
            vector(45, &[E, LIST], cancelled, Refused(400, -32020, "")),
            vector(
                45,
                &[E, CALL, "Mcp-Name: x"],
                r#"{"jsonrpc":"2.0","method":"tools/call"}"#,
                silent(-32600),
            ),
            vector(
                46,
                &[D, "Mcp-Session-Id: s"],
                r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
                passes,
            ),
            vector(48, &[E], r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, invalid),
            vector(49, &[D, "Mcp-Session-Id: s"], r#"{"jsonrpc":"2.0","id":"gw7","result":{}}"#, passes),
        ],
    );
}

#[test]
fn bodies_that_two_parsers_could_read_differently_are_refused() {
    let safe: &[&str] = &[E, CALL, "Mcp-Name: safe"];
    let silent = Refused(400, -32700, "");
    let invalid = Refused(400, -32600, "1");
    let no_id = Refused(400, -32600, "");
    let good = || modern("tools/call", r#""name":"safe","arguments":{"name":"any","name":"twice"}"#);
    let arguments =
        |value: &str| modern("tools/call", &format!(r#""name":"safe","arguments":{{"a":{value}}}"#));
    let with = |bytes: &[u8]| {
        let text = arguments("\"X\"");
        let at = text.find('X').unwrap();
        [&text.as_bytes()[..at], bytes, &text.as_bytes()[at + 1..]].concat()
    };
    let keyed = |key: &str| good().replacen('{', &format!("{{{key},"), 1);
    let passes = Passes(Some("tools/call"), Some("safe"));
    let mut vectors = vec![
        vector(38, safe, good(), passes),
        vector(38, safe, format!(" \t\r\n{} \n", good()), passes),
        // Not one value.
        vector(31, safe, "", silent),
        vector(31, safe, " ", silent),
        vector(31, safe, format!("{} {}", good(), good()), silent),
        vector(31, safe, format!("{}x", good()), silent),
        vector(31, safe, format!("{}\0", good()), silent),
        vector(31, safe, format!("{},", good()), silent),
        vector(31, safe, format!("\0{}", good()), silent),
        vector(31, safe, format!("\u{feff}{}", good()), silent),
        vector(31, safe, format!("\x0c{}", good()), silent),
        vector(31, safe, format!("\u{a0}{}", good()), silent),
        vector(31, safe, format!("{}//", good()), silent),
        vector(31, safe, good().replace(',', ",,"), silent),
        vector(31, safe, good().replace('"', "'"), silent),
        vector(31, safe, good().encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>(), silent),
        vector(31, safe, &good().as_bytes()[..good().len() - 1], silent),
        vector(31, safe, "\"text\"", no_id),
        vector(31, safe, "1", no_id),
        vector(31, safe, "null", no_id),
        // Depth, with a bounded stack.
        vector(44, safe, arguments(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))), silent),
        vector(44, safe, arguments(&"[".repeat(100_000)), silent),
        vector(44, safe, arguments(&r#"{"a":"#.repeat(100_000)), silent),
        vector(44, safe, "[".repeat(1_000_000), silent),
        // Numbers pass as they are, or are no numbers.
        vector(36, safe, arguments(&"9".repeat(100_000)), passes),
        vector(36, safe, arguments("-0.0e-99999999999999999999"), passes),
        vector(36, safe, arguments("1e999999"), passes),
        vector(36, safe, arguments("01"), silent),
        vector(36, safe, arguments("+1"), silent),
        vector(36, safe, arguments(".5"), silent),
        vector(36, safe, arguments("1."), silent),
        vector(36, safe, arguments("0x1"), silent),
        vector(36, safe, arguments("NaN"), silent),
        vector(36, safe, arguments("-Infinity"), silent),
        // Keys that govern, a second time or in disguise.
        vector(38, safe, keyed(r#""method":"tools/list""#), invalid.without_id()),
        vector(38, safe, keyed(r#""id":2"#), no_id),
        vector(38, safe, keyed(r#""\u0069d":2"#), no_id),
        vector(38, safe, keyed(r#""ID":2"#), no_id),
        vector(38, safe, keyed(r#""params":{"name":"danger"}"#), invalid.without_id()),
        vector(38, safe, keyed(r#""Params":{"name":"danger"}"#), invalid.without_id()),
        vector(38, safe, keyed(r#""result":{}"#), invalid),
        vector(40, safe, modern("tools/call", r#""name":"safe","NAME":"danger""#), invalid),
        vector(39, safe, modern("tools/call", r#""name":"safe","\u006eame":"danger""#), invalid),
        vector(39, safe, modern("tools/call", r#""\u006eame":"safe""#), invalid),
        vector(38, safe, modern("tools/call", r#""name":"safe","_meta":{}"#), invalid),
        vector(38, safe, modern("tools/call", r#""name":"safe","arguments":{},"arguments":{}"#), invalid),
        vector(38, safe, modern("tools/call", r#""name":["safe"]"#), Refused(400, -32602, "1")),
        vector(38, safe, modern("tools/call", r#""name":"safe\ud800""#), invalid),
        vector(34, safe, good().replacen("\"id\":1", &format!("\"id\":\"{}\"", "x".repeat(5000)), 1), no_id),
    ];
    for bytes in [
        &b"\xff"[..],
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x82",
        b"\n",
        b"\0",
        b"\\x",
        b"\\u12",
    ] {
        vectors.push(vector(32, safe, with(bytes), silent));
    }
    for bytes in ["\u{10ffff}".as_bytes(), b"\x7f", b"\\ud83d\\ude00", b"\\ud800", b"\\u0000"] {
        vectors.push(vector(32, safe, with(bytes), passes));
    }
    check_all("", vectors);
}

impl Fate {
    /// The same without an id: which one is meant is in doubt.
    fn without_id(self) -> Self {
        match self {
            Refused(status, code, _) => Refused(status, code, ""),
            passes @ Passes(..) => passes,
        }
    }
}

#[test]
fn the_id_of_a_refused_request_is_echoed_as_it_was_written() {
    let probe = Probe::new("");
    for id in
        ["1", "-1", "9007199254740993", "123456789012345678901234567890", "\"1\"", r#""\u00e9\"\n""#, "\"\""]
    {
        let body = list().replace("\"id\":1", &format!("\"id\":{id}"));
        let (answer, _) = probe.send(id, &vector(4, &[E, CALL], body, Passes(None, None)).bytes());
        assert_eq!(answer.status(), 400);
        assert!(
            answer.text().contains(&format!("\"id\":{id},"))
                || answer.text().contains(&format!("\"id\":{id}}}")),
            "{}",
            answer.text()
        );
    }
    probe.upstream.assert_untouched();
}

#[test]
fn vectors_26_27_and_42_origin_and_head_size() {
    let probe = Probe::new("");
    let with = |line: &str| vector(26, &[E, LIST, line], list(), Passes(None, None)).bytes();
    probe.refuses("vector 26", &with("Origin: https://evil.example"), 403);
    probe.refuses("vector 42", &with(&format!("X-A: {}", "a".repeat(20_000))), 431);
    let (answer, _) = probe.send("vector 27", &with("X-A: b"));
    assert_eq!(answer.status(), 200);
    probe.saw("vector 27", list().as_bytes());
}
