//! Splitting an event stream into events (WHATWG HTML section 9.2.6).

/// An incremental splitter: bytes in, the data of each dispatched event out.
#[derive(Debug, Default)]
pub struct EventSplitter {
    /// The line being read, without its end.
    line: Vec<u8>,
    /// The data of the event being read; lines are joined by a line feed.
    data: Vec<u8>,
    has_data: bool,
    /// The last byte was a carriage return, so a line feed right after it belongs to the same end.
    after_cr: bool,
    begun: bool,
    /// Comment lines seen so far (keep-alives).
    pub comments: u64,
}

impl EventSplitter {
    /// Forgets a stream half read.
    pub fn reset(&mut self) {
        self.line.clear();
        self.data.clear();
        self.has_data = false;
        self.after_cr = false;
        self.begun = false;
        self.comments = 0;
    }

    /// Bytes held back until their line or event ends.
    pub fn pending_bytes(&self) -> usize {
        self.line.len() + self.data.len()
    }

    /// Reads `bytes` and calls `on_event` with the data of each event that has any.
    ///
    /// Events without data (a bare `id:`, which servers send to make a stream resumable) are not
    /// dispatched, as the standard says.
    pub fn feed(&mut self, mut bytes: &[u8], mut on_event: impl FnMut(&[u8])) {
        if self.after_cr && bytes.first() == Some(&b'\n') {
            bytes = &bytes[1..];
            self.after_cr = false;
        }
        while let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) {
            let line = &bytes[..end];
            if self.line.is_empty() {
                self.end_line(line, &mut on_event);
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                self.end_line(&whole, &mut on_event);
                whole.clear();
                self.line = whole;
            }
            let is_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            if is_cr && bytes.first() == Some(&b'\n') {
                bytes = &bytes[1..];
            } else {
                self.after_cr = is_cr && bytes.is_empty();
            }
        }
        if !bytes.is_empty() {
            self.after_cr = false;
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self, line: &[u8], on_event: &mut impl FnMut(&[u8])) {
        let line = if self.begun { line } else { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) };
        self.begun = true;
        if line.is_empty() {
            if self.has_data && !self.data.is_empty() {
                on_event(&self.data);
            }
            self.data.clear();
            self.has_data = false;
        } else if line[0] == b':' {
            self.comments += 1;
        } else if let Some(value) = field(line, b"data") {
            if self.has_data {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(value);
            self.has_data = true;
        }
    }
}

/// The value of `line` if its field name is `name`.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = line.strip_prefix(name)?;
    match rest {
        [] => Some(rest),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(parts: &[&[u8]]) -> (Vec<String>, u64) {
        let mut splitter = EventSplitter::default();
        let mut events = Vec::new();
        for part in parts {
            splitter.feed(part, |data| events.push(String::from_utf8_lossy(data).into_owned()));
        }
        (events, splitter.comments)
    }

    fn check(stream: &[u8], events: &[&str], comments: u64) {
        let expected = (events.iter().map(|&event| event.to_owned()).collect::<Vec<_>>(), comments);
        assert_eq!(split(&[stream]), expected);
        for at in 0..=stream.len() {
            assert_eq!(split(&[&stream[..at], &stream[at..]]), expected, "split at {at}");
        }
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(split(&single), expected, "byte by byte");
    }

    #[test]
    fn all_line_ends_count() {
        check(b"data: a\n\ndata: b\r\n\r\ndata: c\r\rdata: d\r\n\n", &["a", "b", "c", "d"], 0);
    }

    #[test]
    fn data_lines_are_joined_and_one_space_is_dropped() {
        check(b"event: message\ndata:{\"a\":\ndata:  1}\nid: 7\n\n", &["{\"a\":\n 1}"], 0);
    }

    #[test]
    fn comments_and_events_without_data_are_not_dispatched() {
        check(b": hello\r\n\r\nid: 1\ndata:\n\nretry: 5\n\ndata\n\ndatax: 1\n\ndata: x\n\n", &["x"], 1);
    }

    #[test]
    fn a_leading_byte_order_mark_is_dropped_and_an_unfinished_event_waits() {
        check(b"\xef\xbb\xbfdata: a\n\ndata: never ended\n", &["a"], 0);
    }
}
