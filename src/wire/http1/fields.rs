//! The header fields of one head: a compact table of offsets with an index by id.

use super::error::HeadError;
use super::header::{HeaderId, HeaderSet};
use super::scan::HEADERS_MAX;

/// One header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'b> {
    /// What it is.
    pub id: HeaderId,
    /// Its name as sent.
    pub name: &'b [u8],
    /// Its value without the whitespace around it. No control bytes except tab; may hold bytes above 0x7F.
    pub value: &'b [u8],
}

/// The header fields of a head, in the order sent.
///
/// Offsets instead of slices keep the table at eight bytes a field, so it can live on the stack and be
/// moved.
#[derive(Clone, Copy)]
pub struct Fields<'b> {
    bytes: &'b [u8],
    entries: [Entry; HEADERS_MAX],
    count: u8,
    /// Index + 1 of the first field of each id; 0 where there is none.
    first: [u8; HeaderId::COUNT],
    repeated: HeaderSet,
    present: HeaderSet,
    names_fields: bool,
}

#[derive(Clone, Copy)]
struct Entry {
    name_at: u16,
    value_at: u16,
    value_len: u16,
    name_len: u8,
    id: HeaderId,
}

const NO_ENTRY: Entry = Entry { name_at: 0, value_at: 0, value_len: 0, name_len: 0, id: HeaderId::Host };

/// Most options of the `Connection` fields of a head. Real ones have up to four.
pub const CONNECTION_OPTIONS_MAX: usize = 32;

/// Longest header name in bytes.
pub(super) const NAME_BYTES_MAX: usize = u8::MAX as usize;

impl<'b> Fields<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self {
            bytes,
            entries: [NO_ENTRY; HEADERS_MAX],
            count: 0,
            first: [0; HeaderId::COUNT],
            repeated: HeaderSet::NONE,
            present: HeaderSet::NONE,
            names_fields: false,
        }
    }

    /// Adds the field `name` whose parts lie at the given offsets. The caller has checked that they fit.
    #[inline]
    pub(super) fn push(&mut self, name: &[u8], name_at: usize, value_at: usize, value_len: usize) {
        self.push_as(HeaderId::of(name), name_at, name.len(), value_at, value_len);
    }

    /// Adds a field of this id. The caller has checked that its parts lie in the head and that their lengths fit.
    #[inline]
    pub(super) fn push_as(
        &mut self,
        id: HeaderId,
        name_at: usize,
        name_len: usize,
        value_at: usize,
        value_len: usize,
    ) {
        let Some(entry) = self.entries.get_mut(usize::from(self.count)) else { return };
        *entry = Entry {
            name_at: name_at as u16,
            value_at: value_at as u16,
            value_len: value_len as u16,
            name_len: name_len as u8,
            id,
        };
        self.count += 1;
        if self.present.contains(id) {
            self.repeated.insert(id);
        } else {
            self.present.insert(id);
            self.first[id as usize] = self.count;
        }
    }

    /// Says that the head ends here.
    #[inline]
    pub(super) fn end_at(&mut self, head_len: usize) {
        self.bytes = &self.bytes[..head_len];
    }

    /// The head that they stand in.
    #[inline]
    pub(super) fn head(&self) -> &'b [u8] {
        self.bytes
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The field at `index`, counted from 0 in the order sent.
    #[inline]
    pub fn at(&self, index: usize) -> Option<Header<'b>> {
        self.entries[..usize::from(self.count)].get(index).map(|entry| self.field(entry))
    }

    #[inline]
    fn field(&self, entry: &Entry) -> Header<'b> {
        let (name, value) = (usize::from(entry.name_at), usize::from(entry.value_at));
        Header {
            id: entry.id,
            name: &self.bytes[name..name + usize::from(entry.name_len)],
            value: &self.bytes[value..value + usize::from(entry.value_len)],
        }
    }

    /// All fields, in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = Header<'b>> + '_ {
        (0..self.len()).filter_map(|index| self.at(index))
    }

    /// The fields whose id is in `ids`, in the order sent.
    #[inline]
    pub fn among(&self, ids: HeaderSet) -> impl Iterator<Item = Header<'b>> + '_ {
        let entries = &self.entries[..usize::from(self.count)];
        entries.iter().filter(move |entry| ids.contains(entry.id)).map(|entry| self.field(entry))
    }

    /// All fields of one id, in the order sent.
    pub fn all(&self, id: HeaderId) -> impl Iterator<Item = Header<'b>> + '_ {
        let from = match self.first[id as usize] {
            0 => self.len(),
            first => usize::from(first) - 1,
        };
        let to = if self.repeated.contains(id) { self.len() } else { (from + 1).min(self.len()) };
        (from..to).filter_map(|index| self.at(index)).filter(move |header| header.id == id)
    }

    /// The value of the first field of this id. Takes the same time however many fields there are.
    #[inline]
    pub fn get(&self, id: HeaderId) -> Option<&'b [u8]> {
        let index = usize::from(self.first[id as usize]).checked_sub(1)?;
        self.at(index).map(|header| header.value)
    }

    /// How often this id occurs.
    pub fn count(&self, id: HeaderId) -> usize {
        if self.repeated.contains(id) { self.all(id).count() } else { usize::from(self.present.contains(id)) }
    }

    /// The ids that occur.
    pub fn present(&self) -> HeaderSet {
        self.present
    }

    /// The ids that occur more than once.
    pub fn repeated(&self) -> HeaderSet {
        self.repeated
    }

    /// Reads what the `Connection` fields say, and gives whether the connection ends after the message.
    ///
    /// # Errors
    /// They have more than [`CONNECTION_OPTIONS_MAX`] options, empty ones counted: each is compared with each field that
    /// would be passed on.
    #[inline]
    pub(super) fn read_connection(&mut self) -> Result<bool, HeadError> {
        // What nearly every peer sends, if it sends one.
        if self.get(HeaderId::Connection).is_none_or(|value| value.eq_ignore_ascii_case(b"keep-alive"))
            && !self.repeated.contains(HeaderId::Connection)
        {
            return Ok(false);
        }
        self.read_options()
    }

    #[inline(never)]
    fn read_options(&mut self) -> Result<bool, HeadError> {
        let elements = |value| memchr::memchr_iter(b',', value).count() + 1;
        if self.all(HeaderId::Connection).map(|field| elements(field.value)).sum::<usize>()
            > CONNECTION_OPTIONS_MAX
        {
            return Err(HeadError::TooManyConnectionOptions);
        }
        let (mut close, mut names) = (false, false);
        for option in self.all(HeaderId::Connection).flat_map(|field| tokens(field.value)) {
            if option.eq_ignore_ascii_case(b"close") {
                close = true;
            } else {
                names |= !option.eq_ignore_ascii_case(b"keep-alive");
            }
        }
        self.names_fields = names;
        Ok(close)
    }

    /// Whether a `Connection` field has other options than `close` and `keep-alive`: those name fields of this hop.
    #[inline]
    pub fn names_fields(&self) -> bool {
        self.names_fields
    }

    /// Whether a `Connection` field names `name`, which then must not be passed on
    /// (RFC 9110 section 7.6.1).
    pub fn is_named_by_connection(&self, name: &[u8]) -> bool {
        self.names_fields
            && self
                .all(HeaderId::Connection)
                .any(|field| tokens(field.value).any(|t| t.eq_ignore_ascii_case(name)))
    }
}

