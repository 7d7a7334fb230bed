//! A bell: wakes the event loop of another thread.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use super::{Accepted, Conn, Peer, Socket, uring};
use crate::base::Buf;

/// The side that rings. Cheap to clone, may be used from any thread.
#[derive(Debug)]
pub struct Bell(UnixStream);

/// The side that is woken; to be turned into a [`Sleeper`] on its own thread.
#[derive(Debug)]
pub struct BellWire(UnixStream);

/// A bell and its wire.
///
/// # Errors
/// When no descriptor is left.
pub fn bell() -> io::Result<(Bell, BellWire)> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok((Bell(ours), BellWire(theirs)))
}

impl Bell {
    /// Wakes the sleeper. Ringing a bell that still rings does nothing.
    pub fn ring(&self) {
        // A full pipe means that the other side has yet to hear an earlier ring.
        let _ = (&self.0).write(&[1]);
    }

    /// Another handle on the same bell.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self(self.0.try_clone()?))
    }

    /// The raw stream, for code that can only write a byte to a socket (a signal handler).
    pub fn into_stream(self) -> UnixStream {
        self.0
    }
}

/// Waits for rings on this thread's event loop.
pub struct Sleeper {
    conn: Conn,
    buf: Option<Buf>,
}

impl BellWire {
    /// Ties the wire to this thread's event loop.
    ///
    /// # Errors
    /// When the descriptor cannot be registered.
    pub fn listen(self) -> io::Result<Sleeper> {
        let conn = uring::adopt(Accepted { socket: Socket::Unix(self.0), peer: Peer::Unix })?;
        Ok(Sleeper { conn, buf: Some(Buf::with_capacity(64)) })
    }

    /// Blocks the thread until a ring.
    ///
    /// # Errors
    /// When the bell is gone.
    pub fn wait_blocking(&self) -> io::Result<()> {
        let mut byte = [0; 64];
        match (&self.0).read(&mut byte)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

impl Sleeper {
    /// The next ring (several may be heard as one). An error means that nobody can ring any more.
    ///
    /// # Errors
    /// When all bells are gone.
    pub async fn heard(&mut self) -> io::Result<()> {
        if let Some(mut buf) = self.buf.take() {
            buf.clear();
            self.conn.reader.arm(buf);
        }
        let (result, buf) = self.conn.reader.read().await;
        self.buf = Some(buf);
        match result? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
