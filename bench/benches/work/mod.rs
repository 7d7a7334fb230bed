//! What the micro benches measure: inputs like those of real traffic, and one function per codec.
//!
//! Inputs come in sets that are cycled through. With a single body a branch predictor learns it by
//! heart and a scanner looks half again as fast as it will ever be in service.

mod bodies;
mod expressions;
mod heads;
mod lists;
mod streams;

use ringgate::wire::http1::{HeadLimits, HeadScan, Method, Parsed, parse_request_head, parse_response_head};
use ringgate::wire::json::{Padded, validate};
use ringgate::wire::jsonrpc::{JsonLimits, Message, extract_envelope, extract_envelope_portable};
use ringgate::wire::mcp::lists::{Edits, Kind, ListFault, find_cuts, find_cuts_portable};
use ringgate::wire::sse::Scanner;
use std::cell::RefCell;
use std::hint::black_box;

/// One codec on one kind of input.
pub struct Work {
    /// Its name in reports: `codec/input`.
    pub name: &'static str,
    /// Inputs, to be used in turn. Each is followed by bytes that are not part of it.
    pub inputs: Vec<Input>,
    /// Does the work on one input. Panics if the answer is wrong: a codec that refuses is fast.
    pub run: fn(&Input),
}

/// One input.
pub struct Input {
    bytes: Vec<u8>,
    length: usize,
}

impl Input {
    fn new(text: &[u8]) -> Self {
        let mut bytes = text.to_vec();
        bytes.resize(text.len() + ringgate::base::PAD, 0);
        Self { bytes, length: text.len() }
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.length
    }

    fn text(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn padded(&self) -> Padded<'_> {
        Padded::new(&self.bytes, self.length).expect("an input is made with its padding")
    }
}

/// All kinds of work, in the order of a report.
pub fn all() -> Vec<Work> {
    vec![
        Work { name: "extract/250 B", inputs: bodies::calls(64, 250), run: extract },
        Work { name: "extract/4 KB nested", inputs: bodies::nested(16, 4096), run: extract },
        Work { name: "extract/64 KB nested", inputs: bodies::nested(4, 65536), run: extract },
        Work { name: "extract/64 KB dense", inputs: bodies::dense(4, 65536), run: extract },
        Work { name: "extract/64 KB text", inputs: bodies::text(4, 65536), run: extract },
        Work { name: "extract portable/250 B", inputs: bodies::calls(64, 250), run: extract_portable },
        Work {
            name: "extract portable/64 KB nested",
            inputs: bodies::nested(4, 65536),
            run: extract_portable,
        },
        Work { name: "extract portable/64 KB text", inputs: bodies::text(4, 65536), run: extract_portable },
        Work { name: "validate/64 KB nested", inputs: bodies::nested(4, 65536), run: check },
        Work { name: "request head/load generator", inputs: heads::plain_requests(), run: request_head },
        Work { name: "request head/SDK clients", inputs: heads::sdk_requests(), run: request_head },
        Work { name: "request head/browser", inputs: heads::browser_requests(), run: request_head },
        Work { name: "response head/servers", inputs: heads::responses(), run: response_head },
        Work { name: "sse/one answer", inputs: streams::answers(32), run: events },
        Work { name: "sse/64 KB of events", inputs: streams::many(4, 65536), run: events },
        Work { name: "list/20 tools, half kept", inputs: lists::tools(32, 20), run: half_list },
        Work { name: "list/1,000 tools, half kept", inputs: lists::tools(3, 1000), run: half_list },
        Work { name: "list/1,000 tools, all kept", inputs: lists::tools(3, 1000), run: whole_list },
        Work {
            name: "list portable/1,000 tools, half kept",
            inputs: lists::tools(3, 1000),
            run: portable_list,
        },
        Work { name: "when/1 over a 1 MB call", inputs: expressions::large_call(), run: expressions::one },
        Work {
            name: "when/20 over a 1 MB call",
            inputs: expressions::large_call(),
            run: expressions::twenty,
        },
        Work { name: "when/1 of all of it", inputs: expressions::large_call(), run: expressions::one_of_all },
        Work {
            name: "when/20 of all of it",
            inputs: expressions::large_call(),
            run: expressions::twenty_of_all,
        },
    ]
}

fn extract(input: &Input) {
    let message = extract_envelope(black_box(input.padded()), &LIMITS).expect("bodies are valid");
    black_box(is_named_call(&message));
}

fn extract_portable(input: &Input) {
    let message = extract_envelope_portable(black_box(input.padded()), &LIMITS).expect("bodies are valid");
    black_box(is_named_call(&message));
}

fn is_named_call(message: &Message<'_>) -> bool {
    let Message::Single(envelope) = message else {
        panic!("not one message");
    };
    assert!(envelope.id().is_some() && envelope.name().is_some(), "a field was not found");
    true
}

fn check(input: &Input) {
    assert!(validate(black_box(input.padded()), LIMITS.depth_max).is_ok());
}

fn request_head(input: &Input) {
    let head = parse_request_head(black_box(input.text()), &HeadLimits::default(), &mut HeadScan::default());
    assert!(matches!(black_box(head), Ok(Parsed::Complete(_))));
}

fn response_head(input: &Input) {
    let limits = HeadLimits::default();
    let head = parse_response_head(black_box(input.text()), Method::Post, &limits, &mut HeadScan::default());
    assert!(matches!(black_box(head), Ok(Parsed::Complete(_))));
}

fn events(input: &Input) {
    let whole = Scanner::new(1 << 20).scan(black_box(input.text()));
    assert!(whole.is_ok_and(|whole| whole == input.len()));
}

fn half_list(input: &Input) {
    list(input, find_cuts, |name| name.as_bytes().last().is_some_and(|byte| byte % 2 == 0));
}

fn portable_list(input: &Input) {
    list(input, find_cuts_portable, |name| name.as_bytes().last().is_some_and(|byte| byte % 2 == 0));
}

fn whole_list(input: &Input) {
    list(input, find_cuts, |name| !name.is_empty());
}

type FindCuts = fn(Padded<'_>, &mut dyn FnMut(Kind, &str) -> bool, &mut Edits) -> Result<(), ListFault>;

/// Finds what goes and writes what stays, into memory that is there already.
fn list(input: &Input, find: FindCuts, keep: fn(&str) -> bool) {
    thread_local! {
        static ROOM: RefCell<(Edits, Vec<u8>)> = RefCell::default();
    }
    ROOM.with_borrow_mut(|(edits, out)| {
        edits.clear();
        out.clear();
        assert_eq!(find(black_box(input.padded()), &mut |_, name| keep(name), edits), Ok(()));
        edits.apply(input.text(), out);
        assert!(out.len() > input.len() / 3);
        black_box(&out);
    });
}

const LIMITS: JsonLimits = JsonLimits { depth_max: 64, batch_max: 64, id_bytes_max: 1024 };
