//! From a fresh socket to a served connection: placement, PROXY header, TLS.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::client::Client;
use super::connection::serve_connection;
use super::reply::Reply;
use super::sources::Place;
use super::trust::Trust;
use super::worker::{Live, Worker};
use crate::base::{Buf, restraint};
use crate::config::snapshot::{Listener, Placement, ProxyProtocol};
use crate::io::{Accepted, Conn, Direction, Listen, Peer, Socket, tls, uring};
use crate::link::Message;
use crate::shared::{Stage, least};
use crate::telemetry::Cause;
use crate::telemetry::stats::HANDSHAKE_CAUSES;
use crate::wire::http1::Parsed;
use crate::wire::proxy_protocol::{self, V2_BYTES_MAX};

/// After a failed accept (no descriptors left) the listener rests this long.
const REST: Duration = Duration::from_millis(100);

/// Accepts until the listener is shut. `listener` is its index in the configuration. It is counted as listening before,
/// and no longer after.
pub async fn accept_loop(worker: Rc<Worker>, listener: usize, socket: Rc<dyn Listen>) {
    loop {
        match socket.accept().await {
            Ok(accepted) => place(&worker, accepted, listener),
            Err(error) if worker.shared.stage.now() >= Stage::Closing && is_end(&error) => {
                worker.handle().listening.down();
                return;
            }
            Err(error) => {
                if let Some(kept_back) = worker.restraints.may_speak("accept", None, worker.recently()) {
                    tracing::warn!(%error, listener, kept_back, "accept failed; raise LimitNOFILE if descriptors ran out");
                }
                worker.net.sleep(REST).await;
            }
        }
    }
}

/// Whether an accept failed for good: a Unix socket that was shut says EAGAIN once its queue is empty. Else somebody may
/// still wait in the queue.
fn is_end(error: &io::Error) -> bool {
    let passing = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::ECONNABORTED, libc::EINTR];
    !error.raw_os_error().is_some_and(|code| passing.contains(&code))
}

/// Serves a fresh connection here, or hands it to the worker with the fewest.
fn place(worker: &Rc<Worker>, accepted: Accepted, listener: usize) {
    worker.stats.borrow_mut().connections_accepted += 1;
    let workers = &worker.shared.workers;
    let chosen = match worker.live().deployment.snapshot.placement {
        Placement::Kernel => worker.index,
        Placement::Balanced => least(worker.index, workers.iter().map(|other| other.connections.count())),
    };
    workers[chosen].connections.up();
    if chosen == worker.index {
        return start(worker, accepted, listener);
    }
    match workers[chosen].mailbox.post(Message::Connection(accepted, listener)) {
        Ok(()) => {
            worker.stats.borrow_mut().connections_handed_over += 1;
            workers[chosen].bell.ring();
        }
        // Its mailbox is full: it has more to do than the count says.
        Err(Message::Connection(accepted, listener)) => {
            workers[chosen].connections.down();
            worker.handle().connections.up();
            start(worker, accepted, listener);
        }
        Err(Message::Report(..) | Message::HotKeys(..) | Message::Errand(..) | Message::Cancel(..)) => {
            unreachable!("the mailbox gives back what it was given")
        }
    }
}

/// Serves a connection whose place is counted. Ends with that place free again.
pub fn start(worker: &Rc<Worker>, accepted: Accepted, listener: usize) {
    let limit = connections_max(worker);
    if worker.handle().connections.count() > limit {
        worker.stats.borrow_mut().connections_refused += 1;
        if let Some(kept_back) = worker.restraints.may_speak("connections_max", None, worker.recently()) {
            tracing::warn!(
                limit,
                kept_back,
                "a connection was refused: limits.connections_max, or fewer for want of descriptors"
            );
        }
        refuse(worker, &accepted, listener);
        worker.handle().connections.down();
        return;
    }
    let this = worker.clone();
    worker.net.spawn(Box::pin(async move {
        this.stats.borrow_mut().connections_open += 1;
        // Boxed, as in `serve`: this task lives as long as the connection, and is kept small.
        if let Some(mut client) = Box::pin(adopt(&this, accepted, listener)).await {
            serve_connection(&this, &mut client).await;
        }
        this.stats.borrow_mut().connections_open -= 1;
        this.handle().connections.down();
    }));
}

