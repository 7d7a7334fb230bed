//! One connection: what it is doing, and what the bytes it receives mean.

use crate::faults::Fault;
use crate::http::{Media, Piece, ResponseReader};
use crate::requests::{Act, ID_DIGITS, PLAIN_TAIL, id_digits};
use crate::sse::EventSplitter;
use crate::sys::Socket;
use crate::tls::Session;
use crate::verify::{Message, check_message, is_error_result};

/// The longest answer (or single event) kept, in bytes.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Nothing; it may be opened again at this time.
    Closed {
        /// When, in nanoseconds of the run's clock.
        retry_ns: u64,
    },
    /// Waiting for the connection to be made.
    Connecting,
    /// Waiting for the end of the TLS handshake.
    Handshaking,
    /// Made, with no request under way.
    Ready,
    /// Sending a request that did not fit into the send buffer.
    Sending,
    /// Waiting for an answer.
    Waiting,
    /// Holding an open event stream.
    Holding,
}

/// A connection's state. The worker owns the socket calls; this owns the meaning of the bytes.
#[derive(Debug)]
pub struct Connection {
    /// The socket, while there is one.
    pub socket: Option<Socket>,
    /// TLS on it, from the start of its handshake; `None` without.
    pub tls: Option<Box<Session>>,
    /// What it is doing.
    pub doing: Doing,
    /// Grows with each socket, so that an old socket's event is not taken for the new one's.
    pub generation: u32,
    /// Whether it stands in the queue of ready connections.
    pub queued: bool,
    /// The class of the request under way, or of the next one.
    pub class: usize,
    /// The id of the request under way.
    pub id: u64,
    /// When the request was due; its latency counts from here.
    pub due_ns: u64,
    /// When it was really begun, or the connecting; its time limit counts from here.
    pub begun_ns: u64,
    /// Bytes of the request handed to the kernel, or encrypted.
    pub sent: usize,
    /// Answers received on this socket.
    pub answers: u64,
    /// What ends each head: the session header, if there is a session, and the blank line.
    pub head_tail: Vec<u8>,
    /// The evidence of the last fault.
    pub body: Vec<u8>,
    reader: ResponseReader,
    events: EventSplitter,
    body_use: BodyUse,
    outcome: Option<Result<Judged, Fault>>,
}

/// What to do with a body, decided by its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyUse {
    Answer,
    Refusal,
    Events,
    Held,
    Discard,
    Refused(Fault),
}

/// The outcome of reading some bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// The answer goes on.
    More,
    /// The answer is complete, and right or wrong.
    Complete {
        /// Whether the connection may carry another request.
        keep_alive: bool,
        /// Whether the answer is the right one.
        outcome: Result<Judged, Fault>,
    },
    /// The stream to be held has been opened.
    Opened,
    /// The connection is of no more use.
    Broken(Fault),
}

/// What the answer must be.
#[derive(Debug, Clone, Copy)]
pub struct Expectation<'a> {
    /// What the request was for.
    pub act: Act,
    /// Text that a right answer to a call contains.
    pub text: Option<&'a [u8]>,
    /// Which answers to a call are refusals.
    pub refusals: Refusals,
}

/// An answer without fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// What was asked for.
    Right,
    /// That a limit was reached.
    Refused,
}

/// How a server says that a limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum RefusalName {
    /// status 429 with a JSON-RPC error for the request's own id
    Status,
    /// a result whose isError is true
    Result,
}

/// Which answers are refusals rather than errors, or right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refusals {
    status: bool,
    result: bool,
}

impl Refusals {
    /// Those that are named.
    pub fn named(names: &[RefusalName]) -> Self {
        let named = |name| names.contains(&name);
        Self { status: named(RefusalName::Status), result: named(RefusalName::Result) }
    }
}

impl Connection {
    /// A connection to be opened at once.
    pub fn new() -> Self {
        Self {
            socket: None,
            tls: None,
            doing: Doing::Closed { retry_ns: 0 },
            generation: 0,
            queued: false,
            class: 0,
            id: 0,
            due_ns: 0,
            begun_ns: 0,
            sent: 0,
            answers: 0,
            head_tail: PLAIN_TAIL.to_vec(),
            body: Vec::new(),
            reader: ResponseReader::default(),
            events: EventSplitter::default(),
            body_use: BodyUse::Discard,
            outcome: None,
        }
    }

    /// Drops the socket and everything that belonged to it.
    pub fn close(&mut self, retry_ns: u64) {
        self.notify_close();
        self.tls = None;
        self.socket = None;
        self.doing = Doing::Closed { retry_ns };
        self.generation = self.generation.wrapping_add(1);
        self.answers = 0;
        self.reader.reset();
        self.events.reset();
        self.forget_session();
    }

    /// Announces the end of TLS, where there is any.
    pub fn notify_close(&mut self) {
        if let (Some(tls), Some(socket)) = (&mut self.tls, &self.socket) {
            tls.notify_close(socket);
        }
    }

