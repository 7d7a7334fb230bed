//! The chunked coding: decoder, in-place and verbatim forms against a naive reader, at every cut.

use super::cuts;
use crate::wire::http1::chunked::{Decoder, InPlace, LAST_CHUNK, Step, Verbatim, write_chunk};

/// What a body came to: its payload so far, and where it ended if it did. `Err` if it is malformed.
type Decoded = Result<(Vec<u8>, Option<usize>), ()>;

pub fn check(data: &[u8]) {
    let (cuts, input) = cuts(data);
    let whole = decode(&[input.len()], input);
    assert_eq!(decode(&cuts, input), whole, "cut at {cuts:?}");
    if let Some(expected) = naive(input) {
        assert_eq!(whole, Ok((expected.0, Some(expected.1))), "the naive reader finds a whole body");
    } else {
        assert!(!matches!(whole, Ok((_, Some(_)))), "the naive reader finds none");
    }
    check_in_place(&cuts, input, &whole);
    check_verbatim(&cuts, input, &whole);
    check_written(input);
}

fn decode(cuts: &[usize], input: &[u8]) -> Decoded {
    let (mut decoder, mut payload, mut at) = (Decoder::new(), Vec::new(), 0);
    for &cut in cuts {
        while at < cut {
            match decoder.step(&input[at..cut]).map_err(|_| ())? {
                Step::Data(range) => {
                    payload.extend_from_slice(&input[at..cut][range.clone()]);
                    at += range.end;
                }
                Step::NeedMore => at = cut,
                Step::End(length) => return Ok((payload, Some(at + length))),
            }
        }
    }
    Ok((payload, None))
}

/// The payload and length of a whole body at the start of `input`.
fn naive(input: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut at, mut payload) = (0, Vec::new());
    loop {
        let line = line_at(input, at)?;
        at += line.len() + 2;
        let (size, extension) =
            line.split_at(line.iter().position(|&byte| byte == b';').unwrap_or(line.len()));
        if size.is_empty()
            || size.len() > 16
            || !size.iter().all(u8::is_ascii_hexdigit)
            || !is_text(extension)
        {
            return None;
        }
        let size = u64::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
        if size == 0 {
            break;
        }
        let end = at.checked_add(usize::try_from(size).ok()?)?;
        payload.extend_from_slice(input.get(at..end)?);
        input.get(end..end + 2).filter(|end| end == b"\r\n")?;
        at = end + 2;
    }
    loop {
        let line = line_at(input, at)?;
        at += line.len() + 2;
        if line.is_empty() {
            return Some((payload, at));
        }
        let (name, value) = line.split_at(line.iter().position(|&byte| byte == b':')?);
        let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        if name.is_empty() || !name.iter().all(is_token) || !is_text(value) {
            return None;
        }
    }
}

/// The line that starts at `at`, without its CR LF.
fn line_at(input: &[u8], at: usize) -> Option<&[u8]> {
    let rest = input.get(at..)?;
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    Some(&rest[..end])
}

fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}

fn check_in_place(cuts: &[usize], input: &[u8], whole: &Decoded) {
    let (mut body, mut form, mut at) = (Vec::new(), InPlace::new(usize::MAX), 0);
    for &cut in cuts {
        body.extend_from_slice(&input[at..cut]);
        at = cut;
        let Ok(unwrapped) = form.unwrap(&mut body) else {
            assert!(whole.is_err());
            return;
        };
        if let Some(next) = unwrapped.next {
            let consumed = at - (body.len() - next);
            assert_eq!(whole, &Ok((body[..unwrapped.payload].to_vec(), Some(consumed))));
            return;
        }
        body.truncate(unwrapped.payload);
    }
    assert_eq!(whole, &Ok((body, None)));
}

/// What may pass as it is, is a body, or the start of one, with the same payload.
fn check_verbatim(cuts: &[usize], input: &[u8], whole: &Decoded) {
    let (mut form, mut passed) = (Verbatim::new(), 0);
    for &cut in cuts {
        let Ok(pass) = form.pass(&input[passed..cut]) else {
            assert!(whole.is_err());
            return;
        };
        passed += pass.valid;
        assert!(passed <= cut);
        if pass.done {
            assert_eq!(whole.as_ref().map(|(_, end)| *end), Ok(Some(passed)));
            return;
        }
        if !pass.clean {
            let (before, _) = decode(&[passed], &input[..passed]).expect("what passed is well-formed");
            if let (Ok((payload, end)), Ok((rest, rest_end))) =
                (whole, decode(&[input.len() - passed], &input[passed..]))
            {
                assert_eq!(payload, &[before, rest].concat());
                assert_eq!(*end, rest_end.map(|end| end + passed));
            }
            return;
        }
    }
    let (before, end) = decode(&[passed], &input[..passed]).expect("what passed is well-formed");
    assert_eq!(end, None);
    if let Ok((payload, _)) = whole {
        assert!(payload.starts_with(&before));
    }
}

/// What is written is read back.
fn check_written(payload: &[u8]) {
    let mut body = Vec::new();
    for part in payload.chunks(7) {
        write_chunk(&mut body, part);
    }
    body.extend_from_slice(LAST_CHUNK);
    assert_eq!(naive(&body), Some((payload.to_vec(), body.len())));
    assert_eq!(decode(&[body.len()], &body), Ok((payload.to_vec(), Some(body.len()))));
}
