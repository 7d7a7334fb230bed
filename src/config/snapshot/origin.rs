//! Which `Origin` and `Host` values are served: the guard against DNS rebinding (MCP 2025-11-25,
//! transports, security warning: servers must check `Origin`).

/// Which `Origin` values are served. A request without `Origin` does not come from a web page and is
/// not asked about here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OriginPolicy {
    /// `"*"` was configured.
    pub(crate) any: bool,
    /// Every listener is on loopback: pages of this machine are served.
    pub(crate) loopback: bool,
    /// The `Host` value is checked against a configured list, so an origin equal to it is ours.
    pub(crate) same_host: bool,
    /// Exact values, as a browser serialises them (RFC 6454 section 6.2).
    pub(crate) listed: Box<[Box<str>]>,
}

impl OriginPolicy {
    /// Whether a request with this `Origin` value is served. `host` is its `Host` value.
    pub fn allows(&self, origin: &[u8], host: Option<&[u8]>) -> bool {
        if self.any || self.listed.iter().any(|listed| listed.as_bytes() == origin) {
            return true;
        }
        let Some(authority) = authority_of(origin) else { return false };
        (self.loopback && is_loopback_authority(authority))
            || (self.same_host && host.is_some_and(|host| host.eq_ignore_ascii_case(authority)))
    }
}

/// Which `Host` values are served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostPolicy {
    /// Any host is.
    pub(crate) any: bool,
    /// `localhost`, `127.0.0.1` and `[::1]` with any port are.
    pub(crate) loopback: bool,
    /// These are, in lower case: with a port only with that port, without one with any.
    pub(crate) listed: Box<[Box<str>]>,
}

impl HostPolicy {
    /// Whether a request with this `Host` value is served.
    pub fn allows(&self, host: &[u8]) -> bool {
        self.any
            || (self.loopback && is_loopback_authority(host))
            || self.listed.iter().any(|listed| {
                let listed = listed.as_bytes();
                host.eq_ignore_ascii_case(listed) || without_port(host).eq_ignore_ascii_case(listed)
            })
    }
}

/// The `host[:port]` of a `scheme://host[:port]`, for the two schemes of web pages.
fn authority_of(origin: &[u8]) -> Option<&[u8]> {
    origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"))
}

fn is_loopback_authority(authority: &[u8]) -> bool {
    let host = without_port(authority);
    host.eq_ignore_ascii_case(b"localhost") || host == b"127.0.0.1" || host == b"[::1]"
}

/// `host` without its `:port`; unchanged if what follows the last colon is no port.
fn without_port(host: &[u8]) -> &[u8] {
    let Some(colon) = memchr::memrchr(b':', host) else { return host };
    let port = &host[colon + 1..];
    if !port.is_empty() && port.len() <= 5 && port.iter().all(u8::is_ascii_digit) {
        &host[..colon]
    } else {
        host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_three_names_and_any_port() {
        let policy = OriginPolicy { loopback: true, ..OriginPolicy::default() };
        for good in [
            "http://localhost",
            "http://localhost:5173",
            "https://127.0.0.1:1",
            "http://[::1]",
            "http://[::1]:65535",
        ] {
            assert!(policy.allows(good.as_bytes(), None), "{good}");
        }
        for bad in [
            "",
            "null",
            "localhost",
            "http://localhost.evil.example",
            "http://localhost:80.evil.example",
            "http://evil.example:80",
            "http://localhost:",
            "http://localhost:123456",
            "http://[::1]evil",
            "ftp://localhost",
            "http://localhost/",
            "http://127.0.0.10",
            "http://user@localhost",
            "http://localhost:1:2",
        ] {
            assert!(!policy.allows(bad.as_bytes(), Some(b"localhost")), "{bad}");
        }
    }

    #[test]
    fn listed_origins_are_exact() {
        let policy = OriginPolicy { listed: ["https://a.example".into()].into(), ..OriginPolicy::default() };
        assert!(policy.allows(b"https://a.example", None));
        for bad in [
            "http://a.example",
            "https://a.example:444",
            "https://b.a.example",
            "https://a.example.evil",
            "https://a.example ",
        ] {
            assert!(!policy.allows(bad.as_bytes(), Some(b"a.example")), "{bad}");
        }
    }

    #[test]
    fn hosts_match_with_or_without_a_port() {
        let policy = HostPolicy {
            listed: ["a.example".into(), "b.example:81".into()].into(),
            ..HostPolicy::default()
        };
        for good in ["a.example", "A.EXAMPLE", "a.example:80", "a.example:1", "b.example:81"] {
            assert!(policy.allows(good.as_bytes()), "{good}");
        }
        for bad in
            ["", "b.example", "b.example:82", "x.a.example", "a.example:x", "a.example:80:81", "localhost"]
        {
            assert!(!policy.allows(bad.as_bytes()), "{bad}");
        }
        assert!(HostPolicy { loopback: true, ..HostPolicy::default() }.allows(b"LOCALHOST:8080"));
        assert!(HostPolicy { any: true, ..HostPolicy::default() }.allows(b""));
    }
}
