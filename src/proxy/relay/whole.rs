//! An answer that is filtered as a whole: gathered, filtered, and only then sent. Until it is sent, whatever is
//! wrong with it can still be told to the client.

use super::body::Body;
use super::filter::may_be_json;
use super::{Answer, BULK_READ_BYTES, REST, keep_idle, next_bytes};
use crate::base::Buf;
use crate::base::buffer::CLASSES;
use crate::policy::listing::{self, Edits, Filtering, Keep};
use crate::proxy::client::Client;
use crate::proxy::connection::Next;
use crate::proxy::exchange::{Exchange, Failure};
use crate::proxy::upstream::UpstreamConn;
use crate::proxy::worker::Worker;
use crate::shared::Stage;
use crate::telemetry::Outcome;
use crate::wire::http1::Version;
use crate::wire::http1::write::push_content_length;
use crate::wire::json::Padded;

const TOO_LARGE: &str = "it must be filtered, and is larger than limits.list_bytes_max";

/// Passes an answer on as its caller may see it. If it must be JSON (`strict`) and is not, the client gets a 502.
pub async fn relay_whole(
    exchange: &mut Exchange<'_>,
    client: &mut Client,
    conn: &mut Option<UpstreamConn>,
    answer: &mut Answer,
    strict: bool,
) -> Next {
    let worker = exchange.worker;
    let head: Box<[u8]> = answer.buf.filled()[..answer.facts.head_len].into();
    answer.buf.consume(head.len());
    let gathered = gather(exchange, client, conn, answer).await;
    // Not kept for another exchange: it broke off, or has said too much.
    *conn = None;
    let keep = exchange.forward.filter.as_deref();
    let filtered = match (gathered, keep) {
        // What is shown of it takes as much again.
        (Ok(body), _) if !worker.may_hold(body.len()) => Err(Failure::NoRoom),
        (Ok(body), Some(keep)) => {
            filtered(worker, &head, &body, keep, strict).await.map_err(Failure::Malformed)
        }
        (Ok(_), None) => Err(Failure::Malformed("nothing says what may be shown of it")),
        (Err(failure), _) => Err(failure),
    };
    let (out, front) = match filtered {
        Ok(filtered) => filtered,
        Err(failure) => return exchange.fail(client, &failure).await,
    };
    if let Some(tap) = &mut exchange.tap {
        tap.feed(&out.filled()[front..]);
    }
    exchange.record.status = answer.facts.status;
    client.finish_request(worker, exchange.forward.request_len);
    let sent = send_all(exchange, client, out).await;
    exchange.record.outcome = match sent {
        true => Outcome::Answered,
        false if worker.stage() == Stage::Stopping => Outcome::Stopped,
        false => Outcome::ClientGone,
    };
    match (sent, answer.facts.close) {
        (false, _) => Next::Drop,
        (true, true) => Next::Close,
        (true, false) => Next::Keep,
    }
}

/// Waits for the whole body, and gives the connection back if it can serve another exchange.
async fn gather(
    exchange: &mut Exchange<'_>,
    client: &mut Client,
    conn: &mut Option<UpstreamConn>,
    answer: &mut Answer,
) -> Result<Buf, Failure> {
    let Answer { buf, facts } = answer;
    let worker = exchange.worker;
    let limit = exchange.limits().list_bytes_max;
    // As for a client that knows no chunks: what comes out is the body itself.
    let mut body = Body::new(facts.framing, Version::Http10);
    if body.bytes_left().is_some_and(|left| left > limit) {
        return Err(Failure::Malformed(TOO_LARGE));
    }
    let mut whole = worker.take_buf(body.bytes_left().unwrap_or(CLASSES[1]).min(BULK_READ_BYTES));
    loop {
        let pass = body.pass(buf, 0).map_err(Failure::Malformed)?;
        append(worker, &mut whole, &buf.filled()[..pass.len], limit)?;
        append(worker, &mut whole, pass.frames.as_deref().unwrap_or_default(), limit)?;
        worker.give_buf(std::mem::replace(buf, Buf::none()));
        if pass.done {
            if let Some(keep) = keep_idle(exchange, facts, pass.extra) {
                let now = worker.net.now();
                let bytes = whole.len() as u64;
                exchange.pool().give_back(worker, conn, bytes, now, keep, exchange.limits()).await;
            }
            return Ok(whole);
        }
        let Some(conn) = conn.as_mut() else { return Err(Failure::Closed) };
        let wanted = body.bytes_left().unwrap_or(CLASSES[1]).clamp(1, BULK_READ_BYTES);
        conn.reader.arm(worker.take_buf(wanted));
        match next_bytes(exchange, client, conn).await {
            Ok(Some(more)) => *buf = more,
            Ok(None) if body.finish().is_some() => return Ok(whole),
            Ok(None) => return Err(Failure::Malformed("the connection ended within the body")),
            Err(Outcome::ClientGone) => return Err(Failure::ClientGone),
            Err(Outcome::Cancelled) => return Err(Failure::Cancelled),
            Err(Outcome::UpstreamTimeout) => return Err(Failure::Timeout),
            Err(_) => return Err(Failure::Malformed("the connection broke within the body")),
        }
    }
}

