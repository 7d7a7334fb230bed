//! For tests: an HTTP server on loopback that says what it was told to.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What to do with a request.
pub(in crate::control) enum Say {
    /// Answer with this status, these header lines and this body.
    Reply(u16, String, Vec<u8>),
    /// Send these bytes and close.
    Raw(Vec<u8>),
    /// Send these bytes one by one, slowly, for as long as anybody reads.
    Drip(Vec<u8>),
    /// Say nothing until the client goes.
    Silence,
}

impl Say {
    /// A 200 with this body.
    pub(in crate::control) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::Reply(200, String::new(), body.into())
    }

    /// An answer without a body.
    pub(in crate::control) fn status(status: u16) -> Self {
        Self::Reply(status, String::new(), Vec::new())
    }
}

/// The server. It ends with the process.
pub(in crate::control) struct Scripted {
    /// Where it listens.
    pub(in crate::control) address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// Serves by `script`, which gets the number of the request, from 0, and its text.
    pub(in crate::control) fn start(script: impl Fn(usize, &str) -> Say + Send + Sync + 'static) -> Self {
        Self::serve(None, script)
    }

    /// The same over TLS.
    pub(in crate::control) fn start_tls(
        tls: ServerConfig,
        script: impl Fn(usize, &str) -> Say + Send + Sync + 'static,
    ) -> Self {
        Self::serve(Some(Arc::new(tls)), script)
    }

    fn serve(
        tls: Option<Arc<ServerConfig>>,
        script: impl Fn(usize, &str) -> Say + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, all) = (Arc::new(script), seen.clone());
        thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                let (script, all, tls) = (script.clone(), all.clone(), tls.clone());
                thread::spawn(move || match tls {
                    None => answer(socket, &*script, &all),
                    Some(tls) => {
                        let tls = ServerConnection::new(tls).unwrap();
                        answer(StreamOwned::new(tls, socket), &*script, &all);
                    }
                });
            }
        });
        Self { address, seen }
    }

    /// `http://address` and this path.
    pub(in crate::control) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All requests so far.
    pub(in crate::control) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn answer(mut socket: impl Read + Write, script: &dyn Fn(usize, &str) -> Say, all: &Mutex<Vec<String>>) {
    let Some(request) = read(&mut socket) else { return };
    let number = {
        let mut all = all.lock().unwrap();
        all.push(request.clone());
        all.len() - 1
    };
    // A client that does not want to hear the rest is no fault.
    match script(number, &request) {
        Say::Reply(status, headers, body) => {
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n"
            );
            let _ = socket.write_all(&[head.as_bytes(), &body].concat());
        }
        Say::Raw(bytes) => drop(socket.write_all(&bytes)),
        Say::Drip(bytes) => {
            for byte in bytes {
                if socket.write_all(&[byte]).is_err() {
                    return;
                }
                thread::sleep(std::time::Duration::from_millis(20));
            }
        }
        Say::Silence => drop(socket.read(&mut [0])),
    }
    let _ = socket.flush();
}

/// One request with its body.
fn read(socket: &mut impl Read) -> Option<String> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lower = head.to_ascii_lowercase();
            let length =
                lower.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        match socket.read(&mut chunk) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&chunk[..count]),
            _ => return None,
        }
    }
}
