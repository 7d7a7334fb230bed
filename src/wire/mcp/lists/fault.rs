//! Why a message with a list is not passed on.

use crate::wire::json::JsonError;

/// Why a message is not passed on to a caller whose lists are filtered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListFault {
    /// Not JSON as RFC 8259 has it.
    Json(JsonError),
    /// A key that leads to a list, or names an item, occurs twice.
    KeyTwice,
    /// Such a key is written with escapes or in another case.
    KeyVariant,
    /// An element of a batch is a batch.
    NotMessage,
    /// A list is neither an array nor null.
    NotList,
    /// An item of a list is not an object.
    NotItem,
    /// An item has no name (tools, prompts) or URI (resources), or it is not a string.
    NoName,
    /// The lists of a message have more items than they may have.
    TooManyItems,
    /// Judging the items takes more than it may.
    TooDear,
    /// A name holds half a surrogate pair, which has no UTF-8.
    LoneSurrogate,
}

impl From<JsonError> for ListFault {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}

impl ListFault {
    /// What is wrong, in words for the log. Holds nothing of the body.
    pub fn message(self) -> &'static str {
        match self {
            Self::Json(JsonError::Syntax) => "a message is not JSON",
            Self::Json(JsonError::Utf8) => "a message is not UTF-8",
            Self::Json(JsonError::Depth) => "a message is nested too deeply",
            Self::KeyTwice => "a key that leads to a list, or names an item of it, occurs twice",
            Self::KeyVariant => {
                "a key that leads to a list, or names an item of it, is written with escapes or in another case"
            }
            Self::NotMessage => "an element of a batch is a batch",
            Self::NotList => "tools, prompts, resources or resourceTemplates is not an array",
            Self::NotItem => "an item of a list is not an object",
            Self::NoName => "an item of a list has no name (tools, prompts) or URI (resources)",
            Self::TooManyItems => "its lists have more items than limits.list_items_max",
            Self::TooDear => "filtering its lists takes more steps than limits.list_steps_max",
            Self::LoneSurrogate => "the name of an item holds an unpaired surrogate",
        }
    }
}
