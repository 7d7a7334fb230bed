//! The PROXY protocol, versions 1 and 2: who the client is, said by the L4 balancer in front.
//!
//! Source: HAProxy's `proxy-protocol.txt` (2020/03/05). Read it only where the listener says so: anyone
//! can write such a preface.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::http1::Parsed;

/// Longest preface of version 1 in bytes, with its CR LF (section 2.1).
pub const V1_BYTES_MAX: usize = 107;

/// Longest preface of version 2 that is worth accepting: addresses and some extensions.
pub const V2_BYTES_MAX: usize = 4096;

/// A complete preface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preface {
    /// The client's address. None if the balancer does not know it or speaks for itself (`UNKNOWN`,
    /// `LOCAL`, Unix sockets): then the address of the connection itself counts. IPv4 addresses in IPv6
    /// clothes are undressed, so that address rules see one spelling only.
    pub source: Option<SocketAddr>,
    /// The address that the client connected to, under the same conditions.
    pub destination: Option<SocketAddr>,
    /// Whether the balancer speaks for itself, as in a health check.
    pub local: bool,
    /// Length of the preface in bytes: where the client's own bytes start.
    pub len: usize,
}

/// A preface that is refused. Close the connection: there is no one to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxyError {
    /// The connection does not start with a preface of either version.
    Absent,
    /// A version 1 line that is not as section 2.1 says.
    Line,
    /// Longer than allowed, or a version 1 line without an end.
    TooLong,
    /// A version 2 preface of another version, or with an unknown command.
    Command,
    /// An address family or a transport that a TCP or Unix listener cannot have.
    Family,
    /// A version 2 preface too short for its addresses, or with extensions that do not fit it.
    Length,
}

impl ProxyError {
    /// What is wrong, in words for the operator's log.
    pub fn message(self) -> &'static str {
        match self {
            Self::Absent => "no PROXY protocol preface: is the balancer told to send one?",
            Self::Line => "malformed PROXY protocol line (version 1)",
            Self::TooLong => "PROXY protocol preface too long",
            Self::Command => "PROXY protocol version or command unknown",
            Self::Family => "PROXY protocol address family is not of a stream",
            Self::Length => "PROXY protocol preface (version 2) does not fit its length",
        }
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for ProxyError {}

/// Reads the preface at the start of `bytes`. One of version 2 may have at most `max` bytes in all;
/// [`V2_BYTES_MAX`] suits. The caller gives the same bytes again, and more, after `Partial`.
///
/// # Errors
/// As soon as the bytes cannot become a preface.
pub fn parse(bytes: &[u8], max: usize) -> Result<Parsed<Preface>, ProxyError> {
    if starts_alike(bytes, V1_START) {
        parse_v1(bytes)
    } else if starts_alike(bytes, V2_SIGNATURE) {
        parse_v2(bytes, max)
    } else {
        Err(ProxyError::Absent)
    }
}

const V1_START: &[u8] = b"PROXY ";
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_HEADER_BYTES: usize = 16;

/// Whether one is the start of the other.
fn starts_alike(bytes: &[u8], start: &[u8]) -> bool {
    let length = bytes.len().min(start.len());
    bytes[..length] == start[..length]
}

// === version 1: one line of text ===

fn parse_v1(bytes: &[u8]) -> Result<Parsed<Preface>, ProxyError> {
    let window = &bytes[..bytes.len().min(V1_BYTES_MAX)];
    let Some(end) = memchr::memchr2(b'\r', b'\n', window) else {
        return if window.len() == V1_BYTES_MAX { Err(ProxyError::TooLong) } else { Ok(Parsed::Partial) };
    };
    match &window[end..] {
        [b'\r'] if end + 1 == V1_BYTES_MAX => return Err(ProxyError::TooLong),
        [b'\r'] => return Ok(Parsed::Partial),
        [b'\r', b'\n', ..] => {}
        _ => return Err(ProxyError::Line),
    }
    let line = std::str::from_utf8(&window[..end]).map_err(|_| ProxyError::Line)?;
    let (source, destination) = addresses_v1(line).ok_or(ProxyError::Line)?;
    Ok(Parsed::Complete(Preface { source, destination, local: false, len: end + 2 }))
}

type Addresses = (Option<SocketAddr>, Option<SocketAddr>);

fn addresses_v1(line: &str) -> Option<Addresses> {
    let mut words = line.split(' ');
    words.next().filter(|&word| word == "PROXY")?;
    let family = words.next()?;
    if family == "UNKNOWN" {
        // Whatever else the line says must be ignored.
        return Some((None, None));
    }
    let (source, destination) = (ip(family, words.next()?)?, ip(family, words.next()?)?);
    let (source_port, destination_port) = (port(words.next()?)?, port(words.next()?)?);
    if words.next().is_some() {
        return None;
    }
    Some((Some(undressed(source, source_port)), Some(undressed(destination, destination_port))))
}

/// The standard library takes neither leading zeros, signs nor zone names.
fn ip(family: &str, text: &str) -> Option<IpAddr> {
    match family {
        "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => None,
    }
}

fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = text.len() > 1 && text.starts_with('0');
    if digits && !leading_zero { text.parse().ok() } else { None }
}

