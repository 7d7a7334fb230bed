//! The one question that the scanner asks of many bytes at once, answered twice: which bytes end or
//! interrupt a string?
//!
//! The answers for a [`CHUNK`] of the body are written down as bits before the scanner comes there.
//! Finding the end of a string is then a shift and a count, where looking at the bytes themselves
//! would make every token wait for the one before: measured on nested bodies of short tokens, a third
//! faster with AVX2, twice as fast without.

/// How many bytes are looked at before the scanner reads on.
pub(super) const CHUNK: usize = 2048;

/// One bit for each byte of a chunk, lowest first, and room to read eight bytes anywhere in them.
pub(in crate::wire) type Marks = [u8; CHUNK / 8 + 8];

/// Bytes that a step looks at; so many past the end of what was asked for must be readable.
pub(super) const STEP: usize = 32;

/// Marks quotes, backslashes and control characters among the first `count` bytes of `from`; the
/// marks of the 64 bytes after these are all zero, but for the rest of the last step. Returns whether any
/// byte that was looked at is outside ASCII.
///
/// # Safety
/// `from` must have `count` bytes rounded up to [`STEP`]; `count` must be in `1..=CHUNK`; the CPU
/// must have what the implementation uses.
pub(in crate::wire) type Mark = unsafe fn(from: *const u8, count: usize, marks: &mut Marks) -> bool;

/// The fastest way that this CPU has.
#[inline]
pub(in crate::wire) fn fastest() -> Mark {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if avx2_available() {
        return mark_avx2;
    }
    mark_portable
}

/// Whether [`fastest`] uses AVX2. The standard library asks the CPU once and remembers.
#[inline]
pub(super) fn avx2_available() -> bool {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    return std::arch::is_x86_feature_detected!("avx2");
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    false
}

/// [`Mark`], 32 bytes at a time.
///
/// # Safety
/// As [`Mark`].
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[target_feature(enable = "avx2")]
unsafe fn mark_avx2(from: *const u8, count: usize, marks: &mut Marks) -> bool {
    use std::arch::x86_64::*;
    debug_assert!((1..=CHUNK).contains(&count));
    let quote = _mm256_set1_epi8(b'"' as i8);
    let backslash = _mm256_set1_epi8(b'\\' as i8);
    let last_control = _mm256_set1_epi8(0x1f);
    let mut high = _mm256_setzero_si256();
    let mut at = 0;
    while at < count {
        // SAFETY: at < count, so the caller promises a whole step from there; the load is unaligned.
        let bytes = unsafe { _mm256_loadu_si256(from.add(at).cast()) };
        high = _mm256_or_si256(high, bytes);
        let quotes = _mm256_cmpeq_epi8(bytes, quote);
        let backslashes = _mm256_cmpeq_epi8(bytes, backslash);
        // Unsigned "at most 0x1f": the lesser of the two is the byte itself.
        let controls = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, last_control), bytes);
        let marked = _mm256_or_si256(_mm256_or_si256(quotes, backslashes), controls);
        let bits = _mm256_movemask_epi8(marked) as u32;
        marks[at / 8..at / 8 + 4].copy_from_slice(&bits.to_le_bytes());
        at += STEP;
    }
    marks[at / 8..at / 8 + 8].fill(0);
    _mm256_movemask_epi8(high) != 0
}

/// [`Mark`] in ordinary registers, eight bytes at a time.
///
/// # Safety
/// As [`Mark`].
pub(in crate::wire) unsafe fn mark_portable(from: *const u8, count: usize, marks: &mut Marks) -> bool {
    debug_assert!((1..=CHUNK).contains(&count));
    let mut high = 0;
    let mut at = 0;
    while at < count.next_multiple_of(STEP) {
        // SAFETY: at is below the rounded count; byte arrays have no alignment to keep.
        let word = u64::from_le_bytes(unsafe { from.add(at).cast::<[u8; 8]>().read() });
        high |= word & HIGH;
        let marked = zero_bytes(word ^ (ONES * b'"' as u64))
            | zero_bytes(word ^ (ONES * b'\\' as u64))
            | zero_bytes(word & (ONES * 0xe0));
        marks[at / 8] = gather(marked);
        at += 8;
    }
    marks[at / 8..at / 8 + 8].fill(0);
    high != 0
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The high bit of every byte that is zero, and no other bit (no carry crosses a byte).
#[inline(always)]
const fn zero_bytes(word: u64) -> u64 {
    !(((word & !HIGH) + !HIGH) | word) & HIGH
}

/// The high bits of the eight bytes as one byte, lowest byte first.
#[inline(always)]
const fn gather(high_bits: u64) -> u8 {
    ((high_bits >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
}

/// How many of the first eight bytes, read little-endian as `word`, are digits before the first
/// that is none.
#[inline(always)]
pub(super) const fn digits_leading(word: u64) -> usize {
    let offset = word ^ (ONES * b'0' as u64);
    let above_nine = (((offset & !HIGH) + ONES * 0x76) | offset) & HIGH;
    (above_nine.trailing_zeros() / 8) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_marked(byte: u8) -> bool {
        byte < 0x20 || byte == b'"' || byte == b'\\'
    }

    /// Compares both ways with the naive one, on the first `count` of `bytes` (padded by a step).
    fn check(bytes: &[u8], count: usize) {
        assert!(bytes.len() >= count.next_multiple_of(STEP));
        for mark in [mark_portable as Mark, fastest()] {
            let mut marks: Marks = [0xff; CHUNK / 8 + 8];
            // SAFETY: `bytes` is long enough, and `fastest` asked the CPU.
            let high = unsafe { mark(bytes.as_ptr(), count, &mut marks) };
            let bit = |at: usize| marks[at / 8] >> (at % 8) & 1 == 1;
            let rounded = count.next_multiple_of(STEP);
            for (at, &byte) in bytes[..rounded].iter().enumerate() {
                assert_eq!(bit(at), is_marked(byte), "{byte:#x} at {at} of {count}");
            }
            assert!((rounded..rounded + 64).all(|at| !bit(at)), "marks behind the end of {count}");
            assert_eq!(high, !bytes[..rounded].is_ascii());
        }
    }

    #[test]
    fn every_byte_is_judged_alike_in_every_lane() {
        for byte in 0..=255 {
            for lane in 0..STEP {
                for around in [b'a', 0, 0x80, b'"'] {
                    let mut bytes = [around; STEP];
                    bytes[lane] = byte;
                    check(&bytes, 1);
                }
            }
        }
    }

    #[test]
    fn a_whole_chunk_fits_its_marks() {
        for count in [1, 31, 32, 33, CHUNK - 31, CHUNK - 1, CHUNK] {
            check(&[b'"'; CHUNK], count);
        }
    }

    proptest! {
        #[test]
        fn both_ways_see_what_the_naive_one_sees(bytes in prop::collection::vec(any::<u8>(), 32..400)) {
            check(&bytes, bytes.len() / STEP * STEP);
        }

        #[test]
        fn digits_are_counted_like_one_by_one(
            bytes in prop::array::uniform8(prop_oneof![3 => b'0'..=b'9', 1 => any::<u8>()])
        ) {
            let expected = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
            prop_assert_eq!(digits_leading(u64::from_le_bytes(bytes)), expected);
        }
    }
}
