//! Usage that a server reports in its result.

use serde_json::Value as Json;

/// Bytes of a result that is searched for usage. A larger one is not parsed a second time for one number.
pub const USAGE_BYTES_MAX: usize = 1 << 20;

/// The number at the JSON pointer (RFC 6901), from the top of `result`, in a JSON-RPC message. `None` if the message is
/// larger than [`USAGE_BYTES_MAX`], is no result, or has no number from 0 there; of a fraction the whole above it.
pub fn reported_tokens(message: &[u8], pointer: &str) -> Option<u64> {
    if message.len() > USAGE_BYTES_MAX {
        return None;
    }
    let message: Json = serde_json::from_slice(message).ok()?;
    let number = message.get("result")?.pointer(pointer)?;
    number.as_u64().or_else(|| number.as_f64().and_then(whole))
}

/// The whole number above a fraction; none for what no server has used.
fn whole(number: f64) -> Option<u64> {
    const MOST: f64 = 9_007_199_254_740_992.0;
    // In this range the cast is exact.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (0.0..=MOST).contains(&number).then(|| number.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_found_or_nothing_is() {
        let message =
            br#"{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"usage":{"total_tokens":1234}},
            "_meta":{"a.b/tokens":1.2,"bad":-1,"text":"7","huge":1e300}}}"#;
        for (pointer, expected) in [
            ("/structuredContent/usage/total_tokens", Some(1234)),
            ("/_meta/a.b~1tokens", Some(2)),
            ("/_meta/bad", None),
            ("/_meta/text", None),
            ("/_meta/huge", None),
            ("/nothing", None),
            ("", None),
        ] {
            assert_eq!(reported_tokens(message, pointer), expected, "{pointer}");
        }
        assert_eq!(reported_tokens(b"{\"error\":{}}", "/a"), None);
        assert_eq!(reported_tokens(b"not json", "/a"), None);
        let mut large = br#"{"result":{"a":1}}"#.to_vec();
        assert_eq!(reported_tokens(&large, "/a"), Some(1));
        large.resize(USAGE_BYTES_MAX, b' ');
        assert_eq!(reported_tokens(&large, "/a"), Some(1));
        large.push(b' ');
        assert_eq!(reported_tokens(&large, "/a"), None);
    }
}
