//! Where the load goes: an `http://` or `https://` URL or a Unix socket, loopback unless allowed otherwise.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

/// A socket address to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// TCP.
    Inet(SocketAddr),
    /// A Unix stream socket.
    Unix(PathBuf),
}

impl Address {
    /// Whether traffic to it cannot leave this machine.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Inet(inet) => inet.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

/// An address with the HTTP path and the `Host` to name there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where to connect.
    pub address: Address,
    /// The value of the `Host` header.
    pub host: String,
    /// The request target, always starting with `/`.
    pub path: String,
    /// The host to ask for (SNI) and to find in the certificate; `None` without TLS.
    pub tls_host: Option<String>,
}

impl Target {
    /// Reads `http://host[:port]/path`, `https://host[:port]/path` or `unix:/socket[:/path]`.
    ///
    /// # Errors
    /// A sentence for the user: unknown scheme, unusable path, or a name that does not resolve.
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        let target = if let Some(rest) = url.strip_prefix("http://") {
            Self::parse_http(rest, 80)?
        } else if let Some(rest) = url.strip_prefix("https://") {
            let mut target = Self::parse_http(rest, 443)?;
            target.tls_host = Some(host_of(&target.host).to_owned());
            target
        } else if let Some(rest) = url.strip_prefix("unix:") {
            Self::parse_unix(rest)?
        } else {
            return Err(AddressError(format!(
                "{url}: expected http://HOST:PORT/PATH, https://HOST:PORT/PATH or unix:/SOCKET:/PATH"
            )));
        };
        if target.path.bytes().any(|byte| !(0x21..=0x7e).contains(&byte)) {
            return Err(AddressError(format!(
                "{url}: the path must be visible ASCII (percent-encode the rest)"
            )));
        }
        Ok(target)
    }

    fn parse_http(rest: &str, usual_port: u16) -> Result<Self, AddressError> {
        let (authority, path) = match rest.find('/') {
            Some(slash) => (&rest[..slash], &rest[slash..]),
            None => (rest, "/"),
        };
        if authority.is_empty() || authority.contains('@') || !authority.is_ascii() {
            return Err(AddressError(format!("//{rest}: no usable host")));
        }
        let has_port = port_at(authority).is_some();
        let dialled = if has_port { authority.to_owned() } else { format!("{authority}:{usual_port}") };
        let found: Vec<SocketAddr> = dialled
            .to_socket_addrs()
            .map_err(|error| AddressError(format!("{authority}: {error}")))?
            .collect();
        // Of the addresses of a name such as localhost, servers listen on the IPv4 one more often.
        let chosen = found.iter().find(|inet| inet.is_ipv4()).or_else(|| found.first());
        let inet = *chosen.ok_or_else(|| AddressError(format!("{authority}: no address")))?;
        Ok(Self {
            address: Address::Inet(inet),
            host: authority.to_owned(),
            path: path.to_owned(),
            tls_host: None,
        })
    }

    fn parse_unix(rest: &str) -> Result<Self, AddressError> {
        let (socket, path) = match rest.split_once(":/") {
            Some((socket, path)) => (socket, format!("/{path}")),
            None => (rest, "/".to_owned()),
        };
        if !socket.starts_with('/') {
            return Err(AddressError(format!("unix:{rest}: the socket needs an absolute path")));
        }
        Ok(Self {
            address: Address::Unix(PathBuf::from(socket)),
            host: "localhost".to_owned(),
            path,
            tls_host: None,
        })
    }
}

/// Where the colon before the port stands, if there is one.
fn port_at(authority: &str) -> Option<usize> {
    let bracketed_end = authority.rfind(']').map_or(0, |at| at + 1);
    Some(bracketed_end + authority[bracketed_end..].find(':')?)
}

/// The host alone: without port, and without the brackets of an IPv6 address.
fn host_of(authority: &str) -> &str {
    let host = port_at(authority).map_or(authority, |at| &authority[..at]);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Why a target cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressError(String);

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AddressError {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn http_urls_give_address_host_and_path() {
        let target = Target::parse("http://127.0.0.1:8080/demo/mcp").unwrap();
        assert_eq!(target.address, Address::Inet("127.0.0.1:8080".parse().unwrap()));
        assert_eq!((target.host.as_str(), target.path.as_str()), ("127.0.0.1:8080", "/demo/mcp"));
        assert_eq!(Target::parse("http://127.0.0.1").unwrap().path, "/");
        let six = Target::parse("http://[::1]:81/x").unwrap();
        assert_eq!(six.address, Address::Inet("[::1]:81".parse().unwrap()));
        let six = Target::parse("http://[::1]/x").unwrap();
        assert_eq!(six.address, Address::Inet("[::1]:80".parse().unwrap()));
    }

    #[test]
    fn https_urls_name_the_host_of_the_certificate() {
        for (url, inet, host) in [
            ("https://127.0.0.1:8443/x", "127.0.0.1:8443", "127.0.0.1"),
            ("https://127.0.0.1/x", "127.0.0.1:443", "127.0.0.1"),
            ("https://[::1]/x", "[::1]:443", "::1"),
            ("https://[::1]:8443/x", "[::1]:8443", "::1"),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!(target.address, Address::Inet(inet.parse().unwrap()), "{url}");
            assert_eq!((target.tls_host.as_deref(), target.path.as_str()), (Some(host), "/x"), "{url}");
        }
        assert_eq!(Target::parse("https://localhost:1/").unwrap().tls_host.as_deref(), Some("localhost"));
        assert_eq!(Target::parse("http://127.0.0.1:1/").unwrap().tls_host, None);
    }

    #[test]
    fn unix_sockets_take_an_optional_path() {
        let target = Target::parse("unix:/run/gate.sock:/demo/mcp").unwrap();
        assert_eq!(target.address, Address::Unix("/run/gate.sock".into()));
        assert_eq!(target.path, "/demo/mcp");
        assert_eq!(Target::parse("unix:/run/gate.sock").unwrap().path, "/");
    }

    #[test]
    fn unusable_targets_are_refused() {
        for url in [
            "https:///x",
            "ftp://127.0.0.1/",
            "127.0.0.1:80",
            "http:///x",
            "http://u@127.0.0.1/",
            "unix:gate.sock",
        ] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
        assert!(Target::parse("http://127.0.0.1/a b").is_err());
    }

    #[test]
    fn only_loopback_and_unix_sockets_are_local() {
        assert!(Target::parse("http://127.8.9.1:80/").unwrap().address.is_local());
        assert!(Target::parse("http://[::1]:80/").unwrap().address.is_local());
        assert!(Target::parse("http://[::ffff:127.0.0.1]:80/").unwrap().address.is_local());
        assert!(Target::parse("unix:/x").unwrap().address.is_local());
        assert!(!Target::parse("http://192.0.2.1:80/").unwrap().address.is_local());
        assert!(!Target::parse("http://0.0.0.0:80/").unwrap().address.is_local());
    }
}
