//! An event with other data.

use super::event::Lines;
use super::write::push_data;

/// Appends `event`, one whole event, with `data` in the place of its own. The new lines stand where its first
/// line of data stood; all other lines keep what they say, comments and unknown fields too. An event without
/// data stays without.
///
/// All lines end with LF: a CR at the end of one would swallow the LF that once stood behind a line of data.
pub fn write_with_data(out: &mut Vec<u8>, event: &[u8], data: &[u8]) {
    let mut written = false;
    for line in Lines::of(event) {
        let line = &event[line];
        let name = &line[..memchr::memchr(b':', line).unwrap_or(line.len())];
        if name != b"data" {
            out.extend_from_slice(line);
            out.push(b'\n');
        } else if !written {
            push_data(out, data);
            written = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sse::Event;

    fn check(event: &str, data: &str, expected: &str) {
        let mut out = Vec::new();
        write_with_data(&mut out, event.as_bytes(), data.as_bytes());
        assert_eq!(String::from_utf8_lossy(&out), expected, "{event:?}");
        let (mut one, mut other) = (Vec::new(), Vec::new());
        let (before, after) = (Event::parse(event.as_bytes()), Event::parse(&out));
        assert_eq!((before.kind, before.id, before.retry), (after.kind, after.id, after.retry));
        if before.data(&mut one).is_some() {
            assert_eq!(after.data(&mut other), Some(data.as_bytes()));
        }
    }

    #[test]
    fn only_the_data_changes() {
        check("data: a\n\n", "b", "data: b\n\n");
        check("data:a\ndata\ndata: c\n\n", "b", "data: b\n\n");
        check(
            ": hi\r\nid: 7\r\ndata: a\r\nretry: 5\r\ndata: b\r\nx: y\r\n\r\n",
            "c\nd",
            ": hi\nid: 7\ndata: c\ndata: d\nretry: 5\nx: y\n\n",
        );
        check("event: message\rdata: a\rdata: b\rid: 1\r\r", "c", "event: message\ndata: c\nid: 1\n\n");
        check("data: a\nid: 1\n\n", "", "data: \nid: 1\n\n");
        check("id: 1\nDATA: x\ndatax: y\n\n", "b", "id: 1\nDATA: x\ndatax: y\n\n");
    }

    #[test]
    fn the_empty_line_at_the_end_stays_one() {
        check("data: a\nx: y\rdata: b\n\n", "c", "data: c\nx: y\n\n");
    }
}
