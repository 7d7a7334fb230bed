//! Credentials that are not accepted any more, although nothing else is wrong with them.

use crate::policy::principal::{Principal, Proof};

/// The revocation list: a line each, `jti:ID` of a token, `key:ID` of an API key, `cert:SERIAL` of a certificate (in
/// hexadecimal, colons permitted). Empty lines and lines that begin with `#` say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revoked {
    tokens: Box<[Box<str>]>,
    keys: Box<[Box<str>]>,
    certificates: Box<[Box<str>]>,
    unreadable: Unreadable,
}

/// Lines of a list that revoke nothing, because they cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unreadable {
    /// How many there are.
    pub count: usize,
    /// The first [`UNREADABLE_NAMED_MAX`]: number from 1, and what is wrong. The line itself is not quoted.
    pub named: Vec<(usize, &'static str)>,
}

impl Unreadable {
    fn note(&mut self, line: usize, what: &'static str) {
        self.count += 1;
        if self.named.len() < UNREADABLE_NAMED_MAX {
            self.named.push((line, what));
        }
    }
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (line, what)) in self.named.iter().enumerate() {
            write!(f, "{}line {line} {what}", if index > 0 { ", " } else { "" })?;
        }
        match self.count.saturating_sub(self.named.len()) {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}

/// Credentials of one list.
pub const REVOKED_MAX: usize = 100_000;
/// Unreadable lines that are named.
pub const UNREADABLE_NAMED_MAX: usize = 8;

impl Revoked {
    /// Reads a list, line by line: a line that cannot be read revokes nothing, is noted, and keeps no other from
    /// counting. Past [`REVOKED_MAX`] lines are noted the same.
    pub fn parse(text: &[u8]) -> Self {
        let (mut tokens, mut keys, mut certificates) = (Vec::new(), Vec::new(), Vec::new());
        let mut unreadable = Unreadable::default();
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let entry = match std::str::from_utf8(line).map(str::trim) {
                Ok(line) if line.is_empty() || line.starts_with('#') => continue,
                Ok(line) => entry(line),
                Err(_) => Err("is not UTF-8"),
            };
            let is_full = tokens.len() + keys.len() + certificates.len() >= REVOKED_MAX;
            match entry {
                Ok(_) if is_full => {
                    unreadable.note(index + 1, "is past the 100000 credentials that a list may have");
                }
                Ok(("jti", id)) => tokens.push(id),
                Ok(("key", id)) => keys.push(id),
                Ok((_, serial)) => certificates.push(serial),
                Err(what) => unreadable.note(index + 1, what),
            }
        }
        let sorted = |list: Vec<Box<str>>| crate::policy::principal::sorted(list);
        Self { tokens: sorted(tokens), keys: sorted(keys), certificates: sorted(certificates), unreadable }
    }

    /// The lines that revoke nothing.
    pub fn unreadable(&self) -> &Unreadable {
        &self.unreadable
    }

    /// Whether the credential of this principal is in the list.
    pub fn names(&self, principal: &Principal) -> bool {
        let list = match principal.proof {
            Proof::Anonymous => return false,
            Proof::Jwt | Proof::Introspection => &self.tokens,
            Proof::ApiKey => &self.keys,
            Proof::Certificate => &self.certificates,
        };
        principal.credential.as_ref().is_some_and(|id| list.binary_search(id).is_ok())
    }
}

/// The kind and the id of one line.
fn entry(line: &str) -> Result<(&str, Box<str>), &'static str> {
    match line.split_once(':').map(|(kind, id)| (kind, id.trim())) {
        Some((_, "")) => Err("names no credential"),
        Some((kind @ ("jti" | "key"), id)) => Ok((kind, id.into())),
        Some((kind @ "cert", id)) => {
            serial(id).map(|id| (kind, id)).ok_or("has a serial number that is not hexadecimal")
        }
        _ => Err("does not begin with `jti:`, `key:` or `cert:`"),
    }
}

/// A serial number as [`Principal::credential`] has it: lower case, no colons, no leading zeros.
pub fn serial(text: &str) -> Option<Box<str>> {
    let digits: String =
        text.chars().filter(|char| *char != ':').map(|char| char.to_ascii_lowercase()).collect();
    let significant = digits.trim_start_matches('0');
    let good = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    good.then(|| if significant.is_empty() { "0" } else { significant }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_credentials_of_each_kind_and_no_other() {
        let list = Revoked::parse(b"# left in May\n\njti:abc:1\r\n key: build \ncert:00:0A:fF\njti:abc:1\n");
        assert_eq!(list.unreadable(), &Unreadable::default());
        let shows = |proof, id: Option<&str>| {
            let mut principal = Principal::anonymous([]);
            (principal.proof, principal.credential) = (proof, id.map(Into::into));
            list.names(&principal)
        };
        assert!(shows(Proof::Jwt, Some("abc:1")) && shows(Proof::Introspection, Some("abc:1")));
        assert!(shows(Proof::ApiKey, Some("build")) && shows(Proof::Certificate, Some("aff")));
        assert!(!shows(Proof::Jwt, Some("build")) && !shows(Proof::ApiKey, Some("abc:1")));
        assert!(
            !shows(Proof::Jwt, None)
                && !shows(Proof::Jwt, Some("abc"))
                && !shows(Proof::Anonymous, Some("build"))
        );
    }

    fn revokes(list: &Revoked, id: &str) -> bool {
        let mut principal = Principal::anonymous([]);
        (principal.proof, principal.credential) = (Proof::Jwt, Some(id.into()));
        list.names(&principal)
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named_and_spoils_no_other() {
        for (bad, what) in [
            (&b"abc"[..], "does not begin with `jti:`, `key:` or `cert:`"),
            (b"jti:", "names no credential"),
            (b"key: ", "names no credential"),
            (b"cert:xyz", "has a serial number that is not hexadecimal"),
            (b"cert::", "has a serial number that is not hexadecimal"),
            (b"JTI:a", "does not begin with `jti:`, `key:` or `cert:`"),
            (b"key:\xff", "is not UTF-8"),
        ] {
            let list = Revoked::parse(&[b"jti:before\n\n", bad, b"\r\njti:after"].concat());
            let case = String::from_utf8_lossy(bad);
            assert!(revokes(&list, "before") && revokes(&list, "after"), "{case}");
            assert_eq!(list.unreadable().named, [(3, what)], "{case}");
            assert_eq!(list.unreadable().to_string(), format!("line 3 {what}"));
        }
        assert_eq!(Revoked::parse(b""), Revoked::default());
        let many = Revoked::parse(b"x\n".repeat(UNREADABLE_NAMED_MAX + 3).as_slice());
        assert_eq!(many.unreadable().count, UNREADABLE_NAMED_MAX + 3);
        assert!(many.unreadable().to_string().ends_with(", and 3 more"));
    }

    #[test]
    fn the_length_has_a_bound() {
        let lines = |count: usize| (0..count).map(|id| format!("jti:{id}\n")).collect::<String>();
        assert_eq!(Revoked::parse(lines(REVOKED_MAX).as_bytes()).unreadable().count, 0);
        let over = Revoked::parse(lines(REVOKED_MAX + 1).as_bytes());
        assert_eq!(over.unreadable().named.first().map(|(line, _)| *line), Some(REVOKED_MAX + 1));
        assert!(revokes(&over, "0") && !revokes(&over, &REVOKED_MAX.to_string()));
    }
}
