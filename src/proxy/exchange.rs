//! One exchange: the request goes to the server, the answer comes back, and it is settled, exactly once.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use super::admit::Forward;
use super::cancel;
use super::client::Client;
use super::connection::Next;
use super::head;
use super::purse;
use super::relay::{self, Answer, Border, Look};
use super::renew::renew;
use super::tap::Tap;
use super::throttle::Pass;
use super::upstream::{Pool, UpstreamConn};
use super::watch::Endless;
use super::worker::Worker;
use crate::base::{Buf, Ticks};
use crate::config::snapshot::{Limits, Server, Timeouts, Transport};
use crate::io::Direction;
use crate::io::conn::ReadResult;
use crate::policy::adaptive::{Outcome as Sampled, Sample};
use crate::policy::rate_limit;
use crate::shared::Stage;
use crate::telemetry::{ExchangeRecord, Outcome};

mod entering;
mod failure;

pub use failure::Failure;

/// What a server says that wants a credential which the gateway does not have for it.
pub const TOKEN_REFUSED: &str = "it wants a credential that the gateway does not show it";

/// A server that broke the connection under a request is given this long to have said why.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The state of an exchange. Settles it when dropped.
pub struct Exchange<'w> {
    /// Its worker.
    pub worker: &'w Rc<Worker>,
    /// What was admitted.
    pub forward: Forward,
    /// What is known of it so far.
    pub record: ExchangeRecord,
    /// When the head of the answer had come.
    pub answered_at: Ticks,
    /// Its place at the server, where places are counted.
    pub pass: Option<Pass>,
    /// Reads along, where a limit must know what the answer says.
    pub tap: Option<Box<Tap>>,
    /// What has become of the token that was had for the server.
    pub renewal: Renewal,
    /// Knows where a stream without an end of its own may end.
    pub border: Option<Box<Border>>,
    /// What was seen of the answer.
    pub look: Look,
    /// The client of a legacy call left, and the call has its last moment.
    pub abandoned: bool,
}

/// What has become of a token that was had for the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// Nothing: the server has not refused it.
    Open,
    /// The server has refused it.
    Due,
    /// Another was asked for: there is no second time.
    Done,
}

/// How the sending of a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// All of it was sent.
    Whole,
    /// The connection broke. The server may have answered before.
    Broken,
    /// The server took no byte for too long, and was cut.
    Stalled,
}

/// What happened first.
pub enum Event {
    /// A read from the server ended.
    Upstream(ReadResult),
    /// The armed read from the client ended.
    Client(ReadResult),
    /// The stream is asked to end.
    Asked,
}

/// Sends an admitted request to its server and the answer to the client.
///
/// State is handed down by reference: what an async function is given by value it keeps twice, and every idle
/// connection would pay for that.
pub async fn handle_exchange(exchange: &mut Exchange<'_>, client: &mut Client) -> Next {
    let mut conn = None;
    let mut answer = match obtain_answer(exchange, client, &mut conn).await {
        Ok(answer) => answer,
        Err(failure) => {
            drop(conn);
            return Box::pin(exchange.fail(client, &failure)).await;
        }
    };
    relay::relay_response(exchange, client, &mut conn, &mut answer).await
}

impl<'w> Exchange<'w> {
    /// Begins the exchange of an admitted request.
    pub fn new(worker: &'w Rc<Worker>, forward: Forward) -> Self {
        worker.stats.borrow_mut().exchanges_open += 1;
        let record = ExchangeRecord {
            started: forward.started,
            ended: forward.started,
            server: Some(forward.server.0),
            kind: forward.kind,
            outcome: Outcome::Stopped,
            cause: None,
            status: 0,
            bytes_up: 0,
            bytes_down: 0,
            first_byte: None,
            attempts: 0,
        };
        let answered_at = forward.started;
        let renewal = Renewal::Open;
        Self {
            worker,
            forward,
            record,
            answered_at,
            pass: None,
            tap: None,
            renewal,
            border: None,
            look: Look::default(),
            abandoned: false,
        }
    }

