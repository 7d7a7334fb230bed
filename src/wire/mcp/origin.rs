//! Protection against DNS rebinding: which web pages may talk to us, and under which names.

use super::McpFault;

/// Who may call from a browser.
#[derive(Clone, Debug, Default)]
pub struct OriginRules {
    /// Accept every `Origin`.
    pub any_origin: bool,
    /// Accepted origins, as `scheme://host` or `scheme://host:port`.
    pub origins: Box<[Box<str>]>,
    /// If not empty, the accepted values of `Host`: `host` (with any port) or `host:port`.
    pub hosts: Box<[Box<str>]>,
}

/// Checks `Origin` and `Host`. A request without `Origin` does not come from a page and passes. That
/// the origin's host is the request's own proves nothing: under DNS rebinding both are the attacker's.
///
/// # Errors
/// 403 (MCP 2025-11-25 and later).
pub fn check_origin(
    origin: Option<&[u8]>,
    host: Option<&[u8]>,
    rules: &OriginRules,
) -> Result<(), McpFault<'static>> {
    let listed = |origin: &[u8]| rules.origins.iter().any(|known| same_origin(origin, known.as_bytes()));
    if !rules.any_origin && !origin.is_none_or(listed) {
        return Err(McpFault::new(403, -32600, "Origin is not allowed"));
    }
    let named = |host: &[u8]| rules.hosts.iter().any(|known| same_host(host, known.as_bytes()));
    if !rules.hosts.is_empty() && !host.is_some_and(named) {
        return Err(McpFault::new(403, -32600, "Host is not allowed"));
    }
    Ok(())
}

/// Two origins are the same if scheme and host are, in any letter case, and the port, written or
/// the scheme's own (RFC 6454 section 4).
fn same_origin(one: &[u8], other: &[u8]) -> bool {
    without_default_port(one).eq_ignore_ascii_case(without_default_port(other))
}

fn without_default_port(origin: &[u8]) -> &[u8] {
    let port: &[u8] = match origin.split_at_checked(8) {
        Some((start, _)) if start.eq_ignore_ascii_case(b"https://") => b":443",
        Some((start, _)) if start[..7].eq_ignore_ascii_case(b"http://") => b":80",
        _ => return origin,
    };
    origin.strip_suffix(port).unwrap_or(origin)
}

/// Whether `host` is the known one; a known one without port stands for every port.
fn same_host(host: &[u8], known: &[u8]) -> bool {
    let bare = |authority: &[u8]| match authority.iter().rposition(|&byte| byte == b':') {
        // The colons of an IPv6 address stand inside brackets.
        Some(colon) if !authority[colon..].contains(&b']') => colon,
        _ => authority.len(),
    };
    let compared = if bare(known) == known.len() { &host[..bare(host)] } else { host };
    compared.eq_ignore_ascii_case(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> OriginRules {
        OriginRules {
            any_origin: false,
            origins: ["https://app.example".into(), "http://localhost:6274".into()].into(),
            hosts: ["gw.example".into(), "[::1]:8080".into()].into(),
        }
    }

    fn check(origin: Option<&str>, host: &str, allowed: bool) {
        let got = check_origin(origin.map(str::as_bytes), Some(host.as_bytes()), &rules());
        assert_eq!(
            got.map_err(|fault| fault.status),
            if allowed { Ok(()) } else { Err(403) },
            "{origin:?} {host}"
        );
    }

    #[test]
    fn only_listed_pages_may_call() {
        check(None, "gw.example", true);
        check(Some("https://app.example"), "gw.example", true);
        check(Some("HTTPS://App.Example:443"), "gw.example:8443", true);
        check(Some("http://localhost:6274"), "GW.example", true);
        for origin in [
            "https://evil.example",
            "null",
            "",
            "http://app.example",
            "https://app.example:8443",
            "https://app.example.evil.example",
            "https://xapp.example",
            "http://localhost",
            "https://gw.example",
        ] {
            check(Some(origin), "gw.example", false);
        }
    }

    #[test]
    fn only_listed_hosts_are_answered() {
        check(None, "[::1]:8080", true);
        for host in ["evil.example", "[::1]", "[::1]:80", "gw.example.evil.example", "", "gw.example@x"] {
            check(None, host, false);
        }
        assert!(check_origin(None, None, &rules()).is_err());
        assert!(check_origin(None, None, &OriginRules::default()).is_ok());
    }

    #[test]
    fn an_open_server_says_so() {
        let open = OriginRules { any_origin: true, ..OriginRules::default() };
        assert!(check_origin(Some(b"https://any.example"), None, &open).is_ok());
        assert!(check_origin(Some(b"https://any.example"), None, &OriginRules::default()).is_err());
    }
}
