//! The request target (RFC 9112 section 3.2) and the Host field (RFC 9110 section 7.2).

use super::error::HeadError;
use super::request::Method;

/// A request target taken apart. Absolute form is already turned into origin form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'b> {
    pub path: &'b [u8],
    pub query: Option<&'b [u8]>,
    /// Host and port as an absolute target named them.
    pub authority: Option<&'b [u8]>,
}

impl<'b> Target<'b> {
    pub(super) fn parse(target: &'b [u8], method: Method) -> Result<Self, HeadError> {
        match target {
            [b'/', ..] => Self::origin(target, None),
            b"*" if method == Method::Options => Ok(Self { path: target, query: None, authority: None }),
            _ => Self::absolute(target, method),
        }
    }

    fn absolute(target: &'b [u8], method: Method) -> Result<Self, HeadError> {
        let rest = ["http://", "https://"]
            .iter()
            .find_map(|scheme| strip_ignoring_case(target, scheme.as_bytes()))
            .ok_or(HeadError::TargetForm)?;
        let end = memchr::memchr3(b'/', b'?', b'#', rest).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        if authority.contains(&b'@') {
            return Err(HeadError::TargetUserinfo);
        }
        if !is_host(authority) {
            return Err(HeadError::TargetForm);
        }
        match rest {
            // RFC 9112 section 3.2.4: OPTIONS for the whole server, as a proxy writes it.
            [] if method == Method::Options => {
                Ok(Self { path: b"*", query: None, authority: Some(authority) })
            }
            [] => Ok(Self { path: b"/", query: None, authority: Some(authority) }),
            [b'/', ..] => Self::origin(rest, Some(authority)),
            // An empty path with a query.
            _ => Ok(Self { path: b"/", ..Self::origin(rest, Some(authority))? }),
        }
    }

    fn origin(target: &'b [u8], authority: Option<&'b [u8]>) -> Result<Self, HeadError> {
        let (path, query) = match memchr::memchr(b'?', target) {
            Some(mark) => (&target[..mark], Some(&target[mark + 1..])),
            None => (target, None),
        };
        if !is_path(path) || !query.is_none_or(is_query) {
            return Err(HeadError::TargetByte);
        }
        Ok(Self { path, query, authority })
    }
}

fn strip_ignoring_case<'b>(bytes: &'b [u8], prefix: &[u8]) -> Option<&'b [u8]> {
    let (start, rest) = bytes.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Only what RFC 3986 section 3.3 allows in a path: no raw `"`, `<`, `>`, `\`, `^`, `{`, `|`, `}`, and
/// percent signs only before two hex digits.
fn is_path(path: &[u8]) -> bool {
    has_only(path, |byte| is_unreserved(byte) || matches!(byte, b'/' | b':' | b'@') || is_sub_delim(byte))
}

/// Any visible ASCII but `#`. Laxer than the path: nothing here decides, and clients are careless.
fn is_query(query: &[u8]) -> bool {
    query.iter().all(|&byte| byte.is_ascii_graphic() && byte != b'#')
}

/// Whether `value` is `host [":" port]`: a name of unreserved bytes and percent-encoded ones, an IPv4
/// address, or an IPv6 address in brackets. Not empty. Sub-delimiters, which no real host name has, are
/// refused, so that lists and quotes cannot hide in it.
pub(super) fn is_host(value: &[u8]) -> bool {
    let (host, rest) = match value {
        [b'[', inside @ ..] => match memchr::memchr(b']', inside) {
            Some(end) => (is_ipv6(&inside[..end]), &inside[end + 1..]),
            None => return false,
        },
        _ => {
            let end = memchr::memchr(b':', value).unwrap_or(value.len());
            (end > 0 && has_only(&value[..end], is_unreserved), &value[end..])
        }
    };
    host && match rest {
        [] => true,
        [b':', port @ ..] => is_port(port),
        _ => false,
    }
}

fn is_ipv6(inside: &[u8]) -> bool {
    std::str::from_utf8(inside).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
}

/// RFC 3986 section 3.2.3 lets the port be empty.
fn is_port(port: &[u8]) -> bool {
    let number = port.iter().try_fold(0_u32, |sum, byte| match byte {
        b'0'..=b'9' if sum <= 65_535 => Some(sum * 10 + u32::from(byte - b'0')),
        _ => None,
    });
    number.is_some_and(|number| number <= 65_535)
}

fn has_only(bytes: &[u8], allowed: impl Fn(u8) -> bool) -> bool {
    let mut rest = bytes;
    loop {
        rest = match rest {
            [] => return true,
            [b'%', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => after,
            [byte, after @ ..] if *byte != b'%' && allowed(*byte) => after,
            _ => return false,
        };
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn is_sub_delim(byte: u8) -> bool {
    matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
}
