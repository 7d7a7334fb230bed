//! What an answer says of the call, where a limit must know: whether it worked, and how many tokens it has. It reads
//! along; nothing is held back or changed.

use crate::policy::rate_limit::{Estimator, Limits, Outcome, Transcript, reported_tokens};
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
    /// Where a tokenizer is to count: what is estimated meanwhile.
    transcript: Option<Box<Transcript>>,
    bytes: u64,
    /// It is too long, or no stream of events, so it is counted as it comes and not understood.
    blind: bool,
    /// Its chunks cannot be told apart.
    broken: bool,
}

impl Tap {
    /// For an answer with or without chunked coding, of JSON or of events. What the request said stands in the transcript.
    pub fn new(chunked: bool, events: bool, transcript: Option<Box<Transcript>>) -> Self {
        Self {
            chunked: chunked.then(Decoder::new),
            events: events.then(|| Scanner::new(MESSAGE_BYTES_MAX)),
            partial: Vec::new(),
            last: Vec::new(),
            tokens: Estimator::default(),
            transcript,
            bytes: 0,
            blind: false,
            broken: false,
        }
    }

    /// The next bytes of the body, as they are sent.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let Some(mut decoder) = self.chunked.take() else { return self.payload(bytes) };
        while !self.broken {
            match decoder.step(bytes) {
                Ok(Step::Data(range)) => {
                    let end = range.end;
                    self.payload(&bytes[range]);
                    bytes = &bytes[end..];
                }
                Ok(Step::NeedMore | Step::End(_)) => break,
                Err(_) => (self.blind, self.broken) = (true, true),
            }
        }
        self.chunked = Some(decoder);
    }

    fn payload(&mut self, mut bytes: &[u8]) {
        if self.events.is_none() {
            self.say(bytes);
            self.keep(bytes);
            return;
        }
        while !self.blind {
            let next = self.events.as_mut().map(|events| events.next_end(bytes));
            let Some(Ok(next)) = next else {
                // What was kept of the event was not counted yet.
                let begun = std::mem::take(&mut self.partial);
                self.say(&begun);
                self.blind = true;
                break;
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
                self.say(data);
                self.end_text();
                if answers(data) {
                    self.last.clear();
                    self.last.extend_from_slice(data);
                }
            }
            self.partial = event;
            self.partial.clear();
        }
        self.say(bytes);
    }

    /// Counts, or has counted, what the server says.
    fn say(&mut self, text: &[u8]) {
        self.tokens.feed(text);
        if let Some(transcript) = &mut self.transcript {
            transcript.feed(text);
        }
    }

    fn end_text(&mut self) {
        if let Some(transcript) = &mut self.transcript {
            transcript.end_text();
        }
    }

    /// What is to be counted: the request's arguments, and what the server has said.
    pub fn take_transcript(&mut self) -> Option<Box<Transcript>> {
        self.end_text();
        self.transcript.take()
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.partial.len() + bytes.len() > MESSAGE_BYTES_MAX {
            self.blind = true;
            let begun = std::mem::take(&mut self.partial);
            if self.events.is_some() {
                // An event is counted when it is complete, which this one will never be.
                self.say(&begun);
                self.say(bytes);
            }
        }
        if !self.blind {
            self.partial.extend_from_slice(bytes);
        }
    }

    /// What the answer came to. `sent` are the tokens of the request's arguments, `whole` says that it came to its end.
    /// To be asked once: the message is unescaped where it stands.
    pub fn finish(&mut self, limits: &Limits, sent: u64, whole: bool) -> Outcome {
        if self.events.is_some() {
            // An event that was cut was read as far as it came.
            let begun = std::mem::take(&mut self.partial);
            self.say(&begun);
        }
        let message = if self.events.is_some() { &mut self.last } else { &mut self.partial };
        let read = if self.blind { None } else { Document::parse(message) };
        let success = whole && read.as_ref().is_none_or(succeeds);
        let unfinished = read.as_ref().is_some_and(|read| {
            read.root().pointer("/result/resultType").and_then(|kind| kind.as_str()) == Some("input_required")
        });
        let pointer = limits.tokens.reported.as_ref();
        let reported = pointer.and_then(|pointer| reported_tokens(read.as_ref()?, pointer));
        let tokens = reported.unwrap_or_else(|| sent.saturating_add(self.tokens.tokens()));
        let reported = reported.is_some();
        Outcome { success, unfinished, tokens, reported, bytes: self.bytes, ..Outcome::default() }
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
    use crate::policy::rate_limit::Tokens;

    fn usage() -> Tokens {
        Tokens { reported: Some("/structuredContent/usage".into()), ..Tokens::default() }
    }

    fn limits(tokens: Tokens) -> Limits {
        let mut limits = Limits::new(Vec::new(), Vec::new(), Vec::new());
        limits.tokens = tokens;
        limits
    }

    #[test]
    fn an_event_that_was_cut_costs_what_was_read_of_it() {
        let text = "many words that a model reads although the event never ends ".repeat(40);
        let of = |body: &str| {
            let mut tap = Tap::new(false, true, None);
            tap.feed(body.as_bytes());
            tap.finish(&limits(Tokens::default()), 0, true).tokens
        };
        let (whole, cut) = (of(&format!("data: {text}\n\n")), of(&format!("data: {text}\n")));
        assert!(cut >= whole && whole > 100, "{cut} {whole}");
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
                        let mut tap = Tap::new(chunked, events, None);
                        tap.feed(&body.as_bytes()[..cut]);
                        tap.feed(&body.as_bytes()[cut..]);
                        tap.finish(&limits(tokens), 5, true)
                    };
                    let outcome = read(Tokens::default());
                    assert_eq!((outcome.success, outcome.unfinished), (success, more), "{body} at {cut}");
                    assert!(outcome.tokens > 5 && outcome.bytes == body.len() as u64);
                    let told = read(usage());
                    assert_eq!(
                        (told.tokens == 77, told.reported),
                        (message != error, message != error),
                        "{body} at {cut}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_breaks_off_or_is_too_long_is_not_read() {
        let mut tap = Tap::new(false, false, None);
        tap.feed(GOOD.as_bytes());
        assert!(!tap.finish(&limits(Tokens::default()), 0, false).success);
        // The longest message that is read, and one byte more.
        for (longer, reported) in [(0, true), (1, false)] {
            let mut tap = Tap::new(false, false, None);
            tap.feed(GOOD.as_bytes());
            tap.feed(&vec![b' '; MESSAGE_BYTES_MAX - GOOD.len() + longer]);
            let outcome = tap.finish(&limits(usage()), 0, true);
            assert_eq!((outcome.tokens == 77, outcome.reported), (reported, reported));
        }
        let mut tap = Tap::new(false, true, None);
        for _ in 0..3 {
            tap.feed(&vec![b'a'; MESSAGE_BYTES_MAX / 2]);
        }
        assert!(tap.finish(&limits(Tokens::default()), 0, true).success);
        assert!(tap.partial.capacity() <= 2 * MESSAGE_BYTES_MAX);
    }

    #[test]
    fn what_is_too_long_to_be_read_is_counted_to_its_end() {
        let text = vec![b'a'; MESSAGE_BYTES_MAX / 2];
        let mut estimator = Estimator::default();
        (0..5).for_each(|_| estimator.feed(&text));
        let whole = estimator.tokens();
        for (chunked, events) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut tap = Tap::new(chunked, events, None);
            for _ in 0..5 {
                match chunked {
                    true => {
                        tap.feed(format!("{:x}\r\n", text.len()).as_bytes());
                        tap.feed(&text);
                        tap.feed(b"\r\n");
                    }
                    false => tap.feed(&text),
                }
            }
            let tokens = tap.finish(&limits(Tokens::default()), 0, true).tokens;
            assert!(tokens.abs_diff(whole) <= 2, "{chunked} {events}: {tokens}, not {whole}");
        }
    }

    #[test]
    fn a_transcript_has_the_arguments_and_each_message_as_a_text_of_its_own() {
        let argued = || {
            let mut transcript = Box::<Transcript>::default();
            transcript.begin(1 << 20);
            transcript.feed(b"{\"q\":\"hello world\"}");
            transcript.end_text();
            transcript
        };
        let count = |text: &str| crate::policy::rate_limit::o200k::count(text.as_bytes());
        let arguments = argued().count();
        let note = "{\"method\":\"x\"}";
        let event = format!(": hi\n\nevent: message\ndata: {note}\n\ndata: {GOOD}\n\n");
        for (events, body, tokens) in [(false, GOOD, count(GOOD)), (true, &*event, count(note) + count(GOOD))]
        {
            for cut in 0..body.len() {
                let mut tap = Tap::new(false, events, Some(argued()));
                tap.feed(&body.as_bytes()[..cut]);
                tap.feed(&body.as_bytes()[cut..]);
                let transcript = tap.take_transcript().expect("it was given");
                assert_eq!(transcript.count(), arguments + tokens, "{body} at {cut}");
            }
        }
    }
}
