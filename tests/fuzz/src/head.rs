//! Request and response heads: where they are cut does not matter, and what passes is unambiguous.

use super::cuts;
use crate::wire::http1::{
    BodyFraming, HeadLimits, HeadScan, Method, Parsed, Version, parse_request_head, parse_response_head,
};

pub fn check(data: &[u8]) {
    let (cuts, input) = cuts(data);
    let limits = HeadLimits { head_bytes: 600, target_bytes: 100, headers: 12 };
    check_cuts(&cuts, input, |bytes, scan| match parse_request_head(bytes, &limits, scan) {
        Ok(Parsed::Complete(head)) => Ok(Some((head.head_len, format!("{head:?}")))),
        Ok(Parsed::Partial) => Ok(None),
        Err(error) => Err(error.label()),
    });
    check_cuts(&cuts, input, |bytes, scan| match parse_response_head(bytes, Method::Post, &limits, scan) {
        Ok(Parsed::Complete(head)) => Ok(Some((head.head_len, format!("{head:?}")))),
        Ok(Parsed::Partial) => Ok(None),
        Err(error) => Err(error.label()),
    });
    check_request(input, &limits);
}

type Verdict = Result<Option<(usize, String)>, &'static str>;

/// The verdict on the pieces is the verdict on the whole, but a fault may wait for the end of the head.
fn check_cuts(cuts: &[usize], input: &[u8], mut parse: impl FnMut(&[u8], &mut HeadScan) -> Verdict) {
    let whole = parse(input, &mut HeadScan::new());
    let mut scan = HeadScan::new();
    for &cut in cuts {
        match parse(&input[..cut], &mut scan) {
            Ok(None) => {
                assert!(cut < input.len() || !matches!(whole, Ok(Some(_))), "cut at {cut}: {whole:?}")
            }
            verdict => {
                if let Ok(Some((length, _))) = verdict {
                    assert!(length <= cut);
                }
                assert_eq!(verdict, whole, "cut at {cut}");
                return;
            }
        }
    }
}

/// A head that passed, read the naive way: it means one thing only.
fn check_request(input: &[u8], limits: &HeadLimits) {
    let Ok(Parsed::Complete(head)) = parse_request_head(input, limits, &mut HeadScan::new()) else { return };
    let bytes = &input[..head.head_len];
    assert!(bytes.len() <= limits.head_bytes && bytes.ends_with(b"\r\n\r\n"));
    let bytes = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    let text: String = bytes.iter().map(|&byte| char::from(byte)).collect();
    let lines: Vec<_> = text[..text.len() - 4].split("\r\n").collect();
    assert!(lines.iter().all(|line| !line.contains(['\r', '\n', '\0']) && !line.is_empty()), "{lines:?}");
    let fields: Vec<_> = lines[1..].iter().map(|line| line.split_once(':').expect("a colon")).collect();
    assert!(fields.iter().all(|(name, _)| !name.is_empty() && !name.contains([' ', '\t'])), "{fields:?}");
    let values = |wanted: &str| -> Vec<&str> {
        let same = fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        same.map(|(_, value)| value.trim_matches([' ', '\t'])).collect()
    };
    let (lengths, codings, hosts) = (values("content-length"), values("transfer-encoding"), values("host"));
    assert!(hosts.len() <= 1 && (hosts.len() == 1 || head.version == Version::Http10), "{hosts:?}");
    assert!(lengths.is_empty() || codings.is_empty(), "two ways to end the body");
    assert!(lengths.len() <= 1 && codings.len() <= 1, "{lengths:?} {codings:?}");
    match head.framing {
        BodyFraming::Chunked => assert!(codings[0].eq_ignore_ascii_case("chunked")),
        BodyFraming::Length(length) => assert_eq!(lengths[0].parse(), Ok(length)),
        BodyFraming::None => {
            assert!(codings.is_empty() && lengths.iter().all(|length| length.parse() == Ok(0u64)));
        }
    }
    assert!(head.path.starts_with(b"/") || head.path == b"*");
    assert!(!matches!(head.method_name, b"CONNECT" | b"TRACE"));
    assert!(!(head.keep_alive && head.version == Version::Http10));
    assert_eq!(head.headers().count(), fields.len());
    for (header, (name, value)) in head.headers().zip(&fields) {
        let latin = |bytes: &[u8]| -> String { bytes.iter().map(|&byte| char::from(byte)).collect() };
        assert_eq!(latin(header.name), **name);
        assert_eq!(latin(header.value), value.trim_matches([' ', '\t']));
    }
}
