//! Sessions serve only the caller that they were given to.

use serde_json::json;

use super::{ISSUER, Issuer, PUBLIC, bearer, now};
use crate::harness::{Gateway, META, Message, TempDir, Upstream, echoed, modern, ok, post, post_to};
use crate::scenes::{SSE, chunk, get, method};

fn gateway(upstream: &Upstream, issuer: &Issuer, servers: &str) -> (Gateway, TempDir) {
    let dir = TempDir::new();
    let keys = dir.file("jwks.json", &issuer.jwks());
    let servers = servers.replace("UP", &format!("http://{}", upstream.address));
    let gateway = Gateway::with(&format!(
        "public_url: {PUBLIC}\nservers:\n{servers}\nauthentication:\n  issuers:\n    - issuer: {ISSUER}\n      \
         jwks: file:{}\n",
        keys.display()
    ));
    (gateway, dir)
}

/// A server that gives `s-1` to whoever initializes.
fn upstream() -> Upstream {
    Upstream::new(|request, client| {
        let body = echoed(request);
        match &*method(request) {
            "initialize" => client.send(
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nMcp-Session-Id: s-1\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )
                .as_bytes(),
            ),
            _ => client.send(&ok(&body)),
        }
        true
    })
}

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

fn session(answer: &Message) -> String {
    assert_eq!(answer.status(), 200, "{answer:?}");
    answer.header("mcp-session-id").unwrap().to_owned()
}

#[test]
fn a_session_is_not_found_by_anybody_else() {
    let (upstream, issuer) = (upstream(), Issuer::new());
    let (gateway, _dir) = gateway(
        &upstream,
        &issuer,
        "  - {name: up, url: UP/mcp}\n  - {name: other, url: UP/mcp, audiences: ['https://gw.example/up/mcp']}",
    );
    let token = |sub: &str, agent: &str| bearer(&issuer.token(json!({"sub": sub, "azp": agent, "jti": sub})));
    let (alice, mallory) = (token("alice", "a"), token("mallory", "a"));
    let mut client = gateway.connect();
    let id = session(&client.ask(&post(INITIALIZE, &alice)));
    assert!(id.ends_with(".s-1"), "{id}");
    upstream.request();

    let with = |who: &str, id: &str| format!("{who}Mcp-Session-Id: {id}\r\n");
    assert_eq!(client.ask(&post(PING, &with(&alice, &id))).status(), 200);
    assert_eq!(upstream.request().header("mcp-session-id"), Some("s-1"), "the server sees its own id");
    let renewed = bearer(&issuer.token(json!({"sub": "alice", "azp": "a", "jti": "new"})));
    assert_eq!(client.ask(&post(PING, &with(&renewed, &id))).status(), 200, "the same caller, a new token");
    upstream.request();

    let delete = |who: &str, id: &str| {
        format!("DELETE /up/mcp HTTP/1.1\r\nHost: localhost\r\n{}\r\n", with(who, id)).into_bytes()
    };
    let other_agent = token("alice", "another agent");
    for (who, id) in
        [(&mallory, &*id), (&other_agent, &*id), (&alice, "s-1"), (&alice, "x.s-1"), (&mallory, "s-1")]
    {
        for request in [
            post(PING, &with(who, id)),
            get("/up/mcp", &with(who, id)),
            get("/up/mcp", &format!("{}Last-Event-ID: 1\r\n", with(who, id))),
            delete(who, id),
        ] {
            let answer = gateway.connect().ask(&request);
            assert_eq!(answer.status(), 404, "{id}: {answer:?}");
        }
    }
    let elsewhere = gateway.connect().ask(&post_to("/other/mcp", PING, &with(&alice, &id)));
    assert_eq!(elsewhere.status(), 404, "a session of one server is none of another's");
    upstream.assert_untouched();
    assert_eq!(client.ask(&delete(&alice, &id)).status(), 200);
    assert_eq!(upstream.request().header("mcp-session-id"), Some("s-1"));
}

#[test]
fn revision_2026_07_28_has_no_sessions_and_a_stray_id_is_dropped() {
    let (upstream, issuer) = (upstream(), Issuer::new());
    let (gateway, _dir) = gateway(&upstream, &issuer, "  - {name: up, url: UP/mcp}");
    let token = bearer(&issuer.token(json!({"sub": "alice"})));
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"x",{META}}}}}"#);
    let headers = format!("{token}{}Mcp-Session-Id: stray\r\n", modern("tools/call", "x"));
    assert_eq!(gateway.connect().ask(&post(&body, &headers)).status(), 200);
    assert_eq!(upstream.request().header("mcp-session-id"), None);
}

#[test]
fn gateways_with_the_same_key_know_each_others_sessions_and_others_do_not() {
    let (upstream, issuer) = (upstream(), Issuer::new());
    let with = |key: &str| {
        let more = format!("  - {{name: up, url: UP/mcp}}\nsessions: {{key: file:{key}}}");
        gateway(&upstream, &issuer, &more)
    };
    let dir = TempDir::new();
    let key = dir.file("one", "4bT0ocWy4x0hhrVmR0SZ1Yf9HUMyKlDvWFk4PU7rTFg=\n");
    let other = dir.file("other", "9f0c5d6a3e7b41828df1c02ab64e97535a1b8c4de2f0673981ba24dce5f7a06b\n");
    let (one, _d1) = with(key.to_str().unwrap());
    let (two, _d2) = with(key.to_str().unwrap());
    let (three, _d3) = with(other.to_str().unwrap());
    let token = bearer(&issuer.token(json!({"sub": "alice"})));
    let id = session(&one.connect().ask(&post(INITIALIZE, &token)));
    let ping = post(PING, &format!("{token}Mcp-Session-Id: {id}\r\n"));
    assert_eq!(two.connect().ask(&ping).status(), 200);
    assert_eq!(three.connect().ask(&ping).status(), 404);
}

