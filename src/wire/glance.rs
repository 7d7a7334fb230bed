//! What stands where among 32 bytes of a head, asked of all of them at once.
//!
//! Who reads lines is written once, over [`Eyes`]; [`with_best`] runs it with the best that this CPU has.

/// How many bytes are looked at together.
pub(in crate::wire) const GLANCE: usize = 32;

/// Looks at [`GLANCE`] bytes; an answer has one bit for each, lowest first.
pub(in crate::wire) trait Eyes: Copy {
    /// The bytes that no value of a field has: control characters, a tab among them, and DEL.
    fn controls(self, bytes: &[u8; GLANCE]) -> u32;

    /// The colons.
    fn colons(self, bytes: &[u8; GLANCE]) -> u32;
}

/// Something to do with eyes.
pub(in crate::wire) trait Task {
    /// What comes of it.
    type Out;

    /// Does it. To be inlined always, so that it is compiled for the CPU that it runs on.
    fn run(self, eyes: impl Eyes) -> Self::Out;
}

/// Runs a task with the best eyes that this CPU has.
#[inline(always)]
pub(in crate::wire) fn with_best<T: Task>(task: T) -> T::Out {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the CPU has AVX2.
        return unsafe { x86::run(task) };
    }
    task.run(Plain)
}

/// Ordinary registers, eight bytes at a time.
#[derive(Clone, Copy)]
pub(in crate::wire) struct Plain;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

impl Eyes for Plain {
    #[inline(always)]
    fn controls(self, bytes: &[u8; GLANCE]) -> u32 {
        gather(bytes, |word| zero_bytes(word & (ONES * 0xe0)) | zero_bytes(word ^ (ONES * 0x7f)))
    }

    #[inline(always)]
    fn colons(self, bytes: &[u8; GLANCE]) -> u32 {
        gather(bytes, |word| zero_bytes(word ^ (ONES * b':' as u64)))
    }
}

/// One bit for each byte that `find` gives the high bit of.
#[inline(always)]
fn gather(bytes: &[u8; GLANCE], find: impl Fn(u64) -> u64) -> u32 {
    let words = bytes.chunks_exact(8).rev();
    words.fold(0, |bits, word| {
        let found = find(word.try_into().map_or(0, u64::from_le_bytes));
        bits << 8 | ((found >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
    })
}

/// The high bit of every byte that is zero, and no other bit (no carry crosses a byte).
#[inline(always)]
const fn zero_bytes(word: u64) -> u64 {
    !(((word & !HIGH) + !HIGH) | word) & HIGH
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Eyes, GLANCE, Task};

    /// AVX2, which who makes one has asked the CPU for.
    #[derive(Clone, Copy)]
    pub(super) struct Avx2(());

    /// Runs a task, compiled for AVX2.
    ///
    /// # Safety
    /// The CPU must have AVX2.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn run<T: Task>(task: T) -> T::Out {
        task.run(Avx2(()))
    }

    impl Eyes for Avx2 {
        #[inline(always)]
        fn controls(self, bytes: &[u8; GLANCE]) -> u32 {
            // SAFETY: there is an `Avx2` only where the CPU has it.
            unsafe { controls(bytes) }
        }

        #[inline(always)]
        fn colons(self, bytes: &[u8; GLANCE]) -> u32 {
            // SAFETY: as above.
            unsafe { colons(bytes) }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn controls(bytes: &[u8; GLANCE]) -> u32 {
        // SAFETY: there are 32 bytes, and the load is unaligned.
        let bytes = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
        // Unsigned "at most 0x1f": the lesser of the two is the byte itself.
        let low = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, _mm256_set1_epi8(0x1f)), bytes);
        let del = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(0x7f));
        _mm256_movemask_epi8(_mm256_or_si256(low, del)) as u32
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    unsafe fn colons(bytes: &[u8; GLANCE]) -> u32 {
        // SAFETY: as above.
        let bytes = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
        _mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b':' as i8))) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Both<'b>(&'b [u8; GLANCE]);

    impl Task for Both<'_> {
        type Out = (u32, u32);

        #[inline(always)]
        fn run(self, eyes: impl Eyes) -> (u32, u32) {
            (eyes.controls(self.0), eyes.colons(self.0))
        }
    }

    #[test]
    fn every_byte_is_judged_alike_in_every_lane_by_all_eyes() {
        for (byte, lane) in (0..=u8::MAX).flat_map(|byte| (0..GLANCE).map(move |lane| (byte, lane))) {
            for around in [b'a', 0, 0x80, b':', 0x7f, 0xff] {
                let mut bytes = [around; GLANCE];
                bytes[lane] = byte;
                let bits = |is: fn(u8) -> bool| {
                    bytes.iter().rev().fold(0, |bits: u32, &byte| bits << 1 | u32::from(is(byte)))
                };
                let expected = (bits(|byte| byte < 0x20 || byte == 0x7f), bits(|byte| byte == b':'));
                assert_eq!(Both(&bytes).run(Plain), expected, "{byte:#x} at {lane} among {around:#x}");
                assert_eq!(with_best(Both(&bytes)), expected, "{byte:#x} at {lane} among {around:#x}");
            }
        }
    }
}
