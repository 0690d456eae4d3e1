//! Durations as people write them in configuration: `500ms`, `10s`, `2m`, `1h`. For `#[serde(with = "hearth_common::duration")]`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration; write for example 500ms, 10s, 2m or 1h")]
pub struct DurationError(String);

/// Largest unit first, so that what is written is short.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a whole number and its unit.
///
/// # Errors
/// A text without a unit, with an unknown one, or beyond what fits.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let bad = || DurationError(text.to_owned());
    let trimmed = text.trim();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    let unit = unit.trim();
    let (_, factor_ms) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
    let number: u64 = number.parse().map_err(|_| bad())?;
    number.checked_mul(*factor_ms).map(Duration::from_millis).ok_or_else(bad)
}

/// Writes what [`parse_duration`] reads: the largest unit that is exact. Less than a millisecond is cut off.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let exact = UNITS.iter().find(|(_, factor_ms)| millis > 0 && millis.is_multiple_of(u128::from(*factor_ms)));
    let (unit, factor_ms) = exact.unwrap_or(&("s", 1_000));
    format!("{}{unit}", millis / u128::from(*factor_ms))
}

/// For `serde(with)`.
///
/// # Errors
/// Whatever the serializer says.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_duration(*duration))
}

/// For `serde(with)`.
///
/// # Errors
/// A value that is no text, or not a duration.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected_ms: Option<u64>) {
        assert_eq!(parse_duration(text).ok(), expected_ms.map(Duration::from_millis), "{text}");
    }

    #[test]
    fn reads_durations_as_people_write_them() {
        check("500ms", Some(500));
        check(" 10 s ", Some(10_000));
        check("2m", Some(120_000));
        check("1h", Some(3_600_000));
        check("1d", Some(86_400_000));
        check("0s", Some(0));
        check("10", None);
        check("s", None);
        check("1.5s", None);
        check("-1s", None);
        check("1 fortnight", None);
        check("99999999999999999d", None);
    }

    proptest::proptest! {
        #[test]
        fn shows_what_it_reads(millis in 0..u64::MAX, odd in ".*") {
            let duration = Duration::from_millis(millis);
            proptest::prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
            let _ = parse_duration(&odd);
        }
    }
}
