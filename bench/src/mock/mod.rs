//! `bench mock`: an MCP Streamable HTTP server that costs as little as it can.
//!
//! It must be cheaper than any proxy in front of it, or the measurement shows
//! the mock. So: one epoll loop per thread, one `recv` and one `send` per
//! request, no allocation per request, and of a body it reads no more than it
//! needs to find `id` and `method`. It is lenient on purpose; being strict is
//! the proxy's work.

mod answer;
mod connection;
mod envelope;
mod http;
pub mod slow;

pub use answer::Style;
pub use slow::Capacity;

use crate::args::Args;
use crate::sys::{self, Epoll};
use connection::{Connection, Fate, Stream};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

const HELP: &str = "\
bench mock: a fast MCP Streamable HTTP upstream (all revisions, one endpoint at any path)

  --listen ADDR        TCP address (127.0.0.1:18080)
  --unix PATH          listen on a Unix socket too
  --sse                answer POST with a short SSE stream, as most SDK servers do
  --sse-writes N       1: stream in one segment (default); 2: head, then the rest;
                       3: head, event and last chunk each on their own
  --answer-bytes N     size of a tools/call answer's JSON (290)
  --event-every-ms N   send an event on every held stream each N ms (0: never)
  --threads N          event loops (1)
  --capacity N         be slow: work on so many calls at once, on threads (no --unix then)
  --takes-ms MS        how long each takes then (20)
  --slow-at S          when calls take longer (0)
  --slow-for S         for how long (0: never)
  --slow-factor F      how many times as long (5)
  --core N             pin the first loop to core N, the next ones to those after it
";

/// Runs the command until it is killed.
pub fn main(mut args: Args) -> Result<(), String> {
    if args.flag("--help") {
        print!("{HELP}");
        return Ok(());
    }
    let address: SocketAddr = args.value("--listen", SocketAddr::from(([127, 0, 0, 1], 18080)))?;
    let unix = args.text("--unix")?;
    let sse = args.flag("--sse");
    let writes = args.value("--sse-writes", 0u8)?;
    let style = Style {
        sse_writes: if sse { writes.max(1) } else { writes },
        answer_bytes: args.value("--answer-bytes", 290)?,
    };
    let event_every = Duration::from_millis(args.value("--event-every-ms", 0)?);
    let threads = args.value("--threads", 1usize)?.max(1);
    let core =
        args.text("--core")?.map(|text| text.parse::<usize>()).transpose().map_err(|e| e.to_string())?;
    let capacity = capacity(&mut args)?;
    args.finish()?;

    sys::raise_open_files();
    if let Some(capacity) = capacity {
        let listener = TcpListener::bind(address).map_err(|error| format!("cannot listen: {error}"))?;
        println!("mock: listening on {address}");
        return slow::serve(&listener, capacity, style, Instant::now()).map_err(|error| error.to_string());
    }
    let fail = |error: io::Error| format!("cannot listen: {error}");
    let mut listeners = vec![Listener::tcp(address).map_err(fail)?];
    if let Some(path) = unix {
        listeners.push(Listener::unix(&path).map_err(fail)?);
    }
    for listener in &listeners {
        println!("mock: listening on {}", listener.name);
    }
    std::thread::scope(|scope| {
        let loops: Vec<_> = (0..threads)
            .map(|index| {
                let listeners = &listeners;
                scope.spawn(move || {
                    if let Some(core) = core {
                        sys::pin_to_core(core + index)?;
                    }
                    EventLoop::new(listeners, style, event_every, index)?.run()
                })
            })
            .collect();
        for event_loop in loops {
            event_loop.join().map_err(|_| "a loop panicked".to_string())?.map_err(|e| e.to_string())?;
        }
        Ok(())
    })
}

/// A mock on a thread of this process, for as long as the process lives: where it listens, and the calls it answered.
pub fn serve_counted(style: Style) -> Result<(SocketAddr, Arc<AtomicU64>), String> {
    let fail = |error: io::Error| format!("cannot serve: {error}");
    let listener = Listener::tcp(SocketAddr::from(([127, 0, 0, 1], 0))).map_err(fail)?;
    let address = listener.name.parse().map_err(|_| "no address".to_string())?;
    let calls = Arc::new(AtomicU64::new(0));
    let counted = calls.clone();
    std::thread::spawn(move || {
        let listeners = [listener];
        let served = EventLoop::new(&listeners, style, Duration::ZERO, 0).and_then(|mut event_loop| {
            event_loop.answers = event_loop.answers.counted_in(counted);
            event_loop.run()
        });
        if let Err(error) = served {
            eprintln!("the mock ends: {error}");
        }
    });
    Ok((address, calls))
}

/// What a slow server can take, if it is to be one.
fn capacity(args: &mut Args) -> Result<Option<Capacity>, String> {
    let places: Option<usize> = args
        .text("--capacity")?
        .map(|text| text.parse())
        .transpose()
        .map_err(|_| "--capacity: not a number")?;
    let seconds = |value: f64| Duration::try_from_secs_f64(value).map_err(|error| error.to_string());
    let takes = Duration::from_millis(args.value("--takes-ms", 20)?);
    let slow_at = seconds(args.value("--slow-at", 0.0)?)?;
    let slow_for = seconds(args.value("--slow-for", 0.0)?)?;
    let slow_factor = args.value("--slow-factor", 5.0)?;
    Ok(places.map(|places| Capacity { places: places.max(1), takes, slow_at, slow_for, slow_factor }))
}

