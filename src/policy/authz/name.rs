//! Names in the one spelling that rules and limits go by.
//!
//! MCP wants names of tools to be of ASCII letters, digits, `_`, `-` and `.`, and says nothing of prompts. Some servers
//! trim a name before they look it up, some end it at a NUL, some drop what cannot be seen: then `secret` is run by
//! many names. Rules compare text. So where rules tell names apart, a name that some server would take for another is
//! denied, as [`super::canonical`] has it for URIs. Limits only count, and count it as what it would be taken for.

/// Why a name could be taken for another; `None` if it is what it looks like. Goes over the text once.
///
/// Plain are visible ASCII characters, also those that MCP does not want (`files/read`, `db:query`), and blanks between
/// them. Other characters have too many look-alikes: rules that want them spell the name out.
pub fn fault(name: &str) -> Option<&'static str> {
    let bytes = name.as_bytes();
    match bytes {
        [] => return Some("it is empty"),
        [b' ', ..] | [.., b' '] => return Some("it begins or ends with a blank"),
        _ => {}
    }
    match bytes.iter().find(|byte| !matches!(byte, b' '..=b'~')) {
        None => None,
        Some(0x80..) => Some("it has a character that is not ASCII, and no rule spells the name out"),
        Some(_) => Some("it has a control character"),
    }
}

/// Whether no method of MCP, present or future, is written so: one that has a blank, or a character that cannot be seen
/// or is not ASCII.
pub fn is_odd_method(name: &str) -> bool {
    name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The name that a lenient server would read: up to a NUL, without what blanks and characters without a shape are around
/// it.
pub fn trimmed(name: &str) -> &str {
    let shapeless = |char: char| {
        char.is_whitespace()
            || char.is_control()
            || matches!(char, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let name = name.split_once('\0').map_or(name, |(before, _)| before);
    name.trim_matches(shapeless)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_be_taken_for_another_is_told() {
        for name in ["secret", "read_file", "a.b-C_9", "files/read", "db:query", "Explain the code", "a&b"] {
            assert_eq!(fault(name), None, "{name}");
            assert_eq!(trimmed(name), name);
        }
        for name in [
            "secret\0",
            "secret\0x",
            "secret\n",
            "secret ",
            " secret",
            "\tsecret",
            "secret\r\n",
            "secret\u{7f}",
            "secret\u{a0}",
            "\u{feff}secret",
            "secret\u{200b}",
            "secret\u{85}",
            "secret\u{2028}",
            "secret\u{3000}",
        ] {
            assert!(fault(name).is_some(), "{name:?}");
            assert_eq!(trimmed(name), "secret", "{name:?}");
        }
        for name in ["", "se\ncret", "ｓecret", "se\u{ad}cret", "secrét"] {
            assert!(fault(name).is_some(), "{name:?}");
        }
    }

    #[test]
    fn a_method_has_no_blanks() {
        assert!(!is_odd_method("tools/call") && !is_odd_method("$/x") && !is_odd_method("(stream)"));
        for name in ["", "tools/call\n", " tools/call", "tools/call\0", "tools/cäll"] {
            assert!(is_odd_method(name), "{name:?}");
        }
    }
}
