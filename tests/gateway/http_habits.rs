//! What clients, proxies and load balancers of the field do, and HTTP or MCP permits.

use super::harness::{Gateway, Upstream, echoed, ok, post};
use super::probe::Probe;
use super::scenes::{legacy_body, legacy_call};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

#[test]
fn a_client_that_says_nothing_of_what_it_takes_takes_everything() {
    let upstream = Upstream::new(|request, client| {
        client.send(&ok(&echoed(request)));
        true
    });
    let probe = Probe::before(upstream, "");
    let bare = String::from_utf8(post(PING, "")).unwrap().replacen(
        "Accept: application/json, text/event-stream\r\n",
        "",
        1,
    );
    assert_eq!(probe.send("no Accept", bare.as_bytes()).0.status(), 200);
    let seen = probe.saw("no Accept", PING.as_bytes());
    assert_eq!(seen.header("accept"), Some("application/json, text/event-stream"), "servers want it said");
    let get = b"GET /up/mcp HTTP/1.1\r\nHost: localhost\r\nMcp-Session-Id: s\r\n\r\n";
    assert_eq!(probe.send("GET", get).0.status(), 200);
    assert_eq!(probe.upstream.request().header("accept"), Some("text/event-stream"));
    let empty = bare.replacen("Content-Length", "Accept:\r\nContent-Length", 1);
    assert_eq!(probe.send("an empty one takes nothing", empty.as_bytes()).0.status(), 406);
}

#[test]
fn a_get_or_delete_may_have_an_empty_body_in_chunks_and_no_byte() {
    let probe = Probe::new("");
    for method in ["GET", "DELETE"] {
        let head = format!(
            "{method} /up/mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nMcp-Session-Id: s\r\n\
             Transfer-Encoding: chunked\r\n\r\n"
        );
        let mut client = probe.gateway.connect();
        for end in ["0\r\n\r\n", "000;a=b\r\nX-Trailer: t\r\n\r\n"] {
            assert_eq!(client.ask(format!("{head}{end}").as_bytes()).status(), 200, "{method} {end:?}");
            let seen = probe.upstream.request();
            assert_eq!((seen.header("transfer-encoding"), seen.header("content-length")), (None, None));
            assert!(seen.start.starts_with(method), "{seen:?}");
        }
        // In pieces, and with the next request behind it.
        for byte in format!("{head}0\r\n\r\n").bytes() {
            client.send(&[byte]);
        }
        assert_eq!(client.message().unwrap().status(), 200);
        probe.upstream.request();
        client.send(&[format!("{head}0\r\n\r\n").as_bytes(), &post(PING, "")].concat());
        assert_eq!((client.message().unwrap().status(), client.message().unwrap().status()), (200, 200));
        probe.upstream.request();
        probe.upstream.request();
        probe.refuses(method, format!("{head}1\r\nx\r\n0\r\n\r\n").as_bytes(), 400);
        probe.refuses(method, format!("{head}1\r\n").as_bytes(), 400);
    }
    probe.gateway.assert_nothing_left();
}

#[test]
fn a_session_id_comes_back_as_it_was_whatever_mcp_permits_in_it() {
    let all: String = (0x21..=0x7e_u8).map(char::from).collect();
    let ids = [
        all.clone(),
        "a,b".into(),
        ",".into(),
        "1~x".into(),
        "\"q\\\"".into(),
        "a;b=c".into(),
        all.repeat(4),
    ];
    let script = ids.clone();
    let upstream = Upstream::new(move |request, client| {
        let own = request.header("mcp-session-id").is_some();
        let id = &script[request.json()["id"].as_u64().unwrap() as usize];
        let line = if own { String::new() } else { format!("Mcp-Session-Id: {id}\r\n") };
        client.send(
            format!(
                "HTTP/1.1 200 OK\r\n{line}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
            )
            .as_bytes(),
        );
        true
    });
    let gateway = Gateway::before(upstream.address, "");
    let mut client = gateway.connect();
    for (index, id) in ids.iter().enumerate() {
        let body = legacy_body(u32::try_from(index).unwrap(), "ping", "");
        let given = client.ask(&post(&body, ""));
        assert_eq!(given.header("mcp-session-id"), Some(&**id));
        upstream.request();
        assert_eq!(client.ask(&post(&body, &format!("Mcp-Session-Id: {id}\r\n"))).status(), 200, "{id}");
        assert_eq!(upstream.request().header("mcp-session-id"), Some(&**id));
    }
}

#[test]
fn who_misses_the_path_or_probes_the_gateway_is_told() {
    let upstream = Upstream::echo();
    let gateway = Gateway::with(&format!(
        "servers:\n  - {{name: crm, url: 'http://{0}/mcp'}}\n  - {{name: cal, path: /cal/, url: 'http://{0}/mcp'}}\n",
        upstream.address
    ));
    let asked = |line: &str, more: &str| {
        gateway.connect().ask(format!("{line} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n").as_bytes())
    };
    for (path, near) in [
        ("/crm/mcp/", Some("/crm/mcp")),
        ("/crm/mcp//", Some("/crm/mcp")),
        ("/crm", Some("/crm/mcp")),
        ("/crm/", Some("/crm/mcp")),
        ("/cal", Some("/cal/")),
        ("/CRM/mcp", None),
        ("/", None),
    ] {
        let answer = asked(&format!("POST {path}"), "");
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        let near = near.map_or_else(String::new, |near| format!(": did you mean {near}?"));
        let expected = format!("no MCP server at this path{near}");
        assert_eq!((answer.status(), message), (404, expected), "{path}");
    }
    for line in ["OPTIONS /", "OPTIONS *"] {
        let answer = asked(line, "");
        assert_eq!(
            (answer.status(), answer.header("allow")),
            (204, Some("POST, GET, DELETE, OPTIONS")),
            "{answer:?}"
        );
    }
    assert_eq!(asked("OPTIONS /", "Origin: http://localhost\r\n").status(), 404);
    let answer = asked("GET /crm/mcp", "Origin: null\r\n");
    let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(
        answer.status() == 403 && message.contains("sandboxed") && !message.contains("add it"),
        "{message}"
    );
    upstream.assert_untouched();
}

#[test]
fn options_of_a_connection_are_some_dozens() {
    let probe = Probe::new("");
    let options = |count: usize| vec!["x-a"; count].join(", ");
    let of = |lines: &str| post(PING, lines);
    assert_eq!(probe.send("32", &of(&format!("Connection: {}\r\n", options(32)))).0.status(), 200);
    probe.saw("32", PING.as_bytes());
    for lines in [
        format!("Connection: {}\r\n", options(33)),
        format!("Connection: {}\r\nConnection: {}\r\n", options(16), options(17)),
        format!("Connection: {}\r\n", ",".repeat(32)),
        format!("Connection: {}\r\n", options(2_000)),
    ] {
        probe.refuses("too many", &of(&lines), 400);
    }
    // A server's as well.
    for (count, status) in [(32, 200), (33, 502)] {
        let answer = format!(
            "HTTP/1.1 200 OK\r\nConnection: {}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}",
            options(count)
        );
        let upstream = Upstream::new(move |_, client| {
            client.send(answer.as_bytes());
            true
        });
        let gateway = Gateway::before(upstream.address, "");
        assert_eq!(gateway.connect().ask(&legacy_call(1)).status(), status);
    }
}
