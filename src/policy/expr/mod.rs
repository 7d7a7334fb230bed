//! Expressions of the Common Expression Language (CEL), for what the conditions of a rule cannot say.
//!
//! They run on the data path, on what strangers send. So everything about them is bounded: the text and its nesting
//! before it is parsed, the nesting of macros when it is compiled, and the size of what they look at when they run.
//! An expression that cannot be answered is a [`Failure`]; whoever asked decides what is the safe side.

use std::fmt;
use std::sync::Arc;

use cel::common::types::{CelBool, CelDouble, CelInt, CelString, CelUInt};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::{Context, Env, ExecutionError, Program};

pub use data::{Data, Size};
pub use fold::Equality;
pub use parsed::{Budget, Document, ParsedMessage, Reader};
pub use part::{Part, Parts};
pub use strict::parse as parse_json;

mod bounds;
mod data;
mod fold;
mod parsed;
mod part;
mod strict;
mod walk;

/// An expression that was checked. Two are equal if their texts are.
pub struct Expression {
    text: Box<str>,
    program: Program,
    /// The variables it names.
    uses: Box<[&'static str]>,
    /// And what it reads of each of these that is a document.
    parts: Box<[Part]>,
    /// The header names it looks up.
    headers: Box<[Box<str>]>,
    /// Macros within macros: 0 for none.
    loops: usize,
    has_regex: bool,
    /// Elements of the lists and maps that are written in it.
    elements: usize,
    /// Bytes of its longest text.
    longest: usize,
}

/// The variable that is a map of header lines. Only look-ups by name are possible: `headers["x-team"]`,
/// `headers.accept`, `"x-team" in headers`.
pub const HEADERS: &str = "headers";

/// Headers that are nobody's to see: they hold credentials.
pub const HIDDEN_HEADERS: [&str; 6] =
    ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "mcp-session-id"];

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong, with the line and column in the expression where that is known.
    pub what: String,
}

