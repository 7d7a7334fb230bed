//! Other spellings of a key: what a lenient reader could take for it.

use crate::wire::json::{Text, Unit, Units};

/// Whether a key that is none of `keys` could be read as one: with escapes resolved, letter case
/// ignored (also as the few characters outside ASCII that fold into it), or cut at a NUL. `raw` are its
/// inner bytes. The `keys` are ASCII, of at most 48 letters.
#[inline(always)]
pub(in crate::wire) fn is_variant<'k>(
    keys: impl Iterator<Item = &'k [u8]>,
    raw: &[u8],
    escaped: bool,
) -> bool {
    let mut keys = keys;
    if !escaped && raw.is_ascii() {
        return keys.any(|key| raw.eq_ignore_ascii_case(key));
    }
    // Readers differ in what they make of these: some cut the key short, some drop the character.
    let suspect = |unit| matches!(unit, Unit::Char('\0') | Unit::LoneSurrogate);
    if Units::new(raw).any(suspect) {
        return true;
    }
    let mut decoded = [0; DECODED_MAX];
    let mut length = 0;
    for byte in Text::whole(raw).bytes() {
        let Some(place) = decoded.get_mut(length) else { return false };
        *place = byte;
        length += 1;
    }
    // Not UTF-8: then the body is refused as a whole.
    let Ok(decoded) = std::str::from_utf8(&decoded[..length]) else { return false };
    keys.any(|key| {
        decoded.chars().flat_map(fold).eq(key.iter().map(|byte| char::from(byte.to_ascii_lowercase())))
    })
}

/// Room for every decoded key that could fold into a governed one: none of their at most 48 letters
/// comes from more than three bytes.
pub(super) const DECODED_MAX: usize = 3 * 48;

/// Letter case taken away as the most lenient reader would: by way of capitals, so that the long s,
/// the dotless i and ligatures become the letters that they stand for.
fn fold(character: char) -> impl Iterator<Item = char> {
    let character = if character == '\u{130}' { 'i' } else { character };
    character.to_uppercase().flat_map(char::to_lowercase)
}