/// Sends an answer in parts, so that a client has time for each: the bound is on waiting, not on slowness.
async fn send_all(exchange: &mut Exchange<'_>, client: &mut Client, mut out: Buf) -> bool {
    let mut sent = true;
    while sent && !out.is_empty() {
        let len = out.len().min(BULK_READ_BYTES);
        let (now, write) = (exchange.worker.net.now(), exchange.timeouts().write);
        client.watch.while_taken_by(now, write, exchange.call_end());
        let (result, same) = client.writer.send_first(out, len).await;
        out = same;
        out.consume(len);
        sent = result.is_ok();
        exchange.record.bytes_down += len as u64;
    }
    client.watch.rest();
    exchange.worker.give_buf(out);
    sent
}

/// Appends to a buffer that grows with what has come, not with what was announced.
fn append(worker: &Worker, whole: &mut Buf, bytes: &[u8], limit: usize) -> Result<(), Failure> {
    let wanted = whole.len() + bytes.len();
    if wanted > limit {
        return Err(Failure::Malformed(TOO_LARGE));
    }
    if whole.free() < bytes.len() {
        let capacity = wanted.max(whole.capacity() * 2);
        if !worker.may_hold(capacity) {
            return Err(Failure::NoRoom);
        }
        let mut larger = worker.take_buf(capacity);
        let fits = larger.append(whole.filled());
        debug_assert!(fits, "the buffer was asked for by more than this length");
        worker.give_buf(std::mem::replace(whole, larger));
    }
    let fits = whole.append(bytes);
    debug_assert!(fits, "room was made for it");
    Ok(())
}

/// The answer as the client gets it, and the length of its head: `head`, which says nothing of a length yet, and what may
/// be shown of `body`.
async fn filtered(
    worker: &Worker,
    head: &[u8],
    body: &Buf,
    keep: &dyn Keep,
    strict: bool,
) -> Result<(Buf, usize), &'static str> {
    let (all, length) = body.padded(0..body.len());
    let message = Padded::new(all, length).ok_or(TOO_LARGE)?;
    let edits = edits_of(worker, message, keep, strict).await?;
    let length = edits.length(message.body());
    let mut front = head.strip_suffix(b"\r\n").unwrap_or(head).to_vec();
    push_content_length(&mut front, length as u64);
    front.extend_from_slice(b"\r\n");
    let mut out = worker.take_buf(front.len() + length);
    let mut fits = out.append(&front);
    for part in edits.parts(message.body()) {
        fits &= out.append(part);
    }
    debug_assert!(fits, "the buffer was asked for by this length");
    Ok((out, front.len()))
}

/// What has to change in a body. The worker serves its other connections between parts of this work.
async fn edits_of(
    worker: &Worker,
    message: Padded<'_>,
    keep: &dyn Keep,
    strict: bool,
) -> Result<Edits, &'static str> {
    let is_blank = message.body().trim_ascii().is_empty();
    if is_blank || (!strict && !may_be_json(message.body())) {
        return Ok(Edits::default());
    }
    let mut filtering = Filtering::new(keep);
    while !filtering.go_on(message, keep).map_err(listing::ListFault::message)? {
        worker.net.sleep(REST).await;
    }
    Ok(filtering.into_edits())
}
