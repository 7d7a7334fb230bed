#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// What a body decodes to: its payload and its length in bytes; None if it goes on.
type Answer = Result<Option<(Vec<u8>, usize)>, ChunkError>;

/// A decoder that is easy to believe: it wants the whole body and looks at it line by line.
fn naive(body: &[u8]) -> Answer {
    let (mut payload, mut at, mut extensions) = (Vec::new(), 0, 0);
    loop {
        let digits = body[at..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        if digits > 16 {
            return Err(ChunkError::Size);
        }
        let size = u64::from_str_radix(std::str::from_utf8(&body[at..at + digits]).unwrap(), 16);
        at += digits;
        match (size.is_ok(), body.get(at)) {
            (_, None) => return Ok(None),
            (true, Some(b'\r')) => {}
            (true, Some(b';')) => {
                let text = text_length(&body[at..]);
                extensions += text;
                if extensions > EXTENSION_BYTES_MAX as usize {
                    return Err(ChunkError::ExtensionsTooLong);
                }
                at += text;
            }
            _ => return Err(ChunkError::Size),
        }
        let Some(next) = naive_line_end(body, at, ChunkError::Malformed)? else { return Ok(None) };
        at = next;
        let size = size.unwrap();
        if size == 0 {
            return naive_trailers(body, at).map(|end| end.map(|end| (payload, end)));
        }
        if size >= (body.len() - at) as u64 {
            return Ok(None);
        }
        payload.extend_from_slice(&body[at..at + size as usize]);
        at += size as usize;
        let Some(next) = naive_line_end(body, at, ChunkError::LineEnd)? else { return Ok(None) };
        at = next;
    }
}

fn naive_trailers(body: &[u8], start: usize) -> Result<Option<usize>, ChunkError> {
    let mut at = start;
    loop {
        let name = body[at..].iter().take_while(|&&b| b.is_ascii_alphanumeric() || b == b'-').count();
        if name == 0 {
            return naive_line_end(body, at, ChunkError::Malformed);
        }
        at += name;
        match body.get(at) {
            None => return Ok(None),
            Some(b':') => at += text_length(&body[at..]),
            Some(_) => return Err(ChunkError::Malformed),
        }
        let Some(next) = naive_line_end(body, at, ChunkError::Malformed)? else { return Ok(None) };
        at = next;
    }
}

fn text_length(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|&&b| b == b'\t' || (b >= b' ' && b != 0x7F)).count()
}

/// The place after the CR LF at `at`; `error` if there is something else than CR.
fn naive_line_end(body: &[u8], at: usize, error: ChunkError) -> Result<Option<usize>, ChunkError> {
    match &body[at..] {
        [] | [b'\r'] => Ok(None),
        [b'\r', b'\n', ..] => Ok(Some(at + 2)),
        [b'\r', ..] => Err(ChunkError::LineEnd),
        _ => Err(error),
    }
}

fn decode(body: &[u8], cuts: &[usize]) -> Answer {
    let (mut decoder, mut payload, mut start) = (Decoder::new(), Vec::new(), 0);
    for &end in cuts.iter().chain([&body.len()]) {
        loop {
            match decoder.step(&body[start..end])? {
                Step::Data(range) => {
                    payload.extend_from_slice(&body[start + range.start..start + range.end]);
                    start += range.end;
                }
                Step::NeedMore => break,
                Step::End(length) => {
                    assert!(decoder.is_done());
                    assert_eq!(decoder.step(b"more"), Ok(Step::End(0)));
                    return Ok(Some((payload, start + length)));
                }
            }
        }
        start = end;
    }
    Ok(None)
}

/// Unwraps in place, reading up to each cut into a buffer.
fn unwrap_in_place(body: &[u8], cuts: &[usize], limit: usize) -> Answer {
    let (mut in_place, mut buffer, mut start) = (InPlace::new(limit), Vec::new(), 0);
    for &end in cuts.iter().chain([&body.len()]) {
        buffer.extend_from_slice(&body[start..end]);
        let unwrapped = in_place.unwrap(&mut buffer)?;
        if let Some(next) = unwrapped.next {
            let rest = buffer.len() - next;
            return Ok(Some((buffer[..unwrapped.payload].to_vec(), end - rest)));
        }
        buffer.truncate(unwrapped.payload);
        start = end;
    }
    Ok(None)
}

