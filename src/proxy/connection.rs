//! One client connection: read a request, serve it, and again.

use std::rc::Rc;
use std::time::Duration;

use super::admit::{self, Admission, Refusal, UNREAD_BYTES_MAX, Unread};
use super::client::Client;
use super::errands;
use super::exchange::{Exchange, handle_exchange};
use super::reply::Reply;
use super::watch::{FIRST_REQUEST, Idle};
use super::worker::{TICK, Worker};
use crate::base::{Buf, Ticks};
use crate::config::snapshot::Timeouts;
use crate::io::Direction;
use crate::telemetry::{Cause, ExchangeRecord, Kind, Outcome};

/// What a client is told that waits for it before it sends its body (RFC 9110 section 10.1.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A connection that is closed while the client still sends is read for this long, so that the answer is
/// not lost to a reset (RFC 9112 section 9.6).
const LINGER: Duration = Duration::from_secs(2);
/// And so many bytes at the most.
const LINGER_BYTES: usize = 256 << 10;

/// The body of a refused request is thrown away if it comes within this time; else the connection ends.
const DROP: Duration = Duration::from_secs(2);
/// It is read in pieces of this size.
const DROP_READ_BYTES: usize = 16 << 10;

/// Whether the connection serves another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It does.
    Keep,
    /// It ends; the client may still be sending.
    Close,
    /// It ends, and nobody is there to be told anything.
    Drop,
}

/// Serves a client until one side ends the connection.
pub async fn serve_connection(worker: &Rc<Worker>, client: &mut Client) {
    loop {
        // What was admitted turns into an exchange before the next await, or every idle connection would have room for both.
        let mut begun = match next_request(worker, client).await {
            Some(Admission::Forward(forward)) => Ok(Exchange::new(worker, forward)),
            Some(Admission::Refuse(refusal)) => Err(Some(refusal)),
            Some(Admission::More { .. } | Admission::Wait(_)) | None => return,
        };
        let next = match &mut begun {
            Ok(exchange) => handle_exchange(exchange, client).await,
            Err(refusal) => match refusal.take() {
                Some(refusal) => Box::pin(refuse(worker, client, refusal)).await,
                None => Next::Drop,
            },
        };
        drop(begun);
        match next {
            Next::Keep if !client.gone || client.has_unserved() => {}
            Next::Close => return Box::pin(linger(worker, client)).await,
            Next::Keep | Next::Drop => return,
        }
    }
}

/// Reads until a request is whole or refused. `None` when the client ended the connection.
async fn next_request(worker: &Rc<Worker>, client: &mut Client) -> Option<Admission> {
    let mut begun: Option<Ticks> = None;
    let mut total = 0;
    loop {
        let live = worker.live();
        let timeouts = &live.deployment.snapshot.timeouts;
        if client.inbox.is_empty() {
            let (idle, patience) = match (client.is_fresh, worker.is_draining()) {
                // What was read ahead is served, though the process drains, and so is a first request.
                (false, true) if !client.has_read_ahead() => return None,
                (true, true) => (Idle::First, timeouts.first_request.min(FIRST_REQUEST)),
                (true, false) => (Idle::First, timeouts.first_request),
                (false, _) => (Idle::Next, timeouts.keep_alive),
            };
            client.watch.until(worker.recently() + patience + TICK, Direction::Read);
            client.watch.set_idle(idle);
        } else {
            let now = worker.net.now();
            let since = *begun.get_or_insert(now);
            match admit::admit(worker, &live, client, now) {
                Admission::More { total: wanted, in_body, send_continue } => {
                    total = wanted;
                    if send_continue && !Box::pin(send_100(worker, client)).await {
                        return None;
                    }
                    // Only reads are cut: a slow client can still be told that it is.
                    client.watch.until(since + deadline(timeouts, in_body), Direction::Read);
                }
                Admission::Wait(errand) => {
                    // The request is here; what follows is the issuer's time, which control bounds.
                    client.watch.rest();
                    let answer = Box::pin(errands::run(worker, &live, errand.clone(), client)).await?;
                    client.brought.note(&errand, answer, &live.deployment.snapshot);
                    continue;
                }
                decided => {
                    client.watch.rest();
                    return Some(decided);
                }
            }
        }
        let growth = client.growth(total);
        if growth > 0 && !client.may_hold(worker, growth) {
            client.watch.rest();
            return Some(Admission::Refuse(no_room(worker)));
        }
        let more = client.read_more(worker, total).await;
        client.watch.set_idle(Idle::No);
        if !more {
            let too_slow = client.watch.fired() && !client.inbox.is_empty();
            return too_slow.then(|| Admission::Refuse(timed_out(worker)));
        }
    }
}