    /// The server has begun to answer, or has failed to: what it took tells how busy it is.
    pub fn note_answer(&mut self, answered: bool) {
        if let Some(pass) = &mut self.pass {
            let now = self.worker.net.now();
            let outcome = if answered { Sampled::Answered } else { Sampled::Failed };
            pass.observe(Sample { latency: now.since(self.forward.started), outcome }, now);
        }
    }

    /// Settles what was taken of the limits for it.
    fn settle_limits(&mut self) {
        let Some(ticket) = self.forward.ticket.take() else { return };
        let live = &self.forward.live;
        let Some(limits) = &live.deployment.snapshot.rate_limits else { return };
        let given_up = matches!(
            self.record.outcome,
            Outcome::Refused | Outcome::ClientGone | Outcome::Cancelled | Outcome::Stopped
        );
        if given_up && self.record.attempts == 0 {
            // It got no place at the server, or was given up before it had one: it was not sent.
            self.worker.purse.refund(limits, ticket, purse::now(self.worker, self.record.ended));
            return;
        }
        // Units come back for the server's own failures. A client that leaves before the last byte has had the rest.
        let whole = match self.record.outcome {
            Outcome::Answered | Outcome::ToolFailed => self.record.status < 400,
            Outcome::ClientGone | Outcome::Cancelled | Outcome::Expired | Outcome::Stopped => true,
            Outcome::Refused
            | Outcome::Unreadable
            | Outcome::Unreachable
            | Outcome::UpstreamFailed
            | Outcome::UpstreamCut
            | Outcome::UpstreamTimeout => false,
        };
        let mut outcome = match &mut self.tap {
            Some(tap) => tap.finish(limits, self.forward.tokens, whole),
            None => rate_limit::Outcome { success: whole, tokens: self.forward.tokens, ..Default::default() },
        };
        outcome.bytes += self.forward.body_len as u64;
        outcome.time = self.record.ended.since(self.record.started);
        let now = purse::now(self.worker, self.record.ended);
        let counts_tokens = ticket.wants().tokens;
        let transcript = self.tap.as_mut().and_then(|tap| tap.take_transcript());
        let mut transcript = transcript.or_else(|| self.forward.transcript.take());
        let bill = transcript.as_mut().map(|transcript| &mut transcript.bill).filter(|_| !outcome.reported);
        let who = || self.forward.caller.as_ref().map_or_else(String::new, |caller| caller.principal.show());
        self.worker.purse.settle(limits, ticket, &outcome, bill, now, &self.worker.stats, who);
        if counts_tokens {
            let deployment = &self.forward.live.deployment;
            self.worker.note_tokens(&outcome, limits.tokens.o200k.is_some(), transcript, deployment);
        }
    }

    /// Its server.
    pub fn server(&self) -> &Server {
        self.forward.live.deployment.snapshot.server(self.forward.server)
    }

    /// The bounds of times for it.
    pub fn timeouts(&self) -> &Timeouts {
        &self.server().timeouts
    }

    /// The bounds of sizes for it.
    pub fn limits(&self) -> &Limits {
        &self.forward.live.deployment.snapshot.limits
    }

    /// The pool of its endpoint.
    pub fn pool(&self) -> &Rc<Pool> {
        let endpoint = self.server().endpoints[self.forward.endpoint].id;
        self.forward.live.pool(endpoint)
    }

    /// The earlier of `now + bound` and the end of the time for the whole call.
    pub fn deadline(&self, now: Ticks, bound: Option<Duration>) -> Ticks {
        let bound = bound.map_or(Ticks::NEVER, |bound| now + bound);
        bound.min(self.call_end()).min(self.forward.ends)
    }

    /// The end of the time for the whole call.
    pub fn call_end(&self) -> Ticks {
        match self.timeouts().call {
            Some(call) if self.forward.kind != crate::telemetry::Kind::Stream => self.forward.started + call,
            _ => Ticks::NEVER,
        }
    }

    /// Bounds a legacy call whose client has left: closing is no cancel there, but nobody waits for it for ever.
    pub fn note_left(&mut self, client: &Client) {
        let Some(grace) = self.timeouts().abandoned.filter(|_| client.gone && !self.abandoned) else {
            return;
        };
        self.abandoned = true;
        self.forward.ends = self.forward.ends.min(self.worker.net.now() + grace);
    }

