//! `servers[].pass_headers` and `servers[].response_headers`: which headers go on besides those that always do.

use super::servers::check_header_name;
use crate::config::file::ServerSection;
use crate::schema::finding::{At, Findings, Problem};
use crate::wire::http1::AllowList;
use crate::wire::http1::allow::{TO_CLIENTS, TO_SERVERS, reads_as};

/// What of a client's headers goes to the server: none of those that are `set` by the configuration.
pub fn to_server(section: &ServerSection, set: &[Box<str>], findings: &mut Findings) -> AllowList {
    let always = AllowList::new(TO_SERVERS, []);
    let listed = &section.pass_headers.value;
    check(listed, findings, |name| {
        if set.iter().any(|set| reads_as(name.as_bytes(), set.as_bytes())) {
            let fix = "remove it here, or what sets it";
            return Err(Problem::new("is set by the gateway for this server, whatever a client sends", fix));
        }
        refuse(name, &NEVER_UP)?;
        not_twice(name, &always, "goes to every server anyway")
    });
    let list = AllowList::new(TO_SERVERS, listed.iter().map(|name| name.value.as_str()));
    set.iter().fold(list, |list, name| list.without(name))
}

/// What of the server's headers goes to a client.
pub fn to_client(section: &ServerSection, findings: &mut Findings) -> AllowList {
    let always = AllowList::new(TO_CLIENTS, []);
    let listed = &section.response_headers.value;
    check(listed, findings, |name| {
        refuse(name, &NEVER_DOWN)?;
        not_twice(name, &always, "reaches clients anyway")
    });
    AllowList::new(TO_CLIENTS, listed.iter().map(|name| name.value.as_str()))
}

/// Notes what is wrong with each name, of which `judge` gets the lower-case form.
fn check(listed: &[At<String>], findings: &mut Findings, judge: impl Fn(&str) -> Result<(), Problem>) {
    for (index, At { value: name, place }) in listed.iter().enumerate() {
        let lower = name.to_ascii_lowercase();
        let twin = listed[..index].iter().find(|before| reads_as(before.value.as_bytes(), name.as_bytes()));
        let judged = match twin {
            Some(twin) => {
                let what = format!("is `{}` again to a server that reads `_` as `-`", twin.value);
                Err(Problem::new(what, "keep one of the two"))
            }
            None => judge(&lower).and_then(|()| check_header_name(&lower)),
        };
        if let Err(problem) = judged {
            findings.note(place, problem);
        }
    }
}

/// Refuses a name that is on the list already, or that some server takes for one that is.
fn not_twice(name: &str, always: &AllowList, why: &str) -> Result<(), Problem> {
    if always.has(name) {
        return Err(Problem::new(why, "remove it"));
    }
    let plain = name.replace('_', "-");
    if plain != name && (always.has(&plain) || check_header_name(&plain).is_err()) {
        let what = format!("is `{plain}` to a server that reads `_` as `-`");
        return Err(Problem::new(what, "remove it"));
    }
    Ok(())
}

/// Names that are not listed, and why.
struct Never {
    names: &'static [&'static str],
    /// All that begin so, too.
    prefixes: &'static [&'static str],
    what: &'static str,
    fix: &'static str,
}

fn refuse(name: &str, groups: &[Never]) -> Result<(), Problem> {
    // Both spellings: what reads `_` as `-` would take the one for the other.
    let plain = name.replace('_', "-");
    let is_of = |group: &&Never| {
        group.names.contains(&&*plain) || group.prefixes.iter().any(|prefix| plain.starts_with(prefix))
    };
    match groups.iter().find(is_of) {
        Some(group) => Err(Problem::new(group.what, group.fix)),
        None => Ok(()),
    }
}

const HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

