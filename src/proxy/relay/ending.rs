//! How a stream without an end of its own ends: when its credential ends, when nothing comes for too long, and when the
//! process drains. It ends where an event ends, with the end of its body, so that its client loses nothing, and
//! resumes. It is cut only where an event was begun and the server does not go on with it.

use super::body::Body;
use super::border::{Border, Framing};
use super::filter::Filtering;
use super::{Facts, send_pass};
use crate::base::Buf;
use crate::io::Direction;
use crate::policy::rate_limit;
use crate::proxy::client::Client;
use crate::proxy::connection::Next;
use crate::proxy::exchange::Exchange;
use crate::proxy::upstream::UpstreamConn;
use crate::telemetry::Outcome;
use crate::wire::http1::chunked::{LAST_CHUNK, write_chunk};
use crate::wire::http1::{ResponseFraming, Version};
use crate::wire::jsonrpc;

/// What knows where this answer may end, and whether it names an endpoint that it may not name, if that can be known.
pub fn border_of(exchange: &Exchange<'_>, facts: &Facts) -> Option<Box<Border>> {
    if !exchange.forward.endless || !facts.event_stream || facts.coded {
        return None;
    }
    let is_read = facts.names_endpoint || facts.filtering == Filtering::Events;
    let framing = match facts.framing {
        ResponseFraming::None => return None,
        ResponseFraming::Length(_) if !is_read => Framing::Length,
        _ if exchange.forward.version == Version::Http11 => Framing::Chunked,
        _ => Framing::UntilClose,
    };
    Some(Box::new(Border::new(framing, facts.names_endpoint)))
}

/// Sets the bound of a wait for the server's next bytes.
///
/// # Errors
/// The stream was asked to end, and may do so here: why.
pub fn begin_wait(exchange: &Exchange<'_>, conn: &UpstreamConn) -> Result<(), Outcome> {
    let endless = exchange.endless();
    conn.watch.set_endless(endless);
    if conn.watch.is_asked() {
        return if may_end(exchange) { Err(exchange.why_asked()) } else { Ok(()) };
    }
    if let Some(drain) = exchange.worker.drain() {
        conn.watch.end_at(drain.end_of(endless, 0, 1));
    }
    let deadline = exchange.deadline(exchange.worker.net.now(), exchange.timeouts().stream_idle);
    conn.watch.until(deadline, Direction::Both);
    Ok(())
}

/// The stream is asked to end while it waits. What has begun an event goes on; of what cannot be seen nothing is known,
/// and so it does not.
///
/// # Errors
/// It may end here, or is cut here: why.
pub fn hear(exchange: &Exchange<'_>) -> Result<(), Outcome> {
    if exchange.border.is_none() || may_end(exchange) { Err(exchange.why_asked()) } else { Ok(()) }
}

fn may_end(exchange: &Exchange<'_>) -> bool {
    exchange.border.as_ref().is_some_and(|border| border.end().is_some())
}

/// What ends the answer, which stops because of this, in order; `None` if it is to break off.
pub fn end_of(exchange: &Exchange<'_>, client: &Client, outcome: Outcome) -> Option<&'static [u8]> {
    let asked = matches!(outcome, Outcome::Expired | Outcome::Stopped | Outcome::UpstreamTimeout);
    if !asked || client.gone {
        return None;
    }
    exchange.border.as_ref()?.end()
}

/// The last event of a streamed answer that the server did not bring to its end, and the end of the body: the answer to the
/// request, so that its client learns at once what it otherwise waits for. `None` where the client can resume, where an
/// event was begun, or where nothing more can be said.
pub fn last_event(
    exchange: &Exchange<'_>,
    client: &Client,
    facts: &Facts,
    body: &Body,
    outcome: Outcome,
) -> Option<Vec<u8>> {
    let forward = &exchange.forward;
    let is_framed = !matches!(facts.framing, ResponseFraming::Length(_) | ResponseFraming::None)
        || facts.filtering == Filtering::Events;
    let may = facts.event_stream && !facts.coded && is_framed && !forward.endless && !client.gone;
    if !may || !body.may_end(forward.modern) {
        return None;
    }
    let chunked = forward.version == Version::Http11;
    let (status, why) = match outcome {
        // No answer is due to a call that was cancelled (MCP 2025-11-25, cancellation).
        Outcome::Cancelled => return Some(if chunked { LAST_CHUNK.to_vec() } else { Vec::new() }),
        Outcome::UpstreamCut => (502, "the server broke off before its answer was whole"),
        Outcome::UpstreamTimeout => (504, "the server did not answer in time"),
        Outcome::Stopped => (503, "the gateway stops, and the server has not answered yet"),
        Outcome::Expired => (401, "the credential of the call has ended"),
        _ => return None,
    };
    let mut message = Vec::with_capacity(192);
    match body.id() {
        Some(id) if forward.is_call => {
            rate_limit::write_failure(&format!("The call failed: {why}."), id, forward.modern, &mut message);
        }
        id => jsonrpc::write_error(&mut message, Some(id?), status, why, None),
    }
    let event = [b"event: message\ndata: ", &message[..], b"\n\n"].concat();
    if !chunked {
        return Some(event);
    }
    let mut end = Vec::with_capacity(event.len() + 16);
    write_chunk(&mut end, &event);
    end.extend_from_slice(LAST_CHUNK);
    Some(end)
}

/// Ends the answer. The connection can serve another request, unless it was to end anyway.
pub async fn end_stream(
    exchange: &mut Exchange<'_>,
    client: &mut Client,
    conn: &mut Option<UpstreamConn>,
    end: Vec<u8>,
    close: bool,
) -> Next {
    // The server sees its client leave.
    *conn = None;
    let now = exchange.worker.net.now();
    let is_nothing = end.is_empty();
    let pass = super::body::Pass { len: 0, frames: Some(end), done: true, extra: false, again: false };
    let sent = is_nothing || send_pass(exchange, client, &mut Buf::none(), &pass, now).await;
    match (sent, close || exchange.worker.is_leaving()) {
        (false, _) => Next::Drop,
        (true, true) => Next::Close,
        (true, false) => Next::Keep,
    }
}
