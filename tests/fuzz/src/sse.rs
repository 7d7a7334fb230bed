//! Server-sent events: pieces are the stream, cuts do not matter, and readers hear what the
//! specification says.

use super::cuts;
use crate::wire::sse::{EndpointWatch, Event, NewEvent, Scanner, without_bom, write_event};

/// Type, last id and data.
type Heard = Vec<(Vec<u8>, Vec<u8>, Vec<u8>)>;

pub fn check(data: &[u8]) {
    let (cuts, stream) = cuts(data);
    let expected = naive(stream);
    assert_eq!(listen(&cuts, stream), expected, "cut at {cuts:?}");
    assert_eq!(listen(&[stream.len()], stream), expected);
    check_bound(&cuts, stream);
    check_written(stream);
    names_endpoint(&cuts, stream);
}

/// The steps of the specification, on the whole stream.
fn naive(stream: &[u8]) -> Heard {
    let stream = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    let (mut heard, mut data, mut kind, mut id) = (Heard::new(), None::<Vec<u8>>, Vec::new(), Vec::new());
    let (mut at, mut line) = (0, Vec::new());
    while let Some(&byte) = stream.get(at) {
        at += 1;
        if byte != b'\r' && byte != b'\n' {
            line.push(byte);
            continue;
        }
        if byte == b'\r' && stream.get(at) == Some(&b'\n') {
            at += 1;
        }
        let line = std::mem::take(&mut line);
        if line.is_empty() {
            if let Some(data) = data.take() {
                heard.push((std::mem::take(&mut kind), id.clone(), data));
            }
            kind.clear();
            continue;
        }
        let colon = line.iter().position(|&byte| byte == b':');
        let (name, value) = colon.map_or((&line[..], &b""[..]), |colon| (&line[..colon], &line[colon + 1..]));
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => match &mut data {
                Some(data) => data.extend([b"\n", value].concat()),
                None => data = Some(value.to_vec()),
            },
            b"event" => kind = value.to_vec(),
            b"id" if !value.contains(&0) => id = value.to_vec(),
            _ => {}
        }
    }
    heard
}

/// The same by scanner and views. An id counts with the end of its event.
fn listen(cuts: &[usize], stream: &[u8]) -> Heard {
    let (mut scanner, mut bulk) = (Scanner::new(usize::MAX), Scanner::new(usize::MAX));
    let (mut heard, mut id, mut scratch) = (Heard::new(), Vec::new(), Vec::new());
    let (mut at, mut event_start) = (0, 0);
    for &cut in cuts {
        let before = at;
        let whole = bulk.scan(&stream[at..cut]).expect("no bound");
        let mut last_end = 0;
        while let Some(length) = scanner.next_end(&stream[at..cut]).expect("no bound") {
            assert!(length > 0, "an event has an end");
            at += length;
            last_end = at - before;
            let piece = &stream[event_start..at];
            let event = Event::parse(if event_start == 0 { without_bom(piece) } else { piece });
            if let Some(new) = event.id {
                id = new.to_vec();
            }
            if let Some(data) = event.data(&mut scratch) {
                heard.push((event.kind.unwrap_or_default().to_vec(), id.clone(), data.to_vec()));
            }
            event_start = at;
        }
        assert_eq!(whole, last_end, "in bulk and one by one");
        at = cut;
        assert_eq!(scanner.is_between_events(), bulk.is_between_events());
    }
    heard
}

/// No event longer than the bound passes, and none that fits is refused. The LF of a last CR LF is
/// not counted: it may come too late to be.
fn check_bound(cuts: &[usize], stream: &[u8]) {
    const BOUND: usize = 16;
    let (mut scanner, mut at, mut event_start) = (Scanner::new(BOUND), 0, 0);
    for &cut in cuts {
        loop {
            match scanner.next_end(&stream[at..cut]) {
                Ok(Some(length)) => {
                    at += length;
                    let late = usize::from(stream[event_start..at].ends_with(b"\r\n"));
                    assert!(at - event_start - late <= BOUND);
                    event_start = at;
                }
                Ok(None) => {
                    at = cut;
                    assert!(at - event_start <= BOUND);
                    break;
                }
                Err(_) => {
                    let rest = &stream[event_start..];
                    let end = Scanner::new(usize::MAX).next_end(rest).expect("no bound");
                    // A fresh scanner would take this for a byte order mark.
                    let marked = event_start > 0 && rest.starts_with(b"\xef");
                    assert!(marked || end.unwrap_or(rest.len()) > BOUND);
                    return;
                }
            }
        }
    }
}

/// An event that can be written is heard as it was meant, and as one.
fn check_written(data: &[u8]) {
    let half = data.len() / 2;
    let new = NewEvent {
        kind: Some(&data[..half]),
        id: Some(&data[half..]),
        data: Some(data),
        ..NewEvent::default()
    };
    let mut out = Vec::new();
    let has_break = data.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
    if write_event(&mut out, &new).is_err() {
        assert!(has_break && out.is_empty());
        return;
    }
    assert!(!has_break);
    assert_eq!(naive(&out), [(data[..half].to_vec(), data[half..].to_vec(), data.to_vec())]);
}

/// An endpoint is found wherever the stream is cut, and just where a line of its own says so, whatever a reader takes for
/// the end of a line.
fn names_endpoint(cuts: &[usize], stream: &[u8]) {
    let mut watch = EndpointWatch::new();
    let mut at = 0;
    let mut found = false;
    for &cut in cuts {
        found |= watch.read(&stream[at..cut]);
        at = cut;
    }
    let begins = |at: usize| {
        let before = &stream[..at];
        let separators = [&b"\xC2\x85"[..], b"\xE2\x80\xA8", b"\xE2\x80\xA9", b"\n\xEF\xBB\xBF"];
        before.is_empty()
            || before == b"\xEF\xBB\xBF"
            || before.last().is_some_and(u8::is_ascii_control)
            || separators.iter().any(|end| before.ends_with(end))
    };
    let says = |at: usize| {
        let Some(value) = stream[at..].strip_prefix(b"event:") else { return false };
        match value.strip_prefix(b" ").unwrap_or(value) {
            [b'\r' | b'\n', ..] | [] => false,
            [first, ..] if !first.is_ascii_graphic() => true,
            rest => {
                let behind = rest.strip_prefix(b"endpoint").and_then(<[u8]>::first);
                behind.is_some_and(|byte| !byte.is_ascii_graphic())
            }
        }
    };
    let wanted = (0..stream.len()).any(|at| begins(at) && says(at));
    assert_eq!(found, wanted, "{}", stream.escape_ascii());
}
