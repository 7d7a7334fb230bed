//! Which keys are governed, at which level, and what they must hold.

use super::fault::FaultKind;
use super::spelling;

/// A field of a message that something reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Field {
    /// `jsonrpc`.
    Jsonrpc,
    /// `id`.
    Id,
    /// `method`.
    Method,
    /// `params`.
    Params,
    /// `result`.
    Result,
    /// `error`.
    Error,
    /// `params.name` (tools/call, prompts/get).
    Name,
    /// `params.uri` (resources/read, subscribe, unsubscribe; notifications/resources/updated).
    Uri,
    /// `params.ref` (completion/complete).
    Ref,
    /// `params.taskId`.
    TaskId,
    /// `params.task` (2025-11-25: the caller asks for a task).
    Task,
    /// `params.cursor`.
    Cursor,
    /// `params.requestState` (2026-07-28: a retry with the asked-for input).
    RequestState,
    /// `params.inputResponses` (2026-07-28: the same).
    InputResponses,
    /// `params.arguments`.
    Arguments,
    /// `params._meta`.
    Meta,
    /// `params.requestId` (notifications/cancelled).
    RequestId,
    /// `params.progressToken` (notifications/progress).
    ProgressToken,
    /// `params.protocolVersion` (initialize).
    ProtocolVersion,
    /// `params.level` (logging/setLevel).
    Level,
    /// `params.ref.type`.
    RefType,
    /// `params.ref.name`.
    RefName,
    /// `params.ref.uri`.
    RefUri,
    /// `params._meta["io.modelcontextprotocol/protocolVersion"]`.
    MetaVersion,
    /// `params._meta["io.modelcontextprotocol/clientCapabilities"]`.
    MetaCapabilities,
    /// `params._meta["io.modelcontextprotocol/clientInfo"]`. Nobody vouches for it: not for policy.
    MetaClientInfo,
    /// `params._meta["io.modelcontextprotocol/logLevel"]`.
    MetaLogLevel,
    /// `params._meta.progressToken`.
    MetaProgressToken,
    /// `params._meta.traceparent` (W3C trace context).
    MetaTraceparent,
    /// `params._meta.tracestate`.
    MetaTracestate,
    /// `params._meta.baggage`.
    MetaBaggage,
}

/// How many [`Field`]s there are.
pub(super) const FIELDS: usize = Field::MetaBaggage as usize + 1;
const _: () = assert!(FIELDS <= 32, "a word keeps one bit for each field");

/// The objects whose keys are governed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Message,
    Params,
    Ref,
    Meta,
}

impl Level {
    /// How many containers are open inside it, counted from the message.
    #[inline(always)]
    pub(super) const fn depth(self) -> u32 {
        match self {
            Self::Message => 1,
            Self::Params => 2,
            Self::Ref | Self::Meta => 3,
        }
    }

    /// The level that an object in this field is, if its keys are governed.
    #[inline(always)]
    pub(super) const fn opened_by(field: Field) -> Option<(Self, Field)> {
        match field {
            Field::Params => Some((Self::Params, field)),
            Field::Ref => Some((Self::Ref, field)),
            Field::Meta => Some((Self::Meta, field)),
            _ => None,
        }
    }

    /// The field that ends with this level, and the level around it.
    #[inline(always)]
    pub(super) const fn closes(self) -> Option<(Field, Self)> {
        match self {
            Self::Message => None,
            Self::Params => Some((Field::Params, Self::Message)),
            Self::Ref => Some((Field::Ref, Self::Params)),
            Self::Meta => Some((Field::Meta, Self::Params)),
        }
    }
}

/// What a field must hold, and what becomes of it otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    /// Any value.
    Anything,
    /// A string.
    Text,
    /// A string, or else it is as if it were absent: it may not break a call.
    TextOrIgnored,
    /// An object.
    Object,
    /// A string or an integer; its span keeps the quotes.
    Token,
}

impl Field {
    /// This field's bit.
    pub(super) const fn bit(self) -> u32 {
        1 << self as u32
    }

