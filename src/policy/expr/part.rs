//! The parts of documents that expressions read: known when they are compiled, so that nothing else is copied.

use super::Expression;

/// The part of a JSON document that lies on certain paths. The default is no part of it, only its kind: an object
/// without members, a list without elements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    whole: bool,
    /// By key, each once.
    below: Vec<(Box<str>, Self)>,
}

impl Part {
    /// All of the document.
    pub const WHOLE: Self = Self { whole: true, below: Vec::new() };
    /// The default.
    pub const NONE: Self = Self { whole: false, below: Vec::new() };

    /// Adds all that is below a path.
    pub fn add(&mut self, path: &[&str]) {
        if self.whole {
            return;
        }
        let Some((first, rest)) = path.split_first() else {
            *self = Self::WHOLE;
            return;
        };
        self.at(first).add(rest);
    }

    /// Adds another part.
    pub fn merge(&mut self, other: &Self) {
        if other.whole {
            *self = Self::WHOLE;
        }
        if !self.whole {
            other.below.iter().for_each(|(key, part)| self.at(key).merge(part));
        }
    }

    /// Whether it is all of the document.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// Whether nothing of the document is read.
    pub fn is_none(&self) -> bool {
        !self.whole && self.below.is_empty()
    }

    /// The members that it has of an object, each with its own part.
    pub fn below(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.below.iter().map(|(key, part)| (&**key, part))
    }

    fn at(&mut self, key: &str) -> &mut Self {
        let at = self.below.iter().position(|(known, _)| **known == *key).unwrap_or_else(|| {
            self.below.push((key.into(), Self::default()));
            self.below.len() - 1
        });
        &mut self.below[at].1
    }
}

/// The parts of the documents of a request that some expressions read together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Of the message.
    pub body: Part,
    /// Of `params.arguments`.
    pub arguments: Part,
    /// Of the caller's claims.
    pub claims: Part,
}

impl Parts {
    /// What these expressions read.
    pub fn of<'e>(expressions: impl IntoIterator<Item = &'e Expression>) -> Self {
        let mut parts = Self::default();
        for expression in expressions {
            parts.body.merge(expression.part("body"));
            parts.arguments.merge(expression.part("arguments"));
            parts.claims.merge(expression.part("claims"));
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parts(texts: &[&str]) -> Parts {
        let compile =
            |text: &&str| Expression::compile(text, &["tool", "body", "arguments", "claims"]).unwrap();
        Parts::of(&texts.iter().map(compile).collect::<Vec<_>>())
    }

    fn part(paths: &[&[&str]]) -> Part {
        let mut part = Part::default();
        paths.iter().for_each(|path| part.add(path));
        part
    }

    #[test]
    fn what_an_expression_reads_is_known_from_its_text() {
        for (text, expected) in [
            ("tool == 'a'", part(&[])),
            ("body.params.name == 'a'", part(&[&["params", "name"]])),
            ("body['params'].name == body.method", part(&[&["params", "name"], &["method"]])),
            ("has(body.params.x) && body.id == 1", part(&[&["params", "x"], &["id"]])),
            ("body.params.list.exists(x, x.body == 1)", part(&[&["params", "list"]])),
            ("body.list[0].name == ''", part(&[&["list"]])),
            ("body[tool] == 1", part(&[&[]])),
            ("'x' in body && body.a == 1", part(&[&[]])),
            ("size(body) > 1", part(&[&[]])),
            ("[1].exists(body, body.x == 1)", part(&[])),
            ("(tool == '' ? body : claims).x == 1", part(&[&[]])),
            ("body.sql.contains('x')", part(&[&["sql"]])),
        ] {
            assert_eq!(parts(&[text]).body, expected, "{text}");
        }
        let both = parts(&["body.a.b == 1 && claims.x == 1", "body.a == arguments.n", "body.c == 1"]);
        assert_eq!((both.body, both.arguments), (part(&[&["a"], &["c"]]), part(&[&["n"]])));
        assert_eq!(both.claims, part(&[&["x"]]));
        let mut whole = Part::WHOLE;
        whole.merge(&part(&[&["a"]]));
        assert_eq!(
            (whole.clone(), {
                let mut one = part(&[&["a"]]);
                one.merge(&whole);
                one
            }),
            (Part::WHOLE, Part::WHOLE)
        );
    }
}
