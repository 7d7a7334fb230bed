//! A connection as the data plane sees it.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::lane::Lane;
use crate::base::Buf;

/// Who is at the other end of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A process on this host, through a Unix socket.
    Unix,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

/// A connection: two lanes and the means to cut it.
pub struct Conn {
    /// What comes in.
    pub reader: Reader,
    /// What goes out.
    pub writer: Writer,
    /// Cuts the connection from outside, under whatever is pending.
    pub hangup: Rc<dyn Hangup>,
    /// Who is at the other end.
    pub peer: Peer,
}

/// Which direction to cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Reads end as if the peer had closed; writes still work.
    Read,
    /// The peer sees the end of the stream; reads still work.
    Write,
    /// Both.
    Both,
}

/// Cuts a connection. Pending operations end by themselves, with nothing cancelled and no byte lost.
pub trait Hangup {
    /// Cuts `direction` at once. Does nothing when the connection is gone already.
    fn hang_up(&self, direction: Direction);

    /// Cuts both directions so that the peer is told of a break and not of an end, where the transport can say so: a
    /// reset on TCP, no close_notify on TLS. A Unix socket cannot.
    fn break_off(&self) {
        self.hang_up(Direction::Both);
    }

    /// Counts the bytes that the peer has taken of what was sent to it; only the difference of two counts means
    /// anything. `None` where that is not known.
    fn taken(&self) -> Option<i64>;
}

/// A buffer, and how many of its filled bytes are to be sent.
pub struct Outgoing {
    /// The bytes.
    pub buf: Buf,
    /// Send this many of them.
    pub len: usize,
}

/// The result of a read: how many bytes were appended (0: the peer closed), and the buffer.
pub type ReadResult = (io::Result<usize>, Buf);
/// The result of a send: all was sent or not, and the buffer, unchanged.
pub type WriteResult = (io::Result<()>, Buf);

/// The incoming direction.
pub struct Reader(Lane<Buf, ReadResult>);

impl Reader {
    /// A reader run by `lane`, which appends to the buffer it is given.
    pub fn new(lane: Lane<Buf, ReadResult>) -> Self {
        Self(lane)
    }

    /// Whether a read is under way.
    pub fn is_armed(&self) -> bool {
        self.0.is_busy()
    }

    /// Starts a read into the free part of `buf`. It reaches the kernel when next polled.
    ///
    /// # Panics
    /// If one is under way, or `buf` is full.
    pub fn arm(&mut self, buf: Buf) {
        assert!(buf.free() > 0, "a read needs room");
        self.0.start(buf);
    }

    /// The result of the read under way.
    #[inline]
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<ReadResult> {
        self.0.poll(cx)
    }

    /// Waits for the read under way.
    pub async fn read(&mut self) -> ReadResult {
        poll_fn(|cx| self.poll_read(cx)).await
    }
}

/// The outgoing direction.
pub struct Writer(Lane<Outgoing, WriteResult>);

impl Writer {
    /// A writer run by `lane`, which sends all it is given.
    pub fn new(lane: Lane<Outgoing, WriteResult>) -> Self {
        Self(lane)
    }

    /// Sends all filled bytes of `buf`.
    pub async fn send(&mut self, buf: Buf) -> WriteResult {
        let len = buf.len();
        self.send_first(buf, len).await
    }

    /// Sends the first `len` filled bytes of `buf`.
    ///
    /// If the future is dropped the operation goes on, and the next send waits for its end.
    pub async fn send_first(&mut self, buf: Buf, len: usize) -> WriteResult {
        debug_assert!(len <= buf.len());
        if self.0.is_busy() {
            // An earlier send was abandoned; its bytes must not be overtaken.
            if let (Err(error), _) = poll_fn(|cx| self.0.poll(cx)).await {
                return (Err(error), buf);
            }
        }
        self.0.start(Outgoing { buf, len });
        poll_fn(|cx| self.0.poll(cx)).await
    }
}
