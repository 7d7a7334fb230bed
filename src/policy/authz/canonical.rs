//! URIs in the one spelling that rules go by.
//!
//! Many spellings lead to one resource, and each server has its own way of reading them: `new URL` of JavaScript drops
//! tabs, lowers the case and resolves `..`; `urlparse(uri).path` of Python never looks at the host. A rule compares
//! text. So where rules tell resources apart, a URI that some reader would take for another one is not let through:
//! there is nothing to guess, and a server's own lists are in this spelling already.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Pattern;

/// Schemes of which readers know more than of others (WHATWG URL, "special schemes"), with the port that goes
/// without saying.
const SPECIAL: [(&str, &str); 5] =
    [("http", "80"), ("https", "443"), ("ws", "80"), ("wss", "443"), ("ftp", "21")];

/// Why a URI is not in its canonical spelling; `None` if it is. Goes over the text once.
///
/// Canonical is (RFC 3986 section 6.2.2): a scheme in lower case; no character that a URI cannot have, such as blanks,
/// control characters, backslashes, braces and letters that are not ASCII; `%` only with two upper-case digits, and not
/// for letters, digits, `-`, `.`, `_`, `~` and NUL; no segment `.` or `..`, also not between `%2F` or `%5C`; a host in
/// lower case. Besides, `file:` is followed by `///`, without a host, empty segments, `%2F`, `%5C`, `?` and `#`; and
/// `http`, `https`, `ws`, `wss` and `ftp` have a host as browsers write it, no user, no usual port, at least `/` as
/// path, and no `#`.
pub fn fault(uri: &str) -> Option<&'static str> {
    if let Some(fault) = bytes(uri.as_bytes()) {
        return Some(fault);
    }
    let Some((scheme, rest)) = uri.split_once(':') else { return Some("it has no scheme") };
    if let Some(fault) = scheme_fault(scheme) {
        return Some(fault);
    }
    let (hierarchy, fragment) = match rest.split_once('#') {
        Some((before, fragment)) => (before, Some(fragment)),
        None => (rest, None),
    };
    let (hierarchy, query) = match hierarchy.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (hierarchy, None),
    };
    let (authority, path) = match hierarchy.strip_prefix("//") {
        Some(behind) => {
            let end = behind.find('/').unwrap_or(behind.len());
            (Some(&behind[..end]), &behind[end..])
        }
        None => (None, hierarchy),
    };
    if has_dot_segments(path) || [query, fragment].into_iter().flatten().any(has_dot_segments) {
        return Some("it has a segment `.` or `..`");
    }
    if authority.is_some_and(|authority| host(authority).bytes().any(|byte| byte.is_ascii_uppercase())) {
        return Some("its host is not in lower case");
    }
    if scheme == "file" {
        return file(authority, path, query.is_some() || fragment.is_some());
    }
    let (_, port) = SPECIAL.iter().find(|(special, _)| *special == scheme)?;
    web(authority, path, fragment.is_some(), port)
}

/// As [`fault`] of a URI template (RFC 6570), of which the expressions may be anything.
pub fn template_fault(template: &str) -> Option<&'static str> {
    let mut plain = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        plain.push_str(before);
        let Some((expression, behind)) = behind.split_once('}') else { break };
        let is_one = |byte: u8| byte.is_ascii_alphanumeric() || b"_.,+#/;?&:*".contains(&byte);
        if expression.contains("..") || !expression.bytes().all(is_one) {
            return Some("its braces are not around an expression of a URI template");
        }
        plain.push_str(if plain == "file://" { "/x" } else { "x" });
        rest = behind;
    }
    // An open brace that nothing closes is no character of a URI.
    plain.push_str(rest);
    fault(&plain)
}

/// Why a pattern matches no URI in its canonical spelling; `None` if there is one that it matches, as far as that can
/// be told by trying.
pub fn pattern_fault(pattern: &Pattern) -> Option<&'static str> {
    if let Some(uri) = pattern.literal() {
        return template_fault(uri);
    }
    let others = ["x", "/x", ""];
    let tries = FILLERS.iter().flat_map(|first| others.map(|other| pattern.filled(first, other)));
    let mut faults = tries.map(|uri| template_fault(&uri));
    let first = faults.next()?;
    // The plainest filling of them says best what is wrong.
    if faults.any(|fault| fault.is_none()) { None } else { first }
}

/// What may stand for the first wildcard of a pattern: so much of a URI that the rest can be canonical.
const FILLERS: [&str; 11] =
    ["x", "", "/x", "x:", "x:x", "x:/x", "x://x/x", "://x/x", ":///x", "///x", "//x/x"];

