//! `bench bare-proxy`: the least an HTTP proxy can do on monoio, as the floor to compare with.
//!
//! It finds the ends of messages, rewrites their heads in place without
//! hop-by-hop headers, and checks nothing. What ringgate costs above it is what ringgate's care
//! costs. It is no proxy to use: a message it does not understand ends the
//! connection, a stream ends where its bytes look like the last chunk.

use crate::args::Args;
use crate::sys;
use monoio::buf::{IoBuf, IoBufMut};
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::{ListenerOpts, TcpListener, TcpStream};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::ops::Range;
use std::rc::Rc;

mod pipelined;

const HELP: &str = "\
bench bare-proxy: a reverse proxy without checks, one thread, SINGLE_ISSUER + DEFER_TASKRUN

  --listen ADDR     address to listen on (127.0.0.1:18081)
  --upstream ADDR   address to pass requests to (127.0.0.1:18080)
  --core N          pin to core N
  --pipelined N     send the requests of all clients over N connections, several in one send
                    (0: each on a connection of its own)
";

/// Runs the command until it is killed.
pub fn main(mut args: Args) -> Result<(), String> {
    if args.flag("--help") {
        print!("{HELP}");
        return Ok(());
    }
    let listen: SocketAddr = args.value("--listen", SocketAddr::from(([127, 0, 0, 1], 18081)))?;
    let upstream: SocketAddr = args.value("--upstream", SocketAddr::from(([127, 0, 0, 1], 18080)))?;
    let lines: usize = args.value("--pipelined", 0)?;
    if let Some(core) = args.text("--core")? {
        let core = core.parse().map_err(|_| format!("--core: cannot read `{core}`"))?;
        sys::pin_to_core(core).map_err(|error| format!("cannot pin: {error}"))?;
    }
    args.finish()?;
    sys::raise_open_files();

    let mut ring = io_uring::IoUring::builder();
    ring.setup_single_issuer().setup_defer_taskrun();
    let mut runtime = monoio::RuntimeBuilder::<monoio::IoUringDriver>::new()
        .with_entries(2048)
        .uring_builder(ring)
        .build()
        .map_err(|error| format!("cannot set up io_uring: {error}"))?;
    runtime.block_on(serve(listen, upstream, lines)).map_err(|error| error.to_string())
}

async fn serve(listen: SocketAddr, upstream: SocketAddr, lines: usize) -> std::io::Result<()> {
    let listener = TcpListener::bind_with_config(listen, &ListenerOpts::default().backlog(4096))?;
    let pool: Pool = Pool::default();
    let mut shared = Vec::with_capacity(lines);
    for _ in 0..lines {
        let line = pipelined::open(upstream).await;
        shared.push(line.ok_or(std::io::ErrorKind::ConnectionRefused)?);
    }
    let mut turn = 0;
    println!("bare-proxy: listening on {listen}");
    loop {
        let (client, _) = listener.accept().await?;
        client.set_nodelay(true)?;
        if lines > 0 {
            turn = (turn + 1) % lines;
            monoio::spawn(pipelined::serve_client(client, shared[turn].clone()));
            continue;
        }
        let pool = pool.clone();
        monoio::spawn(async move {
            // Any end of a connection is a good end here.
            let _ = serve_client(client, &pool, upstream).await;
        });
    }
}

type Pool = Rc<RefCell<Vec<TcpStream>>>;

async fn serve_client(mut client: TcpStream, pool: &Pool, upstream: SocketAddr) -> Option<()> {
    let (mut request, mut answer, mut head) = (buffer(), buffer(), Vec::with_capacity(1024));
    loop {
        let message = loop {
            if let Some(message) = rewrite_request(&mut request, &mut head)? {
                break message;
            }
            (client, request) = read_more(client, request).await?;
        };
        let pooled = pool.borrow_mut().pop();
        let mut server = match pooled {
            Some(server) => server,
            None => dial(upstream).await?,
        };
        (server, request) = write_out(server, request, message).await?;
        loop {
            (server, answer) = read_more(server, answer).await?;
            match rewrite_answer(&mut answer, &mut head)? {
                Progress::Unfinished => {}
                Progress::Finished(message) => {
                    pool.borrow_mut().push(server);
                    (client, answer) = write_out(client, answer, message).await?;
                    break;
                }
                Progress::Streams => {
                    // Goes on as it comes; the ends of chunks are not looked at.
                    while !answer.ends_with(LAST_CHUNK) {
                        let end = answer.len();
                        (client, answer) = write_out(client, answer, HEADROOM..end).await?;
                        (server, answer) = read_more(server, answer).await?;
                    }
                    pool.borrow_mut().push(server);
                    let end = answer.len();
                    (client, answer) = write_out(client, answer, HEADROOM..end).await?;
                    break;
                }
            }
        }
    }
}