/// Passes the body on: verbatim while that is clean, and framed anew from there. What came out must decode
/// to the same payload; its length in bytes is that of the body that was read.
fn forward(body: &[u8], cuts: &[usize]) -> Answer {
    let (mut verbatim, mut out, mut start) = (Verbatim::new(), Vec::new(), 0);
    for &end in cuts.iter().chain([&body.len()]) {
        let pass = verbatim.pass(&body[start..end])?;
        out.extend_from_slice(&body[start..start + pass.valid]);
        start += pass.valid;
        if pass.done {
            return decode(&out, &[]).map(|decoded| decoded.map(|(payload, _)| (payload, start)));
        }
        if !pass.clean {
            return reframe(verbatim.decoder(), out, body, start);
        }
        assert!(end - start <= 21, "kept back {:?}", &body[start..end]);
    }
    Ok(None)
}

fn reframe(mut decoder: Decoder, mut out: Vec<u8>, body: &[u8], mut start: usize) -> Answer {
    loop {
        match decoder.step(&body[start..])? {
            Step::Data(range) => {
                write_chunk(&mut out, &body[start + range.start..start + range.end]);
                start += range.end;
            }
            Step::NeedMore => return Ok(None),
            Step::End(length) => {
                out.extend_from_slice(LAST_CHUNK);
                let (payload, all) = decode(&out, &[]).unwrap().unwrap();
                assert_eq!(all, out.len());
                return Ok(Some((payload, start + length)));
            }
        }
    }
}

fn check(body: &[u8], cuts: &[usize]) -> Answer {
    let want = naive(body);
    let text = || format!("{} cut at {cuts:?}", body.escape_ascii());
    assert_eq!(decode(body, cuts), want, "decoder: {}", text());
    assert_eq!(unwrap_in_place(body, cuts, usize::MAX), want, "in place: {}", text());
    assert_eq!(forward(body, cuts), want, "verbatim: {}", text());
    want
}

fn check_cuts(body: &[u8]) -> Answer {
    for cut in 0..body.len() {
        let _ = check(body, &[cut]);
    }
    check(body, &(0..body.len()).collect::<Vec<_>>())
}

#[test]
fn bodies_are_unwrapped() {
    let cases: &[(&str, &str, usize)] = &[
        ("0\r\n\r\n", "", 0),
        ("5\r\nhello\r\n0\r\n\r\n", "hello", 0),
        ("5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\nGET /", "hello, world", 5),
        ("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789", 0),
        ("0000000000000005\r\nhello\r\n000\r\n\r\n", "hello", 0),
        ("5;a=b;c=\"d\"\r\nhello\r\n0;x\r\n\r\nrest", "hello", 4),
        ("5\r\nhello\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n", "hello", 0),
        ("4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n", 0),
        ("3\r\n0\r\n\r\n0\r\n\r\n", "0\r\n", 0),
    ];
    for &(body, payload, rest) in cases {
        let got = check_cuts(body.as_bytes()).unwrap();
        assert_eq!(got, Some((payload.as_bytes().to_vec(), body.len() - rest)), "{body:?}");
        for end in 0..body.len() - rest {
            assert_eq!(check(&body.as_bytes()[..end], &[]), Ok(None), "{:?}", &body[..end]);
        }
    }
}

