//! `ringgate demo`: a small MCP server to try the gateway on, with nothing to install.

use std::net::SocketAddr;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use super::bind::bind_tcp;
use super::runtime::event_loop;
use crate::base::Buf;
use crate::config::snapshot::Driver;
use crate::io::uring::{TcpListen, UringNet, adopt};
use crate::io::{Conn, Listen, Net};
use crate::wire::http1::chunked::{LAST_CHUNK, write_chunk};
use crate::wire::http1::write::{push_content_length, push_end, push_header, push_status_line};
use crate::wire::http1::{BodyFraming, HeadLimits, HeadScan, Method, Parsed, parse_request_head};
use mcp::Answer;

mod mcp;

/// Bytes of a request; the gateway in front sends no chunked ones.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// Between two steps of a streamed answer.
const STEP: Duration = Duration::from_millis(400);

/// Starts the demo server on a free loopback port, on a thread of its own that lives as long as the process.
///
/// # Errors
/// When there is no port or no thread to be had.
pub fn start() -> Result<SocketAddr, String> {
    let explain = |error: std::io::Error| format!("cannot start the demo server: {error}");
    let socket = bind_tcp(SocketAddr::from(([127, 0, 0, 1], 0)), false).map_err(explain)?;
    let address = socket.local_addr().map_err(explain)?;
    thread::Builder::new()
        .name("demo-server".into())
        .spawn(move || {
            let Ok((event_loop, _)) = event_loop(Driver::Epoll) else { return };
            event_loop.block_on(async {
                let net: Rc<dyn Net> = Rc::new(UringNet::new(Instant::now()));
                let Ok(listen) = TcpListen::new(socket) else { return };
                while let Ok(accepted) = listen.accept().await {
                    let Ok(conn) = adopt(accepted) else { continue };
                    let task = serve(net.clone(), conn);
                    net.spawn(Box::pin(async move {
                        task.await;
                    }));
                }
            });
        })
        .map_err(explain)?;
    Ok(address)
}

/// Serves one connection until it ends. `None` is that end.
async fn serve(net: Rc<dyn Net>, mut conn: Conn) -> Option<()> {
    let mut buf = Buf::with_capacity(REQUEST_BYTES_MAX);
    loop {
        let (request, read) = read_request(&mut conn, buf).await?;
        buf = read;
        let answer = match request.method {
            Method::Post => mcp::answer(buf.filled().get(request.body.clone())?),
            _ => Answer::Status(405),
        };
        buf.consume(request.body.end);
        buf.compact();
        send(&net, &mut conn, &answer).await?;
    }
}

struct Request {
    method: Method,
    /// Where its body stands in the buffer.
    body: std::ops::Range<usize>,
}

async fn read_request(conn: &mut Conn, mut buf: Buf) -> Option<(Request, Buf)> {
    let mut scan = HeadScan::new();
    loop {
        if let Parsed::Complete(head) =
            parse_request_head(buf.filled(), &HeadLimits::default(), &mut scan).ok()?
        {
            let length = match head.framing {
                BodyFraming::None => 0,
                BodyFraming::Length(length) => usize::try_from(length).ok()?,
                BodyFraming::Chunked => return None,
            };
            let body = head.head_len..head.head_len.checked_add(length)?;
            if buf.len() >= body.end {
                return Some((Request { method: head.method, body }, buf));
            }
        }
        if buf.free() == 0 {
            return None;
        }
        conn.reader.arm(buf);
        let (result, read) = conn.reader.read().await;
        buf = read;
        if !matches!(result, Ok(count) if count > 0) {
            return None;
        }
    }
}

async fn send(net: &Rc<dyn Net>, conn: &mut Conn, answer: &Answer) -> Option<()> {
    let mut out = Vec::new();
    match answer {
        Answer::Status(status) => {
            push_status_line(&mut out, *status);
            push_content_length(&mut out, 0);
            push_end(&mut out);
            write(conn, &out).await
        }
        Answer::Json(status, body) => {
            push_status_line(&mut out, *status);
            push_header(&mut out, b"content-type", b"application/json");
            push_content_length(&mut out, body.len() as u64);
            push_end(&mut out);
            out.extend_from_slice(body.as_bytes());
            write(conn, &out).await
        }
        Answer::Stream(messages) => {
            push_status_line(&mut out, 200);
            push_header(&mut out, b"content-type", b"text/event-stream");
            push_header(&mut out, b"transfer-encoding", b"chunked");
            push_end(&mut out);
            for (index, message) in messages.iter().enumerate() {
                if index > 0 {
                    net.sleep(STEP).await;
                }
                write_chunk(&mut out, format!("event: message\ndata: {message}\n\n").as_bytes());
                write(conn, &out).await?;
                out.clear();
            }
            write(conn, LAST_CHUNK).await
        }
    }
}

async fn write(conn: &mut Conn, bytes: &[u8]) -> Option<()> {
    let mut buf = Buf::with_capacity(bytes.len());
    buf.append(bytes).then_some(())?;
    conn.writer.send(buf).await.0.ok()
}
