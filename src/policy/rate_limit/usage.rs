//! Usage that a server reports in its result.

use crate::wire::json::Document;

/// The number at the JSON pointer (RFC 6901), from the top of `result`, in a JSON-RPC message. `None` if it is no result, or
/// has no number from 0 there; of a fraction the whole above it.
pub fn reported_tokens(message: &Document<'_>, pointer: &str) -> Option<u64> {
    let number = message.root().get("result")?.pointer(pointer)?;
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

    fn reported(message: &[u8], pointer: &str) -> Option<u64> {
        let mut message = message.to_vec();
        reported_tokens(&Document::parse(&mut message)?, pointer)
    }

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
            assert_eq!(reported(message, pointer), expected, "{pointer}");
        }
        assert_eq!(reported(b"{\"error\":{}}", "/a"), None);
        assert_eq!(reported(b"not json", "/a"), None);
    }
}