fn undressed(ip: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(ip.to_canonical(), port)
}

// === version 2: binary ===

fn parse_v2(bytes: &[u8], max: usize) -> Result<Parsed<Preface>, ProxyError> {
    // Judge each byte of the header as soon as it is there.
    let command = bytes.get(12).copied();
    if !matches!(command, None | Some(0x20 | 0x21)) {
        return Err(ProxyError::Command);
    }
    let local = command == Some(0x20);
    // A receiver must take LOCAL whatever the family says.
    let needed = match bytes.get(13) {
        None => 0,
        _ if local => 0,
        Some(&family) => address_bytes(family).ok_or(ProxyError::Family)?,
    };
    let Some(header) = bytes.get(..V2_HEADER_BYTES) else { return Ok(Parsed::Partial) };
    let length = usize::from(u16::from_be_bytes([header[14], header[15]]));
    if V2_HEADER_BYTES + length > max {
        return Err(ProxyError::TooLong);
    }
    if length < needed {
        return Err(ProxyError::Length);
    }
    let Some(body) = bytes.get(V2_HEADER_BYTES..V2_HEADER_BYTES + length) else { return Ok(Parsed::Partial) };
    let (source, destination) = if local { (None, None) } else { addresses_v2(header[13], body) };
    if !local && header[13] != 0x00 && !are_extensions(&body[needed..]) {
        return Err(ProxyError::Length);
    }
    Ok(Parsed::Complete(Preface { source, destination, local, len: V2_HEADER_BYTES + length }))
}

/// How many bytes the addresses of a family and transport take (section 2.2). Datagrams cannot have come
/// over a stream.
fn address_bytes(family: u8) -> Option<usize> {
    match family {
        0x00 => Some(0),
        0x11 => Some(12),
        0x21 => Some(36),
        0x31 => Some(216),
        _ => None,
    }
}

fn addresses_v2(family: u8, body: &[u8]) -> Addresses {
    let pair = |source: IpAddr, destination: IpAddr, ports: &[u8; 4]| {
        let [a, b, c, d] = *ports;
        (
            Some(undressed(source, u16::from_be_bytes([a, b]))),
            Some(undressed(destination, u16::from_be_bytes([c, d]))),
        )
    };
    match family {
        0x11 => match (take::<4>(body, 0), take::<4>(body, 4), take::<4>(body, 8)) {
            (Some(from), Some(to), Some(ports)) => pair(IpAddr::from(*from), IpAddr::from(*to), ports),
            _ => (None, None),
        },
        0x21 => match (take::<16>(body, 0), take::<16>(body, 16), take::<4>(body, 32)) {
            (Some(from), Some(to), Some(ports)) => pair(IpAddr::from(*from), IpAddr::from(*to), ports),
            _ => (None, None),
        },
        _ => (None, None),
    }
}

