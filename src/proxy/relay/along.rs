//! What is learnt of an answer while it passes.

use super::Facts;
use super::filter::Filtering;
use crate::proxy::exchange::Exchange;
use crate::proxy::tap::Tap;
use crate::telemetry::{Kind, Outcome};
use crate::wire::http1::{ResponseFraming, Version};

/// Reads along with the answer, where a limit must know what it says. `first` are the bytes of the body that are here.
pub fn tap_of(exchange: &mut Exchange<'_>, facts: &Facts, first: &[u8]) -> Option<Box<Tap>> {
    let limits = exchange.forward.live.deployment.snapshot.rate_limits.as_ref()?;
    exchange.forward.ticket.as_ref()?;
    // As the client gets it: what is filtered as a whole has a length then, events that are filtered never have one.
    let unframed = match facts.filtering {
        Filtering::No => matches!(facts.framing, ResponseFraming::Chunked | ResponseFraming::UntilClose),
        Filtering::Whole { .. } => false,
        Filtering::Events => true,
    };
    let chunked = unframed && exchange.forward.version == Version::Http11;
    let transcript = exchange.forward.transcript.take();
    let wanted = limits.wants_answers() || may_ask_for_input(exchange, facts, first);
    wanted.then(|| Box::new(Tap::new(chunked, facts.event_stream, transcript)))
}

/// Whether the answer may be one round of a call that asks for more input (MCP 2026-07-28), where calls are counted. A JSON
/// answer says so in its first bytes or counts as a call: to read all answers for this would cost every call.
fn may_ask_for_input(exchange: &Exchange<'_>, facts: &Facts, first: &[u8]) -> bool {
    let forward = &exchange.forward;
    let limits = &forward.live.deployment.snapshot.rate_limits;
    forward.modern
        && forward.is_call
        && limits.as_ref().is_some_and(|limits| limits.counts_calls())
        && (facts.event_stream || memchr::memmem::find(first, b"input_required").is_some())
}

/// Takes note of what passes of the body: that it has begun, and what it says where a limit must know.
pub fn read_along(exchange: &mut Exchange<'_>, facts: &Facts, bytes: &[u8], frames: Option<&[u8]>) {
    let waits = exchange.pass.as_ref().is_some_and(|pass| !pass.is_measured());
    // Some servers send the head of a stream at once, and an event without data, however busy they are.
    if waits && (!facts.event_stream || says_something(bytes) || frames.is_some_and(says_something)) {
        exchange.note_answer(facts.status < 500);
    }
    if exchange.forward.kind == Kind::Request && facts.status == 200 && !facts.coded {
        exchange.look.see(bytes);
        exchange.look.see(frames.unwrap_or_default());
    }
    if let Some(tap) = &mut exchange.tap {
        tap.feed(bytes);
        tap.feed(frames.unwrap_or_default());
    }
    if let Some(border) = &mut exchange.border {
        border.feed(bytes);
        border.feed(frames.unwrap_or_default());
    }
}

/// How an exchange ended whose answer was passed on to its end.
pub fn outcome_of(exchange: &Exchange<'_>, facts: &Facts) -> Outcome {
    // Framing of chunks would be seen beside the body.
    let is_json = !facts.event_stream
        && matches!(facts.framing, ResponseFraming::Length(_))
        && super::awaits_message(exchange);
    if exchange.forward.kind != Kind::Request || facts.status != 200 || facts.coded {
        return Outcome::Answered;
    }
    exchange.look.outcome(is_json)
}

/// Whether a part of an event stream holds data, and not only comments, ids and empty events.
pub(super) fn says_something(bytes: &[u8]) -> bool {
    memchr::memmem::find_iter(bytes, b"data:").any(|at| {
        // Data that is cut off right here is not told from none: better early than never.
        let mut rest = bytes[at + 5..].iter().skip_while(|&&byte| byte == b' ');
        rest.next().is_none_or(|&byte| byte != b'\r' && byte != b'\n')
    })
}
