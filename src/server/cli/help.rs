//! Help texts are wrapped once, where they are written.

#![allow(clippy::unwrap_used)]
use super::parse;

#[test]
fn no_help_text_is_wrapped_twice() {
    for words in ["", "serve", "demo", "check", "explain", "limits", "key", "key new", "schema", "doctor"] {
        let line = format!("ringgate {words} --help");
        let help = parse(line.split_whitespace()).unwrap_err();
        assert_eq!(help.code, 0, "{words}");
        let lines: Vec<&str> = help.text.lines().collect();
        let long = lines.iter().find(|line| line.chars().count() > 125);
        assert_eq!(long, None, "{words}");
        // A text that is wrapped twice leaves a word or two alone between full lines.
        let alone =
            |three: &[&str]| three[0].len() > 70 && (1..=12).contains(&three[1].len()) && three[2].len() > 40;
        assert!(!lines.windows(3).any(alone), "{words}: wrapped twice\n{}", help.text);
    }
}