    /// Whether the credential that the stream was opened with has ended.
    pub fn is_expired(&self) -> bool {
        self.forward.ends <= self.worker.net.now()
            || (self.forward.endless && self.worker.is_superseded(&self.forward.live))
    }

    /// Why a stream that was asked to end was.
    pub fn why_asked(&self) -> Outcome {
        match () {
            () if self.abandoned => Outcome::ClientGone,
            () if self.worker.stage() == Stage::Stopping => Outcome::Stopped,
            () if self.is_expired() => Outcome::Expired,
            () if self.forward.endless && self.worker.is_draining() => Outcome::Stopped,
            () => Outcome::UpstreamTimeout,
        }
    }

    /// What its connection to the server carries while its answer comes.
    pub fn endless(&self) -> Endless {
        match self.server().transport {
            _ if !self.forward.endless => Endless::No,
            Transport::Sse { .. } => Endless::Answers,
            Transport::StreamableHttp => Endless::Aside,
        }
    }

    /// Whether the answer still goes anywhere.
    pub fn is_cancelled_by(&self, client: &Client) -> bool {
        client.gone && self.forward.cancel_on_close
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        self.record.ended = self.worker.net.now();
        self.record.server = self.worker.index_now(&self.forward.live, self.forward.server);
        self.settle_limits();
        self.worker.stats.borrow_mut().exchanges_open -= 1;
        self.worker.settle(&self.record);
    }
}

