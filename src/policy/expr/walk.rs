//! What an expression is made of: the variables and headers it names, and whether it keeps the bounds.

use cel::IdedExpr;
use cel::Program;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SelectExpr};

use super::{Fault, HEADERS, HIDDEN_HEADERS, LOOPS_MAX, Part};

/// What was found.
#[derive(Default)]
pub struct Found {
    /// The variables it names, each once, with what it reads of them.
    pub variables: Vec<(&'static str, Part)>,
    /// The header names it looks up, each once.
    pub headers: Vec<Box<str>>,
    /// Its regular expressions.
    pub regexes: Vec<Box<str>>,
    /// Macros within macros.
    pub loops: usize,
    /// Elements of the lists and maps that are written in it.
    pub elements: usize,
    /// Bytes of its longest text.
    pub longest: usize,
}

/// How deep the tree of an expression may be: it is walked by recursion whenever it runs.
const DEPTH_MAX: usize = 96;

/// Functions that an expression may call. The operators have names of this kind too; those for optional values are
/// left out, as their syntax is off.
const FUNCTIONS: [&str; 43] = [
    "_?_:_",
    "_&&_",
    "_||_",
    "!_",
    "_-_",
    "_+_",
    "_*_",
    "_/_",
    "_%_",
    "_==_",
    "_!=_",
    "_>=_",
    "_<=_",
    "_>_",
    "_<_",
    "-_",
    "_[_]",
    "@in",
    "@not_strictly_false",
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "string",
    "int",
    "uint",
    "double",
    "bool",
    "bytes",
    "type",
    "dyn",
    "duration",
    "timestamp",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMinutes",
    "getMonth",
    "getSeconds",
];

/// Names of types, as in `type(arguments.id) == int`.
const TYPES: [&str; 9] = ["int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type"];

/// Walks over the program.
pub fn walk(program: &Program, variables: &[&'static str]) -> Result<Found, Fault> {
    let mut walker = Walker { program, variables, bound: Vec::new(), found: Found::default() };
    walker.visit(program.expression(), 0, 0)?;
    Ok(walker.found)
}

struct Walker<'a> {
    program: &'a Program,
    variables: &'a [&'static str],
    /// Names that the macros around this place have given.
    bound: Vec<&'a str>,
    found: Found,
}

