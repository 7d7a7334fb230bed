//! The one question that the scanner asks of many bytes at once, answered twice.

/// A way to look at [`WIDTH`] bytes.
pub(in crate::wire) trait Lanes: Copy {
    /// Bit *k* of the first word: byte *k* ends or interrupts a string (a quote, a backslash, a
    /// control character). The second word is nonzero if any byte is outside ASCII.
    ///
    /// # Safety
    /// `WIDTH` bytes at `from` must be readable, and the CPU must have what the implementation uses.
    unsafe fn specials(from: *const u8) -> (u32, u32);
}

/// How many bytes [`Lanes`] looks at.
pub(in crate::wire) const WIDTH: usize = 32;

/// Whether [`Avx2`] may be used.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
pub(super) fn avx2_available() -> bool {
    std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("bmi1")
}

/// 256-bit vectors. Only for code that was entered through a function with the feature enabled.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[derive(Clone, Copy)]
pub(in crate::wire) struct Avx2;

#[cfg(all(target_arch = "x86_64", not(miri)))]
impl Lanes for Avx2 {
    #[inline(always)]
    unsafe fn specials(from: *const u8) -> (u32, u32) {
        use std::arch::x86_64::*;
        // SAFETY: the caller promises 32 readable bytes and a CPU with AVX2; the load is unaligned.
        unsafe {
            let bytes = _mm256_loadu_si256(from.cast());
            let quote = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'"' as i8));
            let backslash = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'\\' as i8));
            // Unsigned "at most 0x1f": the minimum of the two is the byte itself.
            let control = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, _mm256_set1_epi8(0x1f)), bytes);
            let special = _mm256_or_si256(_mm256_or_si256(quote, backslash), control);
            (_mm256_movemask_epi8(special) as u32, _mm256_movemask_epi8(bytes) as u32)
        }
    }
}

/// Eight bytes at a time in ordinary registers.
#[derive(Clone, Copy)]
pub(in crate::wire) struct Portable;

impl Lanes for Portable {
    #[inline(always)]
    unsafe fn specials(from: *const u8) -> (u32, u32) {
        let (mut mask, mut high) = (0u32, 0u64);
        for step in 0..WIDTH / 8 {
            // SAFETY: the caller promises 32 readable bytes; `[u8; 8]` has no alignment to keep.
            let word = u64::from_le_bytes(unsafe { from.add(step * 8).cast::<[u8; 8]>().read() });
            high |= word & HIGH;
            let special = zero_bytes(word ^ (ONES * b'"' as u64))
                | zero_bytes(word ^ (ONES * b'\\' as u64))
                | zero_bytes(word & (ONES * 0xe0));
            mask |= gather(special) << (step * 8);
        }
        (mask, (high != 0).into())
    }
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
const fn gather(high_bits: u64) -> u32 {
    (((high_bits >> 7).wrapping_mul(0x0102_0408_1020_4080)) >> 56) as u32
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

    fn naive(bytes: &[u8; WIDTH]) -> (u32, bool) {
        let mut mask = 0;
        for (at, &byte) in bytes.iter().enumerate() {
            mask |= u32::from(byte < 0x20 || byte == b'"' || byte == b'\\') << at;
        }
        (mask, !bytes.is_ascii())
    }

    fn check(bytes: &[u8; WIDTH]) {
        // SAFETY: the array has WIDTH bytes.
        let (mask, high) = unsafe { Portable::specials(bytes.as_ptr()) };
        assert_eq!((mask, high != 0), naive(bytes), "portable, {bytes:?}");
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        if avx2_available() {
            // SAFETY: the array has WIDTH bytes and the CPU was asked.
            let (mask, high) = unsafe { Avx2::specials(bytes.as_ptr()) };
            assert_eq!((mask, high != 0), naive(bytes), "AVX2, {bytes:?}");
        }
    }

    #[test]
    fn every_byte_is_judged_alike_in_every_lane() {
        for byte in 0..=255 {
            for lane in [0, 1, 7, 8, 15, 23, 30, 31] {
                for around in [b'a', 0, 0x80, b'"'] {
                    let mut bytes = [around; WIDTH];
                    bytes[lane] = byte;
                    check(&bytes);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn both_ways_see_what_the_naive_one_sees(bytes in any::<[u8; WIDTH]>()) {
            check(&bytes);
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
