//! The credential of a request: which one was shown, if one was, and whether it can be one at all. Runs on every
//! request, so it looks and copies nothing.

use super::refused::{
    MALFORMED_CREDENTIAL, OVERSIZED_CREDENTIAL, Refused, TOKEN_IN_QUERY, TWO_CREDENTIALS, UNSUPPORTED_SCHEME,
};

/// Bytes of a bearer token.
pub const TOKEN_BYTES_MAX: usize = 16 << 10;
/// Bytes of an API key.
pub const API_KEY_BYTES_MAX: usize = 256;

/// What a request shows, before any of it is believed.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// No credential in the head. A client certificate may still be there.
    None,
    /// A bearer token (RFC 6750 section 2.1).
    Bearer(&'a [u8]),
    /// An API key in `X-Api-Key`.
    ApiKey(&'a [u8]),
}

impl<'a> Credential<'a> {
    /// The credential in all values of `Authorization` and of `X-Api-Key`, and the query of the target (what stands
    /// behind `?`), as they were received, without blanks around the values.
    ///
    /// # Errors
    /// More than one credential, a token in the query (RFC 6750 section 2.3 must not be used), another scheme than
    /// `Bearer` in whatever case (RFC 9110 section 11.1), or what cannot be a token.
    pub fn read(
        authorization: impl IntoIterator<Item = &'a [u8]>,
        api_key: impl IntoIterator<Item = &'a [u8]>,
        query: Option<&[u8]>,
    ) -> Result<Self, Refused> {
        Self::shown(authorization, api_key, query).and_then(Self::checked)
    }

    /// As [`Credential::read`], but that the bytes of the credential itself were not looked at: for who finds it among
    /// those that were verified, which it is then equal to. Otherwise it must be [`Credential::checked`].
    ///
    /// # Errors
    /// As [`Credential::read`], but for bytes that no token has.
    pub fn shown(
        authorization: impl IntoIterator<Item = &'a [u8]>,
        api_key: impl IntoIterator<Item = &'a [u8]>,
        query: Option<&[u8]>,
    ) -> Result<Self, Refused> {
        let (mut authorization, mut api_key) = (authorization.into_iter(), api_key.into_iter());
        if query.is_some_and(names_a_token) {
            return Err(TOKEN_IN_QUERY);
        }
        let shown = (authorization.next(), api_key.next());
        if authorization.next().is_some() || api_key.next().is_some() {
            return Err(TWO_CREDENTIALS);
        }
        match shown {
            (None, None) => Ok(Self::None),
            (Some(value), None) => bearer(value).map(Self::Bearer),
            (None, Some(key)) => bounded(key, API_KEY_BYTES_MAX).map(Self::ApiKey),
            (Some(_), Some(_)) => Err(TWO_CREDENTIALS),
        }
    }

    /// The same, if it has the bytes that a credential may have.
    ///
    /// # Errors
    /// What cannot be a token.
    pub fn checked(self) -> Result<Self, Refused> {
        match self {
            Self::Bearer(token) | Self::ApiKey(token) if !is_token68(token) => Err(MALFORMED_CREDENTIAL),
            credential => Ok(credential),
        }
    }
}

impl std::fmt::Debug for Credential<'_> {
    /// The kind alone.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Bearer(_) => "Bearer(***)",
            Self::ApiKey(_) => "ApiKey(***)",
        })
    }
}

/// The token of `Bearer 1*SP b64token`.
fn bearer(value: &[u8]) -> Result<&[u8], Refused> {
    // What nearly every client sends.
    if let Some([first, ..]) = value.strip_prefix(b"Bearer ")
        && *first != b' '
    {
        return bounded(&value[b"Bearer ".len()..], TOKEN_BYTES_MAX);
    }
    let end = value.iter().position(|byte| !is_token(*byte)).unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    if scheme.is_empty() {
        return Err(MALFORMED_CREDENTIAL);
    }
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(UNSUPPORTED_SCHEME);
    }
    let blanks = rest.iter().take_while(|byte| **byte == b' ').count();
    match blanks {
        // `Bearer` alone, or with a tab or comma behind it.
        0 => Err(MALFORMED_CREDENTIAL),
        _ => bounded(&rest[blanks..], TOKEN_BYTES_MAX),
    }
}

