//! Numbers and truth values from their text.

use std::str::FromStr;

/// Digits that always fit into an `i64`.
const SHORT_DIGITS: usize = 18;

/// A whole number in decimal digits, with an optional sign; `None` for anything else, and beyond the type's range.
#[inline]
pub(crate) fn parse_int<N: TryFrom<i64> + TryFrom<i128>>(text: &[u8]) -> Option<N> {
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    if digits.len() > SHORT_DIGITS {
        return parse_long(digits, is_negative);
    }
    let mut number = 0_i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + i64::from(digit);
    }
    N::try_from(if is_negative { -number } else { number }).ok()
}

#[cold]
fn parse_long<N: TryFrom<i128>>(digits: &[u8], is_negative: bool) -> Option<N> {
    let mut number = 0_i128;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(digit.into())?;
    }
    N::try_from(if is_negative { -number } else { number }).ok()
}

/// A number with a binary fraction: decimal digits with point and exponent, `inf`, `nan`; `None` for anything else, and for
/// digits beyond the type's range.
pub(crate) fn parse_float<N: FromStr + Into<f64> + Copy>(text: &[u8]) -> Option<N> {
    let number: N = std::str::from_utf8(text).ok()?.parse().ok()?;
    let is_out_of_range = number.into().is_infinite() && text.iter().any(u8::is_ascii_digit);
    (!is_out_of_range).then_some(number)
}

/// `true` and `false`, `t` and `f`, `yes` and `no`, `y` and `n`, `1` and `0`, in any case.
pub(crate) fn parse_bool(text: &[u8]) -> Option<bool> {
    let is = |words: [&str; 5]| words.iter().any(|word| text.eq_ignore_ascii_case(word.as_bytes()));
    if is(["true", "t", "1", "yes", "y"]) {
        return Some(true);
    }
    is(["false", "f", "0", "no", "n"]).then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_stay_in_range() {
        let i8_of = |text: &str| parse_int::<i8>(text.as_bytes());
        assert_eq!([i8_of("-128"), i8_of("127"), i8_of("+5"), i8_of("007")], [Some(-128), Some(127), Some(5), Some(7)]);
        for text in ["128", "-129", "", "-", "+", "1.0", " 1", "1 ", "0x1", "1e2", "--1", "٣"] {
            assert_eq!(i8_of(text), None, "{text:?}");
        }
        assert_eq!(parse_int::<u64>(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_int::<u64>(b"18446744073709551616"), None);
        assert_eq!(parse_int::<u8>(b"-1"), None);
        assert_eq!(parse_int::<u8>(b"-0"), Some(0));
    }

    #[test]
    fn fractions_and_truth() {
        assert_eq!(parse_float::<f64>(b"-1.5e3"), Some(-1500.0));
        assert_eq!(parse_float::<f64>(b"1,5"), None);
        assert_eq!(parse_float::<f64>(b"-inf"), Some(f64::NEG_INFINITY));
        assert_eq!((parse_float::<f64>(b"1e400"), parse_float::<f32>(b"-1e39")), (None, None));
        assert_eq!(parse_bool(b"TRUE"), Some(true));
        assert_eq!(parse_bool(b"n"), Some(false));
        assert_eq!(parse_bool(b"2"), None);
    }
}