impl<'a> Walker<'a> {
    fn visit(&mut self, expr: &'a IdedExpr, depth: usize, loops: usize) -> Result<(), Fault> {
        if depth > DEPTH_MAX {
            return Err(Fault::new(format!("nests deeper than {DEPTH_MAX}; break it up into several rules")));
        }
        let depth = depth + 1;
        match &expr.expr {
            Expr::Unspecified => Err(self.fault(expr, "is not complete")),
            Expr::Literal(literal) => {
                if let LiteralValue::String(text) = literal {
                    self.found.longest = self.found.longest.max(text.inner().len());
                }
                Ok(())
            }
            Expr::Ident(name) => self.name(expr, name),
            Expr::Select(select) => self.select(expr, select, depth, loops),
            Expr::Call(call) => self.call(expr, call, depth, loops),
            Expr::List(list) if list.optional_indices.is_empty() => {
                self.found.elements += list.elements.len();
                list.elements.iter().try_for_each(|element| self.visit(element, depth, loops))
            }
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) if !entry.optional => {
                    self.found.elements += 1;
                    self.visit(&entry.key, depth, loops)?;
                    self.visit(&entry.value, depth, loops)
                }
                EntryExpr::MapEntry(_) | EntryExpr::StructField(_) => Err(Fault::new(OPTIONAL)),
            }),
            Expr::Comprehension(comprehension) => self.comprehension(expr, comprehension, depth, loops),
            Expr::List(_) => Err(self.fault(expr, OPTIONAL)),
            Expr::Struct(_) => Err(self.fault(expr, "makes a message of a type; there are none here")),
        }
    }

    fn name(&mut self, expr: &IdedExpr, name: &str) -> Result<(), Fault> {
        if self.bound.contains(&name) || TYPES.contains(&name) {
            return Ok(());
        }
        let Some(known) = self.variables.iter().find(|known| **known == name) else {
            let what =
                format!("names `{name}`, which is not known here; known: {}", self.variables.join(", "));
            return Err(self.fault(expr, &what));
        };
        if *known == HEADERS {
            return Err(self.fault(expr, HEADERS_USE));
        }
        self.uses(known, &[]);
        Ok(())
    }

    /// Notes that it reads what is below a path of a variable's value.
    fn uses(&mut self, variable: &'static str, path: &[&str]) {
        let variables = &mut self.found.variables;
        let at = variables.iter().position(|(known, _)| *known == variable).unwrap_or_else(|| {
            variables.push((variable, Part::default()));
            variables.len() - 1
        });
        variables[at].1.add(path);
    }

    /// The path of an expression whose tree stays within bounds below `depth`.
    fn short_path(&self, expr: &'a IdedExpr, depth: usize) -> Option<(&'static str, Vec<&'a str>)> {
        self.path(expr).filter(|(_, path)| depth + path.len() <= DEPTH_MAX)
    }

    /// The variable and the keys of an expression that only looks something up by names: `body.params["name"]`.
    fn path(&self, expr: &'a IdedExpr) -> Option<(&'static str, Vec<&'a str>)> {
        let (operand, key) = match &expr.expr {
            Expr::Ident(name) => {
                let known = self.variables.iter().find(|known| **known == *name)?;
                let is_it = !self.bound.contains(&name.as_str()) && *known != HEADERS;
                return is_it.then(|| (*known, Vec::new()));
            }
            Expr::Select(select) => (&*select.operand, &*select.field),
            Expr::Call(call) if call.func_name == "_[_]" && call.target.is_none() => {
                let [map, key] = call.args.as_slice() else { return None };
                (map, text_of(key)?)
            }
            _ => return None,
        };
        let (variable, mut path) = self.path(operand)?;
        path.push(key);
        Some((variable, path))
    }

    fn select(
        &mut self,
        expr: &'a IdedExpr,
        select: &'a SelectExpr,
        depth: usize,
        loops: usize,
    ) -> Result<(), Fault> {
        if self.is_headers(&select.operand) {
            return self.header(expr, &select.field);
        }
        match self.short_path(expr, depth) {
            Some((variable, path)) => {
                self.uses(variable, &path);
                Ok(())
            }
            None => self.visit(&select.operand, depth, loops),
        }
    }

    fn call(
        &mut self,
        expr: &'a IdedExpr,
        call: &'a CallExpr,
        depth: usize,
        loops: usize,
    ) -> Result<(), Fault> {
        if !FUNCTIONS.contains(&call.func_name.as_str()) {
            return Err(self.fault(expr, &format!("calls `{}`, which is not known here", call.func_name)));
        }
        match (call.func_name.as_str(), call.args.as_slice()) {
            ("_[_]", [map, key]) if self.is_headers(map) => return self.header_of(expr, key),
            ("@in", [key, map]) if self.is_headers(map) => return self.header_of(expr, key),
            ("_[_]", _) => {
                if let Some((variable, path)) = self.short_path(expr, depth) {
                    self.uses(variable, &path);
                    return Ok(());
                }
            }
            ("matches", args) => match args.last().and_then(text_of) {
                Some(pattern) => self.found.regexes.push(pattern.into()),
                None => {
                    let what = "uses `matches` with a pattern that is not a text in quotes; a caller must not choose it";
                    return Err(self.fault(expr, what));
                }
            },
            _ => {}
        }
        let target = call.target.as_deref();
        target.into_iter().chain(&call.args).try_for_each(|part| self.visit(part, depth, loops))
    }

    fn comprehension(
        &mut self,
        expr: &IdedExpr,
        inner: &'a ComprehensionExpr,
        depth: usize,
        loops: usize,
    ) -> Result<(), Fault> {
        self.visit(&inner.iter_range, depth, loops)?;
        self.visit(&inner.accu_init, depth, loops)?;
        let loops = loops + 1;
        if loops > LOOPS_MAX {
            return Err(self.fault(expr, "has macros more than two deep"));
        }
        self.found.loops = self.found.loops.max(loops);
        let bound = self.bound.len();
        self.bound.extend([inner.iter_var.as_str(), inner.accu_var.as_str()]);
        for part in [&inner.loop_cond, &inner.loop_step, &inner.result] {
            self.visit(part, depth, loops)?;
        }
        self.bound.truncate(bound);
        Ok(())
    }

    fn is_headers(&self, expr: &IdedExpr) -> bool {
        matches!(&expr.expr, Expr::Ident(name) if name == HEADERS)
            && self.variables.contains(&HEADERS)
            && !self.bound.contains(&HEADERS)
    }

    fn header_of(&mut self, expr: &IdedExpr, key: &IdedExpr) -> Result<(), Fault> {
        match text_of(key) {
            Some(name) => self.header(expr, name),
            None => Err(self.fault(expr, HEADERS_USE)),
        }
    }

    fn header(&mut self, expr: &IdedExpr, name: &str) -> Result<(), Fault> {
        if name.is_empty() || name.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii_graphic()) {
            return Err(
                self.fault(expr, &format!("looks up the header `{name}`; names are in lower case here"))
            );
        }
        if HIDDEN_HEADERS.contains(&name) {
            return Err(
                self.fault(expr, &format!("looks up `{name}`: headers with credentials are not shown"))
            );
        }
        if !self.found.headers.iter().any(|known| **known == *name) {
            self.found.headers.push(name.into());
        }
        self.uses(HEADERS, &[]);
        Ok(())
    }

    fn fault(&self, expr: &IdedExpr, what: &str) -> Fault {
        let info = self.program.source_info();
        let Some((start, _)) = info.offset_for(expr.id) else { return Fault::new(what) };
        let before: Vec<char> = info.source.chars().take(usize::try_from(start).unwrap_or(0)).collect();
        let line = before.iter().filter(|&&char| char == '\n').count() + 1;
        let column = before.iter().rev().take_while(|&&char| char != '\n').count() + 1;
        Fault::new(format!("{what} (line {line}, column {column})"))
    }
}

const OPTIONAL: &str = "uses optional values, which are off";
const HEADERS_USE: &str =
    "uses `headers` in another way than by name: write `headers[\"x-name\"]` or `\"x-name\" in headers`";

fn text_of(expr: &IdedExpr) -> Option<&str> {
    match &expr.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}
