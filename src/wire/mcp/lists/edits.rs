//! What is to be changed in a body.

use crate::wire::json::Span;

/// Changes of a body: parts of it in the order in which they stand, and what comes in their place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    edits: Vec<Edit>,
    /// How long a result may be kept, as it is written.
    time: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Edit {
    span: Span,
    by: By,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Nothing,
    Private,
    Time,
}

impl Edits {
    /// Whether the body stays as it is.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Forgets all changes, to be used for another body.
    pub fn clear(&mut self) {
        self.edits.clear();
        self.time.clear();
    }

    fn bytes(&self, by: By) -> &[u8] {
        match by {
            By::Nothing => b"",
            By::Private => b"\"private\"",
            By::Time => self.time.as_bytes(),
        }
    }

    /// Takes a part out. It must not start before the end of the one before it.
    pub(super) fn cut(&mut self, span: Span) {
        match self.edits.last_mut() {
            _ if span.start == span.end => {}
            Some(last) if last.by == By::Nothing && last.span.end == span.start => last.span.end = span.end,
            _ => self.edits.push(Edit { span, by: By::Nothing }),
        }
    }

    /// Puts the string `private` in the place of a value.
    pub(super) fn make_private(&mut self, span: Span) {
        self.edits.push(Edit { span, by: By::Private });
    }

    /// Puts a time in the place of a value. It is the same for all of a body.
    pub(super) fn shorten(&mut self, span: Span, time: u64) {
        self.time = time.to_string();
        self.edits.push(Edit { span, by: By::Time });
    }

    /// The parts of the changed `body`, which must be the one that the edits were found in.
    pub fn parts<'a>(&'a self, body: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let mut at = 0;
        let mut edits = self.edits.iter();
        let changed = std::iter::from_fn(move || {
            let edit = edits.next();
            let (end, next, by) = match edit {
                Some(edit) => (edit.span.start as usize, edit.span.end as usize, edit.by),
                None if at < body.len() => (body.len(), body.len(), By::Nothing),
                None => return None,
            };
            let kept = &body[at..end];
            at = next;
            Some([kept, self.bytes(by)])
        });
        changed.flatten().filter(|part| !part.is_empty())
    }

    /// How many bytes the changed body has.
    pub fn length(&self, body: &[u8]) -> usize {
        let cut: usize = self.edits.iter().map(|edit| edit.span.range().len()).sum();
        let put: usize = self.edits.iter().map(|edit| self.bytes(edit.by).len()).sum();
        body.len() - cut + put
    }

    /// Appends the changed `body` to `out`.
    pub fn apply(&self, body: &[u8], out: &mut Vec<u8>) {
        out.reserve(self.length(body));
        self.parts(body).for_each(|part| out.extend_from_slice(part));
    }
}
