//! The answer on its way to the client: head rewritten in place, body passed on as it comes.

use std::time::Duration;

use super::client::Client;
use super::connection::Next;
use super::exchange::{Event, Exchange, Failure, Renewal, Sent, TOKEN_REFUSED, next_event};
use super::head::{self, Delivery};
use super::upstream::UpstreamConn;
use super::worker::Worker;
use crate::base::Buf;
use crate::base::buffer::CLASSES;
use crate::config::snapshot::Transport;
use crate::io::Direction;
use crate::shared::Stage;
use crate::telemetry::{Kind, Outcome};
use crate::wire::http1::{
    HEADERS_MAX, HeadLimits, HeadScan, HeaderId, Method, Parsed, ResponseFraming, parse_response_head,
};

pub use border::Border;
pub use look::Look;

use along::{read_along, tap_of};
use body::Body;
use endpoint_event::{Endpoint, Seal};
use events::Events;
use filter::Filtering;
use keep::keep_idle;
use send::{end_of_stream, hold, next_read, send_pass};

mod along;
mod body;
mod border;
mod ending;
mod endpoint_event;
mod events;
mod filter;
mod keep;
mod last;
mod look;
mod media;
mod send;
mod whole;

/// The standing read of a stream takes this many bytes: an event is small, and streams are many.
const STREAM_READ_BYTES: usize = CLASSES[0];
/// And this many when the bytes come faster than they are read.
const BULK_READ_BYTES: usize = 80 << 10;

/// An answer that has begun.
pub struct Answer {
    /// First the head as the client gets it, then what has come of the body.
    buf: Buf,
    facts: Facts,
}

/// What was read from the head of an answer.
#[derive(Clone, Copy)]
struct Facts {
    /// Bytes of the head as the client gets it.
    head_len: usize,
    status: u16,
    framing: ResponseFraming,
    keep_alive: bool,
    keep_alive_timeout: Option<Duration>,
    close: bool,
    /// Only the end of the client's connection ends the body.
    unframed: bool,
    /// It is an event stream of the HTTP+SSE transport: its `endpoint` event is to be rewritten.
    names_endpoint: bool,
    event_stream: bool,
    /// The body is coded, and what it says cannot be seen.
    coded: bool,
    filtering: Filtering,
}

/// Waits for the head of the answer to a request that was `sent`, or broke off under way.
pub async fn await_head(
    exchange: &mut Exchange<'_>,
    client: &mut Client,
    conn: &mut UpstreamConn,
    sent: Sent,
) -> Result<Answer, Failure> {
    let mut scan = HeadScan::new();
    loop {
        let mut buf = match next_event(conn, client).await {
            Event::Client(result) => {
                client.note_read(exchange.worker, result);
                if exchange.is_cancelled_by(client) {
                    return Err(Failure::ClientGone);
                }
                exchange.note_left(client);
                if exchange.abandoned {
                    let first_byte = exchange.timeouts().first_byte;
                    conn.watch
                        .until(exchange.deadline(exchange.worker.net.now(), first_byte), Direction::Both);
                }
                continue;
            }
            // Only what has begun to answer is asked.
            Event::Asked => continue,
            Event::Upstream((Ok(count), buf)) if count > 0 => buf,
            Event::Upstream((_, buf)) => {
                let begun = !buf.is_empty();
                exchange.worker.give_buf(buf);
                return Err(match sent {
                    Sent::Stalled => Failure::Stalled,
                    Sent::Whole if conn.watch.fired() && conn.watch.is_cancelled() => Failure::Cancelled,
                    Sent::Whole if conn.watch.fired() => Failure::Timeout,
                    _ if begun => Failure::Malformed("it ended within the head"),
                    _ => Failure::Closed,
                });
            }
        };
        match take_head(exchange, &mut buf, &mut scan) {
            Ok(Some(mut facts)) => {
                // Behind a request that broke off, another would be read as the rest of its body.
                facts.keep_alive &= sent == Sent::Whole;
                // What follows is the client's time, not the server's.
                conn.watch.rest();
                return Ok(Answer { buf, facts });
            }
            Ok(None) => {
                if buf.free() == 0 {
                    buf = grown(exchange.worker, buf);
                }
                conn.reader.arm(buf);
            }
            Err(failure) => {
                exchange.worker.give_buf(buf);
                return Err(failure);
            }
        }
    }
}

