//! Figures of a worker for Prometheus: of its attempts, its shuffle outputs, its memory and its disk.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64};

use hearth_common::{AttemptMetrics, ENGINE_VERSION};
use hearth_metrics::{ByLabel, by_cause, by_label};
use hearth_proto::convert::control::{Report, ReportOutcome};
use hearth_storage::Storage;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::WorkerConfig;

/// The counters, and the registry that everything is read from.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    attempts_launched: Counter,
    attempts_ended: ByLabel,
    attempts_failed: ByLabel,
    input_bytes: Counter,
    input_rows: Counter,
    shuffle_written_bytes: Counter,
    output_written_bytes: Counter,
    shuffle_fetched_bytes: ByLabel,
    spilled_bytes: Counter,
    connections: Counter,
    pub(crate) shuffle_served_bytes: Counter,
    pub(crate) attempts_running: Gauge<i64, AtomicI64>,
    pub(crate) memory_used_bytes: Gauge<u64, AtomicU64>,
    pub(crate) connected: Gauge<i64, AtomicI64>,
}

impl Metrics {
    pub(crate) fn new(config: &WorkerConfig, storage: Storage) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("hearth_worker"),
            attempts_launched: Counter::default(),
            attempts_ended: by_label("outcome", &["finished", "failed", "stopped"]),
            attempts_failed: by_cause(),
            input_bytes: Counter::default(),
            input_rows: Counter::default(),
            shuffle_written_bytes: Counter::default(),
            output_written_bytes: Counter::default(),
            shuffle_fetched_bytes: by_label("from", &["same_worker", "other_worker"]),
            spilled_bytes: Counter::default(),
            connections: Counter::default(),
            shuffle_served_bytes: Counter::default(),
            attempts_running: Gauge::default(),
            memory_used_bytes: Gauge::default(),
            connected: Gauge::default(),
        };
        metrics.register();
        metrics.register_limits(config);
        hearth_metrics::register_shared(&mut metrics.registry, config.work_dir.clone(), storage);
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("build", "Version of this worker", Info::new([("version", ENGINE_VERSION)]));
        registry.register("attempts_launched", "Attempts that were begun", self.attempts_launched.clone());
        let help = "Attempts that ended: finished, failed, or stopped by the master";
        registry.register("attempts_ended", help, self.attempts_ended.clone());
        registry.register("attempts_failed", "Attempts that failed, by cause", self.attempts_failed.clone());
        registry.register("attempts_running", "Attempts that run", self.attempts_running.clone());
        registry.register("input_rows", "Rows read from inputs by ended attempts", self.input_rows.clone());
        registry.register("input_bytes", "Bytes read from inputs by ended attempts", self.input_bytes.clone());
        let help = "Bytes of shuffle outputs that ended attempts wrote";
        registry.register("shuffle_written_bytes", help, self.shuffle_written_bytes.clone());
        let help = "Bytes of output files that ended attempts wrote";
        registry.register("output_written_bytes", help, self.output_written_bytes.clone());
        let help = "Bytes of shuffle outputs read by ended attempts, on this worker or from another";
        registry.register("shuffle_fetched_bytes", help, self.shuffle_fetched_bytes.clone());
        let help = "Bytes of shuffle outputs sent to other workers and the master";
        registry.register("shuffle_served_bytes", help, self.shuffle_served_bytes.clone());
        registry.register("spilled_bytes", "Bytes that ended attempts spilled", self.spilled_bytes.clone());
        let help = "Memory that attempts had reserved at the last heartbeat";
        registry.register("memory_used_bytes", help, self.memory_used_bytes.clone());
        registry.register("master_connected", "1 while the master is connected", self.connected.clone());
        registry.register("master_connections", "Connections that the master accepted", self.connections.clone());
    }

    fn register_limits(&mut self, config: &WorkerConfig) {
        let (slots, memory) = (Gauge::<u64, AtomicU64>::default(), Gauge::<u64, AtomicU64>::default());
        slots.set(u64::from(config.slots));
        memory.set(config.memory.0);
        self.registry.register("slots", "Attempts that may run at once", slots);
        self.registry.register("memory_limit_bytes", "Memory limit of all attempts together", memory);
    }

    /// The text that Prometheus reads.
    pub(crate) fn encode(&self) -> Result<String, fmt::Error> {
        hearth_metrics::encode(&self.registry)
    }

    pub(crate) fn count_launch(&self) {
        self.attempts_launched.inc();
    }

    pub(crate) fn count_connection(&self) {
        self.connections.inc();
        self.connected.set(1);
    }

    pub(crate) fn count_stopped(&self, attempts: usize) {
        self.attempts_ended.get_or_create(&[("outcome", "stopped")]).inc_by(attempts as u64);
    }

    pub(crate) fn count_report(&self, report: &Report) {
        let (outcome, written) = match &report.outcome {
            ReportOutcome::Shuffle { .. } => ("finished", Some(&self.shuffle_written_bytes)),
            ReportOutcome::Output { .. } => ("finished", Some(&self.output_written_bytes)),
            ReportOutcome::Failed(cause) => {
                self.attempts_failed.get_or_create(&[("cause", cause.name())]).inc();
                ("failed", None)
            }
        };
        let AttemptMetrics {
            input_rows,
            input_bytes,
            shuffle_local_bytes,
            shuffle_remote_bytes,
            output_bytes,
            spilled_bytes,
            ..
        } = report.metrics;
        self.attempts_ended.get_or_create(&[("outcome", outcome)]).inc();
        if let Some(written) = written {
            written.inc_by(output_bytes);
        }
        self.input_rows.inc_by(input_rows);
        self.input_bytes.inc_by(input_bytes);
        self.spilled_bytes.inc_by(spilled_bytes);
        self.shuffle_fetched_bytes.get_or_create(&[("from", "same_worker")]).inc_by(shuffle_local_bytes);
        self.shuffle_fetched_bytes.get_or_create(&[("from", "other_worker")]).inc_by(shuffle_remote_bytes);
    }
}
