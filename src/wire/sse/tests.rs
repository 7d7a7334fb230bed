#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// What a reader dispatches: type, last id, data; and the retry times it heard.
#[derive(Clone, Debug, Default, PartialEq)]
struct Heard {
    events: Vec<(String, String, String)>,
    retries: Vec<u64>,
}

/// A reader that is easy to believe: the steps of the specification, on the whole stream. Only that a retry
/// time counts with the end of its event, as an event is all or nothing here.
fn naive(stream: &[u8]) -> Heard {
    let text = String::from_utf8_lossy(stream).into_owned();
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n").replace('\r', "\n");
    let (mut heard, mut data, mut kind, mut id) =
        (Heard::default(), String::new(), String::new(), String::new());
    let mut retry = None;
    let Some((ended, _)) = text.rsplit_once('\n') else { return heard };
    for line in ended.split('\n') {
        if line.is_empty() {
            if !data.is_empty() {
                data.pop();
                heard.events.push((kind.clone(), id.clone(), data.clone()));
            }
            data.clear();
            kind.clear();
            heard.retries.extend(retry.take());
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => kind = value.to_owned(),
            "data" => data += &format!("{value}\n"),
            "id" if !value.contains('\0') => id = value.to_owned(),
            "retry" if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) => {
                retry = Some(value.parse().unwrap_or(u64::MAX));
            }
            _ => {}
        }
    }
    heard
}

/// The same by scanner and views, with the stream cut into reads.
fn listen(stream: &[u8], cuts: &[usize]) -> Heard {
    let (mut heard, mut id, mut scratch) = (Heard::default(), String::new(), Vec::new());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    for (index, piece) in pieces(stream, cuts).iter().enumerate() {
        let event = Event::parse(if index == 0 { without_bom(piece) } else { piece });
        if let Some(new) = event.id {
            id = text(new);
        }
        heard.retries.extend(event.retry);
        if let Some(data) = event.data(&mut scratch) {
            heard.events.push((event.kind.map(text).unwrap_or_default(), id.clone(), text(data)));
            assert!(
                event
                    .data_span()
                    .is_none_or(|span| &piece[piece.len() - event_len(piece, index)..][span] == data)
            );
        }
    }
    heard
}

fn event_len(piece: &[u8], index: usize) -> usize {
    if index == 0 { without_bom(piece).len() } else { piece.len() }
}

/// The whole events of a stream. Checks that `scan` and `next_end` agree, and that pieces are the stream.
fn pieces<'a>(stream: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let (mut scanner, mut bulk) = (Scanner::new(usize::MAX), Scanner::new(usize::MAX));
    let (mut found, mut event_start, mut start, mut passed) = (Vec::new(), 0, 0, 0);
    for &end in cuts.iter().chain([&stream.len()]) {
        let whole = bulk.scan(&stream[start..end]).unwrap();
        if whole > 0 {
            passed = start + whole;
        }
        while let Some(length) = scanner.next_end(&stream[start..end]).unwrap() {
            start += length;
            found.push(&stream[event_start..start]);
            event_start = start;
        }
        start = end;
        assert_eq!(passed, event_start);
        assert_eq!(bulk.is_between_events(), event_start == end);
    }
    found
}

fn check_cuts(stream: &[u8]) -> Heard {
    let want = naive(stream);
    for cut in 0..=stream.len() {
        assert_eq!(listen(stream, &[cut]), want, "cut at {cut}: {}", stream.escape_ascii());
    }
    let all: Vec<_> = (0..stream.len()).collect();
    assert_eq!(listen(stream, &all), want, "byte by byte: {}", stream.escape_ascii());
    want
}