fn grown(worker: &Worker, mut buf: Buf) -> Buf {
    buf.compact();
    if buf.free() > 0 {
        return buf;
    }
    let mut larger = worker.take_buf(buf.capacity() * 2);
    let fits = larger.append(buf.filled());
    debug_assert!(fits, "the buffer was asked for by twice this length");
    worker.give_buf(buf);
    larger
}

/// Turns a complete head at the start of `buf` into the client's. Interim heads are dropped: a client that
/// waits for a 100 has got one from the gateway.
fn take_head(
    exchange: &mut Exchange<'_>,
    buf: &mut Buf,
    scan: &mut HeadScan,
) -> Result<Option<Facts>, Failure> {
    let worker = exchange.worker;
    let limits = HeadLimits {
        head_bytes: exchange.limits().response_head_bytes_max,
        target_bytes: 0,
        headers: HEADERS_MAX,
    };
    loop {
        if buf.is_empty() {
            return Ok(None);
        }
        let parsed = parse_response_head(buf.filled(), exchange.forward.method, &limits, scan);
        let head = match parsed.map_err(|error| error.message())? {
            Parsed::Partial => return Ok(None),
            Parsed::Complete(head) => head,
        };
        let head_len = head.head_len;
        if head.is_interim() {
            buf.consume(head_len);
            *scan = HeadScan::new();
            continue;
        }
        if head.status == 401 && exchange.forward.token_len > 0 && exchange.renewal == Renewal::Open {
            exchange.renewal = Renewal::Due;
            return Err(TOKEN_REFUSED.into());
        }
        let typed = media::judge(&head, awaits_message(exchange))
            .map_err(|unfit| media::explain(exchange, &head, unfit))?;
        let filtering = match exchange.forward.filter {
            Some(_) => filter::judge(&head, awaits_message(exchange))?,
            None => Filtering::No,
        };
        let framing = match filtering {
            Filtering::No => Some(head.framing),
            Filtering::Whole { .. } => None,
            Filtering::Events => Some(ResponseFraming::UntilClose),
        };
        let unframed = matches!(framing, Some(ResponseFraming::Chunked | ResponseFraming::UntilClose))
            && exchange.forward.version == crate::wire::http1::Version::Http10;
        let close = exchange.forward.close || worker.is_leaving() || unframed;
        let several = exchange.server().endpoints.len() > 1;
        let binding = exchange.forward.caller.as_deref().zip(exchange.forward.live.session_key.as_ref());
        let mut fields = worker.fields.borrow_mut();
        fields.clear();
        write_limit_fields(exchange, &mut fields);
        let delivery = Delivery {
            fields: &fields,
            binding: binding.map(|(caller, key)| head::Binding {
                key,
                identity: &caller.identity,
                path: &exchange.server().path,
            }),
            version: exchange.forward.version,
            close,
            endpoint: several.then_some(exchange.forward.endpoint),
            origin: exchange.forward.origin.as_deref(),
            framing,
            list: &exchange.server().to_client,
            untyped: !typed,
            date: &worker.date(),
        };
        let mut out = worker.scratch.borrow_mut();
        out.clear();
        head::write_response(&mut out, &head, &delivery);
        let names_endpoint = media::check_stream(exchange, &head)?;
        let facts = Facts {
            head_len: out.len(),
            status: head.status,
            framing: head.framing,
            keep_alive: head.keep_alive,
            keep_alive_timeout: head.keep_alive_timeout,
            close,
            unframed,
            names_endpoint,
            event_stream: head.event_stream,
            coded: head.fields.present().contains(HeaderId::ContentEncoding),
            filtering,
        };
        buf.consume(head_len);
        if !buf.prepend(&out) {
            let mut larger = worker.take_buf(out.len() + buf.len());
            let fits = larger.append(&out) && larger.append(buf.filled());
            debug_assert!(fits, "the buffer was asked for by this length");
            worker.give_buf(std::mem::replace(buf, larger));
        }
        return Ok(Some(facts));
    }
}

/// Whether the client reads the body of a successful answer as a message.
fn awaits_message(exchange: &Exchange<'_>) -> bool {
    // The answer to a post of the HTTP+SSE transport comes on the stream; the post itself is only acknowledged.
    let acknowledged = exchange.forward.method == Method::Post
        && matches!(exchange.server().transport, Transport::Sse { .. });
    matches!(exchange.forward.kind, Kind::Request | Kind::Stream) && !acknowledged
}

