//! JSON-RPC 2.0 messages as MCP uses them: which one a body is, and where its governed fields stand.
//!
//! *Governed* fields are those that routing, policy or audit read. Their keys must be spelled
//! exactly and once: a second spelling (repeated, escaped, in another case) is how a request means
//! one thing to us and another to the server behind us, so it is refused (MCP.md 3.8).

mod write;

pub use write::{write_error, write_result};

use super::json::{DEPTH_CAP, Padded, Span, Text};

/// Bounds on what a body may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonLimits {
    /// Deepest nesting of objects and arrays; more than [`DEPTH_CAP`] counts as that.
    pub depth_max: u32,
    /// Most messages in a batch (revision 2025-03-26 only).
    pub batch_max: u32,
    /// Longest `id`, in bytes as written. It is echoed and kept while a call is in flight.
    pub id_bytes_max: u32,
}

impl Default for JsonLimits {
    fn default() -> Self {
        Self { depth_max: DEPTH_CAP, batch_max: 64, id_bytes_max: 1024 }
    }
}

/// What a body is.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::large_enum_variant)]
pub enum Message<'a> {
    /// One message.
    Single(Envelope<'a>),
    /// An array of messages, each checked like a single one.
    Batch(BatchFacts),
}

/// Whether a message asks, tells or answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Has `method` and `id`.
    Request,
    /// Has `method` and no `id`.
    Notification,
    /// Has `result` or `error`.
    Response,
}

/// What a batch holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchFacts {
    /// Messages in all.
    pub count: u32,
    /// Of these, requests.
    pub requests: u32,
    /// Of these, notifications.
    pub notifications: u32,
    /// Of these, responses.
    pub responses: u32,
    /// One of them is `initialize`, which may not be batched.
    pub has_initialize: bool,
    /// One of them names a protocol version in its `_meta`, as only revision 2026-07-28 does.
    pub has_meta_version: bool,
}

/// A field of a message that something reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
#[repr(u8)]
pub enum Field {
    Jsonrpc,
    Id,
    Method,
    Params,
    Result,
    Error,
    Name,
    Uri,
    Ref,
    TaskId,
    Task,
    Cursor,
    RequestState,
    InputResponses,
    Arguments,
    Meta,
    RequestId,
    ProgressTokenParam,
    ProtocolVersion,
    Level,
    RefType,
    RefName,
    RefUri,
    MetaVersion,
    MetaCapabilities,
    MetaClientInfo,
    MetaLogLevel,
    MetaProgressToken,
    MetaTraceparent,
    MetaTracestate,
    MetaBaggage,
}

/// How many [`Field`]s there are.
pub const FIELDS: usize = Field::MetaBaggage as usize + 1;

/// Where the fields of a message stand, without the body: what is kept while the kernel holds it.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    kind: Kind,
    /// Where the message itself stands (the whole body, or one element of a batch).
    whole: Span,
    present: u32,
    escaped: u32,
    spans: [Span; FIELDS],
}

impl Parts {
    /// Whether the message asks, tells or answers.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The message itself: its `{` to its `}`.
    pub fn whole(&self) -> Span {
        self.whole
    }

    /// The span of a field's value: for strings its inside without the quotes (but `id`,
    /// `requestId` and progress tokens with them, for they may also be numbers). `None` if the
    /// field is absent or null.
    pub fn span(&self, field: Field) -> Option<Span> {
        (self.present & (1 << field as u32) != 0).then(|| self.spans[field as usize])
    }

    /// The fields as bytes of `body`, which must be the body that they were found in.
    pub fn of<'a>(&self, body: &'a [u8]) -> Envelope<'a> {
        Envelope { body, parts: *self }
    }
}

/// One message: the body and where its fields stand.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    body: &'a [u8],
    parts: Parts,
}

impl<'a> Envelope<'a> {
    /// Whether the message asks, tells or answers.
    pub fn kind(&self) -> Kind {
        self.parts.kind
    }

