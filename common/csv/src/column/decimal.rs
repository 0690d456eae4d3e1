//! Decimal numbers from their text. Nothing is rounded.

/// A decimal number as a multiple of `10^-scale`; `None` for text that is none, for digits below the scale other than zero,
/// and for more digits than `precision`.
pub(super) fn parse_decimal(text: &[u8], precision: u8, scale: u8) -> Option<i128> {
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let point = digits.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = match point {
        Some(point) => (&digits[..point], &digits[point + 1..]),
        None => (digits, &[][..]),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let places = usize::from(scale);
    let (kept, rest) = fraction.split_at(fraction.len().min(places));
    if rest.iter().any(|byte| *byte != b'0') {
        return None;
    }
    let mut number: i128 = 0;
    let zeros = std::iter::repeat_n(&b'0', places - kept.len());
    for byte in whole.iter().chain(kept).chain(zeros) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(digit.into())?;
    }
    let limit = 10_i128.checked_pow(precision.into())?;
    (number < limit).then_some(if is_negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        for (text, expected) in [
            ("1.5", Some(150)),
            ("-0.05", Some(-5)),
            ("+12", Some(1200)),
            (".5", Some(50)),
            ("7.", Some(700)),
            ("1.500", Some(150)),
            ("999.99", Some(99_999)),
            ("1000", None),
            ("1.505", None),
            ("1e2", None),
            ("", None),
            ("-", None),
            (".", None),
            ("1.2.3", None),
            ("99999999999999999999999999999999999999999", None),
        ] {
            assert_eq!(parse_decimal(text.as_bytes(), 5, 2), expected, "{text}");
        }
    }
}
