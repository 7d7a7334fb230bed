//! Which header a name is: decided once per header, by one probe of a table made at compile time.

use std::fmt;

macro_rules! known_headers {
    ($($(#[$doc:meta])* $id:ident = $name:literal,)*) => {
        /// The headers that the gateway knows by name, and the families it knows by prefix.
        ///
        /// Names compare without regard to case (RFC 9110 section 5.1).
        #[repr(u8)]
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum HeaderId {
            $(#[doc = concat!("`", $name, "`")] $(#[$doc])* $id,)*
            /// `x-ringgate-*`: the gateway's own. No peer's passes.
            Reserved,
            /// `mcp-param-*`: a tool argument mirrored by its client (MCP 2026-07-28).
            McpParam,
            /// Any other `mcp-*`: the protocol's own, of a revision to come.
            Mcp,
            /// Any other name.
            Other,
        }

        /// The names, in the order of their ids and in lower case.
        const NAMES: &[&str] = &[$($name,)*];
        const IDS: &[HeaderId] = &[$(HeaderId::$id,)*];
    };
}

known_headers! {
    Host = "host",
    Connection = "connection",
    KeepAlive = "keep-alive",
    ProxyConnection = "proxy-connection",
    Te = "te",
    Trailer = "trailer",
    TransferEncoding = "transfer-encoding",
    Upgrade = "upgrade",
    Http2Settings = "http2-settings",
    ContentLength = "content-length",
    ContentType = "content-type",
    ContentEncoding = "content-encoding",
    ContentRange = "content-range",
    Range = "range",
    Accept = "accept",
    AcceptEncoding = "accept-encoding",
    AcceptLanguage = "accept-language",
    Origin = "origin",
    Expect = "expect",
    Authorization = "authorization",
    ProxyAuthorization = "proxy-authorization",
    ProxyAuthenticate = "proxy-authenticate",
    Cookie = "cookie",
    McpProtocolVersion = "mcp-protocol-version",
    McpMethod = "mcp-method",
    McpName = "mcp-name",
    McpSessionId = "mcp-session-id",
    LastEventId = "last-event-id",
    UserAgent = "user-agent",
    Traceparent = "traceparent",
    Tracestate = "tracestate",
    Baggage = "baggage",
    XRequestId = "x-request-id",
    XApiKey = "x-api-key",
    CacheControl = "cache-control",
    Date = "date",
    Server = "server",
    Location = "location",
    RetryAfter = "retry-after",
    Allow = "allow",
    Vary = "vary",
    Etag = "etag",
    AccessControlRequestMethod = "access-control-request-method",
    AccessControlRequestHeaders = "access-control-request-headers",
    XAccelBuffering = "x-accel-buffering",
    SecFetchMode = "sec-fetch-mode",
    SecFetchSite = "sec-fetch-site",
}

impl HeaderId {
    /// How many ids there are.
    pub const COUNT: usize = Self::Other as usize + 1;

    /// What header `name` is. `name` must be a token (RFC 9110 section 5.6.2); the head parser
    /// guarantees that. Other bytes give some answer too, but not a meaningful one.
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        let [first, ..] = name else { return Self::Other };
        let at = TABLE[slot(name)] as usize;
        match NAMES.get(at) {
            Some(known) if same_token(name, known.as_bytes()) => IDS[at],
            _ => match first | 0x20 {
                b'x' | b'm' => Self::family_of(name),
                _ => Self::Other,
            },
        }
    }

    fn family_of(name: &[u8]) -> Self {
        let starts = |prefix: &[u8]| name.len() > prefix.len() && same_token(&name[..prefix.len()], prefix);
        if starts(b"x-ringgate-") {
            Self::Reserved
        } else if starts(b"mcp-param-") {
            Self::McpParam
        } else if starts(b"mcp-") && memchr::memchr(b'_', name).is_none() {
            Self::Mcp
        } else {
            Self::Other
        }
    }

    /// Whether `name` is none of the known ones but becomes one when `_` is read as `-`, as CGI-style
    /// servers read it. Such a twin would let a client say one thing to the gateway and another to the
    /// server behind it.
    pub fn has_disguise(name: &[u8]) -> bool {
        if memchr::memchr(b'_', name).is_none() {
            return false;
        }
        let mut plain = [0; NAME_BYTES_MAX];
        let length = name.len().min(plain.len());
        for (to, &from) in plain.iter_mut().zip(name) {
            *to = if from == b'_' { b'-' } else { from };
        }
        // A longer name can only belong to a family, and its start tells which.
        Self::of(&plain[..length]) != Self::Other
    }

    /// Whether the header concerns one connection only, so that a proxy must not pass it on
    /// (RFC 9110 section 7.6.1). What `Connection` names besides must not be passed on either.
    pub fn is_hop_by_hop(self) -> bool {
        HeaderSet::HOP_BY_HOP.contains(self)
    }

    /// The name in lower case; for a family its prefix, and nothing for [`HeaderId::Other`].
    pub fn name(self) -> &'static str {
        match NAMES.get(self as usize) {
            Some(name) => name,
            None if self == Self::Reserved => "x-ringgate-",
            None if self == Self::McpParam => "mcp-param-",
            None if self == Self::Mcp => "mcp-",
            None => "",
        }
    }
}

impl fmt::Debug for HeaderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Other { "(other)" } else { self.name() })
    }
}

