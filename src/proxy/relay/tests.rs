//! Filtered answers, from the server's bytes to the client's.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::body::Body;
use super::events::Events;
use super::keep::idle_bound;
use crate::base::Buf;
use crate::policy::listing::{Bounds, Keep, Kind, Steps};
use crate::wire::http1::chunked::{Decoder, Step, write_chunk};
use crate::wire::http1::{ResponseFraming, Version};

mod exchanges;

/// Shows what does not begin with `x`.
pub(super) struct NoX {
    pub items: usize,
    pub steps: usize,
}

/// Without a bound.
pub(super) const NO_X: NoX = NoX { items: usize::MAX, steps: usize::MAX };

impl Keep for NoX {
    fn bounds(&self) -> Bounds {
        Bounds { items: self.items, steps: self.steps, ..Bounds::default() }
    }

    fn keeps(&self, _: Kind, name: &str, _: &Steps) -> bool {
        !name.starts_with('x')
    }
}

/// A list of two, and what is left of it.
const LIST: &str =
    r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"},{"name":"x"}],"nextCursor":"x"}}"#;
const SHOWN: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"}],"nextCursor":"x"}}"#;

const MAX: usize = 400;

/// The payload of a chunked body; `None` if it does not end.
fn unchunked(bytes: &[u8]) -> (Vec<u8>, bool) {
    let (mut decoder, mut payload, mut rest) = (Decoder::new(), Vec::new(), bytes);
    loop {
        match decoder.step(rest).unwrap() {
            Step::Data(range) => {
                payload.extend_from_slice(&rest[range.clone()]);
                rest = &rest[range.end..];
            }
            Step::NeedMore => return (payload, false),
            Step::End(length) => return (payload, length == rest.len()),
        }
    }
}

/// What a filtered stream comes to when it is read in these pieces: the payload, and whether it ended. `Err`
/// also tells what passed before.
fn stream(framing: ResponseFraming, version: Version, pieces: &[&[u8]]) -> Result<(String, bool), String> {
    let mut body = Body::new(framing, version);
    body.read_events(Box::new(Events::new(MAX, None, Some(Box::new(NO_X)))));
    let mut out = Vec::new();
    let mut done = false;
    for piece in pieces {
        let mut buf = Buf::with_capacity(piece.len());
        assert!(buf.append(piece));
        let Ok(pass) = body.pass(&mut buf, 0) else {
            let (payload, ended) = if version == Version::Http11 { unchunked(&out) } else { (out, false) };
            assert!(!ended);
            return Err(String::from_utf8(payload).unwrap());
        };
        assert!(pass.len == 0 && !pass.extra && !done);
        out.extend(pass.frames.unwrap_or_default());
        done = pass.done;
    }
    if let Some(end) = body.finish() {
        out.extend(end.frames.unwrap_or_default());
        done = true;
    }
    let (payload, ended) = if version == Version::Http11 { unchunked(&out) } else { (out, done) };
    assert_eq!(ended, done);
    Ok((String::from_utf8(payload).unwrap(), done))
}

/// A stream becomes another, wherever its bytes are cut and however they are framed.
#[track_caller]
fn becomes(from: &str, to: &str) {
    let mut chunks = Vec::new();
    from.as_bytes().chunks(7).for_each(|part| write_chunk(&mut chunks, part));
    chunks.extend_from_slice(b"0\r\n\r\n");
    for (framing, bytes) in [
        (ResponseFraming::Length(from.len() as u64), from.as_bytes()),
        (ResponseFraming::Chunked, &chunks),
        (ResponseFraming::UntilClose, from.as_bytes()),
    ] {
        for version in [Version::Http10, Version::Http11] {
            for cut in 1..bytes.len() {
                let (one, other) = bytes.split_at(cut);
                let got = stream(framing, version, &[one, other]);
                assert_eq!(got, Ok((to.to_owned(), true)), "{framing:?} {version:?} {cut}");
            }
        }
    }
}

/// A stream is cut; of it only this much passes, wherever its bytes are cut.
#[track_caller]
fn is_cut(from: &str, passes: &str) {
    for cut in 1..from.len() {
        let (one, other) = from.as_bytes().split_at(cut);
        let got = stream(ResponseFraming::UntilClose, Version::Http11, &[one, other]);
        let passed = got.expect_err("it must be cut");
        assert!(passes.starts_with(&passed), "{cut}: {passed}");
    }
}

#[test]
fn lists_in_events_are_filtered_and_all_else_passes_byte_for_byte() {
    becomes(&format!("id: 7\ndata: {LIST}\n\n"), &format!("id: 7\ndata: {SHOWN}\n\n"));
    becomes(
        &format!(": hi\r\nevent:message\r\ndata:{LIST}\r\nid:7\r\nretry: 5\r\nx\r\n\r\n"),
        &format!(": hi\r\nevent:message\r\ndata:{SHOWN}\r\nid:7\r\nretry: 5\r\nx\r\n\r\n"),
    );
    let note = r#"data: {"method":"notifications/progress","params":{}}"#;
    let same = format!(": hi\n\n{note}\n\nid: 1\ndata: \n\nid: 2\n\nretry: 1\ndata\n\ndata: {SHOWN}\n\n");
    becomes(&same, &same);
    becomes(
        &format!("{note}\n\ndata: {LIST}\n\n{note}\n\n"),
        &format!("{note}\n\ndata: {SHOWN}\n\n{note}\n\n"),
    );
    becomes(&format!("data: [{LIST}]\r\r"), &format!("data: [{SHOWN}]\r\r"));
}

