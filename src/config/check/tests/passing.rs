//! Which headers go on: `pass_headers`, `response_headers`, `host`.

use super::{findings, good, server_with};

#[test]
fn listed_headers_go_on_besides_those_that_always_do() {
    let snapshot =
        good(&server_with("pass_headers: [X-Team, x-forwarded-for]\n  response_headers: [X-Region, Server]"));
    let server = &snapshot.servers[0];
    for (name, up, down) in [
        ("x-team", true, false),
        ("X-Forwarded-For", true, false),
        ("x_team", false, false),
        ("x-region", false, true),
        ("server", false, true),
        ("mcp-next", true, true),
        ("user-agent", true, false),
        ("etag", false, true),
        ("set-cookie", false, false),
    ] {
        assert_eq!((server.to_server.has(name), server.to_client.has(name)), (up, down), "{name}");
    }
}

#[test]
fn what_must_never_go_on_is_a_finding() {
    for (list, name, what) in [
        ("pass_headers", "Connection", "concerns one connection"),
        ("pass_headers", "Transfer-Encoding", "concerns one connection"),
        ("pass_headers", "Content-Length", "says how a message is sent"),
        ("pass_headers", "Host", "`servers[].host`"),
        ("pass_headers", "Authorization", "is the caller's credential"),
        ("pass_headers", "x_api_key", "is the caller's credential"),
        ("pass_headers", "Cookie", "is the caller's credential"),
        ("pass_headers", "DPoP", "is the caller's credential"),
        ("pass_headers", "Sec-Fetch-Mode", "a browser's word"),
        ("pass_headers", "X-HTTP-Method-Override", "another target or method"),
        ("pass_headers", "X-Original-URL", "another target or method"),
        ("pass_headers", "If-None-Match", "no whole one"),
        ("pass_headers", "X-Ringgate-Identity", "could steer the next one"),
        ("pass_headers", "x-mcp-authorized", "could steer the next one"),
        ("pass_headers", "X-Mcp-Any-Thing", "could steer the next one"),
        ("pass_headers", "X-Envoy-Allow-Mcp-Tools", "could steer the next one"),
        ("pass_headers", "Traceparent", "goes to every server anyway"),
        ("pass_headers", "mcp-next", "goes to every server anyway"),
        ("pass_headers", "user_agent", "is `user-agent` to a server that reads"),
        ("pass_headers", "mcp_name", "is `mcp-name` to a server that reads"),
        ("pass_headers", "a b", "cannot be the name of a header"),
        ("pass_headers", "X-A, x-a", "is `X-A` again"),
        ("pass_headers", "X-A, x_a", "is `X-A` again"),
        ("pass_headers", "X-Own", "is set by the gateway for this server"),
        ("pass_headers", "x_own", "is set by the gateway for this server"),
        ("response_headers", "Location", "leads elsewhere"),
        ("response_headers", "Link", "leads elsewhere"),
        ("response_headers", "Refresh", "leads elsewhere"),
        ("response_headers", "Set-Cookie", "what clients prove themselves with"),
        ("response_headers", "WWW-Authenticate", "what clients prove themselves with"),
        ("response_headers", "Strict-Transport-Security", "the gateway's whole origin"),
        ("response_headers", "Access-Control-Allow-Origin", "the gateway's whole origin"),
        ("response_headers", "content-security-policy-report-only", "the gateway's whole origin"),
        ("response_headers", "X-Accel-Redirect", "is obeyed by proxies"),
        ("response_headers", "x_sendfile", "is obeyed by proxies"),
        ("response_headers", "Keep-Alive", "concerns one connection"),
        ("response_headers", "RateLimit", "is the gateway's own to say"),
        ("response_headers", "ETag", "reaches clients anyway"),
    ] {
        let text = server_with(&format!("headers: {{X-Own: a}}\n  {list}: [{name}]"));
        let found = findings(&text);
        let last = name.split(", ").count() - 1;
        assert!(
            found.contains(&format!("servers[0].{list}[{last}]: ")) && found.contains(what),
            "{name}: {found}"
        );
        assert!(found.trim_end().ends_with(')') && found.trim_end().lines().count() == 1, "{name}: {found}");
    }
}

#[test]
fn the_host_asked_for_is_the_configured_one_or_that_of_the_certificate() {
    for (more, url, host) in [
        ("", "http://10.0.0.1:81/", "10.0.0.1:81"),
        ("host: MCP.example:9\n  ", "http://10.0.0.1:81/", "mcp.example:9"),
        ("host: mcp.example\n  ", "'unix:/run/a.sock:/mcp'", "mcp.example"),
        ("", "'unix:/run/a.sock:/mcp'", "localhost"),
        ("tls: {server_name: In.example}\n  ", "https://10.0.0.1/", "in.example"),
        ("tls: {server_name: in.example}\n  ", "https://10.0.0.1:8443/", "in.example:8443"),
        ("tls: {server_name: in.example}\n  ", "'https://[::1]:8443/'", "in.example:8443"),
        ("tls: {server_name: in.example}\n  ", "'https://[::1]/'", "in.example"),
        ("tls: {server_name: '::1'}\n  ", "https://up.example/", "[::1]"),
        ("host: mcp.example\n  tls: {server_name: in.example}\n  ", "https://10.0.0.1:8443/", "mcp.example"),
    ] {
        let snapshot = good(&format!("servers:\n- name: a\n  {more}url: {url}\n"));
        assert_eq!(&*snapshot.servers[0].endpoints[0].authority, host, "{more}{url}");
    }
    assert!(findings(&server_with("host: 'http://a'")).contains("servers[0].host: has a scheme"));
}
