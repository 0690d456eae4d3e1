//! What the API answers with. The names are a contract, and the OpenAPI document is made of these types: times end in `_at`
//! (RFC 3339, UTC), durations in `_ms`, sizes in `_bytes` or begin with what is counted.

mod attempts;
mod cluster;
mod details;
mod jobs;
mod logs;
mod operators;
mod workers;

use chrono::{DateTime, SecondsFormat, Utc};

pub(super) use attempts::{AttemptJson, AttemptsJson, BarJson, LaneJson, SpreadsJson, TimelineJson};
pub(super) use cluster::{ClusterJson, LoadJson, TokenJson};
pub(super) use details::PlanJson;
pub(super) use jobs::{Detail, JobJson, JobsJson, TasksJson};
pub(super) use logs::{LogsJson, RecentJson};
pub(super) use operators::OperatorsJson;
pub(super) use workers::{WorkerJson, WorkersJson};

/// RFC 3339 in UTC with milliseconds.
pub(super) fn time(ms: u64) -> String {
    moment(ms).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The moment so many milliseconds after 1970; 1970 for what is no date.
pub(super) fn moment(ms: u64) -> DateTime<Utc> {
    i64::try_from(ms).ok().and_then(DateTime::from_timestamp_millis).unwrap_or(DateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(time(1_768_471_200_123), "2026-01-15T10:00:00.123Z");
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(u64::MAX), "1970-01-01T00:00:00.000Z");
    }
}
