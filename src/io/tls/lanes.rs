//! The lanes of an encrypted connection, on top of those of the plain one.
//!
//! Both coroutines share the session, and borrow it only between awaits. All TLS records leave through one
//! lane, whoever made them, so that they leave in the order they were made. The write coroutine drives it
//! while it has something to send; at other times the read coroutine does, for what reading has produced
//! (an answer to a key update, an alert) and for the close_notify of a hangup.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::protocol_error;
use super::session::{Session, give_buf, take_buf};
use crate::base::Buf;
use crate::io::conn::{Outgoing, ReadResult, WriteResult};
use crate::io::lane::{Lane, Port};
use crate::io::{Conn, Direction, Hangup, Reader, Writer};

/// What an idle connection holds: the buffer of the read that is armed.
const READ_BYTES_MIN: usize = 2 << 10;
/// The largest read of ciphertext.
const READ_BYTES_MAX: usize = 80 << 10;
/// Plaintext that is encrypted and sent at once: four full records.
const SEAL_BYTES_MAX: usize = 64 << 10;

struct Shared {
    session: RefCell<Session>,
    /// Sends TLS records over the plain connection.
    records: RefCell<Lane<Outgoing, WriteResult>>,
    plain: Rc<dyn Hangup>,
    /// The write coroutine has an operation, and so drives `records`.
    writing: Cell<bool>,
    /// Reads were cut on this side.
    reading_cut: Cell<bool>,
    closing: Cell<Closing>,
    /// The task that waits for the read coroutine.
    reading_task: Cell<Option<Waker>>,
}

/// How far the end of the outgoing stream has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Closing {
    No,
    /// The close_notify is to be sent.
    Asked,
    /// It is on its way; the plain connection is to be shut after it.
    Told,
    Done,
}

/// `plain`, encrypted by `session`, whose handshake is done.
pub(super) fn wrap(plain: Conn, session: Session) -> Conn {
    let Conn { reader, mut writer, hangup, peer } = plain;
    let records = Lane::new(|mut port: Port<Outgoing, WriteResult>| async move {
        loop {
            let Outgoing { buf, len } = port.next().await;
            let sent = writer.send_first(buf, len).await;
            port.answer(sent);
        }
    });
    let shared = Rc::new(Shared {
        session: RefCell::new(session),
        records: RefCell::new(records),
        plain: hangup,
        writing: Cell::new(false),
        reading_cut: Cell::new(false),
        closing: Cell::new(Closing::No),
        reading_task: Cell::new(None),
    });
    let (reading, writing) = (shared.clone(), shared.clone());
    Conn {
        reader: Reader::new(Lane::new(|port| read_loop(reading, reader, port))),
        writer: Writer::new(Lane::new(|port| write_loop(writing, port))),
        hangup: shared,
        peer,
    }
}

async fn read_loop(shared: Rc<Shared>, mut plain: Reader, mut port: Port<Buf, ReadResult>) {
    let mut size = READ_BYTES_MIN;
    loop {
        let mut buf = port.next().await;
        let result = shared.read(&mut plain, &mut buf, &mut size).await;
        port.answer((result, buf));
    }
}

async fn write_loop(shared: Rc<Shared>, mut port: Port<Outgoing, WriteResult>) {
    loop {
        let Outgoing { buf, len } = port.next().await;
        shared.writing.set(true);
        let mut result = Ok(());
        for part in buf.filled()[..len].chunks(SEAL_BYTES_MAX) {
            result = shared.write(part).await;
            if result.is_err() {
                break;
            }
        }
        shared.writing.set(false);
        port.answer((result, buf));
    }
}

