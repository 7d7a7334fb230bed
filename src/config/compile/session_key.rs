//! `sessions.key`: what binds session ids to callers. Whoever guesses it can make ids for anybody, so what a person could
//! have made up, or copied from an example, is refused.
//!
//! Whether bytes are random cannot be told from them. What is told is that they are certainly not: too few, one over and
//! over, a row that counts up, words. A key that passes is not thereby good; `openssl rand` is.

use super::{Context, material};
use crate::base::Secret;
use crate::config::file::File;
use crate::policy::session::KEY_BYTES_MIN;
use crate::schema::finding::{Findings, Problem};

/// The key, if one is configured.
pub fn compile(file: &File, context: &Context<'_>, findings: &mut Findings) -> Option<Secret> {
    let key = file.sessions.value.key.as_ref()?;
    let check = |bytes: &[u8]| {
        let explain = |what| {
            let fix = format!(
                "make one that nobody can guess, of {KEY_BYTES_MIN} bytes at least: `openssl rand -base64 32`"
            );
            Problem::new(what, fix)
        };
        weakness(bytes).map_or(Ok(()), |what| Err(explain(what)))
    };
    let bytes = material::secret(&key.value, context).and_then(|bytes| check(&bytes).map(|()| bytes));
    bytes.map(Secret::new).map_err(|problem| findings.note(&key.place, problem)).ok()
}

/// What people write where a secret belongs. In 32 random bytes, written as text, any of these is there once in some
/// millions of keys.
const WORDS: [&str; 9] = [
    "password",
    "passwort",
    "passphrase",
    "secret",
    "changeme",
    "example",
    "ringgate",
    "insecure",
    "session",
];

/// Why nobody should believe that these bytes cannot be guessed; `None` if nothing is to be seen. Nothing of the key is in
/// the words.
fn weakness(bytes: &[u8]) -> Option<String> {
    let text = trimmed(bytes);
    let (key, needed) = match form(text) {
        Form::Hexadecimal => (text, 2 * KEY_BYTES_MIN),
        Form::Base64 => (text, (KEY_BYTES_MIN * 4).div_ceil(3)),
        Form::Binary => (bytes, KEY_BYTES_MIN),
        Form::Words if text.len() >= KEY_BYTES_MIN => {
            return Some("is text, and neither base64 nor hexadecimal: a person may have made it up".into());
        }
        Form::Words => (text, KEY_BYTES_MIN),
    };
    if key.len() < needed {
        let count = key.len();
        return Some(match form(text) {
            Form::Hexadecimal => {
                format!(
                    "has {count} characters of hexadecimal: {} bytes, and {KEY_BYTES_MIN} are needed",
                    count / 2
                )
            }
            Form::Base64 => {
                format!(
                    "has {count} characters, as base64 {} bytes, and {KEY_BYTES_MIN} are needed",
                    count * 3 / 4
                )
            }
            Form::Binary | Form::Words => format!("has {count} bytes, and {KEY_BYTES_MIN} are needed"),
        });
    }
    let lower = String::from_utf8_lossy(text).to_ascii_lowercase();
    if form(text) != Form::Binary && WORDS.iter().any(|word| lower.contains(word)) {
        return Some("has a word in it that stands in many examples".into());
    }
    if repeats(key) {
        return Some("repeats itself".into());
    }
    if counts(key) {
        return Some("is a row of characters that follow each other".into());
    }
    // Of 32 random bytes, or so many as text, this happens less than once in 10^10 keys.
    let distinct = distinct(key);
    let few = if form(text) == Form::Hexadecimal { 9 } else { 16 };
    (distinct <= few).then(|| format!("has only {distinct} different characters"))
}

/// Without what an editor or `echo` puts behind it.
fn trimmed(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |at| at + 1);
    &bytes[..end]
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Hexadecimal,
    Base64,
    Binary,
    /// Anything else that can be typed.
    Words,
}

