//! An event with other data.

use super::event::Lines;
use super::write::push_data;

/// Appends `event`, one whole event, with `data` in the place of its own. The new lines stand where its first
/// line of data stood; all other lines stay as they are, byte for byte. An event without data stays without.
pub fn write_with_data(out: &mut Vec<u8>, event: &[u8], data: &[u8]) {
    let mut copied = 0;
    let mut written = false;
    let mut lines = Lines::of(event).peekable();
    while let Some(line) = lines.next() {
        let name_end =
            memchr::memchr(b':', &event[line.clone()]).map_or(line.end, |colon| line.start + colon);
        if event[line.start..name_end] != *b"data" {
            continue;
        }
        out.extend_from_slice(&event[copied..line.start]);
        if !written {
            push_data(out, data);
            written = true;
        }
        // The next line starts where this one's end ends. Only a cut event has none.
        copied = lines.peek().map_or(event.len(), |next| next.start);
    }
    out.extend_from_slice(&event[copied..]);
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
            ": hi\r\nid: 7\r\ndata: c\ndata: d\nretry: 5\r\nx: y\r\n\r\n",
        );
        check("event: message\rdata: a\rdata: b\rid: 1\r\r", "c", "event: message\rdata: c\nid: 1\r\r");
        check("data: a\nid: 1\n\n", "", "data: \nid: 1\n\n");
        check("id: 1\nDATA: x\ndatax: y\n\n", "b", "id: 1\nDATA: x\ndatax: y\n\n");
    }
}