/// Type, last id and data.
type Plain = (&'static str, &'static str, &'static str);

fn event(kind: &str, id: &str, data: &str) -> (String, String, String) {
    (kind.into(), id.into(), data.into())
}

#[test]
fn streams_are_heard_as_the_specification_says() {
    let cases: &[(&str, &[Plain])] = &[
        ("data: a\n\n", &[("", "", "a")]),
        ("data: a\r\n\r\n", &[("", "", "a")]),
        ("data: a\r\r", &[("", "", "a")]),
        ("data: a\r\n\n", &[("", "", "a")]),
        ("data: a\n\r\n", &[("", "", "a")]),
        ("data: a\r\rdata: b\r\n\rdata: c\n\r", &[("", "", "a"), ("", "", "b"), ("", "", "c")]),
        ("data:a\n\ndata:  b\n\n", &[("", "", "a"), ("", "", " b")]),
        ("event: message\ndata: {\"id\":1}\nid: 7\n\n", &[("message", "7", "{\"id\":1}")]),
        ("data: a\ndata: b\ndata\ndata:\n\n", &[("", "", "a\nb\n\n")]),
        ("id: 5\ndata:\n\n", &[("", "5", "")]),
        ("id: 5\ndata\n\n", &[("", "5", "")]),
        ("id: 5\n\ndata: x\n\n", &[("", "5", "x")]),
        ("id: 5\ndata: x\n\nid\ndata: y\n\n", &[("", "5", "x"), ("", "", "y")]),
        ("id: a\0b\ndata: x\n\n", &[("", "", "x")]),
        (": comment\n\n:\r\ndata: x\n: in between\ndata: y\n\n", &[("", "", "x\ny")]),
        ("event: ping\n\ndata: x\n\n", &[("", "", "x")]),
        ("event: a\nevent: b\ndata: x\n\n", &[("b", "", "x")]),
        ("\u{feff}data: x\n\n", &[("", "", "x")]),
        ("\u{feff}\n\u{feff}data: x\n\ndata: y\n\n", &[("", "", "y")]),
        ("\u{feff}\u{feff}data: x\n\n", &[]),
        ("\n\n\r\n\rdata: x\n\n\n\n", &[("", "", "x")]),
        ("Data: x\n data: y\nunknown: z\ndatas: x\n\n", &[]),
        ("data: a: b\n\n", &[("", "", "a: b")]),
        ("data: lost", &[]),
        ("data: lost\n", &[]),
        ("", &[]),
        ("\r", &[]),
    ];
    for (stream, want) in cases {
        let want: Vec<_> = want.iter().map(|(kind, id, data)| event(kind, id, data)).collect();
        assert_eq!(check_cuts(stream.as_bytes()).events, want, "{stream:?}");
    }
}

#[test]
fn retry_takes_digits_only() {
    let retry = |value: &str| Event::parse(format!("retry: {value}\n\n").as_bytes()).retry;
    assert_eq!(retry("3000"), Some(3000));
    assert_eq!(retry("0"), Some(0));
    assert_eq!(retry("99999999999999999999999"), Some(u64::MAX));
    for nonsense in ["", "-1", "+1", "1.5", "1s", " 1"] {
        assert_eq!(retry(nonsense), None, "{nonsense:?}");
    }
    assert_eq!(Event::parse(b"retry: 5\nretry: x\n\n").retry, Some(5));
}

#[test]
fn an_event_is_passed_on_as_soon_as_it_ends() {
    let mut scanner = Scanner::new(100);
    assert!(scanner.is_between_events());
    assert_eq!(scanner.scan(b"data: a\n"), Ok(0));
    assert!(!scanner.is_between_events());
    assert_eq!(scanner.scan(b"\ndata: b\n\ndat"), Ok(10));
    assert_eq!(scanner.scan(b"a: c\r\n\r"), Ok(7), "a CR ends the event without waiting for an LF");
    assert!(scanner.is_between_events());
    assert_eq!(scanner.scan(b"\n"), Ok(1), "the LF that belongs to it goes on alone");
    assert!(scanner.is_between_events());
    assert_eq!(scanner.scan(b""), Ok(0));
    assert_eq!(scanner.scan(b"\n"), Ok(1), "and a second one is an empty line");
}

#[test]
fn events_are_bounded() {
    let of = |length: usize| format!("data: {}\n\n", "x".repeat(length - 8)).into_bytes();
    let two = [of(20), of(41)].concat();
    for cut in 0..=two.len() {
        let mut scanner = Scanner::new(40);
        let first = scanner.scan(&two[..cut]);
        let answer = first.and_then(|_| scanner.scan(&two[cut..]));
        assert!(answer.is_err(), "cut at {cut}");
        let fits = [of(20), of(40)].concat();
        let cut = cut.min(fits.len());
        let mut scanner = Scanner::new(40);
        scanner.scan(&fits[..cut]).unwrap();
        scanner.scan(&fits[cut..]).unwrap();
        assert!(scanner.is_between_events());
    }
    assert_eq!(Scanner::new(40).scan(&two), Err(EventTooLarge { whole: 20 }));
    assert_eq!(Scanner::new(40).scan(&two[20..60]), Ok(0), "as long as it may get, and not over");
    assert_eq!(Scanner::new(8).scan(b": a comment that never ends"), Err(EventTooLarge { whole: 0 }));
    // The end of an event weighs the same as CR LF and as CR with its LF in the next read.
    let mut scanner = Scanner::new(10);
    assert_eq!(scanner.scan(b"data: a\r\n\r\n"), Ok(11));
    assert_eq!(scanner.scan(b"data: a\r\n\r"), Ok(10));
}

#[test]
fn a_view_tells_where_its_data_stands() {
    let bytes = b"event: endpoint\ndata: /messages?s=1\n\n";
    let event = Event::parse(bytes);
    assert!(event.is_endpoint() && !event.is_blank());
    assert_eq!(&bytes[event.data_span().unwrap()], b"/messages?s=1");
    assert_eq!(Event::parse(b"data: a\ndata: b\n\n").data_span(), None);
    assert_eq!(Event::parse(b"data: a\n\ndata: b\n\n").data_lines, 1, "only the first event is read");
    assert!(
        Event::parse(b": x\n\n").is_blank() && Event::parse(b"\n").is_blank() && Event::parse(b"").is_blank()
    );
    let mut scratch = b"old".to_vec();
    assert_eq!(Event::parse(b"data: a\ndata: b\n\n").data(&mut scratch), Some(&b"a\nb"[..]));
    assert_eq!(Event::parse(b"id: a\n\n").data(&mut scratch), None);
}

#[test]
fn an_endpoint_gets_another_uri() {
    let original = Event::parse(b"event: endpoint\nid: 4\nretry: 9\ndata: http://up/x\n\n");
    let mut out = Vec::new();
    write_endpoint(&mut out, &original, b"/github/mcp?s=2").unwrap();
    assert_eq!(out, b"event: endpoint\nid: 4\nretry: 9\ndata: /github/mcp?s=2\n\n");
    for uri in [&b"/x\ndata: y"[..], b"/x\r", b"/\0"] {
        assert_eq!(write_endpoint(&mut out, &original, uri), Err(LineBreak));
    }
    assert_eq!(out.len(), 54, "nothing more was written");
}

#[test]
fn events_cannot_be_forged_through_their_fields() {
    let mut out = Vec::new();
    for text in [&b"a\nb"[..], b"a\rb", b"a\0"] {
        let (kind, id) = (
            NewEvent { kind: Some(text), ..NewEvent::default() },
            NewEvent { id: Some(text), ..NewEvent::default() },
        );
        assert_eq!(write_event(&mut out, &kind), Err(LineBreak));
        assert_eq!(write_event(&mut out, &id), Err(LineBreak));
    }
    assert!(out.is_empty());
    write_event(&mut out, &NewEvent { data: Some(b"x\n\nevent: y"), ..NewEvent::default() }).unwrap();
    assert_eq!(out, b"data: x\ndata: \ndata: event: y\n\n");
}

#[test]
fn a_keep_alive_is_heard_by_no_one() {
    let stream = [KEEP_ALIVE, b"data: x\n\n", KEEP_ALIVE, KEEP_ALIVE, b"data: y\n\n"].concat();
    assert_eq!(check_cuts(&stream).events, [event("", "", "x"), event("", "", "y")]);
}

/// Streams made of what streams are made of.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "data: x", "data:", "data", "event: a", "id: 1", "id", "retry: 5", "retry: x", ": c", ":",
        "other: 1", "\n", "\n", "\n\n", "\r", "\r\n", "\r\n\r\n", "\u{feff}", " ", "\0", "\u{e4}",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn scanner_and_views_agree_with_the_naive_reader(
        stream in streams(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(listen(&stream, &cuts), naive(&stream));
        let all: Vec<_> = (0..stream.len()).collect();
        prop_assert_eq!(listen(&stream, &all), naive(&stream));
    }

    #[test]
    fn any_bytes_get_an_answer(stream in prop::collection::vec(any::<u8>(), 0..200), max in 0..64_usize) {
        let _ = Scanner::new(max).scan(&stream);
        let event = Event::parse(&stream);
        let data = event.data(&mut Vec::new()).map(<[u8]>::len);
        prop_assert_eq!(data.is_some(), event.data_lines > 0);
    }

    #[test]
    fn what_is_written_is_read(
        kind in prop::option::of("[a-z:]{0,5}"),
        id in prop::option::of("[a-z0-9 ]{0,5}"),
        retry: Option<u64>,
        data in prop::option::of("[a-c\n ]{0,12}"),
    ) {
        let new = NewEvent {
            kind: kind.as_deref().map(str::as_bytes),
            id: id.as_deref().map(str::as_bytes),
            retry,
            data: data.as_deref().map(str::as_bytes),
        };
        let (mut out, mut scratch) = (Vec::new(), Vec::new());
        write_event(&mut out, &new).unwrap();
        prop_assert_eq!(Scanner::new(usize::MAX).scan(&out), Ok(out.len()));
        let event = Event::parse(&out);
        prop_assert_eq!((event.kind, event.id, event.retry), (new.kind, new.id, new.retry));
        prop_assert_eq!(event.data(&mut scratch), new.data);
    }
}
