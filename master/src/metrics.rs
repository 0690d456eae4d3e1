//! Figures for Prometheus: counters that the event loop feeds, and gauges read from the snapshot when they are asked for.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hearth_common::{AttemptCounts, AttemptMetrics, ENGINE_VERSION, FailureCause, JobState};
use hearth_metrics::{ByLabel, by_cause, by_label, gauges, one_gauge, seconds};
use hearth_storage::Storage;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::snapshot::Snapshot;

/// Why a message of a worker is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stale {
    /// The worker is lost, or nobody knows it.
    Worker,
    /// Nobody waits for that attempt.
    Attempt,
    /// The worker has another connection since.
    Connection,
    /// The worker has a newer master.
    Epoch,
}

impl Stale {
    const ALL: [Self; 4] = [Self::Worker, Self::Attempt, Self::Connection, Self::Epoch];

    const fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Attempt => "attempt",
            Self::Connection => "connection",
            Self::Epoch => "epoch",
        }
    }
}

/// The counters, and the registry that everything is read from.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    jobs_submitted: Counter,
    jobs_ended: ByLabel,
    attempts_launched: Counter,
    attempts_lost: Counter,
    attempts_second: Counter,
    attempts_failed: ByLabel,
    workers_connected: Counter,
    stale_messages: ByLabel,
    events: Counter,
    input_rows: Counter,
    input_bytes: Counter,
    shuffle_read_bytes: ByLabel,
    written_bytes: Counter,
    spilled_bytes: Counter,
    log_lines_dropped: Counter,
    traces_sent: Counter,
    traces_lost: Counter,
    attempts_finished: Counter,
    first_launch_delay: Histogram,
    store_write: Histogram,
    job_time: Histogram,
}

impl Metrics {
    /// `state_dir` is the directory whose free space is told.
    pub(crate) fn new(snapshot: watch::Receiver<Arc<Snapshot>>, (state_dir, storage): (PathBuf, Storage)) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("hearth"),
            jobs_submitted: Counter::default(),
            jobs_ended: by_label("state", &["done", "failed", "cancelled"]),
            attempts_launched: Counter::default(),
            attempts_lost: Counter::default(),
            attempts_second: Counter::default(),
            attempts_failed: by_cause(),
            workers_connected: Counter::default(),
            stale_messages: by_label("kind", &Stale::ALL.map(Stale::name)),
            events: Counter::default(),
            input_rows: Counter::default(),
            input_bytes: Counter::default(),
            shuffle_read_bytes: by_label("from", &["same_worker", "other_worker"]),
            written_bytes: Counter::default(),
            spilled_bytes: Counter::default(),
            log_lines_dropped: Counter::default(),
            traces_sent: Counter::default(),
            traces_lost: Counter::default(),
            attempts_finished: Counter::default(),
            first_launch_delay: seconds(0.01),
            store_write: seconds(0.0005),
            job_time: seconds(0.25),
        };
        metrics.register();
        metrics.registry.register_collector(Box::new(Gauges { snapshot }));
        hearth_metrics::register_shared(&mut metrics.registry, state_dir, storage);
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("build", "Version of this master", Info::new([("version", ENGINE_VERSION)]));
        let help = "This master waits while another one is active";
        registry.register("standby", help, Gauge::<i64>::default());
        registry.register("jobs_submitted", "Jobs that were accepted", self.jobs_submitted.clone());
        registry.register("jobs_ended", "Jobs that reached a final state", self.jobs_ended.clone());
        registry.register("attempts_launched", "Attempts sent to workers", self.attempts_launched.clone());
        let help = "Attempts whose work was lost with a worker or its shuffle output";
        registry.register("attempts_lost", help, self.attempts_lost.clone());
        let help = "Attempts that were launched beside slow ones";
        registry.register("attempts_second", help, self.attempts_second.clone());
        registry.register("attempts_failed", "Attempts that failed, by cause", self.attempts_failed.clone());
        let help = "Attempts that finished and were of use";
        registry.register("attempts_finished", help, self.attempts_finished.clone());
        let help = "Time from a job's submission to the launch of its first attempt";
        registry.register("first_launch_delay_seconds", help, self.first_launch_delay.clone());
        registry.register("store_write_seconds", "Time of one write to the store", self.store_write.clone());
        registry.register("job_seconds", "Time from submission to the end of a job", self.job_time.clone());
        registry.register("workers_connected", "Hellos of workers that were accepted", self.workers_connected.clone());
        let help = "Messages of workers that were refused, by what had ended before they came";
        registry.register("stale_messages", help, self.stale_messages.clone());
        registry.register("scheduler_events", "Events the scheduler handled", self.events.clone());
        registry.register("input_rows", "Rows read from inputs by finished attempts", self.input_rows.clone());
        registry.register("input_bytes", "Bytes read from inputs by finished attempts", self.input_bytes.clone());
        let help = "Bytes of shuffle outputs read by finished attempts, on the same worker or from another";
        registry.register("shuffle_read_bytes", help, self.shuffle_read_bytes.clone());
        let help = "Bytes that finished attempts wrote to shuffle outputs and output files";
        registry.register("written_bytes", help, self.written_bytes.clone());
        registry.register("spilled_bytes", "Bytes that finished attempts spilled", self.spilled_bytes.clone());
        let help = "Lines about jobs for which there was no room";
        registry.register("log_lines_dropped", help, self.log_lines_dropped.clone());
        registry.register("traces_sent", "Traces of jobs that the collector took", self.traces_sent.clone());
        let help = "Traces of jobs that the collector did not take, or for which there was no room";
        registry.register("traces_lost", help, self.traces_lost.clone());
    }

    /// The text that Prometheus reads.
    pub(crate) fn encode(&self) -> Result<String, fmt::Error> {
        hearth_metrics::encode(&self.registry)
    }

    pub(crate) fn count_event(&self) {
        self.events.inc();
    }

    pub(crate) fn count_log_lines_dropped(&self, lines: u64) {
        self.log_lines_dropped.inc_by(lines);
    }

    pub(crate) fn count_traces_sent(&self, jobs: usize) {
        self.traces_sent.inc_by(jobs as u64);
    }

    pub(crate) fn count_traces_lost(&self, jobs: usize) {
        self.traces_lost.inc_by(jobs as u64);
    }

    pub(crate) fn count_submission(&self) {
        self.jobs_submitted.inc();
    }

    pub(crate) fn count_end(&self, state: JobState) {
        self.jobs_ended.get_or_create(&[("state", state.name())]).inc();
    }

    pub(crate) fn count_worker(&self) {
        self.workers_connected.inc();
    }

    pub(crate) fn count_stale(&self, stale: Stale) {
        self.stale_messages.get_or_create(&[("kind", stale.name())]).inc();
    }

    pub(crate) fn count_failure(&self, cause: &FailureCause) {
        self.attempts_failed.get_or_create(&[("cause", cause.name())]).inc();
    }

    /// The first attempt of a job is launched, so long after its submission.
    pub(crate) fn observe_first_launch(&self, after: Duration) {
        self.first_launch_delay.observe(after.as_secs_f64());
    }

    /// A write to the store took so long.
    pub(crate) fn observe_store_write(&self, took: Duration) {
        self.store_write.observe(took.as_secs_f64());
    }

    /// A job ended, so long after its submission.
    pub(crate) fn observe_job(&self, took: Duration) {
        self.job_time.observe(took.as_secs_f64());
    }

    /// Counts what became of attempts since the last call for the same job.
    pub(crate) fn count_attempts(&self, before: AttemptCounts, now: AttemptCounts) {
        self.attempts_launched.inc_by(now.launched.saturating_sub(before.launched));
        self.attempts_lost.inc_by(now.lost.saturating_sub(before.lost));
        self.attempts_second.inc_by(now.second.saturating_sub(before.second));
    }

    pub(crate) fn count_finished(&self, figures: &AttemptMetrics) {
        self.attempts_finished.inc();
        self.input_rows.inc_by(figures.input_rows);
        self.input_bytes.inc_by(figures.input_bytes);
        self.shuffle_read_bytes.get_or_create(&[("from", "same_worker")]).inc_by(figures.shuffle_local_bytes);
        self.shuffle_read_bytes.get_or_create(&[("from", "other_worker")]).inc_by(figures.shuffle_remote_bytes);
        self.written_bytes.inc_by(figures.output_bytes);
        self.spilled_bytes.inc_by(figures.spilled_bytes);
    }
}

