//! A small MCP server with manners to choose: a thread per connection, nothing shared with loadgen.

use std::cell::RefCell;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

/// How the mock behaves towards calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Right answers as JSON.
    Json,
    /// Right answers as an event stream, after an empty event and a notification.
    Sse,
    /// Right answers in chunks of seven bytes.
    Chunked,
    /// Answers of the right shape for the id one further.
    OtherId,
    /// 503 for every call.
    Unavailable,
    /// 429 with a JSON-RPC error for all but every third call of a connection.
    OneInThree,
    /// A JSON-RPC error for every call.
    RpcError,
    /// Right answers, but everything stops for this long at the given call.
    Stall { at: u64, ms: u64 },
    /// Right answers; every third one says it is the last on its connection, and is.
    CloseAnnounced,
    /// Reads every third request and closes without a word.
    CloseUnannounced,
    /// Right answers of half a megabyte.
    Large,
    /// Right answers that end with the connection.
    Unframed,
    /// Opens streams, sends two events, and ends them.
    EndStreams,
}

/// What the mock has seen.
#[derive(Debug, Default)]
pub struct Seen {
    pub calls: u64,
    pub deletes: u64,
    /// Requests that broke a rule of the protocol, in words.
    pub complaints: Vec<String>,
    /// TLS: writes on connections whose client has shown a certificate.
    pub certified: u64,
    /// TLS: the names asked for.
    pub names: Vec<String>,
}

/// A running mock; its threads end with the test process.
pub struct Mock {
    pub url: String,
    pub seen: Arc<Mutex<Seen>>,
}

impl Mock {
    pub fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/demo/mcp", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                let _ = stream.set_nodelay(true);
                std::thread::spawn(move || {
                    let reading = stream.try_clone().unwrap();
                    Peer::<TcpStream> { stream, manner, seen: shared, served: 0 }.serve(reading)
                });
            }
        });
        Self { url, seen }
    }

    /// One that speaks TLS, in the way of `config(n)` for its n-th connection, and never announces its end.
    pub fn start_tls(manner: Manner, config: impl Fn(usize) -> Arc<ServerConfig> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}/demo/mcp", listener.local_addr().unwrap().port());
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = seen.clone();
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().flatten().enumerate() {
                let (seen, config) = (shared.clone(), config(number));
                let _ = stream.set_nodelay(true);
                std::thread::spawn(move || {
                    let stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
                    let stream = TlsStream { inner: Rc::new(RefCell::new(stream)), seen: seen.clone() };
                    let reading = stream.clone();
                    Peer { stream, manner, seen, served: 0 }.serve(reading)
                });
            }
        });
        Self { url, seen }
    }

    pub fn start_unix(path: &Path, manner: Manner) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                std::thread::spawn(move || {
                    let reading = stream.try_clone().unwrap();
                    Peer::<UnixStream> { stream, manner, seen: shared, served: 0 }.serve(reading)
                });
            }
        });
        Self { url: format!("unix:{}:/demo/mcp", path.display()), seen }
    }
}

/// One stream for reading and writing, in one thread.
#[derive(Clone)]
struct TlsStream {
    inner: Rc<RefCell<StreamOwned<ServerConnection, TcpStream>>>,
    seen: Arc<Mutex<Seen>>,
}

impl Read for TlsStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.inner.borrow_mut().read(into)
    }
}

impl Write for TlsStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut stream = self.inner.borrow_mut();
        let mut seen = self.seen.lock().unwrap();
        seen.certified += u64::from(stream.conn.peer_certificates().is_some());
        seen.names.extend(stream.conn.server_name().map(str::to_owned));
        drop(seen);
        let written = stream.write(bytes)?;
        stream.flush()?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.borrow_mut().flush()
    }
}

struct Request {
    method: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let method = line.split(' ').next().unwrap_or_default().to_owned();
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let mut request = Self { method, headers, body: Vec::new() };
        let length = request.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        request.body.resize(length, 0);
        reader.read_exact(&mut request.body)?;
        Ok(Some(request))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// What is wrong with the request, if anything.
    fn complaint(&self, message: &Value) -> Option<String> {
        let (method, version) = (message["method"].as_str()?, self.header("mcp-protocol-version"));
        let meta = &message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"];
        let modern = meta.as_str().is_some();
        let right = if modern {
            version == meta.as_str()
                && self.header("mcp-method") == Some(method)
                && self.header("mcp-name") == message["params"]["name"].as_str()
                && message["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"].is_object()
        } else if method == "initialize" {
            self.header("mcp-session-id").is_none()
        } else {
            version == Some("2025-11-25") && self.header("mcp-session-id") == Some("s-1")
        };
        (!right).then(|| format!("{method}: {:?}", self.headers))
    }
}

