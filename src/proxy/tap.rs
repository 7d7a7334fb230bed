//! What an answer says of the call, where a limit must know: whether it worked, and how many tokens it has. It reads
//! along; nothing is held back or changed.

use crate::policy::rate_limit::{Estimator, Limits, Outcome, Tokens, reported_tokens};
use crate::wire::http1::chunked::{Decoder, Step};
use crate::wire::json::Document;
use crate::wire::sse::{Event, Scanner};

/// Bytes of a message that are kept to be read at the end. A longer one is taken for a success, its tokens estimated.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Reads along with one answer, as the client gets it.
pub struct Tap {
    chunked: Option<Decoder>,
    events: Option<Scanner>,
    /// An event, or the whole message, as far as it has come.
    partial: Vec<u8>,
    /// The last message that answers.
    last: Vec<u8>,
    tokens: Estimator,
    bytes: u64,
    /// It cannot be read on.
    blind: bool,
}

impl Tap {
    /// For an answer with or without chunked coding, of JSON or of events.
    pub fn new(chunked: bool, events: bool) -> Self {
        Self {
            chunked: chunked.then(Decoder::new),
            events: events.then(|| Scanner::new(MESSAGE_BYTES_MAX)),
            partial: Vec::new(),
            last: Vec::new(),
            tokens: Estimator::default(),
            bytes: 0,
            blind: false,
        }
    }

    /// The next bytes of the body, as they are sent.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let Some(mut decoder) = self.chunked.take() else { return self.payload(bytes) };
        while !self.blind {
            match decoder.step(bytes) {
                Ok(Step::Data(range)) => {
                    let end = range.end;
                    self.payload(&bytes[range]);
                    bytes = &bytes[end..];
                }
                Ok(Step::NeedMore | Step::End(_)) => break,
                Err(_) => self.blind = true,
            }
        }
        self.chunked = Some(decoder);
    }

    fn payload(&mut self, mut bytes: &[u8]) {
        if self.events.is_none() {
            self.tokens.feed(bytes);
            self.keep(bytes);
            return;
        }
        while !self.blind {
            let next = self.events.as_mut().map(|events| events.next_end(bytes));
            let Some(Ok(next)) = next else {
                self.blind = true;
                return;
            };
            let Some(end) = next else {
                self.keep(bytes);
                return;
            };
            self.keep(&bytes[..end]);
            bytes = &bytes[end..];
            let event = std::mem::take(&mut self.partial);
            let mut joined = Vec::new();
            if let Some(data) = Event::parse(&event).data(&mut joined).filter(|data| !data.is_empty()) {
                self.tokens.feed(data);
                if answers(data) {
                    self.last.clear();
                    self.last.extend_from_slice(data);
                }
            }
            self.partial = event;
            self.partial.clear();
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.partial.len() + bytes.len() > MESSAGE_BYTES_MAX {
            self.blind = true;
            self.partial = Vec::new();
        }
        if !self.blind {
            self.partial.extend_from_slice(bytes);
        }
    }

    /// What the answer came to. `sent` are the tokens of the request's arguments, `whole` says that it came to its end.
    /// To be asked once: the message is unescaped where it stands.
    pub fn finish(&mut self, limits: &Limits, sent: u64, whole: bool) -> Outcome {
        let message = if self.events.is_some() { &mut self.last } else { &mut self.partial };
        let read = if self.blind { None } else { Document::parse(message) };
        let success = whole && read.as_ref().is_none_or(succeeds);
        let unfinished = read.as_ref().is_some_and(|read| {
            read.root().pointer("/result/resultType").and_then(|kind| kind.as_str()) == Some("input_required")
        });
        let reported = match &limits.tokens {
            Tokens::Reported(pointer) => read.as_ref().and_then(|read| reported_tokens(read, pointer)),
            Tokens::Estimate => None,
        };
        let tokens = reported.unwrap_or_else(|| sent.saturating_add(self.tokens.tokens()));
        Outcome { success, unfinished, tokens, bytes: self.bytes, ..Outcome::default() }
    }
}

/// Whether a message is the answer to a request, and not something on the way to it.
fn answers(data: &[u8]) -> bool {
    let has = |name: &[u8]| memchr::memmem::find(data, name).is_some();
    has(b"\"result\"") || has(b"\"error\"")
}

/// Whether an answer is a result, and no tool says that it failed.
fn succeeds(message: &Document<'_>) -> bool {
    match message.root().get("result") {
        Some(result) => result.get("isError").and_then(|flag| flag.as_bool()) != Some(true),
        // A batch has many answers; that of a message has one.
        None => message.root().is_array(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(tokens: Tokens) -> Limits {
        let mut limits = Limits::new(Vec::new(), Vec::new(), Vec::new());
        limits.tokens = tokens;
        limits
    }

    const GOOD: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"four words are here"}],"structuredContent":{"usage":77}}}"#;

    #[test]
    fn what_an_answer_says_is_read_wherever_it_is_cut() {
        let failed = GOOD.replace("\"content\"", "\"isError\":true,\"content\"");
        let unfinished = GOOD.replace("\"content\"", "\"resultType\":\"input_required\",\"content\"");
        let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"result"}}"#;
        for (message, success, more) in
            [(GOOD, true, false), (&failed, false, false), (&unfinished, true, true), (error, false, false)]
        {
            let event = format!(": hi\n\nevent: message\ndata: {{\"method\":\"x\"}}\n\ndata: {message}\n\n");
            let chunk = |text: &str| format!("{:x}\r\n{text}\r\n0\r\n\r\n", text.len());
            for (body, chunked, events) in [
                (message.to_owned(), false, false),
                (chunk(message), true, false),
                (event.clone(), false, true),
                (chunk(&event), true, true),
            ] {
                for cut in 0..body.len() {
                    let read = |tokens| {
                        let mut tap = Tap::new(chunked, events);
                        tap.feed(&body.as_bytes()[..cut]);
                        tap.feed(&body.as_bytes()[cut..]);
                        tap.finish(&limits(tokens), 5, true)
                    };
                    let outcome = read(Tokens::Estimate);
                    assert_eq!((outcome.success, outcome.unfinished), (success, more), "{body} at {cut}");
                    assert!(outcome.tokens > 5 && outcome.bytes == body.len() as u64);
                    let reported = read(Tokens::Reported("/structuredContent/usage".into()));
                    assert_eq!(reported.tokens == 77, message != error, "{body} at {cut}");
                }
            }
        }
    }

    #[test]
    fn what_breaks_off_or_is_too_long_is_not_read() {
        let mut tap = Tap::new(false, false);
        tap.feed(GOOD.as_bytes());
        assert!(!tap.finish(&limits(Tokens::Estimate), 0, false).success);
        // The longest message that is read, and one byte more.
        for (longer, reported) in [(0, true), (1, false)] {
            let mut tap = Tap::new(false, false);
            tap.feed(GOOD.as_bytes());
            tap.feed(&vec![b' '; MESSAGE_BYTES_MAX - GOOD.len() + longer]);
            let outcome = tap.finish(&limits(Tokens::Reported("/structuredContent/usage".into())), 0, true);
            assert_eq!(outcome.tokens == 77, reported);
        }
        let mut tap = Tap::new(false, true);
        for _ in 0..3 {
            tap.feed(&vec![b'a'; MESSAGE_BYTES_MAX / 2]);
        }
        assert!(tap.finish(&limits(Tokens::Estimate), 0, true).success);
        assert!(tap.partial.capacity() <= 2 * MESSAGE_BYTES_MAX);
    }
}