impl Shared {
    async fn read(&self, plain: &mut Reader, buf: &mut Buf, size: &mut usize) -> io::Result<usize> {
        let before = buf.len();
        loop {
            let opened = self.session.borrow_mut().open(buf);
            if buf.len() > before {
                // An error that came after these bytes is met again by the next read.
                return Ok(buf.len() - before);
            }
            if let Err(error) = opened {
                poll_fn(|cx| self.poll_last_words(cx)).await;
                return Err(protocol_error(&error));
            }
            if self.reading_cut.get() {
                return Ok(0);
            }
            let is_at_end = self.session.borrow().is_at_end();
            if is_at_end {
                poll_fn(|cx| self.poll_last_words(cx)).await;
                return Ok(0);
            }
            let Some(ciphertext) = self.receive(plain, *size).await? else {
                // Proper only if this side has cut it: the peer has not announced it.
                return if self.reading_cut.get() { Ok(0) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            };
            let is_full = ciphertext.free() == 0;
            self.session.borrow_mut().feed(ciphertext);
            // A full buffer promises more; what leaves room is likely followed by silence.
            *size = if is_full { (*size * 8).min(READ_BYTES_MAX) } else { READ_BYTES_MIN };
        }
    }

    /// One read of ciphertext; meanwhile, what reading has produced is sent. `None` at the end of the stream.
    async fn receive(&self, plain: &mut Reader, size: usize) -> io::Result<Option<Buf>> {
        let missing = self.session.borrow().missing();
        if !plain.is_armed() {
            plain.arm(take_buf(size.max(missing)));
        }
        let (result, buf) = poll_fn(|cx| {
            self.drive(cx);
            self.reading_task.set(Some(cx.waker().clone()));
            plain.poll_read(cx)
        })
        .await;
        self.reading_task.set(None);
        match result {
            Ok(1..) => Ok(Some(buf)),
            ended => {
                give_buf(buf);
                ended.map(|_| None)
            }
        }
    }

    async fn write(&self, part: &[u8]) -> io::Result<()> {
        if self.closing.get() != Closing::No {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let sealed = self.session.borrow_mut().seal(part);
        sealed.map_err(|error| protocol_error(&error))?;
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Sends on the reader's account what waits to be sent, as far as that goes without waiting.
    fn drive(&self, cx: &mut Context<'_>) {
        if !self.writing.get() {
            // A plain connection that cannot be written to shows in the next write.
            let _ = self.poll_flush(cx);
        }
    }

    /// Waits until an alert or a close_notify has left: nobody may poll this connection again. A write that is
    /// under way takes them along.
    fn poll_last_words(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.writing.get() || self.reading_cut.get() {
            return Poll::Ready(());
        }
        self.reading_task.set(Some(cx.waker().clone()));
        self.poll_flush(cx).map(|_| ())
    }

    /// Sends all records that were made, and ends the plain stream after the last.
    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut records = self.records.borrow_mut();
        loop {
            if records.is_busy() {
                let Poll::Ready((result, buf)) = records.poll(cx) else { return Poll::Pending };
                give_buf(buf);
                result?;
            }
            let outgoing = self.session.borrow_mut().take_outgoing();
            match (outgoing, self.closing.get()) {
                (Some(buf), _) => {
                    let len = buf.len();
                    records.start(Outgoing { buf, len });
                }
                (None, Closing::Asked) => {
                    self.closing.set(Closing::Told);
                    let _ = self.session.borrow_mut().close();
                }
                (None, Closing::Told) => {
                    self.closing.set(Closing::Done);
                    self.plain.hang_up(Direction::Write);
                }
                (None, Closing::No | Closing::Done) => return Poll::Ready(Ok(())),
            }
        }
    }

    /// Ends the outgoing stream: with a close_notify, unless a write is under way, which must end now.
    fn end_writing(&self) {
        if self.closing.get() != Closing::No {
            return;
        }
        if self.writing.get() {
            self.closing.set(Closing::Done);
            self.plain.hang_up(Direction::Write);
            return;
        }
        self.closing.set(Closing::Asked);
        // One try is enough while the socket has room. Else the reader's task goes on with it.
        let task = self.reading_task.take();
        let _ = self.poll_flush(&mut Context::from_waker(task.as_ref().unwrap_or(Waker::noop())));
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl Hangup for Shared {
    /// `Write` tells the peer with a close_notify first; `Both` cuts at once and tells nothing, so that the
    /// peer does not take what it has for the whole.
    fn hang_up(&self, direction: Direction) {
        if matches!(direction, Direction::Read | Direction::Both) {
            self.reading_cut.set(true);
            if let Some(task) = self.reading_task.take() {
                task.wake();
            }
        }
        match direction {
            Direction::Read => self.plain.hang_up(Direction::Read),
            Direction::Write => self.end_writing(),
            Direction::Both => {
                self.closing.set(Closing::Done);
                self.plain.hang_up(Direction::Both);
            }
        }
    }

    fn taken(&self) -> Option<i64> {
        self.plain.taken()
    }
}
