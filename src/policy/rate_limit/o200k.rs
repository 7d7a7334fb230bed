//! Counting as the tokenizer o200k does. It takes microseconds for each kilobyte, so no worker does it.

/// Reads the tables in, once for the process: some tenths of a second, and some tens of megabytes from then on.
pub fn load() {
    let _ = bpe_openai::o200k_base();
}

/// How many tokens the text is. What looks like a special token (`<|endoftext|>`) is text like any other, and a byte that
/// is not UTF-8 is a token. The time grows with the length of the text, whatever it is.
pub fn count(text: &[u8]) -> u64 {
    let tokenizer = bpe_openai::o200k_base();
    let parts = text.utf8_chunks().map(|part| tokenizer.count(part.valid()) + part.invalid().len());
    parts.sum::<usize>() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_the_tokens_that_are_known_of_them() {
        // As the tokenizer's own makers count them.
        for (text, tokens) in [
            ("", 0),
            ("hello world", 2),
            ("antidisestablishmentarianism", 6),
            ("2 + 2 = 4", 7),
            ("お誕生日おめでとう", 8),
            ("<|endoftext|>", 7),
            (".\n/", 1),
            ("{\"usage\":{\"total_tokens\":1234}}", 9),
        ] {
            assert_eq!(count(text.as_bytes()), tokens, "{text}");
        }
    }

    #[test]
    fn what_is_not_text_is_counted_byte_by_byte() {
        assert_eq!(count(b"\xff"), 1);
        assert_eq!(count(b"hello world\xff\xfehello world"), 2 + 2 + 2);
        // A character that was cut off in the middle.
        assert_eq!(count(&"🎉".as_bytes()[..3]), 3);
    }

    #[test]
    fn no_text_is_too_odd() {
        let parts: [&[u8]; 14] = [
            b"\n",
            b"\r\n",
            b"  ",
            b"\t",
            b"'s",
            b"'LL",
            "ſ".as_bytes(),
            "e\u{301}".as_bytes(),
            "\u{301}".as_bytes(),
            "\u{3000}".as_bytes(),
            "中".as_bytes(),
            b"\xf0\x9f",
            b"12345",
            b"Aa",
        ];
        for first in parts {
            for second in parts {
                for third in parts {
                    let text = [first, second, third, second].concat();
                    let tokens = count(&text);
                    assert!((1..=text.len() as u64).contains(&tokens), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn long_runs_of_the_same_are_counted_to_the_end() {
        // A tokenizer that looked for the next merge from the start each time would not come to an end here.
        for (run, tokens) in [("a", 32_768), (" ", 2_048), ("🎉", 131_072), ("\n", 16_384)] {
            let text = run.repeat((256 << 10) / run.len());
            assert_eq!(count(text.as_bytes()), tokens, "{run:?}");
        }
    }
}
