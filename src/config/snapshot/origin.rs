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