/// Connections of this worker: as many as are configured, and as there are descriptors for.
fn connections_max(worker: &Worker) -> usize {
    worker.live().deployment.snapshot.limits.connections_max.min(worker.shared.connections_room)
}

async fn adopt(worker: &Rc<Worker>, accepted: Accepted, listener: usize) -> Option<Box<Client>> {
    match uring::adopt(accepted) {
        Ok(conn) => open_client(worker, conn, listener).await,
        Err(error) => {
            if let Some(kept_back) = worker.restraints.may_speak("adopt", None, worker.recently()) {
                tracing::warn!(%error, kept_back, "a fresh connection could not be taken over");
            }
            None
        }
    }
}

/// Says why, if that takes no waiting, and closes. In TLS it would.
fn refuse(worker: &Worker, accepted: &Accepted, listener: usize) {
    // As `Reply` renders it, for all such clients: there is no room, so no memory is taken.
    const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 117\r\n\
        retry-after: 1\r\nconnection: close\r\n\r\n\
        {\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":503,\"message\":\"the gateway has as many connections as it may: try again\"}}";
    if matches!(worker.live().deployment.listener_tls.get(listener), Some(Some(_))) {
        return;
    }
    let _ = match &accepted.socket {
        Socket::Tcp(stream) => stream.set_nonblocking(true).and_then(|()| tell(stream, stream, FULL)),
        Socket::Unix(stream) => stream.set_nonblocking(true).and_then(|()| tell(stream, stream, FULL)),
    };
}

/// Sends the answer to what has come of a request: bytes that nobody has read would turn the end into a reset. A fresh
/// socket's send buffer is empty, so nothing waits; a client that is gone is no loss.
fn tell(mut from: impl io::Read, mut to: impl io::Write, answer: &[u8]) -> io::Result<()> {
    let _ = from.read(&mut [0; 4096]);
    to.write(answer).map(drop)
}

/// Serves a connection that came in at the listener with this index.
pub async fn serve(worker: &Rc<Worker>, conn: Conn, listener: usize) {
    // Boxed: a handshake's state is larger than all that follows it.
    if let Some(mut client) = Box::pin(open_client(worker, conn, listener)).await {
        serve_connection(worker, &mut client).await;
    }
}

/// The client behind a fresh connection. Everything before the first request takes no longer than a head may.
async fn open_client(worker: &Rc<Worker>, conn: Conn, listener: usize) -> Option<Box<Client>> {
    let live = worker.live();
    let watch = worker.watches.watch(conn.hangup.clone());
    watch.until(worker.net.now() + live.deployment.snapshot.timeouts.head, Direction::Both);
    let source = conn.peer;
    match open(worker, &live, conn, listener).await {
        Ok(Opened { conn, peer, already_read, trust, place }) => {
            let mut client = Box::new(Client::new(worker, conn, peer, already_read));
            (client.trust, client.place) = (trust, place);
            Some(client)
        }
        Err(Opening::Gone) => None,
        Err(Opening::Failed(cause, reason)) => {
            let cause = if watch.fired() { Handshake::Timeout } else { cause };
            worker.stats.borrow_mut().handshakes_failed[cause as usize] += 1;
            let cause = HANDSHAKE_CAUSES[cause as usize];
            if let Some(kept_back) = worker.restraints.may_speak(cause, None, worker.recently()) {
                let reason = restraint::cut(&reason, 200).escape_debug();
                tracing::info!(cause, %source, listener, %reason, kept_back, "a connection ended before its first request");
            }
            None
        }
    }
}

enum Opening {
    /// The peer closed without having said anything: a health check of the balancer, or a port scan.
    Gone,
    /// It broke a rule, or came from the wrong place.
    Failed(Handshake, String),
}

/// A connection that requests can be read from.
struct Opened {
    conn: Conn,
    peer: Peer,
    /// What came behind the PROXY header.
    already_read: Buf,
    trust: Trust,
    place: Option<Place>,
}

/// Index of [`HANDSHAKE_CAUSES`].
#[derive(Clone, Copy)]
enum Handshake {
    Source,
    Proxy,
    Tls,
    Certificate,
    Timeout,
    SourceFull,
}

async fn open(worker: &Worker, live: &Live, mut conn: Conn, listener: usize) -> Result<Opened, Opening> {
    let deployment = &live.deployment;
    let mut peer = conn.peer;
    let mut already_read = Buf::none();
    let set_up = deployment.snapshot.listeners.get(listener);
    if let Some(set_up) = set_up.filter(|set_up| set_up.proxy_protocol != ProxyProtocol::Off) {
        if !is_trusted(set_up, peer) {
            return Err(Opening::Failed(Handshake::Source, format!("{peer} is not one of trusted_sources")));
        }
        (peer, already_read) = read_preface(worker, &mut conn, set_up.proxy_protocol).await?;
    }
    let server = deployment.listener_tls.get(listener).and_then(Option::as_ref);
    let most = deployment.snapshot.limits.connections_per_source_max;
    let most = most.unwrap_or_else(|| (connections_max(worker) / 4 * 3).max(1));
    let Ok(place) = worker.sources.enter(peer, most) else {
        if server.is_none() {
            tell_full(worker, &mut conn).await;
        }
        let reason = format!("{peer} has {most} connections: limits.connections_per_source_max");
        return Err(Opening::Failed(Handshake::SourceFull, reason));
    };
    match server {
        Some(server) => {
            let accepted = tls::accept(server, conn, already_read).await;
            let (conn, info) =
                accepted.map_err(|error| Opening::Failed(Handshake::Tls, error.to_string()))?;
            let unreadable = || {
                Opening::Failed(Handshake::Certificate, "the client's certificate cannot be read".to_owned())
            };
            let trust = Trust::new(live, listener, info.client_chain_der).ok_or_else(unreadable)?;
            Ok(Opened { conn, peer, already_read: Buf::none(), trust, place })
        }
        None => {
            let trust = Trust::new(live, listener, Vec::new()).unwrap_or_else(Trust::none);
            Ok(Opened { conn, peer, already_read, trust, place })
        }
    }
}

/// Tells a client that its source has as many connections as it may.
async fn tell_full(worker: &Worker, conn: &mut Conn) {
    let message = "there are as many connections from this address as may be: use fewer, or try again";
    let reply = Reply::status(Cause::Overload, 503, message).with_headers("retry-after: 1\r\n");
    let (_, buf) = conn.writer.send(reply.closing().render(worker, false)).await;
    worker.give_buf(buf);
}

fn is_trusted(listener: &Listener, peer: Peer) -> bool {
    let address = match peer {
        Peer::Tcp(address) => address.ip(),
        // Who may open a Unix socket is decided by its mode.
        Peer::Unix => return true,
    };
    listener.trusted_sources.is_empty()
        || listener.trusted_sources.iter().any(|network| network.contains(address))
}

/// Reads the PROXY header, and gives the client's address and what came behind.
async fn read_preface(
    worker: &Worker,
    conn: &mut Conn,
    expected: ProxyProtocol,
) -> Result<(Peer, Buf), Opening> {
    let mut buf = worker.take_buf(V2_BYTES_MAX);
    loop {
        conn.reader.arm(buf);
        let (result, read) = conn.reader.read().await;
        buf = read;
        match result {
            Ok(0) if buf.is_empty() => return Err(Opening::Gone),
            Ok(0) => {
                return Err(Opening::Failed(
                    Handshake::Proxy,
                    "the connection ended within the PROXY header".into(),
                ));
            }
            Ok(_) => {}
            Err(error) => return Err(Opening::Failed(Handshake::Proxy, error.to_string())),
        }
        if !matches_version(buf.filled()[0], expected) {
            return Err(Opening::Failed(Handshake::Proxy, "no PROXY header of the expected version".into()));
        }
        match proxy_protocol::parse(buf.filled(), V2_BYTES_MAX) {
            Ok(Parsed::Complete(preface)) => {
                buf.consume(preface.len);
                return Ok((preface.source.map_or(conn.peer, Peer::Tcp), buf));
            }
            Ok(Parsed::Partial) => {}
            Err(error) => return Err(Opening::Failed(Handshake::Proxy, error.message().into())),
        }
    }
}

fn matches_version(first: u8, expected: ProxyProtocol) -> bool {
    match expected {
        ProxyProtocol::Off => false,
        ProxyProtocol::V1 => first == b'P',
        ProxyProtocol::V2 => first == b'\r',
        ProxyProtocol::Any => first == b'P' || first == b'\r',
    }
}
