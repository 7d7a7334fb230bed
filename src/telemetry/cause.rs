//! Causes of answers that the gateway gives itself: one word each, in metrics, logs and docs/operations.md.

macro_rules! causes {
    ($($(#[$doc:meta])* $cause:ident = $status:literal, $label:literal;)*) => {
        /// Cause of an answer that the gateway gives itself.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Cause {
            $($(#[$doc])* $cause,)*
        }

        impl Cause {
            /// All of them, in order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$cause),*];

            /// Word in metrics and logs.
            pub fn label(self) -> &'static str {
                match self { $(Self::$cause => $label),* }
            }

            /// Status that this cause usually leads to.
            pub fn usual_status(self) -> u16 {
                match self { $(Self::$cause => $status),* }
            }
        }
    };
}

causes! {
    /// Head or framing that breaks RFC 9112 or a bound of it.
    BadHttp = 400, "bad_http";
    /// Body or MCP header that breaks JSON-RPC or MCP.
    BadMessage = 400, "bad_message";
    /// `Host` that is not served.
    UnknownHost = 403, "unknown_host";
    /// Page of an origin that is not served.
    ForeignOrigin = 403, "foreign_origin";
    /// Path that leads to no server.
    NoServer = 404, "no_server";
    /// HTTP method that is not offered at the path.
    Method = 405, "method";
    /// `Content-Type` or `Accept` that MCP does not allow.
    MediaType = 415, "media_type";
    /// Body over `limits.body_bytes_max`.
    BodySize = 413, "body_size";
    /// Request that did not arrive in time.
    TooSlow = 408, "too_slow";
    /// Credential that is missing, not good, or cannot be verified now.
    Credential = 401, "credential";
    /// Token without a scope that is needed.
    Scope = 403, "scope";
    /// Message that a rule denies.
    Denied = 403, "denied";
    /// Message that a limit refuses.
    Limited = 429, "limited";
    /// Session id that nobody, or somebody else, was given.
    NoSession = 404, "no_session";
    /// `Last-Event-ID` without its session.
    Resumption = 400, "resumption";
    /// No token or assertion for the server.
    ServerCredential = 503, "server_credential";
    /// No place at the server: `adaptive`.
    ServerBusy = 503, "server_busy";
    /// No bytes left for a body, or another bound of the process.
    Overload = 503, "overload";
    /// Fault of the gateway's own.
    Internal = 500, "internal";
    /// All connections to the server are in use: `limits.upstream_connections_max`.
    PoolFull = 503, "pool_full";
    /// Name of the server that does not resolve.
    Unresolved = 502, "unresolved";
    /// Connection to the server that was refused or failed.
    DialFailed = 502, "dial_failed";
    /// Connection that the server did not accept in time.
    DialTimeout = 504, "dial_timeout";
    /// Server that closed the connection without an answer.
    Closed = 502, "closed";
    /// Server that did not begin to answer in time.
    NoAnswer = 504, "no_answer";
    /// Server that did not take the request in time.
    NotTaken = 504, "not_taken";
    /// Answer that cannot be passed on.
    BadAnswer = 502, "bad_answer";
}

impl Cause {
    /// The server is to blame, or the way to it: such a cause is counted under the server.
    pub fn is_of_server(self) -> bool {
        self as u8 >= Self::PoolFull as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_one_word_of_its_own_and_operators_are_told_what_to_do() {
        let mut words: Vec<_> = Cause::ALL.iter().map(|cause| cause.label()).collect();
        assert!(words.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Cause::ALL.len());
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md"));
        let page = page.unwrap_or_default();
        for cause in Cause::ALL {
            assert!(page.contains(&format!("| `{}` |", cause.label())), "docs/operations.md: {cause:?}");
        }
    }

    #[test]
    fn servers_are_blamed_for_what_is_theirs() {
        assert!(Cause::PoolFull.is_of_server() && Cause::BadAnswer.is_of_server());
        assert!(!Cause::Internal.is_of_server() && !Cause::ServerBusy.is_of_server());
    }
}
