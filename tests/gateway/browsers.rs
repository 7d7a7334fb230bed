//! Which web pages may use the gateway, and under which names it answers.

use super::harness::{Gateway, Message, Upstream, post};
use super::probe::Probe;

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// A POST under this `Host`, with these further lines.
fn under(host: &str, lines: &str) -> Vec<u8> {
    String::from_utf8(post(PING, lines))
        .unwrap()
        .replacen("Host: localhost", &format!("Host: {host}"), 1)
        .into_bytes()
}

fn of_page(origin: &str) -> Vec<u8> {
    post(PING, &format!("Origin: {origin}\r\n"))
}

fn preflight(origin: &str, path: &str) -> Vec<u8> {
    format!(
        "OPTIONS {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\n\
         Access-Control-Request-Headers: content-type,mcp-protocol-version,mcp-session-id\r\n\r\n"
    )
    .into_bytes()
}

fn cors(answer: &Message) -> Vec<&str> {
    answer
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| name.starts_with("access-control-"))
        .collect()
}

/// Asserts that a page of this origin can read the answer, and the headers that MCP clients need.
#[track_caller]
fn assert_readable(answer: &Message, origin: &str) {
    assert_eq!(answer.header("access-control-allow-origin"), Some(origin), "{answer:?}");
    let count = cors(answer).iter().filter(|name| **name == "access-control-allow-origin").count();
    assert_eq!(count, 1, "{answer:?}");
    assert!(
        answer.headers.iter().any(|(name, value)| name == "vary" && value.eq_ignore_ascii_case("origin")),
        "{answer:?}"
    );
    let exposed = answer.header("access-control-expose-headers").unwrap_or_default().to_ascii_lowercase();
    for name in ["mcp-session-id", "www-authenticate"] {
        assert!(exposed.contains(name), "{answer:?}");
    }
    assert_eq!(answer.header("access-control-allow-credentials"), None, "{answer:?}");
}

#[track_caller]
fn assert_served(probe: &Probe, origin: &str) {
    let (answer, _) = probe.send(origin, &of_page(origin));
    assert_eq!(answer.status(), 200, "{origin}: {answer:?}");
    assert_readable(&answer, origin);
    assert_eq!(probe.saw(origin, PING.as_bytes()).header("origin"), None);
    let (answer, mut client) = probe.send(origin, &preflight(origin, "/up/mcp"));
    assert_eq!((answer.status(), answer.text().as_str()), (204, ""), "{origin}: {answer:?}");
    assert_eq!(answer.header("content-length"), None, "RFC 9110 section 8.6");
    assert_readable(&answer, origin);
    assert_eq!(
        answer.header("access-control-allow-headers"),
        Some("content-type,mcp-protocol-version,mcp-session-id")
    );
    let methods = answer.header("access-control-allow-methods").unwrap_or_default();
    assert!(["POST", "GET", "DELETE"].iter().all(|method| methods.contains(method)), "{methods}");
    assert!(answer.header("access-control-max-age").is_some());
    // The connection goes on.
    assert_eq!(client.ask(&of_page(origin)).status(), 200);
    probe.saw(origin, PING.as_bytes());
}

#[track_caller]
fn assert_not_served(probe: &Probe, origin: &str) {
    let answer = probe.refuses(origin, &of_page(origin), 403);
    assert!(cors(&answer).is_empty(), "{origin}: {answer:?}");
    let (answer, _) = probe.send(origin, &preflight(origin, "/up/mcp"));
    assert_eq!(answer.status(), 403, "{origin}: {answer:?}");
    assert!(cors(&answer).is_empty(), "{origin}: {answer:?}");
    let get = format!(
        "GET /up/mcp HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\nAccept: text/event-stream\r\n\r\n"
    );
    assert_eq!(probe.send(origin, get.as_bytes()).0.status(), 403, "{origin}");
}

#[test]
fn on_loopback_pages_of_this_machine_are_served_and_no_others() {
    let probe = Probe::new("");
    for origin in [
        "http://localhost",
        "http://localhost:6274",
        "https://localhost:8443",
        "http://127.0.0.1:3000",
        "http://[::1]:5173",
    ] {
        assert_served(&probe, origin);
    }
    for origin in [
        "https://evil.example",
        "null",
        "",
        "http://localhost.evil.example",
        "http://evil.example:80",
        "http://localhost@evil.example",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.2",
        "http://0.0.0.0",
        "file://",
        "chrome-extension://abc",
        "http://localhost/",
        "http://localhost, http://evil.example",
        "localhost",
    ] {
        assert_not_served(&probe, origin);
    }
    probe.upstream.assert_untouched();
}

#[test]
fn listed_origins_are_served_and_no_others() {
    let probe = Probe::new("origins: [\"https://app.example\", \"http://dev.example:5173\"]");
    assert_served(&probe, "https://app.example");
    assert_served(&probe, "http://dev.example:5173");
    for origin in [
        "http://localhost",
        "http://app.example",
        "https://app.example:8443",
        "https://app.example.evil.example",
        "https://xapp.example",
        "http://dev.example",
        "null",
    ] {
        assert_not_served(&probe, origin);
    }
    let any = Probe::new("origins: [\"*\"]");
    for origin in ["https://any.example", "http://localhost:1", "null"] {
        assert_served(&any, origin);
    }
}