#[test]
fn messages_to_a_stream_of_the_older_transport_come_only_from_its_caller() {
    let upstream = Upstream::new(|request, client| {
        if request.start.starts_with("GET") {
            client.send(SSE.as_bytes());
            client.send(&chunk("event: endpoint\ndata: /messages/?session_id=7\n\n"));
            // The stream stays open until the client leaves.
            return client.head().is_some();
        }
        client.send(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
        true
    });
    let issuer = Issuer::new();
    let (gateway, _dir) = gateway(&upstream, &issuer, "  - {name: up, url: UP/sse, transport: sse}");
    let token = |sub: &str| bearer(&issuer.token(json!({ "sub": sub })));
    let mut stream = gateway.connect();
    stream.send(&get("/up/mcp", &token("alice")));
    stream.head().unwrap();
    let event = String::from_utf8(stream.chunk().unwrap()).unwrap();
    let uri = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap().to_owned();
    assert!(uri.starts_with("/up/mcp/~/messages/?session_id=7&~tag="), "{event}");
    upstream.request();
    for (who, uri) in [
        ("mallory", &*uri),
        ("alice", "/up/mcp/~/messages/?session_id=7"),
        ("alice", &uri.replace("session_id=7", "session_id=8")),
        ("alice", &format!("{uri}x")),
        ("alice", "/up/mcp/~/messages/"),
    ] {
        let answer = gateway.connect().ask(&post_to(uri, PING, &token(who)));
        assert_eq!(answer.status(), 404, "{who} {uri}: {answer:?}");
    }
    upstream.assert_untouched();
    assert_eq!(gateway.connect().ask(&post_to(&uri, PING, &token("alice"))).status(), 202);
    assert_eq!(upstream.request().start, "POST /messages/?session_id=7 HTTP/1.1");
}

#[test]
fn a_stream_ends_with_the_token_that_opened_it() {
    let upstream = Upstream::new(|_, client| {
        client.send(SSE.as_bytes());
        client.send(&chunk(": open\n\n"));
        client.head().is_some()
    });
    let issuer = Issuer::new();
    let (gateway, _dir) = gateway(&upstream, &issuer, "  - {name: up, url: UP/mcp}");
    let token = bearer(&issuer.token(json!({"exp": now() + 3})));
    let mut stream = gateway.connect();
    stream.send(&get("/up/mcp", &token));
    assert_eq!(stream.head().unwrap().status(), 200);
    assert!(stream.chunk().is_some());
    assert_eq!(stream.chunk().unwrap(), b"", "the stream ends where an event ended");
    gateway.await_metric("ringgate_exchanges_total", "outcome=\"expired\"", 1.0);
}

#[test]
fn an_event_id_is_taken_only_with_its_session() {
    let (upstream, issuer) = (upstream(), Issuer::new());
    let (gateway, _dir) = gateway(&upstream, &issuer, "  - {name: up, url: UP/mcp}");
    let token = bearer(&issuer.token(json!({})));
    let answer = gateway.connect().ask(&get("/up/mcp", &format!("{token}Last-Event-ID: of-somebody_42\r\n")));
    assert_eq!(answer.status(), 400, "{answer:?}");
    upstream.assert_untouched();
}

#[test]
fn a_reload_that_changes_who_may_do_what_ends_open_streams() {
    let upstream = Upstream::new(|_, client| {
        client.send(SSE.as_bytes());
        client.send(&chunk(": open\n\n"));
        client.head().is_some()
    });
    let issuer = Issuer::new();
    let (gateway, dir) = gateway(&upstream, &issuer, "  - {name: up, url: UP/mcp}");
    let revoked = dir.file("revoked", "");
    let text = std::fs::read_to_string(&gateway.config).unwrap();
    std::fs::write(
        &gateway.config,
        text.replace(
            "authentication:\n",
            &format!("authentication:\n  revoked: file:{}\n", revoked.display()),
        ),
    )
    .unwrap();
    gateway.signal("HUP");
    gateway.await_metric("ringgate_config_generation", "", 2.0);
    let open = |id: &str| {
        let mut stream = gateway.connect();
        stream.send(&get("/up/mcp", &bearer(&issuer.token(json!({ "jti": id })))));
        assert_eq!(stream.head().unwrap().status(), 200);
        assert!(stream.chunk().is_some());
        stream
    };
    let mut stream = open("one");
    dir.file("revoked", "jti:one\n");
    gateway.signal("HUP");
    assert_eq!(stream.chunk().unwrap(), b"", "the stream ends where an event ended");
    gateway.await_metric("ringgate_exchanges_total", "outcome=\"expired\"", 1.0);
}

#[test]
fn a_call_without_an_id_does_not_hide_in_a_batch() {
    let (upstream, issuer) = (upstream(), Issuer::new());
    let (gateway, _dir) = gateway(&upstream, &issuer, "  - {name: up, url: UP/mcp}");
    let token = bearer(&issuer.token(json!({})));
    let headers = format!("{token}MCP-Protocol-Version: 2025-03-26\r\n");
    let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"tools/call","params":{"name":"x"}}]"#;
    assert_eq!(gateway.connect().ask(&post(batch, &headers)).status(), 400);
    upstream.assert_untouched();
}
