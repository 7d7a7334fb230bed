//! A very cheap MCP server to load: one thread, one epoll, constant answers that echo the id.
//!
//! `cargo run --release -p loadgen --example mock -- --listen 127.0.0.1:9000 [--sse] [--cpu N]`
//!
//! It knows the shape of the requests `loadgen` sends (both eras) and checks nothing: it exists to cost
//! less than whatever stands between, not to be a good server.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use clap::Parser;
use loadgen::sys::{self, Poller};
use memchr::memmem;

#[derive(Parser)]
struct Args {
    /// Where to listen: HOST:PORT or unix:/SOCKET (replaced if it exists)
    #[arg(long, default_value = "127.0.0.1:9000")]
    listen: String,
    /// Answer calls as an event stream instead of JSON
    #[arg(long)]
    sse: bool,
    /// The size of the text in the answer of a call, in bytes
    #[arg(long, default_value_t = 190)]
    text_bytes: usize,
    /// Send an event on every held stream, this often (in milliseconds)
    #[arg(long)]
    tick_ms: Option<u64>,
    /// Run on this CPU only
    #[arg(long)]
    cpu: Option<usize>,
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

struct Peer {
    stream: Stream,
    /// Bytes of a request not complete yet.
    partial: Vec<u8>,
    holding: bool,
}

const LISTENER: u64 = u64::MAX;

fn main() -> io::Result<()> {
    let args = Args::parse();
    sys::raise_file_limit();
    if let Some(cpu) = args.cpu {
        sys::pin_to_cpu(cpu);
    }
    let listener = listen(&args.listen)?;
    let mut poller = Poller::new(256)?;
    match &listener {
        Listener::Tcp(tcp) => poller.add(tcp, LISTENER)?,
        Listener::Unix(unix) => poller.add(unix, LISTENER)?,
    }
    let mut server = Server {
        listener,
        answers: Answers::new(args.sse, args.text_bytes),
        peers: HashMap::new(),
        buffer: vec![0; 256 * 1024],
        output: Vec::new(),
    };
    let tick = args.tick_ms.map(|ms| Duration::from_millis(ms.max(1)));
    loop {
        let count = poller.wait(tick.unwrap_or(Duration::from_secs(3600)))?;
        for index in 0..count {
            let readiness = poller.readiness(index);
            if readiness.token == LISTENER {
                server.accept(&poller)?;
            } else if readiness.readable {
                server.serve(readiness.token);
            }
        }
        if count == 0 && tick.is_some() {
            server.send_events();
        }
    }
}

fn listen(address: &str) -> io::Result<Listener> {
    if let Some(path) = address.strip_prefix("unix:") {
        let _ = std::fs::remove_file(path);
        let unix = UnixListener::bind(path)?;
        unix.set_nonblocking(true)?;
        return Ok(Listener::Unix(unix));
    }
    let tcp = TcpListener::bind(address)?;
    tcp.set_nonblocking(true)?;
    println!("listening on {}", tcp.local_addr()?);
    Ok(Listener::Tcp(tcp))
}

struct Server {
    listener: Listener,
    answers: Answers,
    peers: HashMap<u64, Peer>,
    buffer: Vec<u8>,
    output: Vec<u8>,
}

impl Server {
    fn accept(&mut self, poller: &Poller) -> io::Result<()> {
        loop {
            let accepted = match &self.listener {
                Listener::Tcp(tcp) => tcp.accept().and_then(|(stream, _)| {
                    stream.set_nodelay(true)?;
                    stream.set_nonblocking(true)?;
                    Ok(Stream::Tcp(stream))
                }),
                Listener::Unix(unix) => unix.accept().and_then(|(stream, _)| {
                    stream.set_nonblocking(true)?;
                    Ok(Stream::Unix(stream))
                }),
            };
            let stream = match accepted {
                Ok(stream) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let token = match &stream {
                Stream::Tcp(tcp) => {
                    poller.add(tcp, tcp.as_raw_fd() as u64)?;
                    tcp.as_raw_fd() as u64
                }
                Stream::Unix(unix) => {
                    poller.add(unix, unix.as_raw_fd() as u64)?;
                    unix.as_raw_fd() as u64
                }
            };
            self.peers.insert(token, Peer { stream, partial: Vec::new(), holding: false });
        }
    }

    fn serve(&mut self, token: u64) {
        let Some(peer) = self.peers.get_mut(&token) else { return };
        loop {
            let filled = match read(&mut peer.stream, &mut self.buffer) {
                Ok(0) => break,
                Ok(filled) => filled,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => break,
            };
            self.output.clear();
            if peer.partial.is_empty() {
                let used =
                    answer_all(&self.answers, &self.buffer[..filled], &mut peer.holding, &mut self.output);
                peer.partial.extend_from_slice(&self.buffer[used..filled]);
            } else {
                peer.partial.extend_from_slice(&self.buffer[..filled]);
                let used = answer_all(&self.answers, &peer.partial, &mut peer.holding, &mut self.output);
                peer.partial.drain(..used);
            }
            if !self.output.is_empty() && write(&mut peer.stream, &self.output).is_err() {
                break;
            }
            if filled < self.buffer.len() {
                return;
            }
        }
        self.peers.remove(&token);
    }

    fn send_events(&mut self) {
        let event = b"data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n";
        let mut chunk = format!("{:x}\r\n", event.len()).into_bytes();
        chunk.extend_from_slice(event);
        chunk.extend_from_slice(b"\r\n");
        for peer in self.peers.values_mut().filter(|peer| peer.holding) {
            // A peer that is gone is noticed by its own event.
            let _ = write(&mut peer.stream, &chunk);
        }
    }
}

fn read(stream: &mut Stream, buffer: &mut [u8]) -> io::Result<usize> {
    match stream {
        Stream::Tcp(tcp) => tcp.read(buffer),
        Stream::Unix(unix) => unix.read(buffer),
    }
}

/// Writes everything; answers are small, so a full send buffer only means a peer that does not read.
fn write(stream: &mut Stream, bytes: &[u8]) -> io::Result<()> {
    match stream {
        Stream::Tcp(tcp) => tcp.write_all(bytes),
        Stream::Unix(unix) => unix.write_all(bytes),
    }
}

/// Answers every whole request in `input` and says how many bytes they were.
fn answer_all(answers: &Answers, input: &[u8], holding: &mut bool, output: &mut Vec<u8>) -> usize {
    let mut used = 0;
    while let Some(head) = memmem::find(&input[used..], b"\r\n\r\n") {
        let head = &input[used..used + head + 4];
        let length = content_length(head);
        let Some(body) = input.get(used + head.len()..used + head.len() + length) else { break };
        used += head.len() + length;
        *holding |= answers.write(head, body, output);
    }
    used
}

fn content_length(head: &[u8]) -> usize {
    head.split(|&byte| byte == b'\n')
        .find(|line| line.len() > 15 && line[..15].eq_ignore_ascii_case(b"content-length:"))
        .and_then(|line| std::str::from_utf8(&line[15..]).ok()?.trim().parse().ok())
        .unwrap_or(0)
}

/// The answers, cut where the id goes.
struct Answers {
    call: [Vec<u8>; 2],
    list: [Vec<u8>; 2],
    initialize: [Vec<u8>; 2],
}

impl Answers {
    fn new(sse: bool, text_bytes: usize) -> Self {
        let text = "the quick brown fox jumps over the lazy dog ".repeat(text_bytes / 44 + 1);
        let call = format!(
            r#""result":{{"content":[{{"type":"text","text":"{}"}}],"isError":false,"resultType":"complete"}}"#,
            &text[..text_bytes]
        );
        let list = r#""result":{"tools":[{"name":"echo","description":"Says it again","inputSchema":{"type":"object","properties":{"message":{"type":"string"}}}}],"resultType":"complete","ttlMs":0,"cacheScope":"private"}"#;
        let initialize = r#""result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"mock","version":"0"}}"#;
        let session = "Mcp-Session-Id: mock-session-0123456789\r\n";
        Self {
            call: if sse { frame_sse(&call) } else { frame_json("", &call) },
            list: frame_json("", list),
            initialize: frame_json(session, initialize),
        }
    }

