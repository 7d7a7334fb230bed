//! Why a message head is refused, the status to answer, and a sentence that helps the sender.

use std::fmt;

macro_rules! head_errors {
    ($($(#[$doc:meta])* $variant:ident => $status:literal, $message:literal;)*) => {
        /// A head that is refused. The connection cannot be used any further: where the next message
        /// starts is unknown or in doubt.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum HeadError {
            $(#[doc = $message] $(#[$doc])* $variant,)*
        }

        impl HeadError {
            /// The status to answer a request with. For a response head the client gets 502 instead.
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// What is wrong and how to fix it, in words for the sender.
            pub fn message(self) -> &'static str {
                match self { $(Self::$variant => $message,)* }
            }

            /// A short constant word, for metrics and tests.
            pub fn label(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)* }
            }

            /// All of them, for tests and documentation.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];
        }
    };
}

head_errors! {
    /// RFC 9112 section 2.2.
    BareLineFeed => 400, "a line of the head ends with a bare LF: end every line with CR LF";
    /// RFC 9112 section 2.2.
    LineEnd => 400, "something else where a line must end with CR LF: remove it";
    /// RFC 9112 section 2.2 lets a server skip empty lines; one is.
    EmptyLines => 400, "empty lines or whitespace before the request line: start with the method";
    /// RFC 9112 section 3.
    RequestLine => 400, "malformed request line: send METHOD SP TARGET SP HTTP/1.1 CR LF";
    /// RFC 9110 section 15.6.6.
    Version => 505, "unsupported protocol version: use HTTP/1.1";
    /// RFC 9110 section 9.1.
    MethodTooLong => 501, "method name too long: use a standard method";
    /// RFC 9110 sections 9.3.6 and 9.3.8.
    MethodRefused => 501, "CONNECT and TRACE are not offered: use GET, POST or DELETE";
    /// RFC 9110 section 15.5.15.
    TargetTooLong => 414, "request target too long: send the data in the body";
    /// RFC 9112 section 3.2.
    TargetForm => 400, "request target must be a path that starts with / or an absolute http URI";
    /// RFC 3986 section 3.3.
    TargetByte => 400, "request target holds a byte that must be percent-encoded, or a fragment";
    /// RFC 9110 section 4.2.4.
    TargetUserinfo => 400, "request target holds user information: send Authorization instead";
    /// RFC 6585 section 5.
    HeadTooLong => 431, "header fields too large: send fewer or shorter ones";
    /// RFC 6585 section 5.
    TooManyHeaders => 431, "too many header fields: send fewer (limits.headers_max, 64 at most)";
    /// RFC 9112 section 5.1.
    HeaderName => 400, "malformed header name: only letters, digits and -, and the colon right after it";
    /// RFC 9110 section 5.5.
    HeaderValue => 400, "a header value holds a control byte: remove CR, LF, NUL and other controls";
    /// RFC 9112 section 5.2.
    FoldedLine => 400, "folded header line: put the whole value on one line";
    /// See [`HeaderId::has_disguise`](super::HeaderId::has_disguise).
    DisguisedHeader => 400, "a header name differs from a known one only by an underscore: use the hyphen";
    /// RFC 9112 section 3.2.
    HostMissing => 400, "no Host header: HTTP/1.1 needs exactly one";
    /// RFC 9112 section 3.2.
    HostRepeated => 400, "more than one Host header: send exactly one";
    /// RFC 9110 section 7.2.
    HostInvalid => 400, "malformed Host header: send name or address and optionally :port";
    /// RFC 9112 section 3.2.2.
    HostMismatch => 400, "Host differs from the authority of the request target: send the same";
    /// RFC 9110 section 8.6.
    ContentLengthInvalid => 400, "malformed Content-Length: one decimal number of bytes";
    /// RFC 9112 section 6.3. Equal ones are refused too: peers differ in which they believe.
    ContentLengthRepeated => 400, "more than one Content-Length header: send exactly one";
    /// RFC 9112 section 6.1.
    LengthAndEncoding => 400, "both Content-Length and Transfer-Encoding: send one of them";
    /// RFC 9112 section 6.1.
    EncodingRepeated => 400, "more than one Transfer-Encoding header: send only chunked, once";
    /// RFC 9112 section 6.3.
    EncodingNotChunked => 400, "the last transfer coding is not chunked: the body's end is unknown";
    /// RFC 9112 section 6.1.
    EncodingUnsupported => 501, "transfer coding not supported: send Transfer-Encoding: chunked only";
    /// RFC 9112 section 6.1.
    EncodingInHttp10 => 400, "Transfer-Encoding in an HTTP/1.0 message: send Content-Length";
    /// RFC 9110 section 10.1.1.
    ExpectUnsupported => 417, "unsupported expectation: only 100-continue is";
    /// RFC 9110 section 5.3: fields that hold one value and that decide who gets what.
    SingletonRepeated => 400, "a header that must be single is repeated: send Authorization, Content-Type, Expect and Origin once";
    /// RFC 9110 section 7.6.1: a connection option may not name a field for the receiver of the content.
    ConnectionNamesField => 400, "Connection names an end-to-end header: name only headers of this connection";
    /// RFC 9110 section 7.6.1. Real heads have up to four, the bound is 32.
    TooManyConnectionOptions => 400, "more than 32 options in Connection: name only headers of this connection";
    /// RFC 9112 section 4. From an upstream.
    StatusLine => 502, "malformed status line from the upstream";
    /// RFC 9110 section 15: only 100 to 599 have a meaning. From an upstream.
    StatusInvalid => 502, "status code from the upstream is not 100 to 599";
    /// No request of the gateway asks to switch. From an upstream.
    SwitchingProtocols => 502, "the upstream switched protocols unasked";
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for HeadError {}
