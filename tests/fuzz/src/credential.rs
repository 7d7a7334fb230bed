//! The credential of a head, against a reading of the grammar letter by letter.

use crate::policy::authn::{API_KEY_BYTES_MAX, Credential, TOKEN_BYTES_MAX};

/// Lines that begin with `A` are values of `Authorization`, with `K` of `X-Api-Key`; with `Q` one is the query.
pub fn check(data: &[u8]) {
    let lines: Vec<&[u8]> = data.split(|&byte| byte == b'\n').collect();
    let of = |kind: u8| lines.iter().filter_map(move |line| line.strip_prefix(&[kind]));
    // The codec of heads takes blanks off around a value.
    let (shown, keys): (Vec<_>, Vec<_>) =
        (of(b'A').map(<[u8]>::trim_ascii).collect(), of(b'K').map(<[u8]>::trim_ascii).collect());
    let query = of(b'Q').next();
    let read = Credential::read(shown.iter().copied(), keys.iter().copied(), query);
    let read = match read {
        Ok(Credential::None) => Some(("none", &b""[..])),
        Ok(Credential::Bearer(token)) => Some(("bearer", token)),
        Ok(Credential::ApiKey(key)) => Some(("key", key)),
        Err(_) => None,
    };
    assert_eq!(read, naive(&shown, &keys, query));
}

fn naive<'d>(
    shown: &[&'d [u8]],
    keys: &[&'d [u8]],
    query: Option<&[u8]>,
) -> Option<(&'static str, &'d [u8])> {
    let asks = |parameter: &[u8]| {
        let name = parameter.split(|&byte| byte == b'=').next().unwrap_or_default();
        unescaped(name).to_ascii_lowercase() == b"access_token"
    };
    if query.is_some_and(|query| query.split(|&byte| byte == b'&').any(asks)) {
        return None;
    }
    match (shown, keys) {
        ([], []) => Some(("none", b"")),
        ([value], []) => {
            let space = value.iter().position(|&byte| byte == b' ')?;
            let (scheme, rest) = value.split_at(space);
            let start = rest.iter().position(|&byte| byte != b' ')?;
            let token = &rest[start..];
            let good = scheme.to_ascii_lowercase() == b"bearer" && is_token68(token, TOKEN_BYTES_MAX);
            good.then_some(("bearer", token))
        }
        ([], [key]) => is_token68(key, API_KEY_BYTES_MAX).then_some(("key", *key)),
        _ => None,
    }
}

/// RFC 9110 section 11.2.
fn is_token68(token: &[u8], bytes_max: usize) -> bool {
    const BODY: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/";
    let end = token.iter().position(|&byte| byte == b'=').unwrap_or(token.len());
    let (body, padding) = token.split_at(end);
    token.len() <= bytes_max
        && !body.is_empty()
        && body.iter().all(|byte| BODY.contains(byte))
        && padding.iter().all(|&byte| byte == b'=')
}

fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < name.len() {
        let escape = name.get(at + 1..at + 3).filter(|_| name[at] == b'%');
        let digits = escape.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let byte = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match byte.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(name[at]);
                at += 1;
            }
        }
    }
    out
}