/// Whether a text has a segment `.` or `..`, in any of the ways to write these, between slashes of any kind.
pub fn has_dot_segments(text: &str) -> bool {
    // Without a dot or its escape there is none, and most texts end here.
    let may = memchr::memchr2(b'.', b'%', text.as_bytes()).is_some();
    may && {
        let mut segment = Segment::default();
        let mut rest = text.as_bytes();
        loop {
            let Some(unit) = Unit::next(&mut rest) else { return segment.is_dots() };
            match unit {
                Unit::Slash if segment.is_dots() => return true,
                Unit::Slash => segment = Segment::default(),
                Unit::Dot => segment.dots += 1,
                Unit::Other => segment.others = true,
            }
        }
    }
}

/// What a reader of segments sees.
enum Unit {
    Slash,
    Dot,
    Other,
}

impl Unit {
    fn next(rest: &mut &[u8]) -> Option<Self> {
        let (unit, length) = match **rest {
            [] => return None,
            [b'/' | b'\\', ..] | [b'?' | b'#', ..] => (Self::Slash, 1),
            [b'.', ..] => (Self::Dot, 1),
            [b'%', b'2', b'e' | b'E', ..] => (Self::Dot, 3),
            [b'%', b'2', b'f' | b'F', ..] | [b'%', b'5', b'c' | b'C', ..] => (Self::Slash, 3),
            _ => (Self::Other, 1),
        };
        *rest = &rest[length..];
        Some(unit)
    }
}

#[derive(Default)]
struct Segment {
    dots: usize,
    others: bool,
}

impl Segment {
    fn is_dots(&self) -> bool {
        !self.others && matches!(self.dots, 1 | 2)
    }
}

/// What is wrong with single bytes and escapes.
fn bytes(uri: &[u8]) -> Option<&'static str> {
    let mut rest = uri;
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'%' => {
                let Some((&[high, low], behind)) = behind.split_first_chunk() else {
                    return Some("it has a `%` without two digits");
                };
                let (Some(high), Some(low)) = (digit(high), digit(low)) else {
                    return Some("it has a `%` that is not before two digits in upper case");
                };
                match high << 4 | low {
                    0 => return Some("it has the byte zero"),
                    plain if is_unreserved(plain) => {
                        return Some("it has a `%` escape of a character that needs none");
                    }
                    _ => rest = behind,
                }
            }
            0..=0x20 | 0x7f.. => return Some("it has a blank, a control character or one that is not ASCII"),
            b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => {
                return Some("it has a backslash, a quote or a bracket that a URI cannot have");
            }
            _ => {}
        }
    }
    None
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// RFC 3986 section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn scheme_fault(scheme: &str) -> Option<&'static str> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    match scheme.as_bytes() {
        [first, rest @ ..] if first.is_ascii_lowercase() && rest.iter().copied().all(plain) => None,
        all if all.iter().any(u8::is_ascii_uppercase) => Some("its scheme is not in lower case"),
        _ => Some("it has no scheme"),
    }
}

/// The host of an authority, with its port.
fn host(authority: &str) -> &str {
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

fn file(authority: Option<&str>, path: &str, has_more: bool) -> Option<&'static str> {
    match authority {
        None => return Some("`file:` is not followed by `///`"),
        Some("") => {}
        Some(_) => return Some("it has a host, which some servers do not look at"),
    }
    if has_more {
        return Some("it has a `?` or `#`, which some servers do not look at");
    }
    if path.contains("//") {
        return Some("it has two slashes where one is meant");
    }
    if !path.starts_with('/') {
        return Some("`file:` is not followed by `///`");
    }
    let escaped = path.contains('%') && (path.contains("%2F") || path.contains("%5C"));
    escaped.then_some("it has a slash that is written as `%2F` or `%5C`")
}

/// A URI whose server is found by its host.
fn web(authority: Option<&str>, path: &str, has_fragment: bool, usual_port: &str) -> Option<&'static str> {
    let Some(authority) = authority.filter(|authority| !authority.is_empty()) else {
        return Some("it has no host");
    };
    if authority.contains('@') {
        return Some("it has a user before its host");
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if let Some(port) = port {
        let plain =
            !port.is_empty() && !port.starts_with('0') && port.bytes().all(|byte| byte.is_ascii_digit());
        if !plain || port == usual_port {
            return Some("it has a port that goes without saying, or that is no number");
        }
    }
    if !is_plain_host(host) {
        return Some("its host is not written as browsers write it");
    }
    if !path.starts_with('/') {
        return Some("it has no path, not even `/`");
    }
    has_fragment.then_some("it has a `#`, which servers do not look at")
}

/// Whether a host is a name in its usual form, or an address as it is written when it is made (WHATWG URL).
fn is_plain_host(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().is_ok_and(|address| address.to_string() == inner);
    }
    let of_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    if host.split('.').any(str::is_empty) || !host.bytes().all(of_name) {
        return false;
    }
    // A name whose last part begins with a digit is read as an address, also `127.1` and `0x7f000001`.
    let is_number =
        host.rsplit('.').next().is_some_and(|last| last.starts_with(|first: char| first.is_ascii_digit()));
    !is_number || host.parse::<Ipv4Addr>().is_ok()
}

#[cfg(test)]
mod tests;
