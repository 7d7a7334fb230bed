//! Names with wildcards: `*` stands for any run of characters, also none.

use std::fmt;

use crate::policy::steps::Steps;

/// A name or a pattern. Upper and lower case differ, as they do in MCP.
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern {
    /// The literal text between the wildcards; one part: no wildcard.
    parts: Box<[Box<str>]>,
    text: Box<str>,
}

impl Pattern {
    /// Reads a pattern. `\*` is a literal asterisk and `\\` a backslash.
    ///
    /// # Errors
    /// If a backslash stands before anything else: what it should mean is not clear.
    pub fn parse(text: &str) -> Result<Self, Misused> {
        let mut parts = Vec::new();
        let mut part = String::new();
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            match char {
                '*' => parts.push(std::mem::take(&mut part).into()),
                '\\' => match chars.next() {
                    Some(escaped @ ('*' | '\\')) => part.push(escaped),
                    _ => return Err(Misused),
                },
                other => part.push(other),
            }
        }
        parts.push(part.into());
        Ok(Self { parts: parts.into(), text: text.into() })
    }

    /// The pattern that only `name` matches.
    pub fn exact(name: &str) -> Self {
        let text = name.replace('\\', "\\\\").replace('*', "\\*");
        Self { parts: [name.into()].into(), text: text.into() }
    }

    /// The one name that matches, if there is no wildcard.
    pub fn literal(&self) -> Option<&str> {
        match &*self.parts {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Whether it has a slash, and so is about paths.
    pub fn has_slash(&self) -> bool {
        self.text.contains('/')
    }

    /// Whether every name matches.
    pub fn is_all(&self) -> bool {
        self.parts.len() > 1 && self.parts.iter().all(|part| part.is_empty())
    }

    /// Its text with each wildcard replaced: the first by `first`, the others by `other`.
    pub fn filled(&self, first: &str, other: &str) -> String {
        let mut text = String::with_capacity(self.text.len() + 16);
        for (at, part) in self.parts.iter().enumerate() {
            match at {
                0 => {}
                1 => text.push_str(first),
                _ => text.push_str(other),
            }
            text.push_str(part);
        }
        text
    }

    /// Whether the only wildcard, if there is one, is the last character.
    pub fn is_prefix(&self) -> bool {
        matches!(&*self.parts, [_]) || matches!(&*self.parts, [_, last] if last.is_empty())
    }

    /// Whether all of `name` matches. Never looks at a character of `name` more than once for each part.
    pub fn matches(&self, name: &str) -> bool {
        let Some((first, rest)) = self.parts.split_first() else { return false };
        let Some((last, inner)) = rest.split_last() else { return **first == *name };
        let Some(mut name) = name.strip_prefix(&**first).and_then(|name| name.strip_suffix(&**last)) else {
            return false;
        };
        for part in inner {
            let Some(at) = name.find(&**part) else { return false };
            name = &name[at + part.len()..];
        }
        true
    }

    /// Steps that [`Pattern::matches`] takes at most, with a name of a few dozen bytes.
    pub fn steps(&self) -> usize {
        self.parts.len()
    }

    /// Whether some text matches both this and a URI template.
    pub fn meets(&self, template: &Template<'_>, steps: &Steps) -> bool {
        let [first, .., last] = &*self.parts else {
            let [only] = &*self.parts else { return false };
            return template.starts_like(only)
                && template.ends_like(only)
                && self.meets_within(template, steps);
        };
        steps.take(1);
        if !template.starts_like(first) || !template.ends_like(last) {
            return false;
        }
        // Behind a prefix anything goes, so it is enough that the template can begin so.
        if self.is_prefix() && (template.first().len() >= first.len() || template.parts.len() > 1) {
            return true;
        }
        self.meets_within(template, steps)
    }

    fn meets_within(&self, template: &Template<'_>, steps: &Steps) -> bool {
        let ours = glyphs(self.parts.iter().map(|part| &**part));
        let theirs = glyphs(template.parts.iter().copied());
        let cost = ours.len().saturating_mul(theirs.len());
        // A pattern so long that this is dear may as well meet it: the use itself is judged again.
        if cost > MEETING_STEPS_MAX {
            return true;
        }
        steps.take(cost);
        !steps.is_over() && meet(&ours, &theirs)
    }
}

/// Steps that comparing a pattern with a template may take.
const MEETING_STEPS_MAX: usize = 1 << 20;

/// A URI template (RFC 6570), of which every `{...}` may become anything.
pub struct Template<'a> {
    /// What stands around its expressions: one part, no expression.
    parts: Vec<&'a str>,
}

impl<'a> Template<'a> {
    /// Reads one.
    pub fn new(text: &'a str) -> Self {
        Self { parts: around_braces(text) }
    }

    fn first(&self) -> &'a str {
        self.parts.first().copied().unwrap_or_default()
    }

    /// Whether what is sure to be its start and `prefix` are the same as far as both go.
    fn starts_like(&self, prefix: &str) -> bool {
        self.first().bytes().zip(prefix.bytes()).all(|(ours, theirs)| ours == theirs)
    }

    /// As [`Template::starts_like`], from the end.
    fn ends_like(&self, suffix: &str) -> bool {
        let last = self.parts.last().copied().unwrap_or_default();
        last.bytes().rev().zip(suffix.bytes().rev()).all(|(ours, theirs)| ours == theirs)
    }
}

