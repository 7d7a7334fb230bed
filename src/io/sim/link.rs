//! A connection in memory: two pipes, two ends, and the fate that the seed gave it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::executor::Executor;
use super::pipe::{Doom, Pipe};
use super::trace::What;
use crate::base::{Buf, Ticks};
use crate::io::conn::{Outgoing, ReadResult, WriteResult};
use crate::io::lane::{Lane, Port};
use crate::io::{Conn, Direction, Hangup, Peer, Reader, Writer};

/// What both ends share.
struct Link {
    executor: Rc<Executor>,
    /// Whose ends are still open; the count is of the whole simulation.
    open: Rc<Cell<usize>>,
    /// Side `s` writes `pipes[s]` and reads the other.
    pipes: [RefCell<Pipe>; 2],
    /// Whether side `s` was told of a reset, is to be told, or is well.
    health: [Cell<Health>; 2],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Health {
    Well,
    /// The next operation fails with `ConnectionReset`.
    Reset,
    /// As after a socket's error was fetched: reads see the end, writes a broken pipe.
    Told,
}

/// One end of a connection. Closed when dropped, as a descriptor is; both lanes and the hangup hold it.
pub(super) struct End {
    link: Rc<Link>,
    side: usize,
    /// The connection's number times two, plus the side.
    number: u64,
}

/// Two connected ends, and what the far one tells as its peer's address.
pub(super) fn connect(
    executor: &Rc<Executor>,
    open: &Rc<Cell<usize>>,
    peers: [Peer; 2],
) -> [(Conn, Rc<End>); 2] {
    let link = Rc::new(Link {
        executor: executor.clone(),
        open: open.clone(),
        pipes: [0, 1].map(|_| RefCell::new(Pipe::new(executor))),
        health: [0, 1].map(|_| Cell::new(Health::Well)),
    });
    open.set(open.get() + 2);
    let number = executor.serial() * 2;
    executor.note(What::Connect, number, 0);
    let mut peers = peers.into_iter();
    [0, 1].map(|side| {
        let end = Rc::new(End { link: link.clone(), side, number: number + side as u64 });
        let (reading, writing) = (end.clone(), end.clone());
        let conn = Conn {
            reader: Reader::new(Lane::new(|port| read_loop(reading, port))),
            writer: Writer::new(Lane::new(|port| write_loop(writing, port))),
            hangup: end.clone(),
            peer: peers.next().unwrap_or(Peer::Unix),
        };
        (conn, end)
    })
}

async fn read_loop(end: Rc<End>, mut port: Port<Buf, ReadResult>) {
    loop {
        let mut buf = port.next().await;
        let result = poll_fn(|cx| end.poll_read(cx, &mut buf)).await;
        port.answer((result, buf));
    }
}

async fn write_loop(end: Rc<End>, mut port: Port<Outgoing, WriteResult>) {
    loop {
        let Outgoing { buf, len } = port.next().await;
        let mut sent = 0;
        let mut result = Ok(());
        while sent < len && result.is_ok() {
            match poll_fn(|cx| end.poll_write(cx, &buf.filled()[sent..len])).await {
                Ok(count) => sent += count,
                Err(error) => result = Err(error),
            }
        }
        port.answer((result, buf));
    }
}

impl End {
    fn incoming(&self) -> &RefCell<Pipe> {
        &self.link.pipes[1 - self.side]
    }

    fn outgoing(&self) -> &RefCell<Pipe> {
        &self.link.pipes[self.side]
    }

    fn health(&self) -> &Cell<Health> {
        &self.link.health[self.side]
    }

    fn note(&self, what: What, amount: u64) {
        self.link.executor.note(what, self.number, amount);
    }

