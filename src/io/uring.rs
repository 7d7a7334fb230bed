//! The real network: monoio on io_uring, or on epoll where io_uring is forbidden.

use std::cell::{Cell, UnsafeCell};
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, RawFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use monoio::buf::{IoBuf, IoBufMut};
use monoio::io::{AsyncReadRent, AsyncWriteRent, OwnedReadHalf, OwnedWriteHalf, Splitable};
use monoio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::conn::{Outgoing, ReadResult, WriteResult};
use super::lane::{Lane, Port};
use super::{
    Accepted, Address, Close, Conn, Direction, Hangup, Listen, LocalFuture, Net, Peer, Reader, Socket,
    Writer, closing,
};
use crate::base::{Buf, Ticks};

/// The host's sockets and clock, on the monoio runtime of this thread.
pub struct UringNet {
    start: Instant,
}

impl UringNet {
    /// Time counts from `start`, which all threads of a process should share.
    pub fn new(start: Instant) -> Self {
        Self { start }
    }
}

impl Net for UringNet {
    fn now(&self) -> Ticks {
        Ticks(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn wall(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        // A clock before 1970 is not set: nothing has begun to be valid then.
        since.map_or(0, |since| since.as_secs())
    }

    fn spawn(&self, task: LocalFuture<'static, ()>) {
        monoio::spawn(task);
    }

    fn sleep(&self, duration: Duration) -> LocalFuture<'static, ()> {
        Box::pin(monoio::time::sleep(duration))
    }

    fn dial(&self, address: &Address) -> LocalFuture<'static, io::Result<Conn>> {
        match address.clone() {
            Address::Tcp(to) => Box::pin(async move {
                let stream = TcpStream::connect_addr(to).await?;
                stream.set_nodelay(true)?;
                Ok(conn(stream, Peer::Tcp(to)))
            }),
            Address::Unix(path) => {
                Box::pin(async move { Ok(conn(UnixStream::connect(path).await?, Peer::Unix)) })
            }
        }
    }
}

/// Ties an accepted socket to this thread's event loop.
///
/// # Errors
/// When the descriptor cannot be registered.
pub fn adopt(accepted: Accepted) -> io::Result<Conn> {
    match accepted.socket {
        Socket::Tcp(stream) => {
            stream.set_nonblocking(true)?;
            Ok(conn(TcpStream::from_std(stream)?, accepted.peer))
        }
        Socket::Unix(stream) => {
            stream.set_nonblocking(true)?;
            Ok(conn(UnixStream::from_std(stream)?, accepted.peer))
        }
    }
}

fn conn<T>(stream: T, peer: Peer) -> Conn
where
    T: AsRawFd
        + AsyncReadRent
        + AsyncWriteRent
        + Splitable<OwnedRead = OwnedReadHalf<T>, OwnedWrite = OwnedWriteHalf<T>>,
    T: 'static,
{
    let fd = stream.as_raw_fd();
    let (read, write) = stream.into_split();
    let sent = Rc::new(Cell::new(0));
    let hangup = Rc::new(Descriptor { fd, sent: sent.clone(), _keep: read.0.clone() });
    Conn {
        reader: Reader::new(Lane::new(|port| read_loop(read, port))),
        writer: Writer::new(Lane::new(|port| write_loop(write, port, sent))),
        hangup,
        peer,
    }
}

async fn read_loop<T: AsyncReadRent>(mut half: OwnedReadHalf<T>, mut port: Port<Buf, ReadResult>) {
    loop {
        let buf = port.next().await;
        let (result, Incoming(mut buf)) = half.read(Incoming(buf)).await;
        if let Ok(count) = result {
            buf.advance(count);
        }
        port.answer((result, buf));
    }
}

async fn write_loop<T: AsyncWriteRent>(
    mut half: OwnedWriteHalf<T>,
    mut port: Port<Outgoing, WriteResult>,
    all_sent: Rc<Cell<i64>>,
) {
    loop {
        let Outgoing { mut buf, len } = port.next().await;
        let mut sent = 0;
        let mut result = Ok(());
        while sent < len {
            let (written, window) = half.write(Window { buf, from: sent, to: len }).await;
            buf = window.buf;
            match written {
                Ok(0) => result = Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    sent += count;
                    all_sent.set(all_sent.get().wrapping_add_unsigned(count as u64));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => result = Err(error),
            }
            if result.is_err() {
                break;
            }
        }
        port.answer((result, buf));
    }
}

/// The free part of a [`Buf`], as the kernel fills it.
struct Incoming(Buf);

// SAFETY: the pointer is into the heap block that `Buf` owns, which neither moves nor is freed while the
// operation holds the `Incoming`; `bytes_total` is exactly the part behind that pointer that may be written;
// all of it is initialised memory already.
unsafe impl IoBufMut for Incoming {
    fn write_ptr(&mut self) -> *mut u8 {
        self.0.free_mut().as_mut_ptr()
    }
    fn bytes_total(&mut self) -> usize {
        self.0.free()
    }
    unsafe fn set_init(&mut self, _count: usize) {
        // `read_loop` advances the buffer, once, by the result.
    }
}

/// `from..to` of the filled part of a [`Buf`], as the kernel reads it.
struct Window {
    buf: Buf,
    from: usize,
    to: usize,
}

