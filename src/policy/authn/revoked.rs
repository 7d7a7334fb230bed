//! Credentials that are not accepted any more, although nothing else is wrong with them.

use crate::policy::principal::{Principal, Proof};

/// The revocation list: a line each, `jti:ID` of a token, `key:ID` of an API key, `cert:SERIAL` of a certificate (in
/// hexadecimal, colons permitted). Empty lines and lines that begin with `#` say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revoked {
    tokens: Box<[Box<str>]>,
    keys: Box<[Box<str>]>,
    certificates: Box<[Box<str>]>,
}

/// Credentials of one list.
pub const REVOKED_MAX: usize = 100_000;

impl Revoked {
    /// Reads a list.
    ///
    /// # Errors
    /// The number of the line that cannot be read, and what is wrong with it. A list is taken whole or not at all: a
    /// line that is passed over would be a credential that is still good.
    pub fn parse(text: &[u8]) -> Result<Self, (usize, &'static str)> {
        let text = std::str::from_utf8(text).map_err(|error| {
            let before = text.get(..error.valid_up_to()).unwrap_or_default();
            (1 + memchr::memchr_iter(b'\n', before).count(), "is not UTF-8")
        })?;
        let (mut tokens, mut keys, mut certificates) = (Vec::new(), Vec::new(), Vec::new());
        for (index, line) in text.lines().enumerate() {
            let (line, number) = (line.trim(), index + 1);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match line.split_once(':').map(|(kind, id)| (kind, id.trim())) {
                Some((_, "")) => return Err((number, "names no credential")),
                Some(("jti", id)) => tokens.push(id.into()),
                Some(("key", id)) => keys.push(id.into()),
                Some(("cert", id)) => {
                    certificates
                        .push(serial(id).ok_or((number, "has a serial number that is not hexadecimal"))?);
                }
                _ => return Err((number, "does not begin with `jti:`, `key:` or `cert:`")),
            }
            if tokens.len() + keys.len() + certificates.len() > REVOKED_MAX {
                return Err((number, "is past the 100000 credentials that a list may have"));
            }
        }
        let sorted = |list: Vec<Box<str>>| crate::policy::principal::sorted(list);
        Ok(Self { tokens: sorted(tokens), keys: sorted(keys), certificates: sorted(certificates) })
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
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_list_names_credentials_of_each_kind_and_no_other() {
        let list = Revoked::parse(b"# left in May\n\njti:abc:1\r\n key: build \ncert:00:0A:fF\njti:abc:1\n")
            .unwrap();
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

    #[test]
    fn a_line_that_cannot_be_read_spoils_the_list() {
        for (text, line) in [
            (&b"jti:a\nabc\n"[..], 2),
            (b"jti:\n", 1),
            (b"key: \n", 1),
            (b"# x\ncert:xyz\n", 2),
            (b"cert::\n", 1),
            (b"JTI:a", 1),
            (b"jti:a\n\nkey:\xff", 3),
        ] {
            assert_eq!(Revoked::parse(text).unwrap_err().0, line, "{}", String::from_utf8_lossy(text));
        }
        assert_eq!(Revoked::parse(b""), Ok(Revoked::default()));
    }

    #[test]
    fn the_length_has_a_bound() {
        let lines = |count: usize| (0..count).map(|id| format!("jti:{id}\n")).collect::<String>();
        assert!(Revoked::parse(lines(REVOKED_MAX).as_bytes()).is_ok());
        assert_eq!(Revoked::parse(lines(REVOKED_MAX + 1).as_bytes()).unwrap_err().0, REVOKED_MAX + 1);
    }
}
