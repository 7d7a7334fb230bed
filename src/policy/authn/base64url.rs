//! Base64url without padding (RFC 4648 section 5, RFC 7515 section 2), strictly: one text for each value, so that a
//! token cannot be respelled.

/// The bytes that `text` stands for; `None` if it is not the one text that stands for them.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    if text.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let mut groups = text.chunks_exact(4);
    for group in &mut groups {
        let bits = bits_of(group)?;
        bytes.extend_from_slice(&[(bits >> 16) as u8, (bits >> 8) as u8, bits as u8]);
    }
    let rest = groups.remainder();
    let bits = bits_of(rest)?;
    match rest.len() {
        // Bits behind the last whole byte must be 0, or two texts would stand for the same bytes.
        2 if bits & 0xF == 0 => bytes.push((bits >> 4) as u8),
        3 if bits & 0x3 == 0 => bytes.extend_from_slice(&[(bits >> 10) as u8, (bits >> 2) as u8]),
        0 => {}
        _ => return None,
    }
    Some(bytes)
}

/// The text that stands for `bytes`.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for at in 0..=group.len() {
            text.push(char::from(ALPHABET[(bits >> (18 - 6 * at)) as usize & 0x3F]));
        }
    }
    text
}

fn bits_of(group: &[u8]) -> Option<u32> {
    let mut bits = 0;
    let mut bad = 0;
    for byte in group {
        let value = VALUES[usize::from(*byte)];
        bad |= value;
        bits = bits << 6 | u32::from(value);
    }
    (bad & NONE == 0).then_some(bits)
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Not a value of six bits.
const NONE: u8 = 0x80;

const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut at = 0;
    while at < 64 {
        values[ALPHABET[at] as usize] = at as u8;
        at += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_texts_are_read_and_every_other_spelling_is_not() {
        for (text, bytes) in
            [("", &b""[..]), ("Zg", b"f"), ("Zm8", b"fo"), ("Zm9v", b"foo"), ("_-8", b"\xff\xef")]
        {
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(bytes), "{text}");
            assert_eq!(encode(bytes), text);
        }
        for text in [
            "Z",
            "Zg==",
            "Zh",
            "Zm9",
            "Zm+v",
            "Zm/v",
            "Zm9v\n",
            " Zm9v",
            "Zm 9v",
            "Zg=",
            "Zm9vZ",
            "\u{e4}\u{e4}",
        ] {
            assert_eq!(decode(text.as_bytes()), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn each_value_has_one_text(bytes in prop::collection::vec(any::<u8>(), 0..40), text in "[A-Za-z0-9_=-]{0,12}") {
            prop_assert_eq!(decode(encode(&bytes).as_bytes()), Some(bytes));
            if let Some(read) = decode(text.as_bytes()) {
                prop_assert_eq!(encode(&read), text);
            }
        }
    }
}
