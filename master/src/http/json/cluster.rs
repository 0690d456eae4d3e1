//! The cluster as a whole as JSON, and the last hour of it or of one worker.

use std::collections::BTreeMap;

use hearth_common::ENGINE_VERSION;

use super::time;
use crate::http::described::described;
use crate::load::{Hour, SAMPLE_EVERY, Sample};
use crate::snapshot::Totals;

described! {
    /// The cluster.
    #[derive(PartialEq, Eq)]
    pub(in crate::http) struct ClusterJson {
        /// Where workers and clients connect.
        master: String,
        version: &'static str,
        started_at: String,
        /// Jobs that are known, by state.
        jobs: BTreeMap<&'static str, u64>,
        /// Workers that are known, by state; the last lost ones among them.
        workers: BTreeMap<&'static str, u64>,
        /// Workers that get no attempts for a while.
        workers_excluded: u64,
        /// Slots of workers that are not gone.
        slots: u64,
        slots_used: u64,
        memory_bytes_max: u64,
        memory_bytes_used: u64,
        tasks_running: u64,
        /// Tasks of planned jobs that do not run yet.
        tasks_waiting: u64,
        /// Rows that attempts read since the master started.
        read_rows: u64,
        /// Bytes that attempts read since the master started.
        read_bytes: u64,
    }
}

impl ClusterJson {
    pub(in crate::http) fn new(totals: &Totals, hour: &Hour, master: &str, started_ms: u64) -> Self {
        Self {
            master: master.to_owned(),
            version: ENGINE_VERSION,
            started_at: time(started_ms),
            jobs: totals.jobs.iter().map(|(state, count)| (state.name(), *count)).collect(),
            workers: totals.workers.clone(),
            workers_excluded: totals.workers_excluded,
            slots: totals.slots,
            slots_used: totals.slots_used,
            memory_bytes_max: totals.memory_bytes_max,
            memory_bytes_used: totals.memory_bytes_used,
            tasks_running: totals.tasks_running,
            tasks_waiting: totals.tasks_waiting,
            read_rows: hour.total.rows,
            read_bytes: hour.total.bytes,
        }
    }
}

described! {
    /// The last hour, oldest first; all lists have the same length. There are no samples of times in which no master ran.
    pub(in crate::http) struct LoadJson {
        /// Time that a sample stands for.
        interval_ms: u64,
        /// Ends of the samples.
        at: Vec<String>,
        slots: Vec<u32>,
        /// Most slots in use at once.
        slots_used: Vec<u32>,
        /// Most memory that attempts had reserved.
        memory_bytes_used: Vec<u64>,
        /// Rows read in each interval.
        read_rows: Vec<u64>,
        /// Bytes read in each interval.
        read_bytes: Vec<u64>,
        /// Bytes spilled in each interval.
        spilled_bytes: Vec<u64>,
    }
}

impl LoadJson {
    pub(in crate::http) fn new(hour: &Hour) -> Self {
        fn each<T>(hour: &Hour, value: impl Fn(&Sample) -> T) -> Vec<T> {
            hour.samples.iter().map(value).collect()
        }
        Self {
            interval_ms: u64::try_from(SAMPLE_EVERY.as_millis()).unwrap_or_default(),
            at: each(hour, |sample| time(sample.at_ms)),
            slots: each(hour, |sample| sample.slots),
            slots_used: each(hour, |sample| sample.slots_used),
            memory_bytes_used: each(hour, |sample| sample.memory_bytes_used),
            read_rows: each(hour, |sample| sample.flow.rows),
            read_bytes: each(hour, |sample| sample.flow.bytes),
            spilled_bytes: each(hour, |sample| sample.flow.spilled_bytes),
        }
    }
}

described! {
    /// What a request that changes something has to carry in its header `x-hearth-token`.
    pub(in crate::http) struct TokenJson {
        /// Known to pages of this master alone; new with every start.
        pub(in crate::http) token: String,
    }
}
