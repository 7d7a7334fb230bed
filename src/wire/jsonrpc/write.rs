//! Messages that the gateway writes itself.

use crate::wire::json::{write_integer, write_string};

/// Appends an error response. Without an `id` it is `null` (JSON-RPC 2.0 section 5): clients that read messages by their
/// schema take an object without the member for no message, and lose code and words. `id` and `data` are written as they
/// are: valid JSON tokens.
pub fn write_error(out: &mut Vec<u8>, id: Option<&[u8]>, code: i64, message: &str, data: Option<&[u8]>) {
    write_opening(out, id);
    out.extend_from_slice(b",\"error\":{\"code\":");
    write_integer(out, code);
    out.extend_from_slice(b",\"message\":");
    write_string(out, message);
    if let Some(data) = data {
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(data);
    }
    out.extend_from_slice(b"}}");
}

/// Appends a success response. `id` and `result` are written as they are: valid JSON.
pub fn write_result(out: &mut Vec<u8>, id: &[u8], result: &[u8]) {
    write_opening(out, Some(id));
    out.extend_from_slice(b",\"result\":");
    out.extend_from_slice(result);
    out.push(b'}');
}

fn write_opening(out: &mut Vec<u8>, id: Option<&[u8]>) {
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\"");
    out.extend_from_slice(b",\"id\":");
    out.extend_from_slice(id.unwrap_or(b"null"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_results_are_written_as_the_schema_wants() {
        let mut out = Vec::new();
        write_error(&mut out, Some(b"\"a\""), -32020, "say \"no\"", Some(b"{\"x\":1}"));
        assert_eq!(
            out,
            br#"{"jsonrpc":"2.0","id":"a","error":{"code":-32020,"message":"say \"no\"","data":{"x":1}}}"#
        );
        out.clear();
        write_error(&mut out, None, -32700, "bad", None);
        assert_eq!(out, br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"bad"}}"#);
        out.clear();
        write_result(&mut out, b"9007199254740993", b"{}");
        assert_eq!(out, br#"{"jsonrpc":"2.0","id":9007199254740993,"result":{}}"#);
    }
}