/// A set of headers, for instance those that a proxy leaves out. One word.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct HeaderSet(u64);

impl HeaderSet {
    /// No header.
    pub const NONE: Self = Self(0);

    /// Headers of one connection (RFC 9110 section 7.6.1), with the older ones that are still seen.
    pub const HOP_BY_HOP: Self = Self::of(&[
        HeaderId::Connection,
        HeaderId::KeepAlive,
        HeaderId::ProxyConnection,
        HeaderId::ProxyAuthorization,
        HeaderId::ProxyAuthenticate,
        HeaderId::Te,
        HeaderId::Trailer,
        HeaderId::TransferEncoding,
        HeaderId::Upgrade,
        HeaderId::Http2Settings,
    ]);

    /// The set of `ids`.
    pub const fn of(ids: &[HeaderId]) -> Self {
        let (mut bits, mut i) = (0, 0);
        while i < ids.len() {
            bits |= 1 << ids[i] as u64;
            i += 1;
        }
        Self(bits)
    }

    /// All that are in `self` or in `other`.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// All that are in `self` and not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// All that are in both.
    #[must_use]
    pub const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether `id` is in the set.
    #[inline]
    pub const fn contains(self, id: HeaderId) -> bool {
        self.0 >> id as u64 & 1 == 1
    }

    /// Adds `id`.
    #[inline]
    pub const fn insert(&mut self, id: HeaderId) {
        self.0 |= 1 << id as u64;
    }

    /// Whether there is nothing in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Debug for HeaderSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(IDS.iter().filter(|&&id| self.contains(id))).finish()
    }
}

/// Whether `name` equals `known` but for the case of its letters. `known` is lower case.
///
/// With one bit forced this is exact for tokens against letters, digits and `-`, the only bytes in the
/// known names: no other token byte turns into one of these. Compares in words that may overlap, as byte
/// by byte it was a sixth of the cost of a head.
#[inline]
fn same_token(name: &[u8], known: &[u8]) -> bool {
    if name.len() != known.len() {
        return false;
    }
    match (name.first_chunk::<8>(), name.last_chunk::<8>(), known.first_chunk::<8>(), known.last_chunk::<8>())
    {
        (Some(start), Some(end), Some(known_start), Some(known_end)) => {
            let middle = || {
                let (name, known) = (name[8..].chunks_exact(8), known[8..].chunks_exact(8));
                name.zip(known).all(|(a, b)| a.iter().zip(b).all(|(&a, &b)| a | 0x20 == b))
            };
            lower(*start) == u64::from_ne_bytes(*known_start)
                && lower(*end) == u64::from_ne_bytes(*known_end)
                && (name.len() <= 16 || middle())
        }
        _ => name.iter().zip(known).all(|(&a, &b)| a | 0x20 == b),
    }
}

#[inline]
fn lower(bytes: [u8; 8]) -> u64 {
    u64::from_ne_bytes(bytes) | 0x2020_2020_2020_2020
}

