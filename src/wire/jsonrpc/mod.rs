//! JSON-RPC 2.0 messages as MCP uses them: which one a body is, and where its governed fields stand.
//!
//! *Governed* fields are those that routing, policy or audit read. Their keys must be spelled
//! exactly and once: a second spelling (repeated, escaped, in another case) is how a request means
//! one thing to us and another to the server behind us, so it is refused.
#![forbid(unsafe_code)]

mod extract;
mod fault;
mod field;
#[cfg(any(test, fuzzing))]
pub mod naive;
mod spelling;
mod write;

pub use extract::{extract_envelope, extract_envelope_portable, for_each_envelope};
pub use fault::{Fault, FaultKind};
pub use field::Field;
pub(in crate::wire) use spelling::is_variant;
pub use write::{write_error, write_result};

use super::json::{DEPTH_CAP, Span, Text};
use field::FIELDS;

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

#[cfg(test)]
mod property;
#[cfg(test)]
mod tests;
