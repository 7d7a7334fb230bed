//! Why a caller was refused: every reason there is.

/// Why a caller was refused: what it is told, and what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// 400 where the request itself is malformed (two credentials, a token that cannot be one), 503 where the issuer's
    /// keys cannot be had, else 401.
    pub status: u16,
    /// The word in metrics and logs: `expired`, `wrong_audience`, `unknown_key`, ...
    pub reason: &'static str,
    /// What the caller is told. Nothing of the credential is in it.
    pub message: &'static str,
}

impl Refused {
    const fn new(status: u16, reason: &'static str, message: &'static str) -> Self {
        Self { status, reason, message }
    }

    /// Whether no credential was shown: then the challenge has no `error` (RFC 6750 section 3.1).
    pub fn shows_nothing(&self) -> bool {
        *self == NO_CREDENTIAL
    }

    /// After how many seconds a 503 is worth another try.
    pub fn retry_after(&self) -> u64 {
        // Keys are fetched again by then.
        if *self == UNKNOWN_KEY_YET { 10 } else { 2 }
    }
}

macro_rules! reasons {
    ($($name:ident = $status:literal, $reason:literal, $message:literal;)*) => {
        $(#[doc = $message] pub const $name: Refused = Refused::new($status, $reason, $message);)*
        /// All of them.
        pub const ALL: &[Refused] = &[$($name),*];
    };
}

reasons! {
    NO_CREDENTIAL = 401, "no_credential", "a credential is needed here";
    TWO_CREDENTIALS = 400, "two_credentials", "show one credential, in one header";
    TOKEN_IN_QUERY = 400, "token_in_query", "a token in the URL is not accepted; send it as Authorization: Bearer";
    UNSUPPORTED_SCHEME = 401, "unsupported_scheme", "the only scheme of Authorization here is Bearer";
    MALFORMED_CREDENTIAL = 400, "malformed_credential", "the credential is not one word of the characters that a token has";
    OVERSIZED_CREDENTIAL = 400, "oversized_credential", "the credential is longer than any that is accepted";
    UNSUPPORTED = 401, "unsupported", "no credential of this kind is accepted here";
    MALFORMED_TOKEN = 401, "malformed_token", "the token cannot be read";
    UNSUPPORTED_TYPE = 401, "unsupported_type", "the token is not an access token";
    WRONG_ALGORITHM = 401, "wrong_algorithm", "the token is signed by an algorithm that is not accepted";
    UNKNOWN_ISSUER = 401, "unknown_issuer", "the token's issuer is not trusted here";
    UNKNOWN_KEY = 401, "unknown_key", "the token is signed by a key that its issuer does not publish";
    AMBIGUOUS_KEY = 401, "ambiguous_key", "the token does not say which of its issuer's keys signed it";
    UNKNOWN_KEY_YET = 503, "unknown_key_yet", "the token is signed by a key that its issuer did not publish a moment ago: try again";
    NO_KEYS = 503, "no_keys", "the keys of the token's issuer cannot be had";
    BAD_SIGNATURE = 401, "bad_signature", "the token's signature is not valid";
    EXPIRED = 401, "expired", "the credential has expired";
    NOT_YET_VALID = 401, "not_yet_valid", "the credential is not valid yet";
    TOO_OLD = 401, "too_old", "the token was issued too long ago";
    WRONG_AUDIENCE = 401, "wrong_audience", "the credential is not for this server";
    MALFORMED_CLAIMS = 401, "malformed_claims", "a claim of the token is missing, of the wrong kind or too long";
    REQUIRED_CLAIM = 401, "required_claim", "the token lacks a claim that is required here";
    NO_SUBJECT = 401, "no_subject", "the token names neither an agent nor a user";
    BOUND_TOKEN = 401, "bound_token", "the token is bound to a key of its holder, which is not supported here";
    REVOKED = 401, "revoked", "the credential was revoked";
    MISTYPED_API_KEY = 401, "mistyped_api_key", "the API key is not whole, or has a slip in it";
    UNKNOWN_API_KEY = 401, "unknown_api_key", "the API key is not valid";
    UNKNOWN_CERTIFICATE = 401, "unknown_certificate", "the client certificate belongs to nobody known here";
    UNTRUSTED_CERTIFICATE = 401, "untrusted_certificate", "the client certificate of this connection is not good any more: connect again";
    REFUSED_GRANT = 401, "refused_grant", "the issuer takes this token for no other: sign in again";
    INACTIVE = 401, "inactive", "the token is not active";
    REFUSED_ASSERTION = 401, "refused_assertion", "the issuer does not accept the assertion";
    MALFORMED_ASSERTION = 401, "malformed_assertion", "the assertion is none that is sent to the issuer";
    MALFORMED_ANSWER = 503, "malformed_answer", "the token could not be checked";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_one_word_of_its_own() {
        let mut words: Vec<_> = ALL.iter().map(|refused| refused.reason).collect();
        assert!(words.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), ALL.len());
        assert!(ALL.iter().all(|refused| [400, 401, 503].contains(&refused.status)));
        // It stands in a quoted string of a header.
        assert!(ALL.iter().all(|refused| !refused.message.contains(['"', '\\', '\r', '\n'])));
        assert!(NO_CREDENTIAL.shows_nothing() && !EXPIRED.shows_nothing());
    }
}
