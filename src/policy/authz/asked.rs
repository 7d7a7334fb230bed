//! One question: what is asked, by whom, and what is known of the request. The body is read at most once, and only
//! if a rule wants to know.

use std::net::IpAddr;

use serde_json::Value as Json;

use super::path::Unclear;
use super::rule::{Effect, Rule};
use super::value::{Elements, fits, is_winding};
use super::{Facts, Lists, Operation, Path, Repeated, Rules, Target};
use crate::policy::Principal;
use crate::policy::expr::{
    Budget, Data, Document, Expression, Failure, HEADERS, ParsedMessage, Parts, Reader,
};

/// The variables of expressions in rules.
pub const VARIABLES: &[&str] = &[
    "method",
    "tool",
    "prompt",
    "resource",
    "server",
    "agent",
    "user",
    "tenant",
    "roles",
    "scopes",
    "claims",
    HEADERS,
    "source",
    "now",
    "arguments",
    "body",
];

/// A question and what was found out for it.
pub struct Asked<'a, 'f> {
    /// Who asks.
    pub principal: &'a Principal,
    /// What for.
    pub operation: Operation<'a>,
    /// The server's name.
    pub server: &'a str,
    /// From where.
    pub source: Option<IpAddr>,
    /// Seconds since 1970 (UTC).
    pub now: u64,
    /// The request; `None` where there is none yet.
    pub request: Option<&'a Facts<'f>>,
    /// What was parsed for it, or for the lists of an answer.
    parsed: &'a ParsedMessage,
    /// What the expressions of all rules read.
    pub parts: &'a Parts,
}

/// A condition on the request that is not met.
#[derive(Debug)]
pub enum Unmet<'a> {
    /// It comes from elsewhere.
    Source,
    /// It comes at another time.
    Time,
    /// This argument is not there or not as wanted.
    Argument(&'a Path),
    /// The arguments cannot be read.
    Unreadable,
    /// A key of this argument is there in another case.
    Case(&'a Path),
    /// This argument is a path with segments `.` or `..`.
    Winding(&'a Path),
    /// The expression is false.
    When,
    /// The expression has no value.
    Failed(Failure),
}

impl Unmet<'_> {
    /// Whether it may be met all the same, to some reader.
    pub fn is_unclear(&self) -> bool {
        matches!(self, Self::Unreadable | Self::Case(_) | Self::Winding(_) | Self::Failed(_))
    }
}

/// The first argument that is not as wanted, or else whether one can be read in several ways.
fn unmet_argument<'r>(rule: &'r Rule, arguments: &Json) -> Option<Unmet<'r>> {
    let elements = match rule.effect {
        Effect::Allow => Elements::All,
        Effect::Deny => Elements::Any,
    };
    let mut unclear = None;
    for (path, wanted) in &rule.arguments {
        match path.find_clear(arguments) {
            Ok(Some(value)) if fits(wanted, value, elements) && !is_winding(wanted, value) => {}
            Ok(Some(value)) if is_winding(wanted, value) => unclear = Some(Unmet::Winding(path)),
            Ok(_) => return Some(Unmet::Argument(path)),
            Err(Unclear) => unclear = Some(Unmet::Case(path)),
        }
    }
    unclear
}

impl<'a, 'f> Asked<'a, 'f> {
    /// A question about a request.
    pub fn about(
        rules: &'a Rules,
        principal: &'a Principal,
        operation: &Operation<'a>,
        facts: &'a Facts<'f>,
    ) -> Self {
        Self {
            principal,
            operation: *operation,
            server: rules.server_name(operation.server),
            source: facts.source,
            now: facts.now,
            request: Some(facts),
            parsed: facts.parsed,
            parts: &rules.parts,
        }
    }

    /// A question about an item of the lists of an answer: there is no request yet that uses it.
    pub fn of_list(rules: &'a Rules, operation: &Operation<'a>, lists: &Lists<'a>) -> Self {
        Self {
            principal: lists.principal,
            operation: *operation,
            server: rules.server_name(operation.server),
            source: lists.source,
            now: lists.now,
            request: None,
            parsed: &lists.showing.parsed,
            parts: &rules.parts,
        }
    }

    /// Whether the request meets the rule's conditions on it. What cannot be found out is met for a rule that denies
    /// and unmet for one that allows.
    pub fn meets(&self, rule: &Rule) -> bool {
        match self.unmet(rule) {
            None => true,
            Some(unmet) => unmet.is_unclear() && rule.effect == Effect::Deny,
        }
    }

    /// Whether some request could meet the rule's conditions on it: see [`super::Rules::shows`]. Its expression is
    /// bounded by `budget`.
    pub fn could_meet(&self, rule: &Rule, budget: &Budget) -> bool {
        let is_here = self.elsewhere(rule).is_none();
        match rule.effect {
            Effect::Allow => is_here && (rule.looks_at_request() || self.says(rule, budget)),
            Effect::Deny => {
                is_here && rule.arguments.is_empty() && !rule.looks_at_request() && self.says(rule, budget)
            }
        }
    }

    /// Whether the expression is met; one without a value is for a rule that denies.
    fn says(&self, rule: &Rule, budget: &Budget) -> bool {
        let value = rule.when.as_ref().map_or(Ok(true), |when| self.eval(when, budget));
        value.unwrap_or(rule.effect == Effect::Deny)
    }