fn bounded(token: &[u8], bytes_max: usize) -> Result<&[u8], Refused> {
    if token.len() > bytes_max { Err(OVERSIZED_CREDENTIAL) } else { Ok(token) }
}

/// Whether these are the bytes of a `token68` (RFC 9110 section 11.2).
fn is_token68(token: &[u8]) -> bool {
    let padding = token.iter().rev().take_while(|byte| **byte == b'=').count();
    let body = &token[..token.len() - padding];
    // All bytes are looked at, without a branch or a table, so that the compiler takes many at once.
    !body.is_empty() && body.iter().fold(true, |good, byte| good & is_b64token(*byte))
}

/// Whether `byte` may be in a `token68` before its padding (RFC 9110 section 11.2), which RFC 6750 calls `b64token`.
fn is_b64token(byte: u8) -> bool {
    let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
    // `-`, `.`, `/` and the digits stand beside each other.
    let digit = byte.wrapping_sub(b'-') < 13;
    letter | digit | (byte == b'_') | (byte == b'~') | (byte == b'+')
}

/// Whether `byte` may be in a `token` (RFC 9110 section 5.6.2), as the scheme is.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether a parameter of `query` is named `access_token`, with or without escapes.
fn names_a_token(query: &[u8]) -> bool {
    query.split(|byte| *byte == b'&').any(|parameter| {
        let name = parameter.split(|byte| *byte == b'=').next().unwrap_or_default();
        decoded(name).eq(b"access_token".iter().copied())
    })
}

