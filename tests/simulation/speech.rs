//! HTTP/1.1 messages as a peer of the gateway reads and writes them: strict, plain, and none of the
//! gateway's own code.

use std::rc::Rc;

use ringgate::base::Buf;
use ringgate::io::{Conn, Direction, Hangup, Reader, Writer};

/// A peer's side of a connection.
pub struct Ear {
    reader: Reader,
    heard: Vec<u8>,
}

/// The other direction.
pub struct Mouth(Writer);

/// A message that was read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Request or status line.
    pub line: String,
    /// Names in lower case, and values.
    pub fields: Vec<(String, String)>,
    /// The body without its framing.
    pub body: Vec<u8>,
}

/// The connection ended where a message was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// What had come of the message.
    pub begun: Vec<u8>,
}

/// What a peer needs of a connection: two directions and the end of both.
pub fn ends_of(conn: Conn) -> (Ear, Mouth, Rc<dyn Hangup>) {
    (Ear { reader: conn.reader, heard: Vec::new() }, Mouth(conn.writer), conn.hangup)
}

/// Ends both directions.
pub fn hang_up(hangup: &Rc<dyn Hangup>) {
    hangup.hang_up(Direction::Both);
}

impl Mouth {
    /// Gives the direction back.
    pub fn into_writer(self) -> Writer {
        self.0
    }

    /// Sends all of `bytes`; `false` if the connection does not take them.
    pub async fn say(&mut self, bytes: &[u8]) -> bool {
        let mut buf = Buf::with_capacity(bytes.len());
        assert!(buf.append(bytes));
        bytes.is_empty() || self.0.send(buf).await.0.is_ok()
    }
}

impl Ear {
    /// Reads once; `false` at the end, whatever kind of end it is.
    pub async fn more(&mut self) -> bool {
        if !self.reader.is_armed() {
            self.reader.arm(Buf::with_capacity(16 << 10));
        }
        let (result, buf) = self.reader.read().await;
        self.heard.extend_from_slice(buf.filled());
        matches!(result, Ok(1..))
    }

    /// Gives the direction back; what was heard is lost.
    pub fn into_reader(self) -> Reader {
        self.reader
    }

    /// What was read and not taken.
    pub fn heard(&self) -> &[u8] {
        &self.heard
    }

    /// The next message: an answer if `answer`, else a request.
    pub async fn message(&mut self, answer: bool) -> Result<Said, Cut> {
        let head_len = loop {
            if let Some(at) = find(&self.heard, b"\r\n\r\n") {
                break at + 4;
            }
            self.must_more().await?;
        };
        let head = String::from_utf8(self.heard[..head_len - 4].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let line = lines.next().unwrap().to_owned();
        let fields: Vec<_> = lines
            .map(|field| field.split_once(": ").unwrap_or_else(|| panic!("an odd field: {field}")))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut said = Said { line, fields, body: Vec::new() };
        assert!(!said.line.starts_with("HTTP/1.1 1"), "an interim answer was passed on: {}", said.line);
        let mut at = head_len;
        match (said.field("content-length"), said.field("transfer-encoding")) {
            (Some(length), None) => {
                let length: usize = length.parse().unwrap();
                self.upto(at + length).await?;
                said.body = self.heard[at..at + length].to_vec();
                at += length;
            }
            (None, Some("chunked")) => at = self.chunks(at, &mut said.body).await?,
            (None, None) if answer && !said.line.contains(" 204 ") => {
                while self.more().await {}
                said.body = self.heard.split_off(at);
            }
            (None, None) => {}
            both => panic!("ambiguous framing: {both:?}"),
        }
        self.heard.drain(..at);
        Ok(said)
    }

    async fn chunks(&mut self, mut at: usize, body: &mut Vec<u8>) -> Result<usize, Cut> {
        loop {
            let line = loop {
                if let Some(end) = find(&self.heard[at..], b"\r\n") {
                    break end;
                }
                self.must_more().await?;
            };
            let digits = std::str::from_utf8(&self.heard[at..at + line]).unwrap();
            let size = usize::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("a size: {digits:?}"));
            let data = at + line + 2;
            self.upto(data + size + 2).await?;
            assert_eq!(&self.heard[data + size..data + size + 2], b"\r\n", "the end of a chunk");
            body.extend_from_slice(&self.heard[data..data + size]);
            at = data + size + 2;
            if size == 0 {
                return Ok(at);
            }
        }
    }

    async fn upto(&mut self, len: usize) -> Result<(), Cut> {
        while self.heard.len() < len {
            self.must_more().await?;
        }
        Ok(())
    }

    async fn must_more(&mut self) -> Result<(), Cut> {
        if self.more().await { Ok(()) } else { Err(Cut { begun: std::mem::take(&mut self.heard) }) }
    }
}

impl Said {
    /// The value of a field that occurs at most once.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(own, _)| own == name).map(|(_, value)| &**value);
        let value = values.next();
        assert_eq!(values.next(), None, "{name} twice");
        value
    }

    /// The status of an answer.
    pub fn status(&self) -> u16 {
        let code = self.line.strip_prefix("HTTP/1.1 ").unwrap_or_else(|| panic!("a line: {}", self.line));
        code[..3].parse().unwrap()
    }

    /// The id of the JSON-RPC message in the body: the first number behind `"id":`.
    pub fn id(&self) -> Option<u32> {
        let at = find(&self.body, b"\"id\":")? + 5;
        let digits = self.body[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        std::str::from_utf8(&self.body[at..at + digits]).unwrap().parse().ok()
    }
}

pub fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, what)
}

/// Bytes in chunked coding, cut into pieces by `cut`, which is given what is left.
pub fn chunked(bytes: &[u8], mut cut: impl FnMut(usize) -> usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(cut(rest.len()).clamp(1, rest.len()));
        out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
        rest = after;
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}