impl Window {
    /// Panics if more is to be sent than is filled: whoever asked for that is mistaken, and the kernel would not know.
    fn bytes(&self) -> &[u8] {
        &self.buf.filled()[self.from..self.to]
    }
}

// SAFETY: pointer and length are those of one slice of the filled, initialised part of the heap block that `Buf`
// owns, which neither moves nor is freed while the operation holds the `Window`.
unsafe impl IoBuf for Window {
    fn read_ptr(&self) -> *const u8 {
        self.bytes().as_ptr()
    }
    fn bytes_init(&self) -> usize {
        self.bytes().len()
    }
}

/// A descriptor that cannot be closed, and so reused, while this exists.
struct Descriptor<T> {
    fd: RawFd,
    /// Bytes that the kernel took over.
    sent: Rc<Cell<i64>>,
    _keep: Rc<UnsafeCell<T>>,
}

impl<T> Hangup for Descriptor<T> {
    fn hang_up(&self, direction: Direction) {
        // SAFETY: `_keep` keeps the descriptor open for as long as `self` lives.
        let fd = unsafe { BorrowedFd::borrow_raw(self.fd) };
        let how = match direction {
            Direction::Read => Shutdown::Read,
            Direction::Write => Shutdown::Write,
            Direction::Both => Shutdown::Both,
        };
        // The only failure is a connection that is gone already.
        let _ = socket2::SockRef::from(&fd).shutdown(how);
    }

    /// A TCP socket that is connected to nothing (connect(2), `AF_UNSPEC`) resets its connection.
    fn break_off(&self) {
        let nothing = libc::sockaddr { sa_family: libc::AF_UNSPEC as libc::sa_family_t, sa_data: [0; 14] };
        // SAFETY: `_keep` keeps the descriptor open; the call reads the one address, of the size that it is told.
        let failed =
            unsafe { libc::connect(self.fd, &raw const nothing, size_of::<libc::sockaddr>() as u32) };
        if failed != 0 {
            self.hang_up(Direction::Both);
        }
    }

    /// What the kernel took over, less what it still holds: on TCP what the peer's kernel has not acknowledged, and it
    /// acknowledges no more than fits its buffer.
    fn taken(&self) -> Option<i64> {
        let mut held: libc::c_int = 0;
        // SAFETY: `_keep` keeps the descriptor open; the call writes one `int` to where `held` is (tcp(7), unix(7)).
        let failed = unsafe { libc::ioctl(self.fd, libc::TIOCOUTQ, &raw mut held) } != 0;
        (!failed).then(|| self.sent.get().wrapping_sub(i64::from(held)))
    }
}

/// A TCP listening socket on this thread's event loop.
pub struct TcpListen(TcpListener);

impl TcpListen {
    /// Takes over a bound and listening socket.
    ///
    /// # Errors
    /// When the descriptor cannot be registered.
    pub fn new(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self(TcpListener::from_std(listener)?))
    }
}

impl Listen for TcpListen {
    fn accept(&self) -> LocalFuture<'_, io::Result<Accepted>> {
        Box::pin(async move {
            let (stream, peer) = self.0.accept().await?;
            // SAFETY: `into_raw_fd` gives up the descriptor, so the new owner is the only one.
            let socket = unsafe { std::net::TcpStream::from_raw_fd(stream.into_raw_fd()) };
            Ok(Accepted { socket: Socket::Tcp(socket), peer: Peer::Tcp(peer) })
        })
    }
}

impl Close for TcpListen {
    fn turn_away(&self) -> bool {
        closing::drop_new_handshakes(self.0.as_raw_fd())
    }

    fn backlog(&self) -> usize {
        closing::accept_queue(self.0.as_raw_fd())
    }

    fn shut(&self) {
        shut(self.0.as_raw_fd());
    }
}

/// A Unix listening socket on this thread's event loop.
pub struct UnixListen(UnixListener);

impl UnixListen {
    /// Takes over a bound and listening socket.
    ///
    /// # Errors
    /// When the descriptor cannot be registered.
    pub fn new(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self(UnixListener::from_std(listener)?))
    }
}

impl Listen for UnixListen {
    fn accept(&self) -> LocalFuture<'_, io::Result<Accepted>> {
        Box::pin(async move {
            let (stream, _) = self.0.accept().await?;
            // SAFETY: `into_raw_fd` gives up the descriptor, so the new owner is the only one.
            let socket = unsafe { std::os::unix::net::UnixStream::from_raw_fd(stream.into_raw_fd()) };
            Ok(Accepted { socket: Socket::Unix(socket), peer: Peer::Unix })
        })
    }
}

impl Close for UnixListen {
    /// A Unix socket that was shut refuses new connections, and gives those that wait before it gives an error.
    fn turn_away(&self) -> bool {
        self.shut();
        true
    }

    fn backlog(&self) -> usize {
        0
    }

    fn shut(&self) {
        shut(self.0.as_raw_fd());
    }
}

/// Ends the pending accept of a listening socket without cancelling it: a cancelled accept leaks what it took.
fn shut(fd: RawFd) {
    // SAFETY: the listener that owns `fd` is borrowed by the caller.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    let _ = socket2::SockRef::from(&fd).shutdown(Shutdown::Both);
}
