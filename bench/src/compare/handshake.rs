//! Opens an MCP session at a gateway that serves nothing without one.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Initialises a session and returns the header lines that its requests need.
///
/// The session lives on after the connection is closed, as the protocol says.
pub fn open_session(address: SocketAddr, path: &str) -> Result<Vec<String>, String> {
    let initialize = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"{REVISION}","capabilities":{{}},"clientInfo":{{"name":"bench","version":"1"}}}}}}"#
    );
    let answer = post(address, path, &[], &initialize)?;
    let session = answer.lines().take_while(|line| !line.is_empty()).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("mcp-session-id").then(|| value.trim().to_string())
    });
    let session = session.ok_or_else(|| format!("no session from the gateway: {answer}"))?;
    let headers = vec![format!("Mcp-Session-Id: {session}"), format!("MCP-Protocol-Version: {REVISION}")];
    post(address, path, &headers, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)?;
    Ok(headers)
}

fn post(address: SocketAddr, path: &str, headers: &[String], body: &str) -> Result<String, String> {
    let exchange = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let extra: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\n{extra}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).replace("\r\n", "\n"))
    };
    let answer = exchange().map_err(|error| format!("no session from the gateway: {error}"))?;
    match answer.starts_with("HTTP/1.1 2") {
        true => Ok(answer),
        false => Err(format!("the gateway refuses: {answer}")),
    }
}

/// The newest revision with sessions.
const REVISION: &str = "2025-11-25";