struct Peer<S> {
    stream: S,
    manner: Manner,
    seen: Arc<Mutex<Seen>>,
    served: u64,
}

const ACCEPTED: &str = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
const STREAM: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

impl<S: Read + Write> Peer<S> {
    /// Serves until the client has gone.
    fn serve(mut self, reading: S) {
        let mut reader = BufReader::new(reading);
        while let Ok(Some(request)) = Request::read(&mut reader) {
            if !matches!(self.answer(&request), Ok(true)) {
                return;
            }
        }
    }

    /// Answers one request; `false` when the connection is to be closed.
    fn answer(&mut self, request: &Request) -> io::Result<bool> {
        if request.method == "GET" {
            return self.hold();
        }
        if request.method == "DELETE" {
            let mut seen = self.seen.lock().unwrap();
            seen.deletes += 1;
            if request.header("mcp-session-id") != Some("s-1") {
                seen.complaints.push("delete without session".to_owned());
            }
            drop(seen);
            return self.write("HTTP/1.1 204 No Content\r\n\r\n");
        }
        let message: Value = serde_json::from_slice(&request.body)?;
        if let Some(complaint) = request.complaint(&message) {
            self.seen.lock().unwrap().complaints.push(complaint);
        }
        let id = &message["id"];
        match message["method"].as_str() {
            Some("initialize") => self.json("Mcp-Session-Id: s-1\r\n", &result(id)),
            Some("notifications/initialized") => self.write(ACCEPTED),
            Some("tools/list") => self.json("", &result(id)),
            Some("subscriptions/listen") => self.hold(),
            _ => self.call(id),
        }
    }

    fn call(&mut self, id: &Value) -> io::Result<bool> {
        self.served += 1;
        let seen = self.seen.clone();
        let mut seen = seen.lock().unwrap();
        seen.calls += 1;
        if let Manner::Stall { at, ms } = self.manner
            && seen.calls == at
        {
            // Held under the lock, so that every other call waits as well.
            std::thread::sleep(Duration::from_millis(ms));
        }
        drop(seen);
        let third = self.served.is_multiple_of(3);
        match self.manner {
            Manner::Json | Manner::Stall { .. } | Manner::EndStreams => self.json("", &result(id)),
            Manner::Large => {
                let padding = "x".repeat(500_000);
                self.json("", &json!({"jsonrpc": "2.0", "id": id, "result": {"content": [], "x": padding}}))
            }
            Manner::OtherId => self.json("", &result(&json!(id.as_u64().unwrap_or(0) + 1))),
            Manner::RpcError => self
                .json("", &json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "no"}})),
            Manner::Unavailable => {
                self.write("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy")
            }
            Manner::OneInThree if third => self.json("", &result(id)),
            Manner::OneInThree => {
                let error = json!({"jsonrpc": "2.0", "id": id, "error": {"code": 429, "message": "spent"}});
                self.answer_with("429 Too Many Requests", "Retry-After: 1\r\n", &error)
            }
            Manner::CloseAnnounced if third => {
                self.json("Connection: close\r\n", &result(id))?;
                Ok(false)
            }
            Manner::CloseUnannounced if third => Ok(false),
            Manner::Unframed => {
                self.write("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")?;
                self.write(&result(id).to_string())?;
                Ok(false)
            }
            Manner::CloseAnnounced | Manner::CloseUnannounced => self.json("", &result(id)),
            Manner::Sse => {
                let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress"});
                let events =
                    format!("id: 1\ndata:\n\ndata: {progress}\n\nevent: message\ndata: {}\n\n", result(id));
                let chunk = format!("{:x}\r\n{events}\r\n0\r\n\r\n", events.len());
                self.write(&format!("{STREAM}{chunk}"))
            }
            Manner::Chunked => {
                self.write(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
                )?;
                for chunk in result(id).to_string().as_bytes().chunks(7) {
                    self.write(&format!("{:x}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk)))?;
                }
                self.write("0\r\n\r\n")
            }
        }
    }

    fn hold(&mut self) -> io::Result<bool> {
        let event = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n";
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        self.write(&format!("{STREAM}{chunk}{chunk}"))?;
        if self.manner == Manner::EndStreams {
            return self.write("0\r\n\r\n");
        }
        Ok(true)
    }

    fn json(&mut self, headers: &str, message: &Value) -> io::Result<bool> {
        self.answer_with("200 OK", headers, message)
    }

    fn answer_with(&mut self, status: &str, headers: &str, message: &Value) -> io::Result<bool> {
        let body = message.to_string();
        let length = body.len();
        self.write(&format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        ))
    }

    fn write(&mut self, text: &str) -> io::Result<bool> {
        self.stream.write_all(text.as_bytes())?;
        Ok(true)
    }
}

fn result(id: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": {"content": [{"type": "text", "text": "said: hello"}]}})
}