/// Gauges over the snapshot.
#[derive(Debug)]
struct Gauges {
    snapshot: watch::Receiver<Arc<Snapshot>>,
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let totals = Arc::clone(&self.snapshot.borrow()).totals();
        let jobs = totals.jobs.iter().map(|(state, count)| (state.name(), *count));
        gauges(&mut encoder, ("jobs", "Jobs that are known, by state", "state"), jobs)?;
        let workers = totals.workers.iter().map(|(state, count)| (*state, *count));
        gauges(&mut encoder, ("workers", "Workers, by state; the last lost ones among them", "state"), workers)?;
        for (name, help, value) in [
            ("slots", "Slots of all workers that are not lost", totals.slots),
            ("slots_used", "Slots in which an attempt runs", totals.slots_used),
            ("tasks_running", "Tasks that run", totals.tasks_running),
            ("tasks_waiting", "Tasks of planned jobs that do not run yet", totals.tasks_waiting),
            ("memory_used_bytes", "Memory that attempts have reserved", totals.memory_bytes_used),
        ] {
            one_gauge(&mut encoder, (name, help), value)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests::snapshot;

    #[test]
    fn has_the_names_that_dashboards_use() {
        let (_sender, receiver) = watch::channel(Arc::new(snapshot(&[(1, JobState::Done), (2, JobState::Running)])));
        let metrics = Metrics::new(receiver, (PathBuf::from("/"), Storage::default()));
        metrics.count_submission();
        metrics.count_end(JobState::Failed);
        metrics.count_failure(&FailureCause::internal("x"));
        metrics.count_stale(Stale::Attempt);
        let counts = |launched, lost| AttemptCounts { launched, lost, ..AttemptCounts::default() };
        metrics.count_attempts(counts(1, 0), counts(4, 2));
        metrics.count_finished(&AttemptMetrics { shuffle_remote_bytes: 7, ..AttemptMetrics::default() });
        let text = metrics.encode().unwrap();
        for line in [
            "hearth_jobs{state=\"done\"} 1",
            "hearth_jobs{state=\"queued\"} 0",
            "hearth_workers{state=\"alive\"} 0",
            "hearth_slots 0",
            "hearth_tasks_running 0",
            "hearth_jobs_submitted_total 1",
            "hearth_jobs_ended_total{state=\"failed\"} 1",
            "hearth_attempts_launched_total 3",
            "hearth_attempts_lost_total 2",
            "hearth_attempts_failed_total{cause=\"internal\"} 1",
            "hearth_shuffle_read_bytes_total{from=\"other_worker\"} 7",
            "hearth_attempts_finished_total 1",
            "hearth_stale_messages_total{kind=\"worker\"} 0",
            "hearth_stale_messages_total{kind=\"attempt\"} 1",
            "hearth_hdfs_namenode_errors_total{kind=\"timeout\"} 0",
            "hearth_first_launch_delay_seconds_count 0",
            "# TYPE hearth_jobs gauge",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }
}
