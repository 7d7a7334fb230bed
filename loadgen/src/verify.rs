//! Whether a JSON-RPC message is the right answer to a request.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// What a message received for one request turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// A result that carries the request's own id.
    Answer,
    /// A result or error for another id, or without one.
    WrongId,
    /// An error with the request's own id.
    RpcError(i64),
    /// A request or notification from the server, as event streams may carry.
    FromServer,
    /// Not a JSON-RPC 2.0 message.
    Malformed,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    jsonrpc: &'a str,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(default)]
    method: Option<IgnoredAny>,
    #[serde(default)]
    result: Option<IgnoredAny>,
    #[serde(default)]
    error: Option<RpcError>,
}

#[derive(Deserialize)]
struct RpcError {
    code: i64,
    #[serde(rename = "message")]
    _message: IgnoredAny,
}

/// Reads one message and compares its id, byte for byte, with `id`: an id must come back exactly as
/// it was sent (JSON-RPC 2.0 section 5), so `1e3` is not `1000` and `"7"` is not `7`.
///
/// The whole document is checked: trailing bytes and a governed key given twice make it malformed.
pub fn check_message(bytes: &[u8], id: &[u8]) -> Message {
    let Ok(envelope) = serde_json::from_slice::<Envelope<'_>>(bytes) else {
        return Message::Malformed;
    };
    if envelope.jsonrpc != "2.0" {
        return Message::Malformed;
    }
    let own = envelope.id.is_some_and(|raw| raw.get().as_bytes() == id);
    match (envelope.method, envelope.result, envelope.error) {
        (Some(_), None, None) => Message::FromServer,
        (None, Some(_), None) | (None, None, Some(_)) if !own => Message::WrongId,
        (None, Some(_), None) => Message::Answer,
        (None, None, Some(error)) => Message::RpcError(error.code),
        _ => Message::Malformed,
    }
}

/// Whether a message that [`check_message`] found to be the answer is a result with `isError`.
pub fn is_error_result(bytes: &[u8]) -> bool {
    serde_json::from_slice::<WithResult>(bytes).is_ok_and(|message| message.result.is_error)
}

#[derive(Deserialize)]
struct WithResult {
    result: ToolResult,
}

#[derive(Deserialize)]
struct ToolResult {
    #[serde(rename = "isError", default)]
    is_error: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Message) {
        assert_eq!(check_message(text.as_bytes(), b"100000000007"), expected, "{text}");
    }

    #[test]
    fn only_the_own_id_is_the_answer() {
        check(r#"{"jsonrpc":"2.0","id":100000000007,"result":{}}"#, Message::Answer);
        check(r#" {"result":{"id":1},"x":[2],"id":100000000007,"jsonrpc":"2.0"} "#, Message::Answer);
        check(r#"{"jsonrpc":"2.0","id":100000000008,"result":{}}"#, Message::WrongId);
        check(r#"{"jsonrpc":"2.0","id":"100000000007","result":{}}"#, Message::WrongId);
        check(r#"{"jsonrpc":"2.0","id":100000000007.0,"result":{}}"#, Message::WrongId);
        check(r#"{"jsonrpc":"2.0","id":null,"result":{}}"#, Message::WrongId);
        check(r#"{"jsonrpc":"2.0","result":{"id":100000000007}}"#, Message::WrongId);
    }

    #[test]
    fn errors_and_server_messages_are_told_apart() {
        check(
            r#"{"jsonrpc":"2.0","id":100000000007,"error":{"code":-32020,"message":"m"}}"#,
            Message::RpcError(-32020),
        );
        check(r#"{"jsonrpc":"2.0","id":5,"error":{"code":-32020,"message":"m"}}"#, Message::WrongId);
        check(r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#, Message::FromServer);
        check(r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#, Message::FromServer);
    }

    #[test]
    fn a_result_may_say_that_it_is_an_error() {
        assert!(is_error_result(br#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"isError":true}}"#));
        for text in [r#"{"result":{"isError":false}}"#, r#"{"result":{"text":"\"isError\":true"}}"#, "{}"] {
            assert!(!is_error_result(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn broken_documents_are_malformed() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"jsonrpc":"1.0","id":100000000007,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":100000000007}"#,
            r#"{"jsonrpc":"2.0","id":100000000007,"result":{},"error":{"code":1,"message":""}}"#,
            r#"{"jsonrpc":"2.0","id":1,"id":100000000007,"result":{}}"#,
            r#"{"jsonrpc":"2.0","id":100000000007,"result":{}"#,
            r#"{"jsonrpc":"2.0","id":100000000007,"result":{}}{}"#,
            r#"{"jsonrpc":"2.0","id":100000000007,"error":{"message":"no code"}}"#,
        ] {
            check(text, Message::Malformed);
        }
    }
}