fn take<const N: usize>(body: &[u8], at: usize) -> Option<&[u8; N]> {
    body.get(at..)?.first_chunk()
}

/// Whether `rest` is a row of whole extensions: type, length in two bytes, value. They are not used.
fn are_extensions(mut rest: &[u8]) -> bool {
    loop {
        rest = match rest {
            [] => return true,
            [_, high, low, after @ ..] => match after.get(usize::from(u16::from_be_bytes([*high, *low]))..) {
                Some(next) => next,
                None => return false,
            },
            _ => return false,
        };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn preface(bytes: &[u8]) -> Preface {
        match parse(bytes, V2_BYTES_MAX) {
            Ok(Parsed::Complete(preface)) => preface,
            other => panic!("{other:?} for {bytes:?}"),
        }
    }

    fn address(text: &str) -> Option<SocketAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn version_1_names_both_ends() {
        let cases: &[(&[u8], Option<SocketAddr>, Option<SocketAddr>)] = &[
            (
                b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n",
                address("192.0.2.1:56324"),
                address("198.51.100.7:443"),
            ),
            (
                b"PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n",
                address("255.255.255.255:65535"),
                address("0.0.0.0:0"),
            ),
            (b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n", address("[2001:db8::1]:1"), address("[::1]:2")),
            (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", address("192.0.2.1:1"), address("[::1]:2")),
            (b"PROXY UNKNOWN\r\n", None, None),
            (b"PROXY UNKNOWN ffff::1 what ever it says\r\n", None, None),
        ];
        for &(bytes, source, destination) in cases {
            let want = Preface { source, destination, local: false, len: bytes.len() };
            assert_eq!(preface(bytes), want);
            assert_eq!(
                preface(&[bytes, b"GET / HTTP/1.1\r\n"].concat()),
                want,
                "the client's bytes are not touched"
            );
            for cut in 0..bytes.len() {
                assert_eq!(parse(&bytes[..cut], V2_BYTES_MAX), Ok(Parsed::Partial), "cut at {cut}");
            }
        }
    }

    #[test]
    fn version_1_is_strict() {
        let cases: &[&[u8]] = &[
            b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\r\n",
            b"PROXY TCP4 192.0.2.01 198.51.100.7 56324 443\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.7 056324 443\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.7 +56324 443\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.7 65536 443\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.7  443\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.7 1 443 \r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.7 1\r\n",
            b"PROXY TCP4  192.0.2.1 198.51.100.7 1 2\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP6 192.0.2.1 192.0.2.1 1 2\r\n",
            b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
            b"PROXY UDP4 192.0.2.1 198.51.100.7 1 2\r\n",
            b"PROXY tcp4 192.0.2.1 198.51.100.7 1 2\r\n",
            b"PROXY UNKNOWNS\r\n",
            b"PROXY \xff\r\n",
            b"PROXY \r\n",
        ];
        for &bytes in cases {
            assert_eq!(parse(bytes, V2_BYTES_MAX), Err(ProxyError::Line), "{}", bytes.escape_ascii());
        }
        for bytes in [&b"PROX\r\n"[..], b"proxy TCP4", b"GET / HTTP/1.1\r\n", b"\r\nG", b"\n"] {
            assert_eq!(parse(bytes, V2_BYTES_MAX), Err(ProxyError::Absent), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn version_1_is_bounded() {
        let line = |length: usize| [b"PROXY UNKNOWN ".as_slice(), &vec![b'x'; length - 16], b"\r\n"].concat();
        assert_eq!(preface(&line(107)).len, 107);
        assert_eq!(parse(&line(108), V2_BYTES_MAX), Err(ProxyError::TooLong));
        assert_eq!(parse(&line(108)[..107], V2_BYTES_MAX), Err(ProxyError::TooLong));
        assert_eq!(parse(&line(500), V2_BYTES_MAX), Err(ProxyError::TooLong));
    }

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [V2_SIGNATURE, &[command, family], &length, body].concat()
    }

    const TCP4: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 7, 0xDC, 0x04, 0x01, 0xBB];

    fn tcp6(source: &str) -> Vec<u8> {
        let source: Ipv6Addr = source.parse().unwrap();
        [&source.octets()[..], &Ipv6Addr::LOCALHOST.octets(), &[0, 1, 0, 2]].concat()
    }

    #[test]
    fn version_2_names_both_ends() {
        let extensions: &[u8] = &[0x04, 0, 2, 9, 9, 0x01, 0, 0];
        let cases: &[(Vec<u8>, Option<SocketAddr>, bool)] = &[
            (v2(0x21, 0x11, TCP4), address("192.0.2.1:56324"), false),
            (v2(0x21, 0x11, &[TCP4, extensions].concat()), address("192.0.2.1:56324"), false),
            (v2(0x21, 0x21, &tcp6("2001:db8::1")), address("[2001:db8::1]:1"), false),
            (v2(0x21, 0x21, &tcp6("::ffff:192.0.2.1")), address("192.0.2.1:1"), false),
            (v2(0x21, 0x31, &[b'/'; 216]), None, false),
            (v2(0x21, 0x00, b""), None, false),
            (v2(0x21, 0x00, b"ignored"), None, false),
            (v2(0x20, 0x00, b""), None, true),
            (v2(0x20, 0x11, TCP4), None, true),
            (v2(0x20, 0xEE, b"?"), None, true),
        ];
        for (bytes, source, local) in cases {
            let got = preface(bytes);
            assert_eq!((got.source, got.local, got.len), (*source, *local, bytes.len()));
            assert_eq!(got.source.is_some(), got.destination.is_some());
            assert_eq!(preface(&[bytes.as_slice(), b"\x16\x03\x01"].concat()), got);
            for cut in 0..bytes.len() {
                assert_eq!(parse(&bytes[..cut], V2_BYTES_MAX), Ok(Parsed::Partial), "cut at {cut}");
            }
        }
        assert_eq!(preface(&v2(0x21, 0x11, TCP4)).destination, address("198.51.100.7:443"));
    }

    #[test]
    fn version_2_is_strict() {
        let cases: &[(Vec<u8>, ProxyError)] = &[
            (v2(0x11, 0x11, TCP4), ProxyError::Command),
            (v2(0x22, 0x11, TCP4), ProxyError::Command),
            (v2(0x21, 0x12, TCP4), ProxyError::Family),
            (v2(0x21, 0x41, TCP4), ProxyError::Family),
            (v2(0x21, 0x01, b""), ProxyError::Family),
            (v2(0x21, 0x11, &TCP4[..11]), ProxyError::Length),
            (v2(0x21, 0x21, TCP4), ProxyError::Length),
            (v2(0x21, 0x11, &[TCP4, &[4, 0]].concat()), ProxyError::Length),
            (v2(0x21, 0x11, &[TCP4, &[4, 0, 3, 9, 9]].concat()), ProxyError::Length),
            (v2(0x20, 0x00, &[0; V2_BYTES_MAX - 15]), ProxyError::TooLong),
        ];
        for (bytes, error) in cases {
            assert_eq!(parse(bytes, V2_BYTES_MAX), Err(*error), "{}", bytes.escape_ascii());
        }
        let length = v2(0x20, 0x00, &[0; V2_BYTES_MAX - 16]).len();
        assert_eq!(preface(&v2(0x20, 0x00, &[0; V2_BYTES_MAX - 16])).len, length);
        assert_eq!(parse(&v2(0x21, 0x11, TCP4), 27), Err(ProxyError::TooLong));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_get_an_answer(tail in proptest::collection::vec(proptest::num::u8::ANY, 0..64), start in 0..3_usize) {
            let start: &[u8] = [&b""[..], V1_START, V2_SIGNATURE][start];
            let bytes = [start, &tail].concat();
            if let Ok(Parsed::Complete(preface)) = parse(&bytes, V2_BYTES_MAX) {
                proptest::prop_assert!(preface.len <= bytes.len());
            }
        }
    }
}