/// Where in [`TABLE`] a name is looked up. The factors were searched for; [`fill`] proves them.
#[inline]
const fn slot(name: &[u8]) -> usize {
    let length = name.len();
    let (first, third, last) = (name[0] | 0x20, name[length * 3 / 4] | 0x20, name[length - 1] | 0x20);
    let sum = length * 214 + first as usize * 44 + last as usize * 189 + third as usize * 208;
    sum & (TABLE.len() - 1)
}

const NO_NAME: u8 = u8::MAX;
static TABLE: [u8; 256] = fill();

/// Longest known name.
const NAME_BYTES_MAX: usize = 32;

const fn fill() -> [u8; 256] {
    let mut table = [NO_NAME; 256];
    let mut at = 0;
    while at < NAMES.len() {
        let name = NAMES[at].as_bytes();
        assert!(name.len() <= NAME_BYTES_MAX, "raise NAME_BYTES_MAX");
        let slot = slot(name);
        assert!(table[slot] == NO_NAME, "two known headers share a slot: search for other factors");
        table[slot] = at as u8;
        at += 1;
    }
    table
}

const _: () = assert!(HeaderId::COUNT <= 64, "a set of headers is one word");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case() {
        for (name, &id) in NAMES.iter().zip(IDS) {
            assert_eq!(HeaderId::of(name.as_bytes()), id);
            assert_eq!(HeaderId::of(name.to_ascii_uppercase().as_bytes()), id);
            assert_eq!(id.name(), *name);
            assert_ne!(HeaderId::of(format!("{name}x").as_bytes()), id);
            assert_ne!(HeaderId::of(&name.as_bytes()[1..]), id);
        }
    }

    #[test]
    fn a_name_with_one_other_byte_is_another_name() {
        let tokens =
            (b'!'..=b'~').filter(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte));
        for (name, &id) in NAMES.iter().zip(IDS) {
            for (at, byte) in (0..name.len()).flat_map(|at| tokens.clone().map(move |byte| (at, byte))) {
                let mut other = name.as_bytes().to_vec();
                let same = other[at].eq_ignore_ascii_case(&byte);
                other[at] = byte;
                assert_eq!(HeaderId::of(&other) == id, same, "{}", other.escape_ascii());
            }
        }
    }

    #[test]
    fn families_are_found_by_prefix() {
        let cases: &[(&str, HeaderId)] = &[
            ("Mcp-Param-Region", HeaderId::McpParam),
            ("Mcp-Param-", HeaderId::Mcp),
            ("mcp-paramregion", HeaderId::Mcp),
            ("MCP-", HeaderId::Other),
            ("mcp", HeaderId::Other),
            ("X-Mcp-Method", HeaderId::Other),
            ("X-RINGGATE-Principal", HeaderId::Reserved),
            ("x-ringgat", HeaderId::Other),
            ("x", HeaderId::Other),
            ("", HeaderId::Other),
        ];
        for &(name, id) in cases {
            assert_eq!(HeaderId::of(name.as_bytes()), id, "{name}");
        }
    }

    #[test]
    fn an_underscore_does_not_hide_a_known_name() {
        for name in [
            "Content_Length",
            "mcp_method",
            "Mcp-Session_Id",
            "X_Ringgate_User",
            "mcp_param_of_a_very_long_name_indeed_no_end",
            "Mcp_Next",
        ] {
            assert_eq!(HeaderId::of(name.as_bytes()), HeaderId::Other, "{name}");
            assert!(HeaderId::has_disguise(name.as_bytes()), "{name}");
        }
        for name in ["my_header", "_", "content-length", "x_foo", "x_forwarded_for"] {
            assert!(!HeaderId::has_disguise(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        let mut set = HeaderSet::of(&[HeaderId::Host, HeaderId::Other]);
        assert!(set.contains(HeaderId::Host) && set.contains(HeaderId::Other));
        assert!(!set.contains(HeaderId::Accept));
        set.insert(HeaderId::Accept);
        assert!(set.contains(HeaderId::Accept));
        assert!(set.common(HeaderSet::HOP_BY_HOP).is_empty());
        assert!(HeaderId::TransferEncoding.is_hop_by_hop() && !HeaderId::ContentLength.is_hop_by_hop());
    }
}