    fn poll_read(&self, cx: &Context<'_>, buf: &mut Buf) -> Poll<io::Result<usize>> {
        let mut pipe = self.incoming().borrow_mut();
        let count = pipe.take(&self.link.executor, buf);
        if count > 0 {
            self.note(What::Read, count as u64);
            return Poll::Ready(Ok(count));
        }
        match self.health().get() {
            Health::Reset => {
                self.health().set(Health::Told);
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            Health::Told => return Poll::Ready(Ok(0)),
            Health::Well if pipe.has_ended(self.link.executor.now()) => {
                self.note(What::Read, 0);
                return Poll::Ready(Ok(0));
            }
            Health::Well => {}
        }
        pipe.await_arrival(&self.link.executor, cx.waker());
        Poll::Pending
    }

    fn poll_write(&self, cx: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.health().get() {
            Health::Reset => {
                self.health().set(Health::Told);
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            Health::Told => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Health::Well => {}
        }
        if self.outgoing().borrow().is_shut() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if self.outgoing().borrow().is_refused(&self.incoming().borrow()) {
            // As on TCP: the write is taken, and what it meets at the other side comes back as a reset.
            self.note(What::Write, bytes.len() as u64);
            self.fall_ill();
            return Poll::Ready(Ok(bytes.len()));
        }
        let doom = self.outgoing().borrow_mut().due_doom();
        if let Some(doom) = doom {
            self.meet(doom);
            return self.poll_write(cx, bytes);
        }
        let count = self.outgoing().borrow_mut().put(&self.link.executor, bytes, cx.waker());
        if count == 0 {
            return Poll::Pending;
        }
        self.note(What::Write, count as u64);
        Poll::Ready(Ok(count))
    }

    /// Lets happen what was drawn for this direction.
    fn meet(&self, doom: Doom) {
        match doom {
            Doom::Reset => self.reset(),
            Doom::HalfClose => self.hang_up(Direction::Write),
            Doom::Stall(duration) => self.stall(duration),
        }
    }

    /// Holds back what this end sends from now on; for ever with `None`.
    pub(super) fn stall(&self, duration: Option<Duration>) {
        let until = duration.map_or(Ticks::NEVER, |duration| self.link.executor.now() + duration);
        self.note(What::Stall, until.0);
        self.outgoing().borrow_mut().stall(until);
    }

    /// Breaks the connection for both ends. What has arrived may still be read; what has not is lost.
    pub(super) fn reset(&self) {
        self.note(What::Reset, 0);
        let now = self.link.executor.now();
        for side in 0..2 {
            if self.link.health[side].get() == Health::Well {
                self.link.health[side].set(Health::Reset);
            }
            self.link.pipes[side].borrow_mut().lose(now);
        }
    }

    /// This end meets a reset that the other side caused by having gone.
    fn fall_ill(&self) {
        self.health().set(Health::Reset);
        self.incoming().borrow_mut().lose(self.link.executor.now());
    }
}

impl Hangup for End {
    fn hang_up(&self, direction: Direction) {
        self.note(What::Shut, direction as u64);
        if matches!(direction, Direction::Read | Direction::Both) {
            self.incoming().borrow_mut().shut_reading();
        }
        if matches!(direction, Direction::Write | Direction::Both) {
            self.outgoing().borrow_mut().shut(&self.link.executor);
        }
    }

    fn break_off(&self) {
        self.reset();
    }

    fn taken(&self) -> Option<i64> {
        Some(self.outgoing().borrow().taken())
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.note(What::Close, 0);
        self.link.open.set(self.link.open.get() - 1);
        let unread = self.incoming().borrow_mut().abandon();
        if unread && self.health().get() == Health::Well {
            // As on TCP: closing with bytes unread tells the sender that they were lost.
            self.reset();
        } else {
            self.outgoing().borrow_mut().shut(&self.link.executor);
        }
        self.health().set(Health::Told);
    }
}

/// The wakers of a pipe's two users.
#[derive(Default)]
pub(super) struct Users {
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

impl Users {
    pub(super) fn wake_reader(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    pub(super) fn wake_writer(&mut self) {
        if let Some(waker) = self.writer.take() {
            waker.wake();
        }
    }
}