/// Bytes are received behind a headroom, so that a head which got longer still fits before its body
/// and both leave in one send, uncopied.
fn buffer() -> Vec<u8> {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    buffer.resize(HEADROOM, 0);
    buffer
}

async fn dial(upstream: SocketAddr) -> Option<TcpStream> {
    let server = TcpStream::connect(upstream).await.ok()?;
    server.set_nodelay(true).ok()?;
    Some(server)
}

async fn read_more(mut from: TcpStream, mut buffer: Vec<u8>) -> Option<(TcpStream, Vec<u8>)> {
    let at = buffer.len();
    if buffer.capacity() - at < BUFFER_BYTES / 4 {
        buffer.reserve(buffer.capacity());
    }
    let (outcome, slice) = from.read(buffer.slice_mut(at..)).await;
    let buffer = slice.into_inner();
    (outcome.ok()? > 0).then_some((from, buffer))
}

/// Sends `message` and drops it and all before it from the buffer.
async fn write_out(mut to: TcpStream, bytes: Vec<u8>, message: Range<usize>) -> Option<(TcpStream, Vec<u8>)> {
    let end = message.end;
    let (outcome, slice) = to.write_all(bytes.slice(message)).await;
    let mut bytes = slice.into_inner();
    outcome.ok()?;
    bytes.drain(HEADROOM..end);
    Some((to, bytes))
}

/// Rewrites the head of the request at the start of `buffer` once all of it is there; where it is then.
#[allow(clippy::option_option)]
fn rewrite_request(buffer: &mut [u8], head: &mut Vec<u8>) -> Option<Option<Range<usize>>> {
    let input = &buffer[HEADROOM..];
    let mut headers = [httparse::EMPTY_HEADER; 48];
    let mut parsed = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head_bytes) = parsed.parse(input).ok()? else {
        return Some(None);
    };
    let end = head_bytes + content_length(parsed.headers)?.unwrap_or(0);
    if input.len() < end {
        return Some(None);
    }
    head.clear();
    for part in [parsed.method?, " ", parsed.path?, " HTTP/1.1\r\nhost: upstream\r\n"] {
        head.extend_from_slice(part.as_bytes());
    }
    put_headers(parsed.headers, head);
    let start = put_before(buffer, HEADROOM + head_bytes, head)?;
    Some(Some(start..HEADROOM + end))
}

enum Progress {
    Unfinished,
    Finished(Range<usize>),
    Streams,
}

/// As [`rewrite_request`] for an answer. A stream passes untouched, head and all: its only hop-by-hop
/// header is its framing, which stays.
fn rewrite_answer(buffer: &mut [u8], head: &mut Vec<u8>) -> Option<Progress> {
    let input = &buffer[HEADROOM..];
    let mut headers = [httparse::EMPTY_HEADER; 48];
    let mut parsed = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head_bytes) = parsed.parse(input).ok()? else {
        return Some(Progress::Unfinished);
    };
    let Some(length) = content_length(parsed.headers)? else {
        return Some(Progress::Streams);
    };
    let end = head_bytes + length;
    if input.len() < end {
        return Some(Progress::Unfinished);
    }
    head.clear();
    head.extend_from_slice(&input[..memchr::memchr(b'\n', input)? + 1]);
    put_headers(parsed.headers, head);
    let start = put_before(buffer, HEADROOM + head_bytes, head)?;
    Some(Progress::Finished(start..HEADROOM + end))
}

/// Writes `head` so that it ends at `end`; where it starts.
fn put_before(buffer: &mut [u8], end: usize, head: &[u8]) -> Option<usize> {
    let start = end.checked_sub(head.len())?;
    buffer[start..end].copy_from_slice(head);
    Some(start)
}

#[allow(clippy::option_option)]
fn content_length(headers: &[httparse::Header<'_>]) -> Option<Option<usize>> {
    match headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length")) {
        None => Some(None),
        Some(header) => Some(Some(std::str::from_utf8(header.value).ok()?.trim().parse().ok()?)),
    }
}

fn put_headers(headers: &[httparse::Header<'_>], out: &mut Vec<u8>) {
    for header in headers {
        let hop_by_hop = match header.name.len() {
            4 => header.name.eq_ignore_ascii_case("host"),
            10 => ["connection", "keep-alive"].iter().any(|name| header.name.eq_ignore_ascii_case(name)),
            _ => false,
        };
        if !hop_by_hop {
            for part in [header.name.as_bytes(), b": ", header.value, b"\r\n"] {
                out.extend_from_slice(part);
            }
        }
    }
    out.extend_from_slice(b"\r\n");
}

const BUFFER_BYTES: usize = 16 * 1024;
const HEADROOM: usize = 256;
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