/// Says what is left of the limits that the exchange concerns, where the configuration wants that.
fn write_limit_fields(exchange: &Exchange<'_>, out: &mut Vec<u8>) {
    let limits = &exchange.forward.live.deployment.snapshot.rate_limits;
    if let (Some(limits), Some(ticket)) = (limits, &exchange.forward.ticket) {
        let purse = &exchange.worker.purse;
        let now =
            super::purse::now(exchange.worker, exchange.worker.recently().max(exchange.forward.started));
        limits.write_fields(&mut purse.leases.borrow_mut(), &purse.clerk, ticket, now, out);
    }
}

/// Passes an answer on to its end, and gives the connection back if it can serve another exchange.
pub async fn relay_response(
    exchange: &mut Exchange<'_>,
    client: &mut Client,
    conn: &mut Option<UpstreamConn>,
    answer: &mut Answer,
) -> Next {
    let worker = exchange.worker;
    exchange.tap = tap_of(exchange, &answer.facts, &answer.buf.filled()[answer.facts.head_len..]);
    if let Filtering::Whole { strict } = answer.facts.filtering {
        exchange.note_answer(answer.facts.status < 500);
        return Box::pin(whole::relay_whole(exchange, client, conn, answer, strict)).await;
    }
    client.watch.set_unframed(answer.facts.unframed);
    exchange.border = ending::border_of(exchange, &answer.facts);
    let mut body = Body::new(answer.facts.framing, exchange.forward.version);
    if answer.facts.names_endpoint || answer.facts.filtering == Filtering::Events {
        body.read_events(events_of(exchange, &answer.facts));
    }
    let first = match begin_body(worker, &mut body, answer).await {
        Ok(first) => first,
        // Nothing was sent yet, so the client can still be told.
        Err(what) => {
            *conn = None;
            return Box::pin(exchange.fail(client, &Failure::Malformed(what))).await;
        }
    };
    exchange.record.status = answer.facts.status;
    if answer.facts.event_stream && !first.done {
        body.keep_id(exchange.forward.id.clone().and_then(|id| client.inbox.filled().get(id)));
    }
    // From here on nothing is sent again, so the request can be let go.
    client.finish_request(worker, exchange.forward.request_len);
    let passed = pass_all(exchange, client, conn, answer, &mut body, first).await;
    if let Err(outcome) = passed {
        let end = ending::end_of(exchange, client, outcome).map(<[u8]>::to_vec);
        if let Some(end) = end.or_else(|| ending::last_event(exchange, client, &answer.facts, &body, outcome))
        {
            exchange.record.outcome = outcome;
            return Box::pin(ending::end_stream(exchange, client, conn, end, answer.facts.close)).await;
        }
    }
    exchange.record.outcome = match passed {
        Ok(()) => along::outcome_of(exchange, &answer.facts),
        Err(_) if worker.stage() == Stage::Stopping => Outcome::Stopped,
        Err(outcome) => outcome,
    };
    match passed {
        Ok(()) if answer.facts.close => Next::Close,
        Ok(()) => Next::Keep,
        // The answer has begun: only a connection that breaks off tells the client that it is not whole.
        Err(_) => {
            if answer.facts.unframed {
                client.watch.break_off();
            }
            Next::Drop
        }
    }
}

/// The first of a body that may go to the client, with the head. Where its first event takes long to filter, nothing is sent
/// before that is done.
async fn begin_body(
    worker: &Worker,
    body: &mut Body,
    answer: &mut Answer,
) -> Result<body::Pass, &'static str> {
    let mut first = body.pass(&mut answer.buf, answer.facts.head_len)?;
    while first.again && first.frames.is_none() {
        worker.net.sleep(REST).await;
        first = body::Pass { len: first.len, ..body.go_on()? };
    }
    Ok(first)
}

/// A rest between two parts of work of about a millisecond: the least that a timer can be set to, as only what waits for
/// something lets the runtime look at sockets.
const REST: Duration = Duration::from_micros(50);

/// What reads the events of an answer.
#[cold]
fn events_of(exchange: &mut Exchange<'_>, facts: &Facts) -> Box<Events> {
    let keep = exchange.forward.filter.take();
    let endpoint = facts.names_endpoint.then(|| {
        let caller = exchange.forward.caller.as_ref().zip(exchange.forward.live.session_key.clone());
        let seal = caller.map(|(caller, key)| Seal { key, identity: caller.identity.clone() });
        Endpoint::of(exchange.server(), exchange.forward.endpoint, seal)
    });
    let limits = exchange.limits();
    // What has to be filtered may be as large in an event as in an answer of JSON.
    let event_bytes_max = limits.sse_event_bytes_max.max(limits.list_bytes_max);
    Box::new(Events::new(event_bytes_max, endpoint, keep))
}