#[test]
fn data_on_several_lines_is_read_as_one_message() {
    // Line breaks between tokens.
    let broken = LIST.replace(":[", ":\ndata: [\ndata:");
    let shown = SHOWN.replace(":[", ":\ndata: [\ndata: ");
    becomes(&format!("id: 1\ndata: {broken}\nretry: 2\n\n"), &format!("id: 1\ndata: {shown}\nretry: 2\n\n"));
    let whole = SHOWN.replace(":[", ":\ndata:[\ndata:");
    becomes(&format!("id: 1\ndata: {whole}\n\n"), &format!("id: 1\ndata: {whole}\n\n"));
    // But not within one.
    is_cut("data: {\"res\ndata: ult\":{}}\n\n", "");
}

#[test]
fn a_byte_order_mark_and_other_types_hide_no_list() {
    becomes(&format!("\u{feff}data: {LIST}\n\n"), &format!("\u{feff}data: {SHOWN}\n\n"));
    becomes(&format!("event: other\ndata: {LIST}\n\n"), &format!("event: other\ndata: {SHOWN}\n\n"));
    becomes("event: ping\ndata: 2026-01-01T00:00:00Z\n\n", "event: ping\ndata: 2026-01-01T00:00:00Z\n\n");
    is_cut(&format!("event: other\ndata: \u{feff}{LIST}\n\n"), "");
}

#[test]
fn what_is_not_understood_ends_the_stream_and_does_not_pass() {
    let good = "data: {\"id\":1}\n\n";
    for bad in [
        "data: ok\n\n",
        "event: message\ndata: <html>\n\n",
        "event:\ndata: 1 2\n\n",
        "data: {\"result\":{\"tools\":[{\"name\":\"x\"}]}\n\n",
        "data: {\"result\":{\"tools\":[{\"name\":\"x\"}],\"Tools\":[]}}\n\n",
        "data: {\"result\":{\"tools\":{\"name\":\"x\"}}}\n\n",
        "event: other\ndata: {\"result\":{\"tools\":[NaN]}}\n\n",
    ] {
        is_cut(&format!("{good}{bad}{good}"), good);
    }
    let large = format!("data: \"{}\"\n\n", "y".repeat(MAX));
    is_cut(&format!("{good}{large}"), good);
    let room = MAX - "data: \"\"\n\n".len();
    let fits = format!("data: \"{}\"\n\n", "y".repeat(room));
    becomes(&fits, &fits);
}

#[test]
fn comments_wait_for_no_event_and_never_add_up_to_one() {
    let mut events = Events::new(MAX, None, Some(Box::new(NO_X)));
    for _ in 0..3 * MAX {
        assert_eq!(events.push(b": still here\n").unwrap(), b": still here\n");
    }
    assert_eq!(events.push(b":\r\n: again\r").unwrap(), b":\r\n: again\r");
    assert_eq!(events.push(b"\n: half").unwrap(), b"\n");
    assert_eq!(events.push(b" a line\ndata: ").unwrap(), b"");
    assert_eq!(events.push(LIST.as_bytes()).unwrap(), b"");
    assert_eq!(events.push(b"\n\n").unwrap(), format!(": half a line\ndata: {SHOWN}\n\n").as_bytes());
    assert_eq!(events.push(b"data: 1\n: among\n").unwrap(), b"", "within an event they are part of it");
}

#[test]
fn an_event_without_its_end_does_not_pass_and_is_no_end() {
    let framing = ResponseFraming::Length(LIST.len() as u64 + 7);
    let got = stream(framing, Version::Http11, &[format!("data: {LIST}\n").as_bytes()]);
    assert_eq!(got, Err(String::new()));
}

#[test]
fn a_stream_that_only_opens_says_nothing_of_how_busy_its_server_is() {
    for (part, says) in [
        (&b": hello\n\n"[..], false),
        (b"id: 1\ndata: \n\n", false),
        (b"id: 1\r\ndata:\r\n\r\n", false),
        (b"10\r\nid: 1\ndata: \n\n\r\n", false),
        (b"data: \n\ndata: {}\n\n", true),
        (b"event: message\ndata:{}\n\n", true),
        (b"id: 1\ndata:", true),
    ] {
        assert_eq!(super::along::says_something(part), says, "{}", String::from_utf8_lossy(part));
    }
}

#[test]
fn an_idle_connection_is_let_go_before_the_server_does() {
    let seconds = Duration::from_secs;
    for (theirs, kept) in [
        (None, Some(seconds(55))),
        (Some(seconds(100)), Some(seconds(55))),
        (Some(seconds(5)), Some(seconds(4))),
        (Some(Duration::from_millis(1_001)), Some(Duration::from_millis(1))),
        (Some(seconds(1)), None),
        (Some(Duration::ZERO), None),
    ] {
        assert_eq!(idle_bound(seconds(55), theirs), kept, "{theirs:?}");
    }
}
