//! One TLS session: ciphertext and plaintext in buffers, no I/O.

use std::cell::RefCell;

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
};
use rustls::{CommonState, Error, ProtocolVersion};

use crate::base::{Buf, BufPool};

/// The most ciphertext that may wait for its continuation: a handshake message of 64 KiB, in records.
const WAITING_BYTES_MAX: usize = 80 << 10;
/// Room that records need around `len` bytes of plaintext: header, nonce, tag and type of each.
const fn sealed_len(len: usize) -> usize {
    len + (len / (16 << 10) + 1) * 64
}

thread_local! {
    /// Buffers for ciphertext. Every session of a worker shares them, so an idle one holds none.
    static POOL: RefCell<BufPool> = RefCell::new(BufPool::new());
}

pub(super) fn take_buf(capacity: usize) -> Buf {
    POOL.with_borrow_mut(|pool| pool.take(capacity))
}

pub(super) fn give_buf(buf: Buf) {
    // A connection that outlives the pool, while its thread ends, frees its buffers itself.
    let _ = POOL.try_with(|pool| pool.borrow_mut().give(buf));
}

/// Appends `data`, in a larger buffer if it does not fit.
fn append(buf: &mut Buf, data: &[u8]) {
    ensure_free(buf, data.len());
    let fits = buf.append(data);
    debug_assert!(fits, "made to fit");
}

fn ensure_free(buf: &mut Buf, free: usize) {
    if buf.free() < free {
        buf.compact();
    }
    if buf.free() < free {
        let mut larger = take_buf(buf.len() + free);
        let fits = larger.append(buf.filled());
        debug_assert!(fits, "larger than what it takes over");
        give_buf(std::mem::replace(buf, larger));
    }
}

/// Gives the memory of an empty buffer back.
fn release(buf: &mut Buf) {
    if buf.is_empty() && !buf.is_none() {
        give_buf(std::mem::replace(buf, Buf::none()));
    }
}

pub(super) enum Engine {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

pub(super) struct Session {
    engine: Engine,
    /// Ciphertext that was received and not yet processed.
    incoming: Buf,
    flow: Flow,
    failed: Option<Error>,
}

/// What the engine produces.
struct Flow {
    /// TLS records to be sent.
    outgoing: Buf,
    /// Plaintext for which the reader had no room.
    left: Buf,
    /// The peer has said that nothing follows.
    closed: bool,
}

/// Where a session stands after what could be done was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Goes on at once.
    Moving,
    /// All that was produced is in the outgoing buffer; more may follow.
    Produced,
    /// Nothing more happens without ciphertext from the peer.
    Blocked,
    /// As `Blocked`, and application data may be sent: it was, if there was any.
    Open,
}

/// What to do when the engine has time for it.
enum Task<'a> {
    None,
    Seal(&'a [u8]),
    Close,
}

impl Session {
    pub(super) fn new(engine: Engine, incoming: Buf) -> Self {
        let flow = Flow { outgoing: Buf::none(), left: Buf::none(), closed: false };
        Self { engine, incoming, flow, failed: None }
    }

    /// What rustls tells about the session.
    pub(super) fn facts(&self) -> &CommonState {
        match &self.engine {
            Engine::Server(connection) => connection,
            Engine::Client(connection) => connection,
        }
    }

    /// Whether the peer waits for nothing more of a handshake that is done here: under TLS 1.3 the client has
    /// the last word.
    pub(super) fn is_answered(&self) -> bool {
        let is_tls13 = self.facts().protocol_version() == Some(ProtocolVersion::TLSv1_3);
        is_tls13 && matches!(self.engine, Engine::Server(_))
    }

    /// Goes on with the handshake as far as it can. `true` once it is done.
    pub(super) fn shake(&mut self) -> Result<bool, Error> {
        loop {
            let standing = self.advance(Task::None, &mut Buf::none())?;
            let is_done = !self.facts().is_handshaking();
            match standing {
                Standing::Moving => {}
                Standing::Produced if !is_done => {}
                // A server may be open for sending before it has heard the client's last word.
                Standing::Produced | Standing::Blocked | Standing::Open => return Ok(is_done),
            }
        }
    }

