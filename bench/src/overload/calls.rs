//! The callers: each call is sent when it is due, whatever became of those before.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One call.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// When it was due, in seconds since the start.
    pub due: f64,
    /// From then to the last byte of the answer, in seconds.
    pub took: f64,
    /// The status of the answer; 0: there was none, or it was not whole.
    pub status: u16,
}

/// Calls `rate` times a second for the time `lasts` from `since` on, over at most so many connections.
pub fn drive(
    address: SocketAddr,
    path: &str,
    rate: u32,
    lasts: Duration,
    connections: usize,
    since: Instant,
) -> Vec<Call> {
    let count = (f64::from(rate) * lasts.as_secs_f64()) as u64;
    let (next, calls) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let mut own = Vec::new();
                let mut caller = Caller { address, request: request(address, path), stream: None };
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    let due = Duration::from_secs_f64(number as f64 / f64::from(rate));
                    std::thread::sleep((since + due).saturating_duration_since(Instant::now()));
                    let status = caller.call();
                    let took = since.elapsed().saturating_sub(due).as_secs_f64();
                    own.push(Call { due: due.as_secs_f64(), took, status });
                }
                calls.lock().unwrap_or_else(PoisonError::into_inner).append(&mut own);
            });
        }
    });
    calls.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// One connection at a time.
struct Caller {
    address: SocketAddr,
    request: String,
    stream: Option<TcpStream>,
}

impl Caller {
    /// The status of the answer, or 0. A connection that failed or was closed is replaced with the next call.
    fn call(&mut self) -> u16 {
        match self.try_call() {
            Ok((status, keep)) => {
                if !keep {
                    self.stream = None;
                }
                status
            }
            Err(_) => {
                self.stream = None;
                0
            }
        }
    }

    fn try_call(&mut self) -> io::Result<(u16, bool)> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect(self.address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                none.insert(stream)
            }
        };
        stream.write_all(self.request.as_bytes())?;
        let mut answer = Vec::with_capacity(2048);
        let mut part = [0; 4096];
        loop {
            match stream.read(&mut part)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => answer.extend_from_slice(&part[..length]),
            }
            if let Some(done) = complete(&answer) {
                return Ok(done);
            }
        }
    }
}

/// The status of an answer that is whole, and whether the connection stays open. All answers here have a length.
fn complete(answer: &[u8]) -> Option<(u16, bool)> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(head_bytes)) = head.parse(answer) else { return None };
    let value = |name: &str| {
        let header = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()
    };
    let length: usize = value("content-length").map_or(Some(0), |text| text.trim().parse().ok())?;
    let keep = !value("connection").is_some_and(|text| text.eq_ignore_ascii_case("close"));
    (answer.len() >= head_bytes + length).then_some((head.code?, keep))
}

fn request(address: SocketAddr, path: &str) -> String {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n\
         Mcp-Method: tools/call\r\nMcp-Name: echo\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// How long a caller waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::complete;

    #[test]
    fn an_answer_is_whole_with_its_last_byte() {
        let answer = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
        for length in 0..answer.len() {
            assert_eq!(complete(&answer[..length]), None);
        }
        assert_eq!(complete(answer), Some((503, false)));
        assert_eq!(complete(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), Some((200, true)));
    }
}
