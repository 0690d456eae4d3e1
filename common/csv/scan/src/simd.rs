//! The same bits with AVX2. The only module with `unsafe`: unaligned loads, and the call behind the run-time detection.
#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "AVX2 loads and the call of an AVX2 function"))]

use crate::masks::{BLOCK, Marks, RareMarks};
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
pub(crate) fn scan(pass: &mut Pass<'_>, marks: (Marks, Option<RareMarks>), blocks: &[[u8; BLOCK]]) -> bool {
    if !is_available() {
        return false;
    }
    #[cfg(target_arch = "x86_64")]
    // SAFETY: `is_available` has found every feature that both functions are compiled with.
    unsafe {
        match marks {
            (marks, None) => x86::scan(pass, marks, blocks),
            (marks, Some(rare)) => x86::scan_rare(pass, (marks, rare), blocks),
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (pass, marks, blocks);
    true
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{__m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_set1_epi8};

    use super::{BLOCK, Marks, Pass, RareMarks};
    use crate::masks::{Masks, RareMasks};

    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
    pub(super) fn scan(pass: &mut Pass<'_>, marks: Marks, blocks: &[[u8; BLOCK]]) {
        let vectors = Vectors::new(marks);
        for block in blocks {
            pass.take(block, vectors.find(load(block)));
        }
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
    pub(super) fn scan_rare(pass: &mut Pass<'_>, (marks, rare): (Marks, RareMarks), blocks: &[[u8; BLOCK]]) {
        let vectors = Vectors::new(marks);
        let escape = _mm256_set1_epi8(rare.escape.cast_signed());
        let comment = _mm256_set1_epi8(rare.comment.cast_signed());
        for block in blocks {
            let halves = load(block);
            let found = RareMasks { escape: equal(halves, escape), comment: equal(halves, comment) };
            pass.take_rare(block, vectors.find(halves), rare.without_absent(found));
        }
    }

    /// Each mark in every byte of a vector.
    struct Vectors {
        marks: Marks,
        delimiter: __m256i,
        quote: __m256i,
        line_feed: __m256i,
        carriage_return: __m256i,
    }

    impl Vectors {
        #[inline]
        #[target_feature(enable = "avx2")]
        fn new(marks: Marks) -> Self {
            Self {
                marks,
                delimiter: _mm256_set1_epi8(marks.delimiter.cast_signed()),
                quote: _mm256_set1_epi8(marks.quote.cast_signed()),
                line_feed: _mm256_set1_epi8(b'\n'.cast_signed()),
                carriage_return: _mm256_set1_epi8(b'\r'.cast_signed()),
            }
        }

        #[inline]
        #[target_feature(enable = "avx2")]
        fn find(&self, halves: (__m256i, __m256i)) -> Masks {
            self.marks.without_quotes(Masks {
                delimiter: equal(halves, self.delimiter),
                quote: equal(halves, self.quote),
                line_feed: equal(halves, self.line_feed),
                carriage_return: equal(halves, self.carriage_return),
            })
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