impl std::fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |header: Header<'_>| {
            (
                String::from_utf8_lossy(header.name).into_owned(),
                String::from_utf8_lossy(header.value).into_owned(),
            )
        };
        f.debug_map().entries(self.iter().map(text)).finish()
    }
}

/// The elements of a comma-separated value (RFC 9110 section 5.6.1), trimmed; empty ones are skipped.
/// Commas in quoted strings part as well: use it for lists of tokens.
pub fn tokens(value: &[u8]) -> Tokens<'_> {
    Tokens { rest: Some(value) }
}

/// See [`tokens`].
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while let Some(rest) = self.rest {
            let (element, after) = match memchr::memchr(b',', rest) {
                Some(comma) => (&rest[..comma], Some(&rest[comma + 1..])),
                None => (rest, None),
            };
            self.rest = after;
            let element = element.trim_ascii();
            if !element.is_empty() {
                return Some(element);
            }
        }
        None
    }
}

/// The media type of a `Content-Type` value without its parameters: `application/json` of
/// `application/json; charset=utf-8`.
pub fn media_type(value: &[u8]) -> &[u8] {
    let end = memchr::memchr(b';', value).unwrap_or(value.len());
    value[..end].trim_ascii()
}

/// Whether a `Content-Type` value is of media type `wanted`, whatever its case and parameters.
pub fn media_type_is(value: &[u8], wanted: &[u8]) -> bool {
    media_type(value).eq_ignore_ascii_case(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_taken_apart() {
        let list = |value: &'static str| {
            tokens(value.as_bytes()).map(<[u8]>::escape_ascii).map(|t| t.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(list("keep-alive"), ["keep-alive"]);
        assert_eq!(list(" a ,\tb,, c,"), ["a", "b", "c"]);
        assert!(list("").is_empty() && list(" , ,").is_empty());
    }

    #[test]
    fn media_types_compare_without_case_and_parameters() {
        assert_eq!(media_type(b"Application/JSON ; charset=utf-8"), b"Application/JSON");
        assert!(media_type_is(b"Application/JSON;charset=utf-8", b"application/json"));
        assert!(!media_type_is(b"application/json5", b"application/json"));
        assert!(!media_type_is(b"text/plain; application/json", b"application/json"));
        assert!(!media_type_is(b"", b"application/json"));
    }

    #[test]
    fn a_full_table_takes_no_more() {
        let mut fields = Fields::new(b"Accept: 1");
        for _ in 0..=HEADERS_MAX {
            fields.push(b"Accept", 0, 8, 1);
        }
        assert_eq!(fields.len(), HEADERS_MAX);
        assert_eq!(fields.count(HeaderId::Accept), HEADERS_MAX);
        assert_eq!(fields.iter().last().map(|header| header.value), Some(&b"1"[..]));
    }
}
