//! One message as conditions and expressions see it: parsed at most once, however many rules and limits look at it.

use std::cell::{Cell, OnceCell};

use serde_json::{Map, Value as Json};

use super::{Data, Failure, Part, Parts, parse_json};

/// What was parsed of one message so far, and what its request may still spend on expressions.
///
/// One belongs to one message: whoever asks about another needs another, with the same [`Budget`].
#[derive(Default)]
pub struct ParsedMessage {
    body: OnceCell<Option<Json>>,
    arguments: OnceCell<Option<Json>>,
    for_rules: Copies,
    for_limits: Copies,
    budget: Budget,
}

/// The copies that expressions look at. Rules read other parts than limits do.
#[derive(Default)]
struct Copies {
    body: OnceCell<Data>,
    arguments: OnceCell<Data>,
    claims: OnceCell<Data>,
}

/// Whose expressions ask, with the parts that they read.
#[derive(Clone, Copy)]
pub enum Reader<'a> {
    /// Rules.
    Rules(&'a Parts),
    /// Limits.
    Limits(&'a Parts),
}

/// A document of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// The message.
    Body,
    /// `params.arguments` of it.
    Arguments,
    /// The caller's claims.
    Claims,
}

/// Steps that the expressions of one request may take together (`limits.expression_steps_max`): see
/// [`super::Expression::steps`].
#[derive(Clone, Debug)]
pub struct Budget {
    left: Cell<usize>,
    is_over: Cell<bool>,
}

impl Budget {
    /// Of so many steps.
    pub fn new(steps: usize) -> Self {
        Self { left: Cell::new(steps), is_over: Cell::new(false) }
    }

    /// Steps that are left.
    pub fn left(&self) -> usize {
        self.left.get()
    }

    /// Whether an expression was not run for want of steps.
    pub fn is_over(&self) -> bool {
        self.is_over.get()
    }

    /// Takes steps. Nothing is left where there are not as many.
    pub(super) fn take(&self, steps: usize) -> Result<(), Failure> {
        let left = self.left.get().checked_sub(steps);
        self.left.set(left.unwrap_or(0));
        self.is_over.set(left.is_none());
        left.map(|_| ()).ok_or(Failure::OverBudget)
    }
}

/// Without a bound: for a single answer, and for tests.
impl Default for Budget {
    fn default() -> Self {
        Self::new(usize::MAX)
    }
}

impl ParsedMessage {
    /// Nothing of a message, and a budget for its request.
    pub fn new(budget: Budget) -> Self {
        Self { budget, ..Self::default() }
    }

    /// Nothing of another message of the same request.
    pub fn next(&self) -> Self {
        Self::new(self.budget.clone())
    }

    /// Takes over what the expressions about another message of the same request have spent.
    pub fn spend_as(&self, other: &Self) {
        self.budget.left.set(other.budget.left.get());
    }

    /// The budget of the request.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The message, from its bytes; `null` if there are none. `None` if it is not JSON of one reading.
    pub fn body(&self, bytes: &[u8]) -> Option<&Json> {
        let read = || if bytes.is_empty() { Some(Json::Null) } else { parse_json(bytes) };
        self.body.get_or_init(read).as_ref()
    }

    /// `params.arguments`, from its bytes; an empty object if there are none. `None` if it is not JSON of one reading.
    /// Those that are a part of a `body` that was parsed, or `reader` reads too, are not parsed again.
    pub fn arguments(&self, bytes: Option<&[u8]>, body: &[u8], reader: Reader<'_>) -> Option<&Json> {
        let Some(bytes) = bytes else {
            return self.arguments.get_or_init(|| Some(Json::Object(Map::new()))).as_ref();
        };
        let (Reader::Rules(parts) | Reader::Limits(parts)) = reader;
        let is_part = body.as_ptr_range().contains(&bytes.as_ptr());
        let has_body = self.body.get().is_some() || !parts.body.is_none();
        if is_part
            && self.arguments.get().is_none()
            && has_body
            && let Some(body) = self.body(body)
        {
            return body.pointer("/params/arguments");
        }
        self.arguments.get_or_init(|| parse_json(bytes)).as_ref()
    }

    /// What the expressions of `reader` see of a document, which `json` finds.
    ///
    /// # Errors
    /// There is no such document, or it has more than one reading.
    pub fn data<'j>(
        &'j self,
        reader: Reader<'_>,
        document: Document,
        json: impl FnOnce() -> Option<&'j Json>,
    ) -> Result<Data, Failure> {
        let (copies, parts) = match reader {
            Reader::Rules(parts) => (&self.for_rules, parts),
            Reader::Limits(parts) => (&self.for_limits, parts),
        };
        let (cell, part): (&OnceCell<Data>, &Part) = match document {
            Document::Body => (&copies.body, &parts.body),
            Document::Arguments => (&copies.arguments, &parts.arguments),
            Document::Claims => (&copies.claims, &parts.claims),
        };
        if let Some(data) = cell.get() {
            return Ok(data.clone());
        }
        let json = json().ok_or(Failure::NoData("the request cannot be read in one way only"))?;
        Ok(cell.get_or_init(|| Data::part(json, part)).clone())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::policy::expr::Expression;

    fn parts(text: &str) -> Parts {
        Parts::of([&Expression::compile(text, &["body", "arguments", "claims"]).unwrap()])
    }

    #[test]
    fn a_message_is_parsed_once_for_all_that_ask() {
        let body = br#"{"params":{"arguments":{"a":1}}}"#;
        let arguments = Some(&body[23..30]);
        let both = parts("body.params.x == 1 && arguments.a == 1");
        for reader in [Reader::Rules(&both), Reader::Limits(&both)] {
            let parsed = ParsedMessage::default();
            let own = parsed.arguments(arguments, body, reader).unwrap();
            assert!(std::ptr::eq(own, parsed.body(body).unwrap().pointer("/params/arguments").unwrap()));
            let data = |document| {
                parsed.data(reader, document, || parsed.arguments(arguments, body, reader)).unwrap()
            };
            assert!(data(Document::Arguments).is_shared_with(&data(Document::Arguments)));
        }
        let only = parts("arguments.a == 1");
        let parsed = ParsedMessage::default();
        assert_eq!(parsed.arguments(arguments, body, Reader::Rules(&only)).unwrap()["a"], 1);
        assert!(parsed.body.get().is_none(), "nobody reads the body");
    }

    #[test]
    fn what_is_odd_elsewhere_in_the_message_leaves_the_arguments_readable() {
        let body = br#"{"params":{"arguments":{"a":1}},"x":1,"x":2}"#;
        let both = parts("body.params.x == 1 && arguments.a == 1");
        let (parsed, reader) = (ParsedMessage::default(), Reader::Rules(&both));
        assert_eq!(parsed.body(body), None);
        assert_eq!(parsed.arguments(Some(&body[23..30]), body, reader).unwrap()["a"], 1);
        let (parsed, twice) = (ParsedMessage::default(), br#"{"a":1,"a":2}"#);
        assert_eq!(parsed.arguments(Some(twice), twice, Reader::Rules(&only_arguments())), None);
    }

    fn only_arguments() -> Parts {
        parts("arguments.a == 1")
    }

    #[test]
    fn the_messages_of_a_request_have_one_budget() {
        let first = ParsedMessage::new(Budget::new(3));
        assert!(first.budget().take(2).is_ok());
        let second = first.next();
        assert!(second.budget().take(1).is_ok());
        first.spend_as(&second);
        assert!(matches!(first.budget().take(1), Err(Failure::OverBudget)));
    }
}