    /// Adds received ciphertext.
    pub(super) fn feed(&mut self, ciphertext: Buf) {
        if self.incoming.is_empty() {
            give_buf(std::mem::replace(&mut self.incoming, ciphertext));
        } else {
            append(&mut self.incoming, ciphertext.filled());
            give_buf(ciphertext);
        }
        release(&mut self.incoming);
    }

    /// Moves plaintext into `plain` until it is full or no more is here. What does not fit waits.
    pub(super) fn open(&mut self, plain: &mut Buf) -> Result<(), Error> {
        let Flow { left, .. } = &mut self.flow;
        let count = left.len().min(plain.free());
        let fits = plain.append(&left.filled()[..count]);
        debug_assert!(fits, "no more than is free");
        left.consume(count);
        release(left);
        while plain.free() > 0
            && matches!(self.advance(Task::None, plain)?, Standing::Moving | Standing::Produced)
        {}
        Ok(())
    }

    /// Whether the peer has ended its stream properly, and all of it was read.
    pub(super) fn is_at_end(&self) -> bool {
        self.flow.closed && self.flow.left.is_empty()
    }

    /// How much ciphertext completes the record that has begun; 0 if none has.
    pub(super) fn missing(&self) -> usize {
        match self.incoming.filled() {
            [_, _, _, high, low, rest @ ..] => {
                usize::from(u16::from_be_bytes([*high, *low])).saturating_sub(rest.len())
            }
            _ => 0,
        }
    }

    /// Encrypts `plain` behind what is to be sent already.
    pub(super) fn seal(&mut self, plain: &[u8]) -> Result<(), Error> {
        self.perform(|| Task::Seal(plain))
    }

    /// Tells the peer that nothing follows (close_notify, RFC 8446 section 6.1).
    pub(super) fn close(&mut self) -> Result<(), Error> {
        self.perform(|| Task::Close)
    }

    fn perform<'a>(&mut self, task: impl Fn() -> Task<'a>) -> Result<(), Error> {
        loop {
            // Plaintext that turns up on the way waits for the reader.
            match self.advance(task(), &mut Buf::none())? {
                Standing::Open => return Ok(()),
                Standing::Blocked => return Err(Error::HandshakeNotComplete),
                Standing::Moving | Standing::Produced => {}
            }
        }
    }

    /// What is to be sent, if anything.
    pub(super) fn take_outgoing(&mut self) -> Option<Buf> {
        let outgoing = std::mem::replace(&mut self.flow.outgoing, Buf::none());
        (!outgoing.is_empty()).then_some(outgoing)
    }

    /// Whether no buffer is held.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        let Flow { outgoing, left, .. } = &self.flow;
        [&self.incoming, outgoing, left].into_iter().all(Buf::is_none)
    }

    /// Lets the engine make one step. After an error, which is final, the alert that tells the peer of it is
    /// in the outgoing buffer.
    fn advance(&mut self, task: Task<'_>, plain: &mut Buf) -> Result<Standing, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let result = self.step(task, plain);
        if let Err(error) = &result {
            self.failed = Some(error.clone());
            // Only what is ready is fetched: to ask for more would have the error happen again.
            while self.facts().wants_write() && self.step(Task::None, &mut Buf::none()).is_ok() {}
        }
        result
    }

    fn step(&mut self, task: Task<'_>, plain: &mut Buf) -> Result<Standing, Error> {
        let Self { engine, incoming, flow, .. } = self;
        let (discard, result) = match engine {
            Engine::Server(engine) => {
                flow.handle(engine.process_tls_records(incoming.filled_mut()), task, plain)
            }
            Engine::Client(engine) => {
                flow.handle(engine.process_tls_records(incoming.filled_mut()), task, plain)
            }
        };
        incoming.consume(discard);
        release(incoming);
        let standing = result?;
        if matches!(standing, Standing::Blocked | Standing::Open) && incoming.len() > WAITING_BYTES_MAX {
            return Err(Error::General("a message of the peer is too large".into()));
        }
        Ok(standing)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for buf in [&mut self.incoming, &mut self.flow.outgoing, &mut self.flow.left] {
            give_buf(std::mem::replace(buf, Buf::none()));
        }
    }
}

