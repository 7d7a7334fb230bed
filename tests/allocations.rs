//! A gateway in steady state allocates nothing for a request: counted over a whole process, in which client
//! and server work on fixed buffers.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use ring::signature::{Ed25519KeyPair, KeyPair};
use ringgate::config::Snapshot;
use ringgate::config::check::Flags;

/// Counts every allocation of the process.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator, as it was asked for.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const WARM_UP: usize = 200;
const COUNTED: usize = 2_000;
const BUFFER: usize = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(60);

/// Length of the first message in `bytes`, once its head is whole.
fn message_len(bytes: &[u8]) -> Option<usize> {
    let head = find(bytes, b"\r\n\r\n")? + 4;
    let length = bytes[..head].windows(LENGTH.len()).position(|line| line.eq_ignore_ascii_case(LENGTH));
    match length {
        Some(at) => {
            let digits = bytes[at + LENGTH.len()..head].iter().take_while(|byte| **byte != b'\r');
            Some(head + digits.fold(0, |value, digit| value * 10 + usize::from(digit - b'0')))
        }
        None => Some(head + find(&bytes[head..], b"0\r\n\r\n")? + 5),
    }
}

const LENGTH: &[u8] = b"\r\ncontent-length: ";

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// Reads one message into `buffer` and gives its length; `None` at the end of the stream.
fn read_message(stream: &mut TcpStream, buffer: &mut [u8; BUFFER]) -> Option<usize> {
    let mut filled = 0;
    loop {
        let count = stream.read(&mut buffer[filled..]).unwrap();
        if count == 0 {
            return None;
        }
        filled += count;
        if let Some(length) = message_len(&buffer[..filled]).filter(|length| *length <= filled) {
            assert_eq!(length, filled, "nothing follows a message here");
            return Some(length);
        }
    }
}

/// Gives `answer` to every request, and a session to whoever initializes.
fn upstream(answer: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            stream.set_nodelay(true).unwrap();
            let mut buffer = [0; BUFFER];
            while let Some(length) = read_message(&mut stream, &mut buffer) {
                let initialize = find(&buffer[..length], b"\"initialize\"").is_some();
                stream.write_all(if initialize { SESSION } else { &answer }).unwrap();
            }
        }
    });
    address
}

const SESSION: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nMcp-Session-Id: s-1\r\n\
    Content-Length: 36\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}";

fn text(length: usize) -> String {
    "x".repeat(length)
}

fn json_answer(length: usize) -> Vec<u8> {
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"text":"{}"}}}}"#, text(length));
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Two events, each in a chunk of its own.
fn sse_answer(length: usize) -> Vec<u8> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let event = format!("event: message\ndata: {{\"text\":\"{}\"}}\n\n", text(length / 2));
    format!("{head}{0:x}\r\n{event}\r\n{0:x}\r\n{event}\r\n0\r\n\r\n", event.len()).into_bytes()
}

fn request(path: &str, length: usize) -> Vec<u8> {
    request_with(path, length, "Mcp-Session-Id: 0123456789abcdef\r\n")
}