/// What is listened on, and how to say it.
struct Listener {
    socket: ListenerSocket,
    name: String,
}

enum ListenerSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    fn tcp(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpListener::bind(address)?;
        socket.set_nonblocking(true)?;
        sys::set_backlog(socket.as_fd(), BACKLOG)?;
        let name = socket.local_addr()?.to_string();
        Ok(Self { socket: ListenerSocket::Tcp(socket), name })
    }

    fn unix(path: &str) -> io::Result<Self> {
        // A socket file left by an earlier run would refuse the bind; a missing one is fine.
        let _ = std::fs::remove_file(path);
        let socket = UnixListener::bind(path)?;
        socket.set_nonblocking(true)?;
        sys::set_backlog(socket.as_fd(), BACKLOG)?;
        Ok(Self { socket: ListenerSocket::Unix(socket), name: format!("unix:{path}") })
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            ListenerSocket::Tcp(socket) => socket.as_fd(),
            ListenerSocket::Unix(socket) => socket.as_fd(),
        }
    }

    fn accept(&self) -> io::Result<Stream> {
        Ok(match &self.socket {
            ListenerSocket::Tcp(socket) => {
                let (stream, _) = socket.accept()?;
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                Stream::Tcp(stream)
            }
            ListenerSocket::Unix(socket) => {
                let (stream, _) = socket.accept()?;
                stream.set_nonblocking(true)?;
                Stream::Unix(stream)
            }
        })
    }
}

/// One thread's connections and what it serves them with.
struct EventLoop<'a> {
    listeners: &'a [Listener],
    epoll: Epoll,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    answers: answer::Answers,
    scratch: Vec<u8>,
    event_every: Duration,
}

impl<'a> EventLoop<'a> {
    fn new(listeners: &'a [Listener], style: Style, event_every: Duration, index: usize) -> io::Result<Self> {
        let epoll = Epoll::new(EVENTS_PER_WAIT)?;
        for (number, listener) in listeners.iter().enumerate() {
            epoll.add_shared(listener.as_fd(), LISTENER_TOKENS + number as u64)?;
        }
        Ok(Self {
            listeners,
            epoll,
            connections: Vec::new(),
            free: Vec::new(),
            answers: answer::Answers::new(style, index),
            scratch: vec![0; SCRATCH_BYTES],
            event_every,
        })
    }

    fn run(mut self) -> io::Result<()> {
        let mut next_event = Instant::now() + self.event_every;
        let timeout_ms = match self.event_every.as_millis() {
            0 => -1,
            every => i32::try_from(every).unwrap_or(i32::MAX),
        };
        loop {
            for index in 0..self.epoll.wait(timeout_ms)? {
                let ready = self.epoll.ready(index);
                match ready.token {
                    token if token >= LISTENER_TOKENS => self.accept_all((token - LISTENER_TOKENS) as usize),
                    token => self.drive(token as usize, ready),
                }
            }
            if timeout_ms > 0 && Instant::now() >= next_event {
                self.send_events();
                next_event = Instant::now() + self.event_every;
            }
        }
    }

    fn accept_all(&mut self, listener: usize) {
        // An error other than "no more" (out of descriptors) leaves the rest in the queue: level-triggered.
        while let Ok(stream) = self.listeners[listener].accept() {
            let index = self.free.pop().unwrap_or(self.connections.len());
            if self.epoll.add(stream.as_fd(), index as u64).is_err() {
                continue;
            }
            if index == self.connections.len() {
                self.connections.push(None);
            }
            self.connections[index] = Some(Connection::new(stream));
        }
    }

    fn drive(&mut self, index: usize, ready: sys::Ready) {
        let Some(connection) = self.connections.get_mut(index).and_then(Option::as_mut) else {
            return;
        };
        let waited = connection.waits_for_room();
        let mut fate = Fate::Keep;
        if ready.writable {
            fate = connection.send();
        }
        if ready.readable && fate == Fate::Keep && !connection.waits_for_room() {
            fate = connection.receive(&mut self.scratch, &mut self.answers);
        }
        let waits = connection.waits_for_room();
        if waits != waited && self.epoll.await_room(connection.as_fd(), index as u64, waits).is_err() {
            fate = Fate::Close;
        }
        if fate == Fate::Close {
            self.connections[index] = None;
            self.free.push(index);
        }
    }

    fn send_events(&mut self) {
        for index in 0..self.connections.len() {
            let Some(connection) = self.connections[index].as_mut() else {
                continue;
            };
            if connection.send_event(&self.answers) == Fate::Close {
                self.connections[index] = None;
                self.free.push(index);
            }
        }
    }
}

const BACKLOG: i32 = 4096;
const EVENTS_PER_WAIT: usize = 256;
/// Tokens from here on are listeners, those below are connections.
const LISTENER_TOKENS: u64 = 1 << 32;
/// A whole 64 KiB request fits, so that it takes one `recv` and no copy.
const SCRATCH_BYTES: usize = 256 * 1024;
