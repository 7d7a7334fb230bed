//! One client of the mock: bytes in, requests out of them, answers back.

use super::answer::{After, Answers, Outbox};
use super::http::{self, Parsed};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// A TCP or Unix connection.
pub enum Stream {
    /// Over TCP, without delay.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
}

impl Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(into),
            Self::Unix(stream) => stream.read(into),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

/// Whether a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    /// It does.
    Keep,
    /// It is to be dropped, which closes it.
    Close,
}

/// A client's connection. An idle one owns no memory beyond this.
pub struct Connection {
    stream: Stream,
    /// The start of a request whose rest has not come yet.
    started: Vec<u8>,
    /// No use in looking at `started` while it is shorter.
    needed: usize,
    outbox: Outbox,
    sent: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Requests,
    /// An SSE stream is open: what the client sends is dropped.
    Streaming,
    /// Closes when the outbox is empty.
    Closing,
}

impl Connection {
    /// A fresh connection.
    pub fn new(stream: Stream) -> Self {
        let outbox = Outbox::default();
        Self { stream, started: Vec::new(), needed: 0, outbox, sent: 0, state: State::Requests }
    }

    /// Whether answers are held back because the socket takes no more.
    pub fn waits_for_room(&self) -> bool {
        self.sent < self.outbox.bytes.len()
    }

