//! Lists without what the caller may not use: `tools/list`, `prompts/list`, `resources/list`,
//! `resources/templates/list`. The kept items are the server's own bytes; the left-out ones are cut out.
//!
//! This is what is *shown*. What is called is judged on its own, whether it was shown or not.

pub use super::steps::Steps;
pub use crate::wire::mcp::lists::{Edits, Kind, ListFault, TTL_MS_MAX};

use crate::wire::json::Padded;
use crate::wire::mcp::lists::{Judge, Search};

/// Says what stays in the lists of one exchange.
pub trait Keep {
    /// Whether an item of this name (a URI for resources, a URI template for their templates), unescaped, is shown.
    /// Asked once for each item. What it answers holds for that item alone, and not if `steps` are over.
    fn keeps(&self, kind: Kind, name: &str, steps: &Steps) -> bool;

    /// What the lists of one message may take.
    fn bounds(&self) -> Bounds {
        Bounds::default()
    }
}

/// What filtering the lists of one message may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Items of all its lists together (`limits.list_items_max`).
    pub items: usize,
    /// Steps, of some nanoseconds each (`limits.list_steps_max`).
    pub steps: usize,
    /// Milliseconds that a client may keep them (`limits.list_ttl_max`).
    pub ttl_ms: u64,
}

/// None, but for the time.
impl Default for Bounds {
    fn default() -> Self {
        Self { items: usize::MAX, steps: usize::MAX, ttl_ms: TTL_MS_MAX }
    }
}

/// Steps that an item takes at least.
const ITEM_STEPS: usize = 32;
/// Steps after which the work is to rest, so that whoever else waits gets a turn. Measured, a step takes 2 ns where patterns are
/// compared, and up to 20 where items are many and small: a fifth of a millisecond to two.
const SHIFT_STEPS: usize = 100_000;
/// Bytes after which it is to rest, whatever the steps: about half a millisecond.
const SHIFT_BYTES: usize = 512 << 10;

/// The search for what has to change in a message or batch so that it shows only what is kept. It is done in parts.
pub struct Filtering {
    search: Search,
    edits: Edits,
    steps: Steps,
    items_left: usize,
    ttl_ms: u64,
}

impl Filtering {
    /// Of a message of which nothing was looked at yet.
    pub fn new(keep: &dyn Keep) -> Self {
        let Bounds { items, steps, ttl_ms } = keep.bounds();
        let (search, edits) = (Search::default(), Edits::default());
        Self { search, edits, steps: Steps::new(steps), items_left: items, ttl_ms }
    }

    /// Goes on for about a millisecond, always with the same message. Whether it is done.
    ///
    /// # Errors
    /// The message is not JSON, a list in it could be read in more than one way, or it takes more than it may: it must
    /// not be passed on.
    pub fn go_on(&mut self, message: Padded<'_>, keep: &dyn Keep) -> Result<bool, ListFault> {
        let rest_at = self.steps.left().saturating_sub(SHIFT_STEPS);
        let (steps, items_left) = (&self.steps, &mut self.items_left);
        let mut shift = Shift { keep, steps, items_left, rest_at, ttl_ms: self.ttl_ms };
        self.search.go_on(message, &mut shift, &mut self.edits)
    }

    /// What has to change, once it is done.
    pub fn edits(&self) -> &Edits {
        &self.edits
    }

    /// What has to change, once it is done.
    pub fn into_edits(self) -> Edits {
        self.edits
    }
}

/// One part of the work.
struct Shift<'k> {
    keep: &'k dyn Keep,
    steps: &'k Steps,
    items_left: &'k mut usize,
    /// Steps that are left when it is to rest.
    rest_at: usize,
    ttl_ms: u64,
}

impl Judge for Shift<'_> {
    fn keeps(&mut self, kind: Kind, name: &str) -> Result<bool, ListFault> {
        *self.items_left = self.items_left.checked_sub(1).ok_or(ListFault::TooManyItems)?;
        self.steps.take(ITEM_STEPS);
        let keep = self.keep.keeps(kind, name, self.steps);
        if self.steps.is_over() { Err(ListFault::TooDear) } else { Ok(keep) }
    }

    fn ttl_ms_max(&self) -> u64 {
        self.ttl_ms
    }

    fn is_tired(&self, bytes: usize) -> bool {
        self.steps.left() <= self.rest_at || bytes >= SHIFT_BYTES
    }
}

/// All of [`Filtering`] at once. `edits` are replaced.
///
/// # Errors
/// As [`Filtering::go_on`].
pub fn filter(message: Padded<'_>, keep: &dyn Keep, edits: &mut Edits) -> Result<(), ListFault> {
    let mut filtering = Filtering::new(keep);
    while !filtering.go_on(message, keep)? {}
    *edits = filtering.into_edits();
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::base::PAD;

    struct Only(Kind, &'static str);

    impl Keep for Only {
        fn keeps(&self, kind: Kind, name: &str, _: &Steps) -> bool {
            kind == self.0 && name == self.1
        }
    }

    /// Keeps all, of which each takes so many steps.
    struct Dear(usize, Bounds);

    impl Keep for Dear {
        fn keeps(&self, _: Kind, _: &str, steps: &Steps) -> bool {
            steps.take(self.0);
            true
        }

        fn bounds(&self) -> Bounds {
            self.1
        }
    }

    fn with_padding(body: &str) -> Vec<u8> {
        [body.as_bytes(), &[0; PAD]].concat()
    }

    #[test]
    fn the_lists_of_a_message_have_one_budget() {
        let item = r#"{"name":"a"}"#;
        let body = format!(r#"{{"result":{{"tools":[{item},{item}],"prompts":[{item}]}}}}"#);
        let all = with_padding(&body);
        let steps = 3 * (ITEM_STEPS + 5);
        for (items, steps, expected) in [
            (3, steps, Ok(())),
            (2, steps, Err(ListFault::TooManyItems)),
            (3, steps - 1, Err(ListFault::TooDear)),
        ] {
            let mut edits = Edits::default();
            let found = filter(
                Padded::new(&all, body.len()).unwrap(),
                &Dear(5, Bounds { items, steps, ..Bounds::default() }),
                &mut edits,
            );
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn work_rests_when_a_shift_is_over() {
        let item = r#"{"name":"a"}"#;
        let body = format!(r#"{{"result":{{"tools":[{}]}}}}"#, [item; 5].join(","));
        let all = with_padding(&body);
        let message = Padded::new(&all, body.len()).unwrap();
        for (each, rests) in [(1, 0), (SHIFT_STEPS / 3, 1), (SHIFT_STEPS, 5)] {
            let keep = Dear(each, Bounds::default());
            let mut filtering = Filtering::new(&keep);
            let mut rested = 0;
            while !filtering.go_on(message, &keep).unwrap() {
                rested += 1;
            }
            assert_eq!(rested, rests, "{each}");
            assert!(filtering.into_edits().is_empty());
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
