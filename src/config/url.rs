//! URLs of servers, origins and hosts. A small strict reader: what is unusual in a URL is a finding,
//! not something to be interpreted.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::snapshot::Address;
use super::text::socket_path;
use crate::schema::finding::Problem;
use crate::schema::units::shorten;

/// The URL of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointUrl {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Where.
    pub address: Address,
    /// The `Host` value.
    pub authority: String,
    /// Path and query; `None` if the URL has no path.
    pub target: Option<String>,
}

/// A scheme and an authority, in the spelling of browsers (RFC 6454 section 6.2): lower case, and no
/// port where it is the scheme's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// As in `https`.
    pub scheme: String,
    /// `host` or `host:port`.
    pub authority: String,
}

impl Origin {
    /// `scheme://authority`.
    pub fn serialize(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }
}

/// The URL of an endpoint: `http`, `https`, or `unix:/socket[:/path]`.
pub fn endpoint(text: &str) -> Result<EndpointUrl, Problem> {
    if let Some(rest) = text.strip_prefix("unix:") {
        let (socket, target) = match rest.split_once(":/") {
            Some((socket, _)) => (socket, Some(&rest[socket.len() + 1..])),
            None => (rest, None),
        };
        let address = Address::Unix(socket_path(socket)?);
        let target = target.map(target_of).transpose()?;
        return Ok(EndpointUrl { tls: false, address, authority: "localhost".to_owned(), target });
    }
    let (scheme, rest) = split_scheme(text)?;
    let tls = match scheme.as_str() {
        "http" => false,
        "https" => true,
        _ => {
            let fix =
                "use `http`, `https` or `unix`; a server on standard input and output needs a bridge to HTTP";
            return Err(Problem::new(format!("`{}` is not a scheme of a server", shorten(&scheme)), fix));
        }
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let Authority { host, port } = authority_of(authority, text)?;
    let target = (!target.is_empty()).then(|| target_of(target)).transpose()?;
    let default_port = if tls { 443 } else { 80 };
    let authority = port
        .filter(|&port| port != default_port)
        .map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
    let host = host.trim_start_matches('[').trim_end_matches(']').into();
    Ok(EndpointUrl {
        tls,
        address: Address::Tcp { host, port: port.unwrap_or(default_port) },
        authority,
        target,
    })
}

/// An origin of `origins`: any scheme, since extensions and desktop programs have their own.
pub fn origin(text: &str) -> Result<Origin, Problem> {
    let (scheme, rest) = split_scheme(text)?;
    if let Some(cut) = rest.find(['/', '?', '#']) {
        let fix = match rest[..cut].is_empty() {
            true => "write `scheme://host[:port]`".to_owned(),
            false => format!("write `{}`", shorten(&text[..text.len() - rest.len() + cut])),
        };
        return Err(Problem::new("has a path", format!("{fix}: an origin ends with its host and port")));
    }
    let Authority { host, port } = authority_of(rest, text)?;
    let default_port = match scheme.as_str() {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    };
    let port = port.filter(|&port| Some(port) != default_port);
    let authority = port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
    Ok(Origin { scheme, authority })
}

/// The value of `public_url`.
pub fn public_url(text: &str) -> Result<Origin, Problem> {
    let origin = origin(text.strip_suffix('/').unwrap_or(text))?;
    if origin.scheme == "http" || origin.scheme == "https" {
        return Ok(origin);
    }
    Err(Problem::new(
        format!("`{}` is not a scheme of a gateway", shorten(&origin.scheme)),
        "use `https` or `http`",
    ))
}

/// An element of `hosts`, in lower case.
pub fn host_entry(text: &str) -> Result<String, Problem> {
    if text.contains("://") {
        return Err(Problem::new("has a scheme", "write only `host` or `host:port`"));
    }
    if text.contains('*') {
        return Err(Problem::new(
            "has a `*`",
            "name each host; to serve every host behind a load balancer, listen on another address than loopback and remove `hosts`",
        ));
    }
    let Authority { host, port } = authority_of(text, text)?;
    Ok(port.map_or_else(|| host.clone(), |port| format!("{host}:{port}")))
}

/// A name that a certificate can have.
pub fn tls_name(text: &str) -> Result<String, Problem> {
    match rustls_pki_types::ServerName::try_from(text) {
        Ok(_) => Ok(text.to_ascii_lowercase()),
        Err(_) => Err(Problem::new(
            format!("`{}` is not a name that a certificate can have", shorten(text)),
            "write a host name such as `mcp.internal.example`, or an address",
        )),
    }
}

/// Scheme in lower case, and what follows `://`.
fn split_scheme(text: &str) -> Result<(String, &str), Problem> {
    let problem = || {
        Problem::new(
            format!("`{}` is not a URL", quotable(text)),
            "begin it with a scheme, as in `http://host:port`",
        )
    };
    let (scheme, rest) = text.split_once("://").ok_or_else(problem)?;
    let tail = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if scheme.starts_with(|char: char| char.is_ascii_alphabetic()) && scheme.bytes().all(tail) {
        Ok((scheme.to_ascii_lowercase(), rest))
    } else {
        Err(problem())
    }
}

/// `text` as far as it may be shown: no user, no password, no query, which may hold a token.
fn quotable(text: &str) -> String {
    let shown = text.split('?').next().unwrap_or_default();
    if shown.contains('@') { "***".to_owned() } else { shorten(shown) }
}

struct Authority {
    /// Lower case; an IPv6 address in its brackets.
    host: String,
    port: Option<u16>,
}

/// Reads `host[:port]`. `whole` is what is shown when something is wrong.
fn authority_of(text: &str, whole: &str) -> Result<Authority, Problem> {
    if text.contains('@') {
        let fix = "remove it, and send credentials by `headers` with `env:NAME`";
        return Err(Problem::new("has a user or password in its URL", fix));
    }
    let host_end = if text.starts_with('[') {
        text.find(']').map_or(text.len(), |end| end + 1)
    } else {
        text.find(':').unwrap_or(text.len())
    };
    let (host, port) = text.split_at(host_end);
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        Some(digits) => match crate::schema::units::count(digits).and_then(|port| u16::try_from(port).ok()) {
            Some(port) if port > 0 => Some(port),
            _ => {
                return Err(Problem::new(
                    format!("`{}` has a port that is not from 1 to 65535", quotable(whole)),
                    "write `host:port`",
                ));
            }
        },
        None => {
            return Err(Problem::new(
                format!("`{}` is not understood after its host", quotable(whole)),
                "write `host:port`",
            ));
        }
    };
    match host_of(host) {
        Some(host) => Ok(Authority { host, port }),
        None => Err(Problem::new(
            format!("`{}` has no usable host", quotable(whole)),
            "write a host name, an IPv4 address, or an IPv6 address in brackets",
        )),
    }
}

