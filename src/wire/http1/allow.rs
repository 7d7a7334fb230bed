//! Which header fields of a message go on to the other side: those of a list, and no others. A field that nobody has
//! thought of stays here, whatever it would tell a server or a browser.

use super::fields::{Fields, Header};
use super::header::{HeaderId, HeaderSet};
use super::write::Lines;

/// The fields of MCP and of trace contexts, which go both ways.
const BOTH_WAYS: HeaderSet = HeaderSet::of(&[
    HeaderId::ContentType,
    HeaderId::CacheControl,
    HeaderId::McpProtocolVersion,
    HeaderId::McpMethod,
    HeaderId::McpName,
    HeaderId::McpSessionId,
    HeaderId::McpParam,
    HeaderId::Mcp,
    HeaderId::Traceparent,
    HeaderId::Tracestate,
    HeaderId::Baggage,
    HeaderId::XRequestId,
]);

/// What of a request goes to a server.
pub const TO_SERVERS: HeaderSet = BOTH_WAYS.and(HeaderSet::of(&[
    HeaderId::Accept,
    HeaderId::AcceptLanguage,
    HeaderId::LastEventId,
    HeaderId::UserAgent,
]));

/// What of an answer goes to a client.
pub const TO_CLIENTS: HeaderSet = BOTH_WAYS.and(HeaderSet::of(&[
    HeaderId::Allow,
    HeaderId::ContentEncoding,
    HeaderId::Date,
    HeaderId::Etag,
    HeaderId::RetryAfter,
    HeaderId::Vary,
    HeaderId::XAccelBuffering,
]));

/// Fields that go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowList {
    /// By id. [`HeaderId::Other`] is in it exactly if there are `names`.
    ids: HeaderSet,
    /// And those without an id, by name.
    names: Box<[Box<[u8]>]>,
}

/// A list as it holds for one message.
#[derive(Clone, Copy, Debug)]
pub struct Allowed<'l> {
    ids: HeaderSet,
    names: &'l [Box<[u8]>],
}

impl AllowList {
    /// The fields of `base` and those of these names, which are tokens.
    pub fn new<'n>(base: HeaderSet, names: impl IntoIterator<Item = &'n str>) -> Self {
        let (mut ids, mut others) = (base, Vec::new());
        for name in names {
            let id = HeaderId::of(name.as_bytes());
            // A family is allowed as a whole or by the names of its members.
            if id >= HeaderId::Reserved {
                ids.insert(HeaderId::Other);
                others.push(name.to_ascii_lowercase().into_bytes().into());
            } else {
                ids.insert(id);
            }
        }
        Self { ids, names: others.into() }
    }

    /// The same without the field called `name`, which somebody else sets: servers read `_` as `-`.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        let plain = name.to_ascii_lowercase().replace('_', "-");
        let id = HeaderId::of(plain.as_bytes());
        if id < HeaderId::Reserved {
            self.ids = self.ids.without(HeaderSet::of(&[id]));
        }
        let other = |known: &[u8]| !reads_as(known, name.as_bytes());
        self.names = self.names.into_iter().filter(|known| other(known)).collect();
        if self.names.is_empty() {
            self.ids = self.ids.without(HeaderSet::of(&[HeaderId::Other]));
        }
        self
    }

    /// The list but for these.
    #[inline]
    pub fn except(&self, ids: HeaderSet) -> Allowed<'_> {
        Allowed { ids: self.ids.without(ids), names: &self.names }
    }

    /// Whether the list has a field of this name.
    pub fn has(&self, name: &str) -> bool {
        self.except(HeaderSet::NONE).has(HeaderId::of(name.as_bytes()), name.as_bytes())
    }
}

impl Allowed<'_> {
    #[inline]
    fn has(self, id: HeaderId, name: &[u8]) -> bool {
        self.ids.contains(id) && (id != HeaderId::Other || self.is_listed(name))
    }

    #[inline(never)]
    fn is_listed(self, name: &[u8]) -> bool {
        self.names.iter().any(|listed| listed.eq_ignore_ascii_case(name))
    }

    /// Copies to `out` the fields that go on, in their order. A field that `Connection` names stays here (RFC 9110
    /// section 7.6.1). The session id is written by `session`.
    #[inline]
    pub fn copy(
        self,
        out: &mut Vec<u8>,
        fields: &Fields<'_>,
        mut session: impl FnMut(&mut Vec<u8>, &Header<'_>),
    ) {
        let mut lines = Lines::new(out, fields);
        for field in fields.among(self.ids) {
            if field.id == HeaderId::Other && !self.is_listed(field.name)
                || fields.names_fields() && fields.is_named_by_connection(field.name)
            {
                continue;
            }
            match field.id {
                HeaderId::McpSessionId => session(lines.out(), &field),
                _ => lines.copy(&field),
            }
        }
    }
}

/// Whether a server may take a field called `name` for one that is called `other`: letter case does not count, and
/// servers in the manner of CGI read `_` as `-`.
pub fn reads_as(name: &[u8], other: &[u8]) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.len() == other.len() && name.iter().zip(other).all(|(&a, &b)| plain(a) == plain(b))
}

#[cfg(test)]
mod tests;
