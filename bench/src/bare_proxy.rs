//! `bench bare-proxy`: the least an HTTP proxy can do on monoio, as the floor to compare with.
//!
//! It finds the ends of messages, drops hop-by-hop headers, copies the rest
//! and checks nothing. What ringgate costs above it is what ringgate's care
//! costs. It is no proxy to use: a message it does not understand ends the
//! connection, a stream ends where its bytes look like the last chunk.

use crate::args::Args;
use crate::sys;
use monoio::buf::IoBufMut;
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::{ListenerOpts, TcpListener, TcpStream};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

const HELP: &str = "\
bench bare-proxy: a reverse proxy without checks, one thread, SINGLE_ISSUER + DEFER_TASKRUN

  --listen ADDR     address to listen on (127.0.0.1:18081)
  --upstream ADDR   address to pass requests to (127.0.0.1:18080)
  --core N          pin to core N
";

/// Runs the command until it is killed.
pub fn main(mut args: Args) -> Result<(), String> {
    if args.flag("--help") {
        print!("{HELP}");
        return Ok(());
    }
    let listen: SocketAddr = args.value("--listen", SocketAddr::from(([127, 0, 0, 1], 18081)))?;
    let upstream: SocketAddr = args.value("--upstream", SocketAddr::from(([127, 0, 0, 1], 18080)))?;
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
    runtime.block_on(serve(listen, upstream)).map_err(|error| error.to_string())
}

async fn serve(listen: SocketAddr, upstream: SocketAddr) -> std::io::Result<()> {
    let listener = TcpListener::bind_with_config(listen, &ListenerOpts::default().backlog(4096))?;
    let pool: Pool = Pool::default();
    println!("bare-proxy: listening on {listen}");
    loop {
        let (client, _) = listener.accept().await?;
        client.set_nodelay(true)?;
        let pool = pool.clone();
        monoio::spawn(async move {
            // Any end of a connection is a good end here.
            let _ = serve_client(client, &pool, upstream).await;
        });
    }
}

type Pool = Rc<RefCell<Vec<TcpStream>>>;

async fn serve_client(mut client: TcpStream, pool: &Pool, upstream: SocketAddr) -> Option<()> {
    let (mut request, mut answer, mut out) = (buffer(), buffer(), buffer());
    loop {
        let used = loop {
            if let Some(used) = pass_request(&request, &mut out)? {
                break used;
            }
            (client, request) = read_more(client, request).await?;
        };
        request.drain(..used);
        let pooled = pool.borrow_mut().pop();
        let mut server = match pooled {
            Some(server) => server,
            None => dial(upstream).await?,
        };
        (server, out) = write_out(server, out).await?;
        loop {
            (server, answer) = read_more(server, answer).await?;
            match pass_answer(&answer, &mut out)? {
                Progress::Unfinished => {}
                Progress::Finished => break,
                Progress::Streams => {
                    // Goes on as it comes; the ends of chunks are not looked at.
                    out.extend_from_slice(&answer);
                    while !answer.ends_with(LAST_CHUNK) {
                        answer.clear();
                        (client, out) = write_out(client, out).await?;
                        (server, answer) = read_more(server, answer).await?;
                        out.extend_from_slice(&answer);
                    }
                    break;
                }
            }
        }
        answer.clear();
        pool.borrow_mut().push(server);
        (client, out) = write_out(client, out).await?;
    }
}

fn buffer() -> Vec<u8> {
    Vec::with_capacity(BUFFER_BYTES)
}

async fn dial(upstream: SocketAddr) -> Option<TcpStream> {
    let server = TcpStream::connect(upstream).await.ok()?;
    server.set_nodelay(true).ok()?;
    Some(server)
}

async fn read_more(mut from: TcpStream, mut buffer: Vec<u8>) -> Option<(TcpStream, Vec<u8>)> {
    let at = buffer.len();
    if buffer.capacity() - at < BUFFER_BYTES / 4 {
        buffer.reserve(buffer.capacity().max(BUFFER_BYTES));
    }
    let (outcome, slice) = from.read(buffer.slice_mut(at..)).await;
    let buffer = slice.into_inner();
    (outcome.ok()? > 0).then_some((from, buffer))
}

async fn write_out(mut to: TcpStream, bytes: Vec<u8>) -> Option<(TcpStream, Vec<u8>)> {
    let (outcome, mut bytes) = to.write_all(bytes).await;
    outcome.ok()?;
    bytes.clear();
    Some((to, bytes))
}

/// Appends the request at the start of `input` to `out` once it is whole; its length in `input`.
#[allow(clippy::option_option)]
fn pass_request(input: &[u8], out: &mut Vec<u8>) -> Option<Option<usize>> {
    let mut headers = [httparse::EMPTY_HEADER; 48];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head_bytes) = head.parse(input).ok()? else {
        return Some(None);
    };
    let end = head_bytes + content_length(head.headers)?.unwrap_or(0);
    if input.len() < end {
        return Some(None);
    }
    for part in [head.method?, " ", head.path?, " HTTP/1.1\r\nhost: upstream\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    put_headers(head.headers, out);
    out.extend_from_slice(&input[head_bytes..end]);
    Some(Some(end))
}

enum Progress {
    Unfinished,
    Finished,
    Streams,
}

/// Appends the head at the start of `input` to `out` as it is, but for hop-by-hop headers, and a
/// body of known length behind it. All of `input` belongs to this answer.
fn pass_answer(input: &[u8], out: &mut Vec<u8>) -> Option<Progress> {
    let mut headers = [httparse::EMPTY_HEADER; 48];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head_bytes) = head.parse(input).ok()? else {
        return Some(Progress::Unfinished);
    };
    let Some(length) = content_length(head.headers)? else {
        // A stream passes untouched, head and all: its only hop-by-hop header is its framing.
        return Some(Progress::Streams);
    };
    if input.len() < head_bytes + length {
        return Some(Progress::Unfinished);
    }
    out.extend_from_slice(&input[..memchr::memchr(b'\n', input)? + 1]);
    put_headers(head.headers, out);
    out.extend_from_slice(&input[head_bytes..head_bytes + length]);
    Some(Progress::Finished)
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
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