/// The host in lower case, if it is a name or an address. Other spellings of addresses (`127.1`,
/// `0x7f000001`) are no names.
fn host_of(text: &str) -> Option<String> {
    if let Some(address) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().ok().map(|address| format!("[{address}]"));
    }
    if text.parse::<Ipv4Addr>().is_ok() {
        return Some(text.to_owned());
    }
    let labels = text.strip_suffix('.').unwrap_or(text);
    let good = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(inner)
    };
    let last = labels.rsplit('.').next().unwrap_or_default();
    let numeric = last.starts_with(|char: char| char.is_ascii_digit())
        && (last.bytes().all(|byte| byte.is_ascii_digit())
            || last.starts_with("0x")
            || last.starts_with("0X"));
    (labels.len() <= 253 && labels.split('.').all(good) && !numeric).then(|| text.to_ascii_lowercase())
}

/// Path and query as they will be sent.
fn target_of(text: &str) -> Result<String, Problem> {
    if text.contains('#') {
        return Err(Problem::new("has a fragment", "remove the `#` and what follows it"));
    }
    if !text.starts_with('/') {
        return Err(Problem::new("has a query but no path", "write the path before the `?`"));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte);
    if !text.bytes().all(allowed) {
        let fix = "escape them as %XX";
        return Err(Problem::new("has characters that the path of a URL cannot have", fix));
    }
    if text.len() > 2048 {
        return Err(Problem::new("has a path and query of more than 2048 bytes", "shorten it"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn urls_become_addresses_hosts_and_targets() {
        for (text, tls, host, port, authority, target) in [
            ("http://a.example:3001/mcp", false, "a.example", 3001, "a.example:3001", Some("/mcp")),
            ("HTTPS://A.Example/x?y=1", true, "a.example", 443, "a.example", Some("/x?y=1")),
            ("http://a:80", false, "a", 80, "a", None),
            ("https://a:80/", true, "a", 80, "a:80", Some("/")),
            ("http://[::1]:9/m", false, "::1", 9, "[::1]:9", Some("/m")),
            ("http://10.0.0.1/m", false, "10.0.0.1", 80, "10.0.0.1", Some("/m")),
        ] {
            let url = endpoint(text).unwrap();
            assert_eq!(url.address, Address::Tcp { host: host.into(), port }, "{text}");
            assert_eq!(
                (url.tls, url.authority.as_str(), url.target.as_deref()),
                (tls, authority, target),
                "{text}"
            );
        }
    }

    #[test]
    fn the_first_colon_slash_ends_the_socket() {
        for (text, socket, target) in [
            ("unix:/run/a.sock", "/run/a.sock", None),
            ("unix:/run/a.sock:/mcp", "/run/a.sock", Some("/mcp")),
            ("unix:/run/a.sock:/m:/n", "/run/a.sock", Some("/m:/n")),
        ] {
            let url = endpoint(text).unwrap();
            assert_eq!(url.address, Address::Unix(socket.into()), "{text}");
            assert_eq!(url.target.as_deref(), target, "{text}");
        }
    }

    #[test]
    fn unusual_urls_are_refused() {
        for text in [
            "",
            "host:80",
            "ftp://a/",
            "stdio://a",
            "http://",
            "http://:80",
            "http://a:0/",
            "http://a:99999/",
            "http://a:b/",
            "http://127.1/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://a b/",
            "http://a/ b",
            "http://a/#f",
            "http://a?b",
            "http://[::1/",
            "http://[::1]x/",
            "http://a..b/",
            "http://ä/",
            "http://a/\u{7f}",
            "unix:a",
            "unix:/a:b",
        ] {
            assert!(endpoint(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_not_repeated() {
        for text in ["http://user:hunter2@a/", "http:/user:hunter2@a/", "https://hunter2@a:x/"] {
            assert!(!format!("{:?}", endpoint(text).unwrap_err()).contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn origins_are_written_as_browsers_do() {
        for (text, expected) in [
            ("https://App.Example:443", "https://app.example"),
            ("http://localhost:5173", "http://localhost:5173"),
            ("http://[0:0::1]:1", "http://[::1]:1"),
            ("chrome-extension://abcdef", "chrome-extension://abcdef"),
        ] {
            assert_eq!(origin(text).unwrap().serialize(), expected);
        }
        for text in ["app.example", "https://a/", "https://a/b", "https://*.a", "null", "://a", "https://u@a"]
        {
            assert!(origin(text).is_err(), "{text}");
        }
        assert_eq!(public_url("https://a.example/").unwrap().authority, "a.example");
        assert!(public_url("ws://a").is_err());
        assert!(public_url("https://a/base").is_err());
        assert_eq!(host_entry("A.example:80").unwrap(), "a.example:80");
        for text in ["http://a", "*", "*.a", "", "a:0"] {
            assert!(host_entry(text).is_err(), "{text}");
        }
    }
}