#[test]
fn where_other_machines_connect_only_the_public_page_is_served() {
    let probe = Probe::new("listeners:\n  - address: 0.0.0.0:PORT\npublic_url: https://mcp.example");
    assert_served(&probe, "https://mcp.example");
    for origin in ["http://localhost", "https://evil.example", "http://mcp.example"] {
        assert_not_served(&probe, origin);
    }
    // There names are not checked: other machines know the gateway by any.
    let (answer, _) = probe.send("host", &under("anything.example", ""));
    assert_eq!(answer.status(), 200);
}

#[test]
fn a_name_that_was_bound_anew_is_refused() {
    let probe = Probe::new("");
    for host in ["localhost", "LocalHost:1", "127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:99"] {
        let (answer, _) = probe.send(host, &under(host, ""));
        assert_eq!(answer.status(), 200, "{host}");
        probe.saw(host, PING.as_bytes());
    }
    for host in [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.2",
        "[::2]",
    ] {
        // After rebinding, page and host are the attacker's both, and agree.
        for lines in
            [String::new(), format!("Origin: http://{host}\r\n"), "Origin: http://localhost\r\n".to_owned()]
        {
            let answer = probe.refuses(host, &under(host, &lines), 403);
            assert!(cors(&answer).is_empty(), "{host}: {answer:?}");
        }
    }
    let listed = Probe::new("hosts: [mcp.example, \"b.example:81\"]");
    for host in ["mcp.example", "MCP.example:8443", "b.example:81"] {
        let (answer, _) = listed.send(host, &under(host, ""));
        assert_eq!(answer.status(), 200, "{host}");
        listed.saw(host, PING.as_bytes());
    }
    for host in ["127.0.0.1", "b.example", "b.example:82", "x.mcp.example", "mcp.example.evil.example"] {
        let (answer, _) = listed.send(host, &under(host, ""));
        assert_eq!(answer.status(), 403, "{host}");
    }
    listed.upstream.assert_untouched();
}

#[test]
fn a_page_can_read_refusals_and_failures_too() {
    // A client in a page decides by them: which era the server is of, whether to sign in, whether to retry.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let probe = Probe::new(&format!("  - name: gone\n    url: http://{gone}/mcp"));
    let origin = "http://localhost:6274";
    let lines = format!("Origin: {origin}\r\n");
    let get = |path: &str, more: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}{more}\r\n").into_bytes()
    };
    for (what, bytes, status) in [
        ("path", get("/no", ""), 404),
        (
            "modern GET",
            get("/up/mcp", "MCP-Protocol-Version: 2026-07-28\r\nAccept: text/event-stream\r\n"),
            405,
        ),
        ("accept", get("/up/mcp", "Accept: text/html\r\n"), 406),
        ("version", post(PING, &format!("{lines}MCP-Protocol-Version: 1999-01-01\r\n")), 400),
        ("json", post("{", &lines), 400),
        (
            "type",
            String::from_utf8(post(PING, &lines))
                .unwrap()
                .replace("application/json\r\n", "text/plain\r\n")
                .into_bytes(),
            415,
        ),
        (
            "size",
            post("", &lines.replace("Origin", "X-A: b\r\nOrigin")).into_iter().collect::<Vec<u8>>(),
            400,
        ),
        ("no server", super::harness::post_to("/gone/mcp", PING, &lines), 502),
    ] {
        let (answer, _) = probe.send(what, &bytes);
        assert_eq!(answer.status(), status, "{what}: {answer:?}");
        assert_readable(&answer, origin);
    }
    // Who does not come from a page needs none of it.
    for bytes in [post("{", ""), post(PING, "")] {
        let (answer, _) = probe.send("no page", &bytes);
        assert!(cors(&answer).is_empty(), "{answer:?}");
    }
    probe.saw("no page", PING.as_bytes());
    probe.upstream.assert_untouched();
}

#[test]
fn what_the_server_says_of_origins_is_replaced_for_pages() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\
        Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\n\
        Access-Control-Expose-Headers: X-Own\r\nMcp-Session-Id: s\r\n\r\n{}";
    let upstream = Upstream::new(move |_, client| {
        client.send(answer.as_bytes());
        true
    });
    let gateway = Gateway::before(upstream.address, "");
    let mut client = gateway.connect();
    for origin in ["http://localhost:1", "http://127.0.0.1"] {
        let answer = client.ask(&of_page(origin));
        assert_readable(&answer, origin);
        assert_eq!(answer.header("mcp-session-id"), Some("s"));
    }
}

#[test]
fn a_preflight_is_for_pages_and_known_paths_only() {
    let probe = Probe::new("");
    assert_eq!(probe.send("path", &preflight("http://localhost", "/no")).0.status(), 404);
    let plain = b"OPTIONS /up/mcp HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let (answer, _) = probe.send("no origin", plain);
    assert_eq!((answer.status(), answer.header("allow")), (405, Some("POST, GET, DELETE")));
    assert!(cors(&answer).is_empty(), "{answer:?}");
    // Without a list of wanted headers there is none in the answer.
    let bare = b"OPTIONS /up/mcp HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nAccess-Control-Request-Method: GET\r\n\r\n";
    let (answer, _) = probe.send("bare", bare);
    assert_eq!((answer.status(), answer.header("access-control-allow-headers")), (204, None), "{answer:?}");
    probe.upstream.assert_untouched();
}
