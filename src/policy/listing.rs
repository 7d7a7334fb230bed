//! Lists without what the caller may not use: `tools/list`, `prompts/list`, `resources/list`,
//! `resources/templates/list`. The kept items are the server's own bytes; the left-out ones are cut out.
//!
//! This is what is *shown*. What is called is judged on its own, whether it was shown or not.

pub use crate::wire::mcp::lists::{Edits, Kind, ListFault};

use crate::wire::json::Padded;
use crate::wire::mcp::lists::find_cuts;

/// Says what stays in the lists of one exchange.
pub trait Keep {
    /// Whether an item of this name (a URI for resources, a URI template for their templates), unescaped, is shown.
    /// Asked once for each item. What it answers holds for that item alone.
    fn keeps(&self, kind: Kind, name: &str) -> bool;
}

/// Finds what has to change in a message or batch so that it shows only what `keep` keeps. `edits` are replaced.
///
/// # Errors
/// It is not JSON, or a list in it could be read in more than one way: it must not be passed on.
pub fn filter(message: Padded<'_>, keep: &dyn Keep, edits: &mut Edits) -> Result<(), ListFault> {
    edits.clear();
    find_cuts(message, &mut |kind, name| keep.keeps(kind, name), edits)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::base::PAD;

    struct Only(Kind, &'static str);

    impl Keep for Only {
        fn keeps(&self, kind: Kind, name: &str) -> bool {
            kind == self.0 && name == self.1
        }
    }

    #[test]
    fn each_message_is_filtered_on_its_own() {
        let mut edits = Edits::default();
        for (body, expected) in [
            (r#"{"result":{"tools":[{"name":"a"},{"name":"b"}]}}"#, r#"{"result":{"tools":[{"name":"b"}]}}"#),
            (r#"{"result":{"prompts":[{"name":"b"}]}}"#, r#"{"result":{"prompts":[]}}"#),
            (r#"{"result":{"tools":[{"name":"b"}]}}"#, r#"{"result":{"tools":[{"name":"b"}]}}"#),
        ] {
            let all = [body.as_bytes(), &[0; PAD]].concat();
            let padded = Padded::new(&all, body.len()).unwrap();
            filter(padded, &Only(Kind::Tool, "b"), &mut edits).unwrap();
            let mut out = Vec::new();
            edits.apply(body.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
