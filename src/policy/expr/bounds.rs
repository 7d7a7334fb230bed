//! What is refused before the parser sees it: the parser and what it makes are recursive.

use super::Fault;

/// Bytes of an expression.
const TEXT_BYTES_MAX: usize = 4096;
/// Brackets within each other.
const BRACKETS_MAX: usize = 24;
/// Operators and dots altogether. A chain of them becomes a tree as deep as it is long.
const OPERATORS_MAX: usize = 400;

/// Checks the text, strings and comments left out.
pub fn check(text: &str) -> Result<(), Fault> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Fault::new(format!("has {} bytes and may have {TEXT_BYTES_MAX}", text.len())));
    }
    if text.trim().is_empty() {
        return Err(Fault::new("is empty"));
    }
    let (mut depth, mut operators) = (0_usize, 0_usize);
    for byte in Code::of(text) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'.' | b'+' | b'-' | b'*' | b'/' | b'%' | b'!' | b'?' | b'=' | b'<' | b'>' | b'&' | b'|' => {
                operators += 1;
            }
            _ => {}
        }
        if depth > BRACKETS_MAX {
            return Err(Fault::new(format!("has more than {BRACKETS_MAX} brackets within each other")));
        }
    }
    if operators > OPERATORS_MAX {
        return Err(Fault::new(format!("has more than {OPERATORS_MAX} operators")));
    }
    Ok(())
}

/// The bytes of a text that are not in a string or a comment. Where the two readers might disagree about what a
/// string is (raw strings), this one sees more code, not less.
struct Code<'a> {
    rest: &'a [u8],
}

impl<'a> Code<'a> {
    fn of(text: &'a str) -> Self {
        Self { rest: text.as_bytes() }
    }

    /// What is behind the string that begins here.
    fn after_string(&self, quote: u8) -> &'a [u8] {
        let triple = [quote; 3];
        if self.rest.starts_with(&triple) {
            let inner = &self.rest[3..];
            let end = inner.windows(3).position(|window| *window == triple);
            return end.map_or(inner, |end| &inner[end + 3..]);
        }
        let mut at = 1;
        while let Some(&byte) = self.rest.get(at) {
            match byte {
                // In a raw string the backslash is one more character, and the string may end behind it.
                b'\\' => at += 1,
                byte if byte == quote => return &self.rest[at + 1..],
                b'\n' => break,
                _ => {}
            }
            at += 1;
        }
        &self.rest[1..]
    }
}

impl Iterator for Code<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (&byte, after) = self.rest.split_first()?;
        self.rest = match byte {
            b'\'' | b'"' => self.after_string(byte),
            b'/' if after.first() == Some(&b'/') => {
                let end = after.iter().position(|&byte| byte == b'\n').unwrap_or(after.len());
                &after[end..]
            }
            _ => after,
        };
        Some(if matches!(byte, b'\'' | b'"') { b' ' } else { byte })
    }
}
