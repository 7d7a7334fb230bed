//! Forms (`application/x-www-form-urlencoded`), and how a client proves itself to an issuer.

use crate::base::Secret;
use crate::policy::propagate::base64;

/// The pairs as a form.
pub fn encode<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Secret {
    let mut form = Vec::with_capacity(256);
    for (name, value) in pairs {
        if !form.is_empty() {
            form.push(b'&');
        }
        push(&mut form, name.as_bytes());
        form.push(b'=');
        push(&mut form, value);
    }
    Secret::new(form)
}

/// The value of `Authorization` for a client: id and secret as in a form, then HTTP Basic (RFC 6749 section 2.3.1).
pub fn basic(client_id: &str, client_secret: &Secret) -> Secret {
    let mut pair = Vec::new();
    push(&mut pair, client_id.as_bytes());
    pair.push(b':');
    push(&mut pair, client_secret.reveal());
    Secret::new(format!("Basic {}", base64::padded(&pair)).into_bytes())
}

/// Appends `text` as the URL standard writes a form.
fn push(form: &mut Vec<u8>, text: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in text {
        match byte {
            b' ' => form.push(b'+'),
            b'*' | b'-' | b'.' | b'_' => form.push(byte),
            _ if byte.is_ascii_alphanumeric() => form.push(byte),
            _ => form.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_form_gives_a_meaning_is_escaped() {
        let form = encode([("a", &b"b c&d=e"[..]), ("f", "\u{e4}~+%".as_bytes())]);
        assert_eq!(form.reveal(), b"a=b+c%26d%3De&f=%C3%A4%7E%2B%25");
    }

    #[test]
    fn a_client_with_a_colon_in_its_id_cannot_be_taken_for_another() {
        let basic = basic("a:b", &Secret::new(*b"c d"));
        assert_eq!(basic.reveal(), format!("Basic {}", base64::padded(b"a%3Ab:c+d")).as_bytes());
    }
}
