//! What of a server's answers and of a client's requests reaches the other side: what is on the lists, and nothing else.
//! Many servers share the gateway's origin, and none speaks for it.

use std::time::{Duration, Instant};

use super::harness::{Client, Gateway, META, Message, PATIENCE, Upstream, modern, post};
use super::probe::Probe;
use super::scenes::legacy_call;

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const GET: &[u8] = b"GET /up/mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
const DELETE: &[u8] = b"DELETE /up/mcp HTTP/1.1\r\nHost: localhost\r\nMcp-Session-Id: s\r\n\r\n";

/// A gateway before a server that answers everything with these bytes.
fn answering(answer: String, more: &str) -> Gateway {
    let upstream = Upstream::new(move |_, client| {
        client.send(answer.as_bytes());
        false
    });
    Gateway::before(upstream.address, more)
}

/// Waits for a line of the log that has `part` in it: a thread of its own writes them.
#[track_caller]
fn logged(gateway: &Gateway, part: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let log = gateway.log();
        if let Some(line) = log.lines().find(|line| line.contains(part)) {
            return line.to_owned();
        }
        assert!(Instant::now() < deadline, "no line with {part}:\n{log}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The names of all headers of a message, sorted.
fn names(message: &Message) -> Vec<&str> {
    let mut names: Vec<_> = message.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names
}

#[track_caller]
fn assert_guarded(answer: &Message) {
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{answer:?}");
    assert_eq!(answer.header("content-security-policy"), Some("default-src 'none'; sandbox"), "{answer:?}");
    assert!(
        answer.header("date").is_some_and(|date| date.ends_with(" GMT") && date.len() == 29),
        "{answer:?}"
    );
}

#[test]
fn a_server_leads_no_client_anywhere() {
    for status in [300, 301, 302, 303, 304, 305, 307, 308, 399] {
        let location = format!("/bank/mcp\x1b[31m{}", "x".repeat(1_000)).replace('\x1b', "\u{9b}");
        let gateway = answering(
            format!("HTTP/1.1 {status} X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"),
            "",
        );
        for request in [&legacy_call(1)[..], GET, DELETE] {
            let answer = gateway.connect().ask(request);
            assert_eq!((answer.status(), answer.header("location")), (502, None), "{status}: {answer:?}");
            let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
            assert!(message.contains("redirect") && !message.contains("bank"), "{message}");
        }
        let line = logged(&gateway, "/bank/mcp");
        assert!(line.contains("`url`") && line.len() < 800, "{line}");
        assert!(
            line.contains("\\xc2\\x9b") || line.contains("\\\\xc2"),
            "what a server says is escaped: {line}"
        );
    }
    for status in [200, 404, 503] {
        let lines = "Location: /bank/mcp\r\nContent-Location: /bank/mcp\r\nRefresh: 0;url=/bank/mcp\r\nLink: </bank/mcp>\r\n";
        let gateway = answering(
            format!(
                "HTTP/1.1 {status} X\r\n{lines}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
            ),
            "",
        );
        let answer = gateway.connect().ask(&legacy_call(1));
        assert_eq!((answer.status(), answer.text().as_str()), (status, "{}"));
        assert_eq!(
            names(&answer),
            ["content-length", "content-security-policy", "content-type", "date", "x-content-type-options"]
        );
    }
}

#[test]
fn a_server_asks_no_client_for_a_credential() {
    for (status, lines) in [
        (401, "WWW-Authenticate: Bearer resource_metadata=\"https://evil.test/\"\r\n"),
        (407, "Proxy-Authenticate: Basic realm=x\r\n"),
    ] {
        let gateway = answering(format!("HTTP/1.1 {status} X\r\n{lines}Content-Length: 0\r\n\r\n"), "");
        for request in [&legacy_call(1)[..], GET] {
            let answer = gateway.connect().ask(request);
            assert_eq!(answer.status(), 502, "{answer:?}");
            assert_eq!(
                (answer.header("www-authenticate"), answer.header("proxy-authenticate")),
                (None, None)
            );
        }
        logged(&gateway, "`credentials`");
    }
}

#[test]
fn no_page_of_a_server_is_shown_under_the_gateways_origin() {
    const PAGE: &str = "<html><script>alert(document.domain)</script></html>";
    for media in
        ["text/html", "image/svg+xml", "application/xhtml+xml", "text/xml; charset=utf-8", "multipart/mixed"]
    {
        for (status, shown) in
            [(200, 502), (201, 502), (202, 502), (404, 404), (405, 405), (500, 500), (503, 503)]
        {
            let gateway = answering(
                format!(
                    "HTTP/1.1 {status} X\r\nContent-Type: {media}\r\nContent-Length: {}\r\n\r\n{PAGE}",
                    PAGE.len()
                ),
                "",
            );
            for request in [&legacy_call(7)[..], GET] {
                let answer = gateway.connect().ask(request);
                assert_eq!(answer.status(), shown, "{status} {media}: {answer:?}");
                assert_eq!(answer.header("content-type"), Some("application/json"));
                assert_eq!(answer.json()["error"]["code"], shown);
                assert!(!answer.text().contains("script"), "{answer:?}");
                assert_guarded(&answer);
            }
            assert_eq!(gateway.connect().ask(&legacy_call(7)).json()["id"], 7);
            logged(&gateway, media.split(';').next().unwrap());
        }
    }
}

#[test]
fn what_real_servers_say_beside_messages_passes_as_text() {
    for (head, status, media) in [
        ("202 Accepted\r\nContent-Type: text/plain", 202, Some("text/plain")),
        // The HTTP+SSE servers of both SDKs, and DELETE of the TypeScript one.
        ("202 Accepted", 202, Some("text/plain")),
        ("200 OK", 200, Some("text/plain")),
        ("421 Misdirected Request", 421, Some("text/plain")),
        ("403 Forbidden\r\nContent-Type: text/plain; charset=utf-8", 403, Some("text/plain; charset=utf-8")),
    ] {
        let gateway = answering(
            format!("HTTP/1.1 {head}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n<b>\r\n0\r\n\r\n"),
            "",
        );
        let answer = gateway.connect().ask(DELETE);
        assert_eq!((answer.status(), answer.header("content-type")), (status, media), "{answer:?}");
        assert_eq!(answer.text(), "<b>");
        assert_guarded(&answer);
    }
    for (answer, status) in [("204 No Content\r\n", 204), ("202 Accepted\r\nContent-Length: 0\r\n", 202)] {
        let gateway = answering(format!("HTTP/1.1 {answer}\r\n"), "");
        let answer = gateway.connect().ask(&post(r#"{"jsonrpc":"2.0","method":"notifications/x"}"#, ""));
        assert_eq!((answer.status(), answer.header("content-type")), (status, None), "{answer:?}");
    }
}

#[test]
fn of_an_answer_what_is_on_the_list_goes_on_and_what_the_operator_adds() {
    let lines = "Content-Type: application/json\r\nCache-Control: no-store\r\nETag: \"1\"\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
        Retry-After: 3\r\nX-Request-Id: r\r\nTraceparent: t\r\nTracestate: s\r\nBaggage: b\r\nVary: accept\r\nAllow: POST\r\n\
        X-Accel-Buffering: no\r\nMcp-Session-Id: s\r\nMcp-Next: n\r\nX-Accel-Redirect: /etc\r\nX-Sendfile: /etc\r\n\
        Surrogate-Control: x\r\nSet-Cookie2: a\r\nSpeculation-Rules: x\r\nPermissions-Policy: x\r\nAuthentication-Info: x\r\n\
        RateLimit: x\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\nServer: up\r\n\
        X-Powered-By: up\r\nx_request_id: twin\r\nX-Team: a\r\nx_team: twin\r\nX-Other: x\r\nContent-Security-Policy: x\r\n";
    let answer = format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 2\r\n\r\n{{}}");
    let always = [
        "allow",
        "baggage",
        "cache-control",
        "content-length",
        "content-security-policy",
        "content-type",
        "date",
        "etag",
        "mcp-next",
        "mcp-session-id",
        "retry-after",
        "traceparent",
        "tracestate",
        "vary",
        "x-accel-buffering",
        "x-content-type-options",
        "x-request-id",
    ];
    let gateway = answering(answer.clone(), "");
    let got = gateway.connect().ask(&legacy_call(1));
    assert_eq!(names(&got), always);
    assert_guarded(&got);
    assert_eq!(got.header("date"), Some("Sun, 06 Nov 1994 08:49:37 GMT"), "the server's own is kept");
    // CORS is the gateway's to say, and only to a page.
    let got = gateway.connect().ask(&post(PING, "Origin: http://localhost\r\n"));
    let cors: Vec<_> = got.headers.iter().filter(|(name, _)| name.starts_with("access-control-")).collect();
    assert_eq!(cors.len(), 2, "{got:?}");
    assert_eq!(got.header("access-control-allow-origin"), Some("http://localhost"));
    let gateway = answering(answer, "    response_headers: [X-Team, server]\n");
    let got = gateway.connect().ask(&legacy_call(1));
    let mut wanted = [&always[..], &["server", "x-team"]].concat();
    wanted.sort_unstable();
    assert_eq!(names(&got), wanted);
    assert_eq!(got.header("x-team"), Some("a"));
}

/// Names by which proxies of the field tell a server who calls or what is asked, and a few that look like others.
const STRANGERS: [&str; 64] = [
    "Client-Cert",
    "Client-Cert-Chain",
    "X-SSL-Client-Cert",
    "X-SSL-Client-Verify",
    "X-SSL-Client-S-DN",
    "X-Client-Cert",
    "X-Client-DN",
    "SSL-Client-Verify",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Access-Token",
    "Forwarded",
    "X-Real-IP",
    "X-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "CF-Access-Jwt-Assertion",
    "CF-Access-Authenticated-User-Email",
    "Fastly-Client-IP",
    "Fly-Client-IP",
    "X-Azure-ClientIP",
    "X-Cluster-Client-IP",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-Original-Host",
    "X-Original-URI",
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "X-MS-CLIENT-PRINCIPAL",
    "X-MS-CLIENT-PRINCIPAL-ID",
    "X-MS-TOKEN-AAD-ACCESS-TOKEN",
    "X-Amzn-Oidc-Data",
    "X-Amzn-Oidc-Identity",
    "X-Amzn-Oidc-Accesstoken",
    "X-Amzn-Mtls-Clientcert",
    "X-Consumer-ID",
    "X-Consumer-Username",
    "X-Credential-Identifier",
    "X-Authenticated-Userid",
    "X-Userinfo",
    "X-Goog-Authenticated-User-Email",
    "X-Goog-IAP-JWT-Assertion",
    "Remote-User",
    "Remote-Groups",
    "Remote-Email",
    "X-Remote-User",
    "X-Auth-Request-User",
    "X-Webauth-User",
    "X-User",
    "X-Role",
    "Impersonate-User",
    "X-Vault-Token",
    "Proxy",
    "DPoP",
    "X-Mcp-Authorized",
    "X-Mcp-Toolname",
    "X-Envoy-Allow-Mcp-Tools",
    "X-Custom",
];

#[test]
fn nothing_that_tells_who_calls_or_what_is_asked_goes_to_a_server_unless_it_is_listed() {
    let probe = Probe::new("    pass_headers: [X-Team, X-Forwarded-For]\n");
    let rest = "X-Team: a\r\nx_team: twin\r\nX_TEAM: twin\r\nX-Teams: other\r\nAccept-Language: de\r\nUser-Agent: t\r\nBaggage: b\r\n\
        Tracestate: s\r\nX-Request-Id: r\r\nCache-Control: no-cache\r\nLast-Event-ID: 7\r\nMcp-Next: n\r\nTraceparent: t\r\n";
    for half in STRANGERS.chunks(32) {
        let strangers: String = half.iter().map(|name| format!("{name}: x\r\n")).collect();
        let (answer, _) = probe.send("strangers", &post(PING, &format!("{strangers}{rest}")));
        assert_eq!(answer.status(), 200, "{answer:?}");
        let seen = probe.saw("strangers", PING.as_bytes());
        let mut wanted = vec![
            "accept",
            "accept-encoding",
            "accept-language",
            "baggage",
            "cache-control",
            "content-length",
            "content-type",
            "host",
            "last-event-id",
            "mcp-next",
            "traceparent",
            "tracestate",
            "user-agent",
            "via",
            "x-request-id",
            "x-team",
        ];
        if half.contains(&"X-Forwarded-For") {
            wanted.insert(15, "x-forwarded-for");
        }
        let mut got = names(&seen);
        got.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(got, wanted);
        assert_eq!((seen.header("x-team"), seen.header("via")), (Some("a"), Some("1.1 ringgate")));
        assert_eq!(seen.header("accept-encoding"), Some("identity"));
    }
    // The name of an allowed one with an underscore is refused before anything of it is judged.
    for twin in ["User_Agent", "x_request_id", "Mcp_Next", "mcp-session_id", "content_type"] {
        probe.refuses(twin, &post(PING, &format!("{twin}: x\r\n")), 400);
    }
    let old = String::from_utf8(post(PING, "")).unwrap().replacen("HTTP/1.1", "HTTP/1.0", 1);
    probe.send("HTTP/1.0", old.as_bytes());
    assert_eq!(probe.saw("HTTP/1.0", PING.as_bytes()).header("via"), Some("1.0 ringgate"));
}

#[test]
fn every_answer_of_the_gateways_own_is_guarded_and_dated() {
    let probe = Probe::new("");
    let get = |path: &str, lines: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n").into_bytes()
    };
    for (bytes, status) in [
        (get("/none", ""), 404),
        (get("/up/mcp", "Accept: text/html\r\n"), 406),
        (get("/up/mcp", "Origin: https://evil.test\r\n"), 403),
        (b"OPTIONS /up/mcp HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n\r\n".to_vec(), 204),
        (b"OPTIONS / HTTP/1.0\r\n\r\n".to_vec(), 204),
        (b"nonsense\r\n\r\n".to_vec(), 400),
        (post("{", ""), 400),
        (post(PING, ""), 200),
    ] {
        let (answer, _) = probe.send("own", &bytes);
        assert_eq!(answer.status(), status, "{answer:?}");
        assert_guarded(&answer);
    }
    for path in ["/healthz", "/metrics", "/none"] {
        let mut admin = Client::new(std::net::TcpStream::connect(probe.gateway.admin).unwrap());
        assert_guarded(&admin.ask(&get(path, "")));
    }
}

#[test]
fn a_browser_opens_no_endpoint_as_a_page() {
    let probe = Probe::new("");
    for (lines, served) in [
        ("Sec-Fetch-Mode: cors\r\n", true),
        ("Sec-Fetch-Mode: cors\r\nSec-Fetch-Site: cross-site\r\nOrigin: http://localhost:1\r\n", true),
        ("Sec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n", true),
        ("Sec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\n", false),
        ("Sec-Fetch-Mode: navigate\r\nOrigin: http://localhost:1\r\n", false),
        ("Sec-Fetch-Mode: no-cors\r\nSec-Fetch-Site: cross-site\r\n", false),
    ] {
        if served {
            assert_eq!(probe.send(lines, &post(PING, lines)).0.status(), 200, "{lines}");
            let seen = probe.saw(lines, PING.as_bytes());
            assert!(seen.headers.iter().all(|(name, _)| !name.starts_with("sec-")), "{seen:?}");
        } else {
            let get = format!("GET /up/mcp HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n");
            assert_eq!(probe.send(lines, get.as_bytes()).0.status(), 403, "{lines}");
            assert_eq!(probe.send(lines, &post(PING, lines)).0.status(), 403, "{lines}");
        }
    }
    probe.upstream.assert_untouched();
}

#[test]
fn the_server_is_asked_for_the_host_that_is_configured() {
    let upstream = Upstream::echo();
    for (more, host) in
        [("", upstream.address.to_string()), ("    host: MCP.internal:81\n", "mcp.internal:81".into())]
    {
        let gateway = Gateway::before(upstream.address, more);
        assert_eq!(gateway.connect().ask(&legacy_call(1)).status(), 200);
        assert_eq!(upstream.request().header("host"), Some(&*host));
    }
}

#[test]
fn a_modern_call_has_its_headers_on_the_other_side() {
    let probe = Probe::new("");
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"x",{META}}}}}"#);
    assert_eq!(probe.send("modern", &post(&body, &modern("tools/call", "x"))).0.status(), 200);
    let seen = probe.saw("modern", body.as_bytes());
    assert_eq!((seen.header("mcp-method"), seen.header("mcp-name")), (Some("tools/call"), Some("x")));
}
