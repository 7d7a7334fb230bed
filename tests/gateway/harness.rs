//! Starts the gateway and an upstream that does what a test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

pub use super::temp_dir::TempDir;

/// Nothing in these tests takes longer, unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A port that was free a moment ago, and that no other call gives. Below those that the system gives to
/// outgoing connections, which could take it before a gateway listens there.
pub fn free_port() -> u16 {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    loop {
        let turn = std::process::id() as usize * 211 + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(12_000 + turn % 20_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A running gateway. Killed when dropped.
pub struct Gateway {
    pub child: Child,
    pub address: SocketAddr,
    pub admin: SocketAddr,
    pub config: PathBuf,
    pub log: Arc<Mutex<String>>,
    pub dir: TempDir,
}

impl Gateway {
    /// A gateway with one server `up` at `/up/mcp`, and further lines of configuration.
    pub fn before(upstream: SocketAddr, more: &str) -> Self {
        Self::with(&format!("servers:\n  - name: up\n    url: http://{upstream}/mcp\n{more}\n"))
    }

    /// A gateway with this configuration; `listeners` and `admin` are added unless they are in it.
    pub fn with(config: &str) -> Self {
        let (port, admin) = (free_port(), free_port());
        let mut text = config.to_owned();
        if !text.contains("listeners:") {
            text.push_str(&format!("listeners:\n  - address: 127.0.0.1:{port}\n"));
        }
        if !text.contains("workers:") {
            text.push_str("workers: 2\n");
        }
        text.push_str(&format!("admin:\n  address: 127.0.0.1:{admin}\n"));
        let dir = TempDir::new();
        let text = text.replace("DIR", dir.0.to_str().unwrap()).replace("PORT", &port.to_string());
        let config = dir.file("ringgate.yaml", &text);
        let child = spawn(&["serve", "--config", config.to_str().unwrap()], &dir.0);
        Self::started(child, port, admin, config, dir)
    }

    fn started(mut child: Child, port: u16, admin: u16, config: PathBuf, dir: TempDir) -> Self {
        let log = collect(child.stderr.take().unwrap());
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut gateway = Self { child, address: local(port), admin: local(admin), config, log, dir };
        gateway.await_ready();
        gateway
    }

    fn await_ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the gateway ended at its start: {status}\n{}", self.log());
            }
            // It serves, though it may still lack keys: tests of issuers that are down want just that.
            let serves =
                |(status, words): (u16, String)| status == 200 || words.starts_with("waiting for the keys");
            if self.admin_get("/readyz").is_some_and(serves) {
                return;
            }
            assert!(Instant::now() < deadline, "the gateway did not become ready\n{}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it wrote to its log so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until a line of the log holds `part`, and gives the log.
    pub fn await_log(&self, part: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.log();
            if log.contains(part) {
                return log;
            }
            assert!(Instant::now() < deadline, "no line with {part}\n{log}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Status and body of a page of the admin listener.
    pub fn admin_get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(self.admin).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// The value of a metric, summed over its labels that contain `label`.
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        let (_, page) = self.admin_get("/metrics").unwrap();
        page.lines()
            .filter(|line| {
                line.starts_with(name) && line[name.len()..].starts_with(['{', ' ']) && line.contains(label)
            })
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum()
    }

    /// Waits until a metric has a value.
    pub fn await_metric(&self, name: &str, label: &str, wanted: f64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let value = self.metric(name, label);
            if (value - wanted).abs() < f64::EPSILON {
                return;
            }
            assert!(Instant::now() < deadline, "{name} {label} is {value}, not {wanted}\n{}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asserts that no connection, exchange or upstream connection in use is left once clients are gone.
    pub fn assert_nothing_left(&self) {
        self.await_metric("ringgate_worker_connections", "", 0.0);
        self.await_metric("ringgate_exchanges_open", "", 0.0);
    }

    /// Sends it a signal by name, such as `HUP`.
    pub fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end and gives the exit code.
    pub fn wait(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the gateway does not end\n{}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kills it, unless it has ended, and starts another with the configuration as it is now.
    pub fn restart(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.child = spawn(&["serve", "--config", self.config.to_str().unwrap()], &self.dir.0);
        self.log = collect(self.child.stderr.take().unwrap());
        self.await_ready();
    }

    /// A client connection.
    pub fn connect(&self) -> Client {
        Client::new(TcpStream::connect(self.address).unwrap())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The gateway's binary, started with these arguments.
pub fn spawn(arguments: &[&str], directory: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_ringgate"))
        .args(arguments)
        .current_dir(directory)
        .env_remove("RUST_LOG")
        .env_remove("STATE_DIRECTORY")
        .env("XDG_STATE_HOME", directory.join("state"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn collect(source: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let sink = text.clone();
    thread::spawn(move || {
        for line in BufReader::new(source).lines().map_while(Result::ok) {
            let mut sink = sink.lock().unwrap();
            sink.push_str(&line);
            sink.push('\n');
        }
    });
    text
}

/// A message as it came over the wire.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// Request or status line.
    pub start: String,
    /// Header lines, in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, unwrapped.
    pub body: Vec<u8>,
}

impl Message {
    pub fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

impl Message {
    /// Whether it is the result of a call that was served: no error, and not the gateway's words for a denied tool.
    pub fn is_served(&self) -> bool {
        let text = self.text();
        text.contains("\"result\"") && !text.contains("Unknown tool: ")
    }
}

/// A raw HTTP/1.1 client on one connection.
pub struct Client<S: Read + Write = TcpStream> {
    pub stream: S,
    buffer: Vec<u8>,
}

impl Client<TcpStream> {
    pub fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }
}

impl<S: Read + Write> Client<S> {
    pub fn over(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Reads more into the buffer; `false` at the end of the stream.
    fn more(&mut self) -> bool {
        let mut chunk = [0; 16 << 10];
        match self.stream.read(&mut chunk) {
            Ok(0) => false,
            Ok(count) => {
                self.buffer.extend_from_slice(&chunk[..count]);
                true
            }
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe
                ) =>
            {
                false
            }
            Err(error) => panic!("read: {error}; so far: {}", String::from_utf8_lossy(&self.buffer)),
        }
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.drain(..end + 2);
                return Some(line);
            }
            if !self.more() {
                return None;
            }
        }
    }

    fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < count {
            if !self.more() {
                return None;
            }
        }
        Some(self.buffer.drain(..count).collect())
    }

    /// The head of the next message; `None` if the stream ends first.
    pub fn head(&mut self) -> Option<Message> {
        let start = self.line()?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Some(Message { start, headers, body: Vec::new() });
            }
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("header line {line:?}"));
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// The next chunk of a chunked body; empty at its end, `None` if the stream breaks off.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = self.line()?;
        let size = usize::from_str_radix(&size, 16).unwrap_or_else(|_| panic!("chunk size {size:?}"));
        let data = self.exactly(size)?;
        assert_eq!(self.line()?, "", "a chunk ends with CR LF");
        Some(data)
    }

    /// The next whole message; `None` if the stream ends before or within it.
    pub fn message(&mut self) -> Option<Message> {
        let mut message = self.head()?;
        message.body = self.body(&message)?;
        Some(message)
    }

    /// The body behind a head; `None` if the stream ends within it.
    pub fn body(&mut self, head: &Message) -> Option<Vec<u8>> {
        if head.header("transfer-encoding").is_none() {
            let length = head.header("content-length").map_or(0, |length| length.parse().unwrap());
            return self.exactly(length);
        }
        let mut body = Vec::new();
        loop {
            let chunk = self.chunk()?;
            if chunk.is_empty() {
                return Some(body);
            }
            body.extend(chunk);
        }
    }

    /// The answer to a request of these bytes.
    pub fn ask(&mut self, request: &[u8]) -> Message {
        self.send(request);
        self.message().expect("an answer")
    }

    /// The next so many bytes; `None` if the stream ends before.
    pub fn rest_of(&mut self, length: usize) -> Option<Vec<u8>> {
        self.exactly(length)
    }

    /// All that comes until the end of the stream.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.more() {}
        std::mem::take(&mut self.buffer)
    }

    /// Whether the stream is at its end (nothing more comes).
    pub fn is_at_end(&mut self) -> bool {
        self.buffer.is_empty() && !self.more()
    }
}

/// A POST to the gateway's `up` server as a legacy client sends it, with further header lines.
pub fn post(body: &str, headers: &str) -> Vec<u8> {
    post_to("/up/mcp", body, headers)
}

/// A POST to a path.
pub fn post_to(path: &str, body: &str, headers: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Headers of a modern request, with `Mcp-Method` and, if it is not empty, `Mcp-Name`.
pub fn modern(method: &str, name: &str) -> String {
    let name = if name.is_empty() { String::new() } else { format!("Mcp-Name: {name}\r\n") };
    format!("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n{name}")
}

/// `params._meta` of a modern request.
pub const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

/// A 200 answer with this JSON body.
pub fn ok(body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// What an upstream does with one request on one connection. `false` closes the connection.
pub type Script = dyn Fn(&Message, &mut Client) -> bool + Send + Sync;

/// An upstream that follows a script and keeps what it was asked.
pub struct Upstream {
    pub address: SocketAddr,
    pub requests: Receiver<Message>,
    /// Connections accepted so far.
    pub accepted: Arc<AtomicUsize>,
}

impl Upstream {
    pub fn new(script: impl Fn(&Message, &mut Client) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = channel();
        let accepted = Arc::new(AtomicUsize::new(0));
        let (script, count): (Arc<Script>, _) = (Arc::new(script), accepted.clone());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, Ordering::Relaxed);
                let (script, sender) = (script.clone(), sender.clone());
                thread::spawn(move || serve(stream, &*script, &sender));
            }
        });
        Self { address, requests, accepted }
    }

    /// Answers each request with a result that repeats its id and its body.
    pub fn echo() -> Self {
        Self::new(|request, client| {
            client.send(&ok(&echoed(request)));
            true
        })
    }

    /// The next request that came in.
    pub fn request(&self) -> Message {
        self.requests.recv_timeout(PATIENCE).expect("a request upstream")
    }

    /// Asserts that nothing came in, for now.
    pub fn assert_untouched(&self) {
        if let Ok(request) = self.requests.try_recv() {
            panic!("upstream got {request:?}");
        }
    }
}

/// A JSON-RPC result with the id of `request`, if it has one.
pub fn echoed(request: &Message) -> String {
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let id = body.get("id").cloned().unwrap_or_default();
    serde_json::json!({"jsonrpc": "2.0", "id": id, "result": {"start": request.start, "asked": body}})
        .to_string()
}

fn serve(stream: TcpStream, script: &Script, sender: &Sender<Message>) {
    let mut client = Client::new(stream);
    client.stream.set_read_timeout(None).unwrap();
    while let Some(request) = client.message() {
        let _ = sender.send(request.clone());
        if !script(&request, &mut client) {
            return;
        }
    }
}
