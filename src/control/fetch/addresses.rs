//! Which addresses a URL that came from the network may lead to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::snapshot::Network;

/// Whether `ip` is a unicast address of the public network: none of this host, of a private or shared network, of a
/// link (where clouds keep their metadata service), of documentation or of a protocol's own (the special-purpose
/// registries of IANA, RFC 6890). IPv6 addresses that carry an IPv4 address are judged as that one, or refused.
pub fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        ip @ IpAddr::V4(_) => !V4_SPECIAL.iter().any(|block| block.contains(ip)),
        ip @ IpAddr::V6(_) => V6_GLOBAL.contains(ip) && !V6_SPECIAL.iter().any(|block| block.contains(ip)),
    }
}

const fn v4(a: u8, b: u8, c: u8, prefix_bits: u8) -> Network {
    Network { address: IpAddr::V4(Ipv4Addr::new(a, b, c, 0)), prefix_bits }
}

const fn v6(a: u16, b: u16, prefix_bits: u8) -> Network {
    Network { address: IpAddr::V6(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0)), prefix_bits }
}

const V4_SPECIAL: [Network; 15] = [
    v4(0, 0, 0, 8),
    v4(10, 0, 0, 8),
    v4(100, 64, 0, 10),
    v4(127, 0, 0, 8),
    v4(169, 254, 0, 16),
    v4(172, 16, 0, 12),
    v4(192, 0, 0, 24),
    v4(192, 0, 2, 24),
    v4(192, 88, 99, 24),
    v4(192, 168, 0, 16),
    v4(198, 18, 0, 15),
    v4(198, 51, 100, 24),
    v4(203, 0, 113, 24),
    v4(224, 0, 0, 4),
    v4(240, 0, 0, 4),
];

/// All unicast addresses that were given out so far (RFC 4291 section 2.4). Loopback, unique-local, link-local,
/// multicast and translated (64:ff9b::/96) addresses are outside.
const V6_GLOBAL: Network = v6(0x2000, 0, 3);

/// Protocols' own (Teredo among them), documentation, 6to4, documentation again.
const V6_SPECIAL: [Network; 4] =
    [v6(0x2001, 0, 23), v6(0x2001, 0xdb8, 32), v6(0x2002, 0, 16), v6(0x3fff, 0, 20)];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.8.8.8",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "5f00::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "2606:4700:4700::1111",
            "2a00:1450:4001::1",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }
}
