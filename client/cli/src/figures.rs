//! Numbers as people read them: `1,000,000`, `47.9MiB`, `1.2 s`, `2026-01-15 08:30:00`.

use std::time::Duration;

use chrono::{DateTime, Local};
use hearth_common::JobStatus;

/// A count with thousands separators.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count and its noun.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A span of time with two figures that matter.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A moment in the local time zone.
pub(crate) fn moment(ms: u64) -> String {
    i64::try_from(ms)
        .ok()
        .and_then(DateTime::from_timestamp_millis)
        .map(|time| time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string())
        .unwrap_or_default()
}

/// How long a job took, or takes until now.
pub(crate) fn job_time(job: &JobStatus) -> Duration {
    let now = || u64::try_from(Local::now().timestamp_millis()).unwrap_or(0);
    Duration::from_millis(job.finished_ms.unwrap_or_else(now).saturating_sub(job.submitted_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_separators() {
        for (number, expected) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), expected);
        }
        assert_eq!(counted(1, "file"), "1 file");
        assert_eq!(counted(2000, "row"), "2,000 rows");
    }

    #[test]
    fn spans_have_two_figures() {
        for (ms, expected) in [(1234, "1.2 s"), (59_900, "59.9 s"), (61_000, "1 min 1 s"), (7_260_000, "2 h 1 min")] {
            assert_eq!(span(Duration::from_millis(ms)), expected);
        }
    }
}