fn deadline(timeouts: &Timeouts, in_body: bool) -> Duration {
    if in_body { timeouts.head + timeouts.body } else { timeouts.head }
}

fn timed_out(worker: &Worker) -> Refusal {
    let message =
        "the request did not arrive in time: send it faster, or raise timeouts.head or timeouts.body";
    unread(worker, &Reply::status(Cause::TooSlow, 408, message))
}

/// There is no room for more of the request.
#[cold]
fn no_room(worker: &Worker) -> Refusal {
    let message = "the gateway holds as many bytes of bodies as it may: ask again";
    unread(worker, &Reply::status(Cause::Overload, 503, message).with_headers("retry-after: 1\r\n"))
}

/// The refusal of a request that is not read to its end.
fn unread(worker: &Worker, reply: &Reply<'_>) -> Refusal {
    Refusal {
        buf: reply.closing().render(worker, false),
        cause: Some(reply.cause),
        status: reply.status,
        close: true,
        request_len: usize::MAX,
        unread: None,
        server: None,
        kind: Kind::Unknown,
    }
}

async fn send_100(worker: &Worker, client: &mut Client) -> bool {
    let mut buf = worker.take_buf(CONTINUE.len());
    let fits = buf.append(CONTINUE);
    debug_assert!(fits);
    client.continued = true;
    send(worker, client, buf, worker.net.now()).await
}

/// Sends the gateway's own answer.
async fn refuse(worker: &Worker, client: &mut Client, refusal: Refusal) -> Next {
    super::refused::say(worker, client, &refusal);
    let Refusal { buf, cause, status, close, request_len, unread, server, kind } = refusal;
    let started = worker.net.now();
    let length = buf.len();
    // An answer sent under a read that was cut still goes out: only reads end at a deadline.
    let sent = send(worker, client, buf, started).await;
    let record = ExchangeRecord {
        started,
        ended: worker.net.now(),
        server: server.map(|id| id.0),
        kind,
        outcome: match (sent, status) {
            (false, _) => Outcome::ClientGone,
            (true, _) if cause.is_none() => Outcome::Answered,
            (true, _) => Outcome::Refused,
        },
        cause,
        status,
        bytes_up: 0,
        bytes_down: if sent { length as u64 } else { 0 },
        first_byte: None,
        attempts: 0,
    };
    worker.settle(&record);
    client.finish_request(worker, request_len);
    match (sent, close) {
        (false, _) => Next::Drop,
        (true, true) => Next::Close,
        (true, false) => match unread {
            Some(unread) if !drop_body(worker, client, unread).await => Next::Close,
            _ => Next::Keep,
        },
    }
}

/// Reads the body of a refused request to its end. `false` if that is too long in bytes or time: then the connection
/// ends, though the answer did not say so.
async fn drop_body(worker: &Worker, client: &mut Client, mut unread: Unread) -> bool {
    client.watch.until(worker.net.now() + DROP, Direction::Read);
    let mut dropped = 0;
    while let Ok((used, done)) = unread.skip(client.inbox.filled()) {
        client.finish_request(worker, used);
        dropped += used;
        if done {
            client.watch.rest();
            return true;
        }
        if dropped > UNREAD_BYTES_MAX || !client.read_more(worker, DROP_READ_BYTES).await {
            return false;
        }
    }
    false
}

/// Sends all of `buf` to the client, within the time it may take. `false` if it is gone.
pub(super) async fn send(worker: &Worker, client: &mut Client, buf: Buf, now: Ticks) -> bool {
    let len = buf.len();
    send_first(worker, client, buf, len, now).await
}

/// Sends the first `len` bytes of `buf` to the client, within the time it may take.
pub(super) async fn send_first(
    worker: &Worker,
    client: &mut Client,
    buf: Buf,
    len: usize,
    now: Ticks,
) -> bool {
    let write = worker.live().deployment.snapshot.timeouts.write;
    client.watch.while_taken(now, write);
    let (result, buf) = client.writer.send_first(buf, len).await;
    client.watch.rest();
    worker.give_buf(buf);
    result.is_ok()
}

/// Closes so that the client reads the last answer: no more is sent, what it still sends is thrown away.
async fn linger(worker: &Worker, client: &mut Client) {
    client.hangup.hang_up(Direction::Write);
    client.watch.until(worker.net.now() + LINGER, Direction::Both);
    let mut read = 0;
    while read < LINGER_BYTES {
        client.finish_request(worker, usize::MAX);
        if !client.read_more(worker, 0).await {
            return;
        }
        read += client.inbox.len();
    }
}
