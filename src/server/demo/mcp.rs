//! What the demo server says: three tools, in both eras of MCP, without sessions.

use serde_json::{Value, json};

/// The revision spoken to clients that ask for one this server does not know.
const NEWEST_LEGACY: &str = "2025-11-25";
const LEGACY: [&str; 3] = ["2025-03-26", "2025-06-18", NEWEST_LEGACY];
const MODERN: &str = "2026-07-28";
const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
/// The countdown starts here at the most.
const COUNT_MAX: u64 = 20;

/// An answer to one POST.
pub enum Answer {
    /// A status without a body.
    Status(u16),
    /// A status and one JSON-RPC message.
    Json(u16, String),
    /// JSON-RPC messages, one event each.
    Stream(Vec<String>),
}

/// Answers one message.
pub fn answer(body: &[u8]) -> Answer {
    let Ok(message) = serde_json::from_slice::<Value>(body) else {
        return error(400, None, -32700, "not JSON");
    };
    let (Some(method), params) = (message["method"].as_str(), &message["params"]) else {
        return Answer::Status(202);
    };
    let Some(id) = message.get("id") else { return Answer::Status(202) };
    let modern = params["_meta"][VERSION_KEY] == MODERN;
    match method {
        "initialize" if !modern => result(id, initialize(params), false),
        "ping" if !modern => result(id, json!({}), false),
        "server/discover" if modern => result(id, discover(), true),
        "tools/list" => result(id, tools(modern), modern),
        "tools/call" => call(id, params, modern),
        _ => error(if modern { 404 } else { 200 }, Some(id), -32601, "this demo offers tools only"),
    }
}

fn initialize(params: &Value) -> Value {
    let asked = params["protocolVersion"].as_str().filter(|asked| LEGACY.contains(asked));
    json!({
        "protocolVersion": asked.unwrap_or(NEWEST_LEGACY),
        "capabilities": {"tools": {}},
        "serverInfo": server_info(),
        "instructions": "A demo. Try the tools echo, add and countdown.",
    })
}

fn discover() -> Value {
    json!({"supportedVersions": [MODERN], "capabilities": {"tools": {}}, "ttlMs": 60_000, "cacheScope": "public"})
}

fn server_info() -> Value {
    json!({"name": "ringgate-demo", "version": env!("CARGO_PKG_VERSION")})
}

fn tools(modern: bool) -> Value {
    let number = json!({"type": "number"});
    let mut list = json!({"tools": [
        {
            "name": "echo",
            "description": "Says back what it is told",
            "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
        },
        {
            "name": "add",
            "description": "Adds two numbers",
            "inputSchema": {"type": "object", "properties": {"a": number, "b": number}, "required": ["a", "b"]},
        },
        {
            "name": "countdown",
            "description": "Counts down and reports its progress as it goes",
            "inputSchema": {
                "type": "object",
                "properties": {"from": {"type": "integer", "minimum": 1, "maximum": COUNT_MAX}},
                "required": ["from"],
            },
        },
    ]});
    if modern {
        list["ttlMs"] = json!(60_000);
        list["cacheScope"] = json!("public");
    }
    list
}

fn call(id: &Value, params: &Value, modern: bool) -> Answer {
    let arguments = &params["arguments"];
    match params["name"].as_str() {
        Some("echo") => match arguments["text"].as_str() {
            Some(text) => result(id, content(text, false), modern),
            None => result(id, content("echo needs a string: text", true), modern),
        },
        Some("add") => match (arguments["a"].as_f64(), arguments["b"].as_f64()) {
            (Some(a), Some(b)) => result(id, content(&(a + b).to_string(), false), modern),
            _ => result(id, content("add needs two numbers: a and b", true), modern),
        },
        Some("countdown") => match arguments["from"].as_u64() {
            Some(from @ 1..=COUNT_MAX) => countdown(id, from, &params["_meta"]["progressToken"], modern),
            _ => result(id, content("countdown needs an integer from 1 to 20: from", true), modern),
        },
        _ => error(if modern { 400 } else { 200 }, Some(id), -32602, "unknown tool"),
    }
}

fn countdown(id: &Value, from: u64, token: &Value, modern: bool) -> Answer {
    let mut messages: Vec<String> = Vec::new();
    if !token.is_null() {
        messages.extend((0..from).map(|step| {
            let message = format!("{}", from - step);
            let params =
                json!({"progressToken": token, "progress": step + 1, "total": from, "message": message});
            json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}).to_string()
        }));
    }
    let done = complete(content("lift-off", false), modern);
    messages.push(json!({"jsonrpc": "2.0", "id": id, "result": done}).to_string());
    Answer::Stream(messages)
}

fn content(text: &str, is_error: bool) -> Value {
    json!({"content": [{"type": "text", "text": text}], "isError": is_error})
}

fn complete(mut result: Value, modern: bool) -> Value {
    if modern {
        result["resultType"] = json!("complete");
        result["_meta"] = json!({"io.modelcontextprotocol/serverInfo": server_info()});
    }
    result
}

fn result(id: &Value, value: Value, modern: bool) -> Answer {
    Answer::Json(200, json!({"jsonrpc": "2.0", "id": id, "result": complete(value, modern)}).to_string())
}

fn error(status: u16, id: Option<&Value>, code: i64, message: &str) -> Answer {
    let mut answer = json!({"jsonrpc": "2.0", "error": {"code": code, "message": message}});
    if let Some(id) = id {
        answer["id"] = id.clone();
    }
    Answer::Json(status, answer.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn ask(message: &Value) -> Value {
        match answer(message.to_string().as_bytes()) {
            Answer::Json(_, body) => serde_json::from_str(&body).unwrap(),
            Answer::Status(status) => panic!("status {status}"),
            Answer::Stream(messages) => serde_json::from_str(messages.last().unwrap()).unwrap(),
        }
    }

    #[test]
    fn a_legacy_and_a_modern_client_both_get_on() {
        let init = ask(
            &json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}}),
        );
        assert_eq!(init["result"]["protocolVersion"], "2025-06-18");
        let meta = json!({VERSION_KEY: MODERN});
        let list =
            ask(&json!({"jsonrpc": "2.0", "id": "x", "method": "tools/list", "params": {"_meta": meta}}));
        assert_eq!(list["id"], "x");
        assert_eq!(list["result"]["resultType"], "complete");
        assert_eq!(list["result"]["tools"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn a_countdown_reports_its_progress_and_then_its_result() {
        let params = json!({"name": "countdown", "arguments": {"from": 3}, "_meta": {"progressToken": "t"}});
        let call = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params});
        let Answer::Stream(messages) = answer(call.to_string().as_bytes()) else { panic!("no stream") };
        assert_eq!(messages.len(), 4);
        assert!(messages[0].contains("notifications/progress") && messages[3].contains("lift-off"));
    }

    #[test]
    fn bad_input_gets_an_error_and_never_a_panic() {
        for body in ["", "{", "[]", "null", "{\"method\":7,\"id\":1}"] {
            answer(body.as_bytes());
        }
        let call = |params: Value| {
            ask(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}))
        };
        assert_eq!(call(json!({"name": "nope"}))["error"]["code"], -32602);
        assert_eq!(call(json!({"name": "add", "arguments": {"a": "x"}}))["result"]["isError"], true);
        assert_eq!(
            call(json!({"name": "countdown", "arguments": {"from": 1000}}))["result"]["isError"],
            true
        );
    }
}
