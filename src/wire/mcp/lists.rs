//! The lists that servers answer with (tools, prompts, resources, resource templates), and items cut out of them.
//!
//! [`find_cuts`] reads a message once and writes down what is to go; all other bytes stay as the server sent them.
//! What could be read in two ways is refused, as in requests: a list that one reader finds and another does
//! not would be shown unfiltered.

mod edits;
mod fault;
#[cfg(any(test, fuzzing))]
pub mod naive;

pub use edits::Edits;
pub use fault::ListFault;

use crate::wire::json::{
    DEPTH_CAP, JsonError, Mark, NO_MARKS, Padded, Scan, Span, Text, Unit, Units, fastest, mark_portable,
};
use crate::wire::jsonrpc::is_variant;

/// What a list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `result.tools` (tools/list). An item is known by its `name`.
    Tool,
    /// `result.prompts` (prompts/list). An item is known by its `name`.
    Prompt,
    /// `result.resources` (resources/list). An item is known by its `uri`.
    Resource,
    /// `result.resourceTemplates` (resources/templates/list). An item is known by its `uriTemplate`.
    ResourceTemplate,
}

impl Kind {
    /// The key of an item that says which it is.
    fn key(self) -> &'static [u8] {
        match self {
            Self::Tool | Self::Prompt => b"name",
            Self::Resource => b"uri",
            Self::ResourceTemplate => b"uriTemplate",
        }
    }
}

/// The governed keys of a message.
const MESSAGE_KEYS: &[&[u8]] = &[b"result"];
/// The governed keys of a result: the lists, in the order of [`LISTS`], and who may keep the result.
const RESULT_KEYS: &[&[u8]] = &[b"tools", b"prompts", b"resources", b"resourceTemplates", b"cacheScope"];
const LISTS: [Kind; 4] = [Kind::Tool, Kind::Prompt, Kind::Resource, Kind::ResourceTemplate];

/// Finds the items that `keep` refuses in the lists of a message or batch, and adds them to `edits` as cuts.
///
/// `keep` is asked with the kind and the unescaped name or URI of each item, in order. A `cacheScope` of a
/// result that is not `private` becomes that, whatever the result: it was made for one caller (MCP 2026-07-28,
/// caching). What is not a message with such a result has no edits. Nesting of up to [`DEPTH_CAP`] is accepted.
///
/// # Errors
/// The body is not JSON, or a list in it could be read in more than one way. Then `edits` mean nothing, and the
/// body must not be passed on.
pub fn find_cuts(
    body: Padded<'_>,
    keep: &mut dyn FnMut(Kind, &str) -> bool,
    edits: &mut Edits,
) -> Result<(), ListFault> {
    find(body, keep, edits, fastest())
}

/// [`find_cuts`] as CPUs without AVX2 run it: the twin that tests compare with.
///
/// # Errors
/// As [`find_cuts`].
pub fn find_cuts_portable(
    body: Padded<'_>,
    keep: &mut dyn FnMut(Kind, &str) -> bool,
    edits: &mut Edits,
) -> Result<(), ListFault> {
    find(body, keep, edits, mark_portable)
}

fn find(
    body: Padded<'_>,
    keep: &mut dyn FnMut(Kind, &str) -> bool,
    edits: &mut Edits,
    mark: Mark,
) -> Result<(), ListFault> {
    let mut marks = NO_MARKS;
    let scan = Scan::new(body, DEPTH_CAP, mark, &mut marks);
    let mut walk = Walk { scan, keep, edits, unescaped: Vec::new() };
    walk.scan.spaces();
    match walk.scan.byte() {
        b'{' => walk.message(0)?,
        b'[' => walk.elements(0, |walk| match walk.scan.byte() {
            b'{' => walk.message(1),
            // Neither is a message, but a lenient reader may look for some in a batch within a batch.
            b'[' => Err(ListFault::NotMessage),
            _ => walk.value(1),
        })?,
        _ => walk.value(0)?,
    }
    Ok(walk.scan.finish()?)
}

/// A walk through a body. `depth` is how many containers are open around the value at hand.
struct Walk<'a, 'm, 'k> {
    scan: Scan<'a, 'm>,
    keep: &'k mut dyn FnMut(Kind, &str) -> bool,
    edits: &'k mut Edits,
    /// A name that is written with escapes, without them.
    unescaped: Vec<u8>,
}