/// The literal parts of a template: what stands around its expressions.
fn around_braces(template: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((_, after)) = after.split_once('}') else { break };
        parts.push(before);
        rest = after;
    }
    parts.push(rest);
    parts
}

/// Bytes, and `None` for each wildcard between two parts.
fn glyphs<'a>(parts: impl Iterator<Item = &'a str>) -> Vec<Option<u8>> {
    let mut glyphs = Vec::new();
    for (at, part) in parts.enumerate() {
        if at > 0 {
            glyphs.push(None);
        }
        glyphs.extend(part.bytes().map(Some));
    }
    glyphs
}

/// Whether two sequences with wildcards have a text in common: row by row, whether the rest of `ours` meets the
/// rest of `theirs`.
fn meet(ours: &[Option<u8>], theirs: &[Option<u8>]) -> bool {
    let only_wild = |rest: &[Option<u8>]| rest.iter().all(Option::is_none);
    let mut below: Vec<bool> = (0..=theirs.len()).map(|at| only_wild(&theirs[at..])).collect();
    for (index, mine) in ours.iter().enumerate().rev() {
        let mut row = vec![false; theirs.len() + 1];
        row[theirs.len()] = only_wild(&ours[index..]);
        for at in (0..theirs.len()).rev() {
            row[at] = match (mine, theirs[at]) {
                (None, _) | (_, None) => below[at] || row[at + 1],
                (Some(mine), Some(other)) => *mine == other && below[at + 1],
            };
        }
        below = row;
    }
    below[0]
}

/// A backslash that escapes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misused;

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_pattern_matches_the_whole_name_or_nothing() {
        for (pattern, yes, no) in [
            ("get", &["get"][..], &["", "Get", "gets", "ge"][..]),
            ("*", &["", "a", "ä b"], &[]),
            ("get_*", &["get_", "get_x"], &["get", "xget_a"]),
            ("*_get", &["_get", "a_get"], &["get", "_get_"]),
            ("a*b*c", &["abc", "a1b2c", "abbcc"], &["ac", "acb", "abcd"]),
            ("a*a", &["aa", "aba"], &["a", "ab"]),
            ("**", &["", "x"], &[]),
            (r"a\*b", &["a*b"], &["axb", r"a\*b"]),
            (r"a\\*", &[r"a\", r"a\x"], &["a"]),
            ("file:///public/*", &["file:///public/a/b"], &["file:///private/a"]),
        ] {
            let compiled = Pattern::parse(pattern).unwrap();
            assert!(yes.iter().all(|name| compiled.matches(name)), "{pattern}");
            assert!(!no.iter().any(|name| compiled.matches(name)), "{pattern}");
        }
        for bad in ["\\", "a\\b", "\\?"] {
            assert_eq!(Pattern::parse(bad), Err(Misused), "{bad}");
        }
        let exact = Pattern::exact(r"a*\b");
        assert_eq!((exact.literal(), Pattern::parse(&exact.to_string())), (Some(r"a*\b"), Ok(exact.clone())));
    }

    #[test]
    fn a_pattern_meets_the_templates_that_can_become_what_it_matches() {
        let meets = |pattern: &str, template: &str| {
            Pattern::parse(pattern).unwrap().meets(&Template::new(template), &Steps::default())
        };
        assert!(meets("file:///public/*", "file:///{path}"));
        assert!(meets("file:///public/*", "file:///public/{name}.md"));
        assert!(meets("db://users/7", "db://{table}/{id}"));
        assert!(!meets("db://users/7", "file:///{path}"));
        assert!(!meets("file:///public/*", "file:///private/{path}"));
        assert!(!meets("*.txt", "file:///{path}.md"));
        assert!(meets("abc*", "ab{x}") && meets("ab*", "abc") && !meets("abc*", "ab") && meets("*b", "{x}"));
        assert!(meets("*", "x") && meets("x", "x") && !meets("x", "y") && !meets("x{a", "x"));
    }

    #[test]
    fn what_begins_or_ends_otherwise_is_told_at_once_and_the_rest_is_counted() {
        let steps = |pattern: &str, template: &str| {
            let steps = Steps::new(1_000_000);
            let meets = Pattern::parse(pattern).unwrap().meets(&Template::new(template), &steps);
            (meets, 1_000_000 - steps.left())
        };
        let long = "x".repeat(900);
        assert_eq!(steps(&format!("a{long}*{long}"), &format!("b{{a}}{long}")), (false, 1));
        assert_eq!(steps(&format!("{long}*{long}a"), &format!("{long}{{a}}b")), (false, 1));
        assert_eq!(steps("file:///public/*", "file:///public/{a}/{b}"), (true, 1));
        assert_eq!(steps("a*b*c", "a{x}c"), (true, 1 + 5 * 3));
        let over = Steps::new(10);
        let pattern = Pattern::parse("a*b*c").unwrap();
        assert!(!pattern.meets(&Template::new("a{x}c"), &over) && over.is_over());
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]

        #[test]
        fn short_cuts_change_no_answer(pattern in "[ab*]{0,6}", template in "([ab]|\\{a\\}){0,6}") {
            let pattern = Pattern::parse(&pattern).unwrap();
            let template = Template::new(&template);
            let ours = glyphs(pattern.parts.iter().map(|part| &**part));
            let slow = meet(&ours, &glyphs(template.parts.iter().copied()));
            proptest::prop_assert_eq!(pattern.meets(&template, &Steps::default()), slow);
        }
    }
}
