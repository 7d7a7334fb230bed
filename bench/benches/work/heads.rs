//! Heads as clients and servers of the field write them.

use super::Input;

/// What the load generator of this repository sends.
pub fn plain_requests() -> Vec<Input> {
    of(&["POST /bench/mcp HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: loadgen/0.1.0\r\n\
        Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
        MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: echo\r\n\
        Content-Length: 250\r\n\r\n"])
}

/// TypeScript SDK (undici), Python SDK (httpx) and curl.
pub fn sdk_requests() -> Vec<Input> {
    of(&[
        "POST /support/mcp HTTP/1.1\r\nhost: gateway.internal:8443\r\nconnection: keep-alive\r\n\
         accept: application/json, text/event-stream\r\ncontent-type: application/json\r\n\
         mcp-protocol-version: 2025-11-25\r\n\
         mcp-session-id: 7f6f1c0e-2f0a-4c5e-9d53-0b6a5d1f9e11\r\n\
         accept-language: *\r\nsec-fetch-mode: cors\r\nuser-agent: node\r\n\
         accept-encoding: gzip, deflate\r\ncontent-length: 214\r\n\r\n",
        "POST /support/mcp HTTP/1.1\r\nHost: gateway.internal\r\nAccept: application/json, text/event-stream\r\n\
         Accept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\nUser-Agent: python-httpx/0.28.1\r\n\
         content-type: application/json\r\nmcp-protocol-version: 2025-06-18\r\n\
         mcp-session-id: 0a9c5f4be3f94b6f8a1d\r\nContent-Length: 180\r\n\r\n",
        "POST /mcp HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: curl/8.5.0\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: 74\r\n\r\n",
    ])
}

/// An agent in a browser, with a token and what browsers add.
pub fn browser_requests() -> Vec<Input> {
    let token = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsxIn0.".to_string() + &"QWxhZGRpbjpvcGVuIHNlc2FtZQ".repeat(22);
    let head = format!(
        "POST /team/mcp HTTP/1.1\r\nHost: mcp.example.com\r\nConnection: keep-alive\r\nContent-Length: 312\r\n\
         sec-ch-ua-platform: \"Linux\"\r\nAuthorization: Bearer {token}\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
         Accept: application/json, text/event-stream\r\n\
         sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"\r\nContent-Type: application/json\r\n\
         sec-ch-ua-mobile: ?0\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n\
         Mcp-Name: search_web\r\nOrigin: https://agents.example.com\r\nSec-Fetch-Site: same-site\r\n\
         Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nReferer: https://agents.example.com/\r\n\
         Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9,de;q=0.8\r\n\r\n"
    );
    of(&[&head])
}

/// JSON of a plain server, SSE of the TypeScript SDK (Node) and of the Python SDK (uvicorn).
pub fn responses() -> Vec<Input> {
    of(&[
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 290\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Powered-By: Express\r\nContent-Type: text/event-stream\r\n\
         Cache-Control: no-cache, no-transform\r\nConnection: keep-alive\r\n\
         mcp-session-id: 7f6f1c0e-2f0a-4c5e-9d53-0b6a5d1f9e11\r\nDate: Sun, 22 Nov 2026 09:00:00 GMT\r\n\
         Keep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\ndate: Sun, 22 Nov 2026 09:00:00 GMT\r\nserver: uvicorn\r\n\
         cache-control: no-cache, no-transform\r\nconnection: keep-alive\r\n\
         content-type: text/event-stream\r\nmcp-session-id: 0a9c5f4be3f94b6f8a1d\r\n\
         x-accel-buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n",
    ])
}

fn of(heads: &[&str]) -> Vec<Input> {
    heads.iter().map(|head| Input::new(head.as_bytes())).collect()
}