fn request_with(path: &str, length: usize, headers: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"x","arguments":{{"text":"{}"}}}}}}"#,
        text(length)
    );
    format!(
        "POST /{path}/mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2025-06-18\r\n\
         {headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A gateway with one worker, in this process, in front of these servers.
fn start(servers: Vec<(String, String)>) -> SocketAddr {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let flags = Flags {
        servers,
        listen: Some(address.to_string()),
        workers: Some("1".to_owned()),
        admin: Some("off".to_owned()),
    };
    serve(Snapshot::from_flags(&flags).unwrap());
    address
}

/// Runs a gateway for the rest of the process.
fn serve(snapshot: Snapshot) {
    let (ready, started) = channel();
    std::thread::spawn(move || {
        let source = Box::new(|_| Err("nothing is reloaded here".to_owned()));
        let ended = ringgate::server::run::serve(snapshot, source, move |_| ready.send(()).unwrap());
        panic!("the gateway ended: {ended:?}");
    });
    started.recv_timeout(PATIENCE).unwrap();
}

/// Allocations of the whole process during `COUNTED` exchanges.
fn count(gateway: SocketAddr, request: &[u8]) -> usize {
    let mut stream = TcpStream::connect(gateway).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut buffer = [0; BUFFER];
    let mut ask = || {
        stream.write_all(request).unwrap();
        read_message(&mut stream, &mut buffer).unwrap();
        assert!(buffer.starts_with(b"HTTP/1.1 200 "));
    };
    (0..WARM_UP).for_each(|_| ask());
    let begun = Instant::now();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    (0..COUNTED).for_each(|_| ask());
    let counted = ALLOCATIONS.load(Ordering::Relaxed) - before;
    // A call that the rules deny has a 200 too.
    assert!(find(&buffer[..512], b"\"error\"").is_none(), "{}", String::from_utf8_lossy(&buffer[..512]));
    counted.saturating_sub(allocations_at_rest(begun.elapsed()))
}

/// Timers of a gateway at rest allocate now and then; a slow machine has more of them in a run.
fn allocations_at_rest(duration: Duration) -> usize {
    let measured = Duration::from_secs(1);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    std::thread::sleep(measured);
    let each_second = ALLOCATIONS.load(Ordering::Relaxed) - before;
    (each_second as f64 * duration.as_secs_f64()).ceil() as usize
}

/// A gateway that knows its callers, with a thousand rules in front of `servers`; a file that it reads its keys from.
fn start_guarded(servers: &[(String, String)]) -> (SocketAddr, String) {
    use ringgate::policy::authn::base64url::encode;
    let signer = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let x = encode(signer.public_key().as_ref());
    let directory = std::env::temp_dir().join(format!("ringgate-allocations-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let keys = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"k","x":"{x}"}}]}}"#);
    std::fs::write(directory.join("keys"), keys).unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let rules: String = (0..1_000)
        .map(|tool| format!("  - {{effect: allow, roles: [r{}], tools: [tool_{tool}]}}\n", tool % 10))
        .collect();
    let servers: String = servers
        .iter()
        .map(|(name, url)| format!("- {{name: {name}, url: '{url}', audiences: [gw]}}\n"))
        .collect();
    let config = format!(
        "listeners: [{{address: '{address}'}}]\nworkers: 1\npublic_url: https://gw.example\nservers:\n{servers}\
         access:\n  rules:\n{rules}  - {{effect: allow, roles: [r1], tools: [x]}}\n\
         authentication: {{issuers: [{{issuer: 'https://idp.example', jwks: 'file:keys'}}]}}\n"
    );
    std::fs::write(directory.join("ringgate.yaml"), config).unwrap();
    let snapshot = ringgate::config::check::load(&directory.join("ringgate.yaml"), 1);
    serve(snapshot.unwrap_or_else(|findings| panic!("{findings}")));
    std::fs::remove_dir_all(&directory).unwrap();
    let claims = r#"{"iss":"https://idp.example","aud":"gw","sub":"alice","azp":"a","roles":["r1","r2"],"exp":4102444800}"#;
    let signed = format!("{}.{}", encode(br#"{"alg":"EdDSA","kid":"k"}"#), encode(claims.as_bytes()));
    let signature = encode(signer.sign(signed.as_bytes()).as_ref());
    (address, format!("Authorization: Bearer {signed}.{signature}\r\n"))
}

/// The header lines of a session that the gateway has bound to the owner of the token.
fn session(gateway: SocketAddr, path: &str, token: &str) -> String {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
    let mut stream = TcpStream::connect(gateway).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "POST /{path}/mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n{token}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut buffer = [0; BUFFER];
    let length = read_message(&mut stream, &mut buffer).unwrap();
    let answer = String::from_utf8(buffer[..length].to_vec()).unwrap();
    let line = answer.lines().find(|line| line.to_ascii_lowercase().starts_with("mcp-session-id: "));
    format!("{token}{}\r\n", line.unwrap_or_else(|| panic!("no session: {answer}")))
}

#[test]
fn a_request_in_steady_state_allocates_nothing() {
    let cases = [
        ("json-250", false, 250),
        ("json-20k", false, 20_000),
        ("sse-250", true, 250),
        ("sse-20k", true, 20_000),
    ];
    let server = |&(name, sse, length): &(&str, bool, usize)| {
        let answer = if sse { sse_answer(length) } else { json_answer(length) };
        (name.to_owned(), format!("http://{}/mcp", upstream(answer)))
    };
    let gateway = start(cases.iter().map(server).collect());
    let mut counts = Vec::new();
    for (name, _, length) in cases {
        counts.push((name.to_owned(), count(gateway, &request(name, length))));
    }
    // With callers known, a thousand rules, and sessions bound to their callers.
    let (guarded, token) = start_guarded(&cases.iter().map(server).collect::<Vec<_>>());
    for (name, _, length) in cases {
        let headers = session(guarded, name, &token);
        counts.push((format!("{name}, guarded"), count(guarded, &request_with(name, length, &headers))));
    }
    println!("allocations in {COUNTED} exchanges: {counts:?}");
    for (name, count) in counts {
        assert!(count < COUNTED / 20, "{name}: {count} allocations in {COUNTED} exchanges");
    }
}
