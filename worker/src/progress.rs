//! How far an attempt is: figures that heartbeats read while it runs, and its report tells in the end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use datafusion::execution::memory_pool::MemoryPool;
use datafusion::physical_plan::ExecutionPlan;
use hearth_common::{AttemptMetrics, OperatorRun};
use hearth_plan::ScanExec;
use hearth_storage::Waits;

use crate::operators::{SinkTimes, operators_of};

/// What an attempt has read of shuffle outputs.
#[derive(Debug, Default)]
pub(crate) struct ReadCounters {
    pub(crate) rows: AtomicU64,
    pub(crate) local_bytes: AtomicU64,
    pub(crate) remote_bytes: AtomicU64,
}

/// Shared between an attempt and whoever asks about it.
#[derive(Debug)]
pub(crate) struct Progress {
    started: Instant,
    plan: OnceLock<Arc<dyn ExecutionPlan>>,
    /// What becomes of its rows.
    sink: OnceLock<&'static str>,
    pub(crate) sink_times: SinkTimes,
    pool: OnceLock<Arc<dyn MemoryPool>>,
    pub(crate) reads: Arc<ReadCounters>,
    /// Its waits for HDFS.
    pub(crate) waits: Waits,
    output_rows: AtomicU64,
    output_bytes: AtomicU64,
    /// Spilled bytes that were told of.
    spilled_told: AtomicU64,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            plan: OnceLock::new(),
            sink: OnceLock::new(),
            sink_times: SinkTimes::default(),
            pool: OnceLock::new(),
            reads: Arc::default(),
            waits: Waits::default(),
            output_rows: AtomicU64::new(0),
            output_bytes: AtomicU64::new(0),
            spilled_told: AtomicU64::new(0),
        }
    }

    /// From now on the figures of the plan's operators are told.
    pub(crate) fn follow(&self, (plan, sink): (Arc<dyn ExecutionPlan>, &'static str), pool: Arc<dyn MemoryPool>) {
        // Set once per attempt; a second plan would be a fault, and the first one's figures stay right.
        let _ = self.plan.set(plan);
        let _ = self.pool.set(pool);
        let _ = self.sink.set(sink);
    }

    pub(crate) fn add_output_rows(&self, rows: usize) {
        self.output_rows.fetch_add(rows as u64, Ordering::Relaxed);
    }

    pub(crate) fn set_output_bytes(&self, bytes: u64) {
        self.output_bytes.store(bytes, Ordering::Relaxed);
    }

    /// It has spilled more than when this was asked last.
    pub(crate) fn has_spilled_more(&self, spilled_bytes: u64) -> bool {
        self.spilled_told.fetch_max(spilled_bytes, Ordering::Relaxed) < spilled_bytes
    }

    /// Memory that the attempt's operators have reserved, in bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.pool.get().map_or(0, |pool| pool.reserved() as u64)
    }

    /// What the operators of its plan did. Complete once their streams are dropped.
    pub(crate) fn operators(&self) -> Vec<OperatorRun> {
        let rows = self.output_rows.load(Ordering::Relaxed);
        let sink = self.sink.get().copied().unwrap_or_default();
        self.plan.get().map(|plan| operators_of(plan, (sink, &self.sink_times, rows))).unwrap_or_default()
    }

    pub(crate) fn metrics(&self) -> AttemptMetrics {
        let mut metrics = AttemptMetrics {
            shuffle_read_rows: self.reads.rows.load(Ordering::Relaxed),
            shuffle_local_bytes: self.reads.local_bytes.load(Ordering::Relaxed),
            shuffle_remote_bytes: self.reads.remote_bytes.load(Ordering::Relaxed),
            output_rows: self.output_rows.load(Ordering::Relaxed),
            output_bytes: self.output_bytes.load(Ordering::Relaxed),
            elapsed_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            ..AttemptMetrics::default()
        };
        if let Some(plan) = self.plan.get() {
            add_plan(plan, &mut metrics);
        }
        metrics
    }
}

/// Joins also count `input_rows`: only scans read input splits.
fn add_plan(plan: &Arc<dyn ExecutionPlan>, metrics: &mut AttemptMetrics) {
    if let Some(figures) = plan.metrics() {
        metrics.spilled_bytes += figures.spilled_bytes().unwrap_or(0) as u64;
        if plan.is::<ScanExec>() {
            let count = |name| figures.sum_by_name(name).map_or(0, |value| value.as_usize() as u64);
            metrics.input_rows += count("input_rows");
            metrics.input_bytes += count("input_bytes");
        }
    }
    for child in plan.children() {
        add_plan(child, metrics);
    }
}
