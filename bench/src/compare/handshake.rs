//! The first words to a proxy: is it there?

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Waits until a request gets an answer, whatever it says. A listening socket alone is not enough:
/// nginx opens it before it has the process that serves it.
pub fn wait_answering(address: SocketAddr, path: &str) -> Result<(), String> {
    let deadline = Instant::now() + ANSWER_TIMEOUT;
    loop {
        let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        match exchange(address, path, &[], ping) {
            Ok(answer) if answer.starts_with("HTTP/1.1 ") => return Ok(()),
            Ok(answer) if Instant::now() > deadline => return Err(format!("it answers {answer:?}")),
            Err(error) if Instant::now() > deadline => return Err(format!("it does not answer: {error}")),
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// One POST on a connection of its own, and all that comes back.
fn exchange(address: SocketAddr, path: &str, headers: &[String], body: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let extra: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n{extra}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    read_answer(&mut stream)
}

/// Reads to the end of the connection or of a body whose length is told: a proxy need not close.
fn read_answer(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match stream.read(&mut piece)? {
            0 => break,
            length => answer.extend_from_slice(&piece[..length]),
        }
        if is_whole(&String::from_utf8_lossy(&answer)) {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&answer).replace("\r\n", "\n"))
}

fn is_whole(answer: &str) -> bool {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    length.map_or_else(|| body.ends_with("0\r\n\r\n"), |length| body.len() >= length)
}

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::is_whole;

    #[test]
    fn an_answer_ends_with_its_body() {
        assert!(is_whole("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"));
        assert!(is_whole("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"));
        assert!(is_whole("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"));
        assert!(!is_whole("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{"));
        assert!(!is_whole("HTTP/1.1 200 OK\r\nContent-Len"));
    }
}