    /// The body that the spans refer to.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The spans alone.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The bytes of a field's value; see [`Parts::span`].
    pub fn raw(&self, field: Field) -> Option<&'a [u8]> {
        self.parts.span(field).map(|span| span.of(self.body))
    }

    /// A string field. `None` if it is absent or null, or not always a string (`id`, objects).
    pub fn text(&self, field: Field) -> Option<Text<'a>> {
        let escaped = self.parts.escaped & (1 << field as u32) != 0;
        self.parts.span(field).map(|span| Text::new(self.body, span, escaped))
    }

    /// The token of `id` as written: an integer, or a string with its quotes. `1` is not `"1"`.
    pub fn id(&self) -> Option<&'a [u8]> {
        self.raw(Field::Id)
    }

    /// `method`; `None` exactly for responses.
    pub fn method(&self) -> Option<Text<'a>> {
        self.text(Field::Method)
    }

    /// `params.name`.
    pub fn name(&self) -> Option<Text<'a>> {
        self.text(Field::Name)
    }

    /// `params.uri`.
    pub fn uri(&self) -> Option<Text<'a>> {
        self.text(Field::Uri)
    }

    /// `params.ref.name`.
    pub fn ref_name(&self) -> Option<Text<'a>> {
        self.text(Field::RefName)
    }

    /// `params.ref.uri`.
    pub fn ref_uri(&self) -> Option<Text<'a>> {
        self.text(Field::RefUri)
    }

    /// `params.taskId`.
    pub fn task_id(&self) -> Option<Text<'a>> {
        self.text(Field::TaskId)
    }

    /// `params.cursor`. An empty one is a cursor too.
    pub fn cursor(&self) -> Option<Text<'a>> {
        self.text(Field::Cursor)
    }

    /// `params.requestState`: opaque, sent on as it is.
    pub fn request_state(&self) -> Option<Text<'a>> {
        self.text(Field::RequestState)
    }

    /// The token of `params.requestId` (notifications/cancelled), as [`Envelope::id`].
    pub fn request_id(&self) -> Option<&'a [u8]> {
        self.raw(Field::RequestId)
    }

    /// `params.arguments`, whatever it is: valid JSON, not looked into.
    pub fn arguments(&self) -> Option<&'a [u8]> {
        self.raw(Field::Arguments)
    }

    /// `params.protocolVersion` (initialize).
    pub fn protocol_version(&self) -> Option<Text<'a>> {
        self.text(Field::ProtocolVersion)
    }

    /// `params._meta["io.modelcontextprotocol/protocolVersion"]`.
    pub fn meta_version(&self) -> Option<Text<'a>> {
        self.text(Field::MetaVersion)
    }

    /// The object `params._meta["io.modelcontextprotocol/clientCapabilities"]`.
    pub fn meta_capabilities(&self) -> Option<&'a [u8]> {
        self.raw(Field::MetaCapabilities)
    }

    /// The token of `params._meta.progressToken`, as [`Envelope::id`].
    pub fn progress_token(&self) -> Option<&'a [u8]> {
        self.raw(Field::MetaProgressToken)
    }

    /// `params._meta.traceparent`.
    pub fn traceparent(&self) -> Option<Text<'a>> {
        self.text(Field::MetaTraceparent)
    }
}

/// What is wrong with a body, and what to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault<'a> {
    /// The rule that was broken.
    pub kind: FaultKind,
    /// The `id` to echo, where the body is valid JSON and its id could be read without doubt.
    pub id: Option<&'a [u8]>,
}

impl Fault<'_> {
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

/// Checks a whole body and finds its governed fields, in one pass and without allocating.
///
/// # Errors
/// The first rule that is broken; a body that is not JSON is always [`FaultKind::Syntax`],
/// [`FaultKind::Utf8`] or [`FaultKind::Depth`], whatever else is wrong with it.
pub fn extract_envelope<'a>(body: Padded<'a>, limits: &JsonLimits) -> Result<Message<'a>, Fault<'a>> {
    let _ = (body, limits);
    Err(Fault { kind: FaultKind::Syntax, id: None })
}

/// Visits the messages of a batch in order; a single message is visited as a batch of one.
///
/// # Errors
/// As [`extract_envelope`]; messages before the faulty one have been visited by then.
pub fn for_each_envelope<'a>(
    body: Padded<'a>,
    limits: &JsonLimits,
    visit: impl FnMut(Envelope<'a>),
) -> Result<(), Fault<'a>> {
    let _ = (body, limits, visit);
    Err(Fault { kind: FaultKind::Syntax, id: None })
}