    /// The condition on source or time that it does not meet.
    fn elsewhere<'r>(&self, rule: &'r Rule) -> Option<Unmet<'r>> {
        let comes_from = |source: IpAddr| rule.sources.iter().any(|block| block.contains(source));
        if !rule.sources.is_empty() && !self.source.is_some_and(comes_from) {
            return Some(Unmet::Source);
        }
        let is_time = rule.time.as_ref().is_none_or(|time| time.contains(self.now));
        (!is_time).then_some(Unmet::Time)
    }

    /// The first condition that it does not meet, the cheap ones first.
    pub fn unmet<'r>(&self, rule: &'r Rule) -> Option<Unmet<'r>> {
        if let Some(unmet) = self.elsewhere(rule) {
            return Some(unmet);
        }
        let mut unclear = None;
        if !rule.arguments.is_empty() {
            unclear = match self.arguments() {
                Some(arguments) => unmet_argument(rule, arguments),
                None => Some(Unmet::Unreadable),
            };
            // An expression says nothing sure of a request that can be read in several ways.
            if unclear.as_ref().is_some_and(|unmet| !unmet.is_unclear() || rule.looks_at_request()) {
                return unclear;
            }
        }
        let Some(when) = &rule.when else { return unclear };
        match self.eval(when, self.parsed.budget()) {
            Ok(true) => unclear,
            Ok(false) => Some(Unmet::When),
            Err(failure) => Some(Unmet::Failed(failure)),
        }
    }

    /// `params.arguments`; an empty map if there are none, `None` if they are not JSON of one reading.
    fn arguments(&self) -> Option<&Json> {
        let request = self.request?;
        self.parsed.arguments(request.arguments, request.body, Reader::Rules(self.parts))
    }

    fn eval(&self, when: &Expression, budget: &Budget) -> Result<bool, Failure> {
        when.eval(budget, |variable| self.value(variable, when))
    }

    /// A document as the expressions of rules see it.
    fn document(&self, document: Document) -> Result<Data, Failure> {
        self.parsed.data(Reader::Rules(self.parts), document, || match document {
            Document::Body => self.parsed.body(self.request?.body),
            Document::Arguments => self.arguments(),
            Document::Claims => Some(&self.principal.claims),
        })
    }

    /// The value of a variable. What a request has not is an empty text.
    fn value(&self, variable: &'static str, when: &Expression) -> Result<Data, Failure> {
        let optional = |text: &Option<Box<str>>| Data::text(text.as_deref().unwrap_or(""));
        let (principal, target) = (self.principal, self.operation.target);
        Ok(match (variable, target) {
            ("method", _) => Data::text(self.operation.method),
            ("tool", Target::Tool(name))
            | ("prompt", Target::Prompt(name))
            | ("resource", Target::Resource(name)) => Data::text(name),
            ("tool" | "prompt" | "resource", _) => Data::text(""),
            ("server", _) => Data::text(self.server),
            ("agent", _) => optional(&principal.agent),
            ("user", _) => optional(&principal.user),
            ("tenant", _) => optional(&principal.tenant),
            ("roles", _) => Data::texts(&principal.roles),
            ("scopes", _) => Data::texts(&principal.scopes),
            ("claims", _) => self.document(Document::Claims)?,
            ("source", _) => match self.source {
                Some(address) => Data::text(&address.to_canonical().to_string()),
                None => Data::text(""),
            },
            ("now", _) => Data::moment(self.now),
            ("arguments", _) => self.document(Document::Arguments)?,
            ("body", _) => self.document(Document::Body)?,
            (HEADERS, _) => self.headers(when)?,
            _ => return Err(Failure::NoData("there is no such variable")),
        })
    }

    fn headers(&self, when: &Expression) -> Result<Data, Failure> {
        let request = self.request.ok_or(Failure::NoData("there is no request"))?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        let mut lines = Vec::with_capacity(when.headers().len());
        for name in when.headers() {
            let found =
                (request.header)(name).map_err(|Repeated| Failure::NoData("a header is there twice"))?;
            if let Some(bytes) = found {
                let text = text(bytes).ok_or(Failure::NoData("a header is not UTF-8 text"))?;
                lines.push((&**name, text));
            }
        }
        Ok(Data::map(lines))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_document_is_copied_once_however_many_expressions_look_at_it() {
        let principal = Principal::anonymous([]);
        let operation = Operation { server: 0, method: "tools/call", target: Target::Tool("x") };
        let facts = Facts {
            source: None,
            now: 0,
            body: b"{\"a\":1}",
            arguments: Some(b"{\"b\":2}"),
            header: &|_| Ok(None),
            parsed: &ParsedMessage::default(),
        };
        let rules = Rules::default();
        let asked = Asked::about(&rules, &principal, &operation, &facts);
        let when = Expression::compile("true", VARIABLES).unwrap();
        for variable in ["body", "arguments", "claims"] {
            let (one, other) = (asked.value(variable, &when).unwrap(), asked.value(variable, &when).unwrap());
            assert!(one.is_shared_with(&other), "{variable}");
        }
    }
}