async fn pass_all(
    exchange: &mut Exchange<'_>,
    client: &mut Client,
    conn: &mut Option<UpstreamConn>,
    answer: &mut Answer,
    body: &mut Body,
    first: body::Pass,
) -> Result<(), Outcome> {
    let Answer { buf, facts } = answer;
    let worker = exchange.worker;
    let mut pass = first;
    let mut lead = facts.head_len;
    let mut now = exchange.answered_at;
    let mut deaf = false;
    let mut holding = None;
    loop {
        let fast = buf.free() == 0;
        read_along(exchange, facts, &buf.filled()[lead..pass.len], pass.frames.as_deref());
        if exchange.border.as_ref().is_some_and(|border| border.names_endpoint()) {
            return Err(cut(
                exchange,
                "its stream names an endpoint for messages, as only `transport: sse` does",
            ));
        }
        if facts.event_stream && !pass.done {
            body.note(&buf.filled()[lead..pass.len], pass.frames.as_deref());
        }
        lead = 0;
        if pass.done {
            if let Some(keep) = keep_idle(exchange, facts, pass.extra) {
                let bytes = exchange.record.bytes_down + pass.len as u64;
                exchange.pool().give_back(worker, conn, bytes, now, keep, exchange.limits()).await;
            }
            *conn = None;
        }
        if deaf {
            buf.consume(pass.len);
        } else {
            deaf = !send_pass(exchange, client, buf, &pass, now).await;
            client.gone |= deaf;
            if deaf {
                exchange.note_left(client);
            }
        }
        if deaf && exchange.forward.cancel_on_close {
            return Err(Outcome::ClientGone);
        }
        if pass.again {
            worker.net.sleep(REST).await;
            now = worker.net.now();
            pass = body.go_on().map_err(|what| cut(exchange, what))?;
            hold(exchange, body, &mut holding)?;
            continue;
        }
        let taken = std::mem::replace(buf, Buf::none());
        let Some(conn) = conn.as_mut() else {
            worker.give_buf(taken);
            return if deaf { Err(Outcome::ClientGone) } else { Ok(()) };
        };
        conn.reader.arm(next_read(worker, taken, fast, body));
        match next_bytes(exchange, client, conn).await? {
            Some(more) => *buf = more,
            None => return Box::pin(end_of_stream(exchange, client, body)).await,
        }
        now = worker.net.now();
        pass = body.pass(buf, 0).map_err(|what| cut(exchange, what))?;
        hold(exchange, body, &mut holding)?;
    }
}

/// The server's next bytes; `None` when it ended the stream.
async fn next_bytes(
    exchange: &mut Exchange<'_>,
    client: &mut Client,
    conn: &mut UpstreamConn,
) -> Result<Option<Buf>, Outcome> {
    ending::begin_wait(exchange, conn)?;
    loop {
        match next_event(conn, client).await {
            Event::Asked => ending::hear(exchange)?,
            Event::Client(result) => {
                client.note_read(exchange.worker, result);
                if exchange.is_cancelled_by(client) {
                    return Err(Outcome::ClientGone);
                }
                exchange.note_left(client);
                if exchange.abandoned {
                    ending::begin_wait(exchange, conn)?;
                }
            }
            Event::Upstream((Ok(count), buf)) if count > 0 => {
                if !conn.watch.is_asked() {
                    conn.watch.rest();
                }
                return Ok(Some(buf));
            }
            Event::Upstream((result, buf)) => {
                exchange.worker.give_buf(buf);
                return match result {
                    _ if conn.watch.fired() && conn.watch.is_cancelled() => Err(Outcome::Cancelled),
                    _ if conn.watch.fired() => Err(exchange.why_asked()),
                    Ok(_) => Ok(None),
                    Err(_) => Err(cut(exchange, "the connection broke")),
                };
            }
        }
    }
}

fn cut(exchange: &Exchange<'_>, what: &str) -> Outcome {
    let worker = exchange.worker;
    let server = Some(exchange.forward.server.0);
    if worker.stage() != Stage::Stopping
        && let Some(kept_back) = worker.restraints.may_speak("cut", server, worker.recently())
    {
        tracing::warn!(server = %exchange.server().name, reason = what, kept_back, "the server's answer broke off");
    }
    Outcome::UpstreamCut
}

#[cfg(test)]
mod tests;