/// Why an expression has no answer.
#[derive(Debug)]
pub enum Failure {
    /// What it looks at is larger than it may walk over.
    TooLarge,
    /// The expressions of the request have used up their steps.
    OverBudget,
    /// Its value is neither true nor false.
    NotBool,
    /// What it looks at could not be had: a body that is not JSON of one reading.
    NoData(&'static str),
    /// Something in it cannot be computed: a key that is not there, a comparison of a text with a number.
    Error(Box<ExecutionError>),
}

impl Expression {
    /// Compiles `text`, which may name `variables` and no others.
    ///
    /// # Errors
    /// A [`Fault`] if it is not CEL, names what is not there, or breaks a bound: 4096 bytes, 24 brackets within each
    /// other, 400 operators, macros (`all`, `exists`, `filter`, `map`, ...) two deep.
    pub fn compile(text: &str, variables: &[&'static str]) -> Result<Self, Fault> {
        bounds::check(text)?;
        let program = ENV.with(|env| env.compile(text)).map_err(|errors| Fault::of(&errors))?;
        let found = walk::walk(&program, variables)?;
        for pattern in &found.regexes {
            check_regex(pattern)?;
        }
        Ok(Self {
            text: text.into(),
            program,
            uses: found.variables.iter().map(|(name, _)| *name).collect(),
            parts: found.variables.into_iter().map(|(_, part)| part).collect(),
            headers: found.headers.into(),
            loops: found.loops,
            has_regex: !found.regexes.is_empty(),
            elements: found.elements,
            longest: found.longest,
        })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The variables it names.
    pub fn variables(&self) -> &[&'static str] {
        &self.uses
    }

    /// Whether it names the variable.
    pub fn uses(&self, variable: &str) -> bool {
        self.uses.contains(&variable)
    }

    /// The headers it looks up, in lower case.
    pub fn headers(&self) -> &[Box<str>] {
        &self.headers
    }

    /// The part of a variable's value that it reads.
    pub fn part(&self, variable: &str) -> &Part {
        const NONE: &Part = &Part::NONE;
        let at = self.uses.iter().position(|used| *used == variable);
        at.and_then(|at| self.parts.get(at)).unwrap_or(NONE)
    }

    /// Its value. `lookup` is asked once for each variable that it names.
    ///
    /// # Errors
    /// A [`Failure`] of its own or of `lookup`.
    pub fn eval(
        &self,
        budget: &Budget,
        lookup: impl FnMut(&'static str) -> Result<Data, Failure>,
    ) -> Result<bool, Failure> {
        self.run(budget, lookup, |value| {
            value.downcast_ref::<CelBool>().map(|value| *value.inner()).ok_or(Failure::NotBool)
        })
    }

    /// Its value as text: a text as it is, numbers and truth as they are written.
    ///
    /// # Errors
    /// A [`Failure`] of its own or of `lookup`, or if its value is of another kind.
    pub fn text_of(
        &self,
        budget: &Budget,
        lookup: impl FnMut(&'static str) -> Result<Data, Failure>,
    ) -> Result<String, Failure> {
        self.run(budget, lookup, |value| {
            let text = value.downcast_ref::<CelString>().map(|text| text.inner().to_owned());
            text.or_else(|| value.downcast_ref::<CelInt>().map(|number| number.inner().to_string()))
                .or_else(|| value.downcast_ref::<CelUInt>().map(|number| number.inner().to_string()))
                .or_else(|| value.downcast_ref::<CelDouble>().map(|number| number.inner().to_string()))
                .or_else(|| value.downcast_ref::<CelBool>().map(|truth| truth.inner().to_string()))
                .ok_or(Failure::NoData("its value is no text"))
        })
    }

    fn run<T>(
        &self,
        budget: &Budget,
        mut lookup: impl FnMut(&'static str) -> Result<Data, Failure>,
        take: impl FnOnce(&dyn Val) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut size = Size { nodes: 0, values: self.elements, longest: self.longest };
        let mut variables = Vec::with_capacity(self.uses.len());
        for name in &self.uses {
            let data = lookup(name)?;
            size = size.plus(data.size());
            if size.nodes > self.nodes_max() {
                return Err(Failure::TooLarge);
            }
            variables.push((*name, data));
        }
        if self.text_steps(size) > self.text_steps_max() {
            return Err(Failure::TooLarge);
        }
        budget.take(self.steps(size))?;
        let variables = Variables(variables);
        let mut context = ENV.with(|env| Context::with_env(Arc::clone(env)));
        context.set_variable_resolver(&variables);
        let value = cel::Value::resolve_val(self.program.expression(), &context);
        take(&*value.map_err(|error| Failure::Error(Box::new(error)))?)
    }

    /// Steps that it takes of its request's [`Budget`], about a microsecond each: the turns of its macros, or a
    /// sixteenth of the values that it could compare where it has none, and sixteen times as many with `matches`.
    fn steps(&self, size: Size) -> usize {
        let turns = match self.loops {
            0 => 1 + size.nodes / NODES_PER_STEP,
            loops => (0..loops).fold(1_usize, |turns, _| turns.saturating_mul(size.nodes)),
        };
        if self.has_regex { turns.saturating_mul(REGEX_COST) } else { turns }
    }

    /// JSON values that it may look at.
    fn nodes_max(&self) -> usize {
        self.charged(NODES_MAX[self.loops.min(LOOPS_MAX)])
    }

    /// Bytes that it may go over if each turn of its macros looks at the longest text: a list of many elements and one
    /// long text are each small and together are not.
    fn text_steps(&self, size: Size) -> usize {
        let turns = (0..self.loops).fold(1_usize, |turns, _| turns.saturating_mul(size.values));
        if self.loops == 0 { 0 } else { turns.saturating_mul(size.longest) }
    }

    fn text_steps_max(&self) -> usize {
        self.charged(TEXT_STEPS_MAX)
    }

    fn charged(&self, plain: usize) -> usize {
        if self.has_regex { plain / REGEX_COST } else { plain }
    }
}

/// Macros within macros that an expression may have.
const LOOPS_MAX: usize = 2;

/// JSON values (of body, arguments, claims and headers together) that an expression may look at, by how deep its
/// macros are: what it costs grows with that power.
const NODES_MAX: [usize; LOOPS_MAX + 1] = [65_536, 8_192, 256];
/// Bytes of texts that the macros of an expression may go over: turns, by the bytes of the longest text.
const TEXT_STEPS_MAX: usize = 64 << 20;
/// How much dearer an expression with `matches` is: the library compiles the pattern each time.
const REGEX_COST: usize = 16;

/// Values that are compared with others of their kind in a microsecond.
const NODES_PER_STEP: usize = 16;

/// The values of variables, lent to one run.
struct Variables(Vec<(&'static str, Data)>);

impl VariableResolver for Variables {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let (_, data) = self.0.iter().find(|(name, _)| *name == variable)?;
        Some(CowVal::Borrowed(data.value()))
    }
}

thread_local! {
    /// The functions of the language. One for each thread, as counting its users in a place that all threads share
    /// would cost more than an expression.
    static ENV: Arc<Env> = Arc::new(Env::stdlib());
}

/// Compiles a regular expression by running it, as nothing else of the library does.
fn check_regex(pattern: &str) -> Result<(), Fault> {
    let mut context = ENV.with(|env| Context::with_env(Arc::clone(env)));
    context.add_variable_from_value("pattern", pattern.to_owned());
    let program = ENV.with(|env| env.compile("''.matches(pattern)")).map_err(|errors| Fault::of(&errors))?;
    match program.execute(&context) {
        Ok(_) => Ok(()),
        Err(error) => Err(Fault::new(format!("has a regular expression that is wrong: {error}"))),
    }
}

impl Fault {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into() }
    }

    fn of(errors: &cel::ParseErrors) -> Self {
        let Some(first) = errors.errors.first() else { return Self::new("is not CEL") };
        let message: String =
            first.msg.chars().filter(|char| !char.is_control()).take(MESSAGE_CHARS_MAX).collect();
        match first.pos {
            (line @ 1.., column) => {
                Self::new(format!("is not CEL: line {line}, column {}: {message}", column.max(0)))
            }
            _ => Self::new(format!("is not CEL: {message}")),
        }
    }
}

/// Characters of a parser's message that are shown: it likes to list every token it knows.
const MESSAGE_CHARS_MAX: usize = 160;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("what it looks at is too large"),
            Self::OverBudget => {
                f.write_str("the expressions of the request have used up limits.expression_steps_max")
            }
            Self::NotBool => f.write_str("its value is neither true nor false"),
            Self::NoData(what) => f.write_str(what),
            Self::Error(error) => write!(f, "{error}"),
        }
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.text)
    }
}

#[cfg(test)]
mod property;
#[cfg(test)]
mod tests;