    #[inline(always)]
    pub(super) const fn holds(self) -> Holds {
        match self {
            Self::Jsonrpc | Self::Method => Holds::Text,
            Self::Id | Self::RequestId | Self::ProgressToken | Self::MetaProgressToken => Holds::Token,
            Self::Params | Self::Error | Self::Ref | Self::Meta | Self::MetaCapabilities => Holds::Object,
            Self::Result | Self::Task | Self::InputResponses | Self::Arguments | Self::MetaClientInfo => {
                Holds::Anything
            }
            Self::Name | Self::Uri | Self::TaskId | Self::Cursor | Self::RequestState => Holds::Text,
            Self::ProtocolVersion | Self::RefType | Self::RefName | Self::RefUri | Self::MetaVersion => {
                Holds::Text
            }
            Self::Level | Self::MetaLogLevel => Holds::TextOrIgnored,
            Self::MetaTraceparent | Self::MetaTracestate | Self::MetaBaggage => Holds::TextOrIgnored,
        }
    }

    /// The rule that is broken where the field holds something else.
    pub(super) const fn wrong_type(self) -> FaultKind {
        match self {
            Self::Jsonrpc => FaultKind::Version,
            Self::Id => FaultKind::Id,
            Self::Method | Self::Params | Self::Result | Self::Error => FaultKind::Shape,
            _ => FaultKind::ParamType,
        }
    }

    /// Whether null is as good as leaving the field out: some serialisers write absent options so.
    /// Not for what tells a message's kind or era.
    #[inline(always)]
    pub(super) const fn may_be_null(self) -> bool {
        !matches!(
            self,
            Self::Jsonrpc
                | Self::Id
                | Self::Method
                | Self::Params
                | Self::Result
                | Self::Error
                | Self::RequestId
                | Self::MetaVersion
                | Self::MetaCapabilities
        )
    }
}

/// The governed keys of a level.
pub(super) const fn keys(level: Level) -> &'static [(&'static [u8], Field)] {
    match level {
        Level::Message => &[
            (b"jsonrpc", Field::Jsonrpc),
            (b"id", Field::Id),
            (b"method", Field::Method),
            (b"params", Field::Params),
            (b"result", Field::Result),
            (b"error", Field::Error),
        ],
        Level::Params => &[
            (b"name", Field::Name),
            (b"arguments", Field::Arguments),
            (b"_meta", Field::Meta),
            (b"uri", Field::Uri),
            (b"cursor", Field::Cursor),
            (b"ref", Field::Ref),
            (b"taskId", Field::TaskId),
            (b"task", Field::Task),
            (b"requestState", Field::RequestState),
            (b"inputResponses", Field::InputResponses),
            (b"requestId", Field::RequestId),
            (b"progressToken", Field::ProgressToken),
            (b"protocolVersion", Field::ProtocolVersion),
            (b"level", Field::Level),
        ],
        Level::Ref => &[(b"type", Field::RefType), (b"name", Field::RefName), (b"uri", Field::RefUri)],
        Level::Meta => &[
            (b"io.modelcontextprotocol/protocolVersion", Field::MetaVersion),
            (b"io.modelcontextprotocol/clientCapabilities", Field::MetaCapabilities),
            (b"io.modelcontextprotocol/clientInfo", Field::MetaClientInfo),
            (b"io.modelcontextprotocol/logLevel", Field::MetaLogLevel),
            (b"progressToken", Field::MetaProgressToken),
            (b"traceparent", Field::MetaTraceparent),
            (b"tracestate", Field::MetaTracestate),
            (b"baggage", Field::MetaBaggage),
        ],
    }
}

/// What a key is at its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// A governed key, spelled exactly.
    Governed(Field),
    /// Something that a lenient reader could take for a governed key.
    Variant,
    /// Nothing to us.
    Other,
}

/// Tells what the key of these inner bytes is.
#[inline(always)]
pub(super) fn classify(level: Level, raw: &[u8], escaped: bool) -> Key {
    match exact(level, raw) {
        Some(field) => Key::Governed(field),
        None if is_variant(level, raw, escaped) => Key::Variant,
        None => Key::Other,
    }
}