    /// Reads once, answers every whole request and sends the answers together.
    ///
    /// `scratch` serves all connections of a loop in turn. A request that is whole in it is never copied.
    pub fn receive(&mut self, scratch: &mut [u8], answers: &mut Answers) -> Fate {
        let outcome = if self.started.is_empty() {
            self.stream.read(scratch).inspect(|&length| {
                let used = self.answer_all(&scratch[..length], answers);
                self.started.extend_from_slice(&scratch[used..length]);
            })
        } else {
            self.receive_rest(answers)
        };
        match outcome {
            Ok(0) => Fate::Close,
            Ok(_) => self.send(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Fate::Keep,
            Err(_) => Fate::Close,
        }
    }

    /// Sends what is in the outbox, one write per segment, until the socket takes no more.
    pub fn send(&mut self) -> Fate {
        while self.sent < self.outbox.bytes.len() {
            let end = self.outbox.cuts.iter().find(|cut| **cut > self.sent);
            let end = end.copied().unwrap_or(self.outbox.bytes.len());
            match self.stream.write(&self.outbox.bytes[self.sent..end]) {
                Ok(length) => self.sent += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Fate::Keep,
                Err(_) => return Fate::Close,
            }
        }
        self.outbox.bytes.clear();
        self.outbox.cuts.clear();
        self.sent = 0;
        if self.state == State::Streaming {
            // Five thousand held streams keep no buffer each.
            self.outbox = Outbox::default();
        }
        if self.state == State::Closing { Fate::Close } else { Fate::Keep }
    }

    /// Sends one event, if this connection holds a stream that takes it at once.
    pub fn send_event(&mut self, answers: &Answers) -> Fate {
        if self.state != State::Streaming || self.waits_for_room() {
            return Fate::Keep;
        }
        answers.event(&mut self.outbox);
        let fate = self.send();
        // An event is small: a socket without room for it has a client that does not read.
        if self.waits_for_room() { Fate::Close } else { fate }
    }

    fn receive_rest(&mut self, answers: &mut Answers) -> io::Result<usize> {
        let mut started = std::mem::take(&mut self.started);
        let before = started.len();
        started.resize(before.max(self.needed) + READ_AHEAD_BYTES, 0);
        let outcome = self.stream.read(&mut started[before..]);
        started.truncate(before + outcome.as_ref().map_or(0, |length| *length));
        let used = self.answer_all(&started, answers);
        started.drain(..used);
        if !started.is_empty() {
            self.started = started;
        }
        outcome
    }

    /// Answers the requests at the start of `input` and returns how many bytes they took.
    fn answer_all(&mut self, input: &[u8], answers: &mut Answers) -> usize {
        let mut used = 0;
        while self.state == State::Requests && input.len() - used >= self.needed.max(1) {
            match http::parse(&input[used..]) {
                Parsed::Complete(request, length) => {
                    used += length;
                    self.needed = 0;
                    if answers.answer(&request, &mut self.outbox) == After::Stream {
                        self.state = State::Streaming;
                    } else if !request.keep_alive {
                        self.state = State::Closing;
                    }
                }
                Parsed::Partial(needed) => {
                    self.needed = needed;
                    break;
                }
                Parsed::Invalid => {
                    self.outbox.bytes.extend_from_slice(REFUSAL);
                    self.state = State::Closing;
                }
            }
        }
        if self.state == State::Requests { used } else { input.len() }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

const READ_AHEAD_BYTES: usize = 16 * 1024;
const REFUSAL: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Connection, Fate, Stream};
    use crate::mock::answer::{Answers, Style};
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    fn pair() -> (UnixStream, Connection) {
        let (client, server) = UnixStream::pair().unwrap();
        server.set_nonblocking(true).unwrap();
        client.set_nonblocking(true).unwrap();
        (client, Connection::new(Stream::Unix(server)))
    }

    fn answers() -> Answers {
        Answers::new(Style { sse_writes: 0, answer_bytes: 290 }, 0)
    }

    fn request(id: usize) -> String {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        format!("POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    fn answered(client: &mut UnixStream) -> String {
        let mut bytes = vec![0; 65536];
        let length = client.read(&mut bytes).unwrap_or(0);
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    #[test]
    fn pipelined_requests_are_answered_in_order_wherever_reads_split_them() {
        let input = [request(1), request(2), request(3)].concat();
        for split in 0..=input.len() {
            let (mut client, mut connection) = pair();
            let mut scratch = vec![0; 4096];
            let mut answers = answers();
            let mut all = String::new();
            for part in [&input[..split], &input[split..]] {
                if !part.is_empty() {
                    client.write_all(part.as_bytes()).unwrap();
                    assert_eq!(connection.receive(&mut scratch, &mut answers), Fate::Keep);
                    all += &answered(&mut client);
                }
            }
            let ids: Vec<_> = all.match_indices("\"id\":").map(|(at, _)| &all[at + 5..at + 6]).collect();
            assert_eq!(ids, ["1", "2", "3"], "split at {split}");
        }
    }

    #[test]
    fn a_request_larger_than_the_scratch_buffer_is_answered() {
        let (mut client, mut connection) = pair();
        let (mut scratch, mut answers) = (vec![0; 512], answers());
        let body = format!(r#"{{"id":1,"method":"ping","params":"{}"}}"#, "x".repeat(40_000));
        let head = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
        client.write_all(head.as_bytes()).unwrap();
        client.write_all(body.as_bytes()).unwrap();
        for _ in 0..4 {
            assert_eq!(connection.receive(&mut scratch, &mut answers), Fate::Keep);
        }
        assert!(answered(&mut client).contains(r#""id":1,"result":{}"#));
    }

    #[test]
    fn the_connection_closes_when_asked_and_on_nonsense() {
        for input in ["POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "\0\0\r\n\r\n"] {
            let (mut client, mut connection) = pair();
            client.write_all(input.as_bytes()).unwrap();
            assert_eq!(connection.receive(&mut vec![0; 512], &mut answers()), Fate::Close);
            assert!(answered(&mut client).starts_with("HTTP/1.1 400 "));
        }
    }

    #[test]
    fn a_held_stream_takes_events_and_ignores_input() {
        let (mut client, mut connection) = pair();
        let (mut scratch, mut answers) = (vec![0; 512], answers());
        client.write_all(b"GET /mcp HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!(connection.receive(&mut scratch, &mut answers), Fate::Keep);
        assert!(answered(&mut client).contains("text/event-stream"));
        client.write_all(request(1).as_bytes()).unwrap();
        assert_eq!(connection.receive(&mut scratch, &mut answers), Fate::Keep);
        assert_eq!(answered(&mut client), "");
        assert_eq!(connection.send_event(&answers), Fate::Keep);
        assert!(answered(&mut client).contains("list_changed"));
        drop(client);
        assert_eq!(connection.receive(&mut scratch, &mut answers), Fate::Close);
    }
}