#[test]
fn broken_bodies_are_refused() {
    use ChunkError::*;
    let cases: &[(&str, ChunkError)] = &[
        ("\r\n", Size),
        ("g\r\n", Size),
        ("0x5\r\nhello", Size),
        ("+5\r\nhello", Size),
        ("-1\r\n", Size),
        (" 5\r\nhello", Size),
        ("5 \r\nhello", Size),
        ("5\t;a\r\nhello", Size),
        (";a\r\n", Size),
        ("5\nhello", Size),
        ("5_0\r\n", Size),
        ("00000000000000005\r\nhello", Size),
        ("10000000000000000\r\n", Size),
        ("5\rhello", LineEnd),
        ("5\r\r\nhello", LineEnd),
        ("5\r\nhello0\r\n\r\n", LineEnd),
        ("5\r\nhello\n0\r\n\r\n", LineEnd),
        ("5\r\nhello\r0\r\n\r\n", LineEnd),
        ("4\r\nhello\r\n0\r\n\r\n", LineEnd),
        ("5;a\nhello", Malformed),
        ("5;a\0\r\nhello", Malformed),
        ("5;a\rb\r\nhello", LineEnd),
        ("5\r\nhello\r\n0\r\n\n", Malformed),
        ("0\r\n\rX", LineEnd),
        ("0\r\nX\r\n\r\n", Malformed),
        ("0\r\n: y\r\n\r\n", Malformed),
        ("0\r\n X: y\r\n\r\n", Malformed),
        ("0\r\nX : y\r\n\r\n", Malformed),
        ("0\r\nX: y\n\r\n", Malformed),
        ("0\r\nX: y\0\r\n\r\n", Malformed),
        ("0\r\nX: y\rz", LineEnd),
    ];
    for &(body, error) in cases {
        assert_eq!(check_cuts(body.as_bytes()), Err(error), "{body:?}");
        assert!(matches!(error.status(), 400) && error.message().contains(':'));
    }
}

#[test]
fn the_largest_size_is_no_overflow() {
    let body = b"FFFFFFFFFFFFFFFF\r\nabc";
    let mut decoder = Decoder::new();
    assert_eq!(decoder.step(body), Ok(Step::Data(18..21)));
    assert_eq!(decoder.chunk_left(), u64::MAX - 3);
    assert_eq!(decoder.step(b""), Ok(Step::NeedMore));
    let all = Pass { valid: 21, done: false, clean: true };
    assert_eq!(Verbatim::new().pass(body), Ok(all));
    assert_eq!(InPlace::new(usize::MAX - 1).unwrap(&mut body.to_vec()), Err(ChunkError::TooLarge));
}

#[test]
fn extensions_and_trailers_are_bounded() {
    let (most_extension, most_trailer) = (EXTENSION_BYTES_MAX as usize, TRAILER_BYTES_MAX as usize);
    let extension = |length: usize| format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(length - 1));
    assert!(check(extension(most_extension).as_bytes(), &[]).unwrap().is_some());
    assert_eq!(check(extension(most_extension + 1).as_bytes(), &[]), Err(ChunkError::ExtensionsTooLong));
    let many = "1;e\r\nx\r\n".repeat(most_extension / 2) + "1;\r\nx\r\n0\r\n\r\n";
    assert_eq!(check(many.as_bytes(), &[]), Err(ChunkError::ExtensionsTooLong), "all chunks count together");
    let trailer = |length: usize| format!("0\r\nX:{}\r\n\r\n", "t".repeat(length - 4));
    assert!(decode(trailer(most_trailer).as_bytes(), &[]).unwrap().is_some());
    assert_eq!(decode(trailer(most_trailer + 1).as_bytes(), &[]), Err(ChunkError::TrailersTooLong));
    assert_eq!(ChunkError::TrailersTooLong.status(), 431);
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_comes() {
    let body = b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n";
    let cuts: Vec<_> = (0..body.len()).collect();
    for cuts in [&cuts[..], &[]] {
        assert_eq!(unwrap_in_place(body, cuts, 6), Ok(Some((b"abcdef".to_vec(), body.len()))));
        assert_eq!(unwrap_in_place(body, cuts, 5), Err(ChunkError::TooLarge));
        assert_eq!(unwrap_in_place(b"0\r\n\r\n", &[], 0), Ok(Some((Vec::new(), 5))));
    }
    assert_eq!(unwrap_in_place(b"3\r\nabc\r\n3\r\n", &[], 5), Err(ChunkError::TooLarge), "the size tells");
    assert_eq!(unwrap_in_place(b"7fffffffffffffff\r\n", &[], 1 << 20), Err(ChunkError::TooLarge));
    assert_eq!(ChunkError::TooLarge.status(), 413);
}

