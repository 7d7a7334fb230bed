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
/// The governed keys of a result: the lists, in the order of [`LISTS`], and who may keep the result, and for how long.
const RESULT_KEYS: &[&[u8]] =
    &[b"tools", b"prompts", b"resources", b"resourceTemplates", b"cacheScope", b"ttlMs"];
/// Index of `cacheScope` there.
const CACHE_SCOPE: usize = LISTS.len();
const LISTS: [Kind; 4] = [Kind::Tool, Kind::Prompt, Kind::Resource, Kind::ResourceTemplate];

/// Judges the items of lists.
pub trait Judge {
    /// Whether an item of this kind with this unescaped name or URI stays.
    ///
    /// # Errors
    /// There is no more to spend on this message.
    fn keeps(&mut self, kind: Kind, name: &str) -> Result<bool, ListFault>;

    /// Milliseconds that a client may keep a result at the most.
    fn ttl_ms_max(&self) -> u64;

    /// Whether it has worked for long enough: asked after each item, with the bytes that were read since the work went on.
    fn is_tired(&self, bytes: usize) -> bool;
}

/// Finds the items that `keep` refuses in the lists of a message or batch, and adds them to `edits` as cuts.
///
/// `keep` is asked with the kind and the unescaped name or URI of each item, in order. A `cacheScope` of a
/// result that is not `private` becomes that, whatever the result: it was made for one caller (MCP 2026-07-28,
/// caching). A `ttlMs` over [`TTL_MS_MAX`] becomes that. What is not a message with such a result has no edits. Nesting of up to [`DEPTH_CAP`] is accepted.
///
/// # Errors
/// The body is not JSON, or a list in it could be read in more than one way. Then `edits` mean nothing, and the
/// body must not be passed on.
pub fn find_cuts(
    body: Padded<'_>,
    keep: &mut dyn FnMut(Kind, &str) -> bool,
    edits: &mut Edits,
) -> Result<(), ListFault> {
    Search::default().go_on_with(body, &mut Tireless(keep), edits, fastest()).map(|_| ())
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
    Search::default().go_on_with(body, &mut Tireless(keep), edits, mark_portable).map(|_| ())
}

/// The bound of `ttlMs` where nobody chooses another, in milliseconds (`limits.list_ttl_max`).
pub const TTL_MS_MAX: u64 = 60_000;

struct Tireless<'k>(&'k mut dyn FnMut(Kind, &str) -> bool);

impl Judge for Tireless<'_> {
    fn keeps(&mut self, kind: Kind, name: &str) -> Result<bool, ListFault> {
        Ok((self.0)(kind, name))
    }

    fn ttl_ms_max(&self) -> u64 {
        TTL_MS_MAX
    }

    fn is_tired(&self, _: usize) -> bool {
        false
    }
}

/// A search for cuts that can rest between two items: see [`find_cuts`]. One is good for one body.
#[derive(Debug, Default)]
pub struct Search {
    /// Where it rests, and whether a byte outside ASCII stands before that.
    at: usize,
    high: bool,
    begun: bool,
    /// The containers that are open around it.
    open: Vec<Container>,
    /// A name that is written with escapes, without them.
    unescaped: Vec<u8>,
}

/// An open container that is looked into.
#[derive(Clone, Copy, Debug)]
struct Container {
    what: What,
    /// Nothing of it was read yet.
    fresh: bool,
    /// The governed keys that it had so far, by their bits.
    seen: u32,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Batch,
    Message,
    Result,
    List(List),
}

/// A list that is under way.
#[derive(Clone, Copy, Debug)]
struct List {
    kind: Kind,
    /// Where its inside begins.
    inside: usize,
    /// Where its first item begins.
    first: Option<usize>,
    /// Where the last item ended.
    last_end: usize,
    /// Whether an item stays.
    kept: bool,
}

impl Search {
    /// Goes on, from the start of the body or where it rested. Whether it is done: if not, `judge` was tired.
    ///
    /// # Errors
    /// As [`find_cuts`], or what `judge` says.
    pub fn go_on(
        &mut self,
        body: Padded<'_>,
        judge: &mut dyn Judge,
        edits: &mut Edits,
    ) -> Result<bool, ListFault> {
        self.go_on_with(body, judge, edits, fastest())
    }