/// The bytes of `name` without percent escapes, in lower case.
fn decoded(name: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = name.get(at..)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        let (byte, step) = match rest {
            [b'%', high, low, ..] => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, 3),
                _ => (b'%', 1),
            },
            [byte, ..] => (*byte, 1),
            [] => return None,
        };
        at += step;
        Some(byte.to_ascii_lowercase())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        authorization: &[&[u8]],
        api_key: &[&[u8]],
        query: Option<&[u8]>,
    ) -> Result<String, &'static str> {
        let read = Credential::read(authorization.iter().copied(), api_key.iter().copied(), query);
        read.map_err(|refused| refused.reason).map(|credential| match credential {
            Credential::None => "none".to_owned(),
            Credential::Bearer(token) => format!("bearer {}", String::from_utf8_lossy(token)),
            Credential::ApiKey(key) => format!("key {}", String::from_utf8_lossy(key)),
        })
    }

    #[test]
    fn one_credential_is_read_in_every_permitted_spelling() {
        for (value, token) in [
            (&b"Bearer abc"[..], "abc"),
            (b"bearer abc", "abc"),
            (b"BEARER abc", "abc"),
            (b"bEaReR   abc", "abc"),
            (b"Bearer a.b-c_d~e+f/g==", "a.b-c_d~e+f/g=="),
            (b"Bearer Bearer", "Bearer"),
        ] {
            assert_eq!(read(&[value], &[], None), Ok(format!("bearer {token}")));
        }
        assert_eq!(read(&[], &[b"rgk_a_b"], Some(b"x=1")), Ok("key rgk_a_b".to_owned()));
        assert_eq!(read(&[], &[], None), Ok("none".to_owned()));
        assert_eq!(read(&[], &[], Some(b"token=1&access_tokens=2&x=access_token")), Ok("none".to_owned()));
    }

    #[test]
    fn what_cannot_be_a_credential_is_refused_and_not_taken_for_none() {
        for (value, reason) in [
            (&b""[..], "malformed_credential"),
            (b"Bearer", "malformed_credential"),
            (b"Bearer ", "malformed_credential"),
            (b"Bearer    ", "malformed_credential"),
            (b"Bearer\tabc", "malformed_credential"),
            (b"Bearer \tabc", "malformed_credential"),
            (b" Bearer abc", "malformed_credential"),
            (b"Bearer abc def", "malformed_credential"),
            (b"Bearer abc ", "malformed_credential"),
            (b"Bearer abc,Bearer def", "malformed_credential"),
            (b"Bearer abc, Basic def", "malformed_credential"),
            (b"Bearer a=b", "malformed_credential"),
            (b"Bearer ===", "malformed_credential"),
            (b"Bearer \"abc\"", "malformed_credential"),
            (b"Bearer abc\xff", "malformed_credential"),
            (b"Bearer \xc3\xa4", "malformed_credential"),
            (b"Bearer a\0b", "malformed_credential"),
            (b"\xffearer abc", "malformed_credential"),
            (b"Bearer:abc", "malformed_credential"),
            (b"Bearer=abc", "malformed_credential"),
            (b"Basic dXNlcjpwYXNz", "unsupported_scheme"),
            (b"Bearerabc", "unsupported_scheme"),
            (b"Bearers abc", "unsupported_scheme"),
            (b"DPoP abc", "unsupported_scheme"),
            (b"abc", "unsupported_scheme"),
        ] {
            assert_eq!(read(&[value], &[], None), Err(reason), "{:?}", String::from_utf8_lossy(value));
        }
        for key in [&b""[..], b"a b", b"a\xff", b"a,b"] {
            assert_eq!(read(&[], &[key], None), Err("malformed_credential"));
        }
    }

    #[test]
    fn what_is_only_shown_is_the_same_once_it_is_checked() {
        for value in
            [&b"Bearer abc"[..], b"Bearer a b", b"Bearer  abc", b"bearer ===", b"Bearer \xff", b"Bearer "]
        {
            let shown = Credential::shown([value], [], None).and_then(Credential::checked);
            let reason =
                |read: Result<Credential<'_>, Refused>| read.map(drop).map_err(|refused| refused.reason);
            assert_eq!(reason(shown), reason(Credential::read([value], [], None)));
        }
        assert!(Credential::shown([&b"Bearer a b"[..]], [], None).is_ok(), "not looked at yet");
        let long = vec![b'a'; API_KEY_BYTES_MAX + 1];
        assert!(Credential::shown([], [&long[..]], None).is_err(), "the length is bounded at once");
    }

    #[test]
    fn a_token_has_the_bytes_of_its_grammar_and_no_others() {
        for byte in 0..=u8::MAX {
            let listed = byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
            assert_eq!(is_b64token(byte), listed, "{byte}");
        }
    }

    #[test]
    fn two_credentials_are_none() {
        let two = Err("two_credentials");
        assert_eq!(read(&[b"Bearer a", b"Bearer a"], &[], None), two);
        assert_eq!(read(&[b"Bearer a", b""], &[], None), two);
        assert_eq!(read(&[b"Bearer a"], &[b"rgk_a_b"], None), two);
        assert_eq!(read(&[b"Basic a"], &[b"rgk_a_b"], None), two);
        assert_eq!(read(&[], &[b"rgk_a_b", b"rgk_a_b"], None), two);
    }

    #[test]
    fn a_token_in_the_query_is_refused_however_it_is_spelled() {
        for query in [
            &b"access_token=abc"[..],
            b"a=b&access_token=abc",
            b"access_token",
            b"&&access_token=",
            b"access%5ftoken=abc",
            b"%61ccess%5Ftoken=abc",
            b"ACCESS_TOKEN=abc",
        ] {
            assert_eq!(read(&[], &[], Some(query)), Err("token_in_query"));
            assert_eq!(read(&[b"Bearer abc"], &[], Some(query)), Err("token_in_query"));
        }
        for query in [&b"access%5token=a"[..], b"%", b"%6", b"access_token%", b""] {
            assert_eq!(read(&[], &[], Some(query)), Ok("none".to_owned()));
        }
    }

    #[test]
    fn the_length_has_a_bound() {
        let bearer = |len: usize| [&b"Bearer "[..], &vec![b'a'; len]].concat();
        assert!(read(&[&bearer(TOKEN_BYTES_MAX)], &[], None).is_ok());
        assert_eq!(read(&[&bearer(TOKEN_BYTES_MAX + 1)], &[], None), Err("oversized_credential"));
        assert!(read(&[], &[&[b'a'; API_KEY_BYTES_MAX]], None).is_ok());
        assert_eq!(read(&[], &[&[b'a'; API_KEY_BYTES_MAX + 1]], None), Err("oversized_credential"));
    }

    #[test]
    fn a_credential_prints_its_kind_alone() {
        assert_eq!(
            format!("{:?} {:?}", Credential::Bearer(b"hunter2"), Credential::ApiKey(b"h")),
            "Bearer(***) ApiKey(***)"
        );
    }
}