#[test]
fn verbatim_holds_back_what_is_not_settled() {
    let cases: &[(&str, usize, bool, bool)] = &[
        ("", 0, false, true),
        ("5", 0, false, true),
        ("5\r", 0, false, true),
        ("5\r\n", 3, false, true),
        ("5\r\nhel", 6, false, true),
        ("5\r\nhello", 8, false, true),
        ("5\r\nhello\r", 8, false, true),
        ("5\r\nhello\r\n", 10, false, true),
        ("5\r\nhello\r\n0\r\n", 10, false, true),
        ("5\r\nhello\r\n0\r\n\r", 10, false, true),
        ("5\r\nhello\r\n0\r\n\r\nHTTP", 15, true, true),
        ("5\r\nhello\r\n5;", 10, false, false),
        ("5\r\nhello\r\n0;x\r\n\r\n", 10, false, false),
        ("5\r\nhello\r\n0\r\nX", 10, false, false),
    ];
    for &(body, valid, done, clean) in cases {
        let want = Pass { valid, done, clean };
        assert_eq!(Verbatim::new().pass(body.as_bytes()), Ok(want), "{body:?}");
    }
    let mut over = Verbatim::new();
    assert_eq!(over.pass(LAST_CHUNK), Ok(Pass { valid: 5, done: true, clean: true }));
    assert_eq!(over.pass(b"next"), Ok(Pass { valid: 0, done: true, clean: true }));
}

#[test]
fn chunk_headers_are_written() {
    for length in [1, 9, 15, 16, 255, 256, 65_535, usize::MAX] {
        assert_eq!(chunk_header(length).unwrap().as_bytes(), format!("{length:x}\r\n").as_bytes());
    }
    assert_eq!(chunk_header(0), None);
    let mut out = Vec::new();
    write_chunk(&mut out, b"hello");
    write_chunk(&mut out, b"");
    assert_eq!(out, b"5\r\nhello\r\n");
}

/// Pieces of chunked bodies in any order, often with a good beginning.
fn almost_bodies() -> impl Strategy<Value = Vec<u8>> {
    let good = prop::collection::vec(0..40_usize, 0..6).prop_map(|sizes| {
        let mut out = Vec::new();
        sizes.iter().for_each(|&size| write_chunk(&mut out, &vec![b'd'; size]));
        out
    });
    let piece = prop::sample::select(vec![
        "0",
        "1",
        "2\r\n",
        "a\r\n",
        "\r\n",
        "\r",
        "\n",
        "x",
        "ab",
        ";e=1",
        "0\r\n",
        "0\r\n\r\n",
        "X: y\r\n",
        "X",
        ":",
        " ",
        "\0",
        "3\r\nabc\r\n",
        "1;e\r\nz\r\n",
        "fffffffffffffffff",
    ]);
    (good, prop::collection::vec(piece, 0..10))
        .prop_map(|(good, odd)| [good, odd.concat().into_bytes()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn all_agree_with_the_naive_decoder(
        body in almost_bodies(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.sort_unstable();
        let _ = check(&body, &cuts);
    }

    #[test]
    fn any_bytes_get_an_answer(body in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = check(&body, &[body.len() / 2]);
    }

    #[test]
    fn what_is_written_is_read(payload in prop::collection::vec(any::<u8>(), 0..600), size in 1..100_usize) {
        let mut out = Vec::new();
        payload.chunks(size).for_each(|chunk| write_chunk(&mut out, chunk));
        out.extend_from_slice(LAST_CHUNK);
        prop_assert_eq!(check(&out, &[out.len() / 3]), Ok(Some((payload, out.len()))));
    }
}
