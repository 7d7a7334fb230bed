//! A scripted peer: the far end of a connection under test, spoken in plain verbs.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::World;
use crate::base::Buf;
use crate::io::{Conn, Direction};

/// A connection that a test plays one end of.
pub struct Remote {
    conn: Conn,
    heard: Vec<u8>,
    world: Rc<World>,
}

/// The most that one read brings.
const READ_BYTES: usize = 16 << 10;

impl Remote {
    pub(super) fn new(conn: Conn, world: Rc<World>) -> Self {
        Self { conn, heard: Vec::new(), world }
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut buf = Buf::with_capacity(bytes.len());
        let fits = buf.append(bytes);
        debug_assert!(fits, "made to fit");
        self.conn.writer.send(buf).await.0
    }

    /// One read: how many bytes it added to [`Remote::heard`]. 0 is the end.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn hear(&mut self) -> io::Result<usize> {
        if !self.conn.reader.is_armed() {
            self.conn.reader.arm(Buf::with_capacity(READ_BYTES));
        }
        let (result, buf) = self.conn.reader.read().await;
        self.heard.extend_from_slice(buf.filled());
        result
    }

    /// What was read and not yet taken.
    pub fn heard(&self) -> &[u8] {
        &self.heard
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// `UnexpectedEof` if the stream ends before them, else those of the connection.
    pub async fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.heard.len() < count {
            self.hear_more().await?;
        }
        Ok(self.heard.drain(..count).collect())
    }

    /// All bytes up to and with the first `end`.
    ///
    /// # Errors
    /// As [`Remote::take`].
    pub async fn take_until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.heard, end) {
                return Ok(self.heard.drain(..at + end.len()).collect());
            }
            self.hear_more().await?;
        }
    }

    /// All bytes to the end of the stream.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn take_rest(&mut self) -> io::Result<Vec<u8>> {
        while self.hear().await? > 0 {}
        Ok(std::mem::take(&mut self.heard))
    }

    /// The next bytes must be `wanted`.
    ///
    /// # Errors
    /// `InvalidData` if they are not, which shows both; else as [`Remote::take`].
    pub async fn expect(&mut self, wanted: &[u8]) -> io::Result<()> {
        let got = self.take(wanted.len()).await?;
        if got == wanted { Ok(()) } else { Err(unlike(wanted, &got)) }
    }

    /// The stream must end here.
    ///
    /// # Errors
    /// `InvalidData` if more comes, else those of the connection.
    pub async fn expect_end(&mut self) -> io::Result<()> {
        let rest = self.take_rest().await?;
        if rest.is_empty() { Ok(()) } else { Err(unlike(b"", &rest)) }
    }

    /// Ends the stream to the other side. Reading goes on.
    pub fn half_close(&self) {
        self.conn.hangup.hang_up(Direction::Write);
    }

    /// Stops sending for `duration`, or for ever: what is sent from now on is held back.
    pub fn stall(&self, duration: Option<Duration>) {
        if let Some(end) = self.world.end_of(&self.conn) {
            end.stall(duration);
        }
    }

    /// Closes as a process does that ends: with a reset if bytes are unread.
    pub fn close(self) {}

    /// Resets the connection.
    pub fn reset(self) {
        if let Some(end) = self.world.end_of(&self.conn) {
            end.reset();
        }
    }

    /// The connection itself; what was heard is lost.
    pub fn into_conn(self) -> Conn {
        self.conn
    }

    async fn hear_more(&mut self) -> io::Result<()> {
        match self.hear().await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn unlike(wanted: &[u8], got: &[u8]) -> io::Error {
    let text =
        format!("wanted {:?}, got {:?}", String::from_utf8_lossy(wanted), String::from_utf8_lossy(got));
    io::Error::new(io::ErrorKind::InvalidData, text)
}
