//! What of an expression can be looked up in a table instead of being computed.

use cel::IdedExpr;
use cel::common::ast::{Expr, LiteralValue};

use super::Expression;

/// A part of a conjunction: the value at a path must be one of these texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Equality {
    /// The path, such as `body.params.name`.
    pub path: String,
    /// The texts: at least one.
    pub texts: Vec<Box<str>>,
}

impl Expression {
    /// The parts of it that are equalities and must all hold, and whether they are all that it says. An expression of
    /// which one of them does not hold is false, whatever the rest.
    pub fn equalities(&self) -> (Vec<Equality>, bool) {
        let mut found = Vec::new();
        let whole = conjuncts(self.program.expression(), &mut found);
        (found, whole)
    }
}

/// Notes the equalities of a conjunction; whether there is nothing else in it.
fn conjuncts(expr: &IdedExpr, found: &mut Vec<Equality>) -> bool {
    if let Expr::Call(call) = &expr.expr
        && call.func_name == "_&&_"
    {
        // Every part is visited, so no short cut here.
        let mut whole = true;
        for part in &call.args {
            whole &= conjuncts(part, found);
        }
        return whole;
    }
    let equality = equality(expr);
    let is_one = equality.is_some();
    found.extend(equality);
    is_one
}

fn equality(expr: &IdedExpr) -> Option<Equality> {
    let Expr::Call(call) = &expr.expr else { return None };
    match (call.func_name.as_str(), call.args.as_slice()) {
        ("_==_", [one, other]) => {
            let (path, text) = match (path(one), text(other)) {
                (Some(path), Some(text)) => (path, text),
                _ => (path(other)?, text(one)?),
            };
            Some(Equality { path, texts: vec![text] })
        }
        ("@in", [one, list]) => {
            let Expr::List(list) = &list.expr else { return None };
            let texts: Option<Vec<_>> = list.elements.iter().map(text).collect();
            Some(Equality { path: path(one)?, texts: texts.filter(|texts| !texts.is_empty())? })
        }
        ("_||_", parts) => {
            // Of one field only: `tool == "a" || tool == "b"`.
            let mut parts = parts.iter().map(equality);
            let first = parts.next()??;
            parts.try_fold(first, |mut all, part| {
                let part = part.filter(|part| part.path == all.path)?;
                all.texts.extend(part.texts);
                Some(all)
            })
        }
        _ => None,
    }
}

fn path(expr: &IdedExpr) -> Option<String> {
    match &expr.expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) if !select.test => Some(format!("{}.{}", path(&select.operand)?, select.field)),
        _ => None,
    }
}

fn text(expr: &IdedExpr) -> Option<Box<str>> {
    match &expr.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner().into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn found(text: &str) -> (Vec<String>, bool) {
        let expression = Expression::compile(text, &["method", "tool", "body", "arguments"]).unwrap();
        let (equalities, whole) = expression.equalities();
        (equalities.iter().map(|one| format!("{}={}", one.path, one.texts.join("|"))).collect(), whole)
    }

    #[test]
    fn conjunctions_of_equalities_are_found() {
        for (text, expected, whole) in [
            ("tool == 'a'", &["tool=a"][..], true),
            (
                "body.method == 'tools/call' && 'x' == body.params.name",
                &["body.method=tools/call", "body.params.name=x"],
                true,
            ),
            ("tool in ['a', 'b'] && method == 'm' && arguments.n > 3", &["tool=a|b", "method=m"], false),
            ("tool == 'a' || tool == 'b'", &["tool=a|b"], true),
            ("tool == 'a' || method == 'b'", &[], false),
            ("tool != 'a'", &[], false),
            ("!(tool == 'a')", &[], false),
            ("arguments.n == 1", &[], false),
            ("tool == method", &[], false),
        ] {
            assert_eq!(
                found(text),
                (expected.iter().map(|text| (*text).to_owned()).collect(), whole),
                "{text}"
            );
        }
    }
}
