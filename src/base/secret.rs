//! Bytes that must not be printed.

use std::fmt;

/// A secret: a key, a token, a header that carries one. `Debug` and `Display` print `***`, so that a
/// secret cannot reach a log, a finding or a panic message by way of the struct that holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Wraps `bytes`.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes themselves. Each caller is a place to look at when secrets are reviewed.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl Secret {
    /// Whether the bytes are these, in a time that depends on the lengths alone.
    pub fn is(&self, other: &[u8]) -> bool {
        same(&self.0, other)
    }
}

/// Whether two byte strings are equal, in a time that depends on their lengths alone: what a guess has right
/// is not told by how long its refusal takes.
pub fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let difference = one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
    // Not known to the optimizer, so that the loop is not left at the first difference.
    std::hint::black_box(difference) == 0
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_stars_in_every_form() {
        let secret = Secret::new(*b"hunter2");
        assert_eq!(format!("{secret} {secret:?} {:#?}", Some(&secret)).matches("***").count(), 3);
        assert!(!format!("{secret} {secret:?} {secret:#?}").contains("hunter2"));
        assert_eq!(secret.reveal(), b"hunter2");
        assert!(secret.is(b"hunter2") && !secret.is(b"hunter3") && !secret.is(b"hunter") && !secret.is(b""));
    }
}