/// Sends the request until the head of an answer has come, over the connection in `slot` then.
async fn obtain_answer(
    exchange: &mut Exchange<'_>,
    client: &mut Client,
    slot: &mut Option<UpstreamConn>,
) -> Result<Answer, Failure> {
    entering::enter(exchange, client).await?;
    let mut fresh = false;
    loop {
        if exchange.worker.stage() == Stage::Stopping {
            return Err(Failure::Stopped);
        }
        let conn = slot.insert(checkout(exchange, client, fresh).await?);
        // A pooled connection was had at once; the clock is read again only after a dial.
        let at_once = conn.reused && exchange.renewal == Renewal::Open;
        let sent_at = if at_once { exchange.forward.started } else { exchange.worker.net.now() };
        let sent = send_request(exchange, client, conn, sent_at).await;
        match relay::await_head(exchange, client, conn, sent).await {
            Ok(answer) => {
                exchange.answered_at = exchange.worker.net.now();
                exchange.record.first_byte = Some(exchange.answered_at.since(sent_at));
                return Ok(answer);
            }
            // The server closed the connection while it was idle, or so it seems; only a safe call is sent again.
            Err(Failure::Closed) if conn.reused && exchange.forward.safe && !fresh => {
                exchange.worker.stats.borrow_mut().retries += 1;
                fresh = true;
                *slot = None;
            }
            Err(_) if exchange.renewal == Renewal::Due => {
                exchange.renewal = Renewal::Done;
                *slot = None;
                if !Box::pin(renew(exchange, client)).await {
                    return Err(Failure::Malformed(TOKEN_REFUSED));
                }
                if exchange.is_cancelled_by(client) {
                    return Err(Failure::ClientGone);
                }
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// An idle connection to the chosen endpoint, or a new one, or one to the next endpoint.
async fn checkout(
    exchange: &mut Exchange<'_>,
    client: &mut Client,
    fresh: bool,
) -> Result<UpstreamConn, Failure> {
    let mut tried = 1;
    loop {
        let pool = exchange.pool().clone();
        let idle = if fresh { None } else { pool.take_idle().await };
        if let Some(conn) = idle {
            return Ok(conn);
        }
        // Boxed: a dial is rare, and its state (TLS) would make every connection's task several KiB larger.
        let error = match Box::pin(entering::dial(exchange, client, &pool)).await? {
            Ok(conn) => return Ok(conn),
            Err(error) => error,
        };
        let count = exchange.server().endpoints.len();
        if tried >= count || exchange.forward.bound {
            return Err(Failure::Dial(error));
        }
        tried += 1;
        readdress(exchange, client, (exchange.forward.endpoint + 1) % count);
    }
}

/// Turns the request in the inbox to another endpoint.
fn readdress(exchange: &mut Exchange<'_>, client: &mut Client, endpoint: usize) {
    let worker = exchange.worker;
    let old = exchange.forward.front_len;
    let mut front = worker.scratch.borrow_mut();
    front.clear();
    let query = query_of(&client.inbox.filled()[..old]);
    // The query that the client sent: where the endpoint has one of its own, the client's did not go along.
    let own = exchange.server().endpoints[exchange.forward.endpoint].target.contains('?');
    let target =
        head::Target { message_path: None, query: query.filter(|_| !own), version: exchange.forward.version };
    let new = head::write_front(
        &mut front,
        exchange.forward.method,
        &exchange.server().endpoints[endpoint],
        &target,
    );
    let forward = &mut exchange.forward;
    replace_front(worker, client, forward, old, &front);
    forward.endpoint = endpoint;
    forward.front_len = new;
}

/// Puts `front` in the place of the first `old` bytes of the request in the inbox.
pub fn replace_front(worker: &Worker, client: &mut Client, forward: &mut Forward, old: usize, front: &[u8]) {
    client.inbox.consume(old);
    if !client.inbox.prepend(front) {
        let mut larger = worker.take_buf(front.len() + client.inbox.len());
        let fits = larger.append(front) && larger.append(client.inbox.filled());
        debug_assert!(fits, "the buffer was asked for by this length");
        worker.give_buf(std::mem::replace(&mut client.inbox, larger));
    }
    let new = front.len();
    forward.request_len = forward.request_len + new - old;
    forward.id = forward.id.take().map(|id| id.start + new - old..id.end + new - old);
}

fn query_of(front: &[u8]) -> Option<&[u8]> {
    let line = &front[..front.iter().position(|&byte| byte == b'\r')?];
    let line = line.strip_suffix(b" HTTP/1.1")?;
    line.iter().position(|&byte| byte == b'?').map(|mark| &line[mark + 1..])
}

/// Sends the request. A failure is not final: the server may have answered before it closed.
async fn send_request(
    exchange: &mut Exchange<'_>,
    client: &mut Client,
    conn: &mut UpstreamConn,
    now: Ticks,
) -> Sent {
    let len = exchange.forward.request_len;
    conn.watch.while_taken_by(now, exchange.timeouts().write, exchange.call_end());
    conn.watch.set_calls(cancel::calls_of(exchange, client));
    let inbox = std::mem::replace(&mut client.inbox, Buf::none());
    let (result, inbox) = conn.writer.send_first(inbox, len).await;
    client.inbox = inbox;
    exchange.record.attempts += 1;
    exchange.record.bytes_up += len as u64;
    cancel::note(exchange, client);
    client.watch_for_end(exchange.worker);
    let deadline = match &result {
        // From now, or from the last tick: the request itself may have taken longer than the answer may.
        Ok(()) => exchange.deadline(now.max(exchange.worker.recently()), exchange.timeouts().first_byte),
        Err(_) => now + LAST_WORDS,
    };
    let sent = match &result {
        Ok(()) => Sent::Whole,
        Err(_) if conn.watch.fired() => Sent::Stalled,
        Err(_) => Sent::Broken,
    };
    conn.watch.until(deadline, Direction::Both);
    sent
}

/// Waits for the server's next bytes, and keeps an eye on the client meanwhile.
pub async fn next_event(conn: &mut UpstreamConn, client: &mut Client) -> Event {
    poll_fn(|cx| {
        if let Poll::Ready(result) = conn.reader.poll_read(cx) {
            return Poll::Ready(Event::Upstream(result));
        }
        if client.reader.is_armed()
            && let Poll::Ready(result) = client.reader.poll_read(cx)
        {
            return Poll::Ready(Event::Client(result));
        }
        conn.watch.poll_asked(cx).map(|()| Event::Asked)
    })
    .await
}
