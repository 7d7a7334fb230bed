//! What can be wrong with a body, and what to answer.

use crate::wire::json::JsonError;

/// What is wrong with a body, and what to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault<'a> {
    /// The rule that was broken.
    pub kind: FaultKind,
    /// The `id` to echo, where the body is valid JSON and its id could be read without doubt.
    pub id: Option<&'a [u8]>,
}

impl Fault<'_> {
    /// A fault of a body whose `id` is not known.
    #[cold]
    pub(super) fn of(kind: impl Into<FaultKind>) -> Self {
        Self { kind: kind.into(), id: None }
    }

    /// The JSON-RPC error code.
    pub fn code(&self) -> i64 {
        self.kind.code()
    }

    /// A sentence for the client. Holds nothing of the body.
    pub fn message(&self) -> &'static str {
        self.kind.message()
    }
}

/// The rules that a body can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// Not JSON.
    Syntax,
    /// Not UTF-8.
    Utf8,
    /// Nested too deeply.
    Depth,
    /// The body is JSON, but neither an object nor an array; or an element of a batch is no object.
    NotObject,
    /// A batch of nothing.
    BatchEmpty,
    /// A batch of more than [`JsonLimits::batch_max`].
    BatchTooLong,
    /// A governed key occurs twice.
    KeyTwice,
    /// A governed key is written with escapes or in another case.
    KeyVariant,
    /// A governed string holds half a surrogate pair, which has no UTF-8.
    LoneSurrogate,
    /// `jsonrpc` is absent or not `"2.0"`.
    Version,
    /// `id` is neither a string nor an integer.
    Id,
    /// `id` is longer than [`JsonLimits::id_bytes_max`].
    IdTooLong,
    /// `method` is not a string, or `params`, `error` not an object.
    Shape,
    /// Neither a request nor a response, or both.
    Ambiguous,
    /// A field of `params` has the wrong type.
    ParamType,
}

impl From<JsonError> for FaultKind {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::Syntax => Self::Syntax,
            JsonError::Utf8 => Self::Utf8,
            JsonError::Depth => Self::Depth,
        }
    }
}

impl FaultKind {
    /// The JSON-RPC error code.
    pub fn code(self) -> i64 {
        match self {
            Self::Syntax | Self::Utf8 | Self::Depth => -32700,
            Self::ParamType => -32602,
            _ => -32600,
        }
    }

    /// A sentence for the client.
    pub fn message(self) -> &'static str {
        match self {
            Self::Syntax => "Parse error: the body is not one JSON value",
            Self::Utf8 => "Parse error: the body is not UTF-8",
            Self::Depth => "Parse error: the body is nested too deeply",
            Self::NotObject => "Invalid request: a message must be a JSON object",
            Self::BatchEmpty => "Invalid request: the batch is empty",
            Self::BatchTooLong => "Invalid request: the batch holds too many messages",
            Self::KeyTwice => "Invalid request: a key occurs twice",
            Self::KeyVariant => "Invalid request: a key is spelled with escapes or in another case",
            Self::LoneSurrogate => "Invalid request: a string holds an unpaired surrogate",
            Self::Version => "Invalid request: jsonrpc must be \"2.0\"",
            Self::Id => "Invalid request: id must be a string or an integer",
            Self::IdTooLong => "Invalid request: id is too long",
            Self::Shape => "Invalid request: a field of the message has the wrong type",
            Self::Ambiguous => "Invalid request: neither a request, a notification nor a response",
            Self::ParamType => "Invalid params: a field has the wrong type",
        }
    }
}
