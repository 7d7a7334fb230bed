//! What passed goes to the client, and room is made for what comes next.

use super::body::{self, Body};
use super::events::ENDPOINT_BYTES_MAX;
use super::{BULK_READ_BYTES, STREAM_READ_BYTES, cut, grown};
use crate::base::buffer::Holding;
use crate::base::{Buf, Ticks};
use crate::proxy::client::Client;
use crate::proxy::exchange::Exchange;
use crate::proxy::worker::Worker;
use crate::telemetry::Outcome;

/// Sends what passed, a part of `buf` or a buffer of its own, and leaves the rest in `buf`. `false` if the client
/// takes no more.
pub async fn send_pass(
    exchange: &mut Exchange<'_>,
    client: &mut Client,
    buf: &mut Buf,
    pass: &body::Pass,
    now: Ticks,
) -> bool {
    client.watch.while_taken_by(now, exchange.timeouts().write, exchange.call_end());
    let mut sent = true;
    if pass.len > 0 {
        let (result, same) = client.writer.send_first(std::mem::replace(buf, Buf::none()), pass.len).await;
        *buf = same;
        buf.consume(pass.len);
        sent = result.is_ok();
        exchange.record.bytes_down += pass.len as u64;
    }
    if let (true, Some(frames)) = (sent, &pass.frames) {
        sent = Box::pin(send_frames(exchange, client, frames)).await;
    }
    client.watch.rest();
    sent
}

/// Sends a body that was framed anew.
async fn send_frames(exchange: &mut Exchange<'_>, client: &mut Client, frames: &[u8]) -> bool {
    let mut out = exchange.worker.take_buf(frames.len());
    let fits = out.append(frames);
    debug_assert!(fits, "the buffer was asked for by this length");
    let (result, out) = client.writer.send(out).await;
    exchange.worker.give_buf(out);
    exchange.record.bytes_down += frames.len() as u64;
    result.is_ok()
}

/// The buffer for the next read: large while the server fills it faster than it is read, small for a stream
/// that trickles.
pub fn next_read(worker: &Worker, mut buf: Buf, fast: bool, body: &Body) -> Buf {
    if buf.is_empty() {
        worker.give_buf(buf);
        let wanted = if fast { BULK_READ_BYTES } else { STREAM_READ_BYTES };
        let wanted = body.bytes_left().map_or(wanted, |left| left.clamp(1, BULK_READ_BYTES));
        // What passes is slower in small steps, and needs no place that others wait for.
        let may = wanted <= STREAM_READ_BYTES || worker.may_hold(wanted);
        return worker.take_buf(if may { wanted } else { STREAM_READ_BYTES });
    }
    // A part of a chunk's size line is held back until it is whole: a few bytes.
    buf.compact();
    if buf.free() > 0 { buf } else { grown(worker, buf) }
}

/// The server closed: the end of a body that has no other, and a cut for any other.
pub async fn end_of_stream(
    exchange: &mut Exchange<'_>,
    client: &mut Client,
    body: &mut Body,
) -> Result<(), Outcome> {
    if body.is_within_event() {
        return Err(cut(exchange, body::WITHIN_EVENT));
    }
    let pass = body.finish().ok_or_else(|| cut(exchange, "the connection ended within the body"))?;
    let now = exchange.worker.net.now();
    let sent = send_pass(exchange, client, &mut Buf::none(), &pass, now).await;
    if sent { Ok(()) } else { Err(Outcome::ClientGone) }
}

/// Counts what is held of events, and asks for room if that is more than an event of the protocol itself takes.
///
/// # Errors
/// There is no room.
pub fn hold(exchange: &Exchange<'_>, body: &Body, holding: &mut Option<Holding>) -> Result<(), Outcome> {
    let Some(held) = body.held_bytes() else { return Ok(()) };
    let worker = exchange.worker;
    let grew = holding.get_or_insert_with(|| worker.holding()).set(held);
    if grew && held > ENDPOINT_BYTES_MAX && !worker.may_hold(0) {
        return Err(cut(exchange, "there is no room for its event: limits.bodies_bytes_max"));
    }
    Ok(())
}