    /// Leaves the session: the next heads name none.
    pub fn forget_session(&mut self) {
        self.head_tail.clear();
        self.head_tail.extend_from_slice(PLAIN_TAIL);
    }

    /// Prepares for the answer to a new request.
    pub fn expect_answer(&mut self) {
        self.outcome = None;
        self.body.clear();
    }

    /// What a close by the peer means now; `Ok` when it completes the answer.
    pub fn on_end(&mut self, expectation: Expectation<'_>) -> Taken {
        match self.doing {
            Doing::Sending | Doing::Waiting if self.reader.ends_by_close() => {
                let outcome = self.conclude(expectation);
                Taken::Complete { keep_alive: false, outcome }
            }
            Doing::Sending | Doing::Waiting if self.answers > 0 && self.reader.is_fresh() => {
                Taken::Broken(Fault::LateClose)
            }
            _ => Taken::Broken(Fault::EarlyClose),
        }
    }

    /// What an end means that TLS did not announce: somebody may have cut a body off that ends there.
    pub fn on_truncated_end(&mut self, expectation: Expectation<'_>) -> Taken {
        if self.reader.ends_by_close() { Taken::Broken(Fault::EarlyClose) } else { self.on_end(expectation) }
    }

    /// What a failure of TLS means, told in `why`.
    pub fn on_tls_failure(&mut self, why: &str) -> Taken {
        self.keep_evidence(why.as_bytes());
        Taken::Broken(Fault::Tls)
    }

    /// Reads bytes of the answer. `on_event` is called once per event or message that is not the
    /// answer itself.
    pub fn take_in(
        &mut self,
        mut input: &[u8],
        expectation: Expectation<'_>,
        mut on_event: impl FnMut(),
    ) -> Taken {
        if !matches!(self.doing, Doing::Sending | Doing::Waiting | Doing::Holding) {
            self.keep_evidence(input);
            return Taken::Broken(Fault::Unsolicited);
        }
        let mut opened = false;
        loop {
            match self.reader.next(&mut input) {
                Err(fault) => {
                    self.keep_evidence(input);
                    return Taken::Broken(Fault::MalformedHttp(fault));
                }
                Ok(Piece::NeedMore) if input.is_empty() => {
                    return if opened { Taken::Opened } else { Taken::More };
                }
                Ok(Piece::NeedMore) => {}
                Ok(Piece::Head) => {
                    self.begin_body(expectation);
                    opened = self.body_use == BodyUse::Held;
                }
                Ok(Piece::Body(piece)) => {
                    if let Err(fault) = self.take_body(piece, expectation, &mut on_event) {
                        return Taken::Broken(fault);
                    }
                }
                Ok(Piece::End) => return self.end_response(input, expectation),
            }
        }
    }

    fn begin_body(&mut self, expectation: Expectation<'_>) {
        let head = self.reader.head();
        let right_status = match expectation.act {
            Act::Initialize | Act::Call | Act::Hold => head.status == 200,
            Act::Initialized => head.status == 202,
            Act::Delete => (200..300).contains(&head.status),
        };
        let refused = head.status == TOO_MANY_REQUESTS && expectation.refusals.status;
        self.body_use = match (expectation.act, head.media) {
            (Act::Call, Media::Json) if refused => BodyUse::Refusal,
            _ if !right_status => BodyUse::Refused(Fault::Status(head.status)),
            (Act::Initialize | Act::Call, Media::Json) => BodyUse::Answer,
            (Act::Initialize | Act::Call, Media::EventStream) => BodyUse::Events,
            (Act::Hold, Media::EventStream) => BodyUse::Held,
            (Act::Initialize | Act::Call | Act::Hold, _) => BodyUse::Refused(Fault::ContentType),
            (Act::Initialized | Act::Delete, _) => BodyUse::Discard,
        };
        if self.body_use == BodyUse::Events || self.body_use == BodyUse::Held {
            self.events.reset();
        }
        if expectation.act == Act::Initialize && right_status && !head.session.is_empty() {
            self.head_tail.clear();
            self.head_tail.extend_from_slice(b"Mcp-Session-Id: ");
            self.head_tail.extend_from_slice(&head.session);
            self.head_tail.extend_from_slice(b"\r\n\r\n");
        }
    }

    fn take_body(
        &mut self,
        piece: &[u8],
        expectation: Expectation<'_>,
        on_event: &mut impl FnMut(),
    ) -> Result<(), Fault> {
        match self.body_use {
            BodyUse::Discard => Ok(()),
            BodyUse::Answer | BodyUse::Refusal if self.reader.head().length == Some(piece.len() as u64) => {
                self.judge(piece, expectation);
                Ok(())
            }
            BodyUse::Answer | BodyUse::Refusal | BodyUse::Refused(_) => {
                if self.body.len() + piece.len() > ANSWER_BYTES_MAX {
                    return Err(Fault::TooLong);
                }
                self.body.extend_from_slice(piece);
                Ok(())
            }
            BodyUse::Events | BodyUse::Held => self.take_events(piece, expectation, on_event),
        }
    }

