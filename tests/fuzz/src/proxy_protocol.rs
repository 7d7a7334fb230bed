//! PROXY protocol prefaces: judged alike wherever they are cut, and read as another reader would.

use crate::wire::http1::Parsed;
use crate::wire::proxy_protocol::{V1_BYTES_MAX, V2_BYTES_MAX, parse};
use std::net::{IpAddr, SocketAddr};

pub fn check(data: &[u8]) {
    let whole = parse(data, V2_BYTES_MAX);
    let mut settled = None;
    for cut in 0..=data.len().min(600) {
        let verdict = parse(&data[..cut], V2_BYTES_MAX);
        if let Some(settled) = settled {
            assert_eq!(verdict, settled, "what is settled stays so");
        } else if verdict != Ok(Parsed::Partial) {
            if let Ok(Parsed::Complete(preface)) = verdict {
                assert_eq!(preface.len, cut, "complete with its last byte");
            }
            settled = Some(verdict);
        }
    }
    if let Some(settled) = settled {
        assert_eq!(whole, settled);
    }
    let Ok(Parsed::Complete(preface)) = whole else { return };
    assert_eq!(preface.source.is_some(), preface.destination.is_some());
    assert!(!preface.local || preface.source.is_none());
    let bytes = &data[..preface.len];
    if bytes.starts_with(b"PROXY ") {
        assert!(bytes.len() <= V1_BYTES_MAX && bytes.ends_with(b"\r\n"));
        check_v1(std::str::from_utf8(bytes).expect("a line of text"), preface.source);
    } else {
        check_v2(bytes, preface.source);
    }
}

fn check_v1(line: &str, source: Option<SocketAddr>) {
    let words: Vec<_> = line.trim_end_matches("\r\n").split(' ').collect();
    match words[..] {
        ["PROXY", "UNKNOWN", ..] => assert_eq!(source, None),
        ["PROXY", family @ ("TCP4" | "TCP6"), from, _, port, _] => {
            let from: IpAddr = from.parse().expect("an address");
            assert_eq!(from.is_ipv4(), family == "TCP4");
            assert_eq!(source, Some(SocketAddr::new(from.to_canonical(), port.parse().expect("a port"))));
        }
        _ => panic!("accepted: {line:?}"),
    }
}

fn check_v2(bytes: &[u8], source: Option<SocketAddr>) {
    assert_eq!(&bytes[..12], b"\r\n\r\n\0\r\nQUIT\n");
    assert_eq!(bytes.len(), 16 + usize::from(bytes[14]) * 256 + usize::from(bytes[15]));
    assert!(bytes.len() <= V2_BYTES_MAX && bytes[12] >> 4 == 2);
    let expected = match (bytes[12] & 15, bytes[13]) {
        (1, 0x11) => {
            let from: [u8; 4] = bytes[16..20].try_into().expect("four bytes");
            Some(SocketAddr::new(IpAddr::from(from), u16::from_be_bytes([bytes[24], bytes[25]])))
        }
        (1, 0x21) => {
            let from: [u8; 16] = bytes[16..32].try_into().expect("sixteen bytes");
            let port = u16::from_be_bytes([bytes[48], bytes[49]]);
            Some(SocketAddr::new(IpAddr::from(from).to_canonical(), port))
        }
        _ => None,
    };
    assert_eq!(source, expected);
}