const NEVER_UP: [Never; 6] = [
    Never {
        names: HOP,
        prefixes: &[],
        what: "concerns one connection (RFC 9110 section 7.6.1)",
        fix: "remove it",
    },
    Never {
        names: &[
            "host",
            "content-length",
            "content-encoding",
            "content-range",
            "accept-encoding",
            "expect",
            "via",
            "max-forwards",
        ],
        prefixes: &[],
        what: "says how a message is sent, which the gateway decides for its own",
        fix: "remove it; `servers[].host` sets `Host`",
    },
    Never {
        names: &[
            "authorization",
            "proxy-authorization",
            "authentication-info",
            "x-api-key",
            "cookie",
            "cookie2",
            "dpop",
            "origin",
            "proxy",
        ],
        prefixes: &["access-control-", "sec-"],
        what: "is the caller's credential or a browser's word, and is for the gateway alone",
        fix: "remove it; show the server its own with `credentials` or `headers`, and who calls with `assertion`",
    },
    Never {
        names: &[
            "x-original-url",
            "x-rewrite-url",
            "x-original-uri",
            "x-original-method",
            "x-http-method",
            "x-http-method-override",
            "x-method-override",
        ],
        prefixes: &[],
        what: "lets a caller name another target or method than the one that was judged",
        fix: "remove it",
    },
    Never {
        names: &[
            "range",
            "if-range",
            "if-match",
            "if-none-match",
            "if-modified-since",
            "if-unmodified-since",
        ],
        prefixes: &[],
        what: "asks for an answer that is no whole one, and MCP has no others",
        fix: "remove it",
    },
    Never {
        names: &[],
        prefixes: &["x-ringgate-", "x-mcp-", "x-envoy-"],
        what: "is what gateways tell servers themselves; a caller could steer the next one with it",
        fix: "remove it; if a server needs it, set it with `headers`",
    },
];

const NEVER_DOWN: [Never; 6] = [
    Never {
        names: HOP,
        prefixes: &[],
        what: "concerns one connection (RFC 9110 section 7.6.1)",
        fix: "remove it",
    },
    Never {
        names: &[
            "content-length",
            "content-range",
            "accept-ranges",
            "age",
            "via",
            "ratelimit",
            "ratelimit-policy",
        ],
        prefixes: &[],
        what: "is the gateway's own to say",
        fix: "remove it; `rate_limits.headers` shows what is left of limits",
    },
    Never {
        names: &["location", "content-location", "refresh", "link", "sourcemap", "x-sourcemap"],
        prefixes: &[],
        what: "leads elsewhere, and servers lead no client anywhere",
        fix: "remove it",
    },
    Never {
        names: &[
            "set-cookie",
            "set-cookie2",
            "set-login",
            "www-authenticate",
            "proxy-authenticate",
            "authentication-info",
            "proxy-authentication-info",
        ],
        prefixes: &[],
        what: "would set or ask for what clients prove themselves with, at the gateway and all servers behind it",
        fix: "remove it; sessions of MCP have a header of their own",
    },
    Never {
        names: &[
            "alt-svc",
            "clear-site-data",
            "strict-transport-security",
            "public-key-pins",
            "public-key-pins-report-only",
            "expect-ct",
            "nel",
            "report-to",
            "reporting-endpoints",
            "accept-ch",
            "critical-ch",
            "origin-trial",
            "origin-agent-cluster",
            "service-worker-allowed",
            "speculation-rules",
            "supports-loading-mode",
            "permissions-policy",
            "feature-policy",
            "document-policy",
            "referrer-policy",
            "x-content-type-options",
            "x-frame-options",
            "x-permitted-cross-domain-policies",
            "timing-allow-origin",
            "use-as-dictionary",
            "activate-storage-access",
        ],
        prefixes: &["access-control-", "content-security-policy", "cross-origin-", "sec-"],
        what: "would hold for the gateway's whole origin, and so for every other server",
        fix: "remove it; `origins` says which pages may call",
    },
    Never {
        names: &[
            "x-sendfile",
            "x-sendfile-type",
            "x-lighttpd-send-file",
            "x-litespeed-location",
            "x-reproxy-url",
            "surrogate-control",
            "surrogate-capability",
            "cdn-cache-control",
        ],
        prefixes: &["x-accel-", "x-ringgate-", "x-mcp-", "x-envoy-"],
        what: "is obeyed by proxies in front of the gateway",
        fix: "remove it",
    },
];