fn form(text: &[u8]) -> Form {
    let body = text.iter().rposition(|byte| *byte != b'=').map_or(&[][..], |at| &text[..=at]);
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_\r\n".contains(byte);
    let can_be_typed = |byte: &u8| matches!(byte, b'\t' | b'\r' | b'\n' | b' '..=b'~');
    if text.iter().all(u8::is_ascii_hexdigit) {
        Form::Hexadecimal
    } else if text.len() - body.len() <= 2 && body.iter().all(is_base64) {
        Form::Base64
    } else if std::str::from_utf8(text)
        .is_ok_and(|text| text.bytes().all(|byte| byte >= 0x80 || can_be_typed(&byte)))
    {
        Form::Words
    } else {
        Form::Binary
    }
}

/// Whether it is the same few characters over and over.
fn repeats(key: &[u8]) -> bool {
    (1..=key.len() / 2).any(|period| key[period..] == key[..key.len() - period])
}

/// Whether each character mostly follows from the one before: the same, the next one, or every second.
fn counts(key: &[u8]) -> bool {
    let mut steps = [0_usize; 256];
    key.windows(2).for_each(|pair| steps[usize::from(pair[1].wrapping_sub(pair[0]))] += 1);
    steps.iter().any(|count| *count * 2 >= key.len())
}

fn distinct(key: &[u8]) -> usize {
    let mut seen = [false; 256];
    key.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    seen.iter().filter(|seen| **seen).count()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ring::rand::{SecureRandom, SystemRandom};

    #[test]
    fn what_nobody_can_guess_passes_in_every_form() {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        for _ in 0..500 {
            let mut bytes = [0; 64];
            SystemRandom::new().fill(&mut bytes).unwrap();
            let hex: Vec<u8> = bytes.iter().map(|byte| HEX[usize::from(*byte) & 15]).collect();
            let base64: Vec<u8> = bytes[..43].iter().map(|byte| BASE64[usize::from(*byte) & 63]).collect();
            let shown = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
            assert_eq!(weakness(&bytes[..32]), None, "{bytes:?}");
            assert_eq!(weakness(&hex), None, "{}", shown(&hex));
            assert_eq!(weakness(&[&hex[..], b"\n"].concat()), None, "{}", shown(&hex));
            assert_eq!(weakness(&[&base64[..], b"=\n"].concat()), None, "{}", shown(&base64));
        }
    }

    #[test]
    fn what_somebody_made_up_is_refused_and_not_repeated() {
        let counting: Vec<u8> = (0..32).collect();
        for (key, part) in [
            (&b""[..], "has 0 "),
            (b"changeme", "has 8 characters"),
            (b"hunter2!\n", "has 8 bytes"),
            (&[7; 32], "repeats itself"),
            (&[0xff; 64], "repeats itself"),
            (&counting, "row of characters"),
            (b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "repeats itself"),
            (b"0123456789abcdef0123456789abcde", "has 31 characters"),
            (b"8f3a61c09be27d45f0182c6ba97e3d54b6a0", "has 36 characters of hexadecimal: 18 bytes, and 32"),
            (b"kX3v9QpLs0TzWm4RbNcYhJ2fGdUa7E==", "as base64 24 bytes, and 32"),
            (b"00000000000000000000000000000000000000000000000000000000deadbeef", "row of characters"),
            (b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "row of characters"),
            (b"correct horse battery staple and some more words", "is text, and neither"),
            (
                "Zw\u{f6}lf Boxk\u{e4}mpfer jagen Viktor quer \u{fc}ber den Sylter Deich".as_bytes(),
                "is text, and neither",
            ),
            (b"ThisIsTheSuperSecretSessionKeyOfOurGateway2026", "word in it"),
            (b"hunter2hunter2hunter2hunter2hunter2hunter2hunter2", "repeats itself"),
            (b"wxyzwxzywyxzwzxywxzwyzxwyxwzyxzwyzwxzyxwzywxzxwyzx", "different characters"),
        ] {
            let found = weakness(key).unwrap_or_else(|| panic!("{part} passes"));
            assert!(found.contains(part), "{part}: {found}");
            assert!(!found.contains("hunter2") && !found.contains("deadbeef"), "{found}");
        }
    }
}