    /// Writes the answer to one request; `true` when it is a stream that stays open.
    fn write(&self, head: &[u8], body: &[u8], output: &mut Vec<u8>) -> bool {
        let open =
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        if head.starts_with(b"GET ") {
            output.extend_from_slice(open);
            return true;
        }
        if head.starts_with(b"DELETE ") {
            output.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            return false;
        }
        let method = memmem::find(body, b"\"method\":\"").map_or(&b""[..], |at| &body[at + 10..]);
        let Some(id) = id_of(body) else {
            output.extend_from_slice(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
            return false;
        };
        if method.starts_with(b"subscriptions/listen") {
            output.extend_from_slice(open);
            return true;
        }
        let [before, after] = match method {
            [b't', b'o', b'o', b'l', b's', b'/', b'l', ..] => &self.list,
            [b'i', ..] => &self.initialize,
            _ => &self.call,
        };
        output.extend_from_slice(before);
        output.extend_from_slice(id);
        output.extend_from_slice(after);
        false
    }
}

/// The id of a request as it is written, if it is a number of twelve digits, as `loadgen` sends them.
fn id_of(body: &[u8]) -> Option<&[u8]> {
    let at = memmem::find(body, b"\"id\":")? + 5;
    body.get(at..at + 12)
}

const ID_BYTES: usize = 12;

fn frame_json(headers: &str, rest: &str) -> [Vec<u8>; 2] {
    let before = r#"{"jsonrpc":"2.0","id":"#;
    let length = before.len() + ID_BYTES + 1 + rest.len() + 1;
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{headers}Content-Length: {length}\r\n\r\n{before}"
    );
    [head.into_bytes(), format!(",{rest}}}").into_bytes()]
}

fn frame_sse(rest: &str) -> [Vec<u8>; 2] {
    let before = "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":";
    let after = format!(",{rest}}}\n\n");
    let length = before.len() + ID_BYTES + after.len();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
    [format!("{head}{length:x}\r\n{before}").into_bytes(), format!("{after}\r\n0\r\n\r\n").into_bytes()]
}