    fn take_events(
        &mut self,
        piece: &[u8],
        expectation: Expectation<'_>,
        on_event: &mut impl FnMut(),
    ) -> Result<(), Fault> {
        let id = id_digits(self.id);
        let (outcome, body) = (&mut self.outcome, &mut self.body);
        self.events.feed(piece, |data| match judge_message(data, &id, expectation) {
            None => on_event(),
            Some(_) if outcome.is_some() => *outcome = Some(Err(Fault::Unsolicited)),
            Some(judged) => {
                if judged.is_err() {
                    body.clear();
                    body.extend_from_slice(data);
                }
                *outcome = Some(judged);
            }
        });
        if self.events.pending_bytes() > ANSWER_BYTES_MAX {
            return Err(Fault::TooLong);
        }
        match self.outcome {
            // A held stream has no end at which to look at this.
            Some(Err(fault)) if self.body_use == BodyUse::Held => Err(fault),
            _ => Ok(()),
        }
    }

    fn end_response(&mut self, rest: &[u8], expectation: Expectation<'_>) -> Taken {
        if !rest.is_empty() {
            self.keep_evidence(rest);
            return Taken::Broken(Fault::Unsolicited);
        }
        if self.doing == Doing::Sending {
            // Answered before the request was sent whole: nothing can follow on this connection.
            let outcome = self.conclude(expectation).and(Err(Fault::EarlyClose));
            return Taken::Complete { keep_alive: false, outcome };
        }
        let keep_alive = self.reader.head().keep_alive;
        Taken::Complete { keep_alive, outcome: self.conclude(expectation) }
    }

    /// The verdict at the end of the body.
    fn conclude(&mut self, expectation: Expectation<'_>) -> Result<Judged, Fault> {
        match self.body_use {
            BodyUse::Discard => Ok(Judged::Right),
            BodyUse::Refused(fault) => Err(fault),
            BodyUse::Held => Err(Fault::EarlyClose),
            BodyUse::Events => self.outcome.unwrap_or(Err(Fault::NoAnswer)),
            BodyUse::Answer | BodyUse::Refusal => {
                if self.outcome.is_none() {
                    let body = std::mem::take(&mut self.body);
                    self.judge(&body, expectation);
                    if self.body.is_empty() {
                        self.body = body; // keep the memory
                    }
                }
                self.outcome.unwrap_or(Err(Fault::MalformedJson))
            }
        }
    }

    fn judge(&mut self, message: &[u8], expectation: Expectation<'_>) {
        let id = id_digits(self.id);
        let outcome = match self.body_use {
            BodyUse::Refusal => judge_refusal(message, &id),
            _ => judge_message(message, &id, expectation).unwrap_or(Err(Fault::WrongId)),
        };
        if outcome.is_err() {
            self.keep_evidence(message);
        }
        self.outcome = Some(outcome);
    }

    fn keep_evidence(&mut self, bytes: &[u8]) {
        const EVIDENCE_BYTES_MAX: usize = 1024;
        self.body.clear();
        self.body.extend_from_slice(&bytes[..bytes.len().min(EVIDENCE_BYTES_MAX)]);
    }
}

impl Default for Connection {
    fn default() -> Self {
        Self::new()
    }
}

/// Judges one message; `None` for a message that is not an answer at all.
fn judge_message(
    message: &[u8],
    id: &[u8; ID_DIGITS],
    expectation: Expectation<'_>,
) -> Option<Result<Judged, Fault>> {
    let is_call = expectation.act == Act::Call;
    Some(match check_message(message, id) {
        Message::FromServer => return None,
        Message::Answer if is_call && expectation.refusals.result && is_error_result(message) => {
            Ok(Judged::Refused)
        }
        Message::Answer => match expectation.text {
            Some(text) if is_call && memchr::memmem::find(message, text).is_none() => Err(Fault::WrongText),
            _ => Ok(Judged::Right),
        },
        Message::WrongId => Err(Fault::WrongId),
        Message::RpcError(code) => Err(Fault::RpcError(code)),
        Message::Malformed => Err(Fault::MalformedJson),
    })
}

/// Judges what came with status 429.
fn judge_refusal(message: &[u8], id: &[u8; ID_DIGITS]) -> Result<Judged, Fault> {
    match check_message(message, id) {
        Message::RpcError(_) => Ok(Judged::Refused),
        Message::Answer => Err(Fault::Status(TOO_MANY_REQUESTS)),
        Message::WrongId | Message::FromServer => Err(Fault::WrongId),
        Message::Malformed => Err(Fault::MalformedJson),
    }
}

const TOO_MANY_REQUESTS: u16 = 429;

#[cfg(test)]
mod tests;
