//! Lists without what the caller may not use: `tools/list`, `prompts/list`, `resources/list`,
//! `resources/templates/list`. The kept items are the server's own bytes; the left-out ones are cut out.

/// What an item of a list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of `tools`.
    Tool,
    /// Of `prompts`.
    Prompt,
    /// Of `resources`.
    Resource,
    /// Of `resourceTemplates`.
    ResourceTemplate,
}

/// Who decides which items stay.
pub trait Keep {
    /// Whether the item of this name (URI, URI template) stays.
    fn keeps(&self, kind: Kind, name: &str) -> bool;
}
