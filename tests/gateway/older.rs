//! The older transport, HTTP+SSE of 2024-11-05, where it is easily treated otherwise than Streamable HTTP.

use super::harness::{Gateway, Upstream, post_to};
use super::scenes::get;

fn gateway(upstream: &Upstream) -> Gateway {
    Gateway::with(&format!(
        "servers:\n  - {{name: up, transport: sse, url: 'http://{}/sse', message_paths: [/message]}}\n",
        upstream.address
    ))
}

#[test]
fn a_call_without_an_id_is_refused_as_elsewhere() {
    let upstream = Upstream::echo();
    let gateway = gateway(&upstream);
    let unseen = r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"x"}}"#;
    let answer = gateway.connect().ask(&post_to("/up/mcp/~/message", unseen, ""));
    assert_eq!((answer.status(), answer.json()["error"]["code"].as_i64()), (400, Some(-32600)), "{answer:?}");
    upstream.assert_untouched();
}

#[test]
fn a_stream_that_cannot_be_read_is_refused_since_its_endpoint_could_be_any() {
    for kind in ["text/event-stream\r\nContent-Encoding: gzip", "application/json"] {
        let upstream = Upstream::new(move |_, client| {
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n");
            client.send(head.as_bytes());
            client.is_at_end();
            false
        });
        let answer = gateway(&upstream).connect().ask(&get("/up/mcp", ""));
        assert_eq!(answer.status(), 502, "{kind}: {answer:?}");
    }
}
