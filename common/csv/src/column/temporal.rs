//! Dates and times from their text: ISO 8601, or the format that the job gives.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

const DAY_MICROS: i64 = 86_400_000_000;
/// 1970-01-01, in days of the common era.
const EPOCH_DAYS: i32 = 719_163;

/// `YYYY-MM-DD` as days since 1970.
#[inline]
pub(crate) fn parse_date(text: &[u8]) -> Option<i32> {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = text else { return None };
    let year = number([*y0, *y1])? * 100 + number([*y2, *y3])?;
    days(year, number([*m0, *m1])?, number([*d0, *d1])?)
}

/// `HH:MM`, `HH:MM:SS` or with up to six more digits, as microseconds since midnight.
pub(super) fn parse_time(text: &[u8]) -> Option<i64> {
    let (hour, rest) = two_digits(text, 23)?;
    let (minute, rest) = two_digits(rest.strip_prefix(b":")?, 59)?;
    let (second, rest) = match rest {
        [] => (0, rest),
        [b':', rest @ ..] => two_digits(rest, 59)?,
        _ => return None,
    };
    let micros = match rest {
        [] => 0,
        [b'.', digits @ ..] => fraction(digits)?,
        _ => return None,
    };
    Some(((hour * 60 + minute) * 60 + second) * 1_000_000 + micros)
}

/// A date, `T` or a blank, a time, and `Z` or an offset from UTC if wanted; a date alone is its midnight. In microseconds since
/// 1970, in UTC.
#[inline]
pub(crate) fn parse_timestamp(text: &[u8]) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let day = i64::from(parse_date(date)?) * DAY_MICROS;
    let time = match rest {
        [] => return Some(day),
        [b'T' | b't' | b' ', time @ ..] => time,
        _ => return None,
    };
    let (time, offset) = split_offset(time)?;
    Some(day + parse_time(time)? - offset)
}

/// A date in a format of `strftime`.
pub(super) fn parse_date_as(text: &[u8], format: &str) -> Option<i32> {
    let date = NaiveDate::parse_from_str(std::str::from_utf8(text).ok()?, format).ok()?;
    Some(chrono::Datelike::num_days_from_ce(&date) - EPOCH_DAYS)
}

/// A timestamp in a format of `strftime`; with an offset if the format has one, else in UTC.
pub(super) fn parse_timestamp_as(text: &[u8], format: &str) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let exact = |micros: i64, nanos: u32| nanos.is_multiple_of(1000).then_some(micros);
    if let Ok(time) = DateTime::parse_from_str(text, format) {
        return exact(time.timestamp_micros(), time.nanosecond());
    }
    if let Ok(time) = NaiveDateTime::parse_from_str(text, format) {
        return exact(time.and_utc().timestamp_micros(), time.nanosecond());
    }
    let date = NaiveDate::parse_from_str(text, format).ok()?;
    Some(date.and_time(NaiveTime::MIN).and_utc().timestamp_micros())
}

/// Cuts `Z`, `+HH`, `+HHMM` or `+HH:MM` off the end of a time; the offset is in microseconds.
fn split_offset(time: &[u8]) -> Option<(&[u8], i64)> {
    if let Some(time) = time.strip_suffix(b"Z").or_else(|| time.strip_suffix(b"z")) {
        return Some((time, 0));
    }
    let Some(at) = time.iter().rposition(|byte| matches!(byte, b'+' | b'-')) else { return Some((time, 0)) };
    let (hour, rest) = two_digits(&time[at + 1..], 23)?;
    let minute = match rest {
        [] => 0,
        [b':', rest @ ..] | rest => match two_digits(rest, 59)? {
            (minute, []) => minute,
            _ => return None,
        },
    };
    let offset = (hour * 60 + minute) * 60_000_000;
    Some((&time[..at], if time[at] == b'-' { -offset } else { offset }))
}

/// Digits after the point of a second; those beyond microseconds must be zero.
fn fraction(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let (kept, rest) = digits.split_at(digits.len().min(6));
    if rest.iter().any(|digit| *digit != b'0') {
        return None;
    }
    let zeros = std::iter::repeat_n(&b'0', 6 - kept.len());
    Some(kept.iter().chain(zeros).fold(0, |micros, digit| micros * 10 + i64::from(digit - b'0')))
}

fn two_digits(text: &[u8], max: i64) -> Option<(i64, &[u8])> {
    let [tens, ones, rest @ ..] = text else { return None };
    let found = i64::from(number([*tens, *ones])?);
    (found <= max).then_some((found, rest))
}

#[inline]
fn number([tens, ones]: [u8; 2]) -> Option<i32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then_some(i32::from(tens) * 10 + i32::from(ones))
}

/// Days since 1970 of a day in the Gregorian calendar, by Howard Hinnant's `days_from_civil`
/// (<https://howardhinnant.github.io/date_algorithms.html>).
#[inline]
fn days(year: i32, month: i32, day: i32) -> Option<i32> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i32::from(is_leap),
        _ => return None,
    };
    if day < 1 || day > last {
        return None;
    }
    let year = year - i32::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_agree_with_the_calendar() {
        for days_since in (-719_528..100_000).step_by(97) {
            let date = NaiveDate::from_num_days_from_ce_opt(days_since + EPOCH_DAYS).unwrap();
            assert_eq!(parse_date(date.format("%Y-%m-%d").to_string().as_bytes()), Some(days_since), "{date}");
        }
        for text in [
            "2026-02-29",
            "2026-13-01",
            "2026-00-01",
            "2026-01-00",
            "2026-1-01",
            "2026-01-1",
            "2026/01/01",
            "+026-01-01",
        ] {
            assert_eq!(parse_date(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn timestamps_in_every_iso_shape() {
        let check = |text: &str, expected: Option<&str>| {
            let expected = expected.map(|text| DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros());
            assert_eq!(parse_timestamp(text.as_bytes()), expected, "{text}");
        };
        check("2026-01-15", Some("2026-01-15T00:00:00Z"));
        check("2026-01-15 10:20", Some("2026-01-15T10:20:00Z"));
        check("2026-01-15T10:20:30", Some("2026-01-15T10:20:30Z"));
        check("2026-01-15T10:20:30.5Z", Some("2026-01-15T10:20:30.5Z"));
        check("2026-01-15 10:20:30.123456000", Some("2026-01-15T10:20:30.123456Z"));
        check("2026-01-15T10:20:30+02:00", Some("2026-01-15T10:20:30+02:00"));
        check("2026-01-15T10:20:30.25-0330", Some("2026-01-15T10:20:30.25-03:30"));
        check("1969-12-31T23:59:59+00", Some("1969-12-31T23:59:59Z"));
        for text in [
            "2026-01-15T",
            "2026-01-15 24:00:00",
            "2026-01-15 10:20:30.1234567",
            "2026-01-15 10",
            "15.01.2026",
            "2026-01-15T10:20:30+2",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn formats_of_the_job() {
        assert_eq!(parse_date_as(b"15.01.2026", "%d.%m.%Y"), parse_date(b"2026-01-15"));
        assert_eq!(parse_timestamp_as(b"15.01.2026 10:20", "%d.%m.%Y %H:%M"), parse_timestamp(b"2026-01-15T10:20"));
        assert_eq!(
            parse_timestamp_as(b"15/Jan/2026:10:20:30 +0200", "%d/%b/%Y:%H:%M:%S %z"),
            parse_timestamp(b"2026-01-15T08:20:30")
        );
        assert_eq!(parse_date_as(b"2026-01-15", "%d.%m.%Y"), None);
    }
}