impl Flow {
    /// Does what `status` asks for: how much ciphertext is used up, and where that leaves the session.
    fn handle<Side>(
        &mut self,
        status: UnbufferedStatus<'_, '_, Side>,
        task: Task<'_>,
        plain: &mut Buf,
    ) -> (usize, Result<Standing, Error>) {
        let mut discard = status.discard;
        let state = match status.state {
            Ok(state) => state,
            Err(error) => return (discard, Err(error)),
        };
        let result = match state {
            ConnectionState::ReadTraffic(mut traffic) => loop {
                match traffic.next_record() {
                    Some(Ok(record)) => {
                        discard += record.discard;
                        self.deliver(record.payload, plain);
                    }
                    Some(Err(error)) => break Err(error),
                    None => break Ok(Standing::Moving),
                }
            },
            ConnectionState::EncodeTlsData(mut data) => {
                self.put(|free| data.encode(free)).map(|()| Standing::Moving)
            }
            ConnectionState::TransmitTlsData(transmit) => {
                transmit.done();
                Ok(Standing::Produced)
            }
            ConnectionState::PeerClosed => {
                self.closed = true;
                Ok(Standing::Moving)
            }
            ConnectionState::Closed => match task {
                Task::Seal(_) => Err(Error::EncryptError),
                Task::None | Task::Close => Ok(Standing::Open),
            },
            ConnectionState::BlockedHandshake => Ok(Standing::Blocked),
            ConnectionState::WriteTraffic(mut traffic) => match task {
                Task::None => Ok(()),
                Task::Close => self.put(|free| traffic.queue_close_notify(free)),
                Task::Seal(data) => {
                    ensure_free(&mut self.outgoing, sealed_len(data.len()));
                    self.put(|free| traffic.encrypt(data, free))
                }
            }
            .map(|()| Standing::Open),
            // Early data is never offered or accepted.
            _ => Err(Error::General("TLS early data".into())),
        };
        (discard, result)
    }

    /// Hands plaintext on, in order: nothing overtakes what is left from before.
    fn deliver(&mut self, data: &[u8], plain: &mut Buf) {
        let direct = if self.left.is_empty() { data.len().min(plain.free()) } else { 0 };
        let fits = plain.append(&data[..direct]);
        debug_assert!(fits, "no more than is free");
        if direct < data.len() {
            append(&mut self.left, &data[direct..]);
        }
    }

    /// Lets `write` append records to the outgoing buffer, with as much room as it asks for.
    fn put<E: Into<Refusal>>(
        &mut self,
        mut write: impl FnMut(&mut [u8]) -> Result<usize, E>,
    ) -> Result<(), Error> {
        loop {
            match write(self.outgoing.free_mut()).map_err(Into::into) {
                Ok(count) => {
                    self.outgoing.advance(count);
                    return Ok(());
                }
                Err(Refusal::Room(needed)) if needed > self.outgoing.free() => {
                    ensure_free(&mut self.outgoing, needed);
                }
                Err(Refusal::Room(_) | Refusal::Never) => return Err(Error::EncryptError),
            }
        }
    }
}

/// Why records could not be written.
enum Refusal {
    /// This much room is needed.
    Room(usize),
    Never,
}

impl From<EncodeError> for Refusal {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::InsufficientSize(InsufficientSizeError { required_size }) => {
                Self::Room(required_size)
            }
            EncodeError::AlreadyEncoded => Self::Never,
        }
    }
}

impl From<EncryptError> for Refusal {
    fn from(error: EncryptError) -> Self {
        match error {
            EncryptError::InsufficientSize(InsufficientSizeError { required_size }) => {
                Self::Room(required_size)
            }
            EncryptError::EncryptExhausted => Self::Never,
        }
    }
}