impl Walk<'_, '_, '_> {
    fn message(&mut self, depth: u32) -> Result<(), ListFault> {
        self.members(depth, MESSAGE_KEYS, |walk, key| match key {
            Some(_) if walk.scan.byte() == b'{' => walk.result(depth + 1),
            _ => walk.value(depth + 1),
        })
    }

    fn result(&mut self, depth: u32) -> Result<(), ListFault> {
        self.members(depth, RESULT_KEYS, |walk, key| match key.map(|key| LISTS.get(key)) {
            Some(Some(&kind)) => walk.list(kind, depth + 1),
            Some(None) => walk.cache_scope(depth + 1),
            None => walk.value(depth + 1),
        })
    }

    fn cache_scope(&mut self, depth: u32) -> Result<(), ListFault> {
        let start = self.scan.at();
        let is_string = self.scan.byte() == b'"';
        self.value(depth)?;
        // A scope that is no string is none.
        if is_string && !Text::whole(self.scan.bytes(start + 1, self.scan.at() - 1)).eq(b"private") {
            self.edits.make_private(span(start, self.scan.at()));
        }
        Ok(())
    }

    /// Moves over a list, and cuts what is not to be kept: each item with the comma before it, or with the one
    /// behind it where no item before it stays.
    fn list(&mut self, kind: Kind, depth: u32) -> Result<(), ListFault> {
        match self.scan.byte() {
            b'[' => {}
            // How some serialisers write a list without items.
            b'n' => return self.value(depth),
            _ => return Err(ListFault::NotList),
        }
        let inside = self.scan.at() + 1;
        let (mut first, mut last_end, mut kept) = (None, inside, false);
        self.elements(depth, |walk| {
            let start = walk.scan.at();
            let first = *first.get_or_insert(start);
            let keep = walk.item(kind, depth + 1)?;
            let end = walk.scan.at();
            match (keep, kept) {
                (true, false) => walk.edits.cut(span(first, start)),
                (false, true) => walk.edits.cut(span(last_end, end)),
                (true, true) | (false, false) => {}
            }
            kept |= keep;
            last_end = end;
            Ok(())
        })?;
        if first.is_some() && !kept {
            self.edits.cut(span(inside, self.scan.at() - 1));
        }
        Ok(())
    }

    /// Moves over an item and tells whether it stays.
    fn item(&mut self, kind: Kind, depth: u32) -> Result<bool, ListFault> {
        if self.scan.byte() != b'{' {
            return Err(ListFault::NotItem);
        }
        let mut verdict = None;
        self.members(depth, &[kind.key()], |walk, key| match key {
            Some(_) => {
                verdict = Some(walk.judge(kind)?);
                Ok(())
            }
            None => walk.value(depth + 1),
        })?;
        verdict.ok_or(ListFault::NoName)
    }

    /// Moves over the name of an item and asks whether it stays.
    fn judge(&mut self, kind: Kind) -> Result<bool, ListFault> {
        if self.scan.byte() != b'"' {
            return Err(ListFault::NoName);
        }
        let start = self.scan.at() + 1;
        let escaped = self.scan.string()?;
        let mut name = self.scan.bytes(start, self.scan.at() - 1);
        if escaped {
            if Units::new(name).any(|unit| unit == Unit::LoneSurrogate) {
                return Err(ListFault::LoneSurrogate);
            }
            self.unescaped.clear();
            self.unescaped.extend(Text::whole(name).bytes());
            name = &self.unescaped;
        }
        let name = std::str::from_utf8(name).map_err(|_| JsonError::Utf8)?;
        Ok((self.keep)(kind, name))
    }

    /// Moves over an object, from its opening brace. `member` is called before each value, which it must move
    /// over, with the index of its key among `keys`.
    #[inline(always)]
    fn members(
        &mut self,
        depth: u32,
        keys: &[&[u8]],
        mut member: impl FnMut(&mut Self, Option<usize>) -> Result<(), ListFault>,
    ) -> Result<(), ListFault> {
        let mut seen = 0;
        self.open(depth)?;
        let mut empty = self.scan.byte() == b'}';
        loop {
            if !empty {
                let key = self.key(keys, &mut seen)?;
                member(self, key)?;
            }
            empty = false;
            if self.closes(b'}')? {
                return Ok(());
            }
        }
    }

    /// Moves over an array, from its opening bracket. `element` is called before each element, which it must
    /// move over.
    #[inline(always)]
    fn elements(
        &mut self,
        depth: u32,
        mut element: impl FnMut(&mut Self) -> Result<(), ListFault>,
    ) -> Result<(), ListFault> {
        self.open(depth)?;
        let mut empty = self.scan.byte() == b']';
        loop {
            if !empty {
                element(self)?;
            }
            empty = false;
            if self.closes(b']')? {
                return Ok(());
            }
        }
    }

    fn open(&mut self, depth: u32) -> Result<(), ListFault> {
        self.scan.check_depth(depth + 1)?;
        self.scan.step();
        self.scan.check()?;
        self.scan.spaces();
        Ok(())
    }

    /// Moves over a comma and answers `false`, or over the closing bracket and answers `true`.
    fn closes(&mut self, close: u8) -> Result<bool, ListFault> {
        self.scan.spaces();
        let next = self.scan.byte();
        self.scan.step();
        self.scan.check()?;
        if next == b',' {
            self.scan.spaces();
            return Ok(false);
        }
        if next == close { Ok(true) } else { Err(JsonError::Syntax.into()) }
    }

    /// Moves over a key and its colon. Its index among `keys`, if it is one of them.
    #[inline(never)]
    fn key(&mut self, keys: &[&[u8]], seen: &mut u32) -> Result<Option<usize>, ListFault> {
        let start = self.scan.at() + 1;
        let (end, escaped) = self.scan.key()?;
        let raw = self.scan.bytes(start, end);
        match keys.iter().position(|&key| key == raw) {
            Some(at) if *seen & 1 << at != 0 => Err(ListFault::KeyTwice),
            Some(at) => {
                *seen |= 1 << at;
                Ok(Some(at))
            }
            None if is_variant(keys.iter().copied(), raw, escaped) => Err(ListFault::KeyVariant),
            None => Ok(None),
        }
    }

    /// Moves over any value without looking into it.
    #[inline(never)]
    fn value(&mut self, depth: u32) -> Result<(), ListFault> {
        Ok(self.scan.value(depth)?)
    }
}

fn span(start: usize, end: usize) -> Span {
    Span { start: start as u32, end: end as u32 }
}

#[cfg(test)]
mod property;
#[cfg(test)]
mod tests;
