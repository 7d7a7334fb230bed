//! One connection's TLS: records in and out of a socket that never blocks.

use std::io::{self, ErrorKind, IoSlice, Read, Write};

use rustls::client::ClientConnection;

use super::{CLOSED, Tls, explain};
use crate::sys::Socket;

/// The most that may be pending of a record begun before, in bytes (16 KiB and its frame, rounded up): by so much a buffer
/// for what is decrypted must be longer than the one for what is received.
pub const PENDING_BYTES_MAX: usize = 20 * 1024;

/// What one look at a connection gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Bytes of the answer; 0 means that the peer has ended its side.
    pub filled: usize,
    /// Whether the socket had no more than that.
    pub drained: bool,
    /// Whether the peer has said that nothing comes behind it.
    pub closing: bool,
}

impl Received {
    /// What a socket without TLS gave into a buffer of `room` bytes.
    #[inline]
    pub fn plain(filled: usize, room: usize) -> Self {
        Self { filled, drained: filled < room, closing: false }
    }
}

/// The state of TLS on one connection.
#[derive(Debug)]
pub struct Session {
    inner: ClientConnection,
    /// Whether the peer has announced its end (`close_notify`).
    closed: bool,
}

impl Session {
    /// One at the start of its handshake.
    ///
    /// # Errors
    /// Why it cannot be begun.
    pub fn new(tls: &Tls) -> io::Result<Self> {
        let inner = tls.connection().map_err(|error| failure(explain(&error)))?;
        Ok(Self { inner, closed: false })
    }

    /// Goes on with the handshake as far as the socket allows; `Ok` when it is done.
    ///
    /// # Errors
    /// `WouldBlock` while it is not; `InvalidData`, with words for the user, when it has failed; else the
    /// socket's error.
    pub fn handshake(&mut self, socket: &Socket, wire: &mut [u8]) -> io::Result<()> {
        loop {
            let flushed = self.flush(socket);
            if !self.inner.is_handshaking() {
                return flushed;
            }
            // Whether or not all could be sent: an alert that explains it may be waiting.
            match socket.receive(wire)? {
                0 => return Err(failure(CLOSED.to_owned())),
                filled => self.take_in(socket, &wire[..filled], &mut [])?,
            };
        }
    }

    /// Receives into `wire` and decrypts into `plain`, which must be longer by [`PENDING_BYTES_MAX`].
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; `UnexpectedEof` when the peer has ended without announcing it;
    /// `InvalidData`, with words for the user, when TLS has failed; else the socket's error.
    pub fn receive(&mut self, socket: &Socket, wire: &mut [u8], plain: &mut [u8]) -> io::Result<Received> {
        debug_assert!(plain.len() >= wire.len() + PENDING_BYTES_MAX);
        let early = self.decrypted(plain);
        if early > 0 || self.closed {
            return Ok(Received { filled: early, drained: false, closing: self.closed });
        }
        loop {
            let received = socket.receive(wire)?;
            if received == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let filled = self.take_in(socket, &wire[..received], plain)?;
            if filled > 0 || self.closed {
                let drained = received < wire.len() && !self.closed;
                return Ok(Received { filled, drained, closing: self.closed });
            }
        }
    }

    /// Encrypts as much of `pieces` as there is room for, and sends as much of it as the kernel takes now;
    /// [`Session::flush`] sends the rest. Gives the bytes of `pieces` that need not be given again.
    ///
    /// # Errors
    /// `WouldBlock` when the rest of earlier calls is not sent yet, else the socket's error.
    pub fn send(&mut self, socket: &Socket, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.flush(socket)?;
        let taken = self.inner.writer().write_vectored(pieces)?;
        match self.flush(socket) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }

    /// Sends what is encrypted already.
    ///
    /// # Errors
    /// `WouldBlock` when the kernel does not take all of it now, else the socket's error.
    pub fn flush(&mut self, socket: &Socket) -> io::Result<()> {
        while self.inner.wants_write() {
            self.inner.write_tls(&mut Outgoing(socket))?;
        }
        Ok(())
    }

    /// Announces the end, as far as the kernel takes it.
    pub fn notify_close(&mut self, socket: &Socket) {
        self.inner.send_close_notify();
        // The connection is given up in any case.
        let _ = self.flush(socket);
    }

    /// Takes in records and decrypts into `plain`, or keeps what was decrypted while there is none.
    fn take_in(&mut self, socket: &Socket, mut wire: &[u8], plain: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while !wire.is_empty() && self.inner.read_tls(&mut wire)? > 0 {
            match self.inner.process_new_packets() {
                Ok(state) => self.closed |= state.peer_has_closed(),
                Err(error) => {
                    // The alert that tells the peer why.
                    let _ = self.flush(socket);
                    return Err(failure(explain(&error)));
                }
            }
            filled += self.decrypted(&mut plain[filled..]);
        }
        Ok(filled)
    }

    fn decrypted(&mut self, plain: &mut [u8]) -> usize {
        let mut filled = 0;
        while filled < plain.len() {
            match self.inner.reader().read(&mut plain[filled..]) {
                Ok(more) if more > 0 => filled += more,
                _ => break,
            }
        }
        filled
    }
}

fn failure(why: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

/// A socket as rustls writes to it.
struct Outgoing<'a>(&'a Socket);

impl Write for Outgoing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match pieces {
            [piece] => self.0.send(piece),
            pieces => self.0.send_pieces(pieces),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
