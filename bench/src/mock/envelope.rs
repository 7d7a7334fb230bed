//! Finds `id` and `method` of a JSON-RPC message and reads no further than that.

/// The members of a JSON-RPC message that the mock answers by.
#[derive(Debug, Default, PartialEq)]
pub struct Envelope<'a> {
    /// The id as it is written, quotes included; none in a notification.
    pub id: Option<&'a [u8]>,
    /// The method without quotes; none in a response.
    pub method: Option<&'a [u8]>,
}

/// Reads the top level of `body`; `None` if it is not an object that far.
pub fn scan(body: &[u8]) -> Option<Envelope<'_>> {
    let mut envelope = Envelope::default();
    let mut at = skip_space(body, 0);
    if body.get(at) != Some(&b'{') {
        return None;
    }
    loop {
        at = skip_space(body, at + 1);
        match body.get(at)? {
            b'}' => return Some(envelope),
            b'"' => {}
            _ => return None,
        }
        let key_end = skip_string(body, at)?;
        let key = &body[at + 1..key_end - 1];
        at = skip_space(body, key_end);
        if body.get(at) != Some(&b':') {
            return None;
        }
        let start = skip_space(body, at + 1);
        at = skip_value(body, start)?;
        match key {
            b"id" => envelope.id = Some(&body[start..at]),
            b"method" => envelope.method = Some(body.get(start + 1..at - 1)?),
            _ => {}
        }
        if envelope.id.is_some() && envelope.method.is_some() {
            return Some(envelope);
        }
        at = skip_space(body, at);
        match body.get(at)? {
            b',' => {}
            b'}' => return Some(envelope),
            _ => return None,
        }
    }
}

fn skip_space(body: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\r' | b'\n') = body.get(at) {
        at += 1;
    }
    at
}

/// From an opening quote to the byte after the closing one.
fn skip_string(body: &[u8], mut at: usize) -> Option<usize> {
    at += 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', body.get(at..)?)?;
        if body[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// From a value's first byte to the byte after it. Brackets are counted, not matched.
fn skip_value(body: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0usize;
    loop {
        match body.get(at)? {
            b'"' => at = skip_string(body, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            _ if depth > 0 => at += 1,
            _ => {
                while !matches!(body.get(at)?, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n') {
                    at += 1;
                }
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Envelope, scan};

    fn check(body: &str, id: Option<&str>, method: Option<&str>) {
        let expected = Envelope { id: id.map(str::as_bytes), method: method.map(str::as_bytes) };
        assert_eq!(scan(body.as_bytes()), Some(expected), "{body}");
    }

    #[test]
    fn the_id_is_kept_as_it_is_written() {
        check(r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#, Some("7"), Some("ping"));
        check(r#"{"jsonrpc":"2.0","id":"a\"b","method":"ping"}"#, Some(r#""a\"b""#), Some("ping"));
        check(r#" { "id" : 9007199254740993 , "method" : "x" } "#, Some("9007199254740993"), Some("x"));
    }

    #[test]
    fn members_are_found_after_nested_ones_and_not_inside_them() {
        let body = r#"{"params":{"id":1,"s":"}\\\"{","a":[[{}],-1.5e3]},"method":"m","id":2}"#;
        check(body, Some("2"), Some("m"));
        check(r#"{"method":"notifications/x","params":{"id":3}}"#, None, Some("notifications/x"));
        check(r#"{"id":4,"result":{"method":"no"}}"#, Some("4"), None);
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for body in ["", "[]", "1", "{", r#"{"id""#, r#"{"id":1"#, r#"{"a":"#, r#"{"a":"b"#, "{1:2}"] {
            assert_eq!(scan(body.as_bytes()), None, "{body}");
        }
    }
}