    fn go_on_with(
        &mut self,
        body: Padded<'_>,
        judge: &mut dyn Judge,
        edits: &mut Edits,
        mark: Mark,
    ) -> Result<bool, ListFault> {
        let mut marks = NO_MARKS;
        let scan = Scan::new(body, DEPTH_CAP, mark, &mut marks).resume(self.at, self.high);
        let mut walk = Walk { scan, judge, edits, open: &mut self.open, unescaped: &mut self.unescaped };
        let done = walk.go_on(&mut self.begun)?;
        (self.at, self.high) = (walk.scan.at(), walk.scan.has_seen_high());
        if done {
            walk.scan.finish()?;
        }
        Ok(done)
    }
}

/// A walk through a body.
struct Walk<'a, 'm, 'k> {
    scan: Scan<'a, 'm>,
    judge: &'k mut dyn Judge,
    edits: &'k mut Edits,
    open: &'k mut Vec<Container>,
    unescaped: &'k mut Vec<u8>,
}

impl Walk<'_, '_, '_> {
    /// Walks to the end of the outermost value, or until the judge is tired.
    fn go_on(&mut self, begun: &mut bool) -> Result<bool, ListFault> {
        let from = self.scan.at();
        if !std::mem::replace(begun, true) {
            self.scan.spaces();
            match self.scan.byte() {
                b'{' => self.enter(What::Message)?,
                b'[' => self.enter(What::Batch)?,
                _ => self.value()?,
            }
        }
        while let Some(&Container { what, fresh, mut seen }) = self.open.last() {
            let list = matches!(what, What::Batch | What::List(_));
            let is_over = !self.has_more(if list { b']' } else { b'}' }, fresh)?;
            if let Some(container) = self.open.last_mut() {
                container.fresh = false;
            }
            match what {
                _ if is_over => {
                    if let What::List(list) = what {
                        self.end(&list);
                    }
                    self.open.pop();
                }
                What::Batch => self.element()?,
                What::Message => {
                    let key = self.key(MESSAGE_KEYS, &mut seen)?;
                    self.note(seen);
                    match key {
                        Some(_) if self.scan.byte() == b'{' => self.enter(What::Result)?,
                        _ => self.value()?,
                    }
                }
                What::Result => {
                    let key = self.key(RESULT_KEYS, &mut seen)?;
                    self.note(seen);
                    match key.map(|key| LISTS.get(key)) {
                        Some(Some(&kind)) => self.list(kind)?,
                        Some(None) if key == Some(CACHE_SCOPE) => self.cache_scope()?,
                        Some(None) => self.time_to_live()?,
                        None => self.value()?,
                    }
                }
                What::List(mut list) => {
                    self.listed(&mut list)?;
                    if let Some(container) = self.open.last_mut() {
                        container.what = What::List(list);
                    }
                    if self.judge.is_tired(self.scan.at() - from) {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// How many containers are open around the value at hand.
    fn depth(&self) -> u32 {
        self.open.len() as u32
    }

    fn note(&mut self, seen: u32) {
        if let Some(container) = self.open.last_mut() {
            container.seen = seen;
        }
    }

    fn enter(&mut self, what: What) -> Result<(), ListFault> {
        self.begin(self.depth())?;
        self.open.push(Container { what, fresh: true, seen: 0 });
        Ok(())
    }

    fn element(&mut self) -> Result<(), ListFault> {
        match self.scan.byte() {
            b'{' => self.enter(What::Message),
            // Neither is a message, but a lenient reader may look for some in a batch within a batch.
            b'[' => Err(ListFault::NotMessage),
            _ => self.value(),
        }
    }

    fn cache_scope(&mut self) -> Result<(), ListFault> {
        let start = self.scan.at();
        let is_string = self.scan.byte() == b'"';
        self.value()?;
        // A scope that is no string is none.
        if is_string && !Text::whole(self.scan.bytes(start + 1, self.scan.at() - 1)).eq(b"private") {
            self.edits.make_private(span(start, self.scan.at()));
        }
        Ok(())
    }

    /// How long the result may be kept: a change of rules is seen after that.
    fn time_to_live(&mut self) -> Result<(), ListFault> {
        let (start, first) = (self.scan.at(), self.scan.byte());
        self.value()?;
        let most = self.judge.ttl_ms_max();
        let is_long = match first {
            b'-' | b'0'..=b'9' => {
                let text = std::str::from_utf8(self.scan.bytes(start, self.scan.at())).unwrap_or_default();
                #[allow(clippy::cast_precision_loss)]
                text.parse::<f64>().is_ok_and(|time| time > most as f64)
            }
            // Some readers take a text for a number.
            b'"' => true,
            _ => false,
        };
        if is_long {
            self.edits.shorten(span(start, self.scan.at()), most);
        }
        Ok(())
    }

    fn list(&mut self, kind: Kind) -> Result<(), ListFault> {
        match self.scan.byte() {
            b'[' => {}
            // How some serialisers write a list without items.
            b'n' => return self.value(),
            _ => return Err(ListFault::NotList),
        }
        let inside = self.scan.at() + 1;
        self.enter(What::List(List { kind, inside, first: None, last_end: inside, kept: false }))
    }

    /// Moves over an item, and cuts what is not to be kept: each item with the comma before it, or with the one
    /// behind it where no item before it stays.
    fn listed(&mut self, list: &mut List) -> Result<(), ListFault> {
        let start = self.scan.at();
        let first = *list.first.get_or_insert(start);
        let keep = self.item(list.kind)?;
        let end = self.scan.at();
        match (keep, list.kept) {
            (true, false) => self.edits.cut(span(first, start)),
            (false, true) => self.edits.cut(span(list.last_end, end)),
            (true, true) | (false, false) => {}
        }
        list.kept |= keep;
        list.last_end = end;
        Ok(())
    }

    /// Cuts the inside of a list of which nothing stays, from behind its closing bracket.
    fn end(&mut self, list: &List) {
        if list.first.is_some() && !list.kept {
            self.edits.cut(span(list.inside, self.scan.at() - 1));
        }
    }

    /// Moves over an item and tells whether it stays.
    fn item(&mut self, kind: Kind) -> Result<bool, ListFault> {
        if self.scan.byte() != b'{' {
            return Err(ListFault::NotItem);
        }
        let (depth, mut seen, mut verdict) = (self.depth(), 0, None);
        self.begin(depth)?;
        let mut fresh = true;
        while self.has_more(b'}', std::mem::replace(&mut fresh, false))? {
            match self.key(&[kind.key()], &mut seen)? {
                Some(_) => verdict = Some(self.judge(kind)?),
                None => self.scan.value(depth + 1)?,
            }
        }
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
            name = self.unescaped;
        }
        let name = std::str::from_utf8(name).map_err(|_| JsonError::Utf8)?;
        self.judge.keeps(kind, name)
    }

    /// Moves over an opening bracket, around which `depth` containers are open.
    fn begin(&mut self, depth: u32) -> Result<(), ListFault> {
        self.scan.check_depth(depth + 1)?;
        self.scan.step();
        self.scan.check()?;
        self.scan.spaces();
        Ok(())
    }

    /// Moves over a comma and answers `true`, or over the closing bracket and answers `false`. At the start of a
    /// container, which is `fresh`, there is no comma.
    #[inline(always)]
    fn has_more(&mut self, close: u8, fresh: bool) -> Result<bool, ListFault> {
        self.scan.spaces();
        let next = self.scan.byte();
        if fresh && next != close {
            return Ok(true);
        }
        self.scan.step();
        self.scan.check()?;
        if next == b',' {
            self.scan.spaces();
            return Ok(true);
        }
        if next == close { Ok(false) } else { Err(JsonError::Syntax.into()) }
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
    fn value(&mut self) -> Result<(), ListFault> {
        Ok(self.scan.value(self.depth())?)
    }
}

fn span(start: usize, end: usize) -> Span {
    Span { start: start as u32, end: end as u32 }
}

#[cfg(test)]
mod property;
#[cfg(test)]
mod tests;
