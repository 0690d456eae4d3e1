//! The same bits with AVX2. The only module with `unsafe`: unaligned loads, and the call behind the run-time detection.
#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "AVX2 loads and the call of an AVX2 function"))]

use crate::masks::{BLOCK, Marks};
use crate::scanner::Pass;

/// Whether [`scan`] may be called.
pub(crate) fn is_available() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("bmi1")
            && std::arch::is_x86_feature_detected!("bmi2")
            && std::arch::is_x86_feature_detected!("popcnt")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// Scans whole blocks; does nothing and gives `false` where the processor cannot.
pub(crate) fn scan(pass: &mut Pass<'_>, marks: Marks, blocks: &[[u8; BLOCK]]) -> bool {
    if !is_available() {
        return false;
    }
    #[cfg(target_arch = "x86_64")]
    // SAFETY: `is_available` has found every feature that `x86::scan` is compiled with.
    unsafe {
        x86::scan(pass, marks, blocks);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (pass, marks, blocks);
    true
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{__m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_set1_epi8};

    use super::{BLOCK, Marks, Pass};
    use crate::masks::Masks;

    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
    pub(super) fn scan(pass: &mut Pass<'_>, marks: Marks, blocks: &[[u8; BLOCK]]) {
        let delimiter = _mm256_set1_epi8(marks.delimiter.cast_signed());
        let quote = _mm256_set1_epi8(marks.quote.cast_signed());
        let line_feed = _mm256_set1_epi8(b'\n'.cast_signed());
        let carriage_return = _mm256_set1_epi8(b'\r'.cast_signed());
        for block in blocks {
            let halves = load(block);
            let masks = marks.without_quotes(Masks {
                delimiter: equal(halves, delimiter),
                quote: equal(halves, quote),
                line_feed: equal(halves, line_feed),
                carriage_return: equal(halves, carriage_return),
            });
            pass.take(block, masks);
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(block: &[u8; BLOCK]) -> (__m256i, __m256i) {
        let (low, high) = block.split_at(32);
        // SAFETY: both halves are 32 readable bytes, and the load needs no alignment.
        unsafe { (_mm256_loadu_si256(low.as_ptr().cast()), _mm256_loadu_si256(high.as_ptr().cast())) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn equal((low, high): (__m256i, __m256i), mark: __m256i) -> u64 {
        let low = _mm256_movemask_epi8(_mm256_cmpeq_epi8(low, mark)).cast_unsigned();
        let high = _mm256_movemask_epi8(_mm256_cmpeq_epi8(high, mark)).cast_unsigned();
        u64::from(low) | u64::from(high) << 32
    }
}
