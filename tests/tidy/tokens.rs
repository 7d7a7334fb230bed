//! Just enough of Rust's grammar: words, punctuation and literals with their lines, no comments.

/// A word, a literal (with its quotes), a lifetime, `::`, or one character of punctuation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    pub text: &'a str,
    pub line: usize,
}

/// Cuts a file into tokens.
pub fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (length, keep) = match first {
            _ if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), false),
            _ if rest.starts_with("/*") => (block_comment(rest), false),
            _ if first.is_whitespace() => (first.len_utf8(), false),
            '"' => (quoted(rest, 1), true),
            'r' | 'b' | 'c' if literal_prefix(rest).is_some() => (literal_prefix(rest).unwrap_or(1), true),
            '\'' => (character_or_lifetime(rest), true),
            _ if is_word(first) => (rest.find(|c| !is_word(c)).unwrap_or(rest.len()), true),
            ':' if rest.starts_with("::") => (2, true),
            _ => (first.len_utf8(), true),
        };
        if keep {
            found.push(Token { text: &rest[..length], line });
        }
        line += rest[..length].matches('\n').count();
        at += length;
    }
    found
}

/// The tokens without items under `#[cfg(test)]`.
pub fn without_tests<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_test_attribute(&tokens[at..]) {
            at = item_end(tokens, at);
        } else {
            kept.push(tokens[at]);
            at += 1;
        }
    }
    kept
}

/// Whether `#[cfg(...)]` begins here and demands a test build.
pub fn is_test_attribute(tokens: &[Token<'_>]) -> bool {
    let texts: Vec<&str> = tokens.iter().take(3).map(|token| token.text).collect();
    if texts != ["#", "[", "cfg"] {
        return false;
    }
    let inside = &tokens[2..group_end(tokens, 1)];
    let has = |word| inside.iter().any(|token| token.text == word);
    has("test") && !has("not") && !has("any")
}

/// One past the item that the attribute at `start` belongs to.
fn item_end(tokens: &[Token<'_>], start: usize) -> usize {
    let mut at = start;
    while matches!(tokens.get(at..at + 2), Some([hash, open]) if hash.text == "#" && open.text == "[") {
        at = group_end(tokens, at + 1);
    }
    let is_item = tokens.get(at).is_some_and(|token| ITEM_WORDS.contains(&token.text));
    while let Some(token) = tokens.get(at) {
        match token.text {
            "{" => return group_end(tokens, at),
            ";" => return at + 1,
            "," if !is_item => return at + 1,
            "}" | ")" | "]" => return at,
            "(" | "[" => at = group_end(tokens, at),
            _ => at += 1,
        }
    }
    at
}

/// One past the bracket that closes the one at `open`.
pub fn group_end(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Length of a text in quotes whose first quote stands before `from`.
fn quoted(text: &str, from: usize) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(from) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of a literal such as `r#"…"#`, `b"…"`, `b'x'`; `None` if a plain word begins here.
fn literal_prefix(text: &str) -> Option<usize> {
    let prefix = text.find(|c| !matches!(c, 'r' | 'b' | 'c'))?;
    let hashes = text[prefix..].bytes().take_while(|&byte| byte == b'#').count();
    let raw = text[..prefix].contains('r');
    match text[prefix + hashes..].chars().next()? {
        '"' if raw => {
            let end = format!("\"{}", "#".repeat(hashes));
            let body = prefix + hashes + 1;
            Some(text[body..].find(&end).map_or(text.len(), |at| body + at + end.len()))
        }
        '"' if hashes == 0 && prefix <= 2 => Some(quoted(text, prefix + 1)),
        '\'' if &text[..prefix] == "b" && hashes == 0 => Some(1 + character_or_lifetime(&text[1..])),
        _ => None,
    }
}

/// `'x'` and `'\''` are literals, `'a` is a lifetime.
fn character_or_lifetime(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            chars.next();
            text[3.min(text.len())..].find('\'').map_or(text.len(), |at| at + 4)
        }
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 1 + text[1..].find(|c| !is_word(c)).unwrap_or(text.len() - 1),
        },
        None => text.len(),
    }
}

/// Length of a block comment, which may hold others.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

const ITEM_WORDS: [&str; 15] = [
    "pub",
    "fn",
    "mod",
    "use",
    "impl",
    "struct",
    "enum",
    "const",
    "static",
    "type",
    "trait",
    "unsafe",
    "async",
    "extern",
    "macro_rules",
];

#[test]
fn comments_and_literals_hide_nothing_and_show_nothing() {
    let text = "// unsafe\n/* a /* b */ unsafe */ let a = \"unsafe \\\" unsafe\";\n\
                let b = r#\"x \" unsafe\"#; let c = b'\\''; let d: &'static str = r\"\\\"; unsafe_name; r#type";
    let words: Vec<&str> = tokens(text).iter().map(|token| token.text).collect();
    assert!(!words.contains(&"unsafe"), "{words:?}");
    for word in ["a", "b", "c", "d", "'static", "unsafe_name", "type", "b'\\''"] {
        assert!(words.contains(&word), "{word} in {words:?}");
    }
    assert_eq!(
        tokens("a\n\nb::c").iter().map(|t| (t.text, t.line)).collect::<Vec<_>>(),
        [("a", 1), ("b", 3), ("::", 3), ("c", 3)]
    );
    assert_eq!(tokens("'\"' unsafe").len(), 2);
    assert_eq!(tokens("'\\u{1F}' x '\\\\' y").len(), 4);
}

#[test]
fn what_only_tests_compile_is_left_out() {
    let left = |text| without_tests(&tokens(text)).iter().map(|token| token.text).collect::<String>();
    assert_eq!(left("a;#[cfg(test)] #[allow(x)] mod tests { b; { c } } d;"), "a;d;");
    assert_eq!(left("#[cfg(test)] mod tests; d;"), "d;");
    assert_eq!(left("#[cfg(test)] fn f<A, B>(a: [u8; 2]) { b } d"), "d");
    assert_eq!(left("struct S { #[cfg(test)] a: u8, d: u8 }"), "structS{d:u8}");
    assert_eq!(left("#[cfg(not(test))] d"), "#[cfg(not(test))]d");
    assert_eq!(left("#[cfg(feature)] d"), "#[cfg(feature)]d");
}
