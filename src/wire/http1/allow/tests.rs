use proptest::prelude::*;

use super::*;
use crate::wire::http1::{HeadLimits, HeadScan, Method, Parsed, parse_request_head, parse_response_head};

/// The lists in words, as the documentation has them.
const SERVERS: [&str; 12] = [
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
    "mcp-method",
    "mcp-session-id",
];
const CLIENTS: [&str; 15] = [
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
    "mcp-method",
    "mcp-session-id",
];

/// Whether a field goes on, said in the simplest way.
fn naive(list: &[&str], more: &[&str], named: &[String], name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    (list.contains(&&*name)
        || name.strip_prefix("mcp-").is_some_and(|rest| !rest.is_empty())
        || more.contains(&&*name))
        && !named.contains(&name)
}

/// The names of what goes on, in lower case.
fn passed(list: &AllowList, fields: &Fields<'_>) -> Vec<String> {
    let mut out = Vec::new();
    list.except(HeaderSet::NONE).copy(&mut out, fields, |out, field| {
        out.extend_from_slice(field.name);
        out.extend_from_slice(b": own\r\n");
    });
    let text = String::from_utf8_lossy(&out).into_owned();
    text.lines().map(|line| line.split(':').next().unwrap_or_default().to_ascii_lowercase()).collect()
}

/// Names that proxies of the field take for who calls or what is asked, that a browser or a proxy in front obeys, and
/// that look like allowed ones.
const NAMES: [&str; 76] = [
    "Accept",
    "ACCEPT-LANGUAGE",
    "Baggage",
    "cache-control",
    "content-type",
    "Last-Event-ID",
    "traceparent",
    "Tracestate",
    "User-Agent",
    "X-Request-Id",
    "Mcp-Next",
    "mcp-",
    "mcp",
    "MCP-Param-Region",
    "Mcp-Session-Id",
    "mcp_session_id2",
    "Allow",
    "Content-Encoding",
    "Date",
    "ETag",
    "Retry-After",
    "Vary",
    "X-Accel-Buffering",
    "X-Accel-Redirect",
    "X-Sendfile",
    "Surrogate-Control",
    "Set-Cookie",
    "Set-Cookie2",
    "Speculation-Rules",
    "Permissions-Policy",
    "Authentication-Info",
    "Proxy-Authenticate",
    "WWW-Authenticate",
    "RateLimit",
    "Access-Control-Allow-Origin",
    "Location",
    "Content-Location",
    "Refresh",
    "Link",
    "Alt-Svc",
    "Server",
    "Clear-Site-Data",
    "Client-Cert",
    "X-SSL-Client-Verify",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-HTTP-Method-Override",
    "X-MS-CLIENT-PRINCIPAL",
    "X-Amzn-Oidc-Data",
    "X-Consumer-Username",
    "Remote-User",
    "CF-Connecting-IP",
    "True-Client-IP",
    "Proxy",
    "DPoP",
    "Forwarded",
    "X-Forwarded-For",
    "X-Real-IP",
    "Via",
    "Cookie",
    "Authorization",
    "X-Api-Key",
    "Origin",
    "Referer",
    "Accept-Encoding",
    "Range",
    "If-None-Match",
    "Keep-Alive",
    "TE",
    "X-Ringgate-Identity",
    "X-Mcp-Authorized",
    "X-Team",
    "x_team",
    "X-Custom",
    "user_agent_",
    "trace-parent",
];

proptest! {
    #[test]
    fn no_field_outside_the_list_goes_on_and_all_within_do(
        names in proptest::collection::vec((0..NAMES.len(), any::<bool>()), 0..24),
        named in proptest::collection::vec(0..NAMES.len(), 0..3),
    ) {
        let governed = |name: &str| HeaderId::of(name.as_bytes()) != HeaderId::Other;
        let named: Vec<&str> = named.into_iter().map(|at| NAMES[at]).filter(|name| !governed(name)).collect();
        let mut lines = String::from("host: a\r\n");
        let mut sent = Vec::new();
        for (at, upper) in names {
            let name = if upper { NAMES[at].to_ascii_uppercase() } else { NAMES[at].to_owned() };
            // Those that would be refused as a second one, or as a twin.
            let single = ["content-type", "authorization", "origin"].contains(&&*name.to_ascii_lowercase());
            if HeaderId::has_disguise(name.as_bytes()) || single && sent.contains(&name.to_ascii_lowercase()) {
                continue;
            }
            lines += &format!("{name}:  x \r\n");
            sent.push(name.to_ascii_lowercase());
        }
        if !named.is_empty() {
            lines += &format!("Connection: {}\r\n", named.join(", "));
        }
        let named: Vec<String> = named.iter().map(|name| name.to_ascii_lowercase()).collect();
        let more = ["x-team", "server"];
        let (limits, scan) = (HeadLimits::default(), HeadScan::new);
        let request = format!("GET / HTTP/1.1\r\n{lines}\r\n");
        let Ok(Parsed::Complete(head)) = parse_request_head(request.as_bytes(), &limits, &mut scan()) else {
            panic!("{request}");
        };
        let wanted = |list: &[&str], more: &[&str]| -> Vec<String> {
            sent.iter().filter(|name| naive(list, more, &named, name)).cloned().collect()
        };
        prop_assert_eq!(passed(&AllowList::new(TO_SERVERS, []), &head.fields), wanted(&SERVERS, &[]));
        prop_assert_eq!(passed(&AllowList::new(TO_SERVERS, more), &head.fields), wanted(&SERVERS, &more));
        let answer = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
        let parsed = parse_response_head(answer.as_bytes(), Method::Post, &limits, &mut scan());
        let Ok(Parsed::Complete(head)) = parsed else { panic!("{answer}") };
        prop_assert_eq!(passed(&AllowList::new(TO_CLIENTS, []), &head.fields), wanted(&CLIENTS, &[]));
        prop_assert_eq!(passed(&AllowList::new(TO_CLIENTS, more), &head.fields), wanted(&CLIENTS, &more));
    }
}

#[test]
fn what_the_configuration_sets_is_taken_off_in_every_spelling() {
    let list = || AllowList::new(TO_SERVERS, ["X-Team", "Server"]);
    for (name, has) in
        [("x-team", true), ("X-TEAM", true), ("x_team", false), ("server", true), ("x-tea", false)]
    {
        assert_eq!(list().has(name), has, "{name}");
    }
    for (set, gone) in
        [("x-team", "x-team"), ("X_Team", "x-team"), ("user_agent", "user-agent"), ("SERVER", "server")]
    {
        assert!(list().has(gone) && !list().without(set).has(gone), "{set}");
        assert!(list().without(set).has("accept"), "{set}");
    }
    assert!(!list().without("x-team").has("x-other"));
}

#[test]
fn a_clients_header_does_not_stand_in_for_a_configured_one() {
    for name in ["x-team-key", "X-Team-Key", "X_Team_Key", "x-team_key"] {
        assert!(reads_as(name.as_bytes(), b"x-team-key"), "{name}");
    }
    for name in ["x-team-keys", "x-team-kex", "x.team.key", ""] {
        assert!(!reads_as(name.as_bytes(), b"x-team-key"), "{name}");
    }
}