/// [`keys`] as code: comparing with constants of known length needs no call. (A tenth of the
/// time of a small body went into memcmp when this was a walk through the table.)
#[inline(always)]
fn exact(level: Level, raw: &[u8]) -> Option<Field> {
    const PREFIX: &[u8; 23] = b"io.modelcontextprotocol";
    match level {
        Level::Message => match raw {
            b"id" => Some(Field::Id),
            b"method" => Some(Field::Method),
            b"params" => Some(Field::Params),
            b"jsonrpc" => Some(Field::Jsonrpc),
            b"result" => Some(Field::Result),
            b"error" => Some(Field::Error),
            _ => None,
        },
        Level::Params => match raw {
            b"name" => Some(Field::Name),
            b"_meta" => Some(Field::Meta),
            b"arguments" => Some(Field::Arguments),
            b"uri" => Some(Field::Uri),
            b"ref" => Some(Field::Ref),
            b"task" => Some(Field::Task),
            b"level" => Some(Field::Level),
            b"cursor" => Some(Field::Cursor),
            b"taskId" => Some(Field::TaskId),
            b"requestId" => Some(Field::RequestId),
            b"requestState" => Some(Field::RequestState),
            b"progressToken" => Some(Field::ProgressToken),
            b"inputResponses" => Some(Field::InputResponses),
            b"protocolVersion" => Some(Field::ProtocolVersion),
            _ => None,
        },
        Level::Ref => match raw {
            b"type" => Some(Field::RefType),
            b"name" => Some(Field::RefName),
            b"uri" => Some(Field::RefUri),
            _ => None,
        },
        Level::Meta => match raw.strip_prefix(PREFIX) {
            Some(b"/protocolVersion") => Some(Field::MetaVersion),
            Some(b"/clientCapabilities") => Some(Field::MetaCapabilities),
            Some(b"/clientInfo") => Some(Field::MetaClientInfo),
            Some(b"/logLevel") => Some(Field::MetaLogLevel),
            Some(_) => None,
            None => match raw {
                b"progressToken" => Some(Field::MetaProgressToken),
                b"traceparent" => Some(Field::MetaTraceparent),
                b"tracestate" => Some(Field::MetaTracestate),
                b"baggage" => Some(Field::MetaBaggage),
                _ => None,
            },
        },
    }
}

/// Whether a key that is not governed could be read as one of its level's.
#[inline(never)]
fn is_variant(level: Level, raw: &[u8], escaped: bool) -> bool {
    spelling::is_variant(keys(level).iter().map(|&(key, _)| key), raw, escaped)
}

#[cfg(test)]
mod tests {
    use super::spelling::DECODED_MAX;
    use super::*;

    const LEVELS: [Level; 4] = [Level::Message, Level::Params, Level::Ref, Level::Meta];

    fn check(level: Level, key: &str, expected: Key) {
        assert_eq!(classify(level, key.as_bytes(), key.contains('\\')), expected, "{level:?} {key}");
    }

    #[test]
    fn only_the_exact_spelling_is_governed() {
        check(Level::Params, "name", Key::Governed(Field::Name));
        check(Level::Ref, "name", Key::Governed(Field::RefName));
        check(Level::Message, "name", Key::Other);
        check(Level::Params, "names", Key::Other);
        check(Level::Params, "", Key::Other);
        check(Level::Meta, "progressToken", Key::Governed(Field::MetaProgressToken));
    }

    #[test]
    fn other_spellings_of_a_governed_key_are_noticed() {
        for key in [
            "Name",
            "NAME",
            r"na\u006de",
            r"\u006eame",
            r"\u004eame",
            "task\u{131}d",
            "TASK\u{130}D",
            r"ur\u0131",
            "argument\u{17f}",
            "ta\u{17f}\u{212a}Id",
            r"argument\u017f",
            "reque\u{fb06}Id",
            "progre\u{df}Token",
            r"name\u0000",
            r"name\ud800",
        ] {
            check(Level::Params, key, Key::Variant);
        }
        check(Level::Message, "\u{131}d", Key::Variant);
        check(Level::Meta, "IO.modelcontextprotocol/protocolVersion", Key::Variant);
    }

    #[test]
    fn unrelated_keys_pass_whatever_their_letters() {
        for key in ["名前", r"nam\u00e9", "nameé", r"na\nme", "\u{17f}"] {
            check(Level::Params, key, Key::Other);
        }
        check(Level::Params, &r"\u006e".repeat(500), Key::Other);
    }

    #[test]
    fn the_table_of_keys_and_the_code_agree() {
        let mut fields = 0;
        for level in LEVELS {
            for &(key, field) in keys(level) {
                assert_eq!(exact(level, key), Some(field));
                assert_eq!(exact(level, &key[1..]), None);
                fields += 1;
            }
        }
        assert_eq!(fields, FIELDS, "every field has its key");
    }

    #[test]
    fn no_governed_key_outgrows_the_room_for_folding() {
        for level in LEVELS {
            assert!(keys(level).iter().all(|(key, _)| key.len() * 3 <= DECODED_MAX && key.is_ascii()));
        }
    }
}
